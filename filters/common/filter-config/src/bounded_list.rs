//! Lists with bounds.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// A list of `MIN` to `MAX` items, both included. Too many are refused before they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundedList<T, const MIN: usize, const MAX: usize>(Vec<T>);

impl<T, const MIN: usize, const MAX: usize> BoundedList<T, MIN, MAX> {
    /// The list, if it is within the bounds.
    pub fn new(items: Vec<T>) -> Option<Self> {
        (MIN..=MAX)
            .contains(&items.len())
            .then_some(BoundedList(items))
    }

    /// The items.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for BoundedList<T, 0, MAX> {
    fn default() -> Self {
        BoundedList(Vec::new())
    }
}

impl<T, const MIN: usize, const MAX: usize> Deref for BoundedList<T, MIN, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> IntoIterator for BoundedList<T, MIN, MAX> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T, const MIN: usize, const MAX: usize> IntoIterator for &'a BoundedList<T, MIN, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de>
    for BoundedList<T, MIN, MAX>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MIN: usize, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Visitor<'de>
    for ListVisitor<T, MIN, MAX>
{
    type Value = BoundedList<T, MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {MIN} to {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
        let (items, count) = read(access, MAX)?;
        if (MIN..=MAX).contains(&count) {
            Ok(BoundedList(items))
        } else {
            Err(wrong_count(MIN, MAX, count))
        }
    }
}

/// At most so many items, and how many there are. Apart from the bounds, so that a module has it once for each type of item.
#[inline(never)]
fn read<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    mut access: A,
    most: usize,
) -> Result<(Vec<T>, usize), A::Error> {
    let mut count = access.size_hint().unwrap_or(0);
    let mut items = Vec::with_capacity(count.min(most));
    if count <= most {
        while items.len() < most
            && let Some(item) = access.next_element()?
        {
            items.push(item);
        }
        count = items.len();
        while access.next_element::<IgnoredAny>()?.is_some() {
            count = count.saturating_add(1);
        }
    }
    Ok((items, count))
}

#[cold]
#[inline(never)]
fn wrong_count<E: Error>(least: usize, most: usize, found: usize) -> E {
    E::custom(format_args!(
        "expected {least} to {most} items, found {found}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::from_value;

    type List = BoundedList<u8, 1, 3>;

    // One off at either end admits what the documentation refuses, or the other way round.
    #[test]
    fn keeps_both_bounds() {
        assert_eq!(
            from_value::<List>(json!([1, 2, 3])).map(List::into_inner),
            Ok(vec![1, 2, 3])
        );
        assert_eq!(
            from_value::<List>(json!([1])).map(List::into_inner),
            Ok(vec![1])
        );
        let refusal = |value| from_value::<List>(value).unwrap_err().to_string();
        assert_eq!(refusal(json!([])), "expected 1 to 3 items, found 0");
        assert_eq!(
            refusal(json!([1, 2, 3, 4])),
            "expected 1 to 3 items, found 4"
        );
        assert_eq!(
            refusal(json!({})),
            "wrong type object, expected a list of 1 to 3 items"
        );
        assert_eq!(
            refusal(json!([1, "2"])),
            "[1]: wrong type string, expected a whole number from 0 to 255"
        );
    }

    // Reading a million items to say that three are allowed costs every worker.
    #[test]
    fn the_count_comes_before_the_items() {
        let refusal = from_value::<List>(json!(["not", "numbers", "at", "all"])).unwrap_err();
        assert_eq!(refusal.to_string(), "expected 1 to 3 items, found 4");
    }

    // Another deserializer may not know the count: the bound must hold without it.
    #[test]
    fn the_bound_holds_without_a_size_hint() {
        let refusal = serde_json::from_str::<List>("[1,2,3,\"x\",5]").unwrap_err();
        assert!(
            refusal
                .to_string()
                .starts_with("expected 1 to 3 items, found 5")
        );
        assert_eq!(serde_json::from_str::<List>("[1,2,3]").unwrap().len(), 3);
    }

    // The same bounds for lists that code makes.
    #[test]
    fn new_keeps_the_bounds() {
        assert!(List::new(vec![]).is_none());
        assert!(List::new(vec![1]).is_some());
        assert!(List::new(vec![1, 2, 3, 4]).is_none());
        assert!(BoundedList::<u8, 0, 3>::default().is_empty());
    }
}
