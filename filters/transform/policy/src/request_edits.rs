//! What a rule does to a request.

use std::rc::Rc;

use http_message::{HeaderValue, Protocol, RequestHead, content};
use request_match::Subject;

use crate::body::Body;
use crate::capture::{CaptureRule, Capturing};
use crate::config::Transform;
use crate::counters::Counter;
use crate::decision::Forward;
use crate::framing::{self, Reading, reframe};
use crate::head_edits::HeadEdit;
use crate::presets::DRAW_BYTES;
use crate::reason::Reason;
use crate::template::Sources;
use crate::value::InvalidValue;

// What most rules do not ask for is kept out of the way of those that do not: a request runs through code that caches have lost.
impl Transform {
    pub(crate) fn edit_request(
        &self,
        subject: &Subject<'_>,
        sources: &Sources<'_>,
        end_of_stream: bool,
        draw: Option<[u8; DRAW_BYTES]>,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let head = subject.head();
        self.request
            .apply(head.headers(), sources, &mut forward.edits)
            .map_err(|InvalidValue| Reason::InvalidRequestValue)?;
        if self.presets.any() {
            self.presets.apply(head, draw, &mut forward.edits)?;
        }
        if self.edits_target() {
            self.edit_target(subject, sources, end_of_stream, forward)?;
        }
        if self.request_body.is_some() && !end_of_stream {
            self.edit_body(head, sources, forward)?;
        }
        if self.reads_response() {
            self.prepare_response(head, sources, forward)?;
        }
        Ok(())
    }

    /// Whether an edit may take away the trace that a request came with.
    pub(crate) fn edits_trace(&self) -> bool {
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

    fn edits_target(&self) -> bool {
        let others = self.host.is_some() || self.method.is_some();
        others || self.path.is_some() || !self.query.is_empty()
    }

    #[inline(never)]
    fn edit_body(
        &self,
        head: &RequestHead,
        sources: &Sources<'_>,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let Some(rule) = &self.request_body else {
            return Ok(());
        };
        let bindings = rule.variables.bind(sources);
        let bindings = bindings.map_err(|InvalidValue| Reason::InvalidRequestValue)?;
        let Some(bindings) = bindings else {
            return Ok(());
        };
        let codings = &self.request_codings;
        if content::is_empty(head.headers()) {
            forward.body = Some(Body::absent());
        } else if let Some(reading) = Reading::of(head.headers(), codings) {
            reframe(head.headers(), codings, &mut forward.edits);
            let program = Rc::clone(&rule.program);
            forward.body = Some(Body::new(program, bindings, rule.pass, reading, codings));
        } else if rule.pass {
            // What captures members may have counted it.
            forward.counters.push_once(Counter::RequestBodyPassed);
        } else {
            return Err(Reason::UndecodableRequest);
        }
        Ok(())
    }

    /// Has the upstream send an answer that can be read.
    #[inline(never)]
    fn prepare_response(
        &self,
        head: &RequestHead,
        sources: &Sources<'_>,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let body = self.response_body.as_ref();
        let body = body.filter(|rule| rule.variables.may_apply(sources));
        let body = body.map(|rule| rule.pass);
        let capture = self.response_capture.as_ref().map(|rule| rule.pass);
        let Some(pass) = body.or(capture) else {
            return Ok(());
        };
        // The answer to frames is frames: a call whose answer would be withheld had better not be made.
        let framed = Protocol::of_content_type(head.content_type()) != Protocol::Http;
        if framed && !pass {
            return Err(Reason::UndecodableRequest);
        }
        let codings = &self.response_codings;
        framing::ask_for_what_can_be_read(head.headers(), codings, &mut forward.edits);
        Ok(())
    }

    /// Path, query, host and method.
    #[inline(never)]
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
            if path.is_some() {
                forward.counters.push(Counter::PathRewritten);
            }
            if query.is_some() {
                forward.counters.push(Counter::QueryEdited);
            }
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
    #[inline(never)]
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
