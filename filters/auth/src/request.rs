//! One request: read its head, ask the policy, do as it says.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use auth_policy::{
    Counter, Decision, Evidence, Facts, Forward, KeyNeed, NoKeys, Policy, Reason, Refusal, Step,
};
use fetch::Waiting;
use http_message::{HeaderMap, HeaderValue, Place, Problem, RequestHead};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, continue_request, property, request_head, with_stream};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::keyring::Keyring;
use crate::plugin::Plugin;
use crate::waiter::{LONGEST_AT_ONCE, MOST_AT_ONCE, Waiter};
use crate::{signature, state};

/// Where routes say what they ask for.
const ROUTE_METADATA: &[&str] = &["xds", "route_metadata", "filter_metadata", "gatehouse.auth"];

const DEPRECATION: &[u8] = b"deprecation";

/// What became of a request: shared with the waiter, which is decided on behind its back.
#[derive(Default)]
pub(crate) struct Outcome {
    /// What the response is to say of the API key.
    deprecation: OnceCell<HeaderValue>,
    /// Whether it waited, and then passed.
    passed: Cell<bool>,
}

/// The context of one stream. Whether it waits is known in one place: the list of those who do.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
    context_id: u32,
    /// Whether its head was held back, to wait or for good.
    stopped: bool,
    /// Made where it is needed: most requests have none.
    outcome: Option<Rc<Outcome>>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>, context_id: u32) -> Self {
        Self {
            plugin,
            context_id,
            stopped: false,
            outcome: None,
        }
    }

    /// What its body and trailers do. Where the host lets them come while the head is held (`allow_on_headers_stop_iteration`), a
    /// callback that continues lets the whole request go.
    fn onward(&self) -> Action {
        let passed = || {
            self.outcome
                .as_ref()
                .is_some_and(|outcome| outcome.passed.get())
        };
        match self.stopped && !passed() {
            true => Action::Pause,
            false => Action::Continue,
        }
    }
}

/// The stream is gone, and waits for nothing any more.
impl Drop for Request {
    fn drop(&mut self) {
        self.plugin.forget_waiter(self.context_id);
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        let action = self.plugin.serve(self.context_id, &mut self.outcome);
        self.stopped = action == Action::Pause;
        action
    }

    fn on_http_request_body(&mut self, _body_size: usize, _end_of_stream: bool) -> Action {
        self.onward()
    }

    /// Cleaned while the request waits too: the host does not come by again.
    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        match self.plugin.clean_trailers() {
            Ok(()) => self.onward(),
            Err(error) => {
                self.stopped = true;
                self.plugin.forget_waiter(self.context_id);
                self.plugin.fail(&unread_head(), error)
            }
        }
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        if let Some(since) = self
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.deprecation.get())
        {
            tell_deprecation(since);
        }
        Action::Continue
    }
}

impl Plugin {
    fn serve(&self, context_id: u32, outcome: &mut Option<Rc<Outcome>>) -> Action {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&unread_head(), error),
        };
        let facts = match self.facts() {
            Ok(facts) => facts,
            Err(error) => return self.fail(&head, error),
        };
        match self.settle(&head, &facts, None) {
            Some(Step::Await(need)) => self.wait(context_id, head, facts, need, outcome),
            step => self.take(&head, step, outcome),
        }
    }

    /// Does as the policy says.
    fn take(
        &self,
        head: &RequestHead,
        step: Option<Step<'_>>,
        outcome: &mut Option<Rc<Outcome>>,
    ) -> Action {
        let Some(step) = step else {
            return self.fail(head, HostError::Internal);
        };
        let taken = match &step {
            Step::Forward(forward) => {
                if let Some(since) = &forward.deprecation {
                    // A request is forwarded once.
                    let _ = outcome
                        .get_or_insert_default()
                        .deprecation
                        .set(since.clone());
                }
                forward_request(head, forward)
            }
            Step::Reply(refusal) => Ok(refuse(head, refusal)),
            Step::Verify(_) | Step::Attempt | Step::Await(_) => Err(HostError::Internal),
        };
        match taken {
            Ok(action) => {
                Counter::of(&step).for_each(|counter| self.counters.count(counter));
                action
            }
            Err(error) => self.fail(head, error),
        }
    }

    /// Lets a request wait for keys, unless it is known already that they will not come.
    #[cold]
    #[inline(never)]
    fn wait(
        &self,
        context_id: u32,
        head: RequestHead,
        facts: Facts,
        need: KeyNeed,
        outcome: &mut Option<Rc<Outcome>>,
    ) -> Action {
        let now = clock::monotonic();
        let Ok(ring) = self.keyring.try_borrow() else {
            return self.fail(&head, HostError::Internal);
        };
        let given_up = ring.given_up(&need, now, now);
        let deadline = now.saturating_add(ring.wait(&need));
        drop(ring);
        if given_up.is_some() {
            let step = self.settle(&head, &facts, given_up);
            return self.take(&head, step, outcome);
        }
        let waiter = Waiter {
            head,
            facts,
            need,
            asked: now,
            deadline,
            outcome: Rc::clone(outcome.get_or_insert_default()),
        };
        // Given back at once: who cannot wait is decided on, and a decision may end in a callback that ends waits.
        let inserted = match self.waiting.try_borrow_mut() {
            Ok(mut waiting) => waiting.insert(context_id, deadline, waiter.bytes(), waiter),
            Err(_) => Err(waiter),
        };
        match inserted {
            Ok(()) => {
                self.counters.count(Counter::JwksWaited);
                self.hurry();
                Action::Pause
            }
            Err(Waiter { head, facts, .. }) => {
                self.counters.count(Counter::JwksCrowded);
                let step = self.settle(&head, &facts, Some(NoKeys::Unavailable));
                self.take(&head, step, outcome)
            }
        }
    }

    /// Decides again on those of whom there is something to say, as many as a callback may; whether those were all. A stream that is
    /// gone is not touched.
    pub(crate) fn resume_waiting(&self, now: Duration) -> bool {
        let due = match (self.keyring.try_borrow(), self.waiting.try_borrow()) {
            (Ok(ring), Ok(waiting)) => self.due(&ring, &waiting, now),
            _ => return false,
        };
        let mut left = due.len();
        for context_id in due {
            if clock::monotonic() >= now.saturating_add(LONGEST_AT_ONCE) {
                break;
            }
            left = left.saturating_sub(1);
            let waiter = match self.waiting.try_borrow_mut() {
                Ok(mut waiting) => waiting.remove(context_id),
                Err(_) => None,
            };
            if let Some(waiter) = waiter {
                with_stream(context_id, || self.resume(context_id, waiter, now));
            }
        }
        if left > 0 {
            self.swept.set(None);
        }
        self.swept.get().is_some()
    }

    /// The streams of those whose time is over, and then of those who can be told something. The latter are looked for only where
    /// the keys, or what is known of them, have changed since all who wait were looked at: nothing else makes anybody ready.
    fn due(&self, ring: &Keyring, waiting: &Waiting<Waiter>, now: Duration) -> Vec<u32> {
        let mut due: Vec<u32> = waiting.late(now).take(MOST_AT_ONCE).collect();
        let changes = Some(ring.changes());
        if self.swept.get() == changes && due.len() < MOST_AT_ONCE {
            return due;
        }
        let room = MOST_AT_ONCE.saturating_sub(due.len());
        let ready = waiting.iter().filter(|(_, waiter)| {
            now < waiter.deadline && ring.is_ready(&waiter.need, waiter.asked, now)
        });
        due.extend(ready.map(|(context_id, _)| context_id).take(room));
        self.swept.set(changes.filter(|_| due.len() < MOST_AT_ONCE));
        due
    }

    fn resume(&self, context_id: u32, waiter: Waiter, now: Duration) {
        let outcome = Rc::clone(&waiter.outcome);
        let mut no_keys = (now >= waiter.deadline).then_some(NoKeys::Unavailable);
        if let Ok(mut ring) = self.keyring.try_borrow_mut()
            && let Some(given_up) = ring.given_up(&waiter.need, waiter.asked, now)
        {
            no_keys = Some(given_up);
            ring.remember_absent(&waiter.need, waiter.asked, now);
        }
        let action = match self.settle(&waiter.head, &waiter.facts, no_keys) {
            // The set that came does not have its key, and another may be fetched. The deadline stays.
            Some(Step::Await(need)) => {
                // Of this need nothing was asked yet.
                self.swept.set(None);
                let waiter = Waiter { need, ..waiter };
                let inserted = match self.waiting.try_borrow_mut() {
                    Ok(mut waiting) => {
                        waiting.insert(context_id, waiter.deadline, waiter.bytes(), waiter)
                    }
                    Err(_) => Err(waiter),
                };
                match inserted {
                    Ok(()) => Action::Pause,
                    Err(waiter) => self.fail(&waiter.head, HostError::Internal),
                }
            }
            step => {
                let mut outcome = Some(Rc::clone(&outcome));
                self.take(&waiter.head, step, &mut outcome)
            }
        };
        if action == Action::Continue {
            outcome.passed.set(true);
            if let Err(error) = continue_request() {
                log::error!("decision=allow continue error={error}");
            }
        }
    }

    /// Answers the policy's questions about signatures until it needs no more: one at most for a token that names its
    /// key. Each round adds an answer, and no decision asks for more than fit into the evidence. An attempt that fails is
    /// counted here.
    fn settle(
        &self,
        head: &RequestHead,
        facts: &Facts,
        no_keys: Option<NoKeys>,
    ) -> Option<Step<'_>> {
        let now = clock::realtime();
        let fetched = self.keyring.try_borrow().ok()?.fetched();
        let mut evidence = Evidence::with_keys(fetched, no_keys);
        let mut attempt = None;
        // One round more, for the question whether anything may be tried.
        for _ in 0..=Evidence::MAX_ANSWERS.saturating_add(1) {
            // Nothing that is called from within comes back here, so nobody else has borrowed it.
            let mut tokens = self.tokens.try_borrow_mut().ok()?;
            match self.policy.decide(head, facts, &evidence, &mut tokens, now) {
                Step::Attempt => {
                    let begun = self.begin_attempt(self.policy.failed_attempts()?, facts);
                    let (leave, begun) = begun
                        .inspect_err(|error| log::warn!("failed attempts error={error}"))
                        .ok()?;
                    evidence.set_leave(leave);
                    attempt = Some(begun);
                }
                Step::Verify(check) => {
                    let holds = signature::holds(&check, self.host);
                    evidence.add(check, holds);
                }
                step => {
                    if step.is_failed_attempt() {
                        self.fail_attempt(attempt, facts);
                    }
                    return Some(step);
                }
            }
        }
        None
    }

    /// What rules look at beside the head: one more call that returns data for each, where a rule does.
    fn facts(&self) -> Result<Facts, HostError> {
        let ask = |needed: bool, path: &[&str]| match needed {
            true => property::get(path),
            false => Ok(None),
        };
        Ok(Facts {
            route: ask(self.needs.route, &["xds", "route_name"])?,
            address: ask(self.needs.address, &["source", "address"])?,
            route_metadata: ask(self.needs.route_metadata, ROUTE_METADATA)?,
        })
    }

    /// Trailers that cannot be cleaned must not go on, and so the request never ends.
    fn clean_trailers(&self) -> Result<(), HostError> {
        let trailers = headers::read(Map::RequestTrailers)?;
        let edits = self.policy.clean_trailers(&trailers);
        headers::apply(Map::RequestTrailers, &edits.writes(&trailers))
    }

    /// The request is gone, or answered.
    fn forget_waiter(&self, context_id: u32) {
        if let Ok(mut waiting) = self.waiting.try_borrow_mut() {
            // Most streams never do.
            if !waiting.is_empty() {
                waiting.remove(context_id);
            }
        }
    }

    /// A request that could not be read, or that may be half edited, does not go on.
    #[cold]
    #[inline(never)]
    fn fail(&self, head: &RequestHead, error: HostError) -> Action {
        log::warn!("decision=fail error={error}");
        let reason = Reason::Internal;
        // The host just failed, so this may fail too; nobody but the access log would have read it.
        let _ = state::write_words(None, Decision::Deny, Some(reason));
        self.counters.count(Counter::Denied);
        self.counters.count(Counter::Reason(reason));
        reply(head, &Policy::internal_error())
    }
}

fn forward_request(head: &RequestHead, forward: &Forward<'_>) -> Result<Action, HostError> {
    if let Some(reason) = forward.reason {
        tell_reason(forward, reason);
    }
    state::write(
        &forward.caller,
        &forward.original,
        forward.rule,
        forward.decision,
        forward.reason,
    )?;
    headers::apply(Map::Request, &forward.edits.writes(head.headers()))?;
    Ok(Action::Continue)
}

#[cold]
#[inline(never)]
fn tell_reason(forward: &Forward<'_>, reason: Reason) {
    log::debug!(
        "decision={} reason={} rule={}",
        forward.decision.name(),
        reason.name(),
        forward.rule.unwrap_or("-")
    );
}

#[inline(never)]
fn refuse(head: &RequestHead, refusal: &Refusal<'_>) -> Action {
    log::debug!(
        "decision=deny reason={} rule={}",
        refusal.reason.name(),
        refusal.rule.unwrap_or("-")
    );
    // Only logs lose by a word that is missing, and the request stops here in any case.
    if let Err(error) = state::write(
        &refusal.caller,
        &refusal.original,
        refusal.rule,
        Decision::Deny,
        Some(refusal.reason),
    ) {
        log::warn!("decision=deny filter state error={error}");
    }
    if let Some(target) = &refusal.target
        && let Err(error) = headers::replace(Map::Request, b":path", target)
    {
        log::warn!("decision=deny target error={error}");
    }
    reply(head, &refusal.problem)
}

/// RFC 9745: the header takes one date, and the one that is there is about the resource. The response is not ours: a host
/// that refuses is logged, not obeyed.
fn tell_deprecation(since: &HeaderValue) {
    let told = headers::read(Map::Response).and_then(|response| {
        if response.get_all("deprecation").next().is_some() {
            return Ok(());
        }
        headers::add(Map::Response, DEPRECATION, since.as_bytes())
    });
    if let Err(error) = told {
        log::warn!("response header error={error}");
    }
}

fn unread_head() -> RequestHead {
    RequestHead::new(HeaderMap::default())
}

fn reply(head: &RequestHead, problem: &Problem) -> Action {
    proxy_host::refuse(head, problem, Place::BeforeBridges);
    Action::Pause
}
