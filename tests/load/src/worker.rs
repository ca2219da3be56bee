//! CPU time of Envoy's workers.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::thread::Pid;

/// How long a worker may go on after the last answer has come.
const IDLE_WITHIN: Duration = Duration::from_secs(5);

/// The worker threads of an Envoy.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Thread>);

#[derive(Debug)]
struct Thread {
    id: Pid,
    folder: PathBuf,
}

impl Workers {
    /// Finds them by their names.
    pub(crate) fn of(process: u32, count: usize) -> Result<Self, String> {
        let tasks = format!("/proc/{process}/task");
        let entries = fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
        let workers: Vec<Thread> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|task| {
                fs::read_to_string(task.join("comm"))
                    .is_ok_and(|name| name.starts_with("wrk:worker_"))
            })
            .filter_map(|folder| {
                let id = folder.file_name()?.to_str()?.parse().ok()?;
                Some(Thread {
                    id: Pid::from_raw(id)?,
                    folder,
                })
            })
            .collect();
        match workers.len() == count {
            true => Ok(Self(workers)),
            false => Err(format!(
                "{tasks}: {} threads are called wrk:worker_…, not {count}",
                workers.len()
            )),
        }
    }

    /// Their threads, for the choice of a processor.
    pub(crate) fn threads(&self) -> impl Iterator<Item = Pid> {
        self.0.iter().map(|thread| thread.id)
    }

    /// Time on a processor so far, to the nanosecond, once they have nothing more to do.
    ///
    /// The kernel brings the time of a thread up to date when it stops running or at the next tick, so one that still runs
    /// would be read some milliseconds too low.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        let deadline = Instant::now() + IDLE_WITHIN;
        let mut sum = Duration::ZERO;
        for thread in &self.0 {
            while !thread.waits()? {
                if Instant::now() > deadline {
                    return Err(format!(
                        "{} was still at work {} s after the last answer",
                        thread.folder.display(),
                        IDLE_WITHIN.as_secs()
                    ));
                }
                sleep(Duration::from_micros(100));
            }
            sum += thread.cpu()?;
        }
        Ok(sum)
    }
}

impl Thread {
    fn read(&self, file: &str) -> Result<String, String> {
        let path = self.folder.join(file);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn waits(&self) -> Result<bool, String> {
        // 12 (wrk:worker_0) S …: the name may hold anything but ends with the last parenthesis.
        let stat = self.read("stat")?;
        Ok(stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('S')))
    }

    fn cpu(&self) -> Result<Duration, String> {
        let text = self.read("schedstat")?;
        text.split(' ')
            .next()
            .and_then(|nanoseconds| nanoseconds.parse().ok())
            .map(Duration::from_nanos)
            .ok_or_else(|| format!("not what schedstat holds: {text}"))
    }
}
