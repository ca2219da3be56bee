//! What operations do to a parsed document whose order is kept: the judge of the rewriter.

use std::rc::Rc;

use hmac_sha256::HMAC;
use json_stream::{
    Bindings, Broken, HashKey, JsonRewriter, Limits, Operation, Pointer, Program, Slot, Text,
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// An operation, as the model reads it.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) path: Vec<String>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Remove,
    Mask,
    KeepLast(usize),
    Hash,
    Convert(json_stream::Kind),
    Set(Value),
    Add(Value),
    KeepOnly(Vec<String>),
    Rename(String),
}

fn pointer(path: &[String]) -> Pointer {
    let escaped = path.iter().map(|name| match name.as_str() {
        "*" => "/*".to_owned(),
        "**" => "/**".to_owned(),
        name => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
    });
    let text = escaped.collect::<String>();
    if text.is_empty() {
        return Pointer::root();
    }
    Pointer::parse(&text).unwrap()
}

/// What values are hashed under.
const KEY: &[u8] = b"what values are hashed under in tests";

/// Every other value comes out of a slot.
pub(crate) fn program(edits: &[Edit], limits: Limits) -> (Rc<Program>, Bindings) {
    let mut slots = Vec::new();
    let mut text = |value: &Value| {
        slots.push(value.clone());
        match slots.len() % 2 {
            0 => Text::from(value),
            _ => Slot(slots.len() - 1).into(),
        }
    };
    let operations = edits.iter().map(|edit| match &edit.kind {
        Kind::Remove => Operation::remove(pointer(&edit.path)),
        Kind::Mask => Operation::mask(pointer(&edit.path), text(&"***".into())),
        Kind::KeepLast(shown) => {
            let with = text(&"***".into());
            Operation::mask_but_last(pointer(&edit.path), with, *shown).unwrap()
        }
        Kind::Hash => Operation::hash(pointer(&edit.path), HashKey::new(KEY.to_vec())),
        Kind::Convert(kind) => Operation::convert(pointer(&edit.path), *kind),
        Kind::Set(value) => Operation::set(pointer(&edit.path), text(value)),
        Kind::Add(value) => Operation::add(pointer(&edit.path), text(value)),
        Kind::KeepOnly(names) => Operation::keep_only(pointer(&edit.path), names.clone()),
        Kind::Rename(to) => Operation::rename(pointer(&edit.path), to).unwrap(),
    });
    let program = Program::new(operations.collect()).unwrap();
    (Rc::new(program.with_limits(limits)), Bindings::new(slots))
}

/// Reads `text` cut at the given places.
pub(crate) fn rewrite(edits: &[Edit], text: &[u8], cuts: &[usize]) -> Result<Vec<u8>, Broken> {
    rewrite_within(Limits::default(), edits, text, cuts)
}

/// The same, of a document that may have so much.
pub(crate) fn rewrite_within(
    limits: Limits,
    edits: &[Edit],
    text: &[u8],
    cuts: &[usize],
) -> Result<Vec<u8>, Broken> {
    let (program, bindings) = program(edits, limits);
    let mut rewriter = JsonRewriter::new(program, bindings);
    let mut out = Vec::new();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([text.len()]) {
        rewriter.push(&text[start..cut], &mut out)?;
        start = cut;
    }
    rewriter.finish()?;
    Ok(out)
}

/// A document whose objects may have a member twice, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Leaf(Value),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Tree {
        match value {
            Value::Array(items) => Tree::Array(items.iter().map(Tree::from).collect()),
            Value::Object(members) => {
                let members = members.iter();
                Tree::Object(
                    members
                        .map(|(name, value)| (name.clone(), value.into()))
                        .collect(),
                )
            }
            leaf => Tree::Leaf(leaf.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        struct Reader;
        macro_rules! leaf {
            ($visit:ident, $type:ty) => {
                fn $visit<E>(self, value: $type) -> Result<Tree, E> {
                    Ok(Tree::Leaf(value.into()))
                }
            };
        }
        impl<'de> Visitor<'de> for Reader {
            type Value = Tree;
            leaf!(visit_bool, bool);
            leaf!(visit_i64, i64);
            leaf!(visit_u64, u64);
            leaf!(visit_f64, f64);
            leaf!(visit_str, &str);
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Leaf(Value::Null))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut read = Vec::new();
                while let Some(item) = items.next_element()? {
                    read.push(item);
                }
                Ok(Tree::Array(read))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
                let mut read = Vec::new();
                while let Some(member) = members.next_entry()? {
                    read.push(member);
                }
                Ok(Tree::Object(read))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// An edit that reaches a value, without the levels above it, and which one it is.
type Reaching<'a> = (usize, &'a [String], &'a Kind);

/// What becomes of the value of a child; nothing, if the edits do not say.
fn decision<'a>(edits: &[Reaching<'a>], name: &str, is_member: bool) -> Option<&'a Kind> {
    let fits = |segment: &String| segment == "*" || segment == name;
    let mut ordered: Vec<_> = edits.to_vec();
    ordered.sort_by_key(|(number, ..)| *number);
    ordered
        .into_iter()
        .find(|(_, path, kind)| match kind {
            Kind::Remove | Kind::Mask | Kind::KeepLast(_) | Kind::Hash | Kind::Set(_) => {
                path.len() == 1 && fits(&path[0])
            }
            Kind::KeepOnly(names) => {
                path.is_empty() && !(is_member && names.iter().any(|kept| kept == name))
            }
            Kind::Add(_) | Kind::Rename(_) | Kind::Convert(_) => false,
        })
        .map(|(_, _, kind)| kind)
}

/// A child after its edits; nothing, if it is removed.
fn child(value: &Tree, name: &str, is_member: bool, edits: &[Reaching<'_>]) -> Option<Tree> {
    match decision(edits, name, is_member) {
        Some(Kind::Remove | Kind::KeepOnly(_)) => None,
        Some(Kind::Mask) => Some(Tree::Leaf("***".into())),
        Some(Kind::KeepLast(shown)) => Some(Tree::Leaf(tail(value, *shown).into())),
        Some(Kind::Hash) => Some(Tree::Leaf(hash(value).into())),
        Some(Kind::Set(new)) => Some(new.into()),
        _ => {
            let inside: Vec<_> = edits
                .iter()
                .filter_map(|(number, path, kind)| match path.split_first() {
                    Some((first, _)) if first == "**" => Some((*number, *path, *kind)),
                    Some((first, rest)) if first == "*" || first == name => {
                        let goes_on = !rest.is_empty() || matches!(kind, Kind::KeepOnly(_));
                        goes_on.then_some((*number, rest, *kind))
                    }
                    _ => None,
                })
                .collect();
            let fits = |path: &[String]| path.len() == 1 && (path[0] == "*" || path[0] == name);
            let kinds = edits.iter().filter_map(|(number, path, kind)| match kind {
                Kind::Convert(kind) if fits(path) => Some((number, *kind)),
                _ => None,
            });
            match kinds.min_by_key(|(number, _)| **number) {
                Some((_, kind)) => Some(converted(model(value, &inside), kind)),
                None => Some(model(value, &inside)),
            }
        }
    }
}

/// A mask that shows the end of a value.
fn tail(value: &Tree, shown: usize) -> String {
    let all: Vec<char> = match value {
        Tree::Leaf(Value::String(text)) => text.chars().collect(),
        Tree::Leaf(Value::Number(number)) => {
            let digits = number.to_string();
            digits.chars().filter(char::is_ascii_digit).collect()
        }
        _ => Vec::new(),
    };
    let from = match all.len() / 2 >= shown {
        true => all.len() - shown,
        false => all.len(),
    };
    format!("***{}", all[from..].iter().collect::<String>())
}

/// The hash of a value. That of an object or array is of its text, which the model does not know.
fn hash(value: &Tree) -> String {
    let text = match value {
        Tree::Leaf(Value::String(string)) => string.clone(),
        Tree::Leaf(leaf) => leaf.to_string(),
        Tree::Array(_) | Tree::Object(_) => return SOME_HASH.to_owned(),
    };
    let mac = HMAC::mac(text.as_bytes(), KEY);
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stands for any hash.
const SOME_HASH: &str = "the hash of an object or array";

/// Whether a document is the one that was expected.
pub(crate) fn is_as_expected(read: &Tree, expected: &Tree) -> bool {
    match (read, expected) {
        (Tree::Leaf(Value::String(read)), Tree::Leaf(Value::String(expected)))
            if expected == SOME_HASH =>
        {
            read.len() == 64 && read.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        (Tree::Array(read), Tree::Array(expected)) => {
            let mut pairs = read.iter().zip(expected);
            read.len() == expected.len()
                && pairs.all(|(read, expected)| is_as_expected(read, expected))
        }
        (Tree::Object(read), Tree::Object(expected)) => {
            let mut pairs = read.iter().zip(expected);
            read.len() == expected.len()
                && pairs.all(|(read, expected)| {
                    read.0 == expected.0 && is_as_expected(&read.1, &expected.1)
                })
        }
        _ => read == expected,
    }
}

fn converted(value: Tree, to: json_stream::Kind) -> Tree {
    let Tree::Leaf(leaf) = &value else {
        return value;
    };
    let new = match (leaf, to) {
        (Value::Number(_) | Value::Bool(_), json_stream::Kind::String) => {
            Some(leaf.to_string().into())
        }
        (Value::String(text), json_stream::Kind::Number | json_stream::Kind::Boolean)
            if text.len() <= 64 && text.trim() == text =>
        {
            let is_number = to == json_stream::Kind::Number;
            let read = serde_json::from_str::<Value>(text).ok();
            read.filter(|read| match is_number {
                true => read.is_number(),
                false => read.is_boolean(),
            })
        }
        _ => None,
    };
    new.map_or(value, Tree::Leaf)
}

fn object(members: &[(String, Tree)], edits: &[Reaching<'_>]) -> Vec<(String, Tree)> {
    let mut edited = Vec::new();
    // Renamings for which a member of the old or the new name has come.
    let mut done: Vec<usize> = Vec::new();
    for (name, value) in members {
        let mut new_name = name;
        let mut is_second = false;
        for (number, path, kind) in edits {
            if let ([from], Kind::Rename(to)) = (path, kind)
                && (from == name || to == name)
            {
                is_second |= done.contains(number);
                if to != name {
                    new_name = to;
                }
            }
        }
        for (number, path, kind) in edits {
            if let ([from], Kind::Rename(to)) = (path, kind)
                && (from == name || to == name)
            {
                done.push(*number);
            }
        }
        if let Some(value) = child(value, name, true, edits).filter(|_| !is_second) {
            edited.push((new_name.clone(), value));
        }
    }
    let mut known: Vec<&String> = members.iter().map(|(name, _)| name).collect();
    for (number, path, kind) in edits {
        if let ([from], Kind::Rename(to)) = (path, kind)
            && members.iter().any(|(name, _)| name == from)
            && done.contains(number)
        {
            known.push(to);
        }
    }
    let mut ordered: Vec<_> = edits.to_vec();
    ordered.sort_by_key(|(number, ..)| *number);
    for (number, path, kind) in &ordered {
        let ([name], Kind::Set(value) | Kind::Add(value)) = (path, kind) else {
            continue;
        };
        let earlier: Vec<_> = ordered
            .iter()
            .filter(|(other, ..)| other < number)
            .copied()
            .collect();
        if name != "*" && !known.contains(&name) && decision(&earlier, name, true).is_none() {
            known.push(name);
            edited.push((name.clone(), value.into()));
        }
    }
    edited
}

/// The same edits on a tree.
fn model(value: &Tree, edits: &[Reaching<'_>]) -> Tree {
    let mut edits = edits.to_vec();
    // Any number of levels may be none.
    for (number, path, kind) in edits.clone() {
        if path.first().is_some_and(|first| first == "**") {
            edits.push((number, &path[1..], kind));
        }
    }
    match value {
        Tree::Object(members) => Tree::Object(object(members, &edits)),
        Tree::Array(items) => {
            let items = items.iter().enumerate();
            Tree::Array(
                items
                    .filter_map(|(index, item)| child(item, &index.to_string(), false, &edits))
                    .collect(),
            )
        }
        leaf => leaf.clone(),
    }
}

pub(crate) fn expected(value: &Tree, edits: &[Edit]) -> Tree {
    let edits: Vec<_> = edits
        .iter()
        .enumerate()
        .map(|(number, edit)| (number, &edit.path[..], &edit.kind))
        .collect();
    model(value, &edits)
}
