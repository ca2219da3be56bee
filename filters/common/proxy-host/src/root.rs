//! The root context, the same for every filter: reads a configuration, and hands it to each stream.

use std::rc::Rc;

use http_message::{GrpcStatus, HeaderMap, Place, Problem, RequestHead};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::{configuration, logger, request};

/// One accepted configuration of a filter: what its streams share.
pub trait Plugin: Sized + 'static {
    /// Reads a configuration, or says what is wrong with it: the path of the field and the fix, never a secret.
    ///
    /// # Errors
    /// The words for Envoy's log.
    fn configure(configuration: &[u8]) -> Result<Self, String>;

    /// What the log is to say of it, as `name=value` words. Nothing by default.
    fn summary(&self) -> String {
        String::new()
    }

    /// The context of a new stream; `context_id` is the number that [`crate::with_stream`] knows it by.
    fn stream(plugin: Rc<Self>, context_id: u32) -> Box<dyn HttpContext>;
}

/// The root context of a filter. A changed configuration gets a new one; streams under way keep theirs.
pub struct Root<P>(Option<Rc<P>>);

/// A stream that the host has started before it has configured the filter: nothing is known, so nothing passes.
struct Unconfigured;

impl<P> Default for Root<P> {
    fn default() -> Self {
        Root(None)
    }
}

impl<P: Plugin> Root<P> {
    /// The accepted configuration; `None` before there is one.
    pub fn plugin(&self) -> Option<&Rc<P>> {
        self.0.as_ref()
    }

    fn configure(&mut self) -> Result<Rc<P>, String> {
        let bytes = configuration::plugin_configuration().map_err(|error| error.to_string())?;
        let plugin = Rc::new(P::configure(&bytes)?);
        self.0 = Some(Rc::clone(&plugin));
        Ok(plugin)
    }
}

impl<P> Context for Root<P> {}

impl<P: Plugin> RootContext for Root<P> {
    fn on_vm_start(&mut self, _vm_configuration_size: usize) -> bool {
        logger::install();
        true
    }

    /// `false` makes Envoy reject the update and keep the configuration that it has.
    fn on_configure(&mut self, _plugin_configuration_size: usize) -> bool {
        match self.configure() {
            Ok(plugin) => {
                log::info!("{}", format!("configured {}", plugin.summary()).trim_end());
                true
            }
            Err(error) => {
                log::error!("configuration refused: {error}");
                false
            }
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match &self.0 {
            Some(plugin) => P::stream(Rc::clone(plugin), context_id),
            None => Box::new(Unconfigured),
        })
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Unconfigured {}

impl HttpContext for Unconfigured {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        let problem = Problem {
            status: 500,
            grpc_status: GrpcStatus::Internal,
            title: "Internal Server Error",
            detail: "The gateway could not process the request.",
            code_details: "gatehouse_unconfigured",
            headers: Vec::new(),
        };
        let unread = RequestHead::new(HeaderMap::default());
        request::refuse(&unread, &problem, Place::BeforeBridges);
        Action::Pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Never;

    impl Plugin for Never {
        fn configure(_configuration: &[u8]) -> Result<Self, String> {
            Err("no".into())
        }

        fn stream(_plugin: Rc<Self>, _context_id: u32) -> Box<dyn HttpContext> {
            Box::new(Unconfigured)
        }
    }

    // A filter without a configuration has no rules; a request that passed it would have passed none.
    #[test]
    fn nothing_passes_before_a_configuration_does() {
        let root = Root::<Never>::default();
        let mut stream = root
            .create_http_context(2)
            .expect("the SDK panics without a context");
        assert_eq!(stream.on_http_request_headers(0, true), Action::Pause);
    }
}
