//! What users of other gateways know, or trip over, case by case: the documented answer to each.

use std::rc::Rc;

use json_stream::{
    Bindings, DuplicateMembers, Fault, HashKey, JsonRewriter, Kind, Limits, Operation, Pointer,
    Program,
};
use serde_json::json;

fn at(path: &str) -> Pointer {
    match path {
        "" => Pointer::root(),
        path => Pointer::parse(path).unwrap(),
    }
}

fn run(operations: &[Operation], text: &str) -> Result<String, Fault> {
    let limits = Limits {
        duplicate_members: DuplicateMembers::Refuse { key: [5; 16] },
        ..Limits::default()
    };
    let by = |size: usize| {
        let program = Program::new(operations.to_vec())
            .unwrap()
            .with_limits(limits);
        let mut rewriter = JsonRewriter::new(Rc::new(program), Bindings::default());
        let mut out = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            rewriter
                .push(chunk, &mut out)
                .map_err(|broken| broken.fault())?;
        }
        rewriter.finish().map_err(|broken| broken.fault())?;
        Ok(String::from_utf8(out).unwrap())
    };
    let whole = by(text.len().max(1));
    assert_eq!(by(1), whole, "{text}");
    whole
}

fn hash(path: &str) -> Operation {
    Operation::hash(at(path), HashKey::new(b"Jefe".to_vec()))
}

/// HMAC-SHA-256 under `Jefe`; the first is test case 2 of RFC 4231.
const OF_RFC_4231: &str = "\"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\"";

#[test]
fn each_case_has_its_documented_answer() {
    let remove = |path| Operation::remove(at(path));
    let mask = |path| Operation::mask(at(path), "***");
    let last = |path, shown| Operation::mask_but_last(at(path), "***", shown).unwrap();
    let set = |path| Operation::set(at(path), &json!(1));
    let add = |path| Operation::add(at(path), &json!(1));
    let rename = |path, to| Operation::rename(at(path), to).unwrap();
    let keep = |path, names: &[&str]| {
        Operation::keep_only(
            at(path),
            names.iter().map(|name| (*name).to_owned()).collect(),
        )
    };
    let convert = |path, to| Operation::convert(at(path), to);
    let to_number = |path| convert(path, Kind::Number);
    let to_string = |path| convert(path, Kind::String);
    let to_boolean = |path| convert(path, Kind::Boolean);
    let cases: Vec<(&str, Vec<Operation>, &str, &str)> = vec![
        // What no operation means stays, to the byte.
        (
            "empty arrays stay arrays",
            vec![mask("/x")],
            r#"{"a":[],"b":{}}"#,
            r#"{"a":[],"b":{}}"#,
        ),
        (
            "a removal may empty an array",
            vec![remove("/a/0")],
            r#"{"a":[1]}"#,
            r#"{"a":[]}"#,
        ),
        (
            "a removal may empty an object",
            vec![remove("/a/b")],
            r#"{"a":{"b":1}}"#,
            r#"{"a":{}}"#,
        ),
        (
            "a decimal point stays",
            vec![mask("/x")],
            r#"{"a":1.0,"b":1.10}"#,
            r#"{"a":1.0,"b":1.10}"#,
        ),
        (
            "a number beyond every float stays",
            vec![mask("/x")],
            r#"{"a":1e400,"b":-1E+400}"#,
            r#"{"a":1e400,"b":-1E+400}"#,
        ),
        (
            "the sign of zero stays",
            vec![mask("/x")],
            r#"{"a":-0,"b":-0.0}"#,
            r#"{"a":-0,"b":-0.0}"#,
        ),
        (
            "an integer of twenty digits stays",
            vec![mask("/x")],
            r#"{"a":12345678901234567890}"#,
            r#"{"a":12345678901234567890}"#,
        ),
        (
            "escapes stay as they are written",
            vec![mask("/x")],
            r#"{"\u0061\/":"\u00e9\/\ud83d\ude00"}"#,
            r#"{"\u0061\/":"\u00e9\/\ud83d\ude00"}"#,
        ),
        (
            "letters beyond ASCII stay unescaped",
            vec![mask("/x")],
            r#"{"é":"😀"}"#,
            r#"{"é":"😀"}"#,
        ),
        (
            "the order of members stays",
            vec![mask("/x")],
            r#"{"b":1,"a":2,"10":3,"9":4}"#,
            r#"{"b":1,"a":2,"10":3,"9":4}"#,
        ),
        (
            "indentation stays",
            vec![mask("/b")],
            "{\n\t\"a\" : 1,\r\n\t\"b\" : 2\n}\n",
            "{\n\t\"a\" : 1,\r\n\t\"b\" : \"***\"\n}\n",
        ),
        (
            "null is a value",
            vec![mask("/a")],
            r#"{"a":null}"#,
            r#"{"a":"***"}"#,
        ),
        ("a document may be no object", vec![mask("/a")], "17", "17"),
        ("null may be all of it", vec![set("/a")], "null", "null"),
        // Places.
        (
            "a place that is not there is no fault",
            vec![remove("/a/b/c")],
            r#"{"a":{"x":1}}"#,
            r#"{"a":{"x":1}}"#,
        ),
        (
            "a name with a dot is one name",
            vec![mask("/a.b")],
            r#"{"a.b":1,"a":{"b":2}}"#,
            r#"{"a.b":"***","a":{"b":2}}"#,
        ),
        (
            "an index is an element",
            vec![mask("/a/1")],
            r#"{"a":[1,2]}"#,
            r#"{"a":[1,"***"]}"#,
        ),
        (
            "an index is a member too",
            vec![mask("/a/1")],
            r#"{"a":{"1":2}}"#,
            r#"{"a":{"1":"***"}}"#,
        ),
        (
            "an index beyond the end adds nothing",
            vec![set("/a/2")],
            r#"{"a":[1,2]}"#,
            r#"{"a":[1,2]}"#,
        ),
        (
            "a star is every element and member",
            vec![mask("/*/b")],
            r#"[{"b":1},{"b":2}]"#,
            r#"[{"b":"***"},{"b":"***"}]"#,
        ),
        (
            "two stars are any depth",
            vec![mask("/**/b")],
            r#"{"b":1,"a":[{"b":{"b":2}}]}"#,
            r#"{"b":"***","a":[{"b":"***"}]}"#,
        ),
        (
            "names are compared by capitals",
            vec![mask("/email")],
            r#"{"Email":1,"email":2}"#,
            r#"{"Email":1,"email":"***"}"#,
        ),
        (
            "names are compared without escapes",
            vec![mask("/email")],
            r#"{"\u0065mail":1}"#,
            r#"{"\u0065mail":"***"}"#,
        ),
        // Order.
        (
            "paths are those of the document as it came",
            vec![rename("/a", "b"), mask("/b")],
            r#"{"a":1}"#,
            r#"{"b":1}"#,
        ),
        (
            "a mask goes with its value under the new name",
            vec![rename("/a", "b"), mask("/a")],
            r#"{"a":1}"#,
            r#"{"b":"***"}"#,
        ),
        (
            "the first of two decides",
            vec![mask("/a"), remove("/a")],
            r#"{"a":1}"#,
            r#"{"a":"***"}"#,
        ),
        (
            "what takes a value takes what is in it",
            vec![mask("/a/b"), remove("/a")],
            r#"{"a":{"b":1},"c":2}"#,
            r#"{"c":2}"#,
        ),
        (
            "what was removed is not added again",
            vec![remove("/a"), add("/a")],
            r#"{"a":1}"#,
            "{}",
        ),
        // set, add.
        (
            "set replaces",
            vec![set("/a")],
            r#"{"a":[2]}"#,
            r#"{"a":1}"#,
        ),
        (
            "set adds at the end",
            vec![set("/a")],
            r#"{"b":2}"#,
            r#"{"b":2,"a":1}"#,
        ),
        (
            "set makes no parent",
            vec![set("/a/b")],
            r#"{"c":1}"#,
            r#"{"c":1}"#,
        ),
        (
            "set puts no member into an array",
            vec![set("/a/b")],
            r#"{"a":[]}"#,
            r#"{"a":[]}"#,
        ),
        (
            "add never changes",
            vec![add("/a")],
            r#"{"a":2}"#,
            r#"{"a":2}"#,
        ),
        (
            "add takes null for a value",
            vec![add("/a")],
            r#"{"a":null}"#,
            r#"{"a":null}"#,
        ),
        (
            "add adds into an empty object",
            vec![add("/a")],
            "{ }",
            r#"{ "a":1}"#,
        ),
        (
            "a mask never adds",
            vec![mask("/a")],
            r#"{"b":1}"#,
            r#"{"b":1}"#,
        ),
        // rename.
        (
            "rename keeps the place",
            vec![rename("/a", "c")],
            r#"{"a":1,"b":2}"#,
            r#"{"c":1,"b":2}"#,
        ),
        (
            "rename onto a name that comes later: the first stays",
            vec![rename("/a", "b")],
            r#"{"a":1,"b":2}"#,
            r#"{"b":1}"#,
        ),
        (
            "rename onto a name that came before: the first stays",
            vec![rename("/a", "b")],
            r#"{"b":2,"a":1}"#,
            r#"{"b":2}"#,
        ),
        (
            "rename may change capitals alone",
            vec![rename("/userId", "userID")],
            r#"{"userId":1}"#,
            r#"{"userID":1}"#,
        ),
        (
            "rename to its own name is nothing",
            vec![rename("/a", "a")],
            r#"{"a":1}"#,
            r#"{"a":1}"#,
        ),
        (
            "rename escapes the new name",
            vec![rename("/a", "\"\n")],
            r#"{"a":1}"#,
            r#"{"\"\n":1}"#,
        ),
        // keep_only.
        (
            "keep_only leaves what it names",
            vec![keep("", &["a"])],
            r#"{"a":{"b":1},"c":2}"#,
            r#"{"a":{"b":1}}"#,
        ),
        (
            "keep_only adds nothing",
            vec![keep("", &["a"])],
            r#"{"c":2}"#,
            "{}",
        ),
        (
            "keep_only of an array leaves nothing",
            vec![keep("/a", &["b"])],
            r#"{"a":[{"b":1}]}"#,
            r#"{"a":[]}"#,
        ),
        (
            "keep_only of each element",
            vec![keep("/*", &["b"])],
            r#"[{"b":1,"c":2}]"#,
            r#"[{"b":1}]"#,
        ),
        // Masks that show the end.
        (
            "the last characters stay",
            vec![last("/a", 4)],
            r#"{"a":"4111111111111111"}"#,
            r#"{"a":"***1111"}"#,
        ),
        (
            "half of a value may stay",
            vec![last("/a", 2)],
            r#"{"a":"abcd"}"#,
            r#"{"a":"***cd"}"#,
        ),
        (
            "no more than half",
            vec![last("/a", 2)],
            r#"{"a":"abc"}"#,
            r#"{"a":"***"}"#,
        ),
        (
            "an empty string shows nothing",
            vec![last("/a", 1)],
            r#"{"a":""}"#,
            r#"{"a":"***"}"#,
        ),
        (
            "characters are not bytes",
            vec![last("/a", 2)],
            r#"{"a":"éé😀é"}"#,
            r#"{"a":"***😀é"}"#,
        ),
        (
            "an escape is a character",
            vec![last("/a", 1)],
            r#"{"a":"a\u0062\"\u00e9"}"#,
            r#"{"a":"***é"}"#,
        ),
        (
            "a shown quote is escaped",
            vec![last("/a", 1)],
            r#"{"a":"aaa\u0022"}"#,
            r#"{"a":"***\""}"#,
        ),
        (
            "digits of a number",
            vec![last("/a", 4)],
            r#"{"a":4111111111111234}"#,
            r#"{"a":"***1234"}"#,
        ),
        (
            "digits around a point",
            vec![last("/a", 3)],
            r#"{"a":-1234.56}"#,
            r#"{"a":"***456"}"#,
        ),
        (
            "nothing of a container",
            vec![last("/a", 1)],
            r#"{"a":[1,"secret"]}"#,
            r#"{"a":"***"}"#,
        ),
        (
            "nothing of true",
            vec![last("/a", 1)],
            r#"{"a":true}"#,
            r#"{"a":"***"}"#,
        ),
        // Hashes.
        (
            "a hash is that of the text",
            vec![hash("/a")],
            r#"{"a":"what do ya want for nothing?"}"#,
            OF_RFC_4231,
        ),
        (
            "and not of how it is written",
            vec![hash("/a")],
            r#"{"a":"what do ya want\u0020for nothing\u003f"}"#,
            OF_RFC_4231,
        ),
        (
            "a number is hashed as it is written",
            vec![hash("/a")],
            r#"{"a":17.0}"#,
            r#""97ef40efe045cd4fd99f6e8eb9d994d05e4be6717c6bfab692e8e4c2dd5a3bd4""#,
        ),
        // convert.
        (
            "a number becomes a string of its digits",
            vec![to_string("/a")],
            r#"{"a":1.0}"#,
            r#"{"a":"1.0"}"#,
        ),
        (
            "a boolean becomes a string",
            vec![to_string("/a")],
            r#"{"a":true}"#,
            r#"{"a":"true"}"#,
        ),
        (
            "null becomes nothing",
            vec![to_string("/a")],
            r#"{"a":null}"#,
            r#"{"a":null}"#,
        ),
        (
            "containers are not converted",
            vec![to_string("/*")],
            r#"{"a":[1],"b":{}}"#,
            r#"{"a":[1],"b":{}}"#,
        ),
        (
            "what is in them is not hidden less",
            vec![to_string("/a"), mask("/a/b")],
            r#"{"a":{"b":1}}"#,
            r#"{"a":{"b":"***"}}"#,
        ),
        (
            "a mask goes before a conversion",
            vec![to_string("/a"), mask("/a")],
            r#"{"a":1}"#,
            r#"{"a":"***"}"#,
        ),
        (
            "a string becomes the number that it is",
            vec![to_number("/a")],
            r#"{"a":"12.50"}"#,
            r#"{"a":12.50}"#,
        ),
        (
            "with its escapes read",
            vec![to_number("/a")],
            r#"{"a":"\u0031\u0032"}"#,
            r#"{"a":12}"#,
        ),
        (
            "a number with zeros in front stays a string",
            vec![to_number("/a")],
            r#"{"a":"007"}"#,
            r#"{"a":"007"}"#,
        ),
        (
            "a number among blanks stays a string",
            vec![to_number("/a")],
            r#"{"a":" 7"}"#,
            r#"{"a":" 7"}"#,
        ),
        (
            "an empty string stays",
            vec![to_number("/a")],
            r#"{"a":""}"#,
            r#"{"a":""}"#,
        ),
        (
            "a boolean is no number",
            vec![to_number("/a")],
            r#"{"a":true,"b":"true"}"#,
            r#"{"a":true,"b":"true"}"#,
        ),
        (
            "a string becomes the boolean that it is",
            vec![to_boolean("/*")],
            r#"["true","false"]"#,
            "[true,false]",
        ),
        (
            "other words stay strings",
            vec![to_boolean("/*")],
            r#"["True","yes","1","",1,0]"#,
            r#"["True","yes","1","",1,0]"#,
        ),
    ];
    for (name, operations, text, result) in &cases {
        let out = run(operations, text).unwrap();
        match result.len() == OF_RFC_4231.len() {
            true => assert!(out.contains(result), "{name}: {out}"),
            false => assert_eq!(&out, result, "{name}: {text}"),
        }
    }
    assert!(cases.len() >= 60);
}

#[test]
fn what_is_refused() {
    let mask = [Operation::mask(at("/x"), "***")];
    for (name, text, fault) in [
        ("a byte order mark", "\u{feff}{}", Fault::Syntax),
        ("a member twice", r#"{"a":1,"a":2}"#, Fault::DuplicateMember),
        (
            "a member twice, once with an escape",
            r#"{"a":1,"\u0061":2}"#,
            Fault::DuplicateMember,
        ),
        (
            "a member twice, further in",
            r#"{"b":[{"a":1,"c":{},"a":2}]}"#,
            Fault::DuplicateMember,
        ),
        (
            "a member twice in what is masked",
            r#"{"x":{"a":1,"a":2}}"#,
            Fault::DuplicateMember,
        ),
        (
            "half a pair is the character that replaces it",
            r#"{"b":{"\ud83d":1,"\ufffd":2}}"#,
            Fault::DuplicateMember,
        ),
        (
            "a long name twice",
            r#"{"a name of many letters":1,"a name of many l\u0065tters":2}"#,
            Fault::DuplicateMember,
        ),
        ("two documents", "{}{}", Fault::TrailingData),
        ("a comma at the end", "[1,]", Fault::Syntax),
        ("a comment", "{/* */}", Fault::Syntax),
        ("single quotes", "{'a':1}", Fault::Syntax),
        ("a line end in a string", "[\"a\nb\"]", Fault::Syntax),
        ("a plus sign", "[+1]", Fault::Syntax),
        ("not a number", "[NaN]", Fault::Syntax),
        ("no document", "", Fault::Incomplete),
        ("half a document", r#"{"a":"#, Fault::Incomplete),
        (
            "a hundred thousand levels",
            &"[".repeat(100_000),
            Fault::TooDeep,
        ),
    ] {
        assert_eq!(run(&mask, text), Err(fault), "{name}");
    }
    let fine = r#"{"a":{"a":1},"b":[{"a":1},{"a":2}],"A":3,"a ":4,"":5}"#;
    assert_eq!(run(&mask, fine).as_deref(), Ok(fine));
}

// A client that is told where can mend it; what it is told must be no value, and the same however the network cut the body.
#[test]
fn a_fault_has_a_place() {
    let limits = Limits {
        max_bytes: 4000,
        max_depth: 4,
        max_members: 3,
        max_elements: 3,
        max_string: 300,
        duplicate_members: DuplicateMembers::Refuse { key: [5; 16] },
    };
    let long = "n".repeat(80);
    let shown = format!("/{}…/0", "n".repeat(64));
    let secret = "s3cret".repeat(60);
    for (text, fault, offset, pointer) in [
        (
            r#"{"a":{"b":[1,2,x]}}"#.to_owned(),
            Fault::Syntax,
            15,
            "/a/b/2",
        ),
        (
            r#"{"a":{"b/~":1,"b/~":2}}"#.to_owned(),
            Fault::DuplicateMember,
            19,
            "/a/b~1~0",
        ),
        (
            r#"{"a":1,"b":{},"c":[],"d":0}"#.to_owned(),
            Fault::TooManyMembers,
            21,
            "",
        ),
        (
            r#"{"aa":1,"bb":2,"cc":3,"dd":0}"#.to_owned(),
            Fault::TooManyMembers,
            22,
            "",
        ),
        (
            r#"{"a":[[1,2,3,4]]}"#.to_owned(),
            Fault::TooManyElements,
            13,
            "/a/0/3",
        ),
        (
            r#"{"a":[[[[1]]]]}"#.to_owned(),
            Fault::TooDeep,
            8,
            "/a/0/0/0",
        ),
        (
            format!(r#"{{"a":"{secret}"}}"#),
            Fault::TooLongString,
            306,
            "/a",
        ),
        (
            format!(r#"{{"bb":"{secret}"}}"#),
            Fault::TooLongString,
            307,
            "/bb",
        ),
        (
            format!(r#"{{"x":"{secret}"}}"#),
            Fault::TooLongString,
            306,
            "/x",
        ),
        (
            format!(r#"{{"{secret}":1}}"#),
            Fault::TooLongString,
            302,
            "",
        ),
        (
            format!(r#"{{"a":1}}{}"#, " ".repeat(4000)),
            Fault::TooLarge,
            4000,
            "",
        ),
        (
            r#"{"\u0061b":"s3cret"#.to_owned(),
            Fault::Incomplete,
            18,
            "/ab",
        ),
        (
            r#"{"a":{},"b" "s3cret"}"#.to_owned(),
            Fault::Syntax,
            12,
            "/b",
        ),
        (format!(r#"{{"{long}":[tru]}}"#), Fault::Syntax, 88, &shown),
        ("\"\u{e9}\\x\"".to_owned(), Fault::Syntax, 4, ""),
    ] {
        for size in [1, 2, 3, 7, 100, text.len()] {
            let program = Program::new(vec![Operation::mask(at("/x"), "")]).unwrap();
            let program = Rc::new(program.with_limits(limits));
            let mut rewriter = JsonRewriter::new(program, Bindings::default());
            let pushed = text
                .as_bytes()
                .chunks(size)
                .try_for_each(|chunk| rewriter.push(chunk, &mut Vec::new()));
            let broken = pushed.and_then(|()| rewriter.finish()).unwrap_err();
            assert_eq!(
                (broken.fault(), broken.offset(), broken.pointer()),
                (fault, offset, pointer),
                "{text} by {size}"
            );
            assert_eq!(broken.is_limit(), fault.is_limit());
            assert!(!broken.to_string().contains("s3cret"), "{broken}");
        }
    }
}

// 64 MiB in one string, 100,000 levels, bytes one by one: what a worker holds is a chunk and the way to it.
#[test]
fn what_is_held_is_a_chunk_and_the_way_to_it() {
    let limits = Limits {
        duplicate_members: DuplicateMembers::Refuse { key: [5; 16] },
        ..Limits::default()
    };
    let operations = vec![
        Operation::mask_but_last(at("/last"), "***", 4).unwrap(),
        hash("/hash"),
        Operation::convert(at("/number"), Kind::Number),
        Operation::mask(at("/mask"), "***"),
        Operation::remove(at("/remove")),
    ];
    let program = Program::new(operations).unwrap().with_limits(limits);
    let mut rewriter = JsonRewriter::new(Rc::new(program), Bindings::default());
    let piece = format!("{}é", "4".repeat(64 * 1024 - 2));
    let mut out = Vec::new();
    for (index, name) in ["last", "hash", "number", "mask", "remove", "as it is"]
        .into_iter()
        .enumerate()
    {
        let comma = if index == 0 { "{" } else { "," };
        rewriter
            .push(format!("{comma}\"{name}\":\"").as_bytes(), &mut out)
            .unwrap();
        // One of 64 MiB, the others of eight.
        for _ in 0..(if index == 0 { 1024 } else { 128 }) {
            out.clear();
            rewriter.push(piece.as_bytes(), &mut out).unwrap();
            assert!(
                rewriter.held_bytes() < 4096,
                "{name}: {}",
                rewriter.held_bytes()
            );
            assert!(out.len() <= piece.len() + 512);
        }
        rewriter.push(b"\"", &mut out).unwrap();
    }
    rewriter.push(b"}", &mut out).unwrap();
    rewriter.finish().unwrap();

    let deep = Limits {
        max_depth: Limits::MOST_DEPTH,
        ..limits
    };
    let name = "a".repeat(1000);
    let level = format!("{{\"{name}\":");
    let most_of = |path| {
        let program = Program::new(vec![Operation::mask(at(path), "")]).unwrap();
        let program = Rc::new(program.with_limits(deep));
        let mut rewriter = JsonRewriter::new(program, Bindings::default());
        let mut most = 0;
        let pushed = (0..100_000).try_for_each(|_| {
            let pushed = level
                .bytes()
                .try_for_each(|byte| rewriter.push(&[byte], &mut Vec::new()));
            most = most.max(rewriter.held_bytes());
            pushed
        });
        assert_eq!(pushed.unwrap_err().fault(), Fault::TooDeep);
        most
    };
    let most = most_of("/**/x");
    assert!(most < 512 * 512 + 4096, "{most}");
    // What applies at each level is told as well: what is not told is not bounded.
    let at_one_level = most_of("/x");
    assert!(most > at_one_level + 512 * 64, "{most} {at_one_level}");
}

// Members that stay are read many at a time. That must end where a comma has to go, one is meant, or a name comes again.
#[test]
fn a_row_of_plain_members_ends_where_something_is_to_be_done() {
    let remove = |path| Operation::remove(at(path));
    let mask = |path| Operation::mask(at(path), "***");
    let cases = [
        (
            remove("/a"),
            r#"{"a":1,"b":2,"c":3}"#,
            Ok(r#"{"b":2,"c":3}"#),
        ),
        (
            remove("/a"),
            r#"{"bb":1,"a":2,"cc":3,"a":4}"#,
            Err(Fault::DuplicateMember),
        ),
        (
            remove("/*/a"),
            r#"[{"a":1,"bb":2},{"bb":2,"a":{}},{"a":0}]"#,
            Ok(r#"[{"bb":2},{"bb":2},{}]"#),
        ),
        (
            mask("/**/a"),
            r#"{"bb":{"cc":[1,{"a":"x","dd":[{"a":null}]}]},"ee":-1.5e3,"a":true}"#,
            Ok(r#"{"bb":{"cc":[1,{"a":"***","dd":[{"a":"***"}]}]},"ee":-1.5e3,"a":"***"}"#),
        ),
        (
            mask("/*/1"),
            r#"[["x","y","z"],{"1":"x","22":"y"}]"#,
            Ok(r#"[["x","***","z"],{"1":"***","22":"y"}]"#),
        ),
        (
            mask("/a"),
            r#"{"bb":1,"\u0062b":2}"#,
            Err(Fault::DuplicateMember),
        ),
        (
            mask("/a"),
            "{\"bb\":1 ,\n \"cc\" : \"\u{e9}\",\"a\":\"\u{e9}\"}",
            Ok("{\"bb\":1 ,\n \"cc\" : \"\u{e9}\",\"a\":\"***\"}"),
        ),
        (mask("/a"), r#"{"bb":01}"#, Err(Fault::Syntax)),
        (mask("/a"), r#"{"bb":1.,"cc":2}"#, Err(Fault::Syntax)),
        (mask("/a"), r#"{"a":-,"cc":2}"#, Err(Fault::Syntax)),
        (mask("/a"), r#"{"bb"1}"#, Err(Fault::Syntax)),
        (mask("/a"), r#"{"bb":1,"cc""x"}"#, Err(Fault::Syntax)),
        (mask("/a"), r#"{"bb":1,}"#, Err(Fault::Syntax)),
        (mask("/a"), r#"{"a":"x""bb":1}"#, Err(Fault::Syntax)),
    ];
    for (operation, text, expected) in cases {
        let expected = expected.map(str::to_owned);
        assert_eq!(run(&[operation], text), expected, "{text}");
    }
}
