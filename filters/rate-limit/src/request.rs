//! One request: read its head, ask the policy, take the tokens, do as it says.

use std::rc::Rc;
use std::time::Duration;

use http_message::{HeaderMap, HeaderName, HeaderValue, Place, Problem, RequestHead};
use proxy_host::body::{self, Buffer};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, property, request_head, send_local_reply};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use rate_limit_policy::{
    Afterwards, Counter, Facts, Needs, Reading, Reason, Receipt, Refusal, Standings, Step,
};

use crate::plugin::Plugin;
use crate::tokens::Outcome;

/// Filter state that carries the names of the limits that had no token, for the access log.
const STATE_VIOLATED: &str = "gatehouse.rate_limit.violated";
/// Where the record of auth is.
const IDENTITY: &str = "wasm.gatehouse.identity";
/// What the older headers start with, and the one that whoever writes them writes.
const X_RATE_LIMIT: &str = "x-ratelimit-";
const X_RATE_LIMIT_LIMIT: &[u8] = b"x-ratelimit-limit";
/// How much of a chunk is copied into the VM at once.
const PIECE: usize = 64 << 10;

/// The context of one stream.
pub(crate) struct Request {
    plugin: Rc<Plugin>,
    served: Served,
    /// What has been taken for a cost that the body tells.
    readings: Vec<(Reading, Receipt)>,
}

/// What is kept of an admitted request until its response.
#[derive(Default)]
pub(crate) struct Served {
    /// What the response is to tell of the limits.
    answer: Vec<(HeaderName, HeaderValue)>,
    /// What has been taken, and may not be what it costs.
    open: Vec<(Afterwards, Receipt)>,
}

impl Request {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Request {
            plugin,
            served: Served::default(),
            readings: Vec::new(),
        }
    }

    /// Reads a chunk. It goes on whatever is in it: what cannot be read is counted when the body is over.
    fn read(&mut self, size: usize) {
        let mut start = 0_usize;
        while start < size && self.readings.iter().any(|(reading, _)| reading.goes_on()) {
            let piece = match body::read(Buffer::Response, start, PIECE) {
                Ok(piece) if !piece.is_empty() => piece,
                other => {
                    log::warn!("response body error={:?}", other.err());
                    // What follows would be read with a gap in it.
                    return self.end();
                }
            };
            start = start.saturating_add(piece.len());
            for (reading, _) in &mut self.readings {
                reading.chunk(&piece);
            }
        }
    }

    /// Settles what the body was to tell.
    fn end(&mut self) {
        if !self.readings.is_empty() {
            self.plugin.conclude(std::mem::take(&mut self.readings));
        }
    }
}

/// The host deletes the context of a stream once it is over. One that broke off has not been settled by then.
impl Drop for Request {
    fn drop(&mut self) {
        self.end();
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        match self.plugin.serve(!end_of_stream) {
            Some(served) => {
                self.served = served;
                Action::Continue
            }
            None => Action::Pause,
        }
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        match self.plugin.clean_trailers() {
            Some(()) => Action::Continue,
            None => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        // Empty for a reply of our own, which has its headers already.
        let Served { answer, open } = std::mem::take(&mut self.served);
        if !open.is_empty() {
            let response = headers::read(Map::Response).ok();
            self.readings = self.plugin.settle(open, response.as_ref(), !end_of_stream);
        }
        self.plugin.tell(&answer);
        Action::Continue
    }

    fn on_http_response_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        if !self.readings.is_empty() {
            self.read(body_size);
            if end_of_stream {
                self.end();
            }
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _num_trailers: usize) -> Action {
        self.end();
        Action::Continue
    }
}

impl Plugin {
    /// What the response needs; `None` if the request was answered here.
    fn serve(&self, has_body: bool) -> Option<Served> {
        let head = match request_head() {
            Ok(head) => head,
            Err(error) => return self.fail(&RequestHead::new(HeaderMap::default()), error),
        };
        match self.judge(&head, has_body) {
            Ok(served) => served,
            Err(error) => self.fail(&head, error),
        }
    }

    fn judge(&self, head: &RequestHead, has_body: bool) -> Result<Option<Served>, HostError> {
        let facts = self.facts(has_body)?;
        let decision = self.policy.decide(head, &facts, self.instance()?);
        for counter in &decision.counters {
            self.counters.count(*counter);
        }
        let draws = match decision.step {
            Step::Forward => {
                self.mark(head, &Standings::default())?;
                return Ok(Some(Served::default()));
            }
            Step::Reply(problem, reason) => return Ok(self.answer(head, &problem, reason)),
            Step::Draw(draws) => draws,
        };
        Ok(match self.take_all(&draws)? {
            Outcome::Admitted(standings, open) => {
                self.counters.count(Counter::Admitted);
                self.mark(head, &standings)?;
                let answer = self.policy.headers(&standings, self.epoch());
                Some(Served { answer, open })
            }
            Outcome::Refused(refusal, reason) => self.refused(head, &refusal, reason),
        })
    }

    #[inline(never)]
    fn answer<T>(&self, head: &RequestHead, problem: &Problem, reason: Reason) -> Option<T> {
        self.count(reason);
        proxy_host::refuse(head, problem, Place::BeforeBridges);
        None
    }

    #[inline(never)]
    fn refused<T>(&self, head: &RequestHead, refusal: &Refusal, reason: Reason) -> Option<T> {
        self.count(reason);
        // For the access log alone: the refusal stands without it.
        if let Err(error) = property::set(STATE_VIOLATED, refusal.violated().join(",").as_bytes()) {
            log::debug!("filter state error={error}");
        }
        reply(head, refusal);
        None
    }

    /// Tells the upstream of soft limits that the request is beyond. Where that fails it does not go on: a client's own word of it
    /// might reach the upstream.
    fn mark(&self, head: &RequestHead, standings: &Standings<'_>) -> Result<(), HostError> {
        if !self.marks {
            return Ok(());
        }
        let edits = self.policy.mark(head, standings);
        headers::apply(Map::Request, &edits.writes(head.headers()))
    }

    /// Takes the mark out of trailers. Where that fails they do not go on, and so the request never ends; `None` then.
    fn clean_trailers(&self) -> Option<()> {
        if !self.marks {
            return Some(());
        }
        let cleaned = headers::read(Map::RequestTrailers).and_then(|trailers| {
            let edits = self.policy.without_marks(&trailers);
            headers::apply(Map::RequestTrailers, &edits.writes(&trailers))
        });
        match cleaned {
            Ok(()) => Some(()),
            Err(error) => self.fail(&RequestHead::new(HeaderMap::default()), error),
        }
    }

    /// The time since 1970, where an instant is told so.
    pub(crate) fn epoch(&self) -> Duration {
        match self.policy.tells_epoch() {
            true => clock::realtime(),
            false => Duration::ZERO,
        }
    }

    fn facts(&self, has_body: bool) -> Result<Facts, HostError> {
        match self.needs == Needs::default() {
            true => Ok(Facts {
                has_body,
                ..Facts::default()
            }),
            false => self.ask(has_body),
        }
    }

    /// Asks the host for what is needed.
    #[inline(never)]
    fn ask(&self, has_body: bool) -> Result<Facts, HostError> {
        let ask = |needed: bool, path: &[&str]| match needed {
            true => property::get(path),
            false => Ok(None),
        };
        let attributes = self.needs.attributes.iter();
        Ok(Facts {
            identity: ask(self.needs.identity, &["filter_state", IDENTITY])?,
            address: ask(self.needs.address, &["source", "address"])?,
            route: ask(self.needs.route, &["xds", "route_name"])?,
            attributes: attributes
                .map(|attribute| property::get(&attribute.path()))
                .collect::<Result<_, _>>()?,
            has_body,
        })
    }

    /// Writes what the limits say on the response. The response is not ours: a host that refuses is logged, not obeyed.
    fn tell(&self, answer: &[(HeaderName, HeaderValue)]) {
        // The newer headers are lists, to which another limiter behind this one may have written too; the older ones take
        // one value, and the one that is there is nearer to the upstream.
        let is_older = |name: &HeaderName| name.as_str().starts_with(X_RATE_LIMIT);
        let told = answer.iter().any(|(name, _)| is_older(name))
            && headers::has(Map::Response, X_RATE_LIMIT_LIMIT).unwrap_or(false);
        for (name, value) in answer {
            let written = match is_older(name) {
                true if told => continue,
                true => headers::replace(Map::Response, name.as_bytes(), value.as_bytes()),
                false => headers::add(Map::Response, name.as_bytes(), value.as_bytes()),
            };
            if let Err(error) = written {
                log::warn!("response header error={error}");
                return;
            }
        }
    }

    /// A request that could not be counted does not go on.
    #[cold]
    #[inline(never)]
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

fn reply(head: &RequestHead, refusal: &Refusal) {
    if let Err(error) = send_local_reply(&refusal.render(head, Place::BeforeBridges)) {
        log::error!("decision=fail reply error={error}");
    }
}
