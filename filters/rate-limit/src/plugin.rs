//! One configuration of the filter, as its streams share it.

use std::cell::OnceCell;
use std::rc::Rc;

use proxy_host::CounterSet;
use proxy_host::metric::Gauge;
use proxy_wasm::traits::HttpContext;
use rate_limit_policy::{Counter, ENTRIES, Instance, Needs, Policy};

use crate::request::Request;

/// What the requests of one configuration share.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    pub(crate) needs: Needs,
    pub(crate) counters: CounterSet<Counter>,
    /// How many entries the table has.
    pub(crate) entries: Gauge,
    /// Whether the upstream is told of limits that are used up.
    pub(crate) marks: bool,
    /// Read with the first request: what is done at configure is done once for each VM, those that serve nothing too.
    pub(crate) instance: OnceCell<Instance>,
}

impl proxy_host::Plugin for Plugin {
    fn configure(configuration: &[u8]) -> Result<Self, String> {
        let policy = Policy::from_bytes(configuration).map_err(|error| error.to_string())?;
        let counters = CounterSet::define(Counter::ALL.map(|counter| (counter, counter.name())))
            .map_err(|error| format!("counters: {error}"))?;
        let entries = Gauge::define(ENTRIES).map_err(|error| format!("gauge: {error}"))?;
        Ok(Plugin {
            entries,
            marks: policy.marks_requests(),
            needs: policy.needs(),
            policy,
            counters,
            instance: OnceCell::new(),
        })
    }

    fn summary(&self) -> String {
        format!("table_max_bytes={}", self.policy.table_bytes())
    }

    fn stream(plugin: Rc<Self>, _context_id: u32) -> Box<dyn HttpContext> {
        Box::new(Request::new(plugin))
    }
}
