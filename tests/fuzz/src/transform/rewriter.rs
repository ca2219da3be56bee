//! Any operations on any document, cut anywhere: the same as edits of the parsed document, with its order kept.
//!
//! An input is the operations, `---`, a byte that says where to cut, and the document.

use json_stream::{Kind as To, Operation, Pointer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Edit, Kind, Tree, expected, is_as_expected, rewrite};
use crate::{join, parts};

/// One operation, as the configuration has it.
#[derive(Deserialize)]
struct Wire {
    remove: Option<String>,
    mask: Option<String>,
    /// Of [`Wire::mask`].
    #[serde(default)]
    keep_last: usize,
    hash: Option<String>,
    convert: Option<String>,
    set: Option<String>,
    add: Option<String>,
    keep_only: Option<String>,
    rename: Option<String>,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    to: String,
}

/// # Panics
/// The document comes out another than the model's, by its cuts, or at all where it is no JSON.
pub fn run(input: &[u8]) {
    let Some((operations, rest)) = parts(input) else {
        return;
    };
    let Some((edits, (cut, text))) = edits(operations).zip(rest.split_first()) else {
        return;
    };
    let whole = rewrite(&edits, text, &[]);
    let step = usize::from(*cut).max(1);
    let cuts: Vec<usize> = (0..text.len()).step_by(step).collect();
    assert_eq!(rewrite(&edits, text, &cuts), whole, "cut every {step}");
    let read = serde_json::from_slice::<Tree>(text);
    match (whole, read) {
        (Ok(out), Ok(tree)) => {
            match serde_json::from_slice::<Tree>(&out) {
                Ok(read) if !depends_on_spelling(&edits, text) => {
                    let expected = expected(&tree, &edits);
                    assert!(
                        is_as_expected(&read, &expected),
                        "{read:?} for {expected:?}"
                    );
                }
                Ok(_) => {}
                // A string that has become a number, which is out of that parser's range.
                Err(error) => assert!(error.to_string().contains("out of range"), "{error}"),
            }
            if edits.is_empty() {
                assert_eq!(out, text);
            }
        }
        // Half pairs and numbers out of range are JSON, which that parser does not read.
        (Ok(_), Err(error)) => {
            let error = error.to_string();
            let known = ["surrogate", "hex escape", "out of range"];
            assert!(known.iter().any(|known| error.contains(known)), "{error}");
        }
        (Err(broken), Ok(_)) if broken.is_limit() => {}
        (Err(broken), Ok(_)) => panic!("refused: {broken:?}"),
        (Err(_), Err(_)) => {}
    }
}

/// Whether the edits read numbers as they are written, and some may be written otherwise than that parser writes them.
fn depends_on_spelling(edits: &[Edit], text: &[u8]) -> bool {
    let reads =
        |edit: &Edit| matches!(edit.kind, Kind::KeepLast(_) | Kind::Hash | Kind::Convert(_));
    let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    edits.iter().any(reads)
        && (text.contains(&b'.')
            || text.windows(2).any(|pair| {
                pair == b"-0" || (pair[0].is_ascii_digit() && matches!(pair[1], b'e' | b'E'))
            })
            || text.windows(18).any(digits))
}

/// The operations, if they are some that a configuration may have.
pub(super) fn edits(text: &[u8]) -> Option<Vec<Edit>> {
    let wire: Vec<Wire> = serde_json::from_slice(text).ok()?;
    if wire.len() > 16 {
        return None;
    }
    let edit = |wire: Wire| {
        let mut kinds = [
            (wire.remove, Kind::Remove),
            (
                wire.mask,
                match wire.keep_last {
                    0 => Kind::Mask,
                    shown => Kind::KeepLast(shown.min(Operation::MAX_SHOWN)),
                },
            ),
            (wire.hash, Kind::Hash),
            (
                wire.convert,
                Kind::Convert(match wire.to.as_str() {
                    "string" => To::String,
                    "number" => To::Number,
                    _ => To::Boolean,
                }),
            ),
            (wire.set, Kind::Set(wire.value.clone())),
            (wire.add, Kind::Add(wire.value)),
            (wire.keep_only, Kind::KeepOnly(wire.members)),
            (wire.rename, Kind::Rename(wire.to)),
        ]
        .into_iter()
        .filter_map(|(at, kind)| Some((at?, kind)));
        let (Some((at, kind)), None) = (kinds.next(), kinds.next()) else {
            return None;
        };
        let pointer = match (&kind, at.as_str()) {
            (Kind::KeepOnly(_), "") => Pointer::root(),
            _ => Pointer::parse(&at).ok()?,
        };
        if let Kind::Rename(to) = &kind {
            Operation::rename(pointer, to)?;
        }
        // A name of the model's that is a star stands for all; one that only reads so is not made here.
        let names = at.split('/').skip(1);
        let path = names.map(|name| name.replace("~1", "/").replace("~0", "~"));
        let path: Vec<String> = path.collect();
        Some(Edit { path, kind })
    };
    let edits: Vec<Edit> = wire.into_iter().map(edit).collect::<Option<_>>()?;
    // Two may be at odds, which a configuration may not have.
    let renames = edits
        .iter()
        .filter(|edit| matches!(edit.kind, Kind::Rename(_)));
    (renames.count() < 2).then_some(edits)
}

/// Documents and operations of every kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let documents = [
        r#"{"customers": [{"id": 7, "email": "a@example.com", "notes": [1, 2.5e-3]}, {"\u0065mail": null}], "email": "x"}"#,
        r#"[{},[],"",0,-0.0,true,false,null,{"a":{"b":[{"c":"\ud83d\ude00é\\"}]}}]"#,
        "{\n  \"a\" : 1 ,\n  \"a\" : 2,\n  \"b/c\" : \"\\ud83d\"\n}\n",
        r#"{"a":1,}"#,
        "17",
        r#"["12","true","4111 1111","\u0031\u0032",12345678,{"id":true,"c":"e\u0301"}]"#,
        "[[[[[[[[1]]]]]]]]",
    ];
    let operations = [
        json!([]),
        json!([{ "mask": "/customers/*/email" }, { "remove": "/customers/*/notes" }, { "set": "/source", "value": "x" }]),
        json!([{ "remove": "/*" }, { "set": "/a", "value": [1] }]),
        json!([{ "set": "/*/a/b/0", "value": null }, { "mask": "/b~1c" }]),
        json!([{ "rename": "/**/email", "to": "mail" }, { "mask": "/**/c" }, { "add": "/mail", "value": 0 }]),
        json!([{ "mask": "/customers/*/*", "keep_last": 2 }, { "hash": "/**/c" }, { "hash": "/a" }]),
        json!([{ "convert": "/**/id", "to": "string" }, { "convert": "/*", "to": "number" }, { "convert": "/b~1c", "to": "boolean" }]),
        json!([{ "keep_only": "", "members": ["customers", "a"] }, { "keep_only": "/customers/*", "members": ["id"] }]),
    ];
    let mut seeds = Vec::new();
    for document in documents {
        for operations in &operations {
            seeds.push(join(&operations.to_string(), &format!("\u{3}{document}")));
        }
    }
    seeds
}
