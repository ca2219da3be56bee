//! The raw imports, and one safe function for each: slices in, owned bytes out, the host's status as a `Result`.
//!
//! Every import takes and returns plain integers and pointers, as the proxy-wasm ABI 0.2.1 defines them; the
//! SDK's own declarations return an enum, in which a status that it does not list would be undefined
//! behaviour. (On wasm32 the two declarations are two symbols with one import name; neither sees the other's type.)

use std::ptr::null_mut;

use crate::error::{HostError, check};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context_id: u32) -> u32;
    fn proxy_continue_stream(stream_type: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        replaced: usize,
        data: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_size: usize,
        name: *const u8,
        name_size: usize,
        id: *mut u32,
    ) -> u32;
    fn proxy_enqueue_shared_queue(id: u32, value: *const u8, value_size: usize) -> u32;
    fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
}

/// A buffer that the host filled: it asked the SDK's exported `proxy_on_memory_allocate` for the memory.
struct Returned {
    data: *mut u8,
    size: usize,
}

impl Returned {
    const fn nothing() -> Returned {
        Returned {
            data: null_mut(),
            size: 0,
        }
    }

    /// Takes the bytes over. Called at most once for each host call, and only after it answered "ok".
    fn into_bytes(self) -> Vec<u8> {
        if self.data.is_null() || self.size == 0 {
            return Vec::new();
        }
        // SAFETY: the host wrote `size` bytes into a block of exactly `size` bytes that it got from
        // `proxy_on_memory_allocate`, which leaks a boxed slice of this allocator; it is handed over once.
        unsafe { Vec::from_raw_parts(self.data, self.size, self.size) }
    }
}

pub(crate) fn log(level: u32, message: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointer and length are of one live slice, which the host only reads.
    check(unsafe { proxy_log(level, message.as_ptr(), message.len()) })
}

pub(crate) fn log_level() -> Result<u32, HostError> {
    let mut level = 0;
    // SAFETY: `level` is a live u32 that the host writes during the call.
    check(unsafe { proxy_get_log_level(&raw mut level) })?;
    Ok(level)
}

pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

pub(crate) fn set_effective_context(context_id: u32) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_effective_context(context_id) })
}

pub(crate) fn continue_stream(stream_type: u32) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_continue_stream(stream_type) })
}

pub(crate) fn buffer(buffer: u32, start: usize, max: usize) -> Result<Vec<u8>, HostError> {
    let mut returned = Returned::nothing();
    // SAFETY: both out-pointers are live for the call; the bytes are taken over below, on "ok" only.
    check(unsafe {
        proxy_get_buffer_bytes(
            buffer,
            start,
            max,
            &raw mut returned.data,
            &raw mut returned.size,
        )
    })?;
    Ok(returned.into_bytes())
}

pub(crate) fn set_buffer(
    buffer: u32,
    start: usize,
    replaced: usize,
    bytes: &[u8],
) -> Result<(), HostError> {
    // SAFETY: pointer and length are of one live slice, which the host only reads.
    check(unsafe { proxy_set_buffer_bytes(buffer, start, replaced, bytes.as_ptr(), bytes.len()) })
}

pub(crate) fn header_map(map: u32) -> Result<Vec<u8>, HostError> {
    let mut returned = Returned::nothing();
    // SAFETY: both out-pointers are live for the call; the bytes are taken over below, on "ok" only.
    check(unsafe {
        proxy_get_header_map_pairs(map, &raw mut returned.data, &raw mut returned.size)
    })?;
    Ok(returned.into_bytes())
}

pub(crate) fn header(map: u32, name: &[u8]) -> Result<Vec<u8>, HostError> {
    let mut returned = Returned::nothing();
    // SAFETY: the name is a live slice that the host only reads; both out-pointers are live for the call.
    check(unsafe {
        proxy_get_header_map_value(
            map,
            name.as_ptr(),
            name.len(),
            &raw mut returned.data,
            &raw mut returned.size,
        )
    })?;
    Ok(returned.into_bytes())
}

pub(crate) fn replace_header(map: u32, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: each pointer and length are of one live slice, which the host only reads.
    check(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(crate) fn add_header(map: u32, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: each pointer and length are of one live slice, which the host only reads.
    check(unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(crate) fn remove_header(map: u32, name: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointer and length are of one live slice, which the host only reads.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

pub(crate) fn send_local_response(
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: i32,
) -> Result<(), HostError> {
    // SAFETY: each pointer and length are of one live slice, which the host only reads.
    check(unsafe {
        proxy_send_local_response(
            status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

pub(crate) fn property(path: &[u8]) -> Result<Vec<u8>, HostError> {
    let mut returned = Returned::nothing();
    // SAFETY: the path is a live slice that the host only reads; both out-pointers are live for the call.
    check(unsafe {
        proxy_get_property(
            path.as_ptr(),
            path.len(),
            &raw mut returned.data,
            &raw mut returned.size,
        )
    })?;
    Ok(returned.into_bytes())
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: each pointer and length are of one live slice, which the host only reads.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

pub(crate) fn shared_data(key: &[u8]) -> Result<(Vec<u8>, u32), HostError> {
    let mut returned = Returned::nothing();
    let mut cas = 0;
    // SAFETY: the key is a live slice that the host only reads; the out-pointers are live for the call.
    check(unsafe {
        proxy_get_shared_data(
            key.as_ptr(),
            key.len(),
            &raw mut returned.data,
            &raw mut returned.size,
            &raw mut cas,
        )
    })?;
    Ok((returned.into_bytes(), cas))
}

pub(crate) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> Result<(), HostError> {
    // SAFETY: each pointer and length are of one live slice, which the host only reads.
    check(unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
    })
}

pub(crate) fn register_queue(name: &[u8]) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the name is a live slice that the host only reads; `id` is live for the call.
    check(unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(crate) fn resolve_queue(vm_id: &[u8], name: &[u8]) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: both names are live slices that the host only reads; `id` is live for the call.
    check(unsafe {
        proxy_resolve_shared_queue(
            vm_id.as_ptr(),
            vm_id.len(),
            name.as_ptr(),
            name.len(),
            &raw mut id,
        )
    })?;
    Ok(id)
}

pub(crate) fn enqueue(id: u32, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointer and length are of one live slice, which the host only reads.
    check(unsafe { proxy_enqueue_shared_queue(id, value.as_ptr(), value.len()) })
}

pub(crate) fn dequeue(id: u32) -> Result<Vec<u8>, HostError> {
    let mut returned = Returned::nothing();
    // SAFETY: both out-pointers are live for the call; the bytes are taken over below, on "ok" only.
    check(unsafe {
        proxy_dequeue_shared_queue(id, &raw mut returned.data, &raw mut returned.size)
    })?;
    Ok(returned.into_bytes())
}

pub(crate) fn define_metric(kind: u32, name: &[u8]) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the name is a live slice that the host only reads; `id` is live for the call.
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(crate) fn increment_metric(id: u32, offset: i64) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_increment_metric(id, offset) })
}

pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_record_metric(id, value) })
}

pub(crate) fn call_foreign_function(name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, HostError> {
    let mut returned = Returned::nothing();
    // SAFETY: name and arguments are live slices that the host only reads; the out-pointers are live too.
    check(unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            &raw mut returned.data,
            &raw mut returned.size,
        )
    })?;
    Ok(returned.into_bytes())
}

/// Clocks and random numbers by WASI. The standard library gives no random bytes, and hides the number behind
/// its monotonic clock, which workers must be able to share.
#[cfg(target_arch = "wasm32")]
mod platform {
    use crate::error::HostError;

    const REALTIME: u32 = 0;
    const MONOTONIC: u32 = 1;

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
        fn random_get(data: *mut u8, size: usize) -> u32;
    }

    pub(crate) fn realtime_ns() -> u64 {
        now(REALTIME)
    }

    pub(crate) fn monotonic_ns() -> u64 {
        now(MONOTONIC)
    }

    fn now(clock: u32) -> u64 {
        let mut time = 0;
        // SAFETY: `time` is a live u64 that the host writes during the call.
        let status = unsafe { clock_time_get(clock, 1, &raw mut time) };
        super::time_or_end(status, time)
    }

    pub(crate) fn random(bytes: &mut [u8]) -> Result<(), HostError> {
        // SAFETY: pointer and length are of one live exclusive slice, which the host fills.
        match unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) } {
            0 => Ok(()),
            _ => Err(HostError::Internal),
        }
    }
}

/// What a clock says. A host that does not let this plugin read its clock (`capability_restriction_config`) answers with an
/// error and leaves the time at zero, when no token had expired yet: then it is the end of time, when all have.
#[cfg(any(target_arch = "wasm32", test))]
fn time_or_end(status: u32, time: u64) -> u64 {
    if status == 0 { time } else { u64::MAX }
}

/// Clocks and random numbers of the fake host: natively, time is a test's to set.
#[cfg(not(target_arch = "wasm32"))]
mod platform {
    use crate::error::HostError;

    unsafe extern "C" {
        fn gatehouse_fake_realtime_ns() -> u64;
        fn gatehouse_fake_monotonic_ns() -> u64;
        fn gatehouse_fake_random(data: *mut u8, size: usize) -> u32;
    }

    pub(crate) fn realtime_ns() -> u64 {
        // SAFETY: no pointers.
        unsafe { gatehouse_fake_realtime_ns() }
    }

    pub(crate) fn monotonic_ns() -> u64 {
        // SAFETY: no pointers.
        unsafe { gatehouse_fake_monotonic_ns() }
    }

    pub(crate) fn random(bytes: &mut [u8]) -> Result<(), HostError> {
        // SAFETY: pointer and length are of one live exclusive slice, which the fake host fills.
        match unsafe { gatehouse_fake_random(bytes.as_mut_ptr(), bytes.len()) } {
            0 => Ok(()),
            _ => Err(HostError::Internal),
        }
    }
}

pub(crate) use platform::{monotonic_ns, random, realtime_ns};

#[cfg(test)]
mod tests {
    use super::*;

    // At the epoch an expired token that has neither `iat` nor `nbf` would be good.
    #[test]
    fn a_clock_that_cannot_be_read_shows_the_end_of_time() {
        assert_eq!(time_or_end(0, 7), 7);
        assert_eq!(time_or_end(76, 0), u64::MAX);
    }
}
