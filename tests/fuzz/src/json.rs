//! Walks over JSON.

use serde_json::Value;

/// Every value below a value, itself included.
pub(crate) fn walk(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    let below: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter().flat_map(walk)),
        Value::Object(members) => Box::new(members.values().flat_map(walk)),
        _ => Box::new(std::iter::empty()),
    };
    Box::new(std::iter::once(value).chain(below))
}

/// Every string that is a value.
pub(crate) fn strings(value: &Value) -> impl Iterator<Item = &str> {
    walk(value).filter_map(Value::as_str)
}

/// The member of that path, by names.
pub(crate) fn at<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().try_fold(value, |value, name| value.get(name))
}

/// The items of a list that may be absent.
pub(crate) fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
