//! Where in the claims of a token something is.

use filter_config::{BoundedList, Text};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The names of members, from the outermost inwards: `[realm_access, roles]`. A list, because names of claims hold dots
/// and slashes themselves (RFC 7519 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClaimPath(BoundedList<Text<128>, 1, 8>);

impl ClaimPath {
    /// What is there, if all on the way to it are objects.
    pub(crate) fn find<'v>(&self, claims: &'v Map<String, Value>) -> Option<&'v Value> {
        let mut names = self.0.iter();
        let first = claims.get(names.next()?.as_str())?;
        names.try_fold(first, |value, name| value.as_object()?.get(name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // A path that went into lists, or fell back to a dotted name, would find what the operator did not name.
    #[test]
    fn names_lead_from_object_to_object() {
        let claims = json!({
            "a": { "b": { "c": 1 }, "l": [{ "c": 2 }] },
            "a.b": 3,
            "n": null,
        });
        let find = |names: &[&str]| {
            let path: ClaimPath = filter_config::from_value(json!(names)).unwrap();
            path.find(claims.as_object().unwrap()).cloned()
        };
        assert_eq!(find(&["a", "b", "c"]), Some(json!(1)));
        assert_eq!(find(&["a.b"]), Some(json!(3)));
        assert_eq!(find(&["n"]), Some(Value::Null));
        for nowhere in [
            &["a", "b", "d"][..],
            &["a", "l", "c"],
            &["a", "l", "0"],
            &["a", "b", "c", "d"],
            &["n", "b"],
            &["A"],
            &["a.b.c"],
        ] {
            assert_eq!(find(nowhere), None, "{nowhere:?}");
        }
        assert!(filter_config::from_value::<ClaimPath>(json!([])).is_err());
        assert!(filter_config::from_value::<ClaimPath>(json!("a")).is_err());
    }
}
