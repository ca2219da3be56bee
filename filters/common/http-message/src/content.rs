//! What a message says of its body.

use crate::header_map::{HeaderMap, Occurrence};
use crate::protocol::Protocol;

/// Whether a body can be read as one JSON document, by its headers.
pub fn is_json_document(headers: &HeaderMap) -> bool {
    json_form(headers) == Some(JsonForm::Document) && is_identity(headers)
}

/// The form in which a body is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonForm {
    /// One document: `application/json`, `…+json`.
    Document,
    /// A document on each line: `application/x-ndjson`, `application/ndjson`, `application/jsonl`,
    /// `application/x-jsonlines`.
    Lines,
    /// Documents behind record separators: `application/json-seq` (RFC 7464), `…+json-seq` (RFC 8091).
    Sequence,
    /// A document as the data of each event: `text/event-stream` (HTML, section 9.2).
    Events,
}

/// The form in which a body is JSON, by its content type, whatever its content encoding; `None` for a body that is none, and
/// for a part of one.
pub fn json_form(headers: &HeaderMap) -> Option<JsonForm> {
    let Occurrence::Once(content_type) = headers.occurrence("content-type") else {
        return None;
    };
    if !is_whole(headers) {
        return None;
    }
    if is_json_type(content_type) {
        return Some(JsonForm::Document);
    }
    let text = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let (essence, parameters) = text.split_once(';').unwrap_or((&text, ""));
    let form = match essence.trim() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines" => JsonForm::Lines,
        "application/json-seq" => JsonForm::Sequence,
        "text/event-stream" => JsonForm::Events,
        essence => match essence.rsplit_once('+') {
            Some((kind, "json-seq")) if kind.contains('/') => JsonForm::Sequence,
            _ => return None,
        },
    };
    parameters.split(';').all(is_utf8).then_some(form)
}

/// Whether a body can be read as an event stream (HTML, section 9.2), by its headers.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let Occurrence::Once(content_type) = headers.occurrence("content-type") else {
        return false;
    };
    let essence = content_type.split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"text/event-stream") && is_identity(headers) && is_whole(headers)
}

/// Whether the headers say that there is no body.
pub fn is_empty(headers: &HeaderMap) -> bool {
    matches!(headers.occurrence("content-length"), Occurrence::Once(b"0"))
}

/// `application/json` or `…+json` (RFC 6839 section 3.1), in UTF-8. Frames of a remote call are no document, whatever is in
/// them.
fn is_json_type(content_type: &[u8]) -> bool {
    // As nearly all write it.
    content_type == b"application/json" || is_json_in_other_words(content_type)
}

#[inline(never)]
fn is_json_in_other_words(content_type: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let (essence, parameters) = text.split_once(';').unwrap_or((&text, ""));
    let essence = essence.trim();
    let framed = Protocol::of_content_type(essence.as_bytes()) != Protocol::Http;
    let json = essence == "application/json"
        || essence
            .rsplit_once('+')
            .is_some_and(|(kind, suffix)| kind.contains('/') && suffix == "json");
    json && !framed && parameters.split(';').all(is_utf8)
}

/// Whether a parameter names no other character set.
fn is_utf8(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim() == "charset" => {
            matches!(
                value.trim().trim_matches('"'),
                "utf-8" | "utf8" | "us-ascii"
            )
        }
        _ => true,
    }
}

/// Every content coding of the message is no coding at all.
fn is_identity(headers: &HeaderMap) -> bool {
    headers.get_all("content-encoding").all(|codings| {
        codings
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// Not a part of a document (RFC 9110 section 14.4).
fn is_whole(headers: &HeaderMap) -> bool {
    matches!(headers.occurrence("content-range"), Occurrence::Absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(headers: &[(&str, &str)]) -> bool {
        is_json_document(&HeaderMap::from_pairs(headers.iter().copied()))
    }

    // A type that is taken for JSON by the client and not by the filter goes out unmasked.
    #[test]
    fn json_is_told_by_its_type() {
        for kind in [
            "application/json",
            "Application/JSON ; charset=UTF-8",
            "application/problem+json",
            "application/vnd.api+json; profile=x",
            "application/json; charset=\"utf-8\"",
        ] {
            assert!(json(&[("content-type", kind)]), "{kind}");
        }
        for kind in [
            "",
            "text/html",
            "application/jsonx",
            "application/x-ndjson",
            "application/json-seq",
            "+json",
            "text/event-stream",
            "application/grpc+json",
            "application/grpc-web+json",
            "application/connect+json",
            "application/json; charset=utf-16",
            "application/json, text/html",
        ] {
            assert!(!json(&[("content-type", kind)]), "{kind}");
        }
        assert!(!json(&[]));
        assert!(!json(&[
            ("content-type", "application/json"),
            ("content-type", "text/html")
        ]));
    }

    // A stream of documents that is taken for one is cut off at the second; one that is taken for text goes out unmasked.
    #[test]
    fn the_form_of_json_is_told_by_its_type() {
        let form = |kind: &str| json_form(&HeaderMap::from_pairs([("content-type", kind)]));
        for (kind, expected) in [
            ("application/json; charset=utf-8", Some(JsonForm::Document)),
            ("application/problem+json", Some(JsonForm::Document)),
            ("application/x-ndjson", Some(JsonForm::Lines)),
            ("Application/NDJSON ; charset=UTF-8", Some(JsonForm::Lines)),
            ("application/jsonl", Some(JsonForm::Lines)),
            ("application/x-jsonlines", Some(JsonForm::Lines)),
            ("application/json-seq", Some(JsonForm::Sequence)),
            ("application/geo+json-seq", Some(JsonForm::Sequence)),
            ("text/event-stream;charset=utf-8", Some(JsonForm::Events)),
            ("text/event-stream;charset=utf-16", None),
            ("application/jsonl; charset=latin1", None),
            ("+json-seq", None),
            ("application/grpc+json", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(form(kind), expected, "{kind}");
        }
        let part = [
            ("content-type", "application/jsonl"),
            ("content-range", "bytes 0-9/100"),
        ];
        assert_eq!(json_form(&HeaderMap::from_pairs(part)), None);
        let encoded = [
            ("content-type", "application/jsonl"),
            ("content-encoding", "gzip"),
        ];
        assert_eq!(
            json_form(&HeaderMap::from_pairs(encoded)),
            Some(JsonForm::Lines)
        );
    }

    #[test]
    fn an_event_stream_is_told_by_its_type() {
        let events = |headers: &[(&str, &str)]| {
            is_event_stream(&HeaderMap::from_pairs(headers.iter().copied()))
        };
        for kind in ["text/event-stream", "Text/Event-Stream ; charset=utf-8"] {
            assert!(events(&[("content-type", kind)]), "{kind}");
            assert!(!events(&[
                ("content-type", kind),
                ("content-encoding", "br")
            ]));
        }
        for kind in [
            "",
            "text/plain",
            "text/event-streams",
            "application/json",
            "text/event-stream, text/html",
        ] {
            assert!(!events(&[("content-type", kind)]), "{kind}");
        }
        assert!(!events(&[]));
    }

    #[test]
    fn what_is_encoded_or_partial_is_no_document() {
        let with = |name, value| json(&[("content-type", "application/json"), (name, value)]);
        assert!(with("content-encoding", "identity"));
        assert!(!with("content-encoding", "gzip"));
        assert!(!with("content-encoding", "identity, br"));
        assert!(!with("content-range", "bytes 0-9/100"));
    }
}
