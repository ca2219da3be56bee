//! One request: read its head, ask the policy, do as it says.

use std::rc::Rc;

use auth_policy::{Counter, Decision, Evidence, Facts, Forward, Policy, Reason, Refusal, Step};
use http_message::{HeaderMap, HeaderValue, Place, Problem, RequestHead};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, property, request_head};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::plugin::Plugin;
use crate::{signature, state};

/// Where routes say what they ask for.
const ROUTE_METADATA: &[&str] = &["xds", "route_metadata", "filter_metadata", "gatehouse.auth"];

const DEPRECATION: &[u8] = b"deprecation";

/// The context of one stream.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
    /// What the response is to say of the API key.
    deprecation: Option<HeaderValue>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Self {
            plugin,
            deprecation: None,
        }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        self.plugin.serve(&mut self.deprecation)
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        self.plugin.clean_trailers()
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        if let Some(since) = self.deprecation.take() {
            tell_deprecation(&since);
        }
        Action::Continue
    }
}

impl Plugin {
    fn serve(&self, deprecation: &mut Option<HeaderValue>) -> Action {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&unread_head(), error),
        };
        let facts = match self.facts() {
            Ok(facts) => facts,
            Err(error) => return self.fail(&head, error),
        };
        let Some(step) = self.settle(&head, &facts) else {
            return self.fail(&head, HostError::Internal);
        };
        let taken = match &step {
            Step::Forward(forward) => {
                deprecation.clone_from(&forward.deprecation);
                forward_request(&head, forward)
            }
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
    fn settle(&self, head: &RequestHead, facts: &Facts) -> Option<Step<'_>> {
        let now = clock::realtime();
        let mut evidence = Evidence::new();
        for _ in 0..=Evidence::MAX_ANSWERS {
            // Nothing that is called from within comes back here, so nobody else has borrowed it.
            let mut tokens = self.tokens.try_borrow_mut().ok()?;
            match self.policy.decide(head, facts, &evidence, &mut tokens, now) {
                Step::Verify(check) => {
                    let holds = signature::holds(&check, self.host);
                    evidence.add(check, holds);
                }
                step => return Some(step),
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
