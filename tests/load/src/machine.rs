//! Where it is measured.

use std::fs;
use std::time::Duration;

use envoy_harness::{Envoy, Request};
use serde_json::{Value, json};

use crate::processors::Processors;

/// A machine whose other work takes more of a processor than this is told to be busy.
const BUSY: f64 = 0.10;

/// How long the machine is looked at before anything is started.
const LOOK: Duration = Duration::from_millis(500);

/// Clock ticks a second in /proc, of every Linux.
const TICKS: f64 = 100.0;

/// What the report says of the machine.
#[derive(Debug)]
pub(crate) struct Machine {
    processors: usize,
    model: String,
    kernel: String,
    load_average: f64,
    /// Processors that others kept busy before the start.
    busy: f64,
    /// Its version, once one runs.
    pub(crate) envoy: String,
}

impl Machine {
    pub(crate) fn look(processors: &Processors) -> Self {
        let busy = || busy_ticks().unwrap_or_default();
        let before = busy();
        std::thread::sleep(LOOK);
        let others = (busy() - before) / TICKS / LOOK.as_secs_f64();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let model = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown".into(), |(_, model)| model.trim().to_owned());
        Self {
            processors: processors.count(),
            model,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(f64::NAN),
            busy: others,
            envoy: String::new(),
        }
    }

    /// Why figures taken here are worth less; none if nothing speaks against them.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.processors < 2 {
            warnings.push("one processor: the load disturbs what it measures".to_owned());
        }
        if self.busy > BUSY {
            warnings.push(format!(
                "the machine is busy: {:.1} processors with other work (load average {:.1}); trust ratios only",
                self.busy, self.load_average
            ));
        }
        warnings
    }

    pub(crate) fn line(&self) -> String {
        let Self {
            processors,
            model,
            kernel,
            load_average,
            envoy,
            ..
        } = self;
        format!(
            "{processors} processors ({model}), Linux {kernel}, load average {load_average:.1}, Envoy {envoy}"
        )
    }

    pub(crate) fn json(&self, rounds: usize, quick: bool) -> Value {
        let Self {
            processors,
            model,
            kernel,
            load_average,
            busy,
            envoy,
        } = self;
        json!({
            "processors": processors, "cpu": model, "kernel": kernel, "load_average": load_average,
            "other_work": busy, "envoy": envoy, "gatehouse": env!("CARGO_PKG_VERSION"), "rounds": rounds, "quick": quick,
        })
    }
}

/// What Envoy says that it is.
pub(crate) fn version_of(envoy: &Envoy) -> String {
    let info = envoy.admin().send(&Request::get("/server_info")).json();
    // <commit>/<version>/<state>/<build>/<TLS library>
    let version = info["version"].as_str().unwrap_or_default();
    version.split('/').skip(1).collect::<Vec<_>>().join(" ")
}

/// Time that all processors have worked since the start of the machine.
fn busy_ticks() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .filter_map(|time| time.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guests are in user already.
    let all: f64 = times.iter().take(8).sum();
    Some(all - times.get(3)? - times.get(4)?)
}
