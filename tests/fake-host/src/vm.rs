//! A worker's VM: a thread, its contexts, and how it dies.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::callout::{Answer, Callout};
use crate::chain::Chain;
use crate::host::{HostShared, locked};
use crate::properties::Declaration;
use crate::record::{Allocations, Cost, HostCall, LogLine, Records};
use crate::sdk::Entry;
use crate::stream::{Direction, Reply, Stream, StreamShared};

/// How a plugin is loaded.
#[derive(Clone, Debug)]
pub struct VmOptions {
    /// The namespace of its shared data and queues.
    pub vm_id: String,
    /// Its name in Envoy's configuration.
    pub plugin_name: String,
    /// Its configuration, as bytes.
    pub config: Vec<u8>,
    /// What the module does when it is initialized.
    pub register: fn(),
    /// What a trap leads to.
    pub failure_policy: FailurePolicy,
    /// Envoy's `allow_on_headers_stop_iteration`: Pause in headers lets the body callbacks run.
    pub allow_stop_iteration: bool,
}

impl VmOptions {
    /// The plugin `name`, with the same `vm_id`, no configuration, and Envoy's defaults.
    #[must_use]
    pub fn new(name: &str, register: fn()) -> VmOptions {
        VmOptions {
            vm_id: name.to_owned(),
            plugin_name: name.to_owned(),
            config: Vec::new(),
            register,
            failure_policy: FailurePolicy::Closed,
            allow_stop_iteration: false,
        }
    }

    /// With this configuration.
    #[must_use]
    pub fn config(mut self, config: impl AsRef<[u8]>) -> VmOptions {
        self.config = config.as_ref().to_owned();
        self
    }

    /// With this `vm_id`; two VMs that share one are two workers of one plugin.
    #[must_use]
    pub fn vm_id(mut self, vm_id: &str) -> VmOptions {
        self.vm_id = vm_id.to_owned();
        self
    }

    /// With this failure policy.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> VmOptions {
        self.failure_policy = policy;
        self
    }

    /// With `allow_on_headers_stop_iteration`.
    #[must_use]
    pub fn allow_stop_iteration(mut self) -> VmOptions {
        self.allow_stop_iteration = true;
        self
    }
}

/// What Envoy does with requests after a VM was lost. The request in which it was lost gets a 503 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Each gets a 503, until the plugin is loaded anew.
    Closed,
    /// Each bypasses the filter.
    Open,
    /// The next one has the VM rebuilt, if the last load is at least this long ago; otherwise it gets a 503.
    Reload {
        /// The back-off's base interval; Envoy's default is a second.
        base: Duration,
    },
}

/// A configuration that `on_configure` answered with `false`: Envoy rejects the update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRefused {
    /// What the plugin logged meanwhile.
    pub logs: Vec<LogLine>,
}

impl fmt::Display for ConfigRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the plugin refused its configuration")?;
        self.logs
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl Error for ConfigRefused {}

/// A plugin in a VM of its own, on one worker.
#[derive(Clone, Debug)]
pub struct Vm(Arc<Plugin>);

#[derive(Debug)]
struct Plugin {
    host: Arc<HostShared>,
    options: VmOptions,
    records: Arc<Mutex<Records>>,
    worker: Mutex<Worker>,
}

/// The VM as it is now; a reload replaces it.
#[derive(Debug)]
struct Worker {
    thread: Option<Arc<VmThread>>,
    config: Vec<u8>,
    root: u32,
    loaded_at: Duration,
    traps_next: bool,
    loads: usize,
}

/// What a filter of a new stream runs in.
#[derive(Debug)]
pub(crate) enum Instance {
    Running { thread: Arc<VmThread>, root: u32 },
    Bypassed,
    Failed,
}

/// What a call into the VM led to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Returned {
        value: u32,
        after: Vec<After>,
    },
    Trapped,
    /// The VM was lost before: nothing was called.
    Lost,
}

/// What a plugin asked for, and the host does after the callback has returned.
#[derive(Debug)]
pub(crate) enum After {
    Continue(Arc<StreamShared>, usize, Direction),
    Reset(Arc<StreamShared>),
    Reply(Arc<StreamShared>, Reply),
}

impl Vm {
    pub(crate) fn start(host: &Arc<HostShared>, options: VmOptions) -> Result<Vm, ConfigRefused> {
        let records = Arc::new(Mutex::default());
        let worker = Worker {
            thread: None,
            config: options.config.clone(),
            root: 0,
            loaded_at: Duration::ZERO,
            traps_next: false,
            loads: 0,
        };
        let vm = Vm(Arc::new(Plugin {
            host: Arc::clone(host),
            options,
            records,
            worker: Mutex::new(worker),
        }));
        if vm.0.load(&mut locked(&vm.0.worker)) {
            Ok(vm)
        } else {
            Err(ConfigRefused { logs: vm.logs() })
        }
    }

    /// A request that this filter alone will see.
    pub fn request<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        head: impl IntoIterator<Item = (N, V)>,
    ) -> Stream {
        Chain::new().filter(self).request(head)
    }

    /// A configuration update with the same code: the same VM, a new root context; streams that are under way
    /// stay on the old one. As Envoy does, a VM of its own tries it first.
    ///
    /// # Errors
    ///
    /// What that VM logged, if it refused; the old configuration goes on serving.
    pub fn reconfigure(&self, config: impl AsRef<[u8]>) -> Result<(), ConfigRefused> {
        let config = config.as_ref();
        let canary = self.0.options.clone().config(config);
        Vm::start(&self.0.host, canary)?;
        let mut worker = locked(&self.0.worker);
        worker.config = config.to_owned();
        let Some(thread) = worker.thread.clone() else {
            // The VM was lost, and an update is what loads it anew.
            self.0.load(&mut worker);
            return Ok(());
        };
        match thread.new_root(config) {
            Some(root) => {
                worker.root = root;
                Ok(())
            }
            None => Err(ConfigRefused { logs: self.logs() }),
        }
    }

    /// Runs `on_tick` of every root context that has set a period, whatever the period is.
    pub fn tick(&self) {
        let Some(thread) = self.thread() else { return };
        for root in thread.state.roots_that_tick() {
            self.enter(&thread, root, Entry::Tick);
        }
    }

    /// The period that the newest root context has set; `None` if it has none.
    #[must_use]
    pub fn tick_period(&self) -> Option<Duration> {
        let root = locked(&self.0.worker).root;
        self.thread()
            .and_then(|thread| thread.state.tick_period(root))
    }

    /// Runs `on_queue_ready` for what came into this VM's queues, and says how often it did.
    pub fn deliver_queues(&self) -> usize {
        let Some(thread) = self.thread() else {
            return 0;
        };
        let ready = std::mem::take(&mut *locked(&thread.state.ready));
        for (root, token) in &ready {
            self.enter(&thread, *root, Entry::QueueReady { token: *token });
        }
        ready.len()
    }

    /// The callouts that wait for an answer, oldest first.
    #[must_use]
    pub fn callouts(&self) -> Vec<Callout> {
        self.thread().map_or_else(Vec::new, |thread| {
            let data = locked(&thread.state.data);
            data.callouts.values().cloned().collect()
        })
    }

    /// Answers a callout. Nobody is called if the VM was lost; the SDK drops the answer if the stream is gone.
    ///
    /// # Panics
    ///
    /// If no callout with that token waits.
    pub fn answer_callout(&self, token: u32, answer: Answer) {
        let Some(thread) = self.thread() else { return };
        let callout = locked(&thread.state.data)
            .callouts
            .remove(&token)
            .expect("a callout with that token");
        let entry = Entry::CalloutAnswer {
            token,
            headers: answer.headers.len(),
            body: answer.body.len(),
            trailers: answer.trailers.len(),
        };
        locked(&thread.state.data).answer = Some(answer);
        self.enter(&thread, callout.root, entry);
        locked(&thread.state.data).answer = None;
    }

    /// The VM is lost, as by a trap in a request of somebody else.
    pub fn trap(&self) {
        locked(&self.0.worker).thread = None;
    }

    /// The next callback traps: the request that it is for gets a 503.
    pub fn trap_in_next_callback(&self) {
        locked(&self.0.worker).traps_next = true;
    }

    /// The VM traps in the write to shared data that follows so many more: those before it stay, the callback ends there.
    pub fn trap_after_writes(&self, writes: usize) {
        if let Some(thread) = self.thread() {
            locked(&thread.state.data).writes_left = Some(writes);
        }
    }

    /// Whether the VM is running; a reload happens with the next request.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        locked(&self.0.worker).thread.is_some()
    }

    /// How often the VM was loaded: one more with each reload.
    #[must_use]
    pub fn loads(&self) -> usize {
        locked(&self.0.worker).loads
    }

    /// The lines that were logged, oldest first.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        locked(&self.0.records).logs.clone()
    }

    /// What it did where that is asked for, by context and callback.
    pub(crate) fn cost(&self, is_asked: impl Fn(u32, &str) -> bool) -> Cost {
        let records = locked(&self.0.records);
        let calls = records.calls.iter();
        let allocations = records.allocations.iter();
        Cost {
            calls: calls
                .filter(|call| is_asked(call.context_id, call.callback))
                .cloned()
                .collect(),
            allocations: allocations
                .filter(|part| is_asked(part.context_id, part.callback))
                .map(|part| part.count)
                .sum(),
        }
    }

    /// The host calls that were made, oldest first.
    #[must_use]
    pub fn host_calls(&self) -> Vec<HostCall> {
        locked(&self.0.records).calls.clone()
    }

    /// Forgets the host calls and lines so far.
    pub fn forget(&self) {
        *locked(&self.0.records) = Records::default();
    }

    /// The value of a counter or gauge by its name; zero if it was never defined.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        locked(&self.0.host.metrics).named(name).unwrap_or(0)
    }

    pub(crate) fn host(&self) -> &Arc<HostShared> {
        &self.0.host
    }

    pub(crate) fn allows_stop_iteration(&self) -> bool {
        self.0.options.allow_stop_iteration
    }

    pub(crate) fn fails_open(&self) -> bool {
        self.0.options.failure_policy == FailurePolicy::Open
    }

    /// The VM for a new stream, reloaded if the policy says so.
    pub(crate) fn instance(&self) -> Instance {
        let mut worker = locked(&self.0.worker);
        if worker.thread.is_none() {
            match self.0.options.failure_policy {
                FailurePolicy::Closed => return Instance::Failed,
                FailurePolicy::Open => return Instance::Bypassed,
                FailurePolicy::Reload { base } => {
                    let since = self.0.host.clock.monotonic() - worker.loaded_at;
                    if since < base || !self.0.load(&mut worker) {
                        return Instance::Failed;
                    }
                }
            }
        }
        match worker.thread.clone() {
            Some(thread) => Instance::Running {
                thread,
                root: worker.root,
            },
            None => Instance::Failed,
        }
    }

    /// Calls into the VM and does what the plugin asked for meanwhile.
    fn enter(&self, thread: &Arc<VmThread>, context: u32, entry: Entry) {
        if let Outcome::Returned { after, .. } = self.call(thread, context, entry) {
            crate::flow::after(after);
        }
    }

    /// Calls into the VM, unless it is no longer the running one.
    pub(crate) fn call(&self, thread: &Arc<VmThread>, context: u32, entry: Entry) -> Outcome {
        {
            let mut worker = locked(&self.0.worker);
            let running = worker
                .thread
                .as_ref()
                .is_some_and(|running| Arc::ptr_eq(running, thread));
            if !running {
                return Outcome::Lost;
            }
            if std::mem::take(&mut worker.traps_next) {
                worker.thread = None;
                return Outcome::Trapped;
            }
        }
        let (value, after) = thread.run(context, entry);
        if locked(&thread.state.data).trapped {
            locked(&self.0.worker).thread = None;
            return Outcome::Trapped;
        }
        Outcome::Returned { value, after }
    }

    fn thread(&self) -> Option<Arc<VmThread>> {
        locked(&self.0.worker).thread.clone()
    }
}

impl Plugin {
    /// Builds the VM; `false` if the plugin refused its configuration.
    fn load(&self, worker: &mut Worker) -> bool {
        let thread = VmThread::start(self);
        worker.loads += 1;
        worker.loaded_at = self.host.clock.monotonic();
        match thread.new_root(&worker.config) {
            Some(root) => {
                worker.root = root;
                worker.thread = Some(thread);
                true
            }
            None => false,
        }
    }
}

/// The thread that a VM is: the SDK's dispatcher, and a plugin's own statics, are thread-local.
#[derive(Debug)]
pub(crate) struct VmThread {
    pub(crate) state: Arc<VmState>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl VmThread {
    fn start(plugin: &Plugin) -> Arc<VmThread> {
        let state = Arc::new(VmState {
            host: Arc::clone(&plugin.host),
            vm_id: plugin.options.vm_id.clone(),
            plugin_name: plugin.options.plugin_name.clone(),
            records: Arc::clone(&plugin.records),
            ready: Mutex::default(),
            data: Mutex::new(VmData::new()),
        });
        let (jobs, inbox) = mpsc::channel::<Job>();
        let handle = thread::Builder::new()
            .name(format!("vm {}", plugin.options.plugin_name))
            .spawn({
                let (state, register) = (Arc::clone(&state), plugin.options.register);
                move || {
                    crate::abi::become_vm(state);
                    register();
                    inbox.into_iter().for_each(|job| job());
                }
            })
            .expect("a thread for a VM");
        Arc::new(VmThread {
            state,
            jobs: Mutex::new(Some(jobs)),
            handle: Mutex::new(Some(handle)),
        })
    }

    /// Runs one callback on the thread: what it returned, and what is to be done after it.
    fn run(&self, context: u32, entry: Entry) -> (u32, Vec<After>) {
        let (answer, answered) = mpsc::channel();
        let state = Arc::clone(&self.state);
        let job: Job = Box::new(move || {
            state.begin(context, entry.name());
            let mut value = 0;
            let info = allocation_counter::measure(|| value = entry.call(context));
            locked(&state.records).allocations.push(Allocations {
                callback: entry.name(),
                context_id: context,
                count: info.count_total,
            });
            let after = state.end();
            // Nobody waits any more only if the driver panicked.
            let _ = answer.send((value, after));
        });
        locked(&self.jobs)
            .as_ref()
            .and_then(|jobs| jobs.send(job).ok())
            .expect("the VM's thread is running");
        answered.recv().expect("the VM's thread is running")
    }

    /// A root context with this configuration; `None` if the plugin refused it.
    fn new_root(&self, config: &[u8]) -> Option<u32> {
        let (root, first) = self.state.new_root(config);
        let size = config.len();
        self.run(root, Entry::ContextCreate { root: 0 });
        let accepted = (!first || self.run(root, Entry::VmStart).0 != 0)
            && self.run(root, Entry::Configure { size }).0 != 0;
        accepted.then_some(root)
    }
}

impl Drop for VmThread {
    fn drop(&mut self) {
        drop(locked(&self.jobs).take());
        if let Some(handle) = locked(&self.handle).take()
            && handle.thread().id() != thread::current().id()
        {
            // A VM whose thread panicked has already said so.
            let _ = handle.join();
        }
    }
}

/// What the host knows of a VM; the host functions work on it.
#[derive(Debug)]
pub(crate) struct VmState {
    pub(crate) host: Arc<HostShared>,
    pub(crate) vm_id: String,
    pub(crate) plugin_name: String,
    pub(crate) records: Arc<Mutex<Records>>,
    /// Queues with something in them: the root context to call, and the queue's number.
    pub(crate) ready: Mutex<Vec<(u32, u32)>>,
    pub(crate) data: Mutex<VmData>,
}

#[derive(Debug)]
pub(crate) struct VmData {
    pub(crate) contexts: BTreeMap<u32, Context>,
    next_context: u32,
    pub(crate) next_token: u32,
    /// The context that the present callback is for; zero between callbacks.
    pub(crate) current: u32,
    /// The context that `set_effective_context` chose; zero until it does.
    pub(crate) effective: u32,
    pub(crate) callback: &'static str,
    pub(crate) callouts: BTreeMap<u32, Callout>,
    pub(crate) answer: Option<Answer>,
    pub(crate) after: Vec<After>,
    /// How many writes to shared data come before the one in which the VM traps.
    pub(crate) writes_left: Option<usize>,
    /// Whether it has: what the adapter still calls, natively, does not happen.
    pub(crate) trapped: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Context {
    Root(Root),
    Stream {
        root: u32,
        stream: Weak<StreamShared>,
        filter: usize,
    },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Root {
    pub(crate) config: Vec<u8>,
    pub(crate) tick: Option<Duration>,
    pub(crate) declared: BTreeMap<String, Declaration>,
}

impl VmData {
    fn new() -> VmData {
        VmData {
            contexts: BTreeMap::new(),
            next_context: 1,
            next_token: 1,
            current: 0,
            effective: 0,
            callback: "",
            callouts: BTreeMap::new(),
            answer: None,
            after: Vec::new(),
            writes_left: None,
            trapped: false,
        }
    }

    /// The context that host calls act on: a chosen one that has gone since counts as not chosen.
    pub(crate) fn acting(&self) -> u32 {
        if self.contexts.contains_key(&self.effective) {
            self.effective
        } else {
            self.current
        }
    }

    /// The stream that host calls act on, and which of its filters this is.
    pub(crate) fn stream(&self) -> Option<(Arc<StreamShared>, usize)> {
        match self.contexts.get(&self.acting())? {
            Context::Root(_) => None,
            Context::Stream { stream, filter, .. } => Some((stream.upgrade()?, *filter)),
        }
    }

    /// The root context of the context that host calls act on.
    pub(crate) fn root_id(&self) -> u32 {
        let acting = self.acting();
        match self.contexts.get(&acting) {
            Some(Context::Stream { root, .. }) => *root,
            Some(Context::Root(_)) | None => acting,
        }
    }

    /// Counts a write to shared data; `false` if the VM traps in it.
    pub(crate) fn may_write(&mut self) -> bool {
        match &mut self.writes_left {
            Some(0) => self.trapped = true,
            Some(left) => *left -= 1,
            None => {}
        }
        !self.trapped
    }

    pub(crate) fn root(&mut self) -> Option<&mut Root> {
        let root = self.root_id();
        match self.contexts.get_mut(&root)? {
            Context::Root(root) => Some(root),
            Context::Stream { .. } => None,
        }
    }
}

impl VmState {
    fn begin(&self, context: u32, callback: &'static str) {
        let mut data = locked(&self.data);
        data.current = context;
        data.effective = 0;
        data.callback = callback;
    }

    fn end(&self) -> Vec<After> {
        let mut data = locked(&self.data);
        data.current = 0;
        data.effective = 0;
        data.callback = "";
        std::mem::take(&mut data.after)
    }

    /// The number of a new root context, and whether it is the VM's first.
    fn new_root(&self, config: &[u8]) -> (u32, bool) {
        let mut data = locked(&self.data);
        let first = data.contexts.is_empty();
        let root = Context::Root(Root {
            config: config.to_owned(),
            ..Root::default()
        });
        (data.insert(root), first)
    }

    pub(crate) fn new_stream(&self, root: u32, stream: &Arc<StreamShared>, filter: usize) -> u32 {
        locked(&self.data).insert(Context::Stream {
            root,
            stream: Arc::downgrade(stream),
            filter,
        })
    }

    pub(crate) fn forget_context(&self, context: u32) {
        locked(&self.data).contexts.remove(&context);
    }

    pub(crate) fn wake(&self, root: u32, token: u32) {
        locked(&self.ready).push((root, token));
    }

    fn roots_that_tick(&self) -> Vec<u32> {
        let data = locked(&self.data);
        let ticks =
            |context: &Context| matches!(context, Context::Root(root) if root.tick.is_some());
        data.contexts
            .iter()
            .filter(|(_, context)| ticks(context))
            .map(|(id, _)| *id)
            .collect()
    }

    fn tick_period(&self, root: u32) -> Option<Duration> {
        match locked(&self.data).contexts.get(&root)? {
            Context::Root(root) => root.tick,
            Context::Stream { .. } => None,
        }
    }
}

impl VmData {
    fn insert(&mut self, context: Context) -> u32 {
        let id = self.next_context;
        self.next_context += 1;
        self.contexts.insert(id, context);
        id
    }
}
