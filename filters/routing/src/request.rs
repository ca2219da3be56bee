//! One request: read its head, ask the policy, do as it says.

use std::rc::Rc;
use std::time::Duration;

use http_message::{
    GrpcStatus, HeaderMap, HeaderName, HeaderValue, Occurrence, Place, Problem, RequestHead,
};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, foreign, property, random, request_head};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use routing_policy::{Facts, Forward, Needs, Reason, RouteMetadata, Step, Watch};

use crate::plugin::Plugin;

/// Where auth leaves its record.
const IDENTITY: &str = "wasm.gatehouse.identity";
/// Where a route says something for itself.
const METADATA: &str = "gatehouse.routing";
/// What Envoy's router writes into the response code details where the time of a request is over, before anything or after
/// the headers of the response.
const TIMEOUTS: [&[u8]; 2] = [b"upstream_response_timeout", b"response_timeout"];

/// The context of one stream.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
    /// What the response is to tell besides.
    answer: Vec<(HeaderName, HeaderValue)>,
    /// What the response is looked at for, and since when the call runs. Taken by the end of it.
    call: Option<Call>,
}

/// What is left to do in the response.
pub(crate) struct Rest {
    answer: Vec<(HeaderName, HeaderValue)>,
    call: Option<Call>,
}

/// A call under way.
pub(crate) struct Call {
    watch: Watch,
    since: Duration,
    /// The request, where a deadline may end it.
    head: Option<RequestHead>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Request {
            plugin,
            answer: Vec::new(),
            call: None,
        }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        match self.plugin.serve() {
            Some(rest) => {
                self.answer = rest.answer;
                self.call = rest.call;
                Action::Continue
            }
            None => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        tell(&std::mem::take(&mut self.answer));
        // A call that fails at once has its status here, and no trailers.
        if end_of_stream && let Some(call) = self.call.take() {
            self.plugin.finish(Map::Response, &call);
        } else if let Some(call) = self.call.take_if(|call| call.head.is_some() && timed_out()) {
            return self.plugin.time_is_over(&call);
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _num_trailers: usize) -> Action {
        if let Some(call) = self.call.take() {
            self.plugin.finish(Map::ResponseTrailers, &call);
        }
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        self.plugin.clean_trailers()
    }
}

impl Plugin {
    /// What is left to do in the response; `None` if the request was answered here.
    fn serve(&self) -> Option<Rest> {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&RequestHead::new(HeaderMap::default()), error),
        };
        let facts = match self.facts(&head) {
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
                    Some(Rest {
                        call: forward.watch.map(|watch| Call {
                            since: clock::monotonic(),
                            head: watch.deadline.then_some(head),
                            watch,
                        }),
                        answer: forward.answer,
                    })
                }
                Err(error) => self.fail(&head, error),
            },
            Step::Reply(problem, reason) => self.refuse(&head, &problem, reason),
        }
    }

    /// The end of a call, with its status in `map`. The response is not ours: a host that fails is logged, not obeyed.
    fn finish(&self, map: Map, call: &Call) {
        let headers = match headers::read(map) {
            Ok(headers) => headers,
            Err(error) => return log::warn!("response error={error}"),
        };
        let mut status = grpc_status(&headers);
        if call.watch.deadline && status == Some(GrpcStatus::Unavailable) && timed_out() {
            // Envoy's own answer; UNAVAILABLE is leave to try again, and the client's time is over.
            status = Some(GrpcStatus::DeadlineExceeded);
            let code = GrpcStatus::DeadlineExceeded.code().to_string();
            if let Err(error) = headers::replace(map, b"grpc-status", code.as_bytes()) {
                log::warn!("response header error={error}");
            }
        }
        if let Some(status) = status {
            self.count(call, status);
        }
    }

    /// The end of a call that Envoy has answered in plain HTTP, of which a bridge would make UNAVAILABLE.
    fn time_is_over(&self, call: &Call) -> Action {
        let Some(head) = &call.head else {
            return Action::Continue;
        };
        self.count(call, GrpcStatus::DeadlineExceeded);
        let reason = Reason::TimedOut;
        let _: Option<()> = self.refuse(head, &reason.problem(Vec::new()), reason);
        Action::Pause
    }

    fn count(&self, call: &Call, status: GrpcStatus) {
        if let Some(place) = call.watch.statistic {
            let time = clock::monotonic().saturating_sub(call.since);
            self.statistics.count(place, status, time);
        }
    }

    /// What the policy needs to know: each call that returns data costs as much as reading the head.
    fn facts(&self, head: &RequestHead) -> Result<Facts, HostError> {
        let needs = self.policy.needs(head);
        let needs_draw = self.policy.needs_draw(head);
        match needs == Needs::default() && !needs_draw {
            true => Ok(Facts::default()),
            false => ask(needs, needs_draw),
        }
    }

    /// Trailers that cannot be cleaned do not go on, and so the request never ends.
    fn clean_trailers(&self) -> Action {
        let cleaned = headers::read(Map::RequestTrailers).and_then(|trailers| {
            let edits = self.policy.without_copies(&trailers);
            headers::apply(Map::RequestTrailers, &edits.writes(&trailers))
        });
        match cleaned {
            Ok(()) => Action::Continue,
            Err(error) => {
                let _: Option<()> = self.fail(&RequestHead::new(HeaderMap::default()), error);
                Action::Pause
            }
        }
    }

    /// A request that could not be read, or that may be half edited, does not go on.
    fn fail<T>(&self, head: &RequestHead, error: HostError) -> Option<T> {
        log::warn!("decision=fail error={error}");
        let reason = Reason::Internal;
        self.refuse(head, &reason.problem(Vec::new()), reason)
    }

    fn refuse<T>(&self, head: &RequestHead, problem: &Problem, reason: Reason) -> Option<T> {
        self.counters.count(reason.counter());
        log::debug!("decision=reply reason={}", reason.code_details());
        let kind = self.policy.problem_type(reason);
        proxy_host::refuse_as(&kind, head, problem, Place::BehindBridges);
        None
    }
}

/// Asks the host for what is needed.
#[inline(never)]
fn ask(needs: Needs, needs_draw: bool) -> Result<Facts, HostError> {
    let ask = |needed: bool, path: &[&str]| match needed {
        true => property::get(path),
        false => Ok(None),
    };
    let of_route = |needed: bool, name: &str| {
        let path = ["xds", "route_metadata", "filter_metadata", METADATA, name];
        ask(needed, &path)
    };
    Ok(Facts {
        identity: ask(needs.identity, &["filter_state", IDENTITY])?,
        address: ask(needs.address, &["source", "address"])?,
        route: RouteMetadata {
            default_version: of_route(needs.route_default_version, "default_version")?,
            max_deadline: of_route(needs.route_max_deadline, "max_deadline")?,
        },
        draw: match needs_draw {
            true => {
                let mut bytes = [0; 16];
                random::fill(&mut bytes)?;
                Some(bytes)
            }
            false => None,
        },
    })
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

/// Writes what the client is to learn. The response is not ours: a host that refuses is logged, not obeyed.
fn tell(answer: &[(HeaderName, HeaderValue)]) {
    for (name, value) in answer {
        // The upstream may have links and cookies of its own.
        let written = match name.as_str() {
            "link" | "set-cookie" => headers::add(Map::Response, name.as_bytes(), value.as_bytes()),
            _ => headers::replace(Map::Response, name.as_bytes(), value.as_bytes()),
        };
        if let Err(error) = written {
            log::warn!("response header error={error}");
            return;
        }
    }
}

/// The status of a call, if there is one, and one that gRPC knows.
fn grpc_status(headers: &HeaderMap) -> Option<GrpcStatus> {
    let Occurrence::Once(value) = headers.occurrence("grpc-status") else {
        return None;
    };
    GrpcStatus::from_header(value)
}

/// Whether the router gave up waiting for the upstream.
fn timed_out() -> bool {
    let details = property::get(&["response", "code_details"]);
    matches!(details, Ok(Some(details)) if TIMEOUTS.contains(&details.as_slice()))
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
