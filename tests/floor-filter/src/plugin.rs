//! One configuration of the filter.

use std::rc::Rc;

use proxy_wasm::traits::HttpContext;
use serde::Deserialize;

use crate::call::{Call, Ready};
use crate::stream::Stream;

/// The configuration as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    request: Vec<Call>,
    response: Vec<Call>,
    response_body: Vec<Call>,
}

/// What the streams share.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) request: Vec<Ready>,
    pub(crate) response: Vec<Ready>,
    pub(crate) response_body: Vec<Ready>,
    /// Whether the body has to be whole.
    pub(crate) buffers: bool,
}

impl proxy_host::Plugin for Plugin {
    fn configure(configuration: &[u8]) -> Result<Self, String> {
        let config: Config =
            serde_json::from_slice(configuration).map_err(|error| error.to_string())?;
        let ready = |calls: Vec<Call>| -> Result<Vec<Ready>, String> {
            calls.into_iter().map(Ready::new).collect()
        };
        let response_body = ready(config.response_body)?;
        Ok(Self {
            request: ready(config.request)?,
            response: ready(config.response)?,
            buffers: response_body.iter().any(Ready::buffers),
            response_body,
        })
    }

    fn stream(plugin: Rc<Self>, _context_id: u32) -> Box<dyn HttpContext> {
        Box::new(Stream(plugin))
    }
}
