//! What becomes of a request and of its response.

use std::rc::Rc;
use std::time::Duration;

use http_message::content::JsonForm;
use http_message::{
    HeaderEdits, HeaderMap, HeaderValue, PathError, Problem, Protocol, RequestHead, content,
};
use identity::Identity;
use request_match::{Ambiguity, Mode, Subject};

use crate::body::{Body, Ended};
use crate::capture::{CaptureRule, Captured, Capturing};
use crate::config::{CodingRule, Policy, Transform};
use crate::counters::Counter;
use crate::framing::{self, Reading, reframe, remove_what_is_about_the_body};
use crate::head_edits::HeadEdit;
use crate::presets::{DRAW_BYTES, add_security_headers};
use crate::reason::Reason;
use crate::template::{Facts, Needs, Sources};
use crate::trial::Trial;
use crate::value::InvalidValue;

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
    pub counters: Vec<Counter>,
}

/// What is to be done to a response, and to the trailers of both messages.
#[derive(Debug)]
pub struct Plan {
    transform: Rc<Transform>,
    /// A response to HEAD has no body, whatever its headers say.
    is_head: bool,
    /// The client asked by https.
    is_https: bool,
    /// What the response may be made of beside the heads.
    kept: Option<Box<Kept>>,
}

/// What is known about a request, kept for its response.
#[derive(Debug)]
struct Kept {
    identity: Option<Identity>,
    facts: Facts,
    captures: Vec<(String, Vec<u8>)>,
}

/// What the adapter does with a response.
#[derive(Debug)]
pub enum Respond {
    /// Sends it on with these edits, its body through this.
    Forward {
        /// The edits of its headers.
        edits: HeaderEdits,
        /// What its body goes through.
        body: Option<Body>,
        /// What reads its body beside that, where the head has not waited for it.
        capturing: Option<Box<Capturing>>,
        /// The head waits until a first chunk of the body has been read, or for so long.
        wait: Option<Duration>,
        /// What to count.
        counter: Option<Counter>,
    },
    /// Holds its head back until this knows all, and then asks again with what it has captured.
    Await(Box<Capturing>),
    /// Answers in its place.
    Reply(Problem, Reason),
}

/// How long the head of a response waits for the first chunk of its body, where it can.
const FIRST_CHUNK_DEADLINE: Duration = Duration::from_secs(5);

impl Policy {
    /// Whether a rule looks at the route, so that the filter has to ask the host for it.
    pub fn needs_route(&self) -> bool {
        self.rules.needs_route()
    }

    /// Whether a rule looks at the caller.
    pub fn needs_identity(&self) -> bool {
        self.needs_identity
    }

    /// Whether a rule may have to make an id or a trace for this request, so that the filter has to ask the host for random
    /// bytes.
    pub fn needs_draw(&self, head: &RequestHead) -> bool {
        self.rules.iter().any(|rule| {
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
        self.try_request(head, facts, end_of_stream, captured)
            .unwrap_or_else(|reason| Step::Reply(reason.problem(), reason))
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
        let identity =
            Identity::read(facts.identity.as_deref()).map_err(|_| Reason::MalformedIdentity)?;
        let subject = match Subject::new(head, &self.twins) {
            Ok(subject) => subject
                .with_route(facts.route.as_deref())
                .with_identity(&identity),
            // CONNECT: no path for a rule to match, and a tunnel that no rule could read.
            Err(Ambiguity::Path(PathError::Missing)) if !self.closes => {
                forward.counters.push(Counter::Unmatched);
                return Ok(Step::Forward(forward));
            }
            Err(_) => return Err(Reason::Ambiguous),
        };
        let mut rules = self.rules.iter().filter(|rule| rule.mode != Mode::Off);
        let mut next = || rules.find(|rule| rule.matcher.matches(&subject));
        let mut rule = next();
        // A rule on trial takes nothing from those behind it: a mask among them must hold.
        let on_trial = rule.filter(|rule| rule.mode == Mode::Shadow);
        while rule.is_some_and(|rule| rule.mode == Mode::Shadow) {
            rule = next();
        }
        let mut needs = Needs::default();
        for rule in on_trial.iter().chain(&rule) {
            needs.add(&rule.value.needs);
        }
        if facts.completed().is_none() && !needs.is_empty() {
            return Ok(Step::Need(needs));
        }
        let captures: Vec<_> = captured.into_iter().flat_map(Captured::named).collect();
        let sources = Sources {
            head,
            identity: Some(&identity),
            facts,
            now: facts.completed().unwrap_or_default(),
            response: None,
            captures: &captures,
        };
        if let Some(on_trial) = on_trial {
            forward.counters.push(Counter::Shadowed);
            match Trial::begin(&on_trial.value, &subject, &sources, end_of_stream) {
                Ok(trial) => forward.trial = Some(Box::new(trial)),
                Err(_) => forward.counters.push(Counter::ShadowRefused),
            }
            if rule.is_none() {
                return Ok(Step::Forward(forward));
            }
        }
        let Some(rule) = rule else {
            forward.counters.push(Counter::Unmatched);
            return Ok(Step::Forward(forward));
        };
        let capture = &rule.value.request_capture;
        if let (Some(capture), None, false) = (capture, captured, end_of_stream)
            && let Some(capturing) = capture.begin_request(head, &mut forward)?
        {
            return Ok(Step::Await(capturing));
        }
        forward.counters.push(Counter::Matched);
        rule.value
            .edit_request(&subject, &sources, end_of_stream, facts.draw, &mut forward)?;
        if let Some(captured) = captured {
            captured.edit(&mut forward.edits);
        }
        if rule.value.touches_response() || rule.value.request.removes() {
            forward.plan = Some(Plan::new(&rule.value, &sources));
        }
        Ok(Step::Forward(forward))
    }

    /// Decides the response to a request that went on with this plan. `request` is its head as it came; `now` the time since
    /// the Unix epoch, if [`Plan::needs_time`]. `end_of_stream`: nothing follows the headers. `captured`: what its body has
    /// told, where the answer was [`Respond::Await`].
    pub fn response(
        &self,
        plan: &Plan,
        request: &RequestHead,
        headers: &HeaderMap,
        now: Duration,
        end_of_stream: bool,
        captured: Option<&Captured>,
    ) -> Respond {
        let nothing = Facts::default();
        let kept = plan.kept.as_deref();
        let earlier = kept.map_or(&[][..], |kept| &kept.captures);
        let earlier = earlier
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        let captures = captured.into_iter().flat_map(Captured::named);
        let captures: Vec<_> = captures.chain(earlier).collect();
        let sources = Sources {
            head: request,
            identity: kept.and_then(|kept| kept.identity.as_ref()),
            facts: kept.map_or(&nothing, |kept| &kept.facts),
            now,
            response: Some(headers),
            captures: &captures,
        };
        self.try_response(plan, &sources, headers, end_of_stream, captured)
            .unwrap_or_else(|reason| Respond::Reply(reason.problem(), reason))
    }

    fn try_response(
        &self,
        plan: &Plan,
        sources: &Sources<'_>,
        headers: &HeaderMap,
        end_of_stream: bool,
        captured: Option<&Captured>,
    ) -> Result<Respond, Reason> {
        let transform = &plan.transform;
        let codings = &transform.response_codings;
        let invalid = |InvalidValue| Reason::InvalidResponseValue;
        let content = match transform.reads_response() {
            true => Content::of(plan, codings, headers, end_of_stream),
            false => Content::UNREAD,
        };
        let mut edits = HeaderEdits::new();
        let mut counter = None;
        let mut capturing = None;
        if let (Some(rule), None) = (&transform.response_capture, captured) {
            match content {
                Content::Readable(_) if rule.holds_head => return Ok(Respond::Await(rule.begin())),
                Content::Readable(_) => capturing = Some(rule.begin()),
                Content::Unreadable if rule.pass => counter = Some(Counter::ResponseBodyPassed),
                Content::Unreadable => return Err(Reason::UndecodableResponse),
                Content::None { .. } => {}
            }
        }
        transform
            .response
            .apply(headers, sources, &mut edits)
            .map_err(invalid)?;
        if transform.security_headers {
            add_security_headers(headers, plan.is_https, &mut edits);
        }
        if let Some(captured) = captured {
            captured.edit(&mut edits);
        }
        let mut body = None;
        let mut wait = None;
        if let Some(rule) = &transform.response_body
            && let Some(bindings) = rule.variables.bind(sources).map_err(invalid)?
        {
            match content {
                Content::None { described } => {
                    // These describe the answer to a GET, which would have been rewritten.
                    if described == Described::Unchanged
                        || described == Described::Readable
                        || (described == Described::Unreadable && !rule.pass)
                    {
                        reframe(headers, codings, &mut edits);
                        framing::vary(headers, codings, &mut edits);
                    }
                    body = (!end_of_stream).then(Body::absent);
                }
                Content::Readable(reading) => {
                    reframe(headers, codings, &mut edits);
                    framing::vary(headers, codings, &mut edits);
                    let program = Rc::clone(&rule.program);
                    body = Some(Body::new(program, bindings, rule.pass, reading, codings));
                    let waits = self.host_allows_stop_iteration && !rule.pass;
                    wait = waits.then_some(FIRST_CHUNK_DEADLINE);
                }
                Content::Unreadable if rule.pass => counter = Some(Counter::ResponseBodyPassed),
                Content::Unreadable => return Err(Reason::UndecodableResponse),
            }
        }
        Ok(Respond::Forward {
            edits,
            body,
            capturing,
            wait,
            counter,
        })
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
            plan.transform.request.removals(trailers, &mut edits);
        }
        if body == Some(Ended::Rewritten) {
            remove_what_is_about_the_body(trailers, &mut edits);
        }
        edits
    }

    /// The edits that remove a client's copies of what rules write.
    fn without_copies(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        if self.owned.is_empty() {
            return edits;
        }
        for name in self.owned.matching(headers) {
            edits.remove(name);
        }
        edits
    }
}

/// What there is of a response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Nothing. What the headers say is of another answer, or of none.
    None {
        described: Described,
    },
    Readable(Reading),
    Unreadable,
}

/// Of which answer the headers of one without a body tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Described {
    /// Of this one.
    This,
    /// Of the one that the client has.
    Unchanged,
    /// Of one to GET whose body can be read, or cannot.
    Readable,
    Unreadable,
}

impl Content {
    /// Of one that nobody reads.
    const UNREAD: Content = Content::None {
        described: Described::This,
    };

    fn of(plan: &Plan, codings: &CodingRule, headers: &HeaderMap, end_of_stream: bool) -> Content {
        let status = headers.get_all(":status").next().unwrap_or_default();
        // 101: what follows is another protocol's. 206: a part of a document.
        let is_whole = !matches!(status, b"101" | b"206");
        // Members are captured of one document.
        let any_form = plan.transform.response_capture.is_none();
        let reading = Reading::of(headers, codings)
            .filter(|reading| is_whole && (any_form || reading.form == JsonForm::Document));
        let is_unchanged = status == b"304";
        let bodiless = plan.is_head || is_unchanged || status == b"204";
        if end_of_stream || bodiless || content::is_empty(headers) {
            let described = match (is_unchanged, plan.is_head, reading.is_some()) {
                (true, ..) => Described::Unchanged,
                (_, true, true) => Described::Readable,
                (_, true, false) => Described::Unreadable,
                (_, false, _) => Described::This,
            };
            Content::None { described }
        } else {
            reading.map_or(Content::Unreadable, Content::Readable)
        }
    }
}

impl Plan {
    pub(crate) fn new(transform: &Rc<Transform>, sources: &Sources<'_>) -> Plan {
        let keeps = !transform.response_needs.is_empty();
        let kept = || Kept {
            identity: sources.identity.cloned(),
            facts: sources.facts.for_response(),
            captures: sources
                .captures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect(),
        };
        Plan {
            transform: Rc::clone(transform),
            is_head: sources.head.method() == b"HEAD",
            is_https: sources.head.scheme() == b"https",
            kept: keeps.then(|| Box::new(kept())),
        }
    }

    /// Whether the response is made of the time at which it comes.
    pub fn needs_time(&self) -> bool {
        self.transform.response_needs.time
    }

    /// Whether the response is looked at at all.
    pub fn touches_response(&self) -> bool {
        self.transform.touches_response()
    }

    /// Whether a response with these headers is in no coding, or in one that is read.
    pub(crate) fn reads_coding_of(&self, headers: &HeaderMap) -> bool {
        framing::reads_coding_of(headers, &self.transform.response_codings)
    }

    /// Whether [`Plan::response_trailers`] may have something to remove.
    pub fn touches_response_trailers(&self, body: Option<Ended>) -> bool {
        self.transform.response.removes() || body == Some(Ended::Rewritten)
    }

    /// The edits of a response's trailers: what was removed with the headers does not come back here. `body`: what became of
    /// the body that ends with them.
    pub fn response_trailers(&self, trailers: &HeaderMap, body: Option<Ended>) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        self.transform.response.removals(trailers, &mut edits);
        if body == Some(Ended::Rewritten) {
            remove_what_is_about_the_body(trailers, &mut edits);
        }
        edits
    }
}

impl Transform {
    pub(crate) fn touches_response(&self) -> bool {
        !self.response.is_empty() || self.security_headers || self.reads_response()
    }

    /// Whether an edit may take away the trace that a request came with.
    fn edits_trace(&self) -> bool {
        let is_removal_or_write = |edit: &HeadEdit| match edit {
            HeadEdit::KeepOnly(_) | HeadEdit::Dedupe(..) => false,
            HeadEdit::RemovePrefix(prefix) => prefix.matches(b"traceparent"),
            HeadEdit::Remove(name) | HeadEdit::Rename { from: name, .. } => {
                name.as_str() == "traceparent"
            }
            _ => edit
                .written()
                .is_some_and(|name| name.as_str() == "traceparent"),
        };
        self.request.edits.iter().any(is_removal_or_write)
    }

    fn reads_response(&self) -> bool {
        self.response_body.is_some() || self.response_capture.is_some()
    }

    pub(crate) fn edit_request(
        &self,
        subject: &Subject<'_>,
        sources: &Sources<'_>,
        end_of_stream: bool,
        draw: Option<[u8; DRAW_BYTES]>,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let head = subject.head();
        let invalid = |InvalidValue| Reason::InvalidRequestValue;
        self.request
            .apply(head.headers(), sources, &mut forward.edits)
            .map_err(invalid)?;
        self.presets.apply(head, draw, &mut forward.edits)?;
        self.edit_target(subject, sources, end_of_stream, forward)?;
        if let Some(rule) = &self.request_body
            && !end_of_stream
            && let Some(bindings) = rule.variables.bind(sources).map_err(invalid)?
        {
            let codings = &self.request_codings;
            if content::is_empty(head.headers()) {
                forward.body = Some(Body::absent());
            } else if let Some(reading) = Reading::of(head.headers(), codings) {
                reframe(head.headers(), codings, &mut forward.edits);
                let program = Rc::clone(&rule.program);
                forward.body = Some(Body::new(program, bindings, rule.pass, reading, codings));
            } else if rule.pass {
                // What captures members may have counted it.
                if !forward.counters.contains(&Counter::RequestBodyPassed) {
                    forward.counters.push(Counter::RequestBodyPassed);
                }
            } else {
                return Err(Reason::UndecodableRequest);
            }
        }
        let body = self.response_body.as_ref();
        let body = body.filter(|rule| rule.variables.may_apply(sources));
        let body = body.map(|rule| rule.pass);
        let capture = self.response_capture.as_ref().map(|rule| rule.pass);
        if let Some(pass) = body.or(capture) {
            // The answer to frames is frames: a call whose answer would be withheld had better not be made.
            let framed = Protocol::of_content_type(head.content_type()) != Protocol::Http;
            if framed && !pass {
                return Err(Reason::UndecodableRequest);
            }
            let codings = &self.response_codings;
            framing::ask_for_what_can_be_read(head.headers(), codings, &mut forward.edits);
        }
        Ok(())
    }
}

impl Transform {
    /// Path, query, host and method.
    fn edit_target(
        &self,
        subject: &Subject<'_>,
        sources: &Sources<'_>,
        end_of_stream: bool,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let head = subject.head();
        let path = match &self.path {
            Some(rewrite) => rewrite.apply(subject.path(), sources)?,
            None => None,
        };
        let query = self.query.apply(head.query().as_bytes(), sources);
        let query = query.map_err(|InvalidValue| Reason::InvalidRequestValue)?;
        if path.is_some() || query.is_some() {
            let count = [
                path.as_ref().map(|_| Counter::PathRewritten),
                query.as_ref().map(|_| Counter::QueryEdited),
            ];
            forward.counters.extend(count.into_iter().flatten());
            forward
                .edits
                .set_path(target(head, path.as_deref(), query.as_deref())?);
        }
        if let Some(rewrite) = &self.host
            && let Some(host) = rewrite.apply(head.authority(), sources)?
        {
            forward.edits.set_authority(host);
            forward.counters.push(Counter::HostChanged);
        }
        if let Some(other) = &self.method
            && let Some(method) = other.apply(head, end_of_stream)?
        {
            forward.edits.set_method(method);
            forward.counters.push(Counter::MethodChanged);
        }
        Ok(())
    }
}

/// The target with another path, another query, or both; what is not changed is as it came.
fn target(
    head: &RequestHead,
    path: Option<&str>,
    query: Option<&[u8]>,
) -> Result<HeaderValue, Reason> {
    let raw = head.raw_path().split(|byte| *byte == b'?').next();
    let path = path.map(str::as_bytes).or(raw).unwrap_or_default();
    let mut target = path.to_vec();
    let query = query.unwrap_or(head.query().as_bytes());
    if !query.is_empty() {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    HeaderValue::try_from(target).map_err(|_| Reason::TargetTooLong)
}

impl CaptureRule {
    /// What reads the body of this request while its head waits; `None` if there is nothing to wait for.
    pub(crate) fn begin_request(
        self: &Rc<Self>,
        head: &RequestHead,
        forward: &mut Forward,
    ) -> Result<Option<Box<Capturing>>, Reason> {
        if content::is_empty(head.headers()) {
            return Ok(None);
        }
        if content::is_json_document(head.headers()) {
            return Ok(Some(self.begin()));
        }
        if !self.pass {
            return Err(Reason::UndecodableRequest);
        }
        forward.counters.push(Counter::RequestBodyPassed);
        Ok(None)
    }
}

#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
