//! CPU time of Envoy's worker.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The one worker thread of an Envoy.
#[derive(Debug)]
pub(crate) struct Worker(PathBuf);

impl Worker {
    /// Finds it by its name.
    pub(crate) fn of(process: u32) -> Result<Self, String> {
        let tasks = format!("/proc/{process}/task");
        let entries = fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|task| {
                fs::read_to_string(task.join("comm"))
                    .is_ok_and(|name| name.starts_with("wrk:worker_0"))
            })
            .map(Self)
            .ok_or_else(|| format!("{tasks}: no thread is called wrk:worker_0"))
    }

    /// Time on a processor so far, to the nanosecond.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        let path = self.0.join("schedstat");
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        text.split(' ')
            .next()
            .and_then(|nanoseconds| nanoseconds.parse().ok())
            .map(Duration::from_nanos)
            .ok_or_else(|| format!("{}: not what schedstat holds: {text}", path.display()))
    }
}
