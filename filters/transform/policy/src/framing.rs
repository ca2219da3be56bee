//! What the head of a message has to say about a body that is read and changed.

use content_coding::{Coding, ContentCoding};
use http_message::{HeaderEdits, HeaderMap, HeaderName, HeaderValue, content};

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
pub(crate) enum Reading {
    /// As it is.
    Plain,
    /// Out of this coding.
    Coded(Coding),
}

impl Reading {
    /// By the headers of the message; `None` if it cannot be read as one document in UTF-8.
    pub(crate) fn of(headers: &HeaderMap, codings: &CodingRule) -> Option<Reading> {
        let reading = Reading::of_coding(headers, codings)?;
        content::is_json_content(headers).then_some(reading)
    }

    /// The coding alone, whatever the type is.
    pub(crate) fn of_coding(headers: &HeaderMap, codings: &CodingRule) -> Option<Reading> {
        match ContentCoding::of(headers) {
            ContentCoding::Identity => Some(Reading::Plain),
            ContentCoding::Coded(coding) if codings.read.has(coding) => {
                Some(Reading::Coded(coding))
            }
            ContentCoding::Coded(_) | ContentCoding::Unknown => None,
        }
    }

    pub(crate) fn coding(self) -> Option<Coding> {
        match self {
            Reading::Plain => None,
            Reading::Coded(coding) => Some(coding),
        }
    }
}

/// Removes what a head says about the body that came.
pub(crate) fn remove_what_is_about_the_body(edits: &mut HeaderEdits) {
    for name in ABOUT_THE_BODY {
        edits.remove(name.as_bytes());
    }
}

/// The edits of the head of a message whose body is changed, or would be if it were there.
pub(crate) fn reframe(headers: &HeaderMap, codings: &CodingRule, edits: &mut HeaderEdits) {
    remove_what_is_about_the_body(edits);
    if codings.out == Outgoing::Identity && Reading::of_coding(headers, codings).is_some() {
        edits.remove(b"content-encoding");
    }
}

/// Has caches know that a coded answer is for those who accept it (RFC 9110 section 12.5.5), where the upstream forgot.
pub(crate) fn vary(headers: &HeaderMap, codings: &CodingRule, edits: &mut HeaderEdits) {
    let is_coded = matches!(ContentCoding::of(headers), ContentCoding::Coded(_));
    let says_so = headers
        .get_all("vary")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"));
    if is_coded && codings.out == Outgoing::Same && !says_so {
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
        edits.remove(name.as_bytes());
    }
    let accepted = content_coding::accepted(headers, codings.read);
    edits.set(ACCEPT_ENCODING, accepted);
}
