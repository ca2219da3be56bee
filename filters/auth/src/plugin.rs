//! One configuration of the filter, as its streams share it.

use std::cell::RefCell;
use std::rc::Rc;

use auth_policy::{Counter, Needs, Policy, TokenCache};
use proxy_host::capabilities::{self, Capabilities};
use proxy_host::{CounterSet, HostError, environment, random};
use proxy_wasm::traits::HttpContext;

use crate::request::Request;
use crate::state;

/// What the requests of one configuration share.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    /// What it wants to know beside the head.
    pub(crate) needs: Needs,
    pub(crate) host: Capabilities,
    pub(crate) counters: CounterSet<Counter>,
    /// What this worker has verified under this configuration.
    pub(crate) tokens: RefCell<TokenCache>,
}

impl proxy_host::Plugin for Plugin {
    fn configure(configuration: &[u8]) -> Result<Self, String> {
        let policy = Policy::from_bytes_in(configuration, &environment::variable)
            .map_err(|error| error.to_string())?;
        let counters = CounterSet::define(Counter::all().map(|counter| (counter, counter.name())))
            .map_err(|error| format!("counters: {error}"))?;
        let seeds = random_seeds().map_err(|error| format!("random numbers: {error}"))?;
        let tokens = RefCell::new(policy.token_cache(seeds));
        let host = capabilities::probe();
        if host.declare_property {
            state::declare();
        }
        Ok(Plugin {
            needs: policy.needs(),
            policy,
            host,
            counters,
            tokens,
        })
    }

    fn stream(plugin: Rc<Self>) -> Box<dyn HttpContext> {
        Box::new(Request::new(plugin))
    }
}

fn random_seeds() -> Result<[u64; 4], HostError> {
    let mut seeds = [0; 4];
    for seed in &mut seeds {
        let mut bytes = [0; 8];
        random::fill(&mut bytes)?;
        *seed = u64::from_le_bytes(bytes);
    }
    Ok(seeds)
}
