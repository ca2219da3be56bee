//! Failed attempts in shared data: a bounded compare-and-swap loop around the policy's pure step.

use std::cell::OnceCell;

use auth_policy::{AttemptTable, Attempter, Counter, Facts, FailedAttempts, Leave, NAMESPACE};
use proxy_host::shared_data::{self, Write};
use proxy_host::{HostError, clock, property};
use shared_table::HashKey;

use crate::plugin::Plugin;

/// How often a write is tried.
const TRIES: usize = 32;

/// The table, found with the first attempt: what is done at configure is done once for each VM, those that serve nothing too.
#[derive(Default)]
pub(crate) struct Attempts(OnceCell<AttemptTable>);

/// An attempt that is being made, with what was stored when it began; nothing of somebody who may fail as often as he likes.
pub(crate) struct Attempt(Option<(Attempter, Stored)>);

/// What a slot holds, and the condition of its replacement.
type Stored = (Option<Vec<u8>>, Write);

impl Attempts {
    fn table(&self, limit: &FailedAttempts) -> Result<&AttemptTable, HostError> {
        if let Some(table) = self.0.get() {
            return Ok(table);
        }
        let name = property::get(&["plugin_name"])?.unwrap_or_default();
        let secret = shared_data::secret(&format!("{NAMESPACE}/key"))?;
        let table = limit.table(HashKey::new(secret), &name);
        Ok(self.0.get_or_init(|| table))
    }
}

impl Plugin {
    /// Whether the address of a request may make an attempt, by what all workers know of it.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin_attempt(
        &self,
        limit: &FailedAttempts,
        facts: &Facts,
    ) -> Result<(Leave, Attempt), HostError> {
        let asked = match self.needs.address {
            true => None,
            false => property::get(&["source", "address"])?,
        };
        let address = asked.as_deref().or(facts.address.as_deref());
        let Some(who) = limit.attempter(self.attempts.table(limit)?, address) else {
            return Ok((Leave::Given, Attempt(None)));
        };
        let (stored, write) = shared_data::read(who.slot())?;
        let leave = limit.leave(&who, stored.clone(), clock::monotonic());
        Ok((leave, Attempt(Some((who, (stored, write))))))
    }

    /// Counts an attempt that has failed. It is answered as it would be without: a host that fails is logged and counted.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail_attempt(&self, attempt: Option<Attempt>, facts: &Facts) {
        let Some(limit) = self.policy.failed_attempts() else {
            return;
        };
        let begun = match attempt {
            Some(attempt) => Ok((Leave::Given, attempt)),
            // What can be refused without a look at the credential has not asked before.
            None => self.begin_attempt(limit, facts),
        };
        let charged = match begun {
            // Who has to wait does not wait longer for trying.
            Ok((Leave::After(_), _) | (Leave::Given, Attempt(None))) => return,
            Ok((Leave::Given, Attempt(Some((who, stored))))) => self.charge(limit, &who, stored),
            Err(error) => Err(error),
        };
        self.counters.count(Counter::FailedAttempts);
        match charged {
            Ok(None) => {}
            Ok(Some(counter)) => self.counters.count(counter),
            Err(error) => {
                log::warn!("failed attempt error={error}");
                self.counters.count(Counter::FailedAttemptsLost);
            }
        }
    }

    /// What is to be counted beside the failure.
    fn charge(
        &self,
        limit: &FailedAttempts,
        who: &Attempter,
        mut stored: Stored,
    ) -> Result<Option<Counter>, HostError> {
        for _ in 0..TRIES {
            let (bytes, write) = stored;
            let failure = limit.fail(who, bytes, clock::monotonic());
            if shared_data::set(who.slot().as_bytes(), failure.bytes(), write)? {
                return Ok(failure.is_shared().then_some(Counter::FailedAttemptsShared));
            }
            stored = shared_data::read(who.slot())?;
        }
        Ok(Some(Counter::FailedAttemptsLost))
    }
}
