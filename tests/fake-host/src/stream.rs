//! A request and its response, as they go through a chain of filters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::headers::Headers;
use crate::host::{HostShared, locked};
use crate::record::{Cost, HostCall};
use crate::route::{Route, RouteView};
use crate::vm::{Vm, VmThread};

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterStatus {
    /// It went on to the upstream, or to the client.
    Continue,
    /// A filter holds it.
    Pause,
    /// A local reply was made in the upstream's place.
    Replied(Reply),
    /// The client's connection was cut after response headers had gone out.
    Reset,
}

/// A local reply as it was asked for; what the client got of it is [`Stream::client`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The response code details; the host's own where it replied by itself.
    pub details: String,
    /// The headers that the plugin gave.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The gRPC status, if one was given.
    pub grpc_status: Option<u8>,
}

impl Reply {
    /// The body as text; empty if it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("")
    }
}

/// A message as one end of the chain got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Whether its headers have arrived.
    pub started: bool,
    /// The headers.
    pub headers: Headers,
    /// The body so far.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Headers,
    /// Whether it has ended as it should.
    pub complete: bool,
}

impl Message {
    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.headers.text(":status")?.parse().ok()
    }

    /// The body as text; empty if it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("")
    }
}

/// One request, driven step by step. Dropping it ends it, as a client that goes away does.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<StreamShared>,
}

impl Stream {
    pub(crate) fn new(shared: Arc<StreamShared>) -> Stream {
        Stream { shared }
    }

    /// With an attribute that filters can read, such as `["source", "address"]`.
    #[must_use]
    pub fn with_property(self, path: &[&str], value: impl AsRef<[u8]>) -> Stream {
        let value = value.as_ref().to_owned();
        let mut data = locked(&self.shared.data);
        data.attributes.insert(path.join("\0"), value);
        drop(data);
        self
    }

    /// With filter state, as an earlier filter wrote it by `set_property(name)`.
    #[must_use]
    pub fn with_filter_state(self, name: &str, value: impl AsRef<[u8]>) -> Stream {
        let value = value.as_ref().to_owned();
        let mut data = locked(&self.shared.data);
        data.filter_state.insert(format!("wasm.{name}"), value);
        drop(data);
        self
    }

    /// The request's headers arrive; `end_of_stream` if nothing follows.
    pub fn request_headers(&mut self, end_of_stream: bool) -> FilterStatus {
        self.shared.headers(Direction::Request, 0, end_of_stream);
        self.request_status()
    }

    /// A piece of the request's body arrives.
    pub fn request_body(&mut self, chunk: impl AsRef<[u8]>, end_of_stream: bool) -> FilterStatus {
        let chunk = chunk.as_ref().to_owned();
        self.shared
            .body(Direction::Request, 0, chunk, end_of_stream);
        self.request_status()
    }

    /// The request ends by trailers.
    pub fn request_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        trailers: impl IntoIterator<Item = (N, V)>,
    ) -> FilterStatus {
        locked(&self.shared.data).request_trailers = trailers.into_iter().collect();
        self.shared.trailers(Direction::Request, 0);
        self.request_status()
    }

    /// The upstream's response headers arrive.
    pub fn response_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: impl IntoIterator<Item = (N, V)>,
        end_of_stream: bool,
    ) -> FilterStatus {
        if !self.replied() {
            locked(&self.shared.data).response = Some(headers.into_iter().collect());
            self.shared.headers(Direction::Response, 0, end_of_stream);
        }
        self.response_status()
    }

    /// A piece of the upstream's response body arrives.
    pub fn response_body(&mut self, chunk: impl AsRef<[u8]>, end_of_stream: bool) -> FilterStatus {
        if !self.replied() {
            let chunk = chunk.as_ref().to_owned();
            self.shared
                .body(Direction::Response, 0, chunk, end_of_stream);
        }
        self.response_status()
    }

    /// The upstream's response ends by trailers.
    pub fn response_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        trailers: impl IntoIterator<Item = (N, V)>,
    ) -> FilterStatus {
        if !self.replied() {
            locked(&self.shared.data).response_trailers = trailers.into_iter().collect();
            self.shared.trailers(Direction::Response, 0);
        }
        self.response_status()
    }

    /// Where the request is now.
    #[must_use]
    pub fn request_status(&self) -> FilterStatus {
        self.status(Direction::Request)
    }

    /// Where the response is now.
    #[must_use]
    pub fn response_status(&self) -> FilterStatus {
        self.status(Direction::Response)
    }

    /// The request as the upstream has got it so far.
    #[must_use]
    pub fn upstream(&self) -> Message {
        locked(&self.shared.data).upstream.clone()
    }

    /// The response, ours or the upstream's, as the client has got it so far.
    #[must_use]
    pub fn client(&self) -> Message {
        locked(&self.shared.data).client.clone()
    }

    /// The request's headers as they are now, wherever the request is.
    #[must_use]
    pub fn request_head_now(&self) -> Headers {
        locked(&self.shared.data).request.clone()
    }

    /// The local reply that was made, by a filter or by the host.
    #[must_use]
    pub fn local_reply(&self) -> Option<Reply> {
        locked(&self.shared.data).reply.clone()
    }

    /// The route that the router took, or would take now.
    #[must_use]
    pub fn route(&self) -> Option<String> {
        let mut data = locked(&self.shared.data);
        data.look_at_route();
        data.route.seen().map(str::to_owned)
    }

    /// What a filter wrote by `set_property(name)`.
    #[must_use]
    pub fn filter_state(&self, name: &str) -> Option<Vec<u8>> {
        let data = locked(&self.shared.data);
        data.filter_state.get(&format!("wasm.{name}")).cloned()
    }

    /// What a filter wrote by `set_envoy_filter_state(key)`.
    #[must_use]
    pub fn envoy_filter_state(&self, key: &str) -> Option<Vec<u8>> {
        locked(&self.shared.data).filter_state.get(key).cloned()
    }

    /// The host calls that filters made for this request in `callback`, such as `proxy_on_request_headers`.
    #[must_use]
    pub fn host_calls(&self, callback: &str) -> Vec<HostCall> {
        self.cost_where(|name| name == callback).calls
    }

    /// What the filters did for this request in `callback`.
    #[must_use]
    pub fn cost_of(&self, callback: &str) -> Cost {
        self.cost_where(|name| name == callback)
    }

    /// What the filters did for this request.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost_where(|_| true)
    }

    fn cost_where(&self, is_asked: impl Fn(&str) -> bool) -> Cost {
        let mut cost = Cost::default();
        for (element, filter) in self.shared.filters() {
            if let (Element::Filter(vm), Some((_, context_id))) = (element, filter) {
                let part = vm.cost(|id, callback| id == context_id && is_asked(callback));
                cost.calls.extend(part.calls);
                cost.allocations += part.allocations;
            }
        }
        cost
    }

    /// The request is over: `on_log`, `on_done`, `on_delete` in every filter that saw it.
    pub fn close(&mut self) {
        self.shared.close();
    }

    fn replied(&self) -> bool {
        let data = locked(&self.shared.data);
        data.reply.is_some() || data.reset
    }

    fn status(&self, direction: Direction) -> FilterStatus {
        let data = locked(&self.shared.data);
        let paused = |filter: &Filter| filter.flow(direction).is_paused();
        if data.reset {
            FilterStatus::Reset
        } else if let Some(reply) = &data.reply {
            FilterStatus::Replied(reply.clone())
        } else if data.filters.iter().any(paused) {
            FilterStatus::Pause
        } else {
            FilterStatus::Continue
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.close();
        }
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// A member of the chain.
#[derive(Clone, Debug)]
pub(crate) enum Element {
    Filter(Vm),
    Native,
}

/// What driver, filters and host functions share of a stream.
#[derive(Debug)]
pub(crate) struct StreamShared {
    pub(crate) host: Arc<HostShared>,
    pub(crate) elements: Vec<Element>,
    pub(crate) data: Mutex<StreamData>,
}

#[derive(Debug, Default)]
pub(crate) struct StreamData {
    pub(crate) request: Headers,
    pub(crate) request_trailers: Headers,
    /// `None` until the upstream, or a local reply, has given some.
    pub(crate) response: Option<Headers>,
    pub(crate) response_trailers: Headers,
    /// One for each element of the chain.
    pub(crate) filters: Vec<Filter>,
    pub(crate) filter_state: BTreeMap<String, Vec<u8>>,
    pub(crate) read_only: BTreeSet<String>,
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
    pub(crate) route: Route,
    pub(crate) reply: Option<Reply>,
    pub(crate) reset: bool,
    pub(crate) closed: bool,
    /// In `on_log` the header maps can be read, not written.
    pub(crate) logging: bool,
    pub(crate) upstream: Message,
    pub(crate) client: Message,
}

/// The VM and the context that a filter runs in for one stream.
pub(crate) type Instance = (Arc<VmThread>, u32);

/// A filter's part in a stream.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// `None` until the request's headers have reached the filter.
    pub(crate) instance: Option<Instance>,
    pub(crate) request: Flow,
    pub(crate) response: Flow,
    /// A local reply was asked for: the host sends no second one.
    pub(crate) replied: bool,
}

/// One direction of a message at one filter.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) headers_open: bool,
    pub(crate) trailers_open: bool,
    /// The piece that the body callback is about; readable and writable inside it only.
    pub(crate) chunk: Option<Vec<u8>>,
    /// A body callback returned Pause: the host gathers, and callbacks are about all of it.
    pub(crate) buffered: Option<Vec<u8>>,
    /// Pause in headers without stop-iteration: the host holds what comes back without calling the filter.
    pub(crate) stopped: Option<Held>,
    /// Pause in headers with stop-iteration: the headers wait for a body callback that continues.
    pub(crate) headers_held: bool,
    pub(crate) trailers_held: bool,
    /// The filter was told "end of stream".
    pub(crate) ended: bool,
}

/// What came after headers that stopped everything.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) ended: bool,
    pub(crate) trailers: bool,
}

impl Flow {
    fn is_paused(&self) -> bool {
        self.stopped.is_some() || self.headers_held || self.buffered.is_some() || self.trailers_held
    }

    /// The plugin continued: its maps and chunk are no longer its own.
    pub(crate) fn shut(&mut self) {
        self.headers_open = false;
        self.trailers_open = false;
        self.chunk = None;
    }

    /// What body calls act on: everything gathered, or the chunk at hand.
    pub(crate) fn body(&mut self) -> Option<&mut Vec<u8>> {
        self.buffered.as_mut().or(self.chunk.as_mut())
    }
}

impl Filter {
    pub(crate) fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    pub(crate) fn flow_mut(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

impl StreamData {
    pub(crate) fn look_at_route(&mut self) {
        self.route.look(&RouteView {
            headers: &self.request,
            filter_state: &self.filter_state,
        });
    }
}

impl StreamShared {
    pub(crate) fn new(
        host: Arc<HostShared>,
        elements: Vec<Element>,
        head: Headers,
    ) -> Arc<StreamShared> {
        let table = locked(&host.settings).routes.clone();
        let mut data = StreamData {
            request: head,
            filters: elements.iter().map(|_| Filter::default()).collect(),
            ..StreamData::default()
        };
        // Envoy looks the route up before the first filter.
        data.route = Route::new(
            table,
            &RouteView {
                headers: &data.request,
                filter_state: &data.filter_state,
            },
        );
        Arc::new(StreamShared {
            host,
            elements,
            data: Mutex::new(data),
        })
    }

    /// Each element with the context that its filter has for this stream.
    pub(crate) fn filters(&self) -> Vec<(&Element, Option<Instance>)> {
        let data = locked(&self.data);
        let instances = data.filters.iter().map(|filter| filter.instance.clone());
        self.elements.iter().zip(instances).collect()
    }
}
