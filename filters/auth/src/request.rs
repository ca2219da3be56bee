//! One request: read its head, ask the policy, do as it says.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use auth_policy::{
    Counter, Decision, Evidence, Facts, Forward, KeyNeed, NoKeys, Policy, Reason, Refusal, Step,
};
use http_message::{HeaderMap, HeaderValue, Place, Problem, RequestHead};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, continue_request, property, request_head, with_stream};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::plugin::Plugin;
use crate::waiter::{MOST_AT_ONCE, Waiter};
use crate::{signature, state};

/// Where routes say what they ask for.
const ROUTE_METADATA: &[&str] = &["xds", "route_metadata", "filter_metadata", "gatehouse.auth"];

const DEPRECATION: &[u8] = b"deprecation";

/// What the response is to say of the API key: shared with the waiter, so that a request that has waited says it too.
pub(crate) type Deprecation = Rc<OnceCell<HeaderValue>>;

/// The context of one stream. Whether it waits is known in one place: the list of those who do.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
    context_id: u32,
    /// Made where it is needed: most requests have none.
    deprecation: Option<Deprecation>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>, context_id: u32) -> Self {
        Self {
            plugin,
            context_id,
            deprecation: None,
        }
    }
}

/// The stream is gone, and waits for nothing any more.
impl Drop for Request {
    fn drop(&mut self) {
        if let Ok(mut waiting) = self.plugin.waiting.try_borrow_mut() {
            waiting.remove(self.context_id);
        }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        self.plugin.serve(self.context_id, &mut self.deprecation)
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        self.plugin.clean_trailers()
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        if let Some(since) = self.deprecation.as_ref().and_then(|told| told.get()) {
            tell_deprecation(since);
        }
        Action::Continue
    }
}

impl Plugin {
    fn serve(&self, context_id: u32, deprecation: &mut Option<Deprecation>) -> Action {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&unread_head(), error),
        };
        let facts = match self.facts() {
            Ok(facts) => facts,
            Err(error) => return self.fail(&head, error),
        };
        match self.settle(&head, &facts, None) {
            Some(Step::Await(need)) => self.wait(context_id, head, facts, need, deprecation),
            step => self.take(&head, step, deprecation),
        }
    }

    /// Does as the policy says.
    fn take(
        &self,
        head: &RequestHead,
        step: Option<Step<'_>>,
        deprecation: &mut Option<Deprecation>,
    ) -> Action {
        let Some(step) = step else {
            return self.fail(head, HostError::Internal);
        };
        let taken = match &step {
            Step::Forward(forward) => {
                if let Some(since) = &forward.deprecation {
                    // A request is forwarded once.
                    let _ = deprecation.get_or_insert_default().set(since.clone());
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
    fn wait(
        &self,
        context_id: u32,
        head: RequestHead,
        facts: Facts,
        need: KeyNeed,
        deprecation: &mut Option<Deprecation>,
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
            return self.take(&head, step, deprecation);
        }
        let waiter = Waiter {
            head,
            facts,
            need,
            asked: now,
            deadline,
            deprecation: Rc::clone(deprecation.get_or_insert_default()),
        };
        // Given back at once: who cannot wait is decided on, and a decision may end in a callback that ends waits.
        let inserted = match self.waiting.try_borrow_mut() {
            Ok(mut waiting) => waiting.insert(context_id, deadline, waiter),
            Err(_) => Err(waiter),
        };
        match inserted {
            Ok(()) => {
                self.counters.count(Counter::JwksWaited);
                self.hurry();
                Action::Pause
            }
            Err(Waiter { head, facts, .. }) => {
                let step = self.settle(&head, &facts, Some(NoKeys::Unavailable));
                self.take(&head, step, deprecation)
            }
        }
    }

    /// Decides again on those of whom there is something to say. A stream that is gone is not touched.
    pub(crate) fn resume_waiting(&self, now: Duration) {
        let ready = match (self.keyring.try_borrow(), self.waiting.try_borrow_mut()) {
            (Ok(ring), Ok(mut waiting)) => waiting.take(MOST_AT_ONCE, now, |waiter| {
                ring.is_ready(&waiter.need, waiter.asked, now)
            }),
            _ => return,
        };
        for (context_id, is_late, waiter) in ready {
            with_stream(context_id, || self.resume(context_id, is_late, waiter, now));
        }
    }

    fn resume(&self, context_id: u32, is_late: bool, waiter: Waiter, now: Duration) {
        let mut no_keys = is_late.then_some(NoKeys::Unavailable);
        if let Ok(mut ring) = self.keyring.try_borrow_mut()
            && let Some(given_up) = ring.given_up(&waiter.need, waiter.asked, now)
        {
            no_keys = Some(given_up);
            ring.remember_absent(&waiter.need, waiter.asked, now);
        }
        let action = match self.settle(&waiter.head, &waiter.facts, no_keys) {
            // The set that came does not have its key, and another may be fetched. The deadline stays.
            Some(Step::Await(need)) => {
                let waiter = Waiter { need, ..waiter };
                let inserted = match self.waiting.try_borrow_mut() {
                    Ok(mut waiting) => waiting.insert(context_id, waiter.deadline, waiter),
                    Err(_) => Err(waiter),
                };
                match inserted {
                    Ok(()) => Action::Pause,
                    Err(waiter) => self.fail(&waiter.head, HostError::Internal),
                }
            }
            step => {
                let mut deprecation = Some(waiter.deprecation);
                self.take(&waiter.head, step, &mut deprecation)
            }
        };
        if action == Action::Continue
            && let Err(error) = continue_request()
        {
            log::error!("decision=allow continue error={error}");
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

    /// Trailers that cannot be cleaned do not go on, and so the request never ends.
    fn clean_trailers(&self) -> Action {
        let cleaned = headers::read(Map::RequestTrailers).and_then(|trailers| {
            let edits = self.policy.clean_trailers(&trailers);
            headers::apply(Map::RequestTrailers, &edits.writes(&trailers))
        });
        match cleaned {
            Ok(()) => Action::Continue,
            Err(error) => self.fail(&unread_head(), error),
        }
    }

    /// A request that could not be read, or that may be half edited, does not go on.
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
        log::debug!(
            "decision={} reason={} rule={}",
            forward.decision.name(),
            reason.name(),
            forward.rule.unwrap_or("-")
        );
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
