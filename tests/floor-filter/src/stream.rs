//! One stream: the calls of each callback, one after the other.

use std::rc::Rc;

use proxy_host::body::Buffer;
use proxy_host::headers::Map;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::call::{Place, Ready};
use crate::plugin::Plugin;

/// The context of one stream.
pub(crate) struct Stream(pub(crate) Rc<Plugin>);

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        make(&self.0.request, Map::Request, Buffer::Request, 0)
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        make(&self.0.response, Map::Response, Buffer::Response, 0)
    }

    fn on_http_response_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        if self.0.buffers && !end_of_stream {
            return Action::Pause;
        }
        make(
            &self.0.response_body,
            Map::Response,
            Buffer::Response,
            body_size,
        )
    }
}

/// A call that fails would make the floor too low: the log says so, and the bench looks there.
fn make(calls: &[Ready], map: Map, buffer: Buffer, size: usize) -> Action {
    let place = Place { map, buffer, size };
    for call in calls {
        if let Err(error) = call.make(place) {
            log::error!("a floor call failed: {call:?}: {error}");
        }
    }
    Action::Continue
}
