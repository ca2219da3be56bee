//! One configuration of the filter: read it, or refuse it.

use std::cell::OnceCell;
use std::rc::Rc;

use proxy_host::CounterSet;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use rate_limit_policy::{Counter, Instance, Needs, Policy};

use crate::request::Request;

/// The root context. A changed configuration gets a new one; requests under way stay with theirs.
#[derive(Default)]
pub(crate) struct Root {
    plugin: Option<Rc<Plugin>>,
}

/// What the requests of one configuration share.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    pub(crate) needs: Needs,
    pub(crate) counters: CounterSet<Counter>,
    /// Read with the first request: what is done at configure is done once for each VM, those that serve nothing too.
    pub(crate) instance: OnceCell<Instance>,
}

impl Root {
    /// The table's size for the log.
    fn configure(&mut self) -> Result<u64, String> {
        let bytes = proxy_host::plugin_configuration().map_err(|error| error.to_string())?;
        let policy = Policy::from_bytes(&bytes).map_err(|error| error.to_string())?;
        let counters = CounterSet::define(Counter::ALL.map(|counter| (counter, counter.name())))
            .map_err(|error| format!("counters: {error}"))?;
        let table_bytes = policy.table_bytes();
        self.plugin = Some(Rc::new(Plugin {
            needs: policy.needs(),
            policy,
            counters,
            instance: OnceCell::new(),
        }));
        Ok(table_bytes)
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _vm_configuration_size: usize) -> bool {
        proxy_host::install();
        true
    }

    /// `false` makes Envoy reject the update and keep the configuration that it has.
    fn on_configure(&mut self, _plugin_configuration_size: usize) -> bool {
        match self.configure() {
            Ok(table_bytes) => {
                log::info!("configured table_max_bytes={table_bytes}");
                true
            }
            Err(error) => {
                log::error!("configuration refused: {error}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request::new(self.plugin.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
