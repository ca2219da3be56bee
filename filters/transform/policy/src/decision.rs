//! What becomes of a request and of its response.

use std::rc::Rc;
use std::time::Duration;

use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderValue, PathError, Problem, Protocol, RequestHead,
    content,
};
use identity::Identity;
use json_stream::Bindings;
use request_match::{Ambiguity, Mode, Subject};

use crate::body::{Body, Ended};
use crate::config::{BodyRule, Policy, Transform};
use crate::counters::Counter;
use crate::reason::Reason;
use crate::template::{Facts, Needs, Sources};
use crate::value::InvalidValue;

/// What the adapter does with a request.
#[derive(Debug)]
pub enum Step {
    /// Sends it on.
    Forward(Forward),
    /// Finds this out, and asks again.
    Need(Needs),
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
    /// What the response may be made of beside the heads.
    kept: Option<Box<Kept>>,
}

/// What is known about a request, kept for its response.
#[derive(Debug)]
struct Kept {
    identity: Identity,
    route: Option<Vec<u8>>,
    facts: Facts,
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

    /// Decides one request. Pure: the same arguments, the same step.
    ///
    /// `identity` is the record that auth has left, as the host hands it over; absent if there is none or no rule needs it.
    /// `facts` are those that [`Step::Need`] has asked for. `end_of_stream`: nothing follows the headers.
    pub fn request(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
        identity: Option<&[u8]>,
        facts: Option<&Facts>,
        end_of_stream: bool,
    ) -> Step {
        self.try_request(head, route, identity, facts, end_of_stream)
            .unwrap_or_else(|reason| Step::Reply(reason.problem(), reason))
    }

    fn try_request(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
        identity: Option<&[u8]>,
        facts: Option<&Facts>,
        end_of_stream: bool,
    ) -> Result<Step, Reason> {
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
                return Ok(Step::Forward(forward));
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
                return Ok(Step::Forward(forward));
            }
        }
        let Some(rule) = rule else {
            forward.counters.push(Counter::Unmatched);
            return Ok(Step::Forward(forward));
        };
        let transform = &rule.value;
        if facts.is_none() && !transform.needs.is_empty() {
            return Ok(Step::Need(transform.needs.clone()));
        }
        let nothing = Facts::default();
        let facts = facts.unwrap_or(&nothing);
        let sources = Sources {
            head,
            route,
            identity: Some(&identity),
            facts,
            response: None,
            captures: &[],
        };
        forward.counters.push(Counter::Matched);
        transform.edit_request(&subject, &sources, end_of_stream, &mut forward)?;
        if rule.value.touches_response() || rule.value.request.removes() {
            let keeps = !transform.response_needs.is_empty();
            forward.plan = Some(Plan {
                transform: Rc::clone(transform),
                is_head: head.method() == b"HEAD",
                kept: keeps.then(|| {
                    Box::new(Kept {
                        route: route.map(<[u8]>::to_vec),
                        facts: facts.clone(),
                        identity,
                    })
                }),
            });
        }
        Ok(Step::Forward(forward))
    }

    /// Decides the response to a request that went on with this plan. `request` is its head as it came, `now` the time since
    /// the Unix epoch, if [`Plan::needs_time`] asks for it. `end_of_stream`: nothing follows the headers.
    pub fn response(
        &self,
        plan: &Plan,
        request: &RequestHead,
        headers: &HeaderMap,
        now: Duration,
        end_of_stream: bool,
    ) -> Respond {
        self.try_response(plan, request, headers, now, end_of_stream)
            .unwrap_or_else(|reason| Respond::Reply(reason.problem(), reason))
    }

    fn try_response(
        &self,
        plan: &Plan,
        request: &RequestHead,
        headers: &HeaderMap,
        now: Duration,
        end_of_stream: bool,
    ) -> Result<Respond, Reason> {
        let kept = plan.kept.as_deref();
        let facts = kept.map(|kept| kept.facts.clone()).unwrap_or_default();
        let sources = Sources {
            head: request,
            route: kept.and_then(|kept| kept.route.as_deref()),
            identity: kept.map(|kept| &kept.identity),
            facts: &facts.with_time(now),
            response: Some(headers),
            captures: &[],
        };
        let mut edits = HeaderEdits::new();
        let invalid = |InvalidValue| Reason::InvalidResponseValue;
        let transform = &plan.transform;
        transform
            .response
            .apply(headers, &sources, &mut edits)
            .map_err(invalid)?;
        let mut body = None;
        let mut counter = None;
        let body_rule = transform.response_body.as_ref();
        if let Some(rule) = body_rule
            && let Some(bindings) = rule.variables.bind(&sources).map_err(invalid)?
        {
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
                body = Some(rule.begin(bindings, &mut edits));
            } else if rule.pass {
                counter = Some(Counter::ResponseBodyPassed);
            } else {
                return Err(Reason::UndecodableResponse);
            }
        }
        Ok(Respond::Forward {
            edits,
            body,
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

    /// Whether the response is made of the time at which it comes.
    pub fn needs_time(&self) -> bool {
        self.transform.response_needs.time
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
        !self.response.is_empty() || self.response_body.is_some()
    }

    fn edit_request(
        &self,
        subject: &Subject<'_>,
        sources: &Sources<'_>,
        end_of_stream: bool,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let head = subject.head();
        let invalid = |InvalidValue| Reason::InvalidRequestValue;
        self.request
            .apply(head.headers(), sources, &mut forward.edits)
            .map_err(invalid)?;
        if let Some(rewrite) = &self.path
            && let Some(target) = rewrite.apply(subject.path(), head.query())?
        {
            forward.edits.set_path(target);
            forward.counters.push(Counter::PathRewritten);
        }
        if let Some(rule) = &self.request_body
            && !end_of_stream
            && let Some(bindings) = rule.variables.bind(sources).map_err(invalid)?
        {
            if content::is_empty(head.headers()) {
                forward.body = Some(Body::absent());
            } else if content::is_json_document(head.headers()) {
                forward.body = Some(rule.begin(bindings, &mut forward.edits));
            } else if rule.pass {
                forward.counters.push(Counter::RequestBodyPassed);
            } else {
                return Err(Reason::UndecodableRequest);
            }
        }
        if let Some(rule) = &self.response_body
            && rule.variables.may_apply(sources)
        {
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

impl BodyRule {
    fn begin(&self, bindings: Bindings, edits: &mut HeaderEdits) -> Body {
        remove_what_is_about_the_body(edits);
        Body::new(Rc::clone(&self.program), bindings, self.pass)
    }
}

#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
