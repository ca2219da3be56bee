//! A header map in the form in which proxy-wasm hosts hand it over, read in place.
//!
//! The form: `u32` count, then for each header its `u32` name length and `u32` value length, then for each header the
//! name, a NUL, the value, a NUL. All integers are little-endian.

use std::fmt;

use thiserror::Error;

/// Bytes of one integer of the wire form.
const WORD: usize = 4;

/// The lengths of one header.
const PAIR: usize = WORD.saturating_mul(2);

/// What the texts of most maps that are made here take, and one growth less for all others.
const USUAL_BYTES: usize = 256;

/// A header map that owns the host's buffer and allocates nothing for its headers.
///
/// Names are as the host gave them (Envoy: lower-case, pseudo headers with their colon). Values are bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderMap {
    bytes: Vec<u8>,
    count: usize,
}

/// Why bytes are not a header map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MalformedHeaderMap {
    /// The bytes end before the lengths or the texts that they announce.
    #[error("the header map is truncated")]
    Truncated,
    /// A name or a value is not followed by NUL.
    #[error("a header is not terminated")]
    NotTerminated,
    /// Bytes follow the last header.
    #[error("bytes follow the last header")]
    TrailingBytes,
}

/// How often a header occurs. Security decisions must not be made on the first of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence<'a> {
    /// No header has the name.
    Absent,
    /// Exactly one header has the name; this is its value.
    Once(&'a [u8]),
    /// Several headers have the name.
    Repeated,
}

/// Headers in order; see [`HeaderMap::iter`].
#[derive(Clone)]
pub struct Iter<'a> {
    lengths: &'a [u8],
    texts: &'a [u8],
}

/// The values of one header in order; see [`HeaderMap::values`].
struct Values<'a, 'n> {
    headers: Iter<'a>,
    name: &'n [u8],
}

impl HeaderMap {
    /// Reads the host's wire form. Empty input is an empty map: hosts answer so where there are no headers.
    ///
    /// # Errors
    /// Anything but exactly one well-formed map.
    pub fn parse(bytes: Vec<u8>) -> Result<HeaderMap, MalformedHeaderMap> {
        if bytes.is_empty() {
            return Ok(HeaderMap::default());
        }
        let (count, rest) = split_word(&bytes).ok_or(MalformedHeaderMap::Truncated)?;
        let count = usize::try_from(count).map_err(|_| MalformedHeaderMap::Truncated)?;
        let (mut lengths, mut texts) = count
            .checked_mul(WORD.saturating_mul(2))
            .and_then(|size| rest.split_at_checked(size))
            .ok_or(MalformedHeaderMap::Truncated)?;
        while !lengths.is_empty() {
            for _ in 0..2 {
                let (length, after) = split_word(lengths).ok_or(MalformedHeaderMap::Truncated)?;
                lengths = after;
                let length = usize::try_from(length).map_err(|_| MalformedHeaderMap::Truncated)?;
                let (_, after) = texts
                    .split_at_checked(length)
                    .ok_or(MalformedHeaderMap::Truncated)?;
                let (terminator, after) =
                    after.split_first().ok_or(MalformedHeaderMap::Truncated)?;
                if *terminator != 0 {
                    return Err(MalformedHeaderMap::NotTerminated);
                }
                texts = after;
            }
        }
        if !texts.is_empty() {
            return Err(MalformedHeaderMap::TrailingBytes);
        }
        Ok(HeaderMap { bytes, count })
    }

    /// A map of these headers, in this order. Pairs with a text of 4 GiB or more, which the form cannot hold, are left
    /// out.
    pub fn from_pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> HeaderMap {
        let mut count: u32 = 0;
        let pairs = pairs.into_iter();
        let (few, _) = pairs.size_hint();
        // The lengths with the count in front, and room for the texts of a reply.
        let mut bytes = Vec::with_capacity(few.saturating_mul(PAIR).saturating_add(USUAL_BYTES));
        bytes.extend_from_slice(&count.to_le_bytes());
        let mut texts = Vec::with_capacity(USUAL_BYTES);
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            let (Ok(name_length), Ok(value_length)) =
                (u32::try_from(name.len()), u32::try_from(value.len()))
            else {
                continue;
            };
            let Some(next) = count.checked_add(1) else {
                break;
            };
            count = next;
            bytes.extend_from_slice(&name_length.to_le_bytes());
            bytes.extend_from_slice(&value_length.to_le_bytes());
            for text in [name, value] {
                texts.extend_from_slice(text);
                texts.push(0);
            }
        }
        if count == 0 {
            return HeaderMap::default();
        }
        if let Some(first) = bytes.first_chunk_mut() {
            *first = count.to_le_bytes();
        }
        bytes.append(&mut texts);
        HeaderMap {
            bytes,
            count: usize::try_from(count).unwrap_or(usize::MAX),
        }
    }

    /// The wire form; empty for an empty map that was made here or parsed from nothing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many headers there are; a repeated header counts each time.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no header.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All headers as (name, value), in order. Allocates nothing.
    pub fn iter(&self) -> Iter<'_> {
        let (lengths, texts) = self
            .bytes
            .get(WORD..)
            .and_then(|rest| {
                rest.split_at_checked(self.count.saturating_mul(WORD.saturating_mul(2)))
            })
            .unwrap_or_default();
        Iter { lengths, texts }
    }

    /// Every value of the header, in order. Letter case of the name does not matter.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name.as_bytes())
    }

    /// The same for a name that need not be text.
    pub(crate) fn values<'a, 'n>(
        &'a self,
        name: &'n [u8],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        Values {
            headers: self.iter(),
            name,
        }
    }

    /// Whether the header is absent, there once, or repeated. Letter case of the name does not matter.
    pub fn occurrence(&self, name: &str) -> Occurrence<'_> {
        let mut values = self.values(name.as_bytes());
        match (values.next(), values.next()) {
            (None, _) => Occurrence::Absent,
            (Some(value), None) => Occurrence::Once(value),
            (Some(_), Some(_)) => Occurrence::Repeated,
        }
    }
}

/// Names and sizes only: values hold credentials.
impl fmt::Debug for HeaderMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| {
                (
                    String::from_utf8_lossy(name).into_owned(),
                    format_args_len(value.len()),
                )
            }))
            .finish()
    }
}

impl<'a> IntoIterator for &'a HeaderMap {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    /// `parse` has checked that all of it is there.
    fn next(&mut self) -> Option<Self::Item> {
        let (name_length, lengths) = split_word(self.lengths)?;
        let (value_length, lengths) = split_word(lengths)?;
        let name_end = usize::try_from(name_length).ok()?;
        let value_start = name_end.checked_add(1)?;
        let value_end = value_start.checked_add(usize::try_from(value_length).ok()?)?;
        let name = self.texts.get(..name_end)?;
        let value = self.texts.get(value_start..value_end)?;
        self.texts = self.texts.get(value_end.checked_add(1)?..)?;
        self.lengths = lengths;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self
            .lengths
            .len()
            .checked_div(WORD.saturating_mul(2))
            .unwrap_or(0);
        (left, Some(left))
    }
}

/// Whether two names are one, in whatever letter case. Most differ in length, nearly all others in their first byte.
pub(crate) fn same_name(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one == other || one.eq_ignore_ascii_case(other))
}

impl<'a> Iterator for Values<'a, '_> {
    type Item = &'a [u8];

    /// Most headers are told from the one by the length of their name alone.
    fn next(&mut self) -> Option<&'a [u8]> {
        let Values { headers, name } = self;
        while let Some((lengths, after)) = headers.lengths.split_first_chunk() {
            let both = u64::from_le_bytes(*lengths);
            let length = usize::try_from(both & u64::from(u32::MAX)).ok()?;
            let value = usize::try_from(both >> 32).ok()?;
            headers.lengths = after;
            // Each ends with a NUL.
            let end = length.saturating_add(value).saturating_add(2);
            let (header, after) = headers.texts.split_at_checked(end)?;
            headers.texts = after;
            if length == name.len() && header.get(..length)?.eq_ignore_ascii_case(name) {
                return header.get(length.saturating_add(1)..end.saturating_sub(1));
            }
        }
        None
    }
}

#[inline(always)]
fn split_word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<WORD>()?;
    Some((u32::from_le_bytes(*word), rest))
}

fn format_args_len(len: usize) -> String {
    format!("<{len} bytes>")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(map: &HeaderMap) -> Vec<(Vec<u8>, Vec<u8>)> {
        map.iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    }

    #[test]
    fn the_wire_form_is_the_hosts() {
        // Written out by hand: a change of byte order or terminators would no longer be what hosts send.
        let wire = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x02\0\0\0\0\0\0\0a\0bc\0de\0\0".to_vec();
        let map = HeaderMap::parse(wire.clone()).unwrap();
        assert_eq!(
            pairs(&map),
            [
                (b"a".to_vec(), b"bc".to_vec()),
                (b"de".to_vec(), Vec::new())
            ]
        );
        assert_eq!(map.len(), 2);
        assert_eq!(
            HeaderMap::from_pairs([("a", "bc"), ("de", "")]).as_bytes(),
            wire
        );
    }

    // A header that is overlooked, or taken for another of the same length, decides as if a client had not sent it.
    #[test]
    fn values_are_those_of_one_name_in_any_letters() {
        let map = HeaderMap::from_pairs([
            ("a", "1"),
            ("X-One", "2"),
            ("x-two", ""),
            ("x-one", ""),
            ("", "3"),
            ("x_one", "4"),
            ("X-ONE", "5"),
        ]);
        let of = |name: &'static str| map.get_all(name).collect::<Vec<_>>();
        assert_eq!(of("x-one"), [&b"2"[..], b"", b"5"]);
        assert_eq!(of("x-two"), [b""]);
        assert_eq!(of(""), [b"3"]);
        assert_eq!(map.occurrence("A"), Occurrence::Once(b"1"));
        assert_eq!(map.occurrence("x-one"), Occurrence::Repeated);
        assert_eq!(map.occurrence("x-six"), Occurrence::Absent);
    }

    #[test]
    fn nothing_is_an_empty_map() {
        for bytes in [&b""[..], &b"\0\0\0\0"[..]] {
            let map = HeaderMap::parse(bytes.to_vec()).unwrap();
            assert!(map.is_empty());
            assert_eq!(map.iter().count(), 0);
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let wire = HeaderMap::from_pairs([("name", "value"), ("x", "")])
            .as_bytes()
            .to_vec();
        for end in 1..wire.len() {
            assert_eq!(
                HeaderMap::parse(wire[..end].to_vec()),
                Err(MalformedHeaderMap::Truncated),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn hostile_lengths_and_counts_are_errors() {
        // A count or length near u32::MAX must not be multiplied, added or allocated for.
        for wire in [
            b"\xff\xff\xff\xff".to_vec(),
            b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0".to_vec(),
            b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffa\0b\0".to_vec(),
            b"\x01\0\0\0\x01\0\0\0\xff\xff\xff\xffa\0b\0".to_vec(),
        ] {
            assert_eq!(HeaderMap::parse(wire), Err(MalformedHeaderMap::Truncated));
        }
        let not_terminated = b"\x01\0\0\0\x01\0\0\0\x01\0\0\0aXb\0".to_vec();
        assert_eq!(
            HeaderMap::parse(not_terminated),
            Err(MalformedHeaderMap::NotTerminated)
        );
        let trailing = b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0c".to_vec();
        assert_eq!(
            HeaderMap::parse(trailing),
            Err(MalformedHeaderMap::TrailingBytes)
        );
    }

    #[test]
    fn repeated_headers_are_told_from_single_ones() {
        let map = HeaderMap::from_pairs([("x-one", "1"), ("x-two", "a"), ("X-Two", "b")]);
        assert_eq!(map.occurrence("x-one"), Occurrence::Once(b"1"));
        assert_eq!(map.occurrence("x-two"), Occurrence::Repeated);
        assert_eq!(map.occurrence("x"), Occurrence::Absent);
        assert_eq!(map.get_all("x-two").collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn debug_tells_no_value() {
        let shown = format!(
            "{:?}",
            HeaderMap::from_pairs([("authorization", "Bearer hunter2")])
        );
        assert!(
            shown.contains("authorization") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    proptest! {
        // Whatever the host hands over is a map or an error, and never a panic.
        #[test]
        fn any_bytes_are_a_map_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(map) = HeaderMap::parse(bytes) {
                prop_assert_eq!(map.iter().count(), map.len());
            }
        }

        // As above, with a small count so that the lengths are reached.
        #[test]
        fn plausible_bytes_are_a_map_or_an_error(
            count in 0u32..4,
            lengths in proptest::collection::vec(0u32..6, 0..8),
            texts in proptest::collection::vec(prop_oneof![Just(0u8), Just(b'a')], 0..24),
        ) {
            let mut bytes = count.to_le_bytes().to_vec();
            bytes.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
            bytes.extend(texts);
            if let Ok(map) = HeaderMap::parse(bytes.clone()) {
                prop_assert_eq!(map.iter().count(), map.len());
                if !map.is_empty() {
                    let again = HeaderMap::from_pairs(&map);
                    prop_assert_eq!(again.as_bytes(), bytes);
                }
            }
        }

        // What is written is what is read, also with NUL and 0xff in a text.
        #[test]
        fn pairs_round_trip(
            headers in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..12), proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        ) {
            let map = HeaderMap::from_pairs(headers.clone());
            prop_assert_eq!(map.len(), headers.len());
            let again = HeaderMap::parse(map.as_bytes().to_vec()).unwrap();
            prop_assert_eq!(&again, &map);
            prop_assert_eq!(pairs(&again), headers);
        }
    }
}
