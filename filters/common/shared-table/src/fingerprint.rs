//! What stands in the table for a client.

use std::fmt;
use std::hash::Hasher;
use std::num::{NonZeroU32, NonZeroU64};

use siphasher::sip128::{Hasher128, SipHasher24};

/// The key of the hash: random, and the same for all workers. Whoever knew it could search for names that share a slot.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey([u8; HashKey::BYTES]);

/// 128 bits of SipHash-2-4 under the table's key: what a client chose cannot be read from it, nor collided with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; Fingerprint::BYTES]);

/// The parts of which a [`Fingerprint`] is made, as far as they are known.
#[derive(Clone)]
pub struct Parts(SipHasher24);

impl HashKey {
    /// The length of a key.
    pub const BYTES: usize = 16;

    /// The key with these bytes.
    pub fn new(bytes: [u8; HashKey::BYTES]) -> HashKey {
        HashKey(bytes)
    }

    /// The bytes, to be shared with other workers.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The fingerprint of the parts, of any length and any bytes. Different lists of parts are different inputs: `a`, `bc`
    /// is not `ab`, `c`.
    pub fn fingerprint<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Fingerprint {
        let mut parts_so_far = self.parts();
        for part in parts {
            parts_so_far.push(part);
        }
        parts_so_far.fingerprint()
    }

    /// No parts yet, for those who have them one after another.
    pub fn parts(&self) -> Parts {
        Parts(SipHasher24::new_with_key(&self.0))
    }
}

impl Parts {
    /// One part more.
    pub fn push(&mut self, part: &[u8]) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.0.write(&length.to_le_bytes());
        self.0.write(part);
    }

    /// The fingerprint of the parts.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.0.finish128().as_bytes())
    }
}

/// Never the key itself.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(<redacted>)")
    }
}

/// Nor what was made of it.
impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts(<redacted>)")
    }
}

/// Hexadecimal.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.number())
    }
}

impl Fingerprint {
    /// The length of a fingerprint.
    pub const BYTES: usize = 16;

    pub(crate) fn as_bytes(&self) -> &[u8; Fingerprint::BYTES] {
        &self.0
    }

    /// A number that is evenly spread, for choosing a slot.
    pub(crate) fn number(&self) -> u128 {
        u128::from_le_bytes(self.0)
    }

    /// What is left of the [`number`](Fingerprint::number) by this divisor: of its 32 bits at a time, for which a host has an instruction.
    pub(crate) fn modulo(&self, divisor: NonZeroU32) -> u64 {
        let divisor = NonZeroU64::from(divisor);
        let (words, _) = self.0.as_chunks::<4>();
        words.iter().rev().fold(0_u64, |left, word| {
            (left.wrapping_shl(u32::BITS) | u64::from(u32::from_le_bytes(*word))) % divisor
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: u8, parts: &[&[u8]]) -> Fingerprint {
        HashKey::new([key; 16]).fingerprint(parts.iter().copied())
    }

    // Two clients with one fingerprint share a limit.
    #[test]
    fn parts_are_kept_apart() {
        let all = [
            of(1, &[]),
            of(1, &[b""]),
            of(1, &[b"", b""]),
            of(1, &[b"abc"]),
            of(1, &[b"ab", b"c"]),
            of(1, &[b"a", b"bc"]),
            of(1, &[b"abc", b""]),
            of(1, &[b"\xff\x00"]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| one != other));
        }
        assert_eq!(of(1, &[b"ab", b"c"]), of(1, &[b"ab", b"c"]));
    }

    // Without a secret in it, a client could compute who shares its slot.
    #[test]
    fn another_key_gives_another_fingerprint() {
        assert_ne!(of(1, &[b"alice"]), of(2, &[b"alice"]));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(
            format!("{:?}", HashKey::new([9; 16])),
            "HashKey(<redacted>)"
        );
    }
}
