//! What the adapter does with the response.

use std::time::Duration;

use http_message::HeaderMap;
use proxy_host::body::Buffer;
use proxy_host::headers::{self, Map};
use proxy_host::{HostError, clock, property};
use proxy_wasm::types::Action;
use transform_policy::{Capturing, Counter, Ended, Plan, Respond, Wait};

use crate::exchange::Exchange;
use crate::passage::{Hold, Stop};
use crate::waiting::Waiter;

impl Exchange {
    pub(crate) fn respond(&mut self, end_of_stream: bool) -> Result<Action, Stop> {
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
        let needs_time = self.plan.as_ref().is_some_and(Plan::needs_time)
            || self.trial.as_ref().is_some_and(|trial| trial.needs_time());
        let now = time_for(needs_time);
        if on_trial {
            self.try_head(&head, now, end_of_stream)?;
        }
        let (Some(plan), Some(request)) = (self.plan.as_ref().filter(|_| planned), &self.head)
        else {
            return Ok(Action::Continue);
        };
        let policy = &self.plugin.policy;
        let respond = policy.response(plan, request, &head, now, end_of_stream, None);
        self.answer(respond, &head)
    }

    #[inline(never)]
    fn try_head(
        &mut self,
        head: &HeaderMap,
        now: Duration,
        end_of_stream: bool,
    ) -> Result<(), HostError> {
        let request = self.head.as_ref().ok_or(HostError::Internal)?;
        let policy = &self.plugin.policy;
        let trial = self.trial.as_mut();
        let tried =
            trial.and_then(|trial| trial.response(policy, request, head, now, end_of_stream));
        self.count_trial(tried);
        Ok(())
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
                if let Some(counter) = counter {
                    self.count(counter);
                }
                match wait {
                    Some(wait) if self.response.hold == Hold::No => {
                        self.response.hold = Hold::FirstChunk;
                        self.hold(Box::new(Waiter::FirstChunk), wait)
                    }
                    _ => Ok(Action::Continue),
                }
            }
            Respond::Await(capturing) => self.hold_response(capturing),
            Respond::Reply(_, reason) => Err(reason.into()),
        }
    }

    #[inline(never)]
    fn hold_response(&mut self, capturing: Box<Capturing>) -> Result<Action, Stop> {
        let deadline = capturing.deadline();
        self.response.capturing = Some(capturing);
        self.response.hold = Hold::Members { read: 0 };
        let head = self.head.take().ok_or(HostError::Internal)?;
        self.hold(Box::new(Waiter::Response { head }), deadline)
    }

    /// More of the body has come, or its end, while the head waits for members.
    #[inline(never)]
    pub(crate) fn response_waits(
        &mut self,
        read: usize,
        size: usize,
        ended: bool,
    ) -> Result<Action, Stop> {
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

    #[inline(never)]
    fn release_response(&mut self, size: usize, is_empty: bool) -> Result<(), Stop> {
        let waiter = self.plugin.waiting.remove(self.context_id).map(|one| *one);
        let Some(Waiter::Response { head }) = waiter else {
            return Err(HostError::Internal.into());
        };
        self.head = Some(head);
        let (Some(plan), Some(capturing), Some(request)) =
            (&self.plan, &self.response.capturing, &self.head)
        else {
            return Err(HostError::Internal.into());
        };
        let head = headers::read(Map::Response)?;
        let captured = capturing.captured();
        self.tell(&captured)?;
        let policy = &self.plugin.policy;
        let now = time_for(plan.needs_time());
        let respond = policy.response(plan, request, &head, now, is_empty, Some(&captured));
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
    pub(crate) fn response_chunk(&mut self, size: usize, ended: bool) -> Result<Action, Stop> {
        if self.response.is_read() || self.trial.is_some() {
            self.read_response(size)?;
        }
        self.response_ended(ended)?;
        self.first_chunk_has_gone();
        Ok(Action::Continue)
    }

    #[inline(never)]
    fn read_response(&mut self, size: usize) -> Result<(), Stop> {
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
        Ok(())
    }

    #[inline(never)]
    pub(crate) fn end_response_by_trailers(&mut self) -> Result<Action, Stop> {
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

    /// What became of the body, if it is over and was looked at.
    fn response_ended(&mut self, ended: bool) -> Result<Option<Ended>, Stop> {
        match ended && self.reads() {
            true => self.end_response(),
            false => Ok(None),
        }
    }

    #[inline(never)]
    fn end_response(&mut self) -> Result<Option<Ended>, Stop> {
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

    #[inline(never)]
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

    fn try_response(&mut self, chunk: &[u8]) {
        let tried = self
            .trial
            .as_mut()
            .and_then(|trial| trial.response_chunk(chunk));
        self.count_trial(tried);
    }
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
