//! Objects with names of the author's choice, with bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// An object of `MIN` to `MAX` members, both included, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundedMap<K, V, const MIN: usize, const MAX: usize>(BTreeMap<K, V>);

impl<K, V, const MIN: usize, const MAX: usize> BoundedMap<K, V, MIN, MAX> {
    /// The members.
    pub fn into_inner(self) -> BTreeMap<K, V> {
        self.0
    }
}

impl<K, V, const MAX: usize> Default for BoundedMap<K, V, 0, MAX> {
    fn default() -> Self {
        BoundedMap(BTreeMap::new())
    }
}

impl<K, V, const MIN: usize, const MAX: usize> Deref for BoundedMap<K, V, MIN, MAX> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.0
    }
}

impl<'de, K, V, const MIN: usize, const MAX: usize> Deserialize<'de> for BoundedMap<K, V, MIN, MAX>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<K, V, const MIN: usize, const MAX: usize>(PhantomData<(K, V)>);

impl<'de, K, V, const MIN: usize, const MAX: usize> Visitor<'de> for MapVisitor<K, V, MIN, MAX>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    type Value = BoundedMap<K, V, MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of {MIN} to {MAX} members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let refusal = |count: usize| {
            A::Error::custom(format_args!(
                "expected {MIN} to {MAX} members, found {count}"
            ))
        };
        if let Some(count) = access.size_hint()
            && count > MAX
        {
            return Err(refusal(count));
        }
        let mut members = BTreeMap::new();
        while let Some((name, value)) = access.next_entry()? {
            // Two names may be one key to `K`, for instance when it folds case.
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("two members have the same name"));
            }
            if members.len() > MAX {
                return Err(refusal(members.len()));
            }
        }
        if members.len() < MIN {
            return Err(refusal(members.len()));
        }
        Ok(BoundedMap(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Name, Text, from_value};

    type Labels = BoundedMap<Name, Text<8>, 1, 2>;

    // One off at either end admits what the documentation refuses, or the other way round.
    #[test]
    fn keeps_both_bounds() {
        let labels = from_value::<Labels>(json!({"team": "ci", "a": "b"})).unwrap();
        assert_eq!(labels.get("team").map(Text::as_str), Some("ci"));
        let refusal = |value| from_value::<Labels>(value).unwrap_err().to_string();
        assert_eq!(refusal(json!({})), "expected 1 to 2 members, found 0");
        assert_eq!(
            refusal(json!({"a": 1, "b": 2, "c": 3})),
            "expected 1 to 2 members, found 3"
        );
        assert_eq!(
            refusal(json!([])),
            "wrong type list, expected an object of 1 to 2 members"
        );
        assert!(BoundedMap::<Name, Name, 0, 2>::default().is_empty());
    }

    // The path must lead to the member, whether its name or its value is at fault.
    #[test]
    fn faults_are_at_the_member() {
        let refusal = |value| from_value::<Labels>(value).unwrap_err().path().to_string();
        assert_eq!(refusal(json!({"Team": "ci"})), "Team");
        assert_eq!(refusal(json!({"team": 1})), "team");
    }

    // A member that silently replaces another is a setting that silently has no effect.
    #[test]
    fn keys_that_fold_together_are_refused() {
        let error = serde_json::from_str::<Labels>(r#"{"a": "1", "a": "2"}"#).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("two members have the same name")
        );
    }
}
