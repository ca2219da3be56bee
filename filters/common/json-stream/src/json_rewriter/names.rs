//! The names that each open object has had.

use std::collections::HashSet;
use std::hash::Hasher as _;

use ahash::RandomState;
use siphasher::sip::SipHasher13;

use crate::broken::Fault;
use crate::limits::Limits;

/// What tells a name from the others of its object: the name itself up to 15 bytes, else a keyed hash of it.
pub(super) type Fingerprint = (u64, u64);

/// The names of all open objects, by their fingerprints.
#[derive(Debug)]
pub(super) struct Names {
    key: [u8; 16],
    /// The first names of each object, the innermost object's last.
    few: Vec<Fingerprint>,
    /// All names of the objects that have more, and where these have theirs in `few`.
    many: Vec<(usize, HashSet<Fingerprint, RandomState>)>,
    /// How many names there are in `many`.
    hashed: usize,
}

/// How many names of an object are compared one by one.
const FEW: usize = 16;

impl Names {
    pub(super) fn new(key: [u8; 16]) -> Names {
        Names {
            key,
            few: Vec::new(),
            many: Vec::new(),
            hashed: 0,
        }
    }

    /// Where the names of an object begin that opens now.
    pub(super) fn open(&self) -> usize {
        self.few.len()
    }

    /// The object whose names begin there has closed.
    pub(super) fn close(&mut self, start: usize) {
        self.few.truncate(start);
        if let Some((_, names)) = self.many.pop_if(|(place, _)| *place == start) {
            self.hashed = self.hashed.saturating_sub(names.len());
        }
    }

    /// Every object has closed.
    pub(super) fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
        self.hashed = 0;
    }

    /// Adds a name to the innermost object, whose names begin at `start`.
    ///
    /// # Errors
    /// The object has had it, or there are too many names.
    #[inline(always)]
    pub(super) fn add(&mut self, name: Fingerprint, start: usize) -> Result<(), Fault> {
        if self.few.len().saturating_add(self.hashed) >= Limits::MAX_NAMES {
            return Err(Fault::TooManyNames);
        }
        let own = self.few.get(start..).unwrap_or_default();
        if own.len() < FEW {
            if own.contains(&name) {
                return Err(Fault::DuplicateMember);
            }
            self.few.push(name);
            return Ok(());
        }
        self.add_to_many(name, start)
    }

    /// The same for an object that has more than a few.
    #[cold]
    fn add_to_many(&mut self, name: Fingerprint, start: usize) -> Result<(), Fault> {
        let own = self.few.get(start..).unwrap_or_default();
        // The same place may be that of an outer object without names, which then has no set.
        if self.many.last().is_none_or(|(place, _)| *place != start) {
            let mut names = HashSet::with_hasher(self.state());
            names.extend(own.iter().copied());
            self.hashed = self.hashed.saturating_add(names.len());
            self.many.push((start, names));
        }
        if let Some((_, names)) = self.many.last_mut() {
            if !names.insert(name) {
                return Err(Fault::DuplicateMember);
            }
            self.hashed = self.hashed.saturating_add(1);
        }
        Ok(())
    }

    /// The fingerprint of a name.
    #[inline(always)]
    pub(super) fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        short(name).unwrap_or_else(|| self.long(name))
    }

    #[cold]
    fn long(&self, name: &[u8]) -> Fingerprint {
        let mut hasher = self.hasher();
        hasher.write(name);
        long(&hasher, name.len())
    }

    /// What a long name is hashed by, in as many pieces as it comes.
    pub(super) fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }

    /// What is held, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let name = size_of::<Fingerprint>().saturating_add(1);
        let many = self.many.iter().map(|(_, names)| names.capacity());
        let many = many.fold(self.few.capacity(), usize::saturating_add);
        many.saturating_mul(name)
    }

    fn state(&self) -> RandomState {
        let (one, two) = self.key.split_at(8);
        let half = |bytes: &[u8]| {
            bytes
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let (one, two) = (half(one), half(two));
        RandomState::with_seeds(one, two, !one, !two)
    }
}

/// The fingerprint of a name of so many bytes, all of which have been written.
pub(super) fn long(hasher: &SipHasher13, length: usize) -> Fingerprint {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    (hasher.finish(), length | (1 << 63))
}

/// The fingerprint of a name of up to 15 bytes: its bytes, and its length in the highest one.
#[inline(always)]
pub(super) fn short(name: &[u8]) -> Option<Fingerprint> {
    let length = name.len();
    let tag = u64::try_from(length).ok()?.wrapping_shl(56);
    // Two pieces that overlap have every byte; the second is moved by as much as is in the first already.
    let pieces = |first: u64, second: u64, width: usize| {
        let twice = width.saturating_mul(2).saturating_sub(length);
        let bits = u32::try_from(twice.saturating_mul(8)).unwrap_or(u32::MAX);
        (first, second.checked_shr(bits).unwrap_or(0))
    };
    match length {
        8..=15 => {
            let (first, second) = (name.first_chunk()?, name.last_chunk()?);
            let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
            let (first, second) = pieces(first, second, 8);
            Some((first, second | tag))
        }
        4..=7 => {
            let (first, second) = (name.first_chunk()?, name.last_chunk()?);
            let (first, second) = (u32::from_le_bytes(*first), u32::from_le_bytes(*second));
            let (first, second) = pieces(first.into(), second.into(), 4);
            Some((first | second.wrapping_shl(32), tag))
        }
        0..=3 => {
            let bytes = name.iter().rev();
            let all = bytes.fold(0_u64, |all, byte| all.wrapping_shl(8) | u64::from(*byte));
            Some((all, tag))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two names with one fingerprint are a document refused without reason; one name with two is a duplicate let through.
    #[test]
    fn short_names_are_told_apart_by_every_byte_and_their_length() {
        let base: Vec<u8> = (1..=15).collect();
        let mut seen = HashSet::new();
        for length in 0..=15 {
            let name = &base[..length];
            assert!(seen.insert(short(name).unwrap()), "{name:?}");
            for place in 0..length {
                for value in [0, 0x80, 0xff] {
                    let mut other = name.to_vec();
                    other[place] = value;
                    assert!(seen.insert(short(&other).unwrap()), "{other:?}");
                }
            }
        }
        assert_eq!(short(&[b'a'; 16]), None);
        assert_ne!(short(b"a\0"), short(b"a"));
    }

    #[test]
    fn an_object_knows_its_own_names_alone() {
        let mut names = Names::new([7; 16]);
        let print = |number: usize| (u64::try_from(number).unwrap(), 0);
        let outer = names.open();
        assert_eq!(names.add(print(0), outer), Ok(()));
        // Empty ones begin where those around them do.
        let inner = names.open();
        let innermost = names.open();
        for number in 0..100 {
            assert_eq!(names.add(print(number), innermost), Ok(()));
            assert_eq!(
                names.add(print(number / 2), innermost),
                Err(Fault::DuplicateMember)
            );
        }
        names.close(innermost);
        for number in 0..40 {
            assert_eq!(names.add(print(number), inner), Ok(()));
        }
        names.close(inner);
        assert_eq!(names.add(print(0), outer), Err(Fault::DuplicateMember));
        assert_eq!(names.add(print(1), outer), Ok(()));
        names.close(outer);
        assert_eq!((names.few.len(), names.many.len(), names.hashed), (0, 0, 0));
    }

    #[test]
    fn there_are_only_so_many() {
        let mut names = Names::new([7; 16]);
        let start = names.open();
        let last = (0..100_000).find_map(|number| names.add((number, 0), start).err());
        assert_eq!(last, Some(Fault::TooManyNames));
        assert!(names.held_bytes() < 4 << 20, "{}", names.held_bytes());
    }
}
