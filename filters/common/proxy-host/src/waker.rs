//! Waking the root contexts of other workers, by a queue for each.

use std::time::Duration;

use fetch::Members;

use crate::error::HostError;
use crate::fetcher::NAMESPACE;
use crate::queue;
use crate::shared_data::{self, Entry, Write};

/// How often a write is tried.
const TRIES: usize = 32;

/// The most items that are taken out of a queue at once. Each says no more than "look".
const MOST_ITEMS: usize = 1024;

/// The seat of one root context among those that are woken.
#[derive(Debug)]
pub struct Waker {
    owner: u64,
    seat: Option<(usize, u32)>,
    last: Duration,
}

impl Waker {
    /// No seat yet. `owner` is a number that no other root has.
    pub fn new(owner: u64) -> Self {
        Self {
            owner,
            seat: None,
            last: Duration::ZERO,
        }
    }

    /// Takes a seat, or says that it is still taken. From a tick, not from `on_configure`: there, VMs that never see a request
    /// would take one too.
    ///
    /// # Errors
    /// The host's statuses; whoever is not woken looks by itself.
    pub fn beat(&mut self, now: Duration) -> Result<(), HostError> {
        if self.seat.is_some() && !Members::is_due(self.last, now) {
            return Ok(());
        }
        self.last = now;
        let (number, fresh) = match self.seat {
            Some((number, queue)) if self.sit(number, queue, now)? => return Ok(()),
            _ => match self.reserve(now)? {
                Some(number) => (
                    number,
                    queue::register(&format!("{NAMESPACE}/queue/{number}"))?,
                ),
                None => {
                    self.seat = None;
                    return Ok(());
                }
            },
        };
        self.seat = self.sit(number, fresh, now)?.then_some((number, fresh));
        Ok(())
    }

    /// Wakes all others.
    ///
    /// # Errors
    /// The host's statuses.
    pub fn wake_others(&self, now: Duration) -> Result<(), HostError> {
        let (members, _) = read()?;
        for queue in members.others(self.owner, now) {
            // A queue that is gone has nobody behind it.
            let _ = queue::enqueue(queue, b"look");
        }
        Ok(())
    }

    /// Empties a queue that has called.
    pub fn drain(queue: u32) {
        for _ in 0..MOST_ITEMS {
            if !matches!(queue::dequeue(queue), Ok(Some(_))) {
                return;
            }
        }
    }

    fn reserve(&self, now: Duration) -> Result<Option<usize>, HostError> {
        let mut number = None;
        change(|members| {
            number = members.reserve(self.owner, now);
            number.is_some()
        })?;
        Ok(number)
    }

    fn sit(&self, number: usize, queue: u32, now: Duration) -> Result<bool, HostError> {
        change(|members| {
            let has = members.has(number, self.owner);
            if has {
                members.sit(number, self.owner, queue, now);
            }
            has
        })
    }
}

/// Swaps in the changed table; `false` if it is not changed, or others write all the time.
fn change(mut step: impl FnMut(&mut Members) -> bool) -> Result<bool, HostError> {
    for _ in 0..TRIES {
        let (mut members, write) = read()?;
        if !step(&mut members) {
            return Ok(false);
        }
        if shared_data::set(key().as_bytes(), &members.encode(), write)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn key() -> String {
    format!("{NAMESPACE}/members")
}

fn read() -> Result<(Members, Write), HostError> {
    Ok(match shared_data::get(key().as_bytes())? {
        Some(Entry { value, cas }) => (
            value
                .as_deref()
                .map_or_else(Members::default, Members::decode),
            Write::IfUnchanged(cas),
        ),
        None => (Members::default(), Write::IfAbsent),
    })
}
