//! Bodies, plain and coded, by chunks of every size.

use content_coding::{Caps, Coding, Decoder, Encoder, Form, Step};
use http_message::content::JsonForm;
use json_stream::{Operation, Pointer};
use proptest::prelude::*;

use super::*;
use crate::config::Outgoing;

const DOCUMENT: &str = r#"{"a": "secret", "b": [1, 2, 3], "c": "text"}"#;
const REWRITTEN: &str = r#"{"a": "x", "b": [1, 2, 3], "c": "text"}"#;

fn program() -> Rc<Program> {
    let mask = Operation::mask(Pointer::parse("/a").unwrap(), "x");
    Rc::new(Program::new(vec![mask]).unwrap())
}

fn plain(form: JsonForm) -> Reading {
    Reading { coding: None, form }
}

fn body(pass: bool) -> Body {
    Body::new(
        program(),
        Bindings::default(),
        pass,
        plain(JsonForm::Document),
        &CodingRule::default(),
    )
}

fn coded(form: Form, pass: bool, out: Outgoing) -> Body {
    let coding = match form {
        Form::Gzip => Coding::Gzip,
        Form::Zlib | Form::Raw => Coding::Deflate,
    };
    let rule = CodingRule {
        out,
        ..CodingRule::default()
    };
    Body::new(
        program(),
        Bindings::default(),
        pass,
        Reading {
            coding: Some(coding),
            form: JsonForm::Document,
        },
        &rule,
    )
}

/// What is wrong with the document, if that is what is.
fn document<T>(done: Result<T, BodyFault>) -> Option<Fault> {
    match done {
        Err(BodyFault::Document(broken)) => Some(broken.fault()),
        _ => None,
    }
}

/// One call, for a chunk that is no more than a part.
fn chunk(body: &mut Body, mut chunk: &[u8]) -> Result<Chunk, BodyFault> {
    body.chunk(&mut chunk)
}

/// What the adapter makes of the body: what goes on, or the fault.
fn send(mut body: Body, bytes: &[u8], size: usize) -> Result<(Vec<u8>, Ended), BodyFault> {
    let mut out = Vec::new();
    for chunk in bytes.chunks(size.max(1)) {
        let (mut rest, before) = (chunk, out.len());
        loop {
            match body.chunk(&mut rest)? {
                Chunk::Same => {
                    out.truncate(before);
                    out.extend_from_slice(chunk);
                }
                Chunk::Part(part) => {
                    out.extend(part);
                    continue;
                }
                Chunk::Replaced(part) => out.extend(part),
            }
            break;
        }
        assert!(rest.is_empty());
    }
    Ok((out, body.end()?))
}

fn encode(form: Form, text: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(form), Vec::new());
    encoder.push(text, &mut out).unwrap();
    encoder.end(&mut out).unwrap();
    out
}

fn decode(form: Form, mut coded: &[u8]) -> Vec<u8> {
    let coding = match form {
        Form::Gzip => Coding::Gzip,
        Form::Zlib | Form::Raw => Coding::Deflate,
    };
    let caps = Caps {
        max_bytes: u64::MAX,
        max_ratio: 1032,
    };
    let (mut decoder, mut out) = (Decoder::new(coding, caps), Vec::new());
    loop {
        match decoder.next(&mut coded).unwrap() {
            Step::Decoded(bytes, found) => {
                assert_eq!(found, form);
                out.extend_from_slice(bytes);
            }
            Step::Ended => {}
            Step::NeedsInput => break,
        }
    }
    decoder.finish().unwrap();
    out
}

const FORMS: [Form; 3] = [Form::Gzip, Form::Zlib, Form::Raw];

#[test]
fn a_body_without_a_byte_is_no_document() {
    for mut body in [body(false), coded(Form::Gzip, false, Outgoing::Same)] {
        assert!(matches!(
            chunk(&mut body, b""),
            Ok(Chunk::Same | Chunk::Replaced(_))
        ));
        assert_eq!(body.end(), Ok(Ended::Empty));
    }
}

// `content-length: 0`, and a body: a peer that reads it all the same would get it with everything in it.
#[test]
fn a_body_that_is_not_to_be_there_does_not_go_on() {
    let mut none = Body::absent();
    assert_eq!(chunk(&mut none, b""), Ok(Chunk::Same));
    let unannounced = Some(Fault::Unannounced);
    assert_eq!(document(chunk(&mut none, b"{}")), unannounced);
    assert_eq!(document(chunk(&mut none, b"{}")), unannounced);
    assert_eq!(Body::absent().end(), Ok(Ended::Empty));
}

// Half of a document changed and half not is neither what the upstream said nor what the rule says.
#[test]
fn pass_is_for_what_has_not_begun() {
    let syntax = Some(Fault::Syntax);
    let mut early = body(true);
    assert_eq!(chunk(&mut early, b"<html>"), Ok(Chunk::Same));
    assert_eq!(chunk(&mut early, b"{\"a\":1}"), Ok(Chunk::Same));
    assert_eq!(early.end(), Ok(Ended::Passed));
    let mut late = body(true);
    assert_eq!(
        chunk(&mut late, b"{\"a\":1"),
        Ok(Chunk::Replaced(b"{\"a\":\"x\"".to_vec()))
    );
    assert_eq!(document(chunk(&mut late, b"<html>")), syntax);
    assert_eq!(document(late.end()), syntax);
    assert_eq!(document(chunk(&mut body(false), b"<html>")), syntax);
}

// A client that inflates the answer must find what the rule has left, whole, wherever chunks end.
#[test]
fn a_coded_document_is_rewritten_and_coded_again() {
    for form in FORMS {
        let wire = encode(form, DOCUMENT.as_bytes());
        for size in 1..=wire.len() {
            let (out, ended) = send(coded(form, false, Outgoing::Same), &wire, size).unwrap();
            assert_eq!(ended, Ended::Rewritten);
            assert_eq!(decode(form, &out), REWRITTEN.as_bytes(), "{form:?} {size}");
            let (out, _) = send(coded(form, false, Outgoing::Identity), &wire, size).unwrap();
            assert_eq!(out, REWRITTEN.as_bytes(), "{form:?} {size}");
        }
    }
    // Members in, members out: also one whose end falls inside the document, and one of nothing.
    let (first, second) = DOCUMENT.split_at(9);
    let wire = [first, second, " ", "", "\n"].map(|text| encode(Form::Gzip, text.as_bytes()));
    let empty = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0";
    let wire = [&wire[0][..], empty, &wire[1], &wire[2], &wire[3], &wire[4]].concat();
    for size in 1..=wire.len() {
        let (out, _) = send(coded(Form::Gzip, false, Outgoing::Same), &wire, size).unwrap();
        let text = decode(Form::Gzip, &out);
        assert_eq!(text.trim_ascii(), REWRITTEN.as_bytes(), "{size}");
    }
}

// What is not whole must not end as if it were, nor what stands behind it go on.
#[test]
fn what_is_broken_inside_or_outside_is_cut() {
    for form in FORMS {
        for out in [Outgoing::Same, Outgoing::Identity] {
            let new = || coded(form, false, out);
            let wire = encode(form, DOCUMENT.as_bytes());
            for size in [1, 7, wire.len()] {
                let cut = &wire[..wire.len() - 1];
                assert_eq!(
                    send(new(), cut, size),
                    Err(BodyFault::Coding(content_coding::Fault::Incomplete))
                );
                let longer = [&wire[..], b"x"].concat();
                let trailing = Err(BodyFault::Coding(content_coding::Fault::TrailingData));
                assert_eq!(send(new(), &longer, size), trailing);
                for (text, fault) in [
                    ("{\"a\": 1", Fault::Incomplete),
                    ("{\"a\": 1}}", Fault::TrailingData),
                    ("<html>", Fault::Syntax),
                    ("\u{feff}{}", Fault::Syntax),
                ] {
                    let sent = send(new(), &encode(form, text.as_bytes()), size);
                    assert_eq!(document(sent), Some(fault), "{form:?} {text}");
                }
                let none = send(new(), b"{\"a\": 1}", size);
                assert!(none.is_err(), "{none:?}");
                assert!(send(new(), &wire, size).is_ok());
            }
        }
    }
    // Coded twice, and named so once.
    let twice = encode(Form::Gzip, &encode(Form::Gzip, DOCUMENT.as_bytes()));
    assert!(send(coded(Form::Gzip, false, Outgoing::Same), &twice, 100).is_err());
}

// What a rule lets pass goes on in the coding that its head announces.
#[test]
fn what_passes_has_the_coding_of_its_head() {
    let html = encode(Form::Gzip, b"<html>".repeat(9000).as_slice());
    for size in [20, 100, html.len()] {
        let sent = send(coded(Form::Gzip, true, Outgoing::Same), &html, size);
        // Where the first chunk holds nothing of the document, it has been read before it was seen to be none.
        match size {
            20 => assert_eq!(document(sent), Some(Fault::Syntax)),
            _ => assert_eq!(sent, Ok((html.clone(), Ended::Passed)), "{size}"),
        }
        let sent = send(coded(Form::Gzip, true, Outgoing::Identity), &html, size);
        match size {
            20 => assert!(sent.is_err()),
            _ => assert_eq!(sent, Ok((b"<html>".repeat(9000), Ended::Passed))),
        }
    }
    // No gzip at all: as it came, if the head still says gzip.
    let sent = send(coded(Form::Gzip, true, Outgoing::Same), b"<html>", 3);
    assert_eq!(sent, Ok((b"<html>".to_vec(), Ended::Passed)));
    assert!(send(coded(Form::Gzip, true, Outgoing::Identity), b"<html>", 3).is_err());
    // A bomb passes in no case.
    let bomb = encode(Form::Gzip, &vec![b'['; 1 << 20]);
    for out in [Outgoing::Same, Outgoing::Identity] {
        let rule = CodingRule {
            caps: Caps {
                max_bytes: 1000,
                max_ratio: 200,
            },
            out,
            ..CodingRule::default()
        };
        let body = Body::new(
            program(),
            Bindings::default(),
            true,
            Reading {
                coding: Some(Coding::Gzip),
                form: JsonForm::Document,
            },
            &rule,
        );
        let fault = send(body, &bomb, bomb.len()).unwrap_err();
        assert!(fault.is_cap(), "{fault:?}");
    }
}

// A chunk of some kilobytes that inflates to megabytes must not become megabytes of the worker's memory.
#[test]
fn a_chunk_goes_on_in_parts() {
    let rows: String = (0..40_000)
        .map(|id| format!("{{\"a\": {id}, \"b\": true}},"))
        .collect();
    let text = format!("{{\"a\": 1, \"rows\": [{rows}0]}}");
    let expected = text.replacen("\"a\": 1", "\"a\": \"x\"", 1);
    let wire = encode(Form::Gzip, text.as_bytes());
    for (out, most) in [
        (Outgoing::Same, Body::PART + (128 << 10)),
        (Outgoing::Identity, Body::PART + Decoder::SLICE + 16),
    ] {
        let mut body = coded(Form::Gzip, false, out);
        let (mut rest, mut sent, mut parts) = (&wire[..], Vec::new(), 0);
        loop {
            let next = body.chunk(&mut rest).unwrap();
            let (bytes, is_last) = match next {
                Chunk::Part(bytes) => (bytes, false),
                Chunk::Replaced(bytes) => (bytes, true),
                Chunk::Same => panic!("it is changed"),
            };
            assert!(bytes.len() <= most, "{}", bytes.len());
            parts += 1;
            sent.extend(bytes);
            if is_last {
                break;
            }
        }
        assert!(parts > 1, "{parts}");
        match out {
            Outgoing::Same => assert!(decode(Form::Gzip, &sent) == expected.as_bytes()),
            Outgoing::Identity => assert!(sent == expected.as_bytes()),
        }
        let held = match out {
            Outgoing::Same => Decoder::BYTES + Encoder::BYTES,
            Outgoing::Identity => Decoder::BYTES,
        };
        // And some for the document.
        assert!((held..held + 4096).contains(&body.held_bytes()));
        assert_eq!(body.end(), Ok(Ended::Rewritten));
    }
}

// A stream of updates is read as it comes: where the upstream has flushed, so does the gateway.
#[test]
fn what_was_flushed_goes_on_at_once() {
    for form in FORMS {
        let mut upstream = Encoder::new(form);
        let mut body = coded(form, false, Outgoing::Same);
        let coding = if form == Form::Gzip {
            Coding::Gzip
        } else {
            Coding::Deflate
        };
        let mut client = Decoder::new(coding, CodingRule::default().caps);
        let mut read = Vec::new();
        for (piece, expected) in [
            // Of a separator nobody knows yet whether it stays.
            ("[1, {\"a\": 1}, ", "[1, {\"a\": 1}"),
            ("2, ", "[1, {\"a\": 1}, 2"),
            ("3]", "[1, {\"a\": 1}, 2, 3]"),
        ] {
            let mut wire = Vec::new();
            upstream.push(piece.as_bytes(), &mut wire).unwrap();
            upstream.flush(&mut wire).unwrap();
            let Ok(Chunk::Replaced(out)) = chunk(&mut body, &wire) else {
                panic!("{form:?}")
            };
            let mut rest = &out[..];
            while let Step::Decoded(bytes, _) = client.next(&mut rest).unwrap() {
                read.extend_from_slice(bytes);
            }
            assert_eq!(String::from_utf8_lossy(&read), expected, "{form:?}");
        }
    }
}

/// What each form of several documents comes to, plain and coded.
const RECORDS: [(JsonForm, &str, &str); 3] = [
    (
        JsonForm::Lines,
        "{\"a\": 1}\n\n{\"b\": 2}\r\n{\"a\": [3]}",
        "{\"a\": \"x\"}\n\n{\"b\": 2}\r\n{\"a\": \"x\"}",
    ),
    (
        JsonForm::Sequence,
        "\u{1e}{\"a\": 1}\n\u{1e}{\"b\": 2}\n",
        "\u{1e}{\"a\": \"x\"}\n\u{1e}{\"b\": 2}\n",
    ),
    (
        JsonForm::Events,
        ": hello\n\nid: 1\ndata: {\"a\": 1}\n\nevent: x\ndata: {\"b\": 2}\n\ndata: [DONE]\n\n",
        ": hello\n\nid: 1\ndata: {\"a\": \"x\"}\n\nevent: x\ndata: {\"b\": 2}\n\ndata: [DONE]\n\n",
    ),
];

// Each document is one of its own, also in a coding, and in each the same is hidden.
#[test]
fn several_documents_are_edited_one_by_one() {
    for (form, text, expected) in RECORDS {
        for size in 1..=text.len() {
            let body = Body::new(
                program(),
                Bindings::default(),
                false,
                plain(form),
                &CodingRule::default(),
            );
            let (out, ended) = send(body, text.as_bytes(), size).unwrap();
            assert_eq!(String::from_utf8_lossy(&out), expected, "{form:?} {size}");
            assert_eq!(ended, Ended::Rewritten);
        }
        let wire = encode(Form::Gzip, text.as_bytes());
        let reading = Reading {
            coding: Some(Coding::Gzip),
            form,
        };
        for size in 1..=wire.len() {
            let body = Body::new(
                program(),
                Bindings::default(),
                false,
                reading,
                &CodingRule::default(),
            );
            let (out, _) = send(body, &wire, size).unwrap();
            let out = decode(Form::Gzip, &out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{form:?} {size}");
        }
    }
}

// A log of records compressed one by one: members stay members.
#[test]
fn members_of_records_stay_members() {
    let records = ["{\"a\": 1}\n", "{\"a\": 2}\n", "{\"b\": 3}\n"];
    let wire: Vec<u8> = records
        .iter()
        .flat_map(|record| encode(Form::Gzip, record.as_bytes()))
        .collect();
    let reading = Reading {
        coding: Some(Coding::Gzip),
        form: JsonForm::Lines,
    };
    for size in [1, 10, wire.len()] {
        let body = Body::new(
            program(),
            Bindings::default(),
            false,
            reading,
            &CodingRule::default(),
        );
        let (out, _) = send(body, &wire, size).unwrap();
        let text = decode(Form::Gzip, &out);
        let expected = "{\"a\": \"x\"}\n{\"a\": \"x\"}\n{\"b\": 3}\n";
        assert_eq!(String::from_utf8_lossy(&text), expected, "{size}");
    }
}

// A record that is there is for now, whether or not the upstream says so.
#[test]
fn each_record_goes_on_as_it_comes() {
    let (mut upstream, mut wire) = (Encoder::new(Form::Gzip), Vec::new());
    let reading = Reading {
        coding: Some(Coding::Gzip),
        form: JsonForm::Events,
    };
    let mut body = Body::new(
        program(),
        Bindings::default(),
        false,
        reading,
        &CodingRule::default(),
    );
    let mut client = Decoder::new(Coding::Gzip, CodingRule::default().caps);
    for event in 0..5 {
        wire.clear();
        let data = format!("data: {{\"a\": {event}}}\n\n");
        upstream.push(data.as_bytes(), &mut wire).unwrap();
        upstream.flush(&mut wire).unwrap();
        // Of another implementation the last bytes would be others.
        let (first, second) = wire.split_at(wire.len() - 2);
        let Ok(Chunk::Replaced(out)) = chunk(&mut body, first) else {
            panic!("{event}")
        };
        let mut rest = &out[..];
        let Ok(Step::Decoded(text, _)) = client.next(&mut rest) else {
            panic!("{event}")
        };
        assert_eq!(String::from_utf8_lossy(text), "data: {\"a\": \"x\"}\n\n");
        assert_eq!(client.next(&mut rest), Ok(Step::NeedsInput));
        assert_eq!(chunk(&mut body, second), Ok(Chunk::Replaced(Vec::new())));
    }
}

// One record that is no JSON is no reason to let by the others, nor to cut them.
#[test]
fn a_record_passes_alone() {
    let text = "{\"a\": 1}\nhello\n{\"a\": 2}\n";
    let new = |pass| {
        Body::new(
            program(),
            Bindings::default(),
            pass,
            plain(JsonForm::Lines),
            &CodingRule::default(),
        )
    };
    let sent = send(new(false), text.as_bytes(), 3);
    assert_eq!(document(sent), Some(Fault::Syntax));
    let (out, _) = send(new(true), text.as_bytes(), 100).unwrap();
    let expected = "{\"a\": \"x\"}\nhello\n{\"a\": \"x\"}\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

proptest! {
    // Coded or not, however it comes: the same document goes on, or none.
    #[test]
    fn a_coding_changes_nothing(
        text in prop_oneof![
            Just(DOCUMENT.to_owned()),
            "[\\[{][\"a:1,\\[\\]{}]{0,20}[\\]}]",
            proptest::collection::vec("[a-z]{0,300}", 0..40).prop_map(|texts| {
                let members: Vec<String> = texts.iter().map(|text| format!("{{\"a\":\"{text}\"}}")).collect();
                format!("{{\"a\":[1],\"b\":[{}]}}", members.join(","))
            }),
        ],
        form in prop_oneof![Just(Form::Gzip), Just(Form::Zlib), Just(Form::Raw)],
        (size, plain_size) in (1_usize..3000, 1_usize..3000),
    ) {
        let plain = send(body(false), text.as_bytes(), plain_size).map(|(out, _)| out);
        let wire = encode(form, text.as_bytes());
        let same = send(coded(form, false, Outgoing::Same), &wire, size);
        prop_assert_eq!(same.map(|(out, _)| decode(form, &out)), plain.clone());
        let identity = send(coded(form, false, Outgoing::Identity), &wire, size);
        prop_assert_eq!(identity.map(|(out, _)| out), plain);
    }
}
