//! What operations do to a parsed document whose order is kept: the judge of the rewriter.

use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use transform_policy::{Broken, JsonRewriter, Operation, Pointer, Program};

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
}

fn pointer(path: &[String]) -> Pointer {
    let escaped = path.iter().map(|name| match name.as_str() {
        "*" => "/*".to_owned(),
        name => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
    });
    Pointer::parse(&escaped.collect::<String>()).unwrap()
}

fn program(edits: &[Edit]) -> Rc<Program> {
    let operations = edits.iter().map(|edit| match &edit.kind {
        Kind::Remove => Operation::remove(pointer(&edit.path)),
        Kind::Mask => Operation::mask(pointer(&edit.path), "***"),
        Kind::Set(value) => Operation::set(pointer(&edit.path), value),
    });
    Rc::new(Program::new(operations.collect()).unwrap())
}

/// Reads `text` cut at the given places.
pub(crate) fn rewrite(edits: &[Edit], text: &[u8], cuts: &[usize]) -> Result<Vec<u8>, Broken> {
    let mut rewriter = JsonRewriter::new(program(edits));
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

/// The same edits on a tree. `edits` holds those that reach the value, without the levels above it.
fn model(value: &Tree, edits: &[(&[String], &Kind)]) -> Tree {
    let decide = |name: &str, value: Option<&Tree>| -> Option<Tree> {
        let fits = |segment: &String| segment == "*" || segment == name;
        let ends = edits
            .iter()
            .find(|(path, _)| path.len() == 1 && fits(&path[0]));
        match (ends, value) {
            (Some((_, Kind::Remove)), _) => None,
            (Some((_, Kind::Mask)), Some(_)) => Some(Tree::Leaf("***".into())),
            (Some((_, Kind::Mask)), None) => None,
            (Some((_, Kind::Set(new))), Some(_)) => Some(new.into()),
            (Some((path, Kind::Set(new))), None) => (path[0] != "*").then(|| new.into()),
            (None, None) => None,
            (None, Some(value)) => {
                let inside: Vec<_> = edits
                    .iter()
                    .filter(|(path, _)| path.len() > 1 && fits(&path[0]))
                    .map(|(path, kind)| (&path[1..], *kind))
                    .collect();
                Some(model(value, &inside))
            }
        }
    };
    match value {
        Tree::Object(members) => {
            let mut edited: Vec<(String, Tree)> = members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), decide(name, Some(value))?)))
                .collect();
            let mut known: Vec<&String> = members.iter().map(|(name, _)| name).collect();
            for (path, _) in edits.iter().filter(|(path, _)| path.len() == 1) {
                if path[0] != "*"
                    && !known.contains(&&path[0])
                    && let Some(value) = decide(&path[0], None)
                {
                    known.push(&path[0]);
                    edited.push((path[0].clone(), value));
                }
            }
            Tree::Object(edited)
        }
        Tree::Array(items) => {
            let items = items.iter().enumerate();
            Tree::Array(
                items
                    .filter_map(|(index, item)| decide(&index.to_string(), Some(item)))
                    .collect(),
            )
        }
        leaf => leaf.clone(),
    }
}

pub(crate) fn expected(value: &Tree, edits: &[Edit]) -> Tree {
    let edits: Vec<_> = edits
        .iter()
        .map(|edit| (&edit.path[..], &edit.kind))
        .collect();
    model(value, &edits)
}
