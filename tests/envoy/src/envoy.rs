//! One Envoy process.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use upstreams::Certificates;

use crate::bootstrap::{listener_resources, listeners_from_file};
use crate::keeper::Keeper;
use crate::permit::Permit;
use crate::run_folder::{RunFolder, wait_for};
use crate::{Bootstrap, Client, Missing, Protocol, Request, envoy_program};

/// How long Envoy may take to be ready, on a machine that is busy building.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long a condition may take to come true.
const CONDITION_WITHIN: Duration = Duration::from_secs(20);

/// Lines of Envoy's log that an error shows.
const LOG_TAIL: usize = 40;

/// How Envoy is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads; each has VMs of its own.
    pub concurrency: u32,
    /// Whether the listeners come from a file, so that [`Envoy::replace_listeners`] can replace them.
    pub reloadable: bool,
    /// Port of the first listener; 0 for one of the kernel's choice.
    pub port: u16,
    /// Whether it counts among the two that one process runs at a time; false for one that stays for good.
    pub counted: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 2,
            reloadable: false,
            port: 0,
            counted: true,
        }
    }
}

/// A running Envoy; killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    // In the order in which they are dropped: the process is gone before its folder, and the keeper is told last.
    process: Process,
    admin: Client,
    listeners: BTreeMap<String, SocketAddr>,
    port: u16,
    folder: RunFolder,
    _keeper: Keeper,
    _permit: Option<Permit>,
}

impl Envoy {
    /// Starts Envoy and waits until it is ready.
    pub fn start(
        bootstrap: &Bootstrap,
        certificates: &Certificates,
        options: &Options,
    ) -> Result<Self, StartError> {
        let program = envoy_program().map_err(StartError::Missing)?;
        let permit = options.counted.then(Permit::take);
        let folder = RunFolder::new()?;
        folder.install(certificates)?;
        let mut config = bootstrap
            .on_loopback(folder.path(), options.port)
            .map_err(StartError::Missing)?;
        if options.reloadable {
            let listeners;
            (config, listeners) = listeners_from_file(config, folder.path());
            folder.replace("listeners.json", &listeners)?;
        }
        folder.replace("envoy.json", &config)?;
        let mut process = Process::spawn(
            &program,
            &folder,
            &["--concurrency", &options.concurrency.to_string()],
        )?;
        let keeper = Keeper::of(process.id(), folder.path())?;
        let admin = process.wait_until_ready(&folder)?;
        let mut envoy = Self {
            process,
            admin,
            listeners: BTreeMap::new(),
            port: options.port,
            folder,
            _keeper: keeper,
            _permit: permit,
        };
        envoy.listeners = envoy.read_listeners();
        Ok(envoy)
    }

    /// Address of the first listener.
    ///
    /// # Panics
    /// If there is none.
    pub fn address(&self) -> SocketAddr {
        *self
            .listeners
            .values()
            .next()
            .expect("Envoy has a listener")
    }

    /// Address of a listener by name.
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.get(name).copied()
    }

    /// A client of the admin interface.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// The process, for signals and for `/proc`.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Every counter and gauge.
    pub fn stats(&self) -> BTreeMap<String, u64> {
        self.stats_of("/stats")
    }

    /// Every counter, and no gauge: what never falls.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.stats_of("/stats?type=Counters")
    }

    fn stats_of(&self, path: &str) -> BTreeMap<String, u64> {
        let stats = self.admin.send(&Request::get(path)).text();
        stats
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(name, value)| Some((name.to_string(), value.parse().ok()?)))
            .collect()
    }

    /// A counter or gauge; 0 if Envoy has none of that name, as is so for a counter that was never defined.
    pub fn counter(&self, name: &str) -> u64 {
        self.stats().get(name).copied().unwrap_or(0)
    }

    /// Envoy's own log so far.
    pub fn log(&self) -> String {
        self.folder.log()
    }

    /// The access log so far. A request is in it some 50 ms after its end.
    pub fn access_log(&self) -> Vec<Value> {
        self.folder.access_log()
    }

    /// The first access log entry that `wanted` says is the one; waits for it.
    ///
    /// # Panics
    /// If it does not come.
    pub fn access_log_entry(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(CONDITION_WITHIN, || {
            self.access_log().into_iter().find(&wanted)
        })
        .unwrap_or_else(|| {
            panic!(
                "no such line in the access log: {:#?}",
                self.access_log().iter().rev().take(5).collect::<Vec<_>>()
            )
        })
    }

    /// Waits until a condition holds.
    ///
    /// # Panics
    /// If it does not in time; `what` says what was waited for.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let held = wait_for(CONDITION_WITHIN, || holds(self).then_some(()));
        assert!(
            held.is_some(),
            "never came true: {what}\n{}",
            tail(&self.log())
        );
    }

    /// Replaces the listeners, of an Envoy that was started as reloadable, by those of `bootstrap`, and waits for Envoy's
    /// word: `Ok` if they are taken, else what Envoy's log says since.
    ///
    /// A worker takes new listeners a moment later: wait for what shows them at work.
    pub fn replace_listeners(&self, bootstrap: &Bootstrap) -> Result<(), String> {
        const RESULTS: [&str; 3] = ["update_success", "update_rejected", "update_failure"];
        let results = || {
            let stats = self.stats();
            RESULTS.map(|name| {
                stats
                    .get(&format!("listener_manager.lds.{name}"))
                    .copied()
                    .unwrap_or(0)
            })
        };
        let mut config = bootstrap
            .on_loopback(self.folder.path(), self.port)
            .map_err(|missing| missing.to_string())?;
        let log = self.log().len();
        let before = results();
        self.folder
            .replace("listeners.json", &listener_resources(&mut config))
            .unwrap_or_else(|error| panic!("cannot write listeners.json: {error}"));
        let after = wait_for(CONDITION_WITHIN, || {
            Some(results()).filter(|results| *results != before)
        })
        .unwrap_or_else(|| {
            panic!(
                "Envoy did not look at its new listeners\n{}",
                tail(&self.log())
            )
        });
        match after[0] > before[0] {
            true => Ok(()),
            false => Err(self.log().get(log..).unwrap_or_default().to_string()),
        }
    }

    /// Whether a filter's VM was lost: what tells of it, none if nothing does.
    pub fn lost_vm(&self, plugins: &[String]) -> Option<String> {
        let log = self.log();
        // Logged by the worker at the trap, before any reload counter moves.
        let trapped = log.lines().find(|line| {
            line.contains("][wasm]")
                && line.contains("Function: proxy_")
                && line.contains(" failed: ")
        });
        if let Some(line) = trapped {
            return Some(line.to_string());
        }
        let stats = self.stats();
        plugins
            .iter()
            .flat_map(|plugin| {
                [
                    "vm_reload",
                    "vm_reload_success",
                    "vm_reload_failure",
                    "vm_reload_backoff",
                ]
                .map(|counter| format!("wasm.{plugin}.{counter}"))
            })
            .find(|name| stats.get(name).is_some_and(|count| *count > 0))
    }

    fn read_listeners(&self) -> BTreeMap<String, SocketAddr> {
        let listeners = self
            .admin
            .send(&Request::get("/listeners?format=json"))
            .json();
        let statuses = listeners["listener_statuses"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        statuses
            .iter()
            .filter_map(|status| {
                let address = &status["local_address"]["socket_address"];
                let ip = address["address"].as_str()?.parse().ok()?;
                let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
                Some((
                    status["name"].as_str()?.to_string(),
                    SocketAddr::new(ip, port),
                ))
            })
            .collect()
    }
}

/// Asks Envoy whether it would take a bootstrap: `envoy --mode validate`.
///
/// # Errors
/// [`StartError::Refused`] with its reasons if not.
pub fn validate(bootstrap: &Bootstrap, certificates: &Certificates) -> Result<(), StartError> {
    let program = envoy_program().map_err(StartError::Missing)?;
    let _permit = Permit::take();
    let folder = RunFolder::new()?;
    folder.install(certificates)?;
    let config = bootstrap
        .on_loopback(folder.path(), 0)
        .map_err(StartError::Missing)?;
    folder.replace("envoy.json", &config)?;
    let mut process = Process::spawn(&program, &folder, &["--mode", "validate"])?;
    let _keeper = Keeper::of(process.id(), folder.path())?;
    match wait_for(READY_WITHIN, || process.ended()) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(StartError::Refused {
            why: status.to_string(),
            log: tail(&folder.log()),
        }),
        None => Err(StartError::Refused {
            why: "validation never ended".into(),
            log: tail(&folder.log()),
        }),
    }
}

/// The process itself; killed and waited for when dropped.
#[derive(Debug)]
struct Process(Mutex<Child>);

impl Process {
    fn spawn(program: &Path, folder: &RunFolder, arguments: &[&str]) -> io::Result<Self> {
        let log = File::create(folder.file("envoy.log"))?;
        Command::new(program)
            .arg("-c")
            .arg(folder.file("envoy.json"))
            .arg("--admin-address-path")
            .arg(folder.file("admin.address"))
            // A base id of its own for each of several Envoys; without hot restart none leaves shared memory behind.
            .args(["--use-dynamic-base-id", "--disable-hot-restart"])
            // A replaced listener goes after a second, not after ten minutes.
            .args(["--drain-time-s", "1", "--drain-strategy", "immediate"])
            .args(["--file-flush-interval-msec", "50", "--log-level", "info"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the program that runs it.
            .process_group(0)
            .spawn()
            .map(|child| Self(Mutex::new(child)))
    }

    fn id(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.0
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .try_wait()
            .ok()
            .flatten()
    }

    /// Waits for the admin interface to say that Envoy is live.
    fn wait_until_ready(&mut self, folder: &RunFolder) -> Result<Client, StartError> {
        let outcome = wait_for(READY_WITHIN, || {
            if let Some(status) = self.ended() {
                return Some(Err(format!("Envoy ended: {status}")));
            }
            let address = std::fs::read_to_string(folder.file("admin.address")).ok()?;
            let admin = Client::plain(address.trim_end().parse().ok()?, Protocol::H1);
            let ready = admin
                .try_send(&Request::get("/ready"))
                .is_ok_and(|response| response.status == 200);
            ready.then_some(Ok(admin))
        });
        outcome
            .unwrap_or_else(|| {
                Err(format!(
                    "Envoy was not ready within {} s",
                    READY_WITHIN.as_secs()
                ))
            })
            .map_err(|why| StartError::Refused {
                why,
                log: tail(&folder.log()),
            })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Envoy did not start.
#[derive(Debug)]
pub enum StartError {
    /// Envoy or a module is not there.
    Missing(Missing),
    /// A file or process could not be made.
    Io(io::Error),
    /// Envoy started and gave up.
    Refused {
        /// How it ended.
        why: String,
        /// The end of its log.
        log: String,
    },
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => missing.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Refused { why, log } => write!(f, "{why}\n{log}"),
        }
    }
}

impl std::error::Error for StartError {}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}
