//! One slot: a few entries, and what newcomers share when it is full.

use crate::fingerprint::Fingerprint;

/// What the owner of the table keeps for a client; all zeros mean nothing special.
pub type State = [u8; 16];

/// Form, time as of which the rest is (nanoseconds, little-endian), number of entries, number of overflow entries.
const HEADER_BYTES: usize = 11;
/// Fingerprint, time in nanoseconds (little-endian), state.
const ENTRY_BYTES: usize = 40;

/// One slot as of some moment: entries that by then said nothing any more are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    as_of: u64,
    entries: Vec<Entry>,
    overflow: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    fingerprint: Fingerprint,
    expires_at: u64,
    state: State,
}

/// What a slot holds for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The state to go on from; `None` is a fresh one.
    pub state: Option<State>,
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
    pub const FORM: u8 = 1;
    /// How many clients have an entry of their own.
    pub const ENTRIES: usize = 8;
    /// How many groups can have an overflow entry.
    pub const OVERFLOW: usize = 16;
    /// The longest slot.
    pub const MAX_BYTES: usize = HEADER_BYTES + (Slot::ENTRIES + Slot::OVERFLOW) * ENTRY_BYTES;

    /// A slot without entries.
    pub fn empty() -> Slot {
        Slot {
            as_of: 0,
            entries: Vec::new(),
            overflow: Vec::new(),
        }
    }

    /// Reads a slot at the time `now`, in nanoseconds, or at the latest time at which anybody has read it to write, whichever
    /// is later. Absent is empty.
    ///
    /// # Errors
    /// Bytes of another form: take the slot for [`empty`](Slot::empty), and count it.
    pub fn read(bytes: Option<&[u8]>, now: u64) -> Result<Slot, UnknownForm> {
        let Some(bytes) = bytes else {
            return Ok(Slot {
                as_of: now,
                ..Slot::empty()
            });
        };
        let ([Slot::FORM, as_of @ .., entries, overflow], rest) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(UnknownForm)?
        else {
            return Err(UnknownForm);
        };
        let as_of = u64::from_le_bytes(*as_of).max(now);
        let (entries, overflow) = (usize::from(*entries), usize::from(*overflow));
        let (all, []) = rest.as_chunks::<ENTRY_BYTES>() else {
            return Err(UnknownForm);
        };
        if entries > Slot::ENTRIES
            || overflow > Slot::OVERFLOW
            || all.len() != entries.saturating_add(overflow)
        {
            return Err(UnknownForm);
        }
        let (entries, overflow) = all.split_at_checked(entries).ok_or(UnknownForm)?;
        let live = |all: &[[u8; ENTRY_BYTES]]| -> Vec<Entry> {
            all.iter()
                .filter_map(Entry::read)
                .filter(|entry| entry.expires_at > as_of)
                .collect()
        };
        Ok(Slot {
            as_of,
            entries: live(entries),
            overflow: live(overflow),
        })
    }

    /// The time as of which this is the slot. Entries that expired by then are gone, so a step that goes by an earlier time, read
    /// from the clock before another worker wrote, would take for untouched what was not so at that time: go by this one.
    pub fn as_of(&self) -> u64 {
        self.as_of
    }

    /// The state of a client, and where its next state belongs. `group` names the newcomers that may share an entry.
    pub fn look_up(&self, client: &Fingerprint, group: &Fingerprint) -> Found {
        let shared = find(&self.overflow, group).map(|entry| entry.state);
        if let Some(own) = find(&self.entries, client) {
            Found {
                state: Some(own.state),
                seat: Seat::Own,
            }
        } else if self.entries.len() < Slot::ENTRIES {
            // The client may have used the shared entry, and must not be rid of that by getting a place.
            Found {
                state: shared,
                seat: Seat::Own,
            }
        } else if shared.is_some() || self.overflow.len() < Slot::OVERFLOW {
            Found {
                state: shared,
                seat: Seat::Overflow,
            }
        } else {
            Found {
                state: None,
                seat: Seat::Full(self.first_to_expire()),
            }
        }
    }

    /// Puts the next state of a client where [`look_up`](Slot::look_up) said that it belongs. From `expires_at` on, in
    /// nanoseconds, it must say no more than an absent one. `false` if there is no place, and nothing was put.
    pub fn put(
        &mut self,
        client: &Fingerprint,
        group: &Fingerprint,
        seat: Seat,
        state: State,
        expires_at: u64,
    ) -> bool {
        let (list, fingerprint, most) = match seat {
            Seat::Own => (&mut self.entries, *client, Slot::ENTRIES),
            Seat::Overflow => (&mut self.overflow, *group, Slot::OVERFLOW),
            Seat::Full(_) => return false,
        };
        let entry = Entry {
            fingerprint,
            expires_at,
            state,
        };
        if let Some(present) = list
            .iter_mut()
            .find(|entry| entry.fingerprint == fingerprint)
        {
            *present = entry;
        } else if list.len() < most {
            list.push(entry);
        } else {
            return false;
        }
        true
    }

    /// The state that is in this seat, and not one to start from.
    pub fn state(&self, client: &Fingerprint, group: &Fingerprint, seat: Seat) -> Option<State> {
        match seat {
            Seat::Own => find(&self.entries, client),
            Seat::Overflow => find(&self.overflow, group),
            Seat::Full(_) => None,
        }
        .map(|entry| entry.state)
    }

    /// Takes the state of a client away, so that it is as if it had never been put. `false` if there is none.
    pub fn remove(&mut self, client: &Fingerprint, group: &Fingerprint, seat: Seat) -> bool {
        let (list, fingerprint) = match seat {
            Seat::Own => (&mut self.entries, client),
            Seat::Overflow => (&mut self.overflow, group),
            Seat::Full(_) => return false,
        };
        let before = list.len();
        list.retain(|entry| entry.fingerprint != *fingerprint);
        list.len() < before
    }

    /// The slot as it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = |list: &[Entry]| u8::try_from(list.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![Slot::FORM];
        bytes.extend_from_slice(&self.as_of.to_le_bytes());
        bytes.extend_from_slice(&[count(&self.entries), count(&self.overflow)]);
        for entry in self.entries.iter().chain(&self.overflow) {
            bytes.extend_from_slice(entry.fingerprint.as_bytes());
            bytes.extend_from_slice(&entry.expires_at.to_le_bytes());
            bytes.extend_from_slice(&entry.state);
        }
        bytes
    }

    fn first_to_expire(&self) -> u64 {
        let all = self.entries.iter().chain(&self.overflow);
        all.map(|entry| entry.expires_at).min().unwrap_or_default()
    }
}

impl Entry {
    fn read(bytes: &[u8; ENTRY_BYTES]) -> Option<Entry> {
        let (fingerprint, rest) = bytes.split_first_chunk::<{ Fingerprint::BYTES }>()?;
        let (expires_at, rest) = rest.split_first_chunk::<8>()?;
        let (state, _) = rest.split_first_chunk::<16>()?;
        Some(Entry {
            fingerprint: Fingerprint::new(*fingerprint),
            expires_at: u64::from_le_bytes(*expires_at),
            state: *state,
        })
    }
}

fn find<'a>(list: &'a [Entry], fingerprint: &Fingerprint) -> Option<&'a Entry> {
    list.iter().find(|entry| entry.fingerprint == *fingerprint)
}

#[cfg(test)]
mod tests;
