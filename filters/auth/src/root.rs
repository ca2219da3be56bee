//! The root context: the configuration, and what happens between requests.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::plugin::Plugin;

/// The root context of one configuration. Keys are fetched by it, never by a stream: the answer to a stream that is gone
/// reaches nobody.
#[derive(Default)]
pub(crate) struct Root(proxy_host::Root<Plugin>);

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        if let Some(plugin) = self.0.plugin() {
            plugin.answered(token, body_size);
        }
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, size: usize) -> bool {
        self.0.on_vm_start(size)
    }

    fn on_configure(&mut self, size: usize) -> bool {
        let accepted = self.0.on_configure(size);
        if let Some(plugin) = self.0.plugin() {
            plugin.set_first_tick();
        }
        accepted
    }

    fn on_tick(&mut self) {
        if let Some(plugin) = self.0.plugin() {
            plugin.tick();
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        if let Some(plugin) = self.0.plugin() {
            plugin.woken(queue);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        self.0.create_http_context(context_id)
    }

    fn get_type(&self) -> Option<ContextType> {
        self.0.get_type()
    }
}
