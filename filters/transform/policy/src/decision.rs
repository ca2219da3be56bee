//! What becomes of a request.

use std::rc::Rc;

use http_message::{HeaderEdits, HeaderMap, PathError, Problem, RequestHead};
use identity::Identity;
use request_match::{Ambiguity, Mode, Rule, Subject};

use crate::body::{Body, Ended};
use crate::capture::{Captured, Capturing};
use crate::config::{Policy, Transform};
use crate::counted::Counted;
use crate::counters::Counter;
use crate::framing::remove_what_is_about_the_body;
use crate::plan::Plan;
use crate::reason::Reason;
use crate::template::{Facts, Needs, Sources};
use crate::trial::Trial;

/// What the adapter does with a request.
#[derive(Debug)]
pub enum Step {
    /// Sends it on.
    Forward(Forward),
    /// Finds this out, and asks again.
    Need(Needs),
    /// Holds its head back until this knows all, and then asks again with what it has captured.
    Await(Box<Capturing>),
    /// Answers it.
    Reply(Problem, Reason),
}

/// How a request goes on.
#[derive(Debug, Default)]
pub struct Forward {
    /// The edits of its headers.
    pub edits: HeaderEdits,
    /// What its body goes through.
    pub body: Option<Body>,
    /// What is to be done to its response.
    pub plan: Option<Plan>,
    /// What a rule that is not in force would have done.
    pub trial: Option<Box<Trial>>,
    /// What to count.
    pub counters: Counted,
}

/// A rule of this filter.
type TransformRule = Rule<Rc<Transform>>;

impl Policy {
    /// Whether a rule looks at the route, so that the filter has to ask the host for it.
    pub fn needs_route(&self) -> bool {
        self.needs_route
    }

    /// Whether a rule looks at the caller.
    pub fn needs_identity(&self) -> bool {
        self.needs_identity
    }

    /// Whether a rule may have to make an id or a trace for this request, so that the filter has to ask the host for random
    /// bytes.
    pub fn needs_draw(&self, head: &RequestHead) -> bool {
        self.has_presets
            && self.rules.iter().any(|rule| {
                let presets = rule.value.presets;
                rule.mode == Mode::Enforce && presets.need_draw(head, rule.value.edits_trace())
            })
    }

    /// Decides one request. Pure: the same arguments, the same step.
    ///
    /// `facts`: what matches look at, random bytes where [`Policy::needs_draw`] says so, and after [`Step::Need`] what that asks
    /// for. `end_of_stream`: nothing follows the headers. `captured`: what its body has told, where the answer was
    /// [`Step::Await`].
    pub fn request(
        &self,
        head: &RequestHead,
        facts: &Facts,
        end_of_stream: bool,
        captured: Option<&Captured>,
    ) -> Step {
        match self.try_request(head, facts, end_of_stream, captured) {
            Ok(step) => step,
            Err(reason) => reply(reason),
        }
    }

    fn try_request(
        &self,
        head: &RequestHead,
        facts: &Facts,
        end_of_stream: bool,
        captured: Option<&Captured>,
    ) -> Result<Step, Reason> {
        let mut forward = Forward {
            edits: self.without_copies(head.headers()),
            ..Forward::default()
        };
        let read;
        let identity = match facts.identity.as_deref() {
            None => &self.anonymous,
            record => {
                read = Identity::read(record).map_err(|_| Reason::MalformedIdentity)?;
                &read
            }
        };
        let subject = match Subject::new(head, &self.twins) {
            Ok(subject) => subject
                .with_route(facts.route.as_deref())
                .with_identity(identity),
            // CONNECT: no path for a rule to match, and a tunnel that no rule could read.
            Err(Ambiguity::Path(PathError::Missing)) if !self.closes => {
                forward.counters.push(Counter::Unmatched);
                return Ok(Step::Forward(forward));
            }
            Err(_) => return Err(Reason::Ambiguous),
        };
        let first = self.rules.first_match(&subject);
        // A rule on trial takes nothing from those behind it: a mask among them must hold.
        let (on_trial, rule) = match first {
            Some(first) if first.mode == Mode::Shadow => {
                (Some(first), self.rules.first_enforced(&subject))
            }
            first => (None, first),
        };
        let asks = |rule: Option<&TransformRule>| rule.is_some_and(|rule| rule.value.asks);
        if facts.completed().is_none() && (asks(rule) || asks(on_trial)) {
            return Ok(Step::Need(needs(on_trial, rule)));
        }
        let captures = match captured {
            None => Vec::new(),
            Some(captured) => named(captured),
        };
        let sources = Sources {
            head,
            identity: Some(identity),
            facts,
            now: facts.completed().unwrap_or_default(),
            response: None,
            captures: &captures,
        };
        if let Some(on_trial) = on_trial {
            try_out(
                &on_trial.value,
                &subject,
                &sources,
                end_of_stream,
                &mut forward,
            );
            if rule.is_none() {
                return Ok(Step::Forward(forward));
            }
        }
        let Some(rule) = rule else {
            forward.counters.push(Counter::Unmatched);
            return Ok(Step::Forward(forward));
        };
        let transform = &rule.value;
        if let (Some(capture), None, false) = (&transform.request_capture, captured, end_of_stream)
            && let Some(capturing) = capture.begin_request(head, &mut forward)?
        {
            return Ok(Step::Await(capturing));
        }
        forward.counters.push(Counter::Matched);
        transform.edit_request(&subject, &sources, end_of_stream, facts.draw, &mut forward)?;
        if let Some(captured) = captured {
            captured.edit(&mut forward.edits);
        }
        if transform.touches_response() || transform.request.removes() {
            forward.plan = Some(Plan::new(transform, &sources));
        }
        Ok(Step::Forward(forward))
    }

    /// The edits of a request's trailers: what rules write, no client may send, and what was removed with the headers does
    /// not come back here. `body`: what became of the body that ends with them.
    pub fn request_trailers(
        &self,
        trailers: &HeaderMap,
        plan: Option<&Plan>,
        body: Option<Ended>,
    ) -> HeaderEdits {
        let mut edits = self.without_copies(trailers);
        if let Some(plan) = plan {
            plan.request_trailers(trailers, &mut edits);
        }
        if body == Some(Ended::Rewritten) {
            remove_what_is_about_the_body(trailers, &mut edits);
        }
        edits
    }

    /// The edits that remove a client's copies of what rules write.
    fn without_copies(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        if !self.owned.is_empty() {
            for name in self.owned.matching(headers) {
                edits.remove(name);
            }
        }
        edits
    }
}

#[cold]
fn reply(reason: Reason) -> Step {
    Step::Reply(reason.problem(), reason)
}

/// What both have to know.
#[cold]
fn needs(on_trial: Option<&TransformRule>, rule: Option<&TransformRule>) -> Needs {
    let mut needs = Needs::default();
    for rule in on_trial.iter().chain(&rule) {
        needs.add(&rule.value.needs);
    }
    needs
}

#[inline(never)]
fn named(captured: &Captured) -> Vec<(&str, &[u8])> {
    captured.named().collect()
}

/// Puts the request through a rule that is not in force.
#[inline(never)]
fn try_out(
    transform: &Rc<Transform>,
    subject: &Subject<'_>,
    sources: &Sources<'_>,
    end_of_stream: bool,
    forward: &mut Forward,
) {
    forward.counters.push(Counter::Shadowed);
    match Trial::begin(transform, subject, sources, end_of_stream) {
        Ok(trial) => forward.trial = Some(Box::new(trial)),
        Err(_) => forward.counters.push(Counter::ShadowRefused),
    }
}

#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
