//! The rewriter against edits of a parsed document.

mod support {
    pub(crate) mod model;
}

use proptest::prelude::*;
use serde_json::{Value, json};

use support::model::{Edit, Kind, Tree, expected, rewrite};

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
        (-1e9..1e9f64).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["\\", "\"", "\u{7f}\u{0}", "{\"a\":1}", "],"])
            .prop_map(Value::from),
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
        prop_assert_eq!(read, expected(&value, &edits), "{}", text);
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
        prop_assert_eq!(serde_json::from_slice::<Tree>(&whole).unwrap(), expected(&value, &edits), "{}", text);
        for cut in 0..=text.len() {
            prop_assert_eq!(&rewrite(&edits, text.as_bytes(), &[cut]).unwrap(), &whole, "cut at {}", cut);
        }
        let each: Vec<_> = (0..text.len()).collect();
        prop_assert_eq!(&rewrite(&edits, text.as_bytes(), &each).unwrap(), &whole);
    }
}
