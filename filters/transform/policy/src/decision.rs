//! What becomes of a request and of its response.

use std::rc::Rc;

use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderValue, PathError, Problem, Protocol, RequestHead,
    content,
};
use identity::Identity;
use request_match::{Ambiguity, Mode, Subject};

use crate::body::{Body, Ended};
use crate::config::{BodyRule, Policy, Transform};
use crate::counters::Counter;
use crate::head_edits::HeadEdit;
use crate::presets::{DRAW_BYTES, add_security_headers};
use crate::reason::Reason;

/// What the adapter does with a request.
#[derive(Debug)]
pub enum Step {
    /// Sends it on.
    Forward(Forward),
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
        /// What to count.
        counter: Option<Counter>,
    },
    /// Answers in its place.
    Reply(Problem, Reason),
}

/// Headers that would be wrong about a body that has been changed.
const ABOUT_THE_BODY: [&str; 7] = [
    "content-length",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "etag",
    "accept-ranges",
];

/// Headers by which a client asks for a part of a document.
const ASKING_FOR_A_PART: [&str; 2] = ["range", "if-range"];

/// Where this header is absent, any coding will do (RFC 9110 section 12.5.3).
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("accept-encoding");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

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
    /// `identity` is the record that auth has left, as the host hands it over; absent if there is none or no rule needs it.
    /// `end_of_stream`: nothing follows the headers. `draw`: random bytes, where [`Policy::needs_draw`] says so.
    pub fn request(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
        identity: Option<&[u8]>,
        end_of_stream: bool,
        draw: Option<[u8; DRAW_BYTES]>,
    ) -> Step {
        self.try_request(head, route, identity, end_of_stream, draw)
            .map_or_else(
                |reason| Step::Reply(reason.problem(), reason),
                Step::Forward,
            )
    }

    fn try_request(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
        identity: Option<&[u8]>,
        end_of_stream: bool,
        draw: Option<[u8; DRAW_BYTES]>,
    ) -> Result<Forward, Reason> {
        let mut forward = Forward {
            edits: self.without_copies(head.headers()),
            ..Forward::default()
        };
        let identity = Identity::read(identity).map_err(|_| Reason::MalformedIdentity)?;
        let subject = match Subject::new(head, &self.twins) {
            Ok(subject) => subject.with_route(route).with_identity(&identity),
            // CONNECT: no path for a rule to match, and a tunnel that no rule could read.
            Err(Ambiguity::Path(PathError::Missing)) if !self.closes => {
                forward.counters.push(Counter::Unmatched);
                return Ok(forward);
            }
            Err(_) => return Err(Reason::Ambiguous),
        };
        let mut rules = self.rules.iter().filter(|rule| rule.mode != Mode::Off);
        let mut next = || rules.find(|rule| rule.matcher.matches(&subject));
        let mut rule = next();
        // A rule on trial takes nothing from those behind it: a mask among them must hold.
        if rule.is_some_and(|rule| rule.mode == Mode::Shadow) {
            forward.counters.push(Counter::Shadowed);
            while rule.is_some_and(|rule| rule.mode == Mode::Shadow) {
                rule = next();
            }
            if rule.is_none() {
                return Ok(forward);
            }
        }
        let Some(rule) = rule else {
            forward.counters.push(Counter::Unmatched);
            return Ok(forward);
        };
        forward.counters.push(Counter::Matched);
        rule.value
            .edit_request(&subject, end_of_stream, draw, &mut forward)?;
        if rule.value.touches_response() || rule.value.request.removes() {
            forward.plan = Some(Plan {
                transform: Rc::clone(&rule.value),
                is_head: head.method() == b"HEAD",
                is_https: head.scheme() == b"https",
            });
        }
        Ok(forward)
    }

    /// Decides the response to a request that went on with this plan. `end_of_stream`: nothing follows the headers.
    pub fn response(&self, plan: &Plan, headers: &HeaderMap, end_of_stream: bool) -> Respond {
        let mut edits = HeaderEdits::new();
        plan.transform.response.apply(headers, &mut edits);
        if plan.transform.security_headers {
            add_security_headers(headers, plan.is_https, &mut edits);
        }
        let mut body = None;
        let mut counter = None;
        if let Some(rule) = &plan.transform.response_body {
            let status = headers.get_all(":status").next().unwrap_or_default();
            // 101: what follows is another protocol's. 206: a part of a document.
            let readable = !matches!(status, b"101" | b"206") && content::is_json_document(headers);
            let is_unchanged = status == b"304";
            let bodiless = plan.is_head || is_unchanged || status == b"204";
            if end_of_stream || bodiless || content::is_empty(headers) {
                // These describe the answer to a GET, which would have been rewritten.
                if is_unchanged || (plan.is_head && (readable || !rule.pass)) {
                    remove_what_is_about_the_body(&mut edits);
                }
                body = (!end_of_stream).then(Body::absent);
            } else if readable {
                body = Some(rule.begin(&mut edits));
            } else if rule.pass {
                counter = Some(Counter::ResponseBodyPassed);
            } else {
                let reason = Reason::UndecodableResponse;
                return Respond::Reply(reason.problem(), reason);
            }
        }
        Respond::Forward {
            edits,
            body,
            counter,
        }
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
            remove_what_is_about_the_body(&mut edits);
        }
        edits
    }

    /// The edits that remove a client's copies of what rules write.
    fn without_copies(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        for name in self.owned.matching(headers) {
            edits.remove(name);
        }
        edits
    }
}

impl Plan {
    /// Whether the response is looked at at all.
    pub fn touches_response(&self) -> bool {
        self.transform.touches_response()
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
            remove_what_is_about_the_body(&mut edits);
        }
        edits
    }
}

fn remove_what_is_about_the_body(edits: &mut HeaderEdits) {
    for name in ABOUT_THE_BODY {
        edits.remove(name.as_bytes());
    }
}

impl Transform {
    fn touches_response(&self) -> bool {
        !self.response.is_empty() || self.security_headers || self.response_body.is_some()
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

    fn edit_request(
        &self,
        subject: &Subject<'_>,
        end_of_stream: bool,
        draw: Option<[u8; DRAW_BYTES]>,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let head = subject.head();
        self.request.apply(head.headers(), &mut forward.edits);
        self.presets.apply(head, draw, &mut forward.edits)?;
        self.edit_target(subject, end_of_stream, forward)?;
        if let Some(rule) = &self.request_body
            && !end_of_stream
        {
            if content::is_empty(head.headers()) {
                forward.body = Some(Body::absent());
            } else if content::is_json_document(head.headers()) {
                forward.body = Some(rule.begin(&mut forward.edits));
            } else if rule.pass {
                forward.counters.push(Counter::RequestBodyPassed);
            } else {
                return Err(Reason::UndecodableRequest);
            }
        }
        if let Some(rule) = &self.response_body {
            // The answer to frames is frames: a call whose answer would be withheld had better not be made.
            let framed = Protocol::of_content_type(head.content_type()) != Protocol::Http;
            if framed && !rule.pass {
                return Err(Reason::UndecodableRequest);
            }
            for name in ASKING_FOR_A_PART {
                forward.edits.remove(name.as_bytes());
            }
            forward.edits.set(ACCEPT_ENCODING, IDENTITY);
        }
        Ok(())
    }
}

impl Transform {
    /// Path, query, host and method.
    fn edit_target(
        &self,
        subject: &Subject<'_>,
        end_of_stream: bool,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let head = subject.head();
        let path = match &self.path {
            Some(rewrite) => rewrite.apply(subject.path())?,
            None => None,
        };
        let query = self.query.apply(head.query().as_bytes());
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
            && let Some(host) = rewrite.apply(head.authority())?
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

impl BodyRule {
    fn begin(&self, edits: &mut HeaderEdits) -> Body {
        remove_what_is_about_the_body(edits);
        Body::new(Rc::clone(&self.program), self.pass)
    }
}

#[cfg(test)]
mod tests;
