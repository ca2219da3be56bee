//! What operations do to a parsed document whose order is kept: the judge of the rewriter.

use std::rc::Rc;

use json_stream::{Bindings, Broken, JsonRewriter, Operation, Pointer, Program};
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

fn program(edits: &[Edit]) -> Rc<Program> {
    let operations = edits.iter().map(|edit| match &edit.kind {
        Kind::Remove => Operation::remove(pointer(&edit.path)),
        Kind::Mask => Operation::mask(pointer(&edit.path), "***"),
        Kind::Set(value) => Operation::set(pointer(&edit.path), value),
        Kind::Add(value) => Operation::add(pointer(&edit.path), value),
        Kind::KeepOnly(names) => Operation::keep_only(pointer(&edit.path), names.clone()),
        Kind::Rename(to) => Operation::rename(pointer(&edit.path), to).unwrap(),
    });
    Rc::new(Program::new(operations.collect()).unwrap())
}

/// Reads `text` cut at the given places.
pub(crate) fn rewrite(edits: &[Edit], text: &[u8], cuts: &[usize]) -> Result<Vec<u8>, Broken> {
    let mut rewriter = JsonRewriter::new(program(edits), Bindings::default());
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
            Kind::Remove | Kind::Mask | Kind::Set(_) => path.len() == 1 && fits(&path[0]),
            Kind::KeepOnly(names) => {
                path.is_empty() && !(is_member && names.iter().any(|kept| kept == name))
            }
            Kind::Add(_) | Kind::Rename(_) => false,
        })
        .map(|(_, _, kind)| kind)
}

/// A child after its edits; nothing, if it is removed.
fn child(value: &Tree, name: &str, is_member: bool, edits: &[Reaching<'_>]) -> Option<Tree> {
    match decision(edits, name, is_member) {
        Some(Kind::Remove | Kind::KeepOnly(_)) => None,
        Some(Kind::Mask) => Some(Tree::Leaf("***".into())),
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
            Some(model(value, &inside))
        }
    }
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
