//! One request: read its head, ask the policy, do as it says.

use std::rc::Rc;
use std::time::Duration;

use auth_policy::{
    Counter, Decision, Evidence, Forward, KeyNeed, NoKeys, Policy, Reason, Refusal, Step,
};
use http_message::{HeaderMap, Place, Problem, RequestHead};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, continue_request, property, request_head, with_stream};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::plugin::Plugin;
use crate::waiter::{MOST_AT_ONCE, Waiter};
use crate::{signature, state};

/// The context of one stream. Whether it waits is known in one place: the list of those who do.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
    context_id: u32,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>, context_id: u32) -> Self {
        Self { plugin, context_id }
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
        self.plugin.serve(self.context_id)
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        self.plugin.clean_trailers()
    }
}

impl Plugin {
    fn serve(&self, context_id: u32) -> Action {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&unread_head(), error),
        };
        let route = match self.route() {
            Ok(route) => route,
            Err(error) => return self.fail(&head, error),
        };
        match self.settle(&head, route.as_deref(), None) {
            Some(Step::Await(need)) => self.wait(context_id, head, route, need),
            step => self.take(&head, step),
        }
    }

    /// Does as the policy says.
    fn take(&self, head: &RequestHead, step: Option<Step<'_>>) -> Action {
        let Some(step) = step else {
            return self.fail(head, HostError::Internal);
        };
        let taken = match &step {
            Step::Forward(forward) => forward_request(head, forward),
            Step::Reply(refusal) => Ok(refuse(head, refusal)),
            Step::Verify(_) | Step::Await(_) => Err(HostError::Internal),
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
        route: Option<Vec<u8>>,
        need: KeyNeed,
    ) -> Action {
        let now = clock::monotonic();
        let (Ok(ring), Ok(mut waiting)) =
            (self.keyring.try_borrow(), self.waiting.try_borrow_mut())
        else {
            return self.fail(&head, HostError::Internal);
        };
        let given_up = ring.given_up(&need, now, now);
        let deadline = now.saturating_add(ring.wait(&need));
        drop(ring);
        if given_up.is_some() {
            let step = self.settle(&head, route.as_deref(), given_up);
            return self.take(&head, step);
        }
        let waiter = Waiter {
            head,
            route,
            need,
            asked: now,
            deadline,
        };
        match waiting.insert(context_id, deadline, waiter) {
            Ok(()) => {
                self.counters.count(Counter::JwksWaited);
                self.hurry();
                Action::Pause
            }
            Err(Waiter { head, route, .. }) => {
                let step = self.settle(&head, route.as_deref(), Some(NoKeys::Unavailable));
                self.take(&head, step)
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
        let action = match self.settle(&waiter.head, waiter.route.as_deref(), no_keys) {
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
            step => self.take(&waiter.head, step),
        };
        if action == Action::Continue
            && let Err(error) = continue_request()
        {
            log::error!("decision=allow continue error={error}");
        }
    }

    /// Answers the policy's questions about signatures until it needs no more: one at most for a token that names its
    /// key. Each round adds an answer, and no decision asks for more than fit into the evidence.
    fn settle(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
        no_keys: Option<NoKeys>,
    ) -> Option<Step<'_>> {
        let now = clock::realtime();
        let fetched = self.keyring.try_borrow().ok()?.fetched();
        let mut evidence = Evidence::with_keys(fetched, no_keys);
        for _ in 0..=Evidence::MAX_ANSWERS {
            // Nothing that is called from within comes back here, so nobody else has borrowed it.
            let mut tokens = self.tokens.try_borrow_mut().ok()?;
            match self.policy.decide(head, route, &evidence, &mut tokens, now) {
                Step::Verify(check) => {
                    let holds = signature::holds(&check, self.host);
                    evidence.add(check, holds);
                }
                step => return Some(step),
            }
        }
        None
    }

    /// The name of the route, where a rule asks for it: a second call that returns data.
    fn route(&self) -> Result<Option<Vec<u8>>, HostError> {
        if self.policy.needs_route() {
            property::get(&["xds", "route_name"])
        } else {
            Ok(None)
        }
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
        let _ = state::write_words("-", None, Decision::Deny, Some(reason));
        self.counters.count(Counter::Denied);
        self.counters.count(Counter::Reason(reason));
        reply(head, &Policy::internal_error())
    }
}

fn forward_request(head: &RequestHead, forward: &Forward<'_>) -> Result<Action, HostError> {
    state::write(
        &forward.identity,
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
        &refusal.identity,
        refusal.rule,
        Decision::Deny,
        Some(refusal.reason),
    ) {
        log::warn!("decision=deny filter state error={error}");
    }
    reply(head, &refusal.problem)
}

fn unread_head() -> RequestHead {
    RequestHead::new(HeaderMap::default())
}

fn reply(head: &RequestHead, problem: &Problem) -> Action {
    proxy_host::refuse(head, problem, Place::BeforeBridges);
    Action::Pause
}
