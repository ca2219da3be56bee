//! Who is to be woken when something was fetched: each worker's queue, by a seat in a table of fixed size.

use std::time::Duration;

use crate::bytes::Reader;
use crate::timing::nanos;

/// The most seats. Whoever finds none is not woken, and looks by itself.
pub const MAX_MEMBERS: usize = 256;

/// How long a seat is kept for somebody who does not say that it is still there.
const KEPT: Duration = Duration::from_secs(30);

/// How often a member says so.
const BEAT: Duration = Duration::from_secs(10);

const FORM: u8 = 1;

/// The table. A seat's number names the queue, so that there are no more queues than seats, however often VMs are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(Vec<Seat>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    owner: u64,
    seen: u64,
    queue: u32,
}

impl Members {
    /// Reads stored bytes; what cannot be read is an empty table.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        if *form != FORM {
            return None;
        }
        let mut reader = Reader(rest);
        let mut seats = Vec::new();
        while !reader.0.is_empty() && seats.len() < MAX_MEMBERS {
            seats.push(Seat {
                owner: reader.u64()?,
                seen: reader.u64()?,
                queue: reader.u32()?,
            });
        }
        Some(Self(seats))
    }

    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for seat in &self.0 {
            bytes.extend(seat.owner.to_le_bytes());
            bytes.extend(seat.seen.to_le_bytes());
            bytes.extend(seat.queue.to_le_bytes());
        }
        bytes
    }

    /// A seat for `owner`: its own, a new one, or one whose owner has not been seen for long. The number of the seat; nothing if
    /// all are taken. The queue is not known yet: [`Members::sit`].
    pub fn reserve(&mut self, owner: u64, now: Duration) -> Option<usize> {
        let is_gone = |seat: &Seat| is_gone(seat, nanos(now));
        let own = self.0.iter().position(|seat| seat.owner == owner);
        let seat = own.or_else(|| self.0.iter().position(is_gone));
        let number = match seat {
            Some(number) => number,
            None if self.0.len() < MAX_MEMBERS => {
                self.0.push(Seat {
                    owner,
                    seen: 0,
                    queue: 0,
                });
                self.0.len().saturating_sub(1)
            }
            None => return None,
        };
        self.sit(number, owner, 0, now);
        Some(number)
    }

    /// Says that `owner` is there, in this seat, with this queue.
    pub fn sit(&mut self, number: usize, owner: u64, queue: u32, now: Duration) {
        if let Some(seat) = self.0.get_mut(number) {
            *seat = Seat {
                owner,
                seen: nanos(now),
                queue,
            };
        }
    }

    /// Whether `owner` still has the seat.
    pub fn has(&self, number: usize, owner: u64) -> bool {
        self.0.get(number).is_some_and(|seat| seat.owner == owner)
    }

    /// Whether a member that said so at `last` has to say again that it is there.
    pub fn is_due(last: Duration, now: Duration) -> bool {
        now >= last.saturating_add(BEAT)
    }

    /// The queues of all but `owner` that are there.
    pub fn others(&self, owner: u64, now: Duration) -> impl Iterator<Item = u32> {
        let now = nanos(now);
        self.0
            .iter()
            .filter(move |seat| seat.owner != owner && seat.queue != 0 && !is_gone(seat, now))
            .map(|seat| seat.queue)
    }
}

fn is_gone(seat: &Seat, now: u64) -> bool {
    now >= seat.seen.saturating_add(nanos(KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(100 + seconds)
    }

    // Two workers in one seat would share a queue, and one of them would sleep on.
    #[test]
    fn each_has_a_seat_of_its_own() {
        let mut members = Members::default();
        for owner in 1..=3 {
            let seat = members.reserve(owner, at(0)).unwrap();
            members.sit(seat, owner, 10 + u32::try_from(owner).unwrap(), at(0));
        }
        let members = Members::decode(&members.encode());
        assert_eq!(members.others(2, at(1)).collect::<Vec<_>>(), [11, 13]);
        assert!(members.has(1, 2) && !members.has(1, 3) && !members.has(7, 3));
    }

    // Queues of VMs that are gone would be filled for ever, and their names never end.
    #[test]
    fn the_seat_of_one_that_is_gone_is_given_away() {
        let mut members = Members::default();
        for owner in 1..=2 {
            let seat = members.reserve(owner, at(0)).unwrap();
            members.sit(seat, owner, 9, at(0));
        }
        members.sit(1, 2, 9, at(20));
        assert_eq!(members.others(5, at(31)).count(), 1);
        assert_eq!(members.reserve(5, at(31)), Some(0));
        assert_eq!(members.reserve(5, at(31)), Some(0), "the same again");
        assert!(!Members::is_due(at(0), at(9)) && Members::is_due(at(0), at(10)));
    }

    #[test]
    fn there_is_an_end_to_seats() {
        let mut members = Members::default();
        for owner in 1..=MAX_MEMBERS as u64 {
            assert!(members.reserve(owner, at(0)).is_some());
        }
        assert_eq!(members.reserve(9999, at(0)), None);
        assert_eq!(Members::decode(&members.encode()), members);
        for broken in [&[][..], &[9, 1], &[1, 1, 2]] {
            assert_eq!(Members::decode(broken), Members::default());
        }
    }
}
