//! A rule in mode `shadow`: what it would have done, and nothing done.

use std::rc::Rc;
use std::time::Duration;

use http_message::{HeaderMap, RequestHead};
use request_match::Subject;

use crate::body::{Body, Chunk, Ended};
use crate::capture::{Captured, Capturing};
use crate::config::{Policy, Transform};
use crate::counters::Counter;
use crate::decision::Forward;
use crate::plan::Plan;
use crate::presets::DRAW_BYTES;
use crate::reason::Reason;
use crate::response::Respond;
use crate::template::Sources;

/// One exchange under a rule on trial. Its bodies go through copies of their own, and nothing of what comes out is used.
#[derive(Debug)]
pub struct Trial {
    plan: Option<Plan>,
    request: Passage,
    response: Passage,
}

/// A body on trial.
#[derive(Debug, Default)]
struct Passage {
    body: Option<Body>,
    capturing: Option<Box<Capturing>>,
}

/// It would have been refused, or cut off.
struct Refused;

impl Trial {
    pub(crate) fn begin(
        transform: &Rc<Transform>,
        subject: &Subject<'_>,
        sources: &Sources<'_>,
        end_of_stream: bool,
    ) -> Result<Trial, Reason> {
        let head = subject.head();
        let mut forward = Forward::default();
        let capturing = match &transform.request_capture {
            Some(rule) if !end_of_stream => rule.begin_request(head, &mut forward)?,
            _ => None,
        };
        // Nothing that is made of it goes anywhere.
        let draw = Some([0; DRAW_BYTES]);
        transform.edit_request(subject, sources, end_of_stream, draw, &mut forward)?;
        Ok(Trial {
            plan: transform
                .touches_response()
                .then(|| Plan::new(transform, sources)),
            request: Passage {
                body: forward.body,
                capturing,
            },
            response: Passage::default(),
        })
    }

    /// Whether the response is looked at at all.
    pub fn touches_response(&self) -> bool {
        self.plan.is_some()
    }

    /// Whether the response would be made of the time at which it comes.
    pub fn needs_time(&self) -> bool {
        self.plan.as_ref().is_some_and(Plan::needs_time)
    }

    /// Whether the request's body is looked at.
    pub fn reads_request(&self) -> bool {
        self.request.reads()
    }

    /// Whether the response's body is looked at.
    pub fn reads_response(&self) -> bool {
        self.response.reads()
    }

    /// The head of the response. In a coding that is not read it is not looked at: in force, the rule would have asked for another.
    pub fn response(
        &mut self,
        policy: &Policy,
        request: &RequestHead,
        headers: &HeaderMap,
        now: Duration,
        end_of_stream: bool,
    ) -> Option<Counter> {
        let plan = self.plan.take()?;
        if !plan.reads_coding_of(headers) {
            return None;
        }
        let decide = |captured: Option<&Captured>| {
            policy.response(&plan, request, headers, now, end_of_stream, captured)
        };
        let mut decided = decide(None);
        if let Respond::Await(capturing) = decided {
            self.response.capturing = Some(capturing);
            decided = decide(Some(&Captured::default()));
        }
        match decided {
            Respond::Forward {
                body, capturing, ..
            } => {
                self.response.body = body;
                self.response.capturing = self.response.capturing.take().or(capturing);
                None
            }
            Respond::Reply(..) | Respond::Await(_) => Some(Counter::ShadowRefused),
        }
    }

    /// The next bytes of the request, as they came.
    pub fn request_chunk(&mut self, chunk: &[u8]) -> Option<Counter> {
        self.request.chunk(chunk)
    }

    /// The next bytes of the response, as they came.
    pub fn response_chunk(&mut self, chunk: &[u8]) -> Option<Counter> {
        self.response.chunk(chunk)
    }

    /// The request is over.
    pub fn request_ended(&mut self) -> Option<Counter> {
        self.request.end()
    }

    /// The response is over.
    pub fn response_ended(&mut self) -> Option<Counter> {
        self.response.end()
    }

    /// The bytes that it holds.
    pub fn held_bytes(&self) -> usize {
        self.request
            .held_bytes()
            .saturating_add(self.response.held_bytes())
    }
}

impl Passage {
    fn reads(&self) -> bool {
        self.body.is_some() || self.capturing.is_some()
    }

    fn chunk(&mut self, chunk: &[u8]) -> Option<Counter> {
        self.try_chunk(chunk).err().map(|Refused| {
            // It is counted once.
            *self = Passage::default();
            Counter::ShadowRefused
        })
    }

    fn try_chunk(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        if let Some(capturing) = &mut self.capturing {
            capturing.chunk(chunk).map_err(|_| Refused)?;
        }
        if let Some(body) = &mut self.body {
            let mut rest = chunk;
            while let Chunk::Part(_) = body.chunk(&mut rest).map_err(|_| Refused)? {}
        }
        Ok(())
    }

    fn end(&mut self) -> Option<Counter> {
        let Passage { body, capturing } = std::mem::take(self);
        if capturing.is_some_and(|mut capturing| capturing.end().is_err()) {
            return Some(Counter::ShadowRefused);
        }
        match body?.end() {
            Ok(Ended::Rewritten) => Some(Counter::ShadowRewritten),
            Ok(Ended::Empty | Ended::Passed) => None,
            Err(_) => Some(Counter::ShadowRefused),
        }
    }

    fn held_bytes(&self) -> usize {
        let capturing = self.capturing.as_ref().map_or(0, |one| one.held_bytes());
        capturing.saturating_add(self.body.as_ref().map_or(0, Body::held_bytes))
    }
}
