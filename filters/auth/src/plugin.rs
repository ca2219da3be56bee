//! One configuration of the filter, as its streams share it.

use std::rc::Rc;

use auth_policy::{Counter, Policy};
use proxy_host::CounterSet;
use proxy_host::capabilities::{self, Capabilities};
use proxy_wasm::traits::HttpContext;

use crate::request::Request;
use crate::state;

/// What the requests of one configuration share.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    pub(crate) host: Capabilities,
    pub(crate) counters: CounterSet<Counter>,
}

impl proxy_host::Plugin for Plugin {
    fn configure(configuration: &[u8]) -> Result<Self, String> {
        let policy = Policy::from_bytes(configuration).map_err(|error| error.to_string())?;
        let counters = CounterSet::define(Counter::all().map(|counter| (counter, counter.name())))
            .map_err(|error| format!("counters: {error}"))?;
        let host = capabilities::probe();
        if host.declare_property {
            state::declare();
        }
        Ok(Plugin {
            policy,
            host,
            counters,
        })
    }

    fn stream(plugin: Rc<Self>) -> Box<dyn HttpContext> {
        Box::new(Request::new(plugin))
    }
}
