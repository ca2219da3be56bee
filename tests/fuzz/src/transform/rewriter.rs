//! Any operations on any document, cut anywhere: the same as edits of the parsed document, with its order kept.
//!
//! An input is the operations, `---`, a byte that says where to cut, and the document.

use json_stream::{Broken, Operation, Pointer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Edit, Kind, Tree, expected, rewrite};
use crate::{join, parts};

/// One operation, as the configuration has it.
#[derive(Deserialize)]
struct Wire {
    remove: Option<String>,
    mask: Option<String>,
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
            let read: Tree = serde_json::from_slice(&out).expect("what comes out is JSON");
            assert_eq!(read, expected(&tree, &edits));
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
        (Err(Broken::TooDeep | Broken::TooLong), Ok(_)) => {}
        (Err(broken), Ok(_)) => panic!("refused: {broken:?}"),
        (Err(_), Err(_)) => {}
    }
}

/// The operations, if they are some that a configuration may have.
fn edits(text: &[u8]) -> Option<Vec<Edit>> {
    let wire: Vec<Wire> = serde_json::from_slice(text).ok()?;
    if wire.len() > 16 {
        return None;
    }
    let edit = |wire: Wire| {
        let mut kinds = [
            (wire.remove, Kind::Remove),
            (wire.mask, Kind::Mask),
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
        "[[[[[[[[1]]]]]]]]",
    ];
    let operations = [
        json!([]),
        json!([{ "mask": "/customers/*/email" }, { "remove": "/customers/*/notes" }, { "set": "/source", "value": "x" }]),
        json!([{ "remove": "/*" }, { "set": "/a", "value": [1] }]),
        json!([{ "set": "/*/a/b/0", "value": null }, { "mask": "/b~1c" }]),
        json!([{ "rename": "/**/email", "to": "mail" }, { "mask": "/**/c" }, { "add": "/mail", "value": 0 }]),
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
