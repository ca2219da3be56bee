//! What an operator expects of each operation, byte by byte.

use std::rc::Rc;

use json_stream::{Bindings, Broken, Fault, JsonRewriter, Operation, Pointer, Program, Slot};
use serde_json::json;

fn at(path: &str) -> Pointer {
    Pointer::parse(path).unwrap()
}

fn start(operations: Vec<Operation>) -> JsonRewriter {
    JsonRewriter::new(
        Rc::new(Program::new(operations).unwrap()),
        Bindings::default(),
    )
}

fn run(operations: Vec<Operation>, text: &str) -> Result<String, Fault> {
    let mut rewriter = start(operations);
    let mut out = Vec::new();
    let fault = |broken: Broken| broken.fault();
    rewriter.push(text.as_bytes(), &mut out).map_err(fault)?;
    rewriter.finish().map_err(fault)?;
    Ok(String::from_utf8(out).unwrap())
}

// Commas are what a rewriter that does not hold values gets wrong first.
#[test]
fn removal_mends_the_commas_and_keeps_the_rest() {
    for (path, text, result) in [
        ("/a", r#"{"a":1}"#, "{}"),
        ("/a", r#"{ "a": 1, "b": 2 }"#, r#"{ "b": 2 }"#),
        ("/b", r#"{ "a": 1, "b": 2 }"#, r#"{ "a": 1 }"#),
        (
            "/b",
            r#"{"a":1,"b":{"c":[1,2,{}]},"d":4}"#,
            r#"{"a":1,"d":4}"#,
        ),
        ("/*", r#"{"a":1,"b":[],"d":4}"#, "{}"),
        ("/*", "[1,2,[3]]", "[]"),
        ("/0", "[1, 2, 3]", "[ 2, 3]"),
        ("/2", "[1, 2, 3]", "[1, 2]"),
        ("/1", "[1, 2, 3]", "[1, 3]"),
        ("/9", "[1, 2, 3]", "[1, 2, 3]"),
        (
            "/*/x",
            r#"[{"x":1},{"y":1,"x":2},[],"x"]"#,
            r#"[{},{"y":1},[],"x"]"#,
        ),
        ("/a", "[{\"a\":1}]", "[{\"a\":1}]"),
        ("/a", "17", "17"),
        (
            "/a",
            "{\n  \"a\": 1,\n  \"b\": 2\n}\n",
            "{\n  \"b\": 2\n}\n",
        ),
    ] {
        assert_eq!(
            run(vec![Operation::remove(at(path))], text).unwrap(),
            result,
            "{path} {text}"
        );
    }
}

// A document with the member twice is read by one parser as the first and by another as the last.
#[test]
fn a_member_is_masked_in_every_occurrence_and_spelling() {
    let mask = || vec![Operation::mask(at("/ssn"), "***")];
    assert_eq!(
        run(mask(), r#"{"ssn":"1","ssn" : ["2"], "\u0073s\u006E":3}"#).unwrap(),
        r#"{"ssn":"***","ssn" : "***", "\u0073s\u006E":"***"}"#
    );
    for same in [
        r#"{"ss":"1"}"#,
        r#"{"ssnx":"1"}"#,
        r#"{"x":{"ssn":1}}"#,
        r#"{"SSN":1}"#,
    ] {
        assert_eq!(run(mask(), same).unwrap(), same);
    }
    let deep = vec![Operation::mask(at("/u/ssn"), "x")];
    assert_eq!(
        run(deep, r#"{"u":{"ssn":1},"u":{"ssn":2}}"#).unwrap(),
        r#"{"u":{"ssn":"x"},"u":{"ssn":"x"}}"#
    );
}

#[test]
fn set_replaces_or_adds_at_the_end() {
    let set = |path| vec![Operation::set(at(path), &json!({"n": 1}))];
    for (path, text, result) in [
        ("/a", "{}", r#"{"a":{"n":1}}"#),
        ("/a", r#"{"b":2 }"#, r#"{"b":2 ,"a":{"n":1}}"#),
        ("/a", r#"{"a":2,"b":3}"#, r#"{"a":{"n":1},"b":3}"#),
        ("/a/b", r#"{"a":{}}"#, r#"{"a":{"b":{"n":1}}}"#),
        // A parent that is missing, or is no object, is a place that is not there.
        ("/a/b", "{}", "{}"),
        ("/a/b", r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        ("/*", r#"{"x":1}"#, r#"{"x":{"n":1}}"#),
        ("/1", "[1,2,3]", r#"[1,{"n":1},3]"#),
        ("/3", "[1,2,3]", "[1,2,3]"),
        (
            "/*/k",
            r#"[{},{"k":0}]"#,
            r#"[{"k":{"n":1}},{"k":{"n":1}}]"#,
        ),
    ] {
        assert_eq!(run(set(path), text).unwrap(), result, "{path} {text}");
    }
    let twice = vec![
        Operation::set(at("/a"), &json!(1)),
        Operation::set(at("/b"), &json!("\"\n")),
    ];
    assert_eq!(run(twice, "{}").unwrap(), r#"{"a":1,"b":"\"\n"}"#);
}

#[test]
fn add_changes_nothing_that_is_there() {
    let add = |path| vec![Operation::add(at(path), &json!(1))];
    for (path, text, result) in [
        ("/a", "{}", r#"{"a":1}"#),
        ("/a", r#"{"a":null}"#, r#"{"a":null}"#),
        ("/a", r#"{"A":2}"#, r#"{"A":2,"a":1}"#),
        ("/a/b", r#"{"a":{}}"#, r#"{"a":{"b":1}}"#),
        ("/0", "[]", "[]"),
        ("/**/a", r#"[{"b":{}}]"#, r#"[{"b":{"a":1},"a":1}]"#),
    ] {
        assert_eq!(run(add(path), text).unwrap(), result, "{path} {text}");
    }
    // Whatever a client sends, it does not keep a mask away.
    let both = vec![
        Operation::add(at("/a"), &json!("x")),
        Operation::mask(at("/a"), "***"),
    ];
    assert_eq!(run(both, r#"{"a":"secret"}"#).unwrap(), r#"{"a":"***"}"#);
}

// What is not named must go, also where the value is of another kind than the operator thought.
#[test]
fn keep_only_leaves_nothing_else() {
    let keep = |place: Pointer| vec![Operation::keep_only(place, vec!["id".into(), "n".into()])];
    for (text, result) in [
        (
            r#"{"x":1, "id": 7, "y":[{"id":1}], "n":2}"#,
            r#"{ "id": 7, "n":2}"#,
        ),
        (r#"{"ID":1,"a very long name indeed":2}"#, "{}"),
        (r#"{"\u0069d":{"secret":1}}"#, r#"{"\u0069d":{"secret":1}}"#),
        (r#"[{"id":1}]"#, "[]"),
        ("17", "17"),
    ] {
        assert_eq!(run(keep(Pointer::root()), text).unwrap(), result, "{text}");
    }
    let text = r#"{"all":[{"id":1,"x":2},{"x":3}],"x":4}"#;
    assert_eq!(
        run(keep(at("/all/*")), text).unwrap(),
        r#"{"all":[{"id":1},{}],"x":4}"#
    );
}

// Two members of one name are read by one parser as the first and by another as the last.
#[test]
fn rename_never_makes_a_name_twice() {
    let rename = |from, to| vec![Operation::rename(at(from), to).unwrap()];
    for (text, result) in [
        (r#"{"x":0, "mail" : "a" }"#, r#"{"x":0, "email" : "a" }"#),
        (r#"{"mail":1,"email":2}"#, r#"{"email":1}"#),
        (r#"{"email":2,"mail":1}"#, r#"{"email":2}"#),
        (r#"{"mail":1,"mail":2}"#, r#"{"email":1}"#),
        (r#"{"m\u0061il":{"mail":1}}"#, r#"{"email":{"mail":1}}"#),
        (r#"["mail"]"#, r#"["mail"]"#),
    ] {
        assert_eq!(
            run(rename("/mail", "email"), text).unwrap(),
            result,
            "{text}"
        );
    }
    // Only capitals differ.
    assert_eq!(run(rename("/a", "A"), r#"{"a":1}"#).unwrap(), r#"{"A":1}"#);
    let masked = vec![
        Operation::rename(at("/a"), "b\"").unwrap(),
        Operation::mask(at("/a"), "*"),
    ];
    assert_eq!(run(masked, r#"{"a":1}"#).unwrap(), r#"{"b\"":"*"}"#);
    assert!(Operation::rename(at("/a/*"), "b").is_none());
    let pair = |one: &str, to: &str, other: &str, other_to: &str| {
        let rename = |from, to| Operation::rename(at(from), to).unwrap();
        rename(one, to).is_at_odds_with(&rename(other, other_to))
    };
    for (one, to, other, other_to, is_at_odds) in [
        ("/a", "x", "/b", "x", true),
        ("/a", "b", "/b", "c", true),
        ("/a", "b", "/a", "c", true),
        ("/a", "x", "/**/b", "x", true),
        ("/a", "x", "/b", "y", false),
        ("/a", "x", "/c/b", "x", false),
    ] {
        assert_eq!(pair(one, to, other, other_to), is_at_odds, "{one} {other}");
    }
}

#[test]
fn any_depth_reaches_every_level() {
    let mask = || vec![Operation::mask(at("/**/ssn"), "***")];
    assert_eq!(
        run(
            mask(),
            r#"{"ssn":1,"a":[{"ssn":2},[[{"b":{"ssn":{"ssn":3}}}]]],"ss":4}"#
        )
        .unwrap(),
        r#"{"ssn":"***","a":[{"ssn":"***"},[[{"b":{"ssn":"***"}}]]],"ss":4}"#
    );
    let below = vec![Operation::remove(at("/a/**/0/x"))];
    assert_eq!(
        run(below, r#"{"a":[{"x":1},[{"x":2}]],"b":[{"x":3}]}"#).unwrap(),
        r#"{"a":[{},[{}]],"b":[{"x":3}]}"#
    );
}

#[test]
fn the_first_operation_decides_and_an_outer_one_goes_before_an_inner() {
    let masked = vec![Operation::mask(at("/a"), "x"), Operation::remove(at("/a"))];
    assert_eq!(run(masked, r#"{"a":1}"#).unwrap(), r#"{"a":"x"}"#);
    let removed = vec![
        Operation::remove(at("/a")),
        Operation::set(at("/a"), &json!(1)),
    ];
    assert_eq!(run(removed, r#"{"a":1,"b":2}"#).unwrap(), r#"{"b":2}"#);
    let outer = vec![
        Operation::mask(at("/a/b"), "x"),
        Operation::remove(at("/a")),
    ];
    assert_eq!(run(outer, r#"{"a":{"b":1}}"#).unwrap(), "{}");
}

// Behind a body that ends by trailers nothing can be written any more.
#[test]
fn nothing_is_held_back_once_the_document_has_closed() {
    let mut rewriter = start(vec![Operation::remove(at("/a"))]);
    let mut out = Vec::new();
    rewriter.push(br#"{"b":1,"a":2"#, &mut out).unwrap();
    assert!(!rewriter.is_complete());
    rewriter.push(b"}", &mut out).unwrap();
    assert!(rewriter.is_complete());
    assert_eq!(out, br#"{"b":1}"#);
    rewriter.push(b" \n", &mut out).unwrap();
    assert_eq!(out, b"{\"b\":1} \n");
    let broken = rewriter.push(b"x", &mut out).unwrap_err();
    assert_eq!((broken.fault(), broken.offset()), (Fault::TrailingData, 15));
    assert_eq!(rewriter.push(b" ", &mut out), Err(broken));
    assert!(!rewriter.is_complete());
}

#[test]
fn what_is_broken_says_how() {
    let depth = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(run(vec![], &depth(64)).is_ok());
    for (text, broken) in [
        (depth(65).as_str(), Fault::TooDeep),
        (&"[".repeat(100_000), Fault::TooDeep),
        ("", Fault::Incomplete),
        (" ", Fault::Incomplete),
        ("-", Fault::Incomplete),
        (r#"{"a""#, Fault::Incomplete),
        ("\u{feff}{}", Fault::Syntax),
        ("{} {}", Fault::TrailingData),
        ("[1,]", Fault::Syntax),
        (r#"{"a":1,}"#, Fault::Syntax),
        ("{'a':1}", Fault::Syntax),
        ("01", Fault::TrailingData),
        ("1 2", Fault::TrailingData),
    ] {
        assert_eq!(run(vec![], text), Err(broken), "{text:.20}");
    }
    for bytes in [
        &b"\"\xff\""[..],
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xc3\"",
    ] {
        let pushed = start(vec![]).push(bytes, &mut Vec::new());
        assert_eq!(pushed.unwrap_err().fault(), Fault::NotUtf8, "{bytes:x?}");
    }
}

// One reader drops the half pair and finds the name, another keeps it and does not.
#[test]
fn half_a_pair_is_refused_in_a_key_that_matters_and_passes_elsewhere() {
    let mask = || vec![Operation::mask(at("/a/long-name"), "x")];
    for key in [
        r"\ud83d",
        r"\ude00",
        r"\ud83dx",
        r"\ud83dx\ude00",
        r"\ud83d\ud83d",
        r"\ud83d\n",
    ] {
        let text = format!(r#"{{"a":{{"{key}":1}}}}"#);
        assert_eq!(run(mask(), &text), Err(Fault::LoneSurrogate), "{key}");
    }
    for text in [
        r#"{"b":{"\ud83d":"\ud83d"}}"#,
        r#"{"a":{"\ud83d\ude00":"\ud83d"}}"#,
    ] {
        assert_eq!(run(mask(), text).unwrap(), text);
    }
}

// A client chooses how long keys, values and blanks are; memory is the worker's.
#[test]
fn what_is_held_is_bounded() {
    let mut rewriter = start(vec![
        Operation::remove(at("/a/b")),
        Operation::mask(at("/m"), "x"),
    ]);
    let mut out = Vec::new();
    let piece = vec![b'k'; 1 << 16];
    let blanks = vec![b' '; 1 << 16];
    rewriter.push(b"{\"", &mut out).unwrap();
    for _ in 0..64 {
        let before = out.len();
        rewriter.push(&piece, &mut out).unwrap();
        assert!(
            out.len() + 64 > before + piece.len(),
            "a long key goes on as it comes"
        );
    }
    rewriter.push(b"\":1,", &mut out).unwrap();
    let before = out.len();
    for _ in 0..64 {
        rewriter.push(&blanks, &mut out).unwrap();
    }
    rewriter.push(b"\"m\":\"", &mut out).unwrap();
    assert!(out.len() <= before + 1 + JsonRewriter::MAX_BLANKS + 8);
    let before = out.len();
    for _ in 0..64 {
        rewriter.push(&piece, &mut out).unwrap();
    }
    rewriter.push(b"\"}", &mut out).unwrap();
    assert_eq!(
        out.len(),
        before + 1,
        "a masked value is dropped as it comes"
    );
    assert!(rewriter.is_complete());
    assert!(rewriter.held_bytes() < 8 << 10, "{}", rewriter.held_bytes());
}

// Few bytes of a client's make many of the operator's: the answer is the worker's memory.
#[test]
fn what_operations_write_is_bounded() {
    let value = json!("x".repeat(4096));
    let cases = [
        (Operation::set(at("/*"), &value), "0,"),
        (Operation::set(at("/*/a"), &value), "{},"),
        (Operation::mask(at("/*"), "x".repeat(4096).as_str()), "0,"),
        (
            Operation::mask(at("/*/a"), "x".repeat(4096).as_str()),
            r#"{"a":0},"#,
        ),
    ];
    for (operation, element) in cases {
        let mut rewriter = start(vec![operation]);
        let mut out = Vec::new();
        rewriter.push(b"[", &mut out).unwrap();
        let piece = element.repeat(1 << 12);
        let pushed = (0..64).try_for_each(|_| rewriter.push(piece.as_bytes(), &mut out));
        assert_eq!(pushed.unwrap_err().fault(), Fault::TooLong);
        assert!(out.len() < 4 << 20, "{}", out.len());
    }
    // As much as a person may want is no flood.
    let mut rewriter = start(vec![Operation::mask(at("/*"), "hidden by policy")]);
    let mut out = Vec::new();
    let text = format!("[{}0]", "0,".repeat(1 << 17));
    rewriter.push(text.as_bytes(), &mut out).unwrap();
    rewriter.finish().unwrap();
}

// One program serves all messages: a value of one must not get into another, nor an operation that is not for it run.
#[test]
fn a_message_has_values_and_operations_of_its_own() {
    let program = Rc::new(
        Program::new(vec![
            Operation::set(at("/who"), Slot(0)),
            Operation::mask(at("/email"), "***"),
            Operation::add(at("/n"), Slot(1)),
        ])
        .unwrap(),
    );
    let run = |bindings: Bindings| {
        let mut rewriter = JsonRewriter::new(Rc::clone(&program), bindings);
        let mut out = Vec::new();
        rewriter.push(br#"{"email":"a"}"#, &mut out).unwrap();
        rewriter.finish().unwrap();
        String::from_utf8(out).unwrap()
    };
    let values = || Bindings::new([json!("al\"ice"), json!({"a": [1]})]);
    assert_eq!(
        run(values()),
        r#"{"email":"***","who":"al\"ice","n":{"a":[1]}}"#
    );
    let mut without_mask = values();
    without_mask.leave_out(1);
    without_mask.leave_out(2);
    assert_eq!(run(without_mask), r#"{"email":"a","who":"al\"ice"}"#);
    assert_eq!(
        run(Bindings::default()),
        r#"{"email":"***","who":null,"n":null}"#
    );
}
