//! One request and its response: read what the host gives, ask the policy, do as it says.

use std::rc::Rc;
use std::time::Duration;

use http_message::{HeaderMap, Place, RequestHead};
use json_stream::Broken;
use proxy_host::body::{self, Buffer};
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, property, request_head};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use transform_policy::{Body, Chunk, Counter, Ended, Forward, Plan, Reason, Respond, Step};

use crate::known::Known;
use crate::plugin::Plugin;

/// The context of one stream.
pub(crate) struct Exchange {
    plugin: Rc<Plugin>,
    /// The request as it came, for the form of a reply.
    head: RequestHead,
    plan: Option<Plan>,
    request_body: Option<Body>,
    response_body: Option<Body>,
    /// This filter has answered: what comes now is its own reply, or is not to go on.
    replied: bool,
}

/// Why a message stops.
enum Stop {
    Policy(Reason),
    Host(HostError),
}

impl From<HostError> for Stop {
    fn from(error: HostError) -> Stop {
        Stop::Host(error)
    }
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Stop {
        Stop::Policy(reason)
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        let served = self.serve(end_of_stream);
        self.settle(served)
    }

    fn on_http_request_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        if self.replied {
            return Action::Pause;
        }
        let done = match &mut self.request_body {
            Some(body) => stream(Buffer::Request, body, body_size),
            None => return Action::Continue,
        };
        let done = done.and_then(|()| self.request_ended(end_of_stream));
        let done = done.map(drop);
        self.settle(done)
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        if self.replied {
            return Action::Pause;
        }
        let done = self
            .request_ended(true)
            .and_then(|body| self.clean_request_trailers(body));
        self.settle(done)
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        // Our own reply comes by here as well.
        if self.replied {
            return Action::Continue;
        }
        let done = self.respond(end_of_stream);
        self.settle(done)
    }

    fn on_http_response_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        let done = match &mut self.response_body {
            Some(body) => stream(Buffer::Response, body, body_size),
            None => return Action::Continue,
        };
        let done = done.and_then(|()| self.response_ended(end_of_stream));
        let done = done.map(drop);
        self.settle(done)
    }

    fn on_http_response_trailers(&mut self, _num_trailers: usize) -> Action {
        let done = self
            .response_ended(true)
            .and_then(|body| self.clean_response_trailers(body));
        self.settle(done)
    }
}

impl Exchange {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Exchange {
            plugin,
            head: RequestHead::new(HeaderMap::default()),
            plan: None,
            request_body: None,
            response_body: None,
            replied: false,
        }
    }

    fn serve(&mut self, end_of_stream: bool) -> Result<(), Stop> {
        let plugin = Rc::clone(&self.plugin);
        self.head = request_head()?;
        let mut known = Known::default();
        if plugin.policy.needs_route() {
            known.add_route()?;
        }
        if plugin.policy.needs_identity() {
            known.add_identity()?;
        }
        let decide = |known: &Known| {
            plugin.policy.request(
                &self.head,
                known.route.as_deref(),
                known.identity.as_deref(),
                known.facts.as_ref(),
                end_of_stream,
            )
        };
        let mut step = decide(&known);
        if let Step::Need(needs) = &step {
            known.add(needs)?;
            step = decide(&known);
        }
        match step {
            Step::Forward(forward) => self.forward(forward),
            Step::Reply(_, reason) => Err(reason.into()),
            Step::Need(_) => Err(Reason::Internal.into()),
        }
    }

    fn forward(&mut self, forward: Forward) -> Result<(), Stop> {
        headers::apply(Map::Request, &forward.edits.writes(self.head.headers()))?;
        self.request_body = forward.body;
        self.plan = forward.plan;
        for counter in forward.counters {
            self.count(counter);
        }
        Ok(())
    }

    /// What became of the body, if it is over and was looked at.
    fn request_ended(&mut self, ended: bool) -> Result<Option<Ended>, Stop> {
        let (rewritten, passed) = (Counter::RequestBodyRewritten, Counter::RequestBodyPassed);
        match self.request_body.take_if(|_| ended) {
            Some(body) => self.end(body, Reason::BrokenRequest, rewritten, passed),
            None => Ok(None),
        }
    }

    /// What became of the body, if it is over and was looked at.
    fn response_ended(&mut self, ended: bool) -> Result<Option<Ended>, Stop> {
        let (rewritten, passed) = (Counter::ResponseBodyRewritten, Counter::ResponseBodyPassed);
        match self.response_body.take_if(|_| ended) {
            Some(body) => self.end(body, Reason::BrokenResponse, rewritten, passed),
            None => Ok(None),
        }
    }

    /// A document that has not closed by now is cut: what is there of it must not pass for the whole.
    fn end(
        &self,
        body: Body,
        broken: Reason,
        rewritten: Counter,
        passed: Counter,
    ) -> Result<Option<Ended>, Stop> {
        let ended = body.end().map_err(|_| broken)?;
        match ended {
            Ended::Empty => {}
            Ended::Rewritten => self.count(rewritten),
            Ended::Passed => self.count(passed),
        }
        Ok(Some(ended))
    }

    fn clean_request_trailers(&self, body: Option<Ended>) -> Result<(), Stop> {
        let trailers = headers::read(Map::RequestTrailers)?;
        let edits = self
            .plugin
            .policy
            .request_trailers(&trailers, self.plan.as_ref(), body);
        headers::apply(Map::RequestTrailers, &edits.writes(&trailers))?;
        Ok(())
    }

    fn clean_response_trailers(&self, body: Option<Ended>) -> Result<(), Stop> {
        let plan = self.plan.as_ref();
        let Some(plan) = plan.filter(|plan| plan.touches_response_trailers(body)) else {
            return Ok(());
        };
        let trailers = headers::read(Map::ResponseTrailers)?;
        let edits = plan.response_trailers(&trailers, body);
        headers::apply(Map::ResponseTrailers, &edits.writes(&trailers))?;
        Ok(())
    }

    fn respond(&mut self, end_of_stream: bool) -> Result<(), Stop> {
        let Some(plan) = &self.plan else {
            return Ok(());
        };
        if !plan.touches_response() {
            return Ok(());
        }
        if is_local_reply(property::get(&["response", "code_details"])?.as_deref()) {
            self.plan = None;
            return Ok(());
        }
        let head = headers::read(Map::Response)?;
        let now = match plan.needs_time() {
            true => clock::realtime(),
            false => Duration::ZERO,
        };
        let policy = &self.plugin.policy;
        match policy.response(plan, &self.head, &head, now, end_of_stream) {
            Respond::Forward {
                edits,
                body,
                counter,
            } => {
                headers::apply(Map::Response, &edits.writes(&head))?;
                self.response_body = body;
                counter.into_iter().for_each(|counter| self.count(counter));
                Ok(())
            }
            Respond::Reply(_, reason) => Err(reason.into()),
        }
    }

    /// On with the message, or an end to it. After response headers have left, the host makes of the reply a stream that
    /// visibly breaks off; Pause keeps it from ending as if it were whole.
    fn settle(&mut self, done: Result<(), Stop>) -> Action {
        let reason = match done {
            Ok(()) => return Action::Continue,
            Err(Stop::Policy(reason)) => {
                log::debug!("decision=reply reason={}", reason.code_details());
                reason
            }
            Err(Stop::Host(error)) => {
                log::warn!("decision=fail error={error}");
                Reason::Internal
            }
        };
        self.count(reason.counter());
        self.replied = true;
        self.request_body = None;
        self.response_body = None;
        proxy_host::refuse(&self.head, &reason.problem(), Place::BeforeBridges);
        Action::Pause
    }

    fn count(&self, counter: Counter) {
        self.plugin.counters.count(counter);
    }
}

/// Puts the chunk through the body's operations.
fn stream(buffer: Buffer, body: &mut Body, size: usize) -> Result<(), Stop> {
    if size == 0 {
        return Ok(());
    }
    let chunk = body::read(buffer, 0, size)?;
    // A chunk that is not all there would leave a gap in the document.
    if chunk.len() != size {
        return Err(HostError::Malformed.into());
    }
    match body.chunk(&chunk) {
        Ok(Chunk::Same) => Ok(()),
        Ok(Chunk::Replaced(bytes)) => Ok(body::replace(buffer, &bytes)?),
        Err(broken) => Err(broken_in(buffer, broken).into()),
    }
}

fn broken_in(buffer: Buffer, broken: Broken) -> Reason {
    log::debug!("body={buffer:?} broken={broken}");
    match buffer {
        Buffer::Request => Reason::BrokenRequest,
        Buffer::Response | Buffer::Callout => Reason::BrokenResponse,
    }
}

/// Whether the response was made by Envoy or by a filter. What a cache answers came from the upstream once. Where the host
/// does not say, it is taken for the upstream's.
fn is_local_reply(code_details: Option<&[u8]>) -> bool {
    code_details.is_some_and(|details| {
        !details.is_empty() && details != b"via_upstream" && !details.starts_with(b"cache")
    })
}
