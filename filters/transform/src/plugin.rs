//! One configuration of the filter, as its streams share it.

use std::rc::Rc;

use proxy_host::{CounterSet, SharedGauge, environment, random};
use proxy_wasm::traits::HttpContext;
use transform_policy::{Counter, HELD_BYTES, Policy, Surroundings};

use crate::exchange::Exchange;
use crate::waiting::WaitingList;

/// How much what is held may change before the host is told, in bytes: a call for each chunk would cost more than it says.
const GAUGE_STEP: u64 = 4096;

/// The most that the bodies under way may hold in one worker, in bytes. A VM has 1 GiB, and where it needs more it is lost with all
/// that wait in it: a client can make each of its requests hold 2 MiB with names of members, or half a MiB with a coding.
pub(crate) const MAX_HELD_BYTES: u64 = 256 << 20;

/// What the requests of one configuration share.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    pub(crate) counters: CounterSet<Counter>,
    /// What the bodies under way hold.
    pub(crate) held: SharedGauge,
    /// The messages whose heads wait.
    pub(crate) waiting: WaitingList,
}

impl proxy_host::Plugin for Plugin {
    fn configure(configuration: &[u8]) -> Result<Self, String> {
        let mut name_key = [0; 16];
        random::fill(&mut name_key).map_err(|error| format!("random numbers: {error}"))?;
        let surroundings = Surroundings {
            environment: &environment::variable,
            name_key,
        };
        let policy = Policy::from_bytes_in(configuration, &surroundings)
            .map_err(|error| error.to_string())?;
        let counters = CounterSet::define(Counter::ALL.map(|counter| (counter, counter.name())))
            .map_err(|error| format!("counters: {error}"))?;
        let held = SharedGauge::define(HELD_BYTES, GAUGE_STEP)
            .map_err(|error| format!("gauges: {error}"))?;
        Ok(Plugin {
            policy,
            counters,
            held,
            waiting: WaitingList::new(),
        })
    }

    fn stream(plugin: Rc<Self>, context_id: u32) -> Box<dyn HttpContext> {
        Box::new(Exchange::new(plugin, context_id))
    }
}
