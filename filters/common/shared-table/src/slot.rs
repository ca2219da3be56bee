//! One slot: a few entries, and what newcomers share when it is full.

use std::ops::Range;

use crate::fingerprint::Fingerprint;

/// Form, and the time as of which the rest is (nanoseconds, little-endian).
const HEADER_BYTES: usize = 9;
/// Fingerprint, time in nanoseconds, and the length of the state with [`SHARED`], both little-endian. The state follows.
const ENTRY_BYTES: usize = Fingerprint::BYTES + 8 + 2;
/// In the length of a state: the entry is one that newcomers share.
const SHARED: u16 = 0x8000;

/// One slot as of some moment, in the bytes in which it is written: entries that by then said nothing any more are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    bytes: Vec<u8>,
    as_of: u64,
    /// How many entries it has, and how many those had that were read.
    own: usize,
    shared: usize,
    stored: usize,
}

/// An entry where it stands.
struct Entry<'a> {
    range: Range<usize>,
    fingerprint: &'a [u8],
    expires_at: u64,
    is_shared: bool,
    state: &'a [u8],
}

/// What a slot holds for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The state to go on from; `None` is a fresh one.
    pub state: Option<&'a [u8]>,
    /// Where the next state belongs.
    pub seat: Seat,
}

/// Where the state of a client belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// In an entry of its own.
    Own,
    /// In the entry that all newcomers of its group share while the slot is full.
    Overflow,
    /// Nowhere before this time, in nanoseconds: all entries and all overflow entries are taken.
    Full(u64),
}

/// Bytes that this build did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownForm;

impl Slot {
    /// The form in which slots are written; the first byte of each. Another build may share the map.
    pub const FORM: u8 = 2;
    /// How many clients have an entry of their own.
    pub const ENTRIES: usize = 8;
    /// How many groups can have an overflow entry.
    pub const OVERFLOW: usize = 16;
    /// The longest state, in bytes.
    pub const MAX_STATE: usize = 4096;

    /// The longest slot of states that are no longer than this.
    pub fn max_bytes(state: usize) -> usize {
        Slot::ENTRIES
            .saturating_add(Slot::OVERFLOW)
            .saturating_mul(ENTRY_BYTES.saturating_add(state))
            .saturating_add(HEADER_BYTES)
    }

    /// A slot without entries, as of `now`.
    pub fn empty(now: u64) -> Slot {
        let mut bytes = vec![Slot::FORM];
        bytes.extend_from_slice(&now.to_le_bytes());
        Slot {
            bytes,
            as_of: now,
            own: 0,
            shared: 0,
            stored: 0,
        }
    }

    /// Reads a slot at the time `now`, in nanoseconds, or at the latest time at which anybody has read it to write, whichever
    /// is later. Absent is empty.
    ///
    /// # Errors
    /// Bytes of another form: take the slot for [`empty`](Slot::empty), and count it.
    pub fn read(bytes: Option<Vec<u8>>, now: u64) -> Result<Slot, UnknownForm> {
        let Some(bytes) = bytes else {
            return Ok(Slot::empty(now));
        };
        let Some(([Slot::FORM, as_of @ ..], _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(UnknownForm);
        };
        let as_of = u64::from_le_bytes(*as_of).max(now);
        let mut slot = Slot {
            bytes,
            as_of,
            own: 0,
            shared: 0,
            stored: 0,
        };
        if slot.check()? {
            slot.expire();
        }
        if let Some(written) = slot.bytes.get_mut(1..HEADER_BYTES) {
            written.copy_from_slice(&as_of.to_le_bytes());
        }
        Ok(slot)
    }

    /// The time as of which this is the slot. Entries that expired by then are gone, so a step that goes by an earlier time, read
    /// from the clock before another worker wrote, would take for untouched what was not so at that time: go by this one.
    pub fn as_of(&self) -> u64 {
        self.as_of
    }

    /// How many entries there are more than were read, expired ones counted: what a write of this slot changes.
    pub fn growth(&self) -> i64 {
        let now = self.own.saturating_add(self.shared);
        let of = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        of(now).saturating_sub(of(self.stored))
    }

    /// The state of a client, and where its next state belongs. `group` names the newcomers that may share an entry.
    pub fn look_up(&self, client: &Fingerprint, group: &Fingerprint) -> Found<'_> {
        if let Some(own) = self.find(client, false) {
            return Found {
                state: Some(own.state),
                seat: Seat::Own,
            };
        }
        let shared = match self.shared {
            0 => None,
            _ => self.find(group, true).map(|entry| entry.state),
        };
        // The client may have used the shared entry, and must not be rid of that by getting a place.
        let seat = if self.own < Slot::ENTRIES {
            Seat::Own
        } else if shared.is_some() || self.shared < Slot::OVERFLOW {
            Seat::Overflow
        } else {
            Seat::Full(self.first_to_expire())
        };
        Found {
            state: shared,
            seat,
        }
    }

    /// Puts the next state of a client where [`look_up`](Slot::look_up) said that it belongs. From `expires_at` on, in
    /// nanoseconds, it must say no more than an absent one. `false` if there is no place for it, or it is longer than
    /// [`MAX_STATE`](Slot::MAX_STATE), and nothing was put.
    pub fn put(
        &mut self,
        client: &Fingerprint,
        group: &Fingerprint,
        seat: Seat,
        state: &[u8],
        expires_at: u64,
    ) -> bool {
        let (fingerprint, is_shared, count, most) = match seat {
            Seat::Own => (client, false, self.own, Slot::ENTRIES),
            Seat::Overflow => (group, true, self.shared, Slot::OVERFLOW),
            Seat::Full(_) => return false,
        };
        if state.len() > Slot::MAX_STATE {
            return false;
        }
        let range = match self.find(fingerprint, is_shared) {
            Some(present) => present.range,
            None if count < most => {
                match is_shared {
                    true => self.shared = self.shared.saturating_add(1),
                    false => self.own = self.own.saturating_add(1),
                }
                self.bytes.len()..self.bytes.len()
            }
            None => return false,
        };
        let length = u16::try_from(state.len()).unwrap_or(SHARED);
        let length = if is_shared { length | SHARED } else { length };
        let size = ENTRY_BYTES.saturating_add(state.len());
        // Most states are as long as the ones before.
        let range = match range.len() == size {
            true => range,
            false => self.make_room(range, size),
        };
        let place = self.bytes.get_mut(range).unwrap_or_default();
        let Some((print, place)) = place.split_first_chunk_mut() else {
            return false;
        };
        let Some((expiry, place)) = place.split_first_chunk_mut() else {
            return false;
        };
        let Some((written, place)) = place.split_first_chunk_mut() else {
            return false;
        };
        *print = *fingerprint.as_bytes();
        *expiry = expires_at.to_le_bytes();
        *written = length.to_le_bytes();
        place.copy_from_slice(state);
        true
    }

    /// Takes what stands there out, and makes room behind all entries.
    fn make_room(&mut self, range: Range<usize>, size: usize) -> Range<usize> {
        self.bytes.drain(range);
        let start = self.bytes.len();
        self.bytes.resize(start.saturating_add(size), 0);
        start..self.bytes.len()
    }

    /// The state that is in this seat, and not one to start from.
    pub fn state(&self, client: &Fingerprint, group: &Fingerprint, seat: Seat) -> Option<&[u8]> {
        match seat {
            Seat::Own => self.find(client, false),
            Seat::Overflow => self.find(group, true),
            Seat::Full(_) => None,
        }
        .map(|entry| entry.state)
    }

    /// Takes the state of a client away, so that it is as if it had never been put. `false` if there is none.
    pub fn remove(&mut self, client: &Fingerprint, group: &Fingerprint, seat: Seat) -> bool {
        let found = match seat {
            Seat::Own => self.find(client, false),
            Seat::Overflow => self.find(group, true),
            Seat::Full(_) => None,
        };
        let Some(Entry {
            range, is_shared, ..
        }) = found
        else {
            return false;
        };
        self.take_out(range, is_shared);
        true
    }

    /// The slot as it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Counts the entries, if the bytes are entries from end to end. Whether one has expired.
    fn check(&mut self) -> Result<bool, UnknownForm> {
        let mut expired = false;
        let (mut own, mut shared, mut end) = (0_usize, 0_usize, HEADER_BYTES);
        for entry in self.entries() {
            match entry.is_shared {
                true => shared = shared.saturating_add(1),
                false => own = own.saturating_add(1),
            }
            expired |= entry.expires_at <= self.as_of;
            end = entry.range.end;
        }
        if end != self.bytes.len() || own > Slot::ENTRIES || shared > Slot::OVERFLOW {
            return Err(UnknownForm);
        }
        (self.own, self.shared) = (own, shared);
        self.stored = own.saturating_add(shared);
        Ok(expired)
    }

    #[inline(never)]
    fn expire(&mut self) {
        loop {
            let mut expired = self
                .entries()
                .filter(|entry| entry.expires_at <= self.as_of);
            let Some(Entry {
                range, is_shared, ..
            }) = expired.next()
            else {
                return;
            };
            drop(expired);
            self.take_out(range, is_shared);
        }
    }

    fn take_out(&mut self, range: Range<usize>, is_shared: bool) {
        self.bytes.drain(range);
        match is_shared {
            true => self.shared = self.shared.saturating_sub(1),
            false => self.own = self.own.saturating_sub(1),
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut at = HEADER_BYTES;
        std::iter::from_fn(move || {
            let entry = Entry::read(self.bytes.get(at..)?, at)?;
            at = entry.range.end;
            Some(entry)
        })
    }

    fn find(&self, fingerprint: &Fingerprint, is_shared: bool) -> Option<Entry<'_>> {
        self.entries().find(|entry| {
            entry.is_shared == is_shared && entry.fingerprint == fingerprint.as_bytes()
        })
    }

    fn first_to_expire(&self) -> u64 {
        self.entries()
            .map(|entry| entry.expires_at)
            .min()
            .unwrap_or_default()
    }
}

impl<'a> Entry<'a> {
    /// The entry that `bytes` start with, which stand at `at`.
    fn read(bytes: &'a [u8], at: usize) -> Option<Entry<'a>> {
        let (fingerprint, rest) = bytes.split_at_checked(Fingerprint::BYTES)?;
        let (expires_at, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = u16::from_le_bytes(*length);
        let state = rest.get(..usize::from(length & !SHARED))?;
        if state.len() > Slot::MAX_STATE {
            return None;
        }
        let end = at.checked_add(ENTRY_BYTES)?.checked_add(state.len())?;
        Some(Entry {
            range: at..end,
            fingerprint,
            expires_at: u64::from_le_bytes(*expires_at),
            is_shared: length & SHARED != 0,
            state,
        })
    }
}

#[cfg(test)]
mod tests;
