//! What the filter can be told to do.

use std::cell::Cell;
use std::time::Duration;

use http_message::{GrpcStatus, HeaderMap, LocalReply};
use proxy_host::body::{self, Buffer};
use proxy_host::foreign::{self, Span};
use proxy_host::headers::{self, Map};
use proxy_host::metric::Counter;
use proxy_host::shared_data::{self, Write};
use proxy_host::{
    HostError, callout, capabilities, clock, property, queue, random, send_local_reply, with_stream,
};

use crate::report::{self, Reports};

/// The most of a body that is reported.
const MAX_BODY: usize = 1024;

/// A date that is past: 2023-11-14.
const WRITTEN: Duration = Duration::from_secs(1_699_999_999);

thread_local! {
    /// The stream that `remember` was said in; the tests see to it that it is gone when `gone` is said.
    static REMEMBERED: Cell<u32> = const { Cell::new(0) };

    /// The number of the entry that `shared-hold` read.
    static HELD: Cell<Option<u32>> = const { Cell::new(None) };

    /// How many items this VM took from queues.
    static WOKEN: Cell<u32> = const { Cell::new(0) };

    /// What tells this VM from others, once it was asked for.
    static VM: Cell<Option<[u8; 8]>> = const { Cell::new(None) };
}

/// Counts an item that this VM took from a queue.
pub(crate) fn count_item() {
    WOKEN.set(WOKEN.get().saturating_add(1));
}

/// What an operation is carried out in.
pub(crate) struct Place<'a> {
    pub(crate) context_id: u32,
    pub(crate) reports: &'a Reports,
    /// The body callback's size; zero elsewhere.
    pub(crate) size: usize,
    /// Whether the callback was told "end of stream".
    pub(crate) end: bool,
}

/// Carries the operations out in order; true if the callback is to return Pause.
pub(crate) fn run(operations: &[Vec<String>], place: &Place<'_>) -> bool {
    let mut pause = false;
    for operation in operations {
        let words: Vec<&str> = operation.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["pause"] => pause = true,
            words => carry_out(words, place).unwrap_or_else(|error| {
                place.reports.put("error", &error);
            }),
        }
    }
    pause
}

fn carry_out(words: &[&str], place: &Place<'_>) -> Result<(), String> {
    let put = |key: &str, value: &str| place.reports.put(key, value);
    let outcome = |key: &str, result: Result<(), HostError>| put(key, &said(result));
    match *words {
        ["route", key] => put(key, &read(&["xds", "route_name"])),
        ["property", key, path] => put(key, &read(&path.split('/').collect::<Vec<_>>())),
        ["set-property", key, name, value] => outcome(key, property::set(name, value.as_bytes())),
        ["set-state", key, name, value] => {
            let value = value.as_bytes();
            outcome(
                key,
                foreign::set_envoy_filter_state(name, value, Span::FilterChain),
            );
        }
        ["clear-route", key] => outcome(key, foreign::clear_route_cache()),
        ["set-header", key, map, name, value] => {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            outcome(key, headers::replace(which_map(map)?, name, value));
        }
        ["pairs", key, map] => put(
            key,
            &match headers::read(which_map(map)?) {
                Ok(map) if map.is_empty() => "empty".to_owned(),
                Ok(_) => "some".to_owned(),
                Err(error) => error.to_string(),
            },
        ),
        ["body", key, buffer] => put(
            key,
            &match body::read(which_buffer(buffer)?, 0, MAX_BODY) {
                Ok(body) => printable(&body),
                Err(error) => error.to_string(),
            },
        ),
        ["append-body", key, buffer, text] => {
            outcome(key, body::append(which_buffer(buffer)?, text.as_bytes()));
        }
        ["prepend-body", key, buffer, text] => {
            outcome(key, body::prepend(which_buffer(buffer)?, text.as_bytes()));
        }
        ["replace-body", key, buffer, text] => {
            outcome(key, body::replace(which_buffer(buffer)?, text.as_bytes()));
        }
        ["last-size", key] => put(key, &place.size.to_string()),
        ["sum-size", key] => {
            let before = place.reports.get(key).and_then(|sum| sum.parse().ok());
            let sum = before.unwrap_or(0usize).saturating_add(place.size);
            put(key, &sum.to_string());
        }
        ["end", key] => {
            let seen = place.end || place.reports.get(key).as_deref() == Some("yes");
            put(key, if seen { "yes" } else { "no" });
        }
        ["copy", key, from] => {
            let found = place.reports.get(from);
            put(key, found.as_deref().unwrap_or("none"));
        }
        ["note", key] => put(key, "yes"),
        ["continue-request", key] => outcome(key, proxy_host::continue_request()),
        ["reply", key, status] => outcome(key, reply(status, "", None)?),
        ["reply", key, status, text] => outcome(key, reply(status, text, None)?),
        ["reply-exhausted", key, status, text] => {
            outcome(
                key,
                reply(status, text, Some(GrpcStatus::ResourceExhausted))?,
            );
        }
        ["recall", id] => {
            let noted = report::recall(id);
            let text = String::from_utf8_lossy(&noted);
            outcome("recall", reply("200", &text, None)?);
        }
        ["callout", key, cluster] => outcome(key, call(cluster)),
        ["callout-status", key] => put(key, &callout_status()),
        ["shared-get", key, name] => put(key, &stored(&shared_key(place, name))?),
        ["shared-set", key, name, condition, value] => {
            let name = shared_key(place, name);
            let result = shared_data::set(&name, value.as_bytes(), which_write(condition)?);
            put(key, &written(result));
        }
        ["shared-swap", key, name, value] => {
            let name = shared_key(place, name);
            let entry = shared_data::get(&name).map_err(|error| error.to_string())?;
            let write = Write::IfUnchanged(entry.ok_or("no such key")?.cas);
            let first = shared_data::set(&name, value.as_bytes(), write);
            let second = shared_data::set(&name, b"late", write);
            put(key, &format!("{first:?} {second:?}"));
        }
        ["shared-hold", key, name] => {
            let name = shared_key(place, name);
            let entry = shared_data::get(&name).map_err(|error| error.to_string())?;
            HELD.set(Some(entry.ok_or("no such key")?.cas));
            put(key, "held");
        }
        ["shared-late", key, name, value] => {
            let write = Write::IfUnchanged(HELD.get().ok_or("nothing held")?);
            let result = shared_data::set(&shared_key(place, name), value.as_bytes(), write);
            put(key, &written(result));
        }
        ["register", key, name] => outcome(key, queue::register(name).map(drop)),
        ["send", key, vm_id, name] => {
            let queue = queue::resolve(vm_id, name).map_err(|error| error.to_string())?;
            outcome(key, queue::enqueue(queue.ok_or("no such queue")?, b"item"));
        }
        ["woken", key] => put(key, &WOKEN.get().to_string()),
        ["vm", key] => put(key, &this_vm()?),
        ["enqueue", key, name] => {
            let queued = queue::register(name).and_then(|id| queue::enqueue(id, b"item"));
            outcome(key, queued);
        }
        ["count", key, name] => {
            let counted = Counter::define(name).and_then(|counter| counter.increment(1));
            outcome(key, counted);
        }
        ["clock", key] => put(key, clocks()),
        ["random", key] => put(key, &random_numbers()?),
        ["remember"] => REMEMBERED.set(place.context_id),
        ["gone", key] => put(
            key,
            match with_stream(REMEMBERED.get(), || ()) {
                Some(()) => "there",
                None => "gone",
            },
        ),
        ["verify", key] => {
            let found = capabilities::probe().verify_signature;
            put(key, if found { "yes" } else { "no" });
        }
        ["trap"] => trap(),
        _ => return Err(format!("not understood: {}", words.join(" "))),
    }
    Ok(())
}

/// Whether both clocks run: the date is after this was written, and no time goes backwards.
fn clocks() -> &'static str {
    let (before, date) = (clock::monotonic(), clock::realtime());
    if date > WRITTEN && clock::monotonic() >= before && !before.is_zero() {
        "run"
    } else {
        "stand"
    }
}

fn random_numbers() -> Result<String, String> {
    let mut numbers = [[0u8; 16]; 2];
    for number in &mut numbers {
        random::fill(number).map_err(|error| error.to_string())?;
    }
    let [one, two] = numbers;
    Ok(if one == two { "same" } else { "differ" }.to_owned())
}

/// A Wasm trap, as an index out of bounds makes one. Natively the test's driver loses the VM instead.
fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

fn read(path: &[&str]) -> String {
    match property::get(path) {
        Ok(Some(value)) => printable(&value),
        Ok(None) => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn said(result: Result<(), HostError>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn written(result: Result<bool, HostError>) -> String {
    match result {
        Ok(true) => "written".to_owned(),
        Ok(false) => "mismatch".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A random number that this VM keeps.
fn this_vm() -> Result<String, String> {
    let number = match VM.get() {
        Some(number) => number,
        None => {
            let mut number = [0; 8];
            random::fill(&mut number).map_err(|error| error.to_string())?;
            VM.set(Some(number));
            number
        }
    };
    Ok(u64::from_le_bytes(number).to_string())
}

fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn which_map(name: &str) -> Result<Map, String> {
    match name {
        "request" => Ok(Map::Request),
        "request-trailers" => Ok(Map::RequestTrailers),
        "response" => Ok(Map::Response),
        "response-trailers" => Ok(Map::ResponseTrailers),
        _ => Err(format!("no such map: {name}")),
    }
}

fn which_buffer(name: &str) -> Result<Buffer, String> {
    match name {
        "request" => Ok(Buffer::Request),
        "response" => Ok(Buffer::Response),
        _ => Err(format!("no such body: {name}")),
    }
}

fn which_write(condition: &str) -> Result<Write, String> {
    match condition {
        "always" => Ok(Write::Unconditional),
        "if-absent" => Ok(Write::IfAbsent),
        // A number that no entry has: the host counts up from one.
        "if-stale" => Ok(Write::IfUnchanged(u32::MAX - 1)),
        _ => Err(format!("no such condition: {condition}")),
    }
}

fn reply(
    status: &str,
    text: &str,
    grpc: Option<GrpcStatus>,
) -> Result<Result<(), HostError>, String> {
    let reply = LocalReply {
        status: status.parse().map_err(|_| format!("no status: {status}"))?,
        details: "gatehouse_probe",
        headers: HeaderMap::from_pairs([("cache-control", "no-store")]),
        body: text.as_bytes().to_vec(),
        grpc_status: grpc,
    };
    Ok(send_local_reply(&reply))
}

fn call(cluster: &str) -> Result<(), HostError> {
    let headers = [
        (":method", "GET"),
        (":path", "/callout"),
        (":authority", "callee"),
    ];
    callout::dispatch(cluster, &headers, None, Duration::from_secs(5)).map(drop)
}

fn callout_status() -> String {
    let map = match headers::read(Map::CalloutHeaders) {
        Ok(map) => map,
        Err(error) => return error.to_string(),
    };
    let status = map.get_all(":status").next().map(printable);
    status.unwrap_or_else(|| "none".to_owned())
}

fn shared_key(place: &Place<'_>, name: &str) -> Vec<u8> {
    format!("{}/{name}", place.reports.id()).into_bytes()
}

fn stored(key: &[u8]) -> Result<String, String> {
    let entry = shared_data::get(key).map_err(|error| error.to_string())?;
    Ok(match entry {
        None => "absent".to_owned(),
        Some(entry) => match entry.value {
            None => "empty".to_owned(),
            Some(value) => printable(&value),
        },
    })
}
