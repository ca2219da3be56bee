//! A list of header pairs, as the host keeps it.

use std::fmt;

/// The most pairs that the host parses out of a map that a plugin hands over.
pub(crate) const MAX_PAIRS: usize = 1024;

/// The most bytes that the host parses out of a map that a plugin hands over.
const MAX_BYTES: usize = 1024 * 1024;

/// Header pairs in order; names are lower-case, as the codecs hand them to filters.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    /// The pairs in order; names are lower-cased.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, V)>) -> Headers {
        let lowered = |(name, value): (N, V)| {
            (
                name.as_ref().to_ascii_lowercase(),
                value.as_ref().to_owned(),
            )
        };
        Headers(pairs.into_iter().map(lowered).collect())
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).into_iter().next()
    }

    /// The first value of `name`, as text; `None` too if it is not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Every value of `name`, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.iter()
            .filter(|(candidate, _)| *candidate == name.as_bytes())
            .map(|(_, value)| value)
            .collect()
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn first(&self, name: &[u8]) -> Option<&[u8]> {
        let name = name.to_ascii_lowercase();
        self.iter()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_owned()));
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        let name = name.to_ascii_lowercase();
        self.0.retain(|(candidate, _)| *candidate != name);
    }

    pub(crate) fn replace(&mut self, name: &[u8], value: &[u8]) {
        // The host keeps the place of the first: an application that reads headers in order sees no difference.
        let lowered = name.to_ascii_lowercase();
        let place = self.0.iter().position(|(name, _)| *name == lowered);
        self.remove(name);
        let place = place.unwrap_or(self.0.len()).min(self.0.len());
        self.0.insert(place, (lowered, value.to_owned()));
    }

    /// The ABI's form: count, lengths, then each name and value with a NUL behind it.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let mut wire = u32_le(self.0.len());
        for (name, value) in &self.0 {
            wire.extend(u32_le(name.len()));
            wire.extend(u32_le(value.len()));
        }
        for (name, value) in &self.0 {
            wire.extend_from_slice(name);
            wire.push(0);
            wire.extend_from_slice(value);
            wire.push(0);
        }
        wire
    }

    /// What the host makes of a map that a plugin hands over: *nothing*, if it is malformed or too large.
    pub(crate) fn from_wire(wire: &[u8]) -> Headers {
        Headers::parse(wire).unwrap_or_default()
    }

    fn parse(wire: &[u8]) -> Option<Headers> {
        let (count, sizes) = take_u32(wire)?;
        if count > MAX_PAIRS || wire.len() > MAX_BYTES {
            return None;
        }
        let mut bytes = sizes.get(count * 8..)?;
        let mut take = |size: usize| {
            let value = bytes.get(..size)?.to_owned();
            bytes = bytes.get(size + 1..)?;
            Some(value)
        };
        let mut headers = Headers::default();
        for pair in sizes.get(..count * 8)?.chunks_exact(8) {
            let (name_size, rest) = take_u32(pair)?;
            let (value_size, _) = take_u32(rest)?;
            let name = take(name_size)?;
            let value = take(value_size)?;
            headers.add(&name, &value);
        }
        Some(headers)
    }
}

fn u32_le(number: usize) -> Vec<u8> {
    u32::try_from(number)
        .expect("fewer than 2^32")
        .to_le_bytes()
        .to_vec()
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self
            .iter()
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
        f.debug_list().entries(lines).finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Headers {
        Headers::new(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A map must come back from the wire form as it went in, bytes that are not UTF-8 included.
    #[test]
    fn the_wire_form_is_read_back() {
        let headers = Headers::new([
            (&b":path"[..], &b"/"[..]),
            (b"x-a", b"\xff\x00"),
            (b"x-a", b""),
        ]);
        assert_eq!(Headers::from_wire(&headers.to_wire()), headers);
    }

    // The trap of `set_map`: one pair too many, and the host takes an empty list without an error.
    #[test]
    fn past_1024_pairs_the_host_takes_none() {
        let pairs = |count| Headers::new((0..count).map(|i| (format!("x-{i}"), "v")));
        assert_eq!(Headers::from_wire(&pairs(1024).to_wire()).len(), 1024);
        assert!(Headers::from_wire(&pairs(1025).to_wire()).is_empty());
    }

    // Setting a header that was sent twice must leave one.
    #[test]
    fn replace_leaves_one_value() {
        let mut headers = Headers::new([("x-a", "1"), ("x-b", "2"), ("X-A", "3")]);
        headers.replace(b"X-a", b"4");
        assert_eq!(headers, Headers::new([("x-a", "4"), ("x-b", "2")]));
    }
}
