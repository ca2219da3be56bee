//! One request: read its head, ask the policy, do as it says.

use std::rc::Rc;

use http_message::{HeaderMap, Place, Problem, RequestHead};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, foreign, property, request_head};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use routing_policy::{Facts, Forward, Reason, Step};

use crate::plugin::Plugin;

/// Where auth leaves its record.
const IDENTITY: &str = "wasm.gatehouse.identity";

/// The context of one stream.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Request { plugin }
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
            Err(error) => return self.fail(&RequestHead::new(HeaderMap::default()), error),
        };
        let facts = match self.facts() {
            Ok(facts) => facts,
            Err(error) => return self.fail(&head, error),
        };
        match self.policy.decide(&head, &facts) {
            Step::Forward(forward) => match obey(&head, &forward) {
                Ok(()) => {
                    for counter in &forward.counters {
                        self.counters.count(*counter);
                    }
                    if let Some(reason) = forward.shadowed {
                        log::debug!("decision=shadow reason={}", reason.code_details());
                    }
                    Action::Continue
                }
                Err(error) => self.fail(&head, error),
            },
            Step::Reply(problem, reason) => self.refuse(&head, &problem, reason),
        }
    }

    /// What the policy needs to know: each call that returns data costs as much as reading the head.
    fn facts(&self) -> Result<Facts, HostError> {
        let ask = |needed: bool, path: &[&str]| match needed {
            true => property::get(path),
            false => Ok(None),
        };
        Ok(Facts {
            identity: ask(self.needs.identity, &["filter_state", IDENTITY])?,
        })
    }

    /// Trailers that cannot be cleaned do not go on, and so the request never ends.
    fn clean_trailers(&self) -> Action {
        let cleaned = headers::read(Map::RequestTrailers).and_then(|trailers| {
            let edits = self.policy.without_copies(&trailers);
            headers::apply(Map::RequestTrailers, &edits.writes(&trailers))
        });
        match cleaned {
            Ok(()) => Action::Continue,
            Err(error) => self.fail(&RequestHead::new(HeaderMap::default()), error),
        }
    }

    /// A request that could not be read, or that may be half edited, does not go on.
    fn fail(&self, head: &RequestHead, error: HostError) -> Action {
        log::warn!("decision=fail error={error}");
        let reason = Reason::Internal;
        self.refuse(head, &reason.problem(Vec::new()), reason)
    }

    fn refuse(&self, head: &RequestHead, problem: &Problem, reason: Reason) -> Action {
        self.counters.count(reason.counter());
        log::debug!("decision=reply reason={}", reason.code_details());
        reply(head, problem)
    }
}

fn obey(head: &RequestHead, forward: &Forward) -> Result<(), HostError> {
    for (name, value) in &forward.state {
        property::set(name, value.as_bytes())?;
    }
    let writes = forward.edits.writes(head.headers());
    headers::apply(Map::Request, &writes)?;
    // A header edit makes the host choose the route anew; filter state alone does not, and routes may match on it.
    if writes.is_empty() && !forward.state.is_empty() {
        foreign::clear_route_cache()?;
    }
    Ok(())
}

fn reply(head: &RequestHead, problem: &Problem) -> Action {
    proxy_host::refuse(head, problem, Place::BehindBridges);
    Action::Pause
}

#[cfg(test)]
mod tests {
    use super::*;

    // A record that is looked for under another name is one that nobody finds.
    #[test]
    fn the_record_is_where_auth_leaves_it() {
        assert_eq!(IDENTITY.strip_prefix("wasm."), Some(identity::FILTER_STATE));
    }
}
