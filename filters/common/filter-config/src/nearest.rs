//! The valid name that somebody meant.

/// Longer names are not compared: the work is the product of both lengths.
const MAX_COMPARED: usize = 64;

/// The candidate closest to `name`, if one is close enough to be meant.
///
/// Close is one slip (a letter too many, missing, wrong, or swapped with its neighbour) for every three letters, case
/// aside. Of equally close ones the first.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_COMPARED {
        return None;
    }
    let wanted = letters(name);
    candidates
        .filter(|candidate| candidate.len() <= MAX_COMPARED)
        .filter_map(|candidate| {
            let found = letters(candidate);
            let slips = distance(&wanted, &found);
            let allowed = wanted.len().max(found.len()) / 3;
            (slips <= allowed).then_some((slips, candidate))
        })
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

fn letters(name: &str) -> Vec<char> {
    name.chars()
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// The optimal string alignment distance: Levenshtein's, with swapped neighbours as one slip.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    for (row, letter) in left.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        let mut beside = row.saturating_add(1);
        current.push(beside);
        for (column, other) in right.iter().enumerate() {
            let replaced = at(&last, column).saturating_add(usize::from(letter != other));
            let removed = at(&last, column.saturating_add(1)).saturating_add(1);
            let added = beside.saturating_add(1);
            beside = replaced.min(removed).min(added);
            if let (Some(row), Some(column)) = (row.checked_sub(1), column.checked_sub(1))
                && left.get(row) == Some(other)
                && right.get(column) == Some(letter)
            {
                beside = beside.min(at(&before_last, column).saturating_add(1));
            }
            current.push(beside);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slips(left: &str, right: &str) -> usize {
        distance(&letters(left), &letters(right))
    }

    // The slips that people make: a swap must cost one, or short names are never suggested.
    #[test]
    fn counts_slips() {
        assert_eq!(slips("paht", "path"), 1);
        assert_eq!(slips("mod", "mode"), 1);
        assert_eq!(slips("modes", "mode"), 1);
        assert_eq!(slips("mide", "mode"), 1);
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("abc", ""), 3);
        assert_eq!(slips("MODE", "mode"), 0);
        assert_eq!(slips("kitten", "sitting"), 3);
    }

    // A far-fetched suggestion sends the reader the wrong way.
    #[test]
    fn suggests_only_what_may_be_meant() {
        let names = ["path", "methods", "headers", "id"];
        let suggest = |name: &str| nearest(name, names.into_iter());
        assert_eq!(suggest("paht"), Some("path"));
        assert_eq!(suggest("header"), Some("headers"));
        assert_eq!(suggest("apiKeys"), None);
        assert_eq!(suggest("it"), None);
        assert_eq!(suggest(""), None);
        assert_eq!(
            nearest("apiKeys", ["api_keys"].into_iter()),
            Some("api_keys")
        );
        assert_eq!(
            nearest("main", ["mains", "maine"].into_iter()),
            Some("mains")
        );
    }

    // A name of megabytes must not cost a worker seconds.
    #[test]
    fn long_names_are_not_compared() {
        let long = "a".repeat(65);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), None);
        assert_eq!(nearest("a", [long.as_str()].into_iter()), None);
    }

    proptest! {
        // A measure that is not symmetric, or not zero on equals, prefers the wrong candidate.
        #[test]
        fn is_a_measure(left in "[a-c]{0,8}", right in "[a-c]{0,8}") {
            prop_assert_eq!(slips(&left, &right), slips(&right, &left));
            prop_assert_eq!(slips(&left, &right) == 0, left == right);
            prop_assert!(slips(&left, &right) <= left.len().max(right.len()));
            prop_assert!(slips(&left, &right) >= left.len().abs_diff(right.len()));
        }
    }
}
