//! The root context: the configuration, and the deadlines of what waits.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::plugin::Plugin;

/// The root context of one configuration.
#[derive(Default)]
pub(crate) struct Root(proxy_host::Root<Plugin>);

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, size: usize) -> bool {
        self.0.on_vm_start(size)
    }

    fn on_configure(&mut self, size: usize) -> bool {
        self.0.on_configure(size)
    }

    fn on_tick(&mut self) {
        if let Some(plugin) = self.0.plugin() {
            plugin.waiting.tick(&plugin.counters);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        self.0.create_http_context(context_id)
    }

    fn get_type(&self) -> Option<ContextType> {
        self.0.get_type()
    }
}
