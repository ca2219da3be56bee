//! Reads members of a JSON document as it streams by.

use std::rc::Rc;

use crate::bindings::Bindings;
use crate::broken::Broken;
use crate::json_rewriter::{Capture, Captured, JsonRewriter, Keep};
use crate::limits::Limits;
use crate::operation::{Operation, Program};
use crate::pointer::{InvalidPointer, Pointer};

/// One place in a document: a JSON Pointer (RFC 6901) without `*` and `**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPlace(Pointer);

impl MemberPlace {
    /// Reads `/user/id`.
    ///
    /// # Errors
    /// See [`InvalidPointer`]; `*` and `**` are refused, since they stand for many places.
    pub fn parse(text: &str) -> Result<MemberPlace, InvalidPointer> {
        let at = Pointer::parse(text)?;
        if !at.is_one_place() {
            return Err(InvalidPointer::Many);
        }
        Ok(MemberPlace(at))
    }

    pub(crate) fn read(self, capture: Capture) -> Operation {
        Operation::capture(self.0, capture)
    }
}

/// Places whose values are kept, each other than the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPlaces(Rc<Program>);

impl MemberPlaces {
    /// The longest value that is kept, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// `None` if they have more than [`Program::MAX_LEVELS`] levels together, or are more than [`Program::MAX_OPERATIONS`].
    pub fn new(places: Vec<MemberPlace>) -> Option<MemberPlaces> {
        let capture = Capture {
            keep: Keep::First,
            most: Self::MAX_BYTES,
        };
        let operations = places.into_iter().map(|place| place.read(capture));
        Some(MemberPlaces(Rc::new(Program::new(operations.collect())?)))
    }

    /// In documents that may have no more than that.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> MemberPlaces {
        let program = Rc::unwrap_or_clone(self.0);
        MemberPlaces(Rc::new(program.with_limits(limits)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.operations()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A document under way, of which some members are kept and nothing else.
#[derive(Debug)]
pub struct MemberReader {
    rewriter: JsonRewriter,
    places: usize,
}

impl MemberReader {
    /// Nothing read yet.
    pub fn new(places: &MemberPlaces) -> MemberReader {
        MemberReader {
            rewriter: JsonRewriter::new(Rc::clone(&places.0), Bindings::default()),
            places: places.len(),
        }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// The document cannot be read, now or at an earlier call; or it has a second value at one of the places.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Broken> {
        // Nothing is changed. What goes out is a copy where a chunk begins inside a name, and nothing elsewhere.
        self.rewriter.rewrite(chunk, &mut Vec::new()).map(drop)
    }

    /// Whether there is nothing more to learn: a value stood at each place, or the document has closed.
    pub fn knows_all(&self) -> bool {
        self.rewriter.captures() == self.places || self.rewriter.is_complete()
    }

    /// Whether the document has closed.
    pub fn is_complete(&self) -> bool {
        self.rewriter.is_complete()
    }

    /// The body is over.
    ///
    /// # Errors
    /// The document has not closed, or could not be read.
    pub fn finish(&mut self) -> Result<(), Broken> {
        self.rewriter.finish()
    }

    /// What stood at the place of this number in the list; `None` as long as nothing did.
    pub fn get(&self, place: usize) -> Option<&Captured> {
        self.rewriter.captured(place)
    }

    /// What it holds beyond a chunk, in bytes: see [`JsonRewriter::held_bytes`].
    pub fn held_bytes(&self) -> usize {
        self.rewriter.held_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broken::Fault;
    use crate::limits::DuplicateMembers;

    fn reader(places: &[&str]) -> MemberReader {
        let places = places.iter().map(|text| MemberPlace::parse(text).unwrap());
        MemberReader::new(&MemberPlaces::new(places.collect()).unwrap())
    }

    fn read(places: &[&str], text: &str, size: usize) -> Result<Vec<Option<Captured>>, Fault> {
        let mut reader = reader(places);
        for chunk in text.as_bytes().chunks(size) {
            reader.push(chunk).map_err(|broken| broken.fault())?;
        }
        reader.finish().map_err(|broken| broken.fault())?;
        Ok((0..places.len())
            .map(|place| reader.get(place).cloned())
            .collect())
    }

    fn text(text: &str) -> Option<Captured> {
        Some(Captured::Text(text.as_bytes().to_vec()))
    }

    // A route that depends on how the network cut the request is none.
    #[test]
    fn scalars_are_kept_wherever_the_document_is_cut() {
        let document = r#" {"model": "gpt\u002d4\n\ud83d\ude00é", "stream":true, "no" : null, "meta":{"id":-1.5e3, "tags":["a",
            "b"]}, "deep": {"a": {"b": [1, {"c": "x"}]}}, "f": false, "half": "\ud83d"} "#;
        let cases = [
            ("/model", text("gpt-4\n\u{1f600}é")),
            ("/stream", text("true")),
            ("/no", text("null")),
            ("/f", text("false")),
            ("/meta/id", text("-1.5e3")),
            ("/meta", Some(Captured::Container)),
            ("/meta/tags/1", text("b")),
            ("/deep/a/b/0", text("1")),
            ("/deep/a/b/1/c", text("x")),
            ("/half", Some(Captured::Unfit)),
            ("/absent", None),
            ("/meta/absent", None),
            ("/model/x", None),
        ];
        let places: Vec<&str> = cases.iter().map(|(place, _)| *place).collect();
        let expected: Vec<_> = cases.iter().map(|(_, value)| value.clone()).collect();
        for size in 1..=document.len() {
            assert_eq!(
                read(&places, document, size),
                Ok(expected.clone()),
                "by {size}"
            );
            for (place, value) in &cases {
                let alone = read(&[place], document, size);
                assert_eq!(alone, Ok(vec![value.clone()]), "{place} by {size}");
            }
        }
    }

    // The first value chooses the route; a reader that takes the last would do what another route was kept for.
    #[test]
    fn a_second_value_at_a_place_is_a_fault() {
        for document in [
            r#"{"model":"a","model":"b"}"#,
            r#"{"model":"a","x":1,"\u006dodel":{}}"#,
            r#"{"model":[],"model":1}"#,
        ] {
            for size in 1..=document.len() {
                assert_eq!(
                    read(&["/model"], document, size),
                    Err(Fault::DuplicateMember),
                    "{document}"
                );
            }
        }
        let nested = r#"{"m":{"id":1},"m":{"id":2}}"#;
        assert_eq!(read(&["/m/id"], nested, 3), Err(Fault::DuplicateMember));
        let elsewhere = r#"{"model":"a","x":{"model":"b"}}"#;
        assert_eq!(read(&["/model"], elsewhere, 3), Ok(vec![text("a")]));
    }

    // `{"m": {"id": 1}, "m": {}}`: where the last one counts, there is no id.
    #[test]
    fn a_second_member_on_the_way_to_a_place_is_a_fault_where_the_limits_say_so() {
        let document = br#"{"m":{"id":1},"m":{}}"#;
        let place = || MemberPlace::parse("/m/id").unwrap();
        let places = MemberPlaces::new(vec![place()]).unwrap();
        let strict = places.clone().with_limits(Limits {
            duplicate_members: DuplicateMembers::Refuse { key: [7; 16] },
            max_bytes: 99,
            ..Limits::default()
        });
        assert!(MemberReader::new(&places).push(document).is_ok());
        let broken = MemberReader::new(&strict).push(document).unwrap_err();
        assert_eq!(broken.fault(), Fault::DuplicateMember);
        let long = MemberReader::new(&strict).push(&[b' '; 100]).unwrap_err();
        assert!(long.is_limit());
        let mut whole = MemberReader::new(&strict);
        whole.push(br#"{"m":{"id":1},"n":{"m":1}}"#).unwrap();
        assert_eq!(whole.get(0), text("1").as_ref());
    }

    #[test]
    fn a_value_of_any_length_takes_bounded_memory() {
        let most = MemberPlaces::MAX_BYTES;
        for size in [1, 7, 100, 10_000] {
            for letter in ["x", "\\n", "é", "\\u00e9"] {
                let string = |count: usize| format!(r#"{{"a":"{}"}}"#, letter.repeat(count));
                let length = if letter.contains('x') || letter == "\\n" {
                    1
                } else {
                    2
                };
                let fits = most / length;
                let kept = read(&["/a"], &string(fits), size).unwrap().remove(0);
                assert!(
                    matches!(&kept, Some(Captured::Text(text)) if text.len() == most),
                    "{letter} {kept:?}"
                );
                for count in [fits + 1, 100_000] {
                    let unfit = read(&["/a"], &string(count), size).unwrap().remove(0);
                    assert_eq!(unfit, Some(Captured::Unfit), "{letter}");
                }
            }
        }
        let mut long = reader(&["/a"]);
        long.push(b"{\"a\":\"").unwrap();
        for _ in 0..1000 {
            long.push(&[b'x'; 1000]).unwrap();
            assert!(long.held_bytes() <= most + 1024);
        }
        // Of names too, which are all that a document without the members makes it hold.
        let key = [7; 16];
        let strict = MemberPlaces::new(vec![MemberPlace::parse("/a").unwrap()]);
        let strict = strict.unwrap().with_limits(Limits {
            duplicate_members: DuplicateMembers::Refuse { key },
            ..Limits::default()
        });
        let mut many = MemberReader::new(&strict);
        many.push(b"{").unwrap();
        for number in 0..1000 {
            many.push(format!("\"{number}\":0,").as_bytes()).unwrap();
        }
        assert!(many.held_bytes() > 16_000, "{}", many.held_bytes());
    }

    // Each byte that is waited for in vain is held, and somebody waits for it.
    #[test]
    fn it_is_known_as_soon_as_the_value_has_ended() {
        let first = |places: &[&str], document: &str| {
            let mut reader = reader(places);
            (0..document.len()).find(|at| {
                reader.push(&document.as_bytes()[*at..=*at]).unwrap();
                reader.knows_all()
            })
        };
        let document = r#"{"model":"a","n":12,"o":{"x":1}}"#;
        assert_eq!(
            first(&["/model"], document),
            document.find(",\"n").map(|at| at - 1)
        );
        assert_eq!(first(&["/n"], document), document.find(",\"o"));
        assert_eq!(first(&["/o"], document), document.find("{\"x"));
        assert_eq!(first(&["/o/x", "/model"], document), document.find("}}"));
        assert_eq!(first(&["/none"], document), Some(document.len() - 1));
        assert_eq!(
            first(&["/model", "/none"], document),
            Some(document.len() - 1)
        );
    }

    #[test]
    fn what_is_no_document_says_so() {
        for document in [
            "",
            " ",
            "{",
            r#"{"a":5"#,
            "<html>",
            r#"{"a":5}}"#,
            r#"{"a":"\x"}"#,
        ] {
            assert!(read(&["/a"], document, 2).is_err(), "{document}");
        }
        assert!(read(&["/a"], "[]", 1).is_ok() && read(&["/a"], "1", 1).is_ok());
    }
}
