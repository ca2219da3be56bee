//! The counters of one filter, defined together.

use crate::error::HostError;
use crate::metric;

/// The host's numbers of a closed list of counters.
#[derive(Clone, Debug)]
pub struct CounterSet<C>(Vec<(C, &'static str, metric::Counter)>);

impl<C: Copy + PartialEq> CounterSet<C> {
    /// Defines every counter of the list, or finds those of the same names.
    ///
    /// # Errors
    ///
    /// As for [`metric::Counter::define`].
    pub fn define(
        counters: impl IntoIterator<Item = (C, &'static str)>,
    ) -> Result<Self, HostError> {
        counters
            .into_iter()
            .map(|(counter, name)| Ok((counter, name, metric::Counter::define(name)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Adds one. Counting is not worth a request: a host that refuses is logged, not obeyed.
    pub fn count(&self, counter: C) {
        self.add(counter, 1);
    }

    /// Adds so many, for what is counted here first and told to the host now and then. Adding nothing makes no host call.
    pub fn add(&self, counter: C, by: u64) {
        let found = self.0.iter().find(|(known, ..)| *known == counter);
        if let Some((_, name, metric)) = found
            && let Err(error) = metric.increment(by)
        {
            log::warn!("counter={name} error={error}");
        }
    }
}
