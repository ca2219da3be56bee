//! What becomes of a response.

use std::rc::Rc;
use std::time::Duration;

use http_message::content::JsonForm;
use http_message::{HeaderEdits, HeaderMap, Problem, RequestHead, content};

use crate::body::Body;
use crate::capture::{CaptureRule, Captured, Capturing};
use crate::config::{BodyRule, CodingRule, Policy, Transform};
use crate::counters::Counter;
use crate::framing::{self, Reading, reframe};
use crate::plan::{Kept, Plan};
use crate::presets::add_security_headers;
use crate::reason::Reason;
use crate::template::Sources;
use crate::value::InvalidValue;

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

/// How it goes on.
#[derive(Default)]
struct Onward {
    edits: HeaderEdits,
    body: Option<Body>,
    capturing: Option<Box<Capturing>>,
    wait: Option<Duration>,
    counter: Option<Counter>,
}

/// How long the head of a response waits for the first chunk of its body, where it can.
const FIRST_CHUNK_DEADLINE: Duration = Duration::from_secs(5);

// What most rules do not ask for is kept out of the way of those that do not, as for requests.
impl Policy {
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
        let kept = plan.kept.as_deref();
        let captures = match (captured, kept) {
            (None, None) => Vec::new(),
            _ => known(captured, kept),
        };
        let sources = Sources {
            head: request,
            identity: kept.and_then(|kept| kept.identity.as_ref()),
            facts: kept.map_or(&self.no_facts, |kept| &kept.facts),
            now,
            response: Some(headers),
            captures: &captures,
        };
        match self.try_response(plan, &sources, headers, end_of_stream, captured) {
            Ok(respond) => respond,
            Err(reason) => reply(reason),
        }
    }

    fn try_response(
        &self,
        plan: &Plan,
        sources: &Sources<'_>,
        headers: &HeaderMap,
        end_of_stream: bool,
        captured: Option<&Captured>,
    ) -> Result<Respond, Reason> {
        let transform = &*plan.transform;
        let content = match transform.reads_response() {
            true => Content::of(plan, sources.head, headers, end_of_stream),
            false => Content::UNREAD,
        };
        let mut onward = Onward::default();
        if let (Some(rule), None) = (&transform.response_capture, captured)
            && let Some(capturing) = rule.begin_response(content, &mut onward)?
        {
            return Ok(Respond::Await(capturing));
        }
        transform
            .response
            .apply(headers, sources, &mut onward.edits)
            .map_err(|InvalidValue| Reason::InvalidResponseValue)?;
        if transform.security_headers {
            let is_https = sources.head.scheme() == b"https";
            add_security_headers(headers, is_https, &mut onward.edits);
        }
        if let Some(captured) = captured {
            captured.edit(&mut onward.edits);
        }
        if let Some(rule) = &transform.response_body {
            let codings = &transform.response_codings;
            rule.begin_response(content, codings, headers, sources, &mut onward)?;
            if end_of_stream {
                onward.body = None;
            }
            if !self.host_allows_stop_iteration {
                onward.wait = None;
            }
        }
        let Onward {
            edits,
            body,
            capturing,
            wait,
            counter,
        } = onward;
        Ok(Respond::Forward {
            edits,
            body,
            capturing,
            wait,
            counter,
        })
    }
}

#[cold]
fn reply(reason: Reason) -> Respond {
    Respond::Reply(reason.problem(), reason)
}

/// What bodies have told, by name: that of the response first.
#[inline(never)]
fn known<'a>(captured: Option<&'a Captured>, kept: Option<&'a Kept>) -> Vec<(&'a str, &'a [u8])> {
    let earlier = kept.map_or(&[][..], |kept| &kept.captures);
    let earlier = earlier
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()));
    let captures = captured.into_iter().flat_map(Captured::named);
    captures.chain(earlier).collect()
}

impl CaptureRule {
    /// What the head waits for, if it waits.
    #[inline(never)]
    fn begin_response(
        self: &Rc<Self>,
        content: Content,
        onward: &mut Onward,
    ) -> Result<Option<Box<Capturing>>, Reason> {
        match content {
            Content::Readable(_) if self.holds_head => return Ok(Some(self.begin())),
            Content::Readable(_) => onward.capturing = Some(self.begin()),
            Content::Unreadable if self.pass => {
                onward.counter = Some(Counter::ResponseBodyPassed);
            }
            Content::Unreadable => return Err(Reason::UndecodableResponse),
            Content::None { .. } => {}
        }
        Ok(None)
    }
}

impl BodyRule {
    #[inline(never)]
    fn begin_response(
        &self,
        content: Content,
        codings: &CodingRule,
        headers: &HeaderMap,
        sources: &Sources<'_>,
        onward: &mut Onward,
    ) -> Result<(), Reason> {
        let bindings = self.variables.bind(sources);
        let bindings = bindings.map_err(|InvalidValue| Reason::InvalidResponseValue)?;
        let Some(bindings) = bindings else {
            return Ok(());
        };
        let edits = &mut onward.edits;
        match content {
            Content::None { described } => {
                // These describe the answer to a GET, which would have been rewritten.
                if described == Described::Unchanged
                    || described == Described::Readable
                    || (described == Described::Unreadable && !self.pass)
                {
                    reframe(headers, codings, edits);
                    framing::vary(headers, codings, edits);
                }
                onward.body = Some(Body::absent());
            }
            Content::Readable(reading) => {
                reframe(headers, codings, edits);
                framing::vary(headers, codings, edits);
                let program = Rc::clone(&self.program);
                onward.body = Some(Body::new(program, bindings, self.pass, reading, codings));
                onward.wait = (!self.pass).then_some(FIRST_CHUNK_DEADLINE);
            }
            Content::Unreadable if self.pass => {
                onward.counter = Some(Counter::ResponseBodyPassed);
            }
            Content::Unreadable => return Err(Reason::UndecodableResponse),
        }
        Ok(())
    }
}

impl Transform {
    pub(crate) fn touches_response(&self) -> bool {
        !self.response.is_empty() || self.security_headers || self.reads_response()
    }

    pub(crate) fn reads_response(&self) -> bool {
        self.response_body.is_some() || self.response_capture.is_some()
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

    #[inline(never)]
    fn of(plan: &Plan, request: &RequestHead, headers: &HeaderMap, end_of_stream: bool) -> Content {
        // A response to HEAD has no body, whatever its headers say.
        let is_head = request.method() == b"HEAD";
        let codings = &plan.transform.response_codings;
        let status = headers.get_all(":status").next().unwrap_or_default();
        // 101: what follows is another protocol's. 206: a part of a document.
        let is_whole = !matches!(status, b"101" | b"206");
        // Members are captured of one document.
        let any_form = plan.transform.response_capture.is_none();
        let reading = Reading::of(headers, codings)
            .filter(|reading| is_whole && (any_form || reading.form == JsonForm::Document));
        let is_unchanged = status == b"304";
        let bodiless = is_head || is_unchanged || status == b"204";
        if end_of_stream || bodiless || content::is_empty(headers) {
            let described = match (is_unchanged, is_head, reading.is_some()) {
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
