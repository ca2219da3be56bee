//! Which processor does what: Envoy's worker has one, the load comes from another.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

use crate::worker::Workers;

/// The processors that this process may use.
#[derive(Debug)]
pub(crate) struct Processors(Vec<usize>);

impl Processors {
    pub(crate) fn find() -> Result<Self, String> {
        let set = sched_getaffinity(None).map_err(|error| format!("sched_getaffinity: {error}"))?;
        Ok(Self(
            (0..CpuSet::MAX_CPU)
                .filter(|cpu| set.is_set(*cpu))
                .collect(),
        ))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Puts each worker on a processor, from the first on, and this thread on the last.
    pub(crate) fn share(&self, workers: &Workers) -> Result<(), String> {
        let Some(last) = self.0.last().filter(|_| self.0.len() > 1) else {
            return Ok(());
        };
        put(None, *last)?;
        for (worker, cpu) in workers.threads().zip(&self.0) {
            put(Some(worker), *cpu)?;
        }
        Ok(())
    }
}

fn put(thread: Option<Pid>, cpu: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(thread, &set).map_err(|error| format!("sched_setaffinity: {error}"))
}
