//! One configuration of the filter, as its streams share it.

use std::rc::Rc;

use proxy_host::CounterSet;
use proxy_wasm::traits::HttpContext;
use routing_policy::{Counter, Policy};

use crate::request::Request;
use crate::statistics::Statistics;

/// What the requests of one configuration share.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    pub(crate) counters: CounterSet<Counter>,
    pub(crate) statistics: Statistics,
}

impl proxy_host::Plugin for Plugin {
    fn configure(configuration: &[u8]) -> Result<Self, String> {
        let policy = Policy::from_bytes(configuration).map_err(|error| error.to_string())?;
        let counters = CounterSet::define(Counter::ALL.map(|counter| (counter, counter.name())))
            .map_err(|error| format!("counters: {error}"))?;
        Ok(Plugin {
            statistics: Statistics::new(policy.statistics()),
            policy,
            counters,
        })
    }

    fn stream(plugin: Rc<Self>, _context_id: u32) -> Box<dyn HttpContext> {
        Box::new(Request::new(plugin))
    }
}
