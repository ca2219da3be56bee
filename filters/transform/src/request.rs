//! What the adapter does with a request: read what the host gives, ask the policy, do as it says.

use http_message::RequestHead;
use proxy_host::body::Buffer;
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, foreign, request_head};
use proxy_wasm::types::Action;
use transform_policy::{Captured, Capturing, Counter, Ended, Facts, Forward, Reason, Step, Wait};

use crate::exchange::Exchange;
use crate::facts;
use crate::passage::{Hold, Stop};
use crate::waiting::Waiter;

impl Exchange {
    pub(crate) fn serve(&mut self, end_of_stream: bool) -> Result<Action, Stop> {
        let head = request_head();
        let head = self.head.insert(head?);
        let policy = &self.plugin.policy;
        let mut facts = facts::read(policy, head)?;
        let mut step = policy.request(head, &facts, end_of_stream, None);
        if let Step::Need(needs) = &step {
            facts::complete(&mut facts, needs)?;
            step = policy.request(head, &facts, end_of_stream, None);
        }
        match step {
            Step::Forward(forward) => self.forward(forward, None),
            Step::Await(capturing) => self.hold_request(capturing, facts),
            Step::Reply(_, reason) => Err(reason.into()),
            // Everything has been asked for.
            Step::Need(_) => Err(HostError::Internal.into()),
        }
    }

    fn forward(&mut self, forward: Forward, captured: Option<&Captured>) -> Result<Action, Stop> {
        let headers = self.head.as_ref().map(RequestHead::headers);
        let writes = forward.edits.writes(headers.ok_or(HostError::Internal)?);
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
        for counter in forward.counters.iter() {
            self.count(counter);
        }
        Ok(Action::Continue)
    }

    /// Holds the head back until its body has told what it is decided by.
    #[inline(never)]
    fn hold_request(&mut self, capturing: Box<Capturing>, facts: Facts) -> Result<Action, Stop> {
        let deadline = capturing.deadline();
        self.request.capturing = Some(capturing);
        self.request.hold = Hold::Members { read: 0 };
        let head = self.head.take().ok_or(HostError::Internal)?;
        self.hold(Box::new(Waiter::Request { head, facts }), deadline)
    }

    /// More of the body has come, or its end, while the head waits.
    #[inline(never)]
    pub(crate) fn request_waits(
        &mut self,
        read: usize,
        size: usize,
        ended: bool,
    ) -> Result<Action, Stop> {
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
    #[inline(never)]
    fn release_request(&mut self, size: usize, is_empty: bool) -> Result<(), Stop> {
        let waiter = self.plugin.waiting.remove(self.context_id).map(|one| *one);
        let Some(Waiter::Request { head, facts }) = waiter else {
            return Err(HostError::Internal.into());
        };
        self.request.hold = Hold::No;
        let captured = self.request.capturing.as_ref().map(|one| one.captured());
        let head = self.head.insert(head);
        let policy = &self.plugin.policy;
        match policy.request(head, &facts, is_empty, captured.as_ref()) {
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
    pub(crate) fn request_chunk(&mut self, size: usize, ended: bool) -> Result<Action, Stop> {
        if self.request.is_read() || self.trial.is_some() {
            self.read_request(size)?;
        }
        self.request_ended(ended)?;
        Ok(Action::Continue)
    }

    #[inline(never)]
    fn read_request(&mut self, size: usize) -> Result<(), Stop> {
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
        Ok(())
    }

    #[inline(never)]
    pub(crate) fn end_request_by_trailers(&mut self) -> Result<Action, Stop> {
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
        match ended && self.reads() {
            true => self.end_request(),
            false => Ok(None),
        }
    }

    #[inline(never)]
    fn end_request(&mut self) -> Result<Option<Ended>, Stop> {
        let tried = self.trial.as_mut().and_then(|trial| trial.request_ended());
        self.count_trial(tried);
        self.request.end_capturing()?;
        let capturing = self.request.capturing.take();
        let body = self.request.body.take();
        self.measure();
        let (rewritten, passed) = (Counter::RequestBodyRewritten, Counter::RequestBodyPassed);
        self.end(Buffer::Request, capturing, body, rewritten, passed)
    }

    #[inline(never)]
    fn clean_request_trailers(&self, body: Option<Ended>) -> Result<(), Stop> {
        let trailers = headers::read(Map::RequestTrailers)?;
        let edits = self
            .plugin
            .policy
            .request_trailers(&trailers, self.plan.as_ref(), body);
        headers::apply(Map::RequestTrailers, &edits.writes(&trailers))?;
        Ok(())
    }

    fn try_request(&mut self, chunk: &[u8]) {
        let tried = self
            .trial
            .as_mut()
            .and_then(|trial| trial.request_chunk(chunk));
        self.count_trial(tried);
    }
}
