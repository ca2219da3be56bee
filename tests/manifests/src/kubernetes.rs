//! The Kubernetes objects of the tree.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{tree, yaml};

/// The folders that hold them, each with a `kustomization.yaml`.
pub const FOLDERS: [&str; 2] = ["envoy/istio", "envoy/envoy-gateway"];

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The file that it stands in, from the root of the tree.
    pub file: PathBuf,
    /// What stands there.
    pub value: Value,
}

impl Object {
    /// Its kind: `WasmPlugin`.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// File, kind and name, to begin an error with.
    pub fn place(&self) -> String {
        format!("{}: {} {}", self.file.display(), self.kind(), self.name())
    }
}

/// The objects of a folder, its kustomization left out, file by file.
///
/// # Panics
///
/// If a file cannot be read or is not YAML.
pub fn objects(folder: &str) -> Vec<Object> {
    files(folder)
        .into_iter()
        .flat_map(|file| {
            yaml::documents(&tree::read(&file))
                .into_iter()
                .map(move |value| Object {
                    file: file.clone(),
                    value,
                })
        })
        .collect()
}

/// The objects of that kind in a folder.
pub fn of_kind(folder: &str, kind: &str) -> Vec<Object> {
    let mut objects = objects(folder);
    objects.retain(|object| object.kind() == kind);
    objects
}

/// The files of a folder that hold objects, from the root of the tree.
pub fn files(folder: &str) -> Vec<PathBuf> {
    tree::files_ending(".yaml")
        .into_iter()
        .filter(|file| file.parent() == Some(Path::new(folder)))
        .filter(|file| !file.ends_with("kustomization.yaml"))
        .collect()
}

/// Where two values differ first, as a path: `rules[3].match`; none if they are equal.
pub fn difference(left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let absent = right.keys().find(|name| !left.contains_key(*name));
            let inside = left.iter().find_map(|(name, value)| match right.get(name) {
                None => Some(name.clone()),
                Some(other) => difference(value, other).map(|rest| match rest.is_empty() {
                    true => name.clone(),
                    false if rest.starts_with('[') => format!("{name}{rest}"),
                    false => format!("{name}.{rest}"),
                }),
            });
            inside.or(absent.cloned())
        }
        (Value::Array(left), Value::Array(right)) => {
            let inside = left
                .iter()
                .zip(right)
                .enumerate()
                .find_map(|(index, (left, right))| {
                    difference(left, right).map(|rest| match rest.is_empty() {
                        true => format!("[{index}]"),
                        false if rest.starts_with('[') => format!("[{index}]{rest}"),
                        false => format!("[{index}].{rest}"),
                    })
                });
            let shorter = left.len().min(right.len());
            inside.or_else(|| (left.len() != right.len()).then(|| format!("[{shorter}]")))
        }
        _ => (left != right).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // A difference that is overlooked lets two configurations drift; one without its place is hard to mend.
    #[test]
    fn a_difference_is_found_and_placed() {
        let one = json!({ "a": 1, "rules": [{ "name": "x" }, { "match": { "path": "/a" } }] });
        assert_eq!(difference(&one, &one), None);
        for (pointer, value, place) in [
            ("/a", json!(2), "a"),
            ("/rules/1/match/path", json!("/b"), "rules[1].match.path"),
            ("/rules/0", json!([]), "rules[0]"),
            ("/rules", json!([{ "name": "x" }]), "rules[1]"),
            ("/rules/0", json!({}), "rules[0].name"),
        ] {
            let mut other = one.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_eq!(difference(&one, &other).as_deref(), Some(place));
            assert_eq!(difference(&other, &one).as_deref(), Some(place));
        }
    }
}
