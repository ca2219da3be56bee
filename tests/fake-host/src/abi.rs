//! The host functions that the SDK and `proxy-host` import.
//!
//! Each works on the VM of the thread it is called on. Called on a thread that is no VM's, where Envoy has no
//! counterpart, it answers "internal failure".

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::callout::Callout;
use crate::headers::{Headers, MAX_PAIRS};
use crate::host::{Cluster, locked};
use crate::record::{HostCall, LogLine};
use crate::status::Status;
use crate::stream::{Direction, Reply, StreamData};
use crate::vm::{After, Context, VmState};
use crate::{foreign, properties, sdk};

thread_local! {
    static VM: RefCell<Option<Arc<VmState>>> = const { RefCell::new(None) };
}

/// Makes the thread that VM's.
pub(crate) fn become_vm(state: Arc<VmState>) {
    VM.with(|vm| *vm.borrow_mut() = Some(state));
}

/// The thread's VM; `None` also while the thread ends.
fn current() -> Option<Arc<VmState>> {
    VM.try_with(|vm| vm.borrow().clone()).ok().flatten()
}

/// Records the call and makes it.
fn call(function: &'static str, f: impl FnOnce(&Arc<VmState>) -> Result<(), Status>) -> u32 {
    call_returning(function, |vm| f(vm).map(|()| 0))
}

/// The same, for a call that puts that many bytes into the VM. What the host allocates is not the filter's.
fn call_returning(
    function: &'static str,
    f: impl FnOnce(&Arc<VmState>) -> Result<usize, Status>,
) -> u32 {
    let mut status = Status::Internal as u32;
    allocation_counter::opt_out(|| status = recorded(function, f));
    status
}

fn recorded(function: &'static str, f: impl FnOnce(&Arc<VmState>) -> Result<usize, Status>) -> u32 {
    let Some(vm) = current() else {
        return Status::Internal as u32;
    };
    let (callback, context_id) = {
        let data = locked(&vm.data);
        if data.trapped {
            return Status::Internal as u32;
        }
        (data.callback, data.current)
    };
    let answer = f(&vm);
    locked(&vm.records).calls.push(HostCall {
        callback,
        context_id,
        function,
        returned: answer.unwrap_or(0),
    });
    match answer {
        Ok(_) => Status::Ok as u32,
        Err(status) => status as u32,
    }
}

fn done(status: Status) -> Result<(), Status> {
    match status {
        Status::Ok => Ok(()),
        other => Err(other),
    }
}

/// The bytes at `data`.
///
/// # Safety
///
/// `data` is null, or points to `size` readable bytes that nobody writes during the call.
unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if data.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: by this function's own condition.
    unsafe { std::slice::from_raw_parts(data, size) }
}

/// The text at `data`; names and paths that are not UTF-8 find nothing.
///
/// # Safety
///
/// As for [`bytes`].
unsafe fn text(data: *const u8, size: usize) -> String {
    // SAFETY: by this function's own condition.
    String::from_utf8_lossy(unsafe { bytes(data, size) }).into_owned()
}

/// Puts `value` into the VM's memory and says where. Nothing at all is a null pointer.
///
/// # Safety
///
/// `data` and `size` are writable.
unsafe fn give(value: &[u8], data: *mut *mut u8, size: *mut usize) -> usize {
    let memory = if value.is_empty() {
        std::ptr::null_mut()
    } else {
        sdk::allocate(value)
    };
    // SAFETY: by this function's own condition.
    unsafe {
        data.write(memory);
        size.write(value.len());
    }
    value.len()
}

/// The header map with that number, if it is open for the acting context.
fn open_map(data: &mut StreamData, filter: usize, map: u32, write: bool) -> Option<&mut Headers> {
    let logging = data.logging && !write;
    let end_of_response = data.filters[filter].response.ended;
    let (request, response) = {
        let filter = &data.filters[filter];
        (&filter.request, &filter.response)
    };
    match map {
        0 => (request.headers_open || logging).then_some(&mut data.request),
        1 => (request.trailers_open || logging).then_some(&mut data.request_trailers),
        2 if response.headers_open || logging => data.response.as_mut(),
        // Trailers can be added to a body that ends without, in its last callback.
        3 => (response.trailers_open || logging || (end_of_response && response.chunk.is_some()))
            .then_some(&mut data.response_trailers),
        _ => None,
    }
}

/// Runs `f` on the map; "bad argument" if it is not open.
fn with_map<R>(
    vm: &VmState,
    map: u32,
    write: bool,
    f: impl FnOnce(&mut Headers) -> R,
) -> Result<R, Status> {
    let mut data = locked(&vm.data);
    if let (6 | 7, Some(answer)) = (map, &mut data.answer) {
        return Ok(f(if map == 6 {
            &mut answer.headers
        } else {
            &mut answer.trailers
        }));
    }
    let (stream, filter) = data.stream().ok_or(Status::BadArgument)?;
    let mut stream = locked(&stream.data);
    let answer = f(open_map(&mut stream, filter, map, write).ok_or(Status::BadArgument)?);
    if write && map == 0 {
        // Any edit of the request's headers makes Envoy choose the route anew.
        stream.route.clear();
    }
    Ok(answer)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(level: u32, message: *const u8, size: usize) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let text = unsafe { text(message, size) };
    call("proxy_log", |vm| {
        if level >= locked(&vm.host.settings).log_level {
            locked(&vm.records).logs.push(LogLine { level, text });
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_log_level(level: *mut u32) -> u32 {
    call("proxy_get_log_level", |vm| {
        let now = locked(&vm.host.settings).log_level;
        // SAFETY: the caller passes a place of its own.
        unsafe { level.write(now) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    call("proxy_get_current_time_nanoseconds", |vm| {
        // SAFETY: the caller passes a place of its own.
        unsafe { time.write(nanoseconds(vm.host.clock.realtime())) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    call("proxy_set_tick_period_milliseconds", |vm| {
        let mut data = locked(&vm.data);
        let root = data.root().ok_or(Status::BadArgument)?;
        let period = Duration::from_millis(period.into());
        root.tick = (!period.is_zero()).then_some(period);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    max_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    call_returning("proxy_get_buffer_bytes", |vm| {
        let value = {
            let state = locked(&vm.data);
            match buffer {
                0 | 1 => {
                    let (stream, filter) = state.stream().ok_or(Status::NotFound)?;
                    let direction = body_direction(buffer);
                    let mut stream = locked(&stream.data);
                    let flow = stream.filters[filter].flow_mut(direction);
                    // Without a body at hand the buffer is there, and empty.
                    flow.body().map(|body| body.clone()).unwrap_or_default()
                }
                4 => state.answer.as_ref().ok_or(Status::NotFound)?.body.clone(),
                7 => match state.contexts.get(&state.root_id()) {
                    Some(Context::Root(root)) => root.config.clone(),
                    _ => return Err(Status::NotFound),
                },
                6 => Vec::new(),
                _ => return Err(Status::NotFound),
            }
        };
        let end = start.saturating_add(max_size).min(value.len());
        // Envoy's own arithmetic wraps around here, and the allocation that follows fails.
        let range = value.get(start..end).ok_or(Status::InvalidMemoryAccess)?;
        // SAFETY: the caller passes places of its own.
        Ok(unsafe { give(range, data, size) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_buffer_bytes(
    buffer: u32,
    start: usize,
    replaced: usize,
    data: *const u8,
    size: usize,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let value = unsafe { bytes(data, size) };
    call("proxy_set_buffer_bytes", |vm| {
        let state = locked(&vm.data);
        if buffer > 1 {
            return Err(Status::BadArgument);
        }
        let (stream, filter) = state.stream().ok_or(Status::BadArgument)?;
        let mut stream = locked(&stream.data);
        let flow = stream.filters[filter].flow_mut(body_direction(buffer));
        let body = flow.body().ok_or(Status::BadArgument)?;
        if start == 0 && replaced == 0 {
            body.splice(..0, value.iter().copied());
        } else if start == 0 && replaced >= body.len() {
            *body = value.to_owned();
        } else if start != 0 && start >= body.len() {
            body.extend_from_slice(value);
        } else {
            return Err(Status::BadArgument);
        }
        Ok(())
    })
}

fn body_direction(buffer: u32) -> Direction {
    match buffer {
        0 => Direction::Request,
        _ => Direction::Response,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_pairs(
    map: u32,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    call_returning("proxy_get_header_map_pairs", |vm| {
        // A closed map is an empty one, and so is a map with nothing in it.
        let wire = match with_map(vm, map, false, |headers| headers.clone()) {
            Ok(headers) if !headers.is_empty() => headers.to_wire(),
            _ => Vec::new(),
        };
        // SAFETY: the caller passes places of its own.
        Ok(unsafe { give(&wire, data, size) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let headers = Headers::from_wire(unsafe { bytes(data, size) });
    call("proxy_set_header_map_pairs", |vm| {
        with_map(vm, map, true, |open| *open = headers)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let name = unsafe { bytes(name, name_size) };
    call_returning("proxy_get_header_map_value", |vm| {
        // Of several, the first.
        let value = with_map(vm, map, false, |open| open.first(name).map(<[u8]>::to_vec))?;
        // SAFETY: the caller passes places of its own.
        Ok(unsafe { give(&value.ok_or(Status::NotFound)?, data, size) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_replace_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let (name, value) = unsafe { (bytes(name, name_size), bytes(value, value_size)) };
    call("proxy_replace_header_map_value", |vm| {
        with_map(vm, map, true, |open| open.replace(name, value))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_add_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let (name, value) = unsafe { (bytes(name, name_size), bytes(value, value_size)) };
    call("proxy_add_header_map_value", |vm| {
        with_map(vm, map, true, |open| open.add(name, value))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_remove_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let name = unsafe { bytes(name, name_size) };
    call("proxy_remove_header_map_value", |vm| {
        with_map(vm, map, true, |open| open.remove(name))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let path = unsafe { text(path, path_size) };
    call_returning("proxy_get_property", |vm| {
        let value = properties::get(vm, &locked(&vm.data), &path).ok_or(Status::NotFound)?;
        // SAFETY: the caller passes places of its own.
        Ok(unsafe { give(&value, data, size) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_property(
    path: *const u8,
    path_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let (path, value) = unsafe { (text(path, path_size), bytes(value, value_size)) };
    call("proxy_set_property", |vm| {
        done(properties::set(&mut locked(&vm.data), &path, value))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let key = unsafe { bytes(key, key_size) };
    call_returning("proxy_get_shared_data", |vm| {
        let stored = locked(&vm.host.shared_data).get(&vm.vm_id, key);
        let (value, number) = stored.ok_or(Status::NotFound)?;
        // SAFETY: the caller passes places of its own.
        unsafe {
            cas.write(number);
            Ok(give(&value, data, size))
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    cas: u32,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let (key, value) = unsafe { (bytes(key, key_size), bytes(value, value_size)) };
    call("proxy_set_shared_data", |vm| {
        if !locked(&vm.data).may_write() {
            return Err(Status::Internal);
        }
        done(locked(&vm.host.shared_data).set(&vm.vm_id, key, value, cas))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_register_shared_queue(
    name: *const u8,
    name_size: usize,
    id: *mut u32,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let name = unsafe { bytes(name, name_size) };
    call("proxy_register_shared_queue", |vm| {
        let root = locked(&vm.data).root_id();
        let token = locked(&vm.host.queues).register(vm, root, name);
        // SAFETY: the caller passes a place of its own.
        unsafe { id.write(token) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_resolve_shared_queue(
    vm_id: *const u8,
    vm_id_size: usize,
    name: *const u8,
    name_size: usize,
    id: *mut u32,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let (vm_id, name) = unsafe { (text(vm_id, vm_id_size), bytes(name, name_size)) };
    call("proxy_resolve_shared_queue", |vm| {
        let token = locked(&vm.host.queues).resolve(&vm_id, name);
        // SAFETY: the caller passes a place of its own.
        unsafe { id.write(token.ok_or(Status::NotFound)?) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_enqueue_shared_queue(
    id: u32,
    value: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let value = unsafe { bytes(value, value_size) };
    call("proxy_enqueue_shared_queue", |vm| {
        done(locked(&vm.host.queues).enqueue(id, value))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_dequeue_shared_queue(
    id: u32,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    call_returning("proxy_dequeue_shared_queue", |vm| {
        let item = locked(&vm.host.queues).dequeue(id)?;
        // SAFETY: the caller passes places of its own.
        Ok(unsafe { give(&item, data, size) })
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(stream_type: u32) -> u32 {
    call("proxy_continue_stream", |vm| {
        let direction = match stream_type {
            0 => Direction::Request,
            1 => Direction::Response,
            _ => return Err(Status::BadArgument),
        };
        let mut data = locked(&vm.data);
        if let Some((stream, filter)) = data.stream() {
            // The maps close here; the message goes on when the callback has returned.
            locked(&stream.data).filters[filter]
                .flow_mut(direction)
                .shut();
            data.after.push(After::Continue(stream, filter, direction));
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_close_stream(_stream_type: u32) -> u32 {
    call("proxy_close_stream", |vm| {
        let mut data = locked(&vm.data);
        if let Some((stream, _)) = data.stream() {
            data.after.push(After::Reset(stream));
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_send_local_response(
    status: u32,
    details: *const u8,
    details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    grpc_status: i32,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let reply = unsafe {
        Reply {
            status: u16::try_from(status).unwrap_or(0),
            details: text(details, details_size).replace(char::is_whitespace, "_"),
            headers: Headers::from_wire(bytes(headers, headers_size)),
            body: bytes(body, body_size).to_owned(),
            grpc_status: u8::try_from(grpc_status).ok(),
        }
    };
    call("proxy_send_local_response", |vm| {
        let mut data = locked(&vm.data);
        let (stream, filter) = data.stream().ok_or(Status::BadArgument)?;
        // Of several, the first is sent; the others are no error.
        if !std::mem::replace(&mut locked(&stream.data).filters[filter].replied, true) {
            data.after.push(After::Reply(stream, reply));
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    body: *const u8,
    body_size: usize,
    trailers: *const u8,
    trailers_size: usize,
    timeout: u32,
    token: *mut u32,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let (cluster, headers, body, _trailers) = unsafe {
        (
            text(cluster, cluster_size),
            Headers::from_wire(bytes(headers, headers_size)),
            bytes(body, body_size).to_owned(),
            bytes(trailers, trailers_size),
        )
    };
    call("proxy_http_call", |vm| {
        let known = locked(&vm.host.settings).clusters.get(&cluster).copied();
        let complete = [":method", ":path", ":authority"]
            .iter()
            .all(|name| headers.get(name).is_some());
        // The host takes the number for a signed one.
        if known.is_none() || !complete || headers.len() > MAX_PAIRS || timeout > i32::MAX as u32 {
            return Err(Status::BadArgument);
        }
        if known == Some(Cluster::WithoutEndpoints) {
            return Err(Status::Internal);
        }
        let mut data = locked(&vm.data);
        let id = data.next_token;
        data.next_token += 1;
        let root = data.root_id();
        data.callouts.insert(
            id,
            Callout {
                token: id,
                cluster,
                headers,
                body,
                timeout: Duration::from_millis(timeout.into()),
                root,
            },
        );
        // SAFETY: the caller passes a place of its own.
        unsafe { token.write(id) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context_id: u32) -> u32 {
    call("proxy_set_effective_context", |vm| {
        let mut data = locked(&vm.data);
        if !data.contexts.contains_key(&context_id) {
            // What was effective stays so: calls made all the same act on it.
            return Err(Status::BadArgument);
        }
        data.effective = context_id;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    arguments: *const u8,
    arguments_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: the caller passes slices of its own.
    let (name, arguments) = unsafe { (text(name, name_size), bytes(arguments, arguments_size)) };
    call_returning("proxy_call_foreign_function", |vm| {
        let result = foreign::call(vm, &name, arguments)?;
        // SAFETY: the caller passes places of its own.
        Ok(unsafe { give(&result, data, size) })
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_done() -> u32 {
    call("proxy_done", |_| Ok(()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_define_metric(
    kind: u32,
    name: *const u8,
    name_size: usize,
    id: *mut u32,
) -> u32 {
    // SAFETY: the caller passes a slice of its own.
    let name = unsafe { text(name, name_size) };
    call("proxy_define_metric", |vm| {
        let number = locked(&vm.host.metrics).define(kind, &name)?;
        // SAFETY: the caller passes a place of its own.
        unsafe { id.write(number) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_metric(id: u32, value: *mut u64) -> u32 {
    call("proxy_get_metric", |vm| {
        let number = locked(&vm.host.metrics).get(id)?;
        // SAFETY: the caller passes a place of its own.
        unsafe { value.write(number) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> u32 {
    call("proxy_record_metric", |vm| {
        done(locked(&vm.host.metrics).record(id, value))
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, by: i64) -> u32 {
    call("proxy_increment_metric", |vm| {
        done(locked(&vm.host.metrics).increment(id, by))
    })
}

// The SDK imports the gRPC calls; no filter of ours makes one (its statuses are not all the host's).

#[unsafe(no_mangle)]
extern "C" fn proxy_grpc_call() -> u32 {
    call("proxy_grpc_call", |_| Err(Status::Internal))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_grpc_stream() -> u32 {
    call("proxy_grpc_stream", |_| Err(Status::Internal))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_grpc_send() -> u32 {
    call("proxy_grpc_send", |_| Err(Status::NotFound))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_grpc_cancel() -> u32 {
    call("proxy_grpc_cancel", |_| Err(Status::NotFound))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_grpc_close() -> u32 {
    call("proxy_grpc_close", |_| Err(Status::NotFound))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_status() -> u32 {
    call("proxy_get_status", |_| Err(Status::Unimplemented))
}

// The clocks and random numbers that `proxy-host` gets from WASI on wasm32.

#[unsafe(no_mangle)]
extern "C" fn gatehouse_fake_realtime_ns() -> u64 {
    current().map_or(0, |vm| nanoseconds(vm.host.clock.realtime()))
}

#[unsafe(no_mangle)]
extern "C" fn gatehouse_fake_monotonic_ns() -> u64 {
    current().map_or(0, |vm| nanoseconds(vm.host.clock.monotonic()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gatehouse_fake_random(data: *mut u8, size: usize) -> u32 {
    let Some(vm) = current() else {
        return 1;
    };
    if size > 0 {
        // SAFETY: the caller passes an exclusive slice of its own.
        vm.host
            .random(unsafe { std::slice::from_raw_parts_mut(data, size) });
    }
    0
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
