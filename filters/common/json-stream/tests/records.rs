//! Streams of documents: each record is rewritten like a document, and what is around it stays.

use std::rc::Rc;

use json_stream::{
    Bindings, Broken, DuplicateMembers, Fault, Limits, Operation, Pointer, Program, RecordForm,
    RecordRewriter,
};

use RecordForm::{Events, Lines, Sequence};

fn start(form: RecordForm, operations: Vec<Operation>, pass: bool) -> RecordRewriter {
    let program = Program::new(operations).unwrap();
    RecordRewriter::new(form, Rc::new(program), Bindings::default(), pass)
}

fn at(path: &str) -> Pointer {
    Pointer::parse(path).unwrap()
}

fn operations() -> Vec<Operation> {
    vec![
        Operation::mask(at("/ssn"), "***"),
        Operation::remove(at("/x")),
        Operation::mask_but_last(at("/card"), "", 2).unwrap(),
    ]
}

fn run(rewriter: &mut RecordRewriter, text: &[u8], size: usize) -> Result<String, Broken> {
    let mut out = Vec::new();
    for chunk in text.chunks(size) {
        rewriter.push(chunk, &mut out)?;
    }
    rewriter.finish()?;
    Ok(String::from_utf8(out).unwrap())
}

/// The same however the text is cut.
fn all(form: RecordForm, text: &str, pass: bool) -> Result<String, Fault> {
    let by = |size| run(&mut start(form, operations(), pass), text.as_bytes(), size);
    let whole = by(text.len().max(1));
    for size in 1..text.len() {
        assert_eq!(by(size), whole, "{text:?} by {size}");
    }
    whole.map_err(|broken| broken.fault())
}

// Each event that a client waits for has to come out whole, with everything but the masked values as it was.
#[test]
fn what_is_around_a_record_stays() {
    for (form, text, result) in [
        (
            Lines,
            "{\"ssn\":1}\n\n {\"x\":2,\"y\":3} \r\n17\n\"a\"",
            "{\"ssn\":\"***\"}\n\n {\"y\":3} \r\n17\n\"a\"",
        ),
        (Lines, "", ""),
        (Lines, "\n\r\n", "\n\r\n"),
        (
            Sequence,
            "\u{1e}{\"ssn\":1,\n\"a\":2}\n\u{1e}12\n",
            "\u{1e}{\"ssn\":\"***\",\n\"a\":2}\n\u{1e}12\n",
        ),
        (
            Events,
            "\u{feff}event: e\r\nid: 7\r\ndata: {\"ssn\":\"a\"}\r\n\r\n: ssn\n\ndata:{\"card\":\"1234\"}\rretry: 1\r\r",
            "\u{feff}event: e\r\nid: 7\r\ndata: {\"ssn\":\"***\"}\r\n\r\n: ssn\n\ndata:{\"card\":\"34\"}\rretry: 1\r\r",
        ),
        // Joined lines; what is left out takes the end of its line with it.
        (
            Events,
            "data: {\"a\":1,\ndata: \"ssn\":\ndata: [2,\ndata: 3],\r\ndata: \"x\":4,\ndata: \"y\":\"data:\"\ndata: }\n\n",
            "data: {\"a\":1,\ndata: \"ssn\":\ndata: \"***\",\ndata: \"y\":\"data:\"\ndata: }\n\n",
        ),
        (
            Events,
            "data: {\"a\":1,\ndata: \"b\":2,\ndata:\ndata:   \"c\":3}\n\n",
            "data: {\"a\":1,\ndata: \"b\":2,\ndata:\ndata:   \"c\":3}\n\n",
        ),
        // Lines of other fields where nothing is held back.
        (
            Events,
            "data: {\"a\":\nid: 7\ndata: 1}\n\n",
            "data: {\"a\":\nid: 7\ndata: 1}\n\n",
        ),
        (
            Events,
            "data: {\"ssn\":1}\n\ndata: [DONE]\n\ndata\ndata:\n\n",
            "data: {\"ssn\":\"***\"}\n\ndata: [DONE]\n\ndata\ndata:\n\n",
        ),
        (Events, "data: [DONE] \n", "data: [DONE] \n"),
        (Events, "data: 12", "data: 12"),
        (Events, "data: [1]\n\nda", "data: [1]\n\nda"),
    ] {
        assert_eq!(all(form, text, false).as_deref(), Ok(result), "{text:?}");
    }
}

// A record that cannot be read may hold what is to be hidden; and half of one is no record.
#[test]
fn a_record_that_is_no_json_is_refused_or_passes() {
    for (form, text, fault) in [
        (Lines, "{\"a\":1}\nhello\n", Fault::Syntax),
        (Lines, "{\"a\":\n1}\n", Fault::Incomplete),
        (Lines, "{\"a\":1} {}\n", Fault::TrailingData),
        (Lines, "[DONE]\n", Fault::Syntax),
        (Lines, "\u{feff}{}\n", Fault::Syntax),
        (Lines, "1\n{\"a\":", Fault::Incomplete),
        (Events, "data: hello\n\n", Fault::Syntax),
        (Events, "data: [DONE\n\n", Fault::Syntax),
        (Events, "data: [DONE]x\n\n", Fault::Syntax),
        (Events, "data: [DO", Fault::Incomplete),
        (Events, "data: {\"a\":\"b\ndata: c\"}\n\n", Fault::Syntax),
        (Events, "data: {\"a\":1\n\n", Fault::Incomplete),
        (Sequence, "\u{1e}{\"a\":1\n\u{1e}{}\n", Fault::Incomplete),
        (Sequence, "\u{1e}{\"a\":1}\n{}\n", Fault::TrailingData),
    ] {
        assert_eq!(all(form, text, false), Err(fault), "{text:?}");
        assert_eq!(all(form, text, true).as_deref(), Ok(text), "{text:?}");
    }
    // Those behind it are rewritten all the same.
    assert_eq!(
        all(Lines, "{\"a\":1,oops\n{\"ssn\":1}\n", true).as_deref(),
        Ok("{\"a\":1,oops\n{\"ssn\":\"***\"}\n")
    );
    // Half of it has gone out changed: the rest cannot go out as it is.
    for text in [
        "{\"ssn\":1,oops\n",
        "{\"x\":1,\"ssn\":oops\n",
        "{\"a\":1,\"x\":2",
    ] {
        assert!(all(Lines, text, true).is_err(), "{text}");
    }
    // A line of another field would be lost, or come before what it follows.
    for text in [
        "data: {\"a\":1,\nid: 7\ndata: \"b\":2}\n\n",
        "data: {\"ssn\":[\n: comment\ndata: 1]}\n\n",
    ] {
        assert_eq!(all(Events, text, false), Err(Fault::Syntax), "{text:?}");
    }
}

// A stream lives as long as it likes; a record does not.
#[test]
fn limits_are_for_each_record_and_operations_pay_for_all() {
    let limits = Limits {
        max_bytes: 12,
        max_members: 2,
        duplicate_members: DuplicateMembers::Refuse { key: [9; 16] },
        ..Limits::default()
    };
    let start = |form, pass| {
        let program = Program::new(operations()).unwrap().with_limits(limits);
        RecordRewriter::new(form, Rc::new(program), Bindings::default(), pass)
    };
    for (form, fits) in [
        (Lines, "{\"a\":[1, 2]}\n".repeat(3)),
        (Events, "event: a\ndata:{\"a\":1}\n\n".repeat(3)),
    ] {
        for size in [1, 5, 1000] {
            assert_eq!(
                run(&mut start(form, false), fits.as_bytes(), size).as_ref(),
                Ok(&fits)
            );
        }
    }
    for (text, fault, offset) in [
        ("1\n{\"a\":[1, 2] }\n", Fault::TooLarge, 14),
        ("1\n{\"a\":1,\"b\":2,\"c\":3}\n", Fault::TooLarge, 14),
        ("1\n{\"a\":1,\"a\":2}\n", Fault::DuplicateMember, 12),
        ("1\n{\"\":1,\"b\":2,\"c\":3}\n", Fault::TooLarge, 14),
    ] {
        for (size, pass) in [(1, true), (7, false), (1000, true)] {
            let broken = run(&mut start(Lines, pass), text.as_bytes(), size).unwrap_err();
            assert_eq!((broken.fault(), broken.offset()), (fault, offset), "{text}");
        }
    }
    // What one record may write, a thousand small ones may not each.
    let value = serde_json::json!("x".repeat(60_000));
    let set = Program::new(vec![Operation::set(at("/a"), &value)]).unwrap();
    let mut rewriter = RecordRewriter::new(Lines, Rc::new(set), Bindings::default(), true);
    let broken = run(&mut rewriter, "{}\n".repeat(100).as_bytes(), 50).unwrap_err();
    assert_eq!(broken.fault(), Fault::TooLong);
}

// A worker has many streams for a long time: none may grow.
#[test]
fn what_is_held_does_not_grow_with_the_stream() {
    let mut rewriter = start(Events, operations(), false);
    let event =
        b"data: {\"a\":{\"ssn\":[1,2]},\"ssn\":1,\ndata: \"x\":\"y\",\"card\":\"1234567\"}\n\n";
    let mut most = 0;
    for _ in 0..10_000 {
        for chunk in event.chunks(7) {
            rewriter.push(chunk, &mut Vec::new()).unwrap();
            most = most.max(rewriter.held_bytes());
        }
    }
    assert!(most < 4096, "{most}");
    rewriter.finish().unwrap();

    // Nor by records that break off with something open.
    let mut rewriter = start(Lines, operations(), true);
    for _ in 0..10_000 {
        rewriter
            .push(b"{\"a\":[{\"b\":oops\n", &mut Vec::new())
            .unwrap();
    }
    assert!(rewriter.held_bytes() < 4096, "{}", rewriter.held_bytes());
    rewriter.finish().unwrap();
}
