//! A plugin whose root context runs what a test gives it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fake_host::{Host, Vm, VmOptions};
use proxy_host::body::{self, Buffer};
use proxy_host::headers::{self, Map};
use proxy_wasm::traits::{Context, RootContext};

type Job = Box<dyn FnOnce() + Send>;

/// What waits for a tick, and what came of it, by the number that is a worker's configuration.
static JOBS: Mutex<Vec<(usize, Job)>> = Mutex::new(Vec::new());
static ANSWERS: Mutex<Vec<(usize, String)>> = Mutex::new(Vec::new());
static PANICS: Mutex<Vec<(usize, String)>> = Mutex::new(Vec::new());
static WORKERS: AtomicUsize = AtomicUsize::new(0);

/// One VM.
pub(crate) struct Worker {
    pub(crate) vm: Vm,
    number: usize,
}

impl Worker {
    pub(crate) fn start(host: &Host, vm_id: &str) -> Worker {
        let number = WORKERS.fetch_add(1, Ordering::SeqCst);
        let options = VmOptions::new("worker", register)
            .vm_id(vm_id)
            .config(number.to_string());
        Worker {
            vm: host.start(options).unwrap(),
            number,
        }
    }

    /// Runs `job` inside the VM, on a tick; its panic is this thread's.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        JOBS.lock().unwrap().push((self.number, Box::new(job)));
        self.vm.tick();
        if let Some(message) = take(&PANICS, self.number).pop() {
            panic!("in the VM: {message}");
        }
    }

    /// The answers to callouts that the root context got, as status and body.
    pub(crate) fn answers(&self) -> Vec<String> {
        take(&ANSWERS, self.number)
    }
}

fn take<T>(list: &Mutex<Vec<(usize, T)>>, number: usize) -> Vec<T> {
    let mut list = list.lock().unwrap();
    let (ours, others) = list.drain(..).partition(|(owner, _)| *owner == number);
    *list = others;
    let ours: Vec<(usize, T)> = ours;
    ours.into_iter().map(|(_, item)| item).collect()
}

fn register() {
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}

#[derive(Default)]
struct Root {
    number: usize,
}

impl Context for Root {
    fn on_http_call_response(&mut self, _: u32, _: usize, size: usize, _: usize) {
        let head = headers::read(Map::CalloutHeaders).unwrap();
        let status = head
            .get_all(":status")
            .next()
            .unwrap()
            .escape_ascii()
            .to_string();
        let body = body::read(Buffer::Callout, 0, size).unwrap();
        let answer = format!("{status} {}", body.escape_ascii());
        ANSWERS.lock().unwrap().push((self.number, answer));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = proxy_host::plugin_configuration().unwrap();
        let number = String::from_utf8(configuration).unwrap().parse().unwrap();
        self.number = number;
        proxy_host::set_tick_period(Duration::from_millis(1)).is_ok()
    }

    fn on_tick(&mut self) {
        let number = self.number;
        for job in take(&JOBS, number) {
            // A panic must not reach the SDK's entry point, which aborts the process.
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            if let Err(panic) = ran {
                let text = panic.downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                PANICS
                    .lock()
                    .unwrap()
                    .push((number, text.unwrap_or_default()));
            }
        }
    }
}
