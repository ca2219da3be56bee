//! The query of a request target, as `application/x-www-form-urlencoded` pairs (WHATWG URL section 5).

use std::borrow::Cow;

use crate::percent::hex_pair;

/// The pairs of a query, in the bytes that came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Path without the `?`.
    path: &'a [u8],
    /// What follows the first `?`, if there is one.
    query: Option<&'a [u8]>,
}

/// The pairs of a query, in order; see [`Query::iter`].
#[derive(Clone, Debug)]
pub struct QueryPairs<'a>(Option<&'a [u8]>);

impl<'a> Query<'a> {
    /// The query of a request target as `:path` has it.
    pub fn of(target: &'a [u8]) -> Query<'a> {
        match split_at_byte(target, b'?') {
            (path, Some(query)) => Query {
                path,
                query: Some(query),
            },
            (path, None) => Query { path, query: None },
        }
    }

    /// The query's bytes, without the `?`; empty if there is none.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.query.unwrap_or_default()
    }

    /// The pairs (name, value) as they are on the wire, not decoded. Without `=` the value is empty. Nothing between two
    /// `&` is no pair.
    pub fn iter(&self) -> QueryPairs<'a> {
        QueryPairs(self.query)
    }

    /// The decoded values of every pair whose decoded name is `name`.
    pub fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a, 'n> {
        self.iter()
            .filter(move |(raw, _)| query_decodes_to(raw, name.as_bytes()))
            .map(|(_, value)| decode_query(value))
    }

    /// The whole request target without the pairs whose decoded name is `name`; all other bytes are as they were. `None` if
    /// there is no such pair. A `?` after which nothing is left goes too.
    pub fn without(&self, name: &str) -> Option<Vec<u8>> {
        let query = self.query?;
        let is_named = |piece: &[u8]| {
            !piece.is_empty() && query_decodes_to(split_pair(piece).0, name.as_bytes())
        };
        if !query.split(|byte| *byte == b'&').any(is_named) {
            return None;
        }
        let mut left = Vec::with_capacity(query.len());
        let mut first = true;
        for piece in query
            .split(|byte| *byte == b'&')
            .filter(|piece| !is_named(piece))
        {
            if !first {
                left.push(b'&');
            }
            first = false;
            left.extend_from_slice(piece);
        }
        let mut target = self.path.to_vec();
        if !left.is_empty() {
            target.push(b'?');
            target.append(&mut left);
        }
        Some(target)
    }
}

impl<'a> IntoIterator for Query<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = QueryPairs<'a>;

    fn into_iter(self) -> QueryPairs<'a> {
        self.iter()
    }
}

impl<'a> Iterator for QueryPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (piece, rest) = split_at_byte(self.0?, b'&');
            self.0 = rest;
            if !piece.is_empty() {
                return Some(split_pair(piece));
            }
        }
    }
}

/// The bytes that a raw name or value stands for: `+` is a space, `%XX` a byte; a `%` that starts no such triple stays.
pub fn decode_query(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        Cow::Owned(Decoded(raw).collect())
    } else {
        Cow::Borrowed(raw)
    }
}

/// Whether a raw name or value stands for `wanted`. Allocates nothing.
#[inline(never)]
pub fn query_decodes_to(raw: &[u8], wanted: &[u8]) -> bool {
    Decoded(raw).eq(wanted.iter().copied())
}

struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, after) = self.0.split_first()?;
        self.0 = after;
        match byte {
            b'+' => Some(b' '),
            b'%' => {
                let encoded = after.split_first_chunk().and_then(|([high, low], after)| {
                    hex_pair(*high, *low).map(|byte| (byte, after))
                });
                if let Some((byte, after)) = encoded {
                    self.0 = after;
                    return Some(byte);
                }
                Some(b'%')
            }
            byte => Some(*byte),
        }
    }
}

fn split_pair(piece: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = split_at_byte(piece, b'=');
    (name, value.unwrap_or_default())
}

/// What is before the first such byte, and what is after it.
fn split_at_byte(bytes: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(byte, bytes).and_then(|at| bytes.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(target: &str) -> Vec<(String, String)> {
        let text = |raw| String::from_utf8(decode_query(raw).into_owned()).unwrap();
        Query::of(target.as_bytes())
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    fn without(target: &str, name: &str) -> Option<String> {
        Query::of(target.as_bytes())
            .without(name)
            .map(|target| String::from_utf8(target).unwrap())
    }

    #[test]
    fn pairs_are_split_and_decoded() {
        let expect = |target: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect();
            assert_eq!(pairs(target), expected, "{target}");
        };
        expect("/a", &[]);
        expect("/a?", &[]);
        expect("/a?x", &[("x", "")]);
        expect("/a?x=1&x=2", &[("x", "1"), ("x", "2")]);
        expect("/a?&&x=1&", &[("x", "1")]);
        expect("/a?x=1=2?3", &[("x", "1=2?3")]);
        expect("/a?=1", &[("", "1")]);
        expect("/a?a%20b=c+d%2B", &[("a b", "c d+")]);
        // Broken encodings stay: a query has no canonical form, and values are only compared.
        expect("/a?x=%zz%4&y=%", &[("x", "%zz%4"), ("y", "%")]);
        expect("/a?x%3D1=2", &[("x=1", "2")]);
        expect("/a?x%26y=2", &[("x&y", "2")]);
    }

    #[test]
    fn values_are_found_in_every_encoding_of_the_name() {
        let query = Query::of(b"/a?api_key=1&api%5Fkey=2&%61pi_key=3&api_keys=4&API_KEY=5");
        let values: Vec<_> = query.values("api_key").collect();
        assert_eq!(values, [&b"1"[..], b"2", b"3"]);
    }

    #[test]
    fn a_removed_pair_leaves_the_rest_as_it_was() {
        let expect = |target: &str, left: Option<&str>| {
            assert_eq!(without(target, "api_key").as_deref(), left, "{target}");
        };
        expect("/a", None);
        expect("/a?", None);
        expect("/a?x=1", None);
        expect("/api_key=1", None);
        expect("/a?api_key=1", Some("/a"));
        expect("/a?api_key", Some("/a"));
        expect("/a?api_key=1&b=2", Some("/a?b=2"));
        expect("/a?b=2&api_key=1", Some("/a?b=2"));
        expect(
            "/a?b=%7e&api%5Fkey=1&c=+&api_key=2&%64",
            Some("/a?b=%7e&c=+&%64"),
        );
        expect("/a?&b&&api_key=1", Some("/a?&b&"));
        expect("/a%20?x=%zz&%61%70i_key=s", Some("/a%20?x=%zz"));
        expect("/a?b=api_key=1", None);
        expect("/a?api_key=1?api_key=2", Some("/a"));
        expect("?api_key=1", Some(""));
    }

    proptest! {
        // A credential in the query must not survive its removal in any spelling, and nothing else may change.
        #[test]
        fn removal_is_complete_and_touches_nothing_else(
            pieces in proptest::collection::vec("[ak%61=+]{0,5}", 0..6),
        ) {
            let target = format!("/p?{}", pieces.join("&"));
            let others = |target: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
                Query::of(target).iter()
                    .filter(|(name, _)| !query_decodes_to(name, b"a"))
                    .map(|(name, value)| (name.to_vec(), value.to_vec()))
                    .collect()
            };
            match Query::of(target.as_bytes()).without("a") {
                None => prop_assert_eq!(Query::of(target.as_bytes()).values("a").count(), 0),
                Some(left) => {
                    prop_assert_eq!(Query::of(&left).values("a").count(), 0);
                    prop_assert_eq!(others(&left), others(target.as_bytes()));
                }
            }
        }

        // The comparison without an allocation agrees with the decoding.
        #[test]
        fn decoding_and_comparing_agree(raw in "[a%4+16]{0,8}", wanted in "[aAn%4 16]{0,4}") {
            let decoded = decode_query(raw.as_bytes());
            prop_assert_eq!(query_decodes_to(raw.as_bytes(), wanted.as_bytes()), decoded == wanted.as_bytes());
            prop_assert!(query_decodes_to(raw.as_bytes(), &decoded));
        }

        // No bytes cause a panic.
        #[test]
        fn any_bytes_are_a_query(target in proptest::collection::vec(any::<u8>(), 0..64)) {
            let query = Query::of(&target);
            let _ = query.without("a");
            prop_assert!(query.iter().count() <= target.len());
        }
    }
}
