//! The rewriter against edits of a parsed document.

mod support {
    pub(crate) mod model;
}

use json_stream::{DuplicateMembers, Fault, Kind as To, Limits, RecordForm, RecordRewriter};
use proptest::prelude::*;
use serde_json::{Value, json};

use support::model::{
    Edit, Kind, Tree, expected, is_as_expected, program, rewrite, rewrite_within,
};

/// Few names, so that paths meet documents; some need an escape.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "0", "1", "a/b", "~", "\"", "é", "😀", "", "\u{1}"]).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
    ]
}

fn document() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Some that any parser reads as they are written.
        (-1_000_000_000..1_000_000_000_i32).prop_map(|number| Value::from(f64::from(number) / 4.0)),
        "\\PC{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["\\", "\"", "\u{7f}\u{0}", "{\"a\":1}", "],"])
            .prop_map(Value::from),
        prop::sample::select(vec![
            "12",
            "-0",
            "1e5",
            "01",
            "true",
            "false",
            "null",
            "4111 1111",
            "é😀éé😀"
        ])
        .prop_map(Value::from),
        Just(Value::from("7".repeat(70))),
    ];
    leaf.prop_map(Tree::Leaf).prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Tree::Array),
            // Of few names some come twice.
            prop::collection::vec((name(), inner), 0..6).prop_map(Tree::Object),
        ]
    })
}

/// At most one renaming: two may be at odds, which a configuration may not have.
fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let plain = || name().prop_filter("a name, not a wildcard", |name| !name.starts_with('*'));
    let segment = prop_oneof![6 => plain(), 4 => Just("*".to_owned()), 1 => Just("**".to_owned())];
    let value = || prop::sample::select(vec![json!(null), json!({"b": [1]}), json!("s")]);
    let kind = prop_oneof![
        Just(Kind::Remove),
        Just(Kind::Mask),
        (1..4_usize).prop_map(Kind::KeepLast),
        Just(Kind::Hash),
        prop::sample::select(vec![To::String, To::Number, To::Boolean]).prop_map(Kind::Convert),
        value().prop_map(Kind::Set),
        value().prop_map(Kind::Add),
    ];
    let path = || prop::collection::vec(segment.clone(), 0..3);
    let edit = prop_oneof![
        4 => (path(), prop_oneof![plain(), Just("*".to_owned())], kind).prop_map(|(mut path, last, kind)| {
            path.push(last);
            Edit { path, kind }
        }),
        1 => (path(), prop::collection::vec(plain(), 0..3)).prop_map(|(path, names)| Edit { path, kind: Kind::KeepOnly(names) }),
        1 => (path(), plain(), plain()).prop_map(|(mut path, last, to)| {
            path.push(last);
            Edit { path, kind: Kind::Rename(to) }
        }),
    ];
    let is_path = |edit: &Edit| {
        let pairs = edit.path.windows(2);
        let stars = pairs
            .filter(|pair| pair[0] == "**" && pair[1] == "**")
            .count();
        stars == 0 && edit.path.last().is_none_or(|last| last != "**")
    };
    let edit = edit.prop_filter("what ** may be followed by", is_path);
    prop::collection::vec(edit, 0..6).prop_map(|mut edits| {
        let mut renamed = false;
        edits.retain(|edit| {
            !matches!(edit.kind, Kind::Rename(_)) || !std::mem::replace(&mut renamed, true)
        });
        edits
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let most = || prop_oneof![1 => 0..12_u64, 1 => Just(u64::MAX)];
    let bytes = prop_oneof![1 => 0..200_u64, 1 => Just(u64::MAX)];
    (bytes, 0..5_usize, most(), most(), most(), any::<bool>()).prop_map(
        |(max_bytes, max_depth, max_members, max_elements, max_string, refuses)| Limits {
            max_bytes,
            max_depth,
            max_members,
            max_elements,
            max_string,
            duplicate_members: match refuses {
                true => DuplicateMembers::Refuse { key: [1; 16] },
                false => DuplicateMembers::Allow,
            },
        },
    )
}

/// Raises limits to what the value has; whether a name is there twice.
fn measure(value: &Tree, level: usize, has: &mut Limits) -> bool {
    match value {
        Tree::Leaf(_) => false,
        Tree::Array(items) => {
            has.max_depth = has.max_depth.max(level + 1);
            has.max_elements = has.max_elements.max(items.len() as u64);
            items
                .iter()
                .fold(false, |any, item| measure(item, level + 1, has) | any)
        }
        Tree::Object(members) => {
            has.max_depth = has.max_depth.max(level + 1);
            has.max_members = has.max_members.max(members.len() as u64);
            let names: std::collections::BTreeSet<_> =
                members.iter().map(|(name, _)| name).collect();
            members
                .iter()
                .fold(names.len() < members.len(), |any, (_, item)| {
                    measure(item, level + 1, has) | any
                })
        }
    }
}

/// A document as other programs may write it: blanks anywhere, letters as escapes.
fn spelled(value: &Tree, choices: &mut impl Iterator<Item = u8>, out: &mut String) {
    let blank = |choices: &mut dyn Iterator<Item = u8>, out: &mut String| {
        out.push_str(
            ["", "", "", " ", "\n\t", " \r\n "][usize::from(choices.next().unwrap_or(0) % 6)],
        );
    };
    let text = |text: &str, choices: &mut dyn Iterator<Item = u8>, out: &mut String| {
        out.push('"');
        for letter in text.chars() {
            if choices.next().unwrap_or(0).is_multiple_of(3)
                || letter < ' '
                || letter == '"'
                || letter == '\\'
            {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    if choices.next().unwrap_or(0).is_multiple_of(2) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    } else {
                        out.push_str(&format!("\\u{unit:04X}"));
                    }
                }
            } else {
                out.push(letter);
            }
        }
        out.push('"');
    };
    blank(choices, out);
    match value {
        Tree::Object(members) => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                blank(choices, out);
                text(name, choices, out);
                blank(choices, out);
                out.push(':');
                spelled(value, choices, out);
            }
            blank(choices, out);
            out.push('}');
        }
        Tree::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                spelled(item, choices, out);
            }
            blank(choices, out);
            out.push(']');
        }
        Tree::Leaf(Value::String(value)) => text(value, choices, out),
        Tree::Leaf(leaf) => out.push_str(&leaf.to_string()),
    }
    blank(choices, out);
}

fn spell(value: &Tree, choices: &[u8]) -> String {
    let mut out = String::new();
    spelled(value, &mut choices.iter().copied().cycle(), &mut out);
    out
}

fn cuts(text: &str, choices: &[u16]) -> Vec<usize> {
    let mut cuts: Vec<_> = choices
        .iter()
        .map(|cut| usize::from(*cut) % (text.len() + 1))
        .collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // A member that is masked in one spelling and not in another is not masked.
    #[test]
    fn agrees_with_edits_of_the_parsed_document(
        value in document(),
        edits in edits(),
        choices in prop::collection::vec(any::<u8>(), 1..40),
        at in prop::collection::vec(any::<u16>(), 0..12),
    ) {
        let text = spell(&value, &choices);
        let value: Tree = serde_json::from_str(&text).unwrap();
        let out = rewrite(&edits, text.as_bytes(), &cuts(&text, &at)).unwrap();
        let read: Tree = serde_json::from_slice(&out)
            .map_err(|error| TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&out))))?;
        let expected = expected(&value, &edits);
        prop_assert!(is_as_expected(&read, &expected), "{}\n{:?}\n{:?}", text, read, expected);
    }

    // What no operation reaches is not written anew: numbers, escapes and blanks stay as they are.
    #[test]
    fn untouched_bytes_stay(
        value in document(),
        choices in prop::collection::vec(any::<u8>(), 1..40),
        at in prop::collection::vec(any::<u16>(), 0..6),
    ) {
        let text = spell(&value, &choices);
        let none = [
            Edit { path: vec!["not there".into()], kind: Kind::Remove },
            Edit { path: vec!["*".into(), "not there".into()], kind: Kind::Mask },
            Edit { path: vec!["not there".into(), "*".into()], kind: Kind::Set(Value::Null) },
        ];
        let out = rewrite(&none, text.as_bytes(), &cuts(&text, &at)).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    // What another parser refuses must not pass as whole, and what is whole must pass: only then is a mask a mask.
    #[test]
    fn a_damaged_document_is_judged_as_by_a_parser(
        value in document(),
        edits in edits(),
        choices in prop::collection::vec(any::<u8>(), 1..20),
        damage in prop::collection::vec((any::<u16>(), prop::sample::select(b"{}[],:\"\\u0-e.tfn \x00\xff\xc3\xa9".to_vec())), 1..4),
        at in prop::collection::vec(any::<u16>(), 0..6),
    ) {
        let mut bytes = spell(&value, &choices).into_bytes();
        for (place, byte) in damage {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        let mut at: Vec<_> = at.iter().map(|cut| usize::from(*cut) % (bytes.len() + 1)).collect();
        at.sort_unstable();
        let out = rewrite(&edits, &bytes, &at);
        let readable = serde_json::from_slice::<Value>(&bytes).is_ok();
        if readable {
            prop_assert!(out.is_ok(), "{:?} {}", out, String::from_utf8_lossy(&bytes));
        } else if out.is_ok() {
            // Only half pairs and numbers out of range, which are JSON and which that parser does not read.
            let error = serde_json::from_slice::<Value>(&bytes).unwrap_err().to_string();
            prop_assert!(
                ["surrogate", "hex escape", "out of range"].iter().any(|known| error.contains(known)),
                "{} {}", error, String::from_utf8_lossy(&bytes)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // Where the host cuts a body is chance; the answer must not be.
    #[test]
    fn every_cut_gives_what_the_edits_of_the_parsed_document_give(
        value in document(),
        edits in edits(),
        choices in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let text = spell(&value, &choices);
        let whole = rewrite(&edits, text.as_bytes(), &[]).unwrap();
        let value: Tree = serde_json::from_str(&text).unwrap();
        let read = serde_json::from_slice::<Tree>(&whole).unwrap();
        prop_assert!(is_as_expected(&read, &expected(&value, &edits)), "{}", text);
        for cut in 0..=text.len() {
            prop_assert_eq!(&rewrite(&edits, text.as_bytes(), &[cut]).unwrap(), &whole, "cut at {}", cut);
        }
        let each: Vec<_> = (0..text.len()).collect();
        prop_assert_eq!(&rewrite(&edits, text.as_bytes(), &each).unwrap(), &whole);
    }

    // A fault that is another where the network cuts elsewhere cannot be acted on, and a limit that a cut evades is none.
    #[test]
    fn every_cut_of_a_damaged_document_gives_the_same_fault_at_the_same_place(
        value in document(),
        edits in edits(),
        choices in prop::collection::vec(any::<u8>(), 1..20),
        damage in prop::collection::vec((any::<u16>(), prop::sample::select(b"{}[],:\"\\u0-e.tfn \x00\xff\xc3\xa9".to_vec())), 0..3),
        limits in limits(),
    ) {
        let mut bytes = spell(&value, &choices).into_bytes();
        for (place, byte) in damage {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        let whole = rewrite_within(limits, &edits, &bytes, &[]);
        for cut in 0..=bytes.len() {
            prop_assert_eq!(&rewrite_within(limits, &edits, &bytes, &[cut]), &whole, "cut at {}", cut);
        }
        let each: Vec<_> = (0..bytes.len()).collect();
        prop_assert_eq!(&rewrite_within(limits, &edits, &bytes, &each), &whole);
    }

    // A limit that is off by one, or counts what it should not, refuses what is fine or lets through what is not.
    #[test]
    fn limits_are_what_a_parsed_document_has(
        value in document(),
        choices in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let text = spell(&value, &choices);
        let value: Tree = serde_json::from_str(&text).unwrap();
        let mut has = Limits { max_bytes: text.len() as u64, max_depth: 0, max_members: 0, max_elements: 0, ..Limits::default() };
        let has_duplicate = measure(&value, 0, &mut has);
        let key = [3; 16];
        let duplicate_members = if has_duplicate { DuplicateMembers::Allow } else { DuplicateMembers::Refuse { key } };
        let fits = Limits { duplicate_members, ..has };
        prop_assert!(rewrite_within(fits, &[], text.as_bytes(), &[]).is_ok(), "{}", text);
        let fault = |limits| rewrite_within(limits, &[], text.as_bytes(), &[]).map_err(|broken| broken.fault());
        let less = |most: u64| most.checked_sub(1);
        prop_assert_eq!(fault(Limits { max_bytes: has.max_bytes - 1, ..fits }), Err(Fault::TooLarge));
        if let Some(max_members) = less(has.max_members) {
            prop_assert_eq!(fault(Limits { max_members, ..fits }), Err(Fault::TooManyMembers));
        }
        if let Some(max_elements) = less(has.max_elements) {
            prop_assert_eq!(fault(Limits { max_elements, ..fits }), Err(Fault::TooManyElements));
        }
        if let Some(max_depth) = has.max_depth.checked_sub(1) {
            prop_assert_eq!(fault(Limits { max_depth, ..fits }), Err(Fault::TooDeep));
        }
        if has_duplicate {
            prop_assert_eq!(fault(Limits { duplicate_members: DuplicateMembers::Refuse { key }, ..has }), Err(Fault::DuplicateMember));
        }
    }
}

fn record() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#"{"a": {"ssn": "1", "b": [1.0, -0, 1e400]}, "x": "é😀"}"#,
        r#"{"ssn": [1, {"ssn": 2}], "a": null}"#,
        r#"[{"a": 12345678901234567890}, "12", true]"#,
        r#"{"a": "12", "": {"a": ["\u00e9\n"]}}"#,
        "{}",
        "[]",
        "17",
        r#""text""#,
        "",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // What an operation does to a document it must do to each record, whatever the framing and wherever it is cut.
    #[test]
    fn each_record_is_rewritten_as_a_document_is(
        records in prop::collection::vec(record(), 0..6),
        form in prop::sample::select(vec![RecordForm::Lines, RecordForm::Sequence, RecordForm::Events]),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        kinds in prop::collection::vec(prop::sample::select(vec![
            Kind::Remove, Kind::Mask, Kind::KeepLast(1), Kind::Hash, Kind::Convert(To::Number),
            Kind::Convert(To::String), Kind::Add(1.into()), Kind::Rename("ssn".into()),
        ]), 0..3),
        size in 1..40_usize,
    ) {
        let edits: Vec<Edit> = kinds.into_iter().enumerate().map(|(number, kind)| Edit {
            path: vec![["a", "ssn", "x"][number].to_owned()],
            kind,
        }).collect();
        let framed = |record: &str| match form {
            RecordForm::Lines => format!("{record}{}", end.replace("\r\n", "\n").replace('\r', "\n")),
            RecordForm::Sequence => format!("\u{1e}{record}\n"),
            RecordForm::Events => format!("id: 1{end}data: {record}{end}: c{end}{end}"),
        };
        let text: String = records.iter().map(|record| framed(record)).collect();
        let expected: String = records.iter().map(|record| {
            let out = match record.is_empty() {
                true => Vec::new(),
                false => rewrite(&edits, record.as_bytes(), &[]).unwrap(),
            };
            framed(&String::from_utf8(out).unwrap())
        }).collect();
        let (program, bindings) = program(&edits, Limits::default());
        let mut rewriter = RecordRewriter::new(form, program, bindings, false);
        let mut out = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            rewriter.push(chunk, &mut out).unwrap();
        }
        rewriter.finish().unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
