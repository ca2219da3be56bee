//! One request: read its head, ask the policy, do as it says.

use std::rc::Rc;

use auth_policy::{Counter, Decision, Evidence, Forward, Policy, Reason, Refusal, Step};
use http_message::{HeaderMap, Place, Problem, RequestHead};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, property, request_head};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::plugin::Plugin;
use crate::{signature, state};

/// The context of one stream.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Self { plugin }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        self.plugin.serve()
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        self.plugin.clean_trailers()
    }
}

impl Plugin {
    fn serve(&self) -> Action {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&unread_head(), error),
        };
        let route = match self.route() {
            Ok(route) => route,
            Err(error) => return self.fail(&head, error),
        };
        let Some(step) = self.settle(&head, route.as_deref()) else {
            return self.fail(&head, HostError::Internal);
        };
        let taken = match &step {
            Step::Forward(forward) => forward_request(&head, forward),
            Step::Reply(refusal) => Ok(refuse(&head, refusal)),
            Step::Verify(_) => Err(HostError::Internal),
        };
        match taken {
            Ok(action) => {
                Counter::of(&step).for_each(|counter| self.counters.count(counter));
                action
            }
            Err(error) => self.fail(&head, error),
        }
    }

    /// Answers the policy's questions about signatures until it needs no more: one at most for a token that names its
    /// key. Each round adds an answer, and no decision asks for more than fit into the evidence.
    fn settle(&self, head: &RequestHead, route: Option<&[u8]>) -> Option<Step<'_>> {
        let now = clock::realtime();
        let mut evidence = Evidence::new();
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
