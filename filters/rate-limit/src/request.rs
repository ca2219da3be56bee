//! One request: read its head, ask the policy, take the tokens, do as it says.

use std::rc::Rc;

use http_message::{HeaderMap, HeaderName, HeaderValue, Place, Problem, ProblemType, RequestHead};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, property, request_head, send_local_reply};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use rate_limit_policy::{Counter, Facts, Reason, Step};

use crate::plugin::Plugin;
use crate::tokens::Outcome;

/// Filter state that carries the names of the limits that had no token, for the access log.
const STATE_VIOLATED: &str = "gatehouse.rate_limit.violated";
/// What the older headers start with.
const X_RATE_LIMIT: &str = "x-ratelimit-";

/// The context of one stream.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
    /// What the response is to tell of the limits.
    answer: Vec<(HeaderName, HeaderValue)>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Request {
            plugin,
            answer: Vec::new(),
        }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        match self.plugin.serve() {
            Some(answer) => {
                self.answer = answer;
                Action::Continue
            }
            None => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        // Empty for a reply of our own, which has its headers already.
        self.plugin.tell(&std::mem::take(&mut self.answer));
        Action::Continue
    }
}

impl Plugin {
    /// The headers that the response is to have; `None` if the request was answered here.
    fn serve(&self) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&RequestHead::new(HeaderMap::default()), error),
        };
        match self.judge(&head) {
            Ok(answer) => answer,
            Err(error) => self.fail(&head, error),
        }
    }

    fn judge(
        &self,
        head: &RequestHead,
    ) -> Result<Option<Vec<(HeaderName, HeaderValue)>>, HostError> {
        let decision = self.policy.decide(head, &self.facts()?, self.instance()?);
        for counter in &decision.counters {
            self.counters.count(*counter);
        }
        let draws = match decision.step {
            Step::Forward => return Ok(Some(Vec::new())),
            Step::Reply(problem, reason) => {
                self.count(reason);
                proxy_host::refuse(head, &problem, Place::BeforeBridges);
                return Ok(None);
            }
            Step::Draw(draws) => draws,
        };
        Ok(match self.take_all(&draws)? {
            Outcome::Admitted(standings) => {
                self.counters.count(Counter::Admitted);
                Some(self.policy.headers(&standings))
            }
            Outcome::Refused(problem, kind, reason, violated) => {
                self.count(reason);
                // For the access log alone: the refusal stands without it.
                if let Err(error) = property::set(STATE_VIOLATED, violated.join(",").as_bytes()) {
                    log::debug!("filter state error={error}");
                }
                reply(head, &problem, &kind);
                None
            }
        })
    }

    fn facts(&self) -> Result<Facts, HostError> {
        let ask = |needed: bool, path: &[&str]| match needed {
            true => property::get(path),
            false => Ok(None),
        };
        let identity = format!("wasm.{}", identity::FILTER_STATE);
        Ok(Facts {
            identity: ask(self.needs.identity, &["filter_state", &identity])?,
            address: ask(self.needs.address, &["source", "address"])?,
            route: ask(self.needs.route, &["xds", "route_name"])?,
        })
    }

    /// Writes what the limits say on the response. The response is not ours: a host that refuses is logged, not obeyed.
    fn tell(&self, answer: &[(HeaderName, HeaderValue)]) {
        if answer.is_empty() {
            return;
        }
        // The newer headers are lists, to which another limiter behind this one may have written too; the older ones take
        // one value, and the one that is there is nearer to the upstream.
        let told = self.policy.writes_x_rate_limit() && has_x_rate_limit();
        let is_told = |name: &HeaderName| told && name.as_str().starts_with(X_RATE_LIMIT);
        for (name, value) in answer.iter().filter(|(name, _)| !is_told(name)) {
            if let Err(error) = headers::add(Map::Response, name.as_bytes(), value.as_bytes()) {
                log::warn!("response header error={error}");
                return;
            }
        }
    }

    /// A request that could not be counted does not go on.
    fn fail<T>(&self, head: &RequestHead, error: HostError) -> Option<T> {
        log::warn!("decision=fail error={error}");
        self.count(Reason::Internal);
        proxy_host::refuse(
            head,
            &Reason::Internal.problem(Vec::new()),
            Place::BeforeBridges,
        );
        None
    }

    fn count(&self, reason: Reason) {
        if let Some(counter) = reason.counter() {
            self.counters.count(counter);
        }
        log::debug!("decision=reply reason={}", reason.code_details());
    }
}

fn has_x_rate_limit() -> bool {
    let is_one = |name: &[u8]| name.starts_with(X_RATE_LIMIT.as_bytes());
    headers::read(Map::Response).is_ok_and(|map| map.iter().any(|(name, _)| is_one(name)))
}

fn reply(head: &RequestHead, problem: &Problem, kind: &ProblemType) {
    if let Err(error) = send_local_reply(&problem.render_as(kind, head, Place::BeforeBridges)) {
        log::error!("decision=fail reply error={error}");
    }
}
