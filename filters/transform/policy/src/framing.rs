//! What the head of a message has to say about a body that is read and changed.

use content_coding::{Coding, ContentCoding};
use http_message::content::{self, JsonForm};
use http_message::{HeaderEdits, HeaderMap, HeaderName, HeaderValue};

use crate::config::{CodingRule, Outgoing};

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

const VARY: HeaderName = HeaderName::from_static("vary");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("accept-encoding");
const ON_ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Headers by which a client asks for a part of a document.
const ASKING_FOR_A_PART: [&str; 2] = ["range", "if-range"];

/// How a body can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Out of this coding, if it has one.
    pub(crate) coding: Option<Coding>,
    /// As one document, or as several.
    pub(crate) form: JsonForm,
}

impl Reading {
    /// By the headers of the message; `None` if it cannot be read.
    pub(crate) fn of(headers: &HeaderMap, codings: &CodingRule) -> Option<Reading> {
        let form = content::json_form(headers)?;
        let coding = match ContentCoding::of(headers) {
            ContentCoding::Identity => None,
            ContentCoding::Coded(coding) if codings.read.has(coding) => Some(coding),
            ContentCoding::Coded(_) | ContentCoding::Unknown => return None,
        };
        Some(Reading { coding, form })
    }
}

/// Whether the body is in no coding, or one that is read.
pub(crate) fn reads_coding_of(headers: &HeaderMap, codings: &CodingRule) -> bool {
    match ContentCoding::of(headers) {
        ContentCoding::Identity => true,
        ContentCoding::Coded(coding) => codings.read.has(coding),
        ContentCoding::Unknown => false,
    }
}

/// Removes what a head, or trailers, say about the body that came.
pub(crate) fn remove_what_is_about_the_body(headers: &HeaderMap, edits: &mut HeaderEdits) {
    for name in ABOUT_THE_BODY {
        edits.remove_from(headers, name.as_bytes());
    }
}

/// The edits of the head of a message whose body is changed, or would be if it were there.
pub(crate) fn reframe(headers: &HeaderMap, codings: &CodingRule, edits: &mut HeaderEdits) {
    remove_what_is_about_the_body(headers, edits);
    if codings.out == Outgoing::Identity && reads_coding_of(headers, codings) {
        edits.remove_from(headers, b"content-encoding");
    }
}

/// Has caches know that a coded answer is for those who accept it (RFC 9110 section 12.5.5), where the upstream forgot.
pub(crate) fn vary(headers: &HeaderMap, codings: &CodingRule, edits: &mut HeaderEdits) {
    if codings.out != Outgoing::Same {
        return;
    }
    let is_coded = matches!(ContentCoding::of(headers), ContentCoding::Coded(_));
    let says_so = headers
        .get_all("vary")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"));
    if is_coded && !says_so {
        edits.append(VARY, ON_ACCEPT_ENCODING);
    }
}

/// Has the upstream answer with a whole document that can be read.
pub(crate) fn ask_for_what_can_be_read(
    headers: &HeaderMap,
    codings: &CodingRule,
    edits: &mut HeaderEdits,
) {
    for name in ASKING_FOR_A_PART {
        edits.remove_from(headers, name.as_bytes());
    }
    let accepted = content_coding::accepted(headers, codings.read);
    edits.set(ACCEPT_ENCODING, accepted);
}
