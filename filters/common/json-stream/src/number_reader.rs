//! Reads one number of a JSON document as it streams by.

use std::rc::Rc;

use crate::bindings::Bindings;
use crate::broken::Broken;
use crate::json_rewriter::{Capture, Captured, JsonRewriter, Keep};
use crate::member_reader::MemberPlace;
use crate::operation::Program;
use crate::pointer::InvalidPointer;

/// Where in a document a number is read: one place, by a JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberPlace(Rc<Program>);

impl NumberPlace {
    /// The longest number that is read, in bytes.
    const MAX_BYTES: usize = 64;

    /// Reads `/usage/total_tokens`.
    ///
    /// # Errors
    /// See [`InvalidPointer`]; `*` and `**` are refused, since they stand for many places.
    pub fn parse(text: &str) -> Result<NumberPlace, InvalidPointer> {
        let capture = Capture {
            keep: Keep::LastNumber,
            most: Self::MAX_BYTES,
        };
        let operation = MemberPlace::parse(text)?.read(capture);
        // One path is never too long for a program.
        let program = Program::new(vec![operation]).ok_or(InvalidPointer::TooDeep)?;
        Ok(NumberPlace(Rc::new(program)))
    }
}

/// A document under way, of which one number is kept and nothing else.
#[derive(Debug)]
pub struct NumberReader(JsonRewriter);

impl NumberReader {
    /// Nothing read yet.
    pub fn new(place: &NumberPlace) -> NumberReader {
        NumberReader(JsonRewriter::new(Rc::clone(&place.0), Bindings::default()))
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// The document cannot be read, now or at an earlier call.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Broken> {
        // Nothing is changed. What goes out is a copy where a chunk begins inside a name, and nothing elsewhere.
        self.0.rewrite(chunk, &mut Vec::new()).map(drop)
    }

    /// Whether the document has closed.
    pub fn is_complete(&self) -> bool {
        self.0.is_complete()
    }

    /// The number that stands there, as far as the document has been read: the last one where the member occurs twice, infinite
    /// where it is too large for an `f64`. `None` where there is none, or something else: a string, `null`, more than 64 bytes.
    pub fn number(&self) -> Option<f64> {
        let Some(Captured::Text(text)) = self.0.captured(0) else {
            return None;
        };
        let beyond = match text.first() {
            Some(b'-') => f64::NEG_INFINITY,
            _ => f64::INFINITY,
        };
        Some(serde_json::from_slice(text).unwrap_or(beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broken::Fault;

    fn read(place: &str, text: &str, size: usize) -> Result<Option<f64>, Fault> {
        let mut reader = NumberReader::new(&NumberPlace::parse(place).unwrap());
        for chunk in text.as_bytes().chunks(size) {
            reader.push(chunk).map_err(|broken| broken.fault())?;
        }
        match reader.is_complete() {
            true => Ok(reader.number()),
            false => Err(Fault::Incomplete),
        }
    }

    // A price that depends on how the network cut the answer is none.
    #[test]
    fn the_number_is_read_wherever_the_document_is_cut() {
        let usage = r#"{"id":"a","usage":{"prompt":3,"total_tokens" : 1234 ,"x":9},"choices":[{"total_tokens":5}]}"#;
        for (place, text, number) in [
            ("/usage/total_tokens", usage, Some(1234.0)),
            ("/usage/total", usage, None),
            ("/total_tokens", usage, None),
            ("/choices/0/total_tokens", usage, Some(5.0)),
            ("/choices/1/total_tokens", usage, None),
            ("/usage", usage, None),
            ("/a", r#"{"a":0}"#, Some(0.0)),
            ("/a", r#"{"a":-7}"#, Some(-7.0)),
            ("/a", r#"{"a":1e3}"#, Some(1000.0)),
            ("/a", r#"{"a":12.25e-1}"#, Some(1.225)),
            ("/a", r#"{"a":1e999}"#, Some(f64::INFINITY)),
            ("/a", r#"{"a":-1e999}"#, Some(f64::NEG_INFINITY)),
            (
                "/a",
                r#"{"a":18446744073709551616}"#,
                Some(18446744073709551616.0),
            ),
            ("/a", r#"{"a":"5"}"#, None),
            ("/a", r#"{"a":null}"#, None),
            ("/a", r#"{"a":[5]}"#, None),
            ("/a", r#"{"a":{"a":5}}"#, None),
            ("/a/a", r#"{"a":{"a":5}}"#, Some(5.0)),
            ("/a", r#"{"a":5,"a":6}"#, Some(6.0)),
            ("/a", r#"{"a":5,"a":"6"}"#, Some(5.0)),
            ("/a", r#"{"\u0061":5}"#, Some(5.0)),
            ("/a~1b", r#"{"a\/b":5}"#, Some(5.0)),
            ("/0", "[7,8]", Some(7.0)),
            ("/a", "[]", None),
            ("/a", " \n{ \"a\"\t:\r\n 5 } ", Some(5.0)),
        ] {
            for size in 1..=text.len() {
                assert_eq!(
                    read(place, text, size),
                    Ok(number),
                    "{place} {text} by {size}"
                );
            }
        }
    }

    #[test]
    fn a_number_of_any_length_takes_bounded_memory() {
        let digits = |count: usize| format!(r#"{{"a":{}}}"#, "1".repeat(count));
        let long = NumberPlace::MAX_BYTES;
        for size in [1, 7, 100, 10_000] {
            assert!(read("/a", &digits(long), size).unwrap().is_some());
            assert_eq!(read("/a", &digits(long + 1), size), Ok(None));
            assert_eq!(read("/a", &digits(100_000), size), Ok(None));
        }
    }

    #[test]
    fn what_is_no_document_says_nothing() {
        for text in [
            "",
            "{",
            r#"{"a":5"#,
            "<html>",
            r#"{"a":5}}"#,
            r#"{"a":05}"#,
            "{'a':5}",
        ] {
            assert!(read("/a", text, 2).is_err(), "{text}");
        }
        let deep = format!("{}5{}", r#"{"a":"#.repeat(65), "}".repeat(65));
        assert_eq!(read("/a", &deep, 1000), Err(Fault::TooDeep));
    }

    #[test]
    fn one_place_is_named() {
        for (text, error) in [
            ("", InvalidPointer::Whole),
            ("usage", InvalidPointer::NoSlash),
            ("/usage/*", InvalidPointer::Many),
            ("/**/total_tokens", InvalidPointer::Many),
            ("/a~2", InvalidPointer::Escape),
        ] {
            assert_eq!(NumberPlace::parse(text), Err(error), "{text}");
        }
        assert!(NumberPlace::parse("/usage/total_tokens").is_ok());
    }
}
