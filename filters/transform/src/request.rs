//! One request and its response: read what the host gives, ask the policy, do as it says.

use std::rc::Rc;
use std::time::Duration;

use http_message::{HeaderMap, Place, ProblemType, RequestHead};
use proxy_host::body::Buffer;
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, foreign, property, request_head};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use transform_policy::{
    Body, Captured, Capturing, Counter, Ended, Facts, Forward, Plan, Reason, Respond, Step, Trial,
    Wait,
};

use crate::facts;
use crate::passage::{Hold, Passage, Stop};
use crate::plugin::{MAX_HELD_BYTES, Plugin};
use crate::waiting::Waiter;

/// The context of one stream.
pub(crate) struct Exchange {
    plugin: Rc<Plugin>,
    context_id: u32,
    /// The request as it came, for the form of a reply. What waits has it meanwhile.
    head: RequestHead,
    plan: Option<Plan>,
    /// What a rule that is not in force would do.
    trial: Option<Box<Trial>>,
    request: Passage,
    response: Passage,
    /// What the host was told that is held.
    held_bytes: usize,
    /// This filter has answered: what comes now is its own reply, or is not to go on.
    replied: bool,
    /// The head of the upstream's answer has come by: a reply after it can only cut the answer off.
    answering: bool,
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
        let done = match self.request.hold {
            Hold::Members { read } => self.request_waits(read, body_size, end_of_stream),
            Hold::No | Hold::FirstChunk => self.request_chunk(body_size, end_of_stream),
        };
        self.settle(done)
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        if self.replied {
            return Action::Pause;
        }
        let done = self.end_request_by_trailers();
        self.settle(done)
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        // Our own reply comes by here as well.
        if self.replied {
            return Action::Continue;
        }
        let done = self.respond(end_of_stream);
        let action = self.settle(done);
        self.answering = action == Action::Continue;
        action
    }

    fn on_http_response_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        // What is left of an answer that is cut off: nothing looks at it any more, so none of it goes on.
        if self.is_cut_off() {
            return Action::Pause;
        }
        let done = match self.response.hold {
            Hold::Members { read } => self.response_waits(read, body_size, end_of_stream),
            Hold::FirstChunk if body_size == 0 && !end_of_stream => Ok(Action::Pause),
            Hold::No | Hold::FirstChunk => self.response_chunk(body_size, end_of_stream),
        };
        let action = self.settle(done);
        self.answering |= action == Action::Continue && !self.replied;
        action
    }

    fn on_http_response_trailers(&mut self, _num_trailers: usize) -> Action {
        if self.is_cut_off() {
            return Action::Pause;
        }
        let done = self.end_response_by_trailers();
        self.settle(done)
    }
}

/// The stream is gone: it waits for nothing any more, and holds nothing.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.plugin.held.change(self.held_bytes, 0);
        if self.request.hold != Hold::No || self.response.hold != Hold::No {
            self.plugin.waiting.remove(self.context_id);
        }
    }
}

impl Exchange {
    pub(crate) fn new(plugin: Rc<Plugin>, context_id: u32) -> Self {
        Exchange {
            plugin,
            context_id,
            head: unread_head(),
            plan: None,
            trial: None,
            request: Passage::new(Buffer::Request),
            response: Passage::new(Buffer::Response),
            held_bytes: 0,
            replied: false,
            answering: false,
        }
    }

    fn serve(&mut self, end_of_stream: bool) -> Result<Action, Stop> {
        self.head = request_head()?;
        let mut facts = facts::read(&self.plugin.policy, &self.head)?;
        let mut step = self.decide(&facts, end_of_stream, None);
        if let Step::Need(needs) = &step {
            facts::complete(&mut facts, needs)?;
            step = self.decide(&facts, end_of_stream, None);
        }
        match step {
            Step::Forward(forward) => self.forward(forward, None),
            Step::Await(capturing) => self.hold_request(capturing, facts),
            Step::Reply(_, reason) => Err(reason.into()),
            // Everything has been asked for.
            Step::Need(_) => Err(HostError::Internal.into()),
        }
    }

    fn decide(&self, facts: &Facts, end_of_stream: bool, captured: Option<&Captured>) -> Step {
        let policy = &self.plugin.policy;
        policy.request(&self.head, facts, end_of_stream, captured)
    }

    fn forward(&mut self, forward: Forward, captured: Option<&Captured>) -> Result<Action, Stop> {
        let writes = forward.edits.writes(self.head.headers());
        let has_told = match captured {
            Some(captured) => self.tell(captured)?,
            None => false,
        };
        headers::apply(Map::Request, &writes)?;
        // An edit of a header makes the host choose the route anew; filter state does not, and a route may match it.
        if has_told && writes.is_empty() {
            foreign::clear_route_cache()?;
        }
        self.request.body = forward.body;
        self.plan = forward.plan;
        self.trial = forward.trial;
        for counter in forward.counters {
            self.count(counter);
        }
        Ok(Action::Continue)
    }

    /// Tells what a body has said to those who read filter state; whether there was anything.
    fn tell(&self, captured: &Captured) -> Result<bool, HostError> {
        let mut has_told = false;
        for (name, value) in captured.filter_state() {
            property::set(name, value)?;
            has_told = true;
        }
        self.count(Counter::Captured);
        let unfit = u64::try_from(captured.unfit()).unwrap_or(u64::MAX);
        self.plugin.counters.add(Counter::CaptureUnfit, unfit);
        Ok(has_told)
    }

    /// Holds the head back until its body has told what it is decided by.
    fn hold_request(&mut self, capturing: Box<Capturing>, facts: Facts) -> Result<Action, Stop> {
        let deadline = capturing.deadline();
        self.request.capturing = Some(capturing);
        self.request.hold = Hold::Members { read: 0 };
        let head = std::mem::replace(&mut self.head, unread_head());
        let waiter = Box::new(Waiter::Request { head, facts });
        let added = self.plugin.waiting.add(self.context_id, deadline, waiter);
        self.held_back(added)
    }

    fn hold_response(&mut self, capturing: Box<Capturing>) -> Result<Action, Stop> {
        let deadline = capturing.deadline();
        self.response.capturing = Some(capturing);
        self.response.hold = Hold::Members { read: 0 };
        let head = std::mem::replace(&mut self.head, unread_head());
        let waiter = Box::new(Waiter::Response { head });
        let added = self.plugin.waiting.add(self.context_id, deadline, waiter);
        self.held_back(added)
    }

    fn held_back(&mut self, added: Result<(), Box<Waiter>>) -> Result<Action, Stop> {
        let Err(waiter) = added else {
            self.count(Counter::HeadWaited);
            return Ok(Action::Pause);
        };
        match *waiter {
            Waiter::Request { head, .. } | Waiter::Response { head } => {
                self.head = head;
                Err(Reason::Crowded.into())
            }
            // It can do without.
            Waiter::FirstChunk => Ok(Action::Continue),
        }
    }

    /// More of the body has come, or its end, while the head waits.
    fn request_waits(&mut self, read: usize, size: usize, ended: bool) -> Result<Action, Stop> {
        if self.is_late() {
            return Ok(Action::Pause);
        }
        let chunk = self.request.read(read, size)?;
        self.request.hold = Hold::Members { read: size };
        match self.request.wait(&chunk, ended)? {
            Wait::Over => {}
            Wait::More => {
                self.bound()?;
                return Ok(Action::Pause);
            }
            Wait::TooFar => return Err(Reason::MembersTooFar.into()),
        }
        self.release_request(size, size == 0 && ended)?;
        self.request_ended(ended)?;
        Ok(Action::Continue)
    }

    /// Lets the head go on, and puts what the host has gathered of the body through all that is done to it.
    fn release_request(&mut self, size: usize, is_empty: bool) -> Result<(), Stop> {
        let waiter = self.plugin.waiting.remove(self.context_id).map(|one| *one);
        let Some(Waiter::Request { head, facts }) = waiter else {
            return Err(HostError::Internal.into());
        };
        self.head = head;
        self.request.hold = Hold::No;
        let captured = self.request.capturing.as_ref().map(|one| one.captured());
        match self.decide(&facts, is_empty, captured.as_ref()) {
            Step::Forward(forward) => self.forward(forward, captured.as_ref())?,
            Step::Reply(_, reason) => return Err(reason.into()),
            // What has been captured is there, and what has been asked for.
            Step::Await(_) | Step::Need(_) => return Err(HostError::Internal.into()),
        };
        if self.request.body.is_some() || self.trial.is_some() {
            let gathered = self.request.read(0, size)?;
            self.try_request(&gathered);
            self.request.rewrite(&gathered)?;
        }
        Ok(())
    }

    /// A chunk that goes on at once.
    fn request_chunk(&mut self, size: usize, ended: bool) -> Result<Action, Stop> {
        let on_trial = self
            .trial
            .as_ref()
            .is_some_and(|trial| trial.reads_request());
        if self.request.is_read() || on_trial {
            let chunk = self.request.read(0, size)?;
            self.try_request(&chunk);
            self.request.capture(&chunk)?;
            self.request.rewrite(&chunk)?;
            self.bound()?;
        }
        self.request_ended(ended)?;
        Ok(Action::Continue)
    }

    fn end_request_by_trailers(&mut self) -> Result<Action, Stop> {
        if let Hold::Members { read } = self.request.hold {
            if self.is_late() {
                return Ok(Action::Pause);
            }
            self.request.end_capturing()?;
            self.release_request(read, read == 0)?;
        }
        let ended = self.request_ended(true)?;
        self.clean_request_trailers(ended)?;
        Ok(Action::Continue)
    }

    /// What became of the body, if it is over and was looked at.
    fn request_ended(&mut self, ended: bool) -> Result<Option<Ended>, Stop> {
        if !ended {
            return Ok(None);
        }
        let tried = self.trial.as_mut().and_then(|trial| trial.request_ended());
        self.count_trial(tried);
        self.request.end_capturing()?;
        let capturing = self.request.capturing.take();
        let body = self.request.body.take();
        self.measure();
        let (rewritten, passed) = (Counter::RequestBodyRewritten, Counter::RequestBodyPassed);
        self.end(Buffer::Request, capturing, body, rewritten, passed)
    }

    /// What became of the body, if it is over and was looked at.
    fn response_ended(&mut self, ended: bool) -> Result<Option<Ended>, Stop> {
        if !ended {
            return Ok(None);
        }
        let tried = self.trial.as_mut().and_then(|trial| trial.response_ended());
        self.count_trial(tried);
        self.response.end_capturing()?;
        self.tell_of_response(true)?;
        let capturing = self.response.capturing.take();
        let body = self.response.body.take();
        self.measure();
        let (rewritten, passed) = (Counter::ResponseBodyRewritten, Counter::ResponseBodyPassed);
        self.end(Buffer::Response, capturing, body, rewritten, passed)
    }

    /// A document that has not closed by now is cut: what is there of it must not pass for the whole.
    fn end(
        &self,
        buffer: Buffer,
        capturing: Option<Box<Capturing>>,
        body: Option<Body>,
        rewritten: Counter,
        passed: Counter,
    ) -> Result<Option<Ended>, Stop> {
        let Some(body) = body else {
            if capturing.is_some_and(|capturing| capturing.has_passed()) {
                self.count(passed);
            }
            return Ok(None);
        };
        let ended = body.end().map_err(|fault| Stop::Body(buffer, fault))?;
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

    fn respond(&mut self, end_of_stream: bool) -> Result<Action, Stop> {
        let planned = self.plan.as_ref().is_some_and(Plan::touches_response);
        let on_trial = self
            .trial
            .as_ref()
            .is_some_and(|trial| trial.touches_response());
        if !planned && !on_trial {
            return Ok(Action::Continue);
        }
        if is_local_reply(property::get(&["response", "code_details"])?.as_deref()) {
            self.plan = None;
            self.trial = None;
            return Ok(Action::Continue);
        }
        let head = headers::read(Map::Response)?;
        let policy = &self.plugin.policy;
        let needs_time = self.plan.as_ref().is_some_and(Plan::needs_time)
            || self.trial.as_ref().is_some_and(|trial| trial.needs_time());
        let now = time_for(needs_time);
        if let Some(trial) = &mut self.trial {
            let tried = trial.response(policy, &self.head, &head, now, end_of_stream);
            self.count_trial(tried);
        }
        match self.plan.as_ref().filter(|_| planned) {
            Some(plan) => {
                let policy = &self.plugin.policy;
                let respond = policy.response(plan, &self.head, &head, now, end_of_stream, None);
                self.answer(respond, &head)
            }
            None => Ok(Action::Continue),
        }
    }

    fn answer(&mut self, respond: Respond, head: &HeaderMap) -> Result<Action, Stop> {
        match respond {
            Respond::Forward {
                edits,
                body,
                capturing,
                wait,
                counter,
            } => {
                headers::apply(Map::Response, &edits.writes(head))?;
                self.response.body = body;
                self.response.capturing = self.response.capturing.take().or(capturing);
                counter.into_iter().for_each(|counter| self.count(counter));
                let Some(wait) = wait.filter(|_| self.response.hold == Hold::No) else {
                    return Ok(Action::Continue);
                };
                self.response.hold = Hold::FirstChunk;
                let (list, id) = (&self.plugin.waiting, self.context_id);
                let added = list.add(id, wait, Box::new(Waiter::FirstChunk));
                self.held_back(added)
            }
            Respond::Await(capturing) => self.hold_response(capturing),
            Respond::Reply(_, reason) => Err(reason.into()),
        }
    }

    /// More of the body has come, or its end, while the head waits for members.
    fn response_waits(&mut self, read: usize, size: usize, ended: bool) -> Result<Action, Stop> {
        if self.is_late() {
            return Ok(Action::Pause);
        }
        let chunk = self.response.read(read, size)?;
        self.response.hold = Hold::Members { read: size };
        match self.response.wait(&chunk, ended)? {
            Wait::Over => {}
            Wait::More => {
                self.bound()?;
                return Ok(Action::Pause);
            }
            // Nothing was decided by them: the answer goes on without.
            Wait::TooFar => self.count(Counter::MembersTooFar),
        }
        self.release_response(size, size == 0 && ended)?;
        self.response_ended(ended)?;
        Ok(Action::Continue)
    }

    fn release_response(&mut self, size: usize, is_empty: bool) -> Result<(), Stop> {
        let waiter = self.plugin.waiting.remove(self.context_id).map(|one| *one);
        let Some(Waiter::Response { head }) = waiter else {
            return Err(HostError::Internal.into());
        };
        self.head = head;
        let (Some(plan), Some(capturing)) = (&self.plan, &self.response.capturing) else {
            return Err(HostError::Internal.into());
        };
        let head = headers::read(Map::Response)?;
        let captured = capturing.captured();
        self.tell(&captured)?;
        let policy = &self.plugin.policy;
        let now = time_for(plan.needs_time());
        let respond = policy.response(plan, &self.head, &head, now, is_empty, Some(&captured));
        self.response.told = true;
        self.answer(respond, &head)?;
        self.response.hold = Hold::No;
        let on_trial = self
            .trial
            .as_ref()
            .is_some_and(|trial| trial.reads_response());
        if self.response.body.is_some() || on_trial {
            let gathered = self.response.read(0, size)?;
            self.try_response(&gathered);
            self.response.rewrite(&gathered)?;
        }
        Ok(())
    }

    /// A chunk that goes on at once.
    fn response_chunk(&mut self, size: usize, ended: bool) -> Result<Action, Stop> {
        let on_trial = self
            .trial
            .as_ref()
            .is_some_and(|trial| trial.reads_response());
        if self.response.is_read() || on_trial {
            let chunk = self.response.read(0, size)?;
            self.try_response(&chunk);
            self.response.capture(&chunk)?;
            self.tell_of_response(false)?;
            self.response.rewrite(&chunk)?;
            self.bound()?;
        }
        self.response_ended(ended)?;
        self.first_chunk_has_gone();
        Ok(Action::Continue)
    }

    fn end_response_by_trailers(&mut self) -> Result<Action, Stop> {
        if let Hold::Members { read } = self.response.hold {
            if self.is_late() {
                return Ok(Action::Pause);
            }
            self.response.end_capturing()?;
            self.release_response(read, read == 0)?;
        }
        let ended = self.response_ended(true)?;
        self.clean_response_trailers(ended)?;
        self.first_chunk_has_gone();
        Ok(Action::Continue)
    }

    fn first_chunk_has_gone(&mut self) {
        if self.response.hold == Hold::FirstChunk {
            self.response.hold = Hold::No;
            self.plugin.waiting.remove(self.context_id);
        }
    }

    /// Tells what the response's body has said, once, as soon as there is no more to learn.
    fn tell_of_response(&mut self, ended: bool) -> Result<(), HostError> {
        if let Some(capturing) = &self.response.capturing
            && !self.response.told
            && (ended || capturing.knows_all())
        {
            self.tell(&capturing.captured())?;
            self.response.told = true;
        }
        Ok(())
    }

    fn try_request(&mut self, chunk: &[u8]) {
        let tried = self
            .trial
            .as_mut()
            .and_then(|trial| trial.request_chunk(chunk));
        self.count_trial(tried);
    }

    fn try_response(&mut self, chunk: &[u8]) {
        let tried = self
            .trial
            .as_mut()
            .and_then(|trial| trial.response_chunk(chunk));
        self.count_trial(tried);
    }

    fn count_trial(&self, tried: Option<Counter>) {
        tried.into_iter().for_each(|counter| self.count(counter));
    }

    /// Tells the host what is held of both bodies.
    fn measure(&mut self) {
        let trial = self.trial.as_ref().map_or(0, |trial| trial.held_bytes());
        let passages = [&self.request, &self.response];
        let held = passages
            .into_iter()
            .map(Passage::held_bytes)
            .fold(trial, usize::saturating_add);
        self.plugin.held.change(self.held_bytes, held);
        self.held_bytes = held;
    }

    /// The same, and ends a message that holds something where all together hold too much. What is on trial is given up first.
    fn bound(&mut self) -> Result<(), Reason> {
        self.measure();
        let is_over = |plugin: &Plugin| plugin.held.part() > MAX_HELD_BYTES;
        if !is_over(&self.plugin) {
            return Ok(());
        }
        self.trial = None;
        self.measure();
        match self.held_bytes > 0 && is_over(&self.plugin) {
            true => Err(Reason::Crowded),
            false => Ok(()),
        }
    }

    /// Whether this filter has answered after the head of the upstream's answer had gone on.
    fn is_cut_off(&self) -> bool {
        self.replied && self.answering
    }

    /// Whether the deadline of the head that waits was first: then it has been answered.
    fn is_late(&mut self) -> bool {
        self.replied = !self.plugin.waiting.has(self.context_id);
        self.replied
    }

    /// On with the message, or an end to it. After response headers have left, the host makes of the reply a stream that
    /// visibly breaks off; Pause keeps it from ending as if it were whole.
    fn settle(&mut self, done: Result<Action, Stop>) -> Action {
        let mut kind = ProblemType::default();
        let reason = match done {
            Ok(action) => return action,
            Err(Stop::Policy(reason)) => reason,
            Err(Stop::Body(buffer, fault)) => {
                log::debug!("body={buffer:?} fault={fault}");
                match buffer {
                    Buffer::Request => {
                        kind = fault.place();
                        Reason::of_request(&fault)
                    }
                    // The names in it are the upstream's.
                    Buffer::Response | Buffer::Callout => Reason::of_response(&fault),
                }
            }
            Err(Stop::Host(error)) => {
                log::warn!("decision=fail error={error}");
                Reason::Internal
            }
        };
        log::debug!("decision=reply reason={}", reason.code_details());
        let waiter = self.plugin.waiting.remove(self.context_id).map(|one| *one);
        if let Some(Waiter::Request { head, .. } | Waiter::Response { head }) = waiter {
            self.head = head;
        }
        self.count(reason.counter());
        self.replied = true;
        self.request = Passage::new(Buffer::Request);
        self.response = Passage::new(Buffer::Response);
        self.trial = None;
        self.measure();
        proxy_host::refuse_as(&kind, &self.head, &reason.problem(), Place::BeforeBridges);
        Action::Pause
    }

    fn count(&self, counter: Counter) {
        self.plugin.counters.count(counter);
    }
}

/// Stands for a head that is not here.
fn unread_head() -> RequestHead {
    RequestHead::new(HeaderMap::default())
}

/// The time since the Unix epoch, where something is made of it.
fn time_for(is_needed: bool) -> Duration {
    match is_needed {
        true => clock::realtime(),
        false => Duration::ZERO,
    }
}

/// Whether the response was made by Envoy or by a filter. What a cache answers came from the upstream once. Where the host
/// does not say, it is taken for the upstream's.
fn is_local_reply(code_details: Option<&[u8]>) -> bool {
    code_details.is_some_and(|details| {
        !details.is_empty() && details != b"via_upstream" && !details.starts_with(b"cache")
    })
}
