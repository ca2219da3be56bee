//! What all workers know of one source: who fetches it, what came of it, when the next fetch is due.

use std::time::Duration;

use crate::bytes::Reader;
use crate::timing::{Timing, nanos};

/// The form of the stored bytes. Another form is no record: the key that it is stored under names the form too.
const FORM: u8 = 1;

/// The state of one source, as it is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The generation of the stored document; 0 if there was none yet.
    generation: u64,
    /// When the last fetch began that succeeded, and when it ended; 0 if none did.
    succeeded_began: u64,
    succeeded: u64,
    /// Failures since then.
    failures: u32,
    /// When the next fetch is due; 0 at once.
    due: u64,
    /// When a fetch last began because something was missing; 0 never.
    asked: u64,
    /// Who fetches; 0 nobody.
    holder: u64,
    began: u64,
    lease_ends: u64,
}

/// Why a fetch may be needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Because it is due: the first one, a refresh, another try.
    Scheduled,
    /// Because something was asked for that is not there; no more often than the cool-down allows.
    Missing,
}

/// What somebody may hope for who has asked for something that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// A fetch that began since has not brought it: it does not exist, and one cool-down from then this may be taken for granted.
    Absent {
        /// Until when.
        until: Duration,
    },
    /// A fetch is under way, or will be: wait.
    Coming,
    /// No fetch is under way, but one may be made for it: wait, and [`Record::lead`] with [`Need::Missing`].
    Wanted,
    /// It may exist, and a fetch may be made for it from `at` on: the cool-down is not over, or the last fetch has failed.
    Later {
        /// From when on.
        at: Duration,
    },
}

impl Record {
    /// Reads stored bytes; what cannot be read is as good as nothing, and is fetched anew.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        let record = Self {
            generation: reader.u64()?,
            succeeded_began: reader.u64()?,
            succeeded: reader.u64()?,
            failures: reader.u32()?,
            due: reader.u64()?,
            asked: reader.u64()?,
            holder: reader.u64()?,
            began: reader.u64()?,
            lease_ends: reader.u64()?,
        };
        (*form == FORM && reader.0.is_empty()).then_some(record)
    }

    /// The bytes to store: always as many.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for number in [self.generation, self.succeeded_began, self.succeeded] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.failures.to_le_bytes());
        for number in [
            self.due,
            self.asked,
            self.holder,
            self.began,
            self.lease_ends,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// The generation of the stored document; 0 if there was none yet.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How long ago the last fetch succeeded.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        (self.succeeded != 0)
            .then(|| Duration::from_nanos(nanos(now).saturating_sub(self.succeeded)))
    }

    /// Whether what was fetched may still be used.
    pub fn is_usable(&self, timing: &Timing, now: Duration) -> bool {
        self.succeeded != 0
            && timing.allows(Duration::from_nanos(
                nanos(now).saturating_sub(self.succeeded),
            ))
    }

    /// The record with `holder` leading a fetch, to be swapped in; nothing if none is needed or another leads.
    ///
    /// `holder` is a number that nobody else uses, and not zero.
    pub fn lead(&self, timing: &Timing, need: Need, holder: u64, now: Duration) -> Option<Self> {
        let now = nanos(now);
        if self.is_led(now) || holder == 0 {
            return None;
        }
        // A lease that ran out is a fetch that failed, whatever became of its leader. The first is repeated at once: most
        // likely a configuration was replaced. One that traps whoever leads is not repeated for ever at that pace.
        let lost = self.holder != 0;
        let failures = self.failures.saturating_add(u32::from(lost));
        let due = match (lost, self.failures) {
            (false, _) => self.due_at(timing),
            (true, 0) => self.lease_ends,
            (true, failures) => {
                self.lease_ends
                    .saturating_add(timing.backoff(failures, self.is_cold(), 0))
            }
        };
        let scheduled = now >= due;
        if !scheduled && (need == Need::Scheduled || lost || !self.has_cooled(timing, now)) {
            return None;
        }
        Some(Self {
            failures,
            holder,
            // Zero stands for never.
            began: now.max(1),
            lease_ends: now.saturating_add(timing.lease()),
            asked: if scheduled { self.asked } else { now.max(1) },
            ..*self
        })
    }

    /// Whether `holder` leads, and has to hurry: past its lease, another may.
    pub fn is_held_by(&self, holder: u64) -> bool {
        holder != 0 && self.holder == holder
    }

    /// The record after `holder` has fetched, with the generation of the document that is stored now; nothing if it does not lead
    /// any more.
    pub fn succeed(
        &self,
        timing: &Timing,
        holder: u64,
        generation: u64,
        random: u64,
        now: Duration,
    ) -> Option<Self> {
        let now = nanos(now);
        self.is_held_by(holder).then(|| Self {
            generation,
            succeeded_began: self.began,
            succeeded: now.max(1),
            failures: 0,
            due: now.saturating_add(timing.until_refresh(random)),
            holder: 0,
            ..*self
        })
    }

    /// The record after `holder` has failed; nothing if it does not lead any more.
    pub fn fail(&self, timing: &Timing, holder: u64, random: u64, now: Duration) -> Option<Self> {
        let failures = self.failures.saturating_add(1);
        self.is_held_by(holder).then(|| Self {
            failures,
            due: nanos(now).saturating_add(timing.backoff(failures, self.is_cold(), random)),
            holder: 0,
            ..*self
        })
    }

    /// What somebody may hope for who asked at `asked` for something that the present document does not have.
    pub fn outlook(&self, timing: &Timing, asked: Duration, now: Duration) -> Outlook {
        let (asked, now) = (nanos(asked), nanos(now));
        if self.succeeded_began >= asked.max(1) {
            let until = self.succeeded_began.saturating_add(timing.cool_down());
            Outlook::Absent {
                until: Duration::from_nanos(until),
            }
        } else if self.is_led(now) || self.holder != 0 || now >= self.due_at(timing) {
            // Another try is due by itself.
            Outlook::Coming
        } else if self.failures > 0 {
            let at = Duration::from_nanos(self.due);
            Outlook::Later { at }
        } else if self.has_cooled(timing, now) {
            Outlook::Wanted
        } else {
            let at = self.cooled_at(timing).min(self.due_at(timing));
            Outlook::Later {
                at: Duration::from_nanos(at),
            }
        }
    }

    fn is_cold(&self) -> bool {
        self.succeeded == 0
    }

    fn is_led(&self, now: u64) -> bool {
        self.holder != 0 && now < self.lease_ends
    }

    fn has_cooled(&self, timing: &Timing, now: u64) -> bool {
        self.asked == 0 || now >= self.cooled_at(timing)
    }

    fn cooled_at(&self, timing: &Timing) -> u64 {
        self.asked.saturating_add(timing.cool_down())
    }

    /// A configuration with a shorter interval than that of whoever fetched last does not wait for the longer one.
    fn due_at(&self, timing: &Timing) -> u64 {
        if self.failures > 0 {
            return self.due;
        }
        self.due
            .min(self.succeeded.saturating_add(timing.refresh()))
    }
}

#[cfg(test)]
mod tests;
