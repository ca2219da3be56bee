//! Properties: what filters can ask about a request, and filter state.

use crate::headers::Headers;
use crate::host::locked;
use crate::status::Status;
use crate::stream::StreamData;
use crate::vm::{VmData, VmState};

/// How a name of filter state behaves, for streams of the plugin that declared it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) read_only: bool,
}

/// The value at `path`, its parts joined by NUL.
pub(crate) fn get(vm: &VmState, data: &VmData, path: &str) -> Option<Vec<u8>> {
    match path {
        "plugin_name" => return Some(vm.plugin_name.clone().into_bytes()),
        "plugin_vm_id" => return Some(vm.vm_id.clone().into_bytes()),
        "plugin_root_id" => return Some(Vec::new()),
        _ => {}
    }
    let (stream, filter) = data.stream()?;
    let stream = locked(&stream.data);
    if let Some(value) = stream.attributes.get(path) {
        return Some(value.clone());
    }
    if let Some(key) = path.strip_prefix("filter_state\0") {
        return stream.filter_state.get(key).cloned();
    }
    if let Some(name) = path.strip_prefix("request\0") {
        // Gone once the request has left the filter; back in `on_log`.
        let open = stream.filters.get(filter)?.request.headers_open || stream.logging;
        return open.then(|| request(&stream, name)).flatten();
    }
    match path {
        // The route as it was last looked at: an edit made since does not show.
        "xds\0route_name" => stream.route.seen().map(|name| name.as_bytes().to_vec()),
        name => stream.filter_state.get(&format!("wasm.{name}")).cloned(),
    }
}

/// Writes filter state; what was declared read-only by its first writer's plugin is written once.
pub(crate) fn set(data: &mut VmData, name: &str, value: &[u8]) -> Status {
    let Some((stream, _)) = data.stream() else {
        return Status::NotFound;
    };
    let declared = data
        .root()
        .and_then(|root| root.declared.get(name).copied());
    let mut stream = locked(&stream.data);
    let key = format!("wasm.{name}");
    if stream.read_only.contains(&key) {
        return Status::BadArgument;
    }
    let fresh = !stream.filter_state.contains_key(&key);
    if fresh && declared.is_some_and(|declaration| declaration.read_only) {
        stream.read_only.insert(key.clone());
    }
    stream.filter_state.insert(key, value.to_owned());
    Status::Ok
}

fn request(stream: &StreamData, name: &str) -> Option<Vec<u8>> {
    let header = |name: &str| stream.request.get(name).map(<[u8]>::to_vec);
    let path = || header(":path");
    let cut = |path: Vec<u8>| path.split(|byte| *byte == b'?').next().map(<[u8]>::to_vec);
    match name {
        "path" => path(),
        "url_path" => path().and_then(cut),
        "method" => header(":method"),
        "host" => header(":authority"),
        "scheme" => header(":scheme"),
        "id" => header("x-request-id"),
        "useragent" => header("user-agent"),
        "headers" => Some(Headers::to_wire(&stream.request)),
        name => header(name.strip_prefix("headers\0")?),
    }
}
