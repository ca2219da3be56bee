//! One request and its response: what is kept of them, what the host calls, and how either ends.

use std::rc::Rc;
use std::time::Duration;

use http_message::{HeaderMap, Place, ProblemType, RequestHead};
use proxy_host::body::Buffer;
use proxy_host::{HostError, property};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use transform_policy::{Body, Captured, Capturing, Counter, Ended, Plan, Reason, Trial};

use crate::passage::{Hold, Passage, Stop};
use crate::plugin::{MAX_HELD_BYTES, Plugin};
use crate::waiting::Waiter;

/// The context of one stream.
pub(crate) struct Exchange {
    pub(crate) plugin: Rc<Plugin>,
    pub(crate) context_id: u32,
    /// The request as it came, once it has. What waits has it meanwhile.
    pub(crate) head: Option<RequestHead>,
    pub(crate) plan: Option<Plan>,
    /// What a rule that is not in force would do.
    pub(crate) trial: Option<Box<Trial>>,
    pub(crate) request: Passage,
    pub(crate) response: Passage,
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
        if self.held_bytes > 0 {
            self.plugin.held.change(self.held_bytes, 0);
        }
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
            head: None,
            plan: None,
            trial: None,
            request: Passage::new(Buffer::Request),
            response: Passage::new(Buffer::Response),
            held_bytes: 0,
            replied: false,
            answering: false,
        }
    }

    /// Tells what a body has said to those who read filter state; whether there was anything.
    pub(crate) fn tell(&self, captured: &Captured) -> Result<bool, HostError> {
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

    /// Has a message wait.
    #[inline(never)]
    pub(crate) fn hold(&mut self, waiter: Box<Waiter>, deadline: Duration) -> Result<Action, Stop> {
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
                self.head = Some(head);
                Err(Reason::Crowded.into())
            }
            // It can do without.
            Waiter::FirstChunk => Ok(Action::Continue),
        }
    }

    /// A document that has not closed by now is cut: what is there of it must not pass for the whole.
    pub(crate) fn end(
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

    pub(crate) fn count_trial(&self, tried: Option<Counter>) {
        tried.into_iter().for_each(|counter| self.count(counter));
    }

    /// Whether anything looks at either body, or is held.
    pub(crate) fn reads(&self) -> bool {
        let reads = self.request.is_read() || self.response.is_read();
        reads || self.trial.is_some() || self.held_bytes > 0
    }

    /// Tells the host what is held of both bodies.
    pub(crate) fn measure(&mut self) {
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
    pub(crate) fn bound(&mut self) -> Result<(), Reason> {
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
    pub(crate) fn is_late(&mut self) -> bool {
        self.replied = !self.plugin.waiting.has(self.context_id);
        self.replied
    }

    /// On with the message, or an end to it.
    fn settle(&mut self, done: Result<Action, Stop>) -> Action {
        match done {
            Ok(action) => action,
            Err(stop) => self.stop(stop),
        }
    }

    /// Answers in place of the message. After response headers have left, the host makes of the reply a stream that
    /// visibly breaks off; Pause keeps it from ending as if it were whole.
    #[cold]
    fn stop(&mut self, stop: Stop) -> Action {
        let mut kind = ProblemType::default();
        let reason = match stop {
            Stop::Policy(reason) => reason,
            Stop::Body(buffer, fault) => {
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
            Stop::Host(error) => {
                log::warn!("decision=fail error={error}");
                Reason::Internal
            }
        };
        log::debug!("decision=reply reason={}", reason.code_details());
        let waiter = self.plugin.waiting.remove(self.context_id).map(|one| *one);
        if let Some(Waiter::Request { head, .. } | Waiter::Response { head }) = waiter {
            self.head = Some(head);
        }
        self.count(reason.counter());
        self.replied = true;
        self.request = Passage::new(Buffer::Request);
        self.response = Passage::new(Buffer::Response);
        self.trial = None;
        self.measure();
        let unread = RequestHead::new(HeaderMap::default());
        let head = self.head.as_ref().unwrap_or(&unread);
        proxy_host::refuse_as(&kind, head, &reason.problem(), Place::BeforeBridges);
        Action::Pause
    }

    pub(crate) fn count(&self, counter: Counter) {
        self.plugin.counters.count(counter);
    }
}
