//! One Envoy process: what all its workers share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::queues::Queues;
use crate::route::{RouteView, Table};
use crate::shared_data::SharedData;
use crate::vm::{ConfigRefused, Vm, VmOptions};

/// Envoy's default for `per_connection_buffer_limit_bytes`.
const DEFAULT_BUFFER_LIMIT: usize = 1024 * 1024;

/// One Envoy process.
#[derive(Clone, Debug)]
pub struct Host {
    shared: Arc<HostShared>,
}

/// A cluster that callouts can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Calls to it wait for an answer.
    Healthy,
    /// Calls to it fail at once, with status 10.
    WithoutEndpoints,
}

#[derive(Debug)]
pub(crate) struct HostShared {
    pub(crate) clock: Clock,
    pub(crate) shared_data: Mutex<SharedData>,
    pub(crate) queues: Mutex<Queues>,
    pub(crate) metrics: Mutex<Metrics>,
    pub(crate) settings: Mutex<Settings>,
    random: AtomicU64,
}

pub(crate) struct Settings {
    pub(crate) log_level: u32,
    pub(crate) missing_functions: BTreeSet<String>,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) routes: Option<Table>,
    pub(crate) buffer_limit: usize,
}

impl Host {
    /// A process with no cluster, no routes, every foreign function, and a log that shows all.
    #[must_use]
    #[allow(clippy::new_without_default)] // A process is started, not defaulted.
    pub fn new() -> Host {
        Host {
            shared: Arc::new(HostShared {
                clock: Clock::new(),
                shared_data: Mutex::new(SharedData::new()),
                queues: Mutex::default(),
                metrics: Mutex::default(),
                settings: Mutex::new(Settings {
                    log_level: 0,
                    missing_functions: BTreeSet::new(),
                    clusters: BTreeMap::new(),
                    routes: None,
                    buffer_limit: DEFAULT_BUFFER_LIMIT,
                }),
                random: AtomicU64::new(0),
            }),
        }
    }

    /// Without one of Envoy's foreign functions, as an older or another host is.
    #[must_use]
    pub fn without_foreign(self, function: &str) -> Host {
        let name = function.to_owned();
        locked(&self.shared.settings).missing_functions.insert(name);
        self
    }

    /// With a cluster that callouts can name.
    #[must_use]
    pub fn with_cluster(self, name: &str, cluster: Cluster) -> Host {
        let clusters = &mut locked(&self.shared.settings).clusters;
        clusters.insert(name.to_owned(), cluster);
        self.clone()
    }

    /// With a route table: the name of the route that fits a request.
    #[must_use]
    pub fn with_routes(
        self,
        table: impl Fn(&RouteView<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Host {
        locked(&self.shared.settings).routes = Some(Arc::new(table));
        self
    }

    /// With another limit for buffered bodies than 1 MiB.
    #[must_use]
    pub fn with_buffer_limit(self, bytes: usize) -> Host {
        locked(&self.shared.settings).buffer_limit = bytes;
        self
    }

    /// What Envoy's admin interface does at run time: 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 critical, 6 off.
    pub fn set_log_level(&self, level: u32) {
        locked(&self.shared.settings).log_level = level;
    }

    /// Loads a plugin into a VM of its own, on one worker: `on_vm_start`, then `on_configure`.
    ///
    /// # Errors
    ///
    /// The lines that the plugin logged, if it refused its configuration.
    pub fn start(&self, options: VmOptions) -> Result<Vm, ConfigRefused> {
        Vm::start(&self.shared, options)
    }

    /// The clocks.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The value of a counter or gauge by its name, without Envoy's `wasmcustom.`; zero if it was never defined.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        locked(&self.shared.metrics).named(name).unwrap_or(0)
    }

    /// The values that a histogram was given.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        locked(&self.shared.metrics).samples(name)
    }

    /// The names of all metrics that were defined.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        locked(&self.shared.metrics).names()
    }

    /// What is stored under `key` for plugins with this `vm_id`, and its compare-and-swap number.
    #[must_use]
    pub fn shared_data(&self, vm_id: &str, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        locked(&self.shared.shared_data).get(vm_id, key)
    }

    /// Writes shared data, as another worker would.
    pub fn set_shared_data(&self, vm_id: &str, key: &[u8], value: &[u8]) {
        locked(&self.shared.shared_data).set(vm_id, key, value, 0);
    }

    /// Just before each of the next so many conditional writes to a key that is there, another worker writes the same bytes.
    pub fn outrun(&self, writes: u32) {
        locked(&self.shared.shared_data).outrun(writes);
    }

    /// All keys that plugins with this `vm_id` ever wrote: what a test of bounded memory counts.
    #[must_use]
    pub fn shared_keys(&self, vm_id: &str) -> Vec<Vec<u8>> {
        locked(&self.shared.shared_data).keys(vm_id)
    }

    /// Puts an item into a queue, as a VM would; `false` if nobody registered it.
    pub fn enqueue(&self, vm_id: &str, name: &str, item: &[u8]) -> bool {
        let mut queues = locked(&self.shared.queues);
        let token = queues.resolve(vm_id, name.as_bytes());
        token.is_some_and(|token| queues.enqueue(token, item) == crate::status::Status::Ok)
    }
}

impl HostShared {
    /// Numbers that differ from call to call and are the same in every run.
    pub(crate) fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64, by its published constants.
            let mut number = self
                .random
                .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
                .wrapping_add(0x9e37_79b9_7f4a_7c15);
            number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            number ^= number >> 31;
            let (number, size) = (number.to_le_bytes(), chunk.len());
            chunk.copy_from_slice(&number[..size]);
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("log_level", &self.log_level)
            .field("missing_functions", &self.missing_functions)
            .field("clusters", &self.clusters)
            .finish_non_exhaustive()
    }
}

/// The lock; a test that failed while holding it must not hide behind another's poison error.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
