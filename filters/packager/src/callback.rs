//! The callbacks of the ABI, and which of them a filter implements.

use std::collections::BTreeSet;

/// An exported function that Envoy calls if the module has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The export.
    pub export: &'static str,
    /// The methods of the SDK's traits that the export ends in. A filter that implements none of them gets the SDK's
    /// own, which do nothing and let the stream continue.
    pub methods: &'static [&'static str],
}

const fn callback(export: &'static str, methods: &'static [&'static str]) -> Callback {
    Callback { export, methods }
}

/// What a module exports whatever it implements: memory, the start, the ABI's mark, and the life of a context. Without
/// `proxy_on_delete` the SDK would keep the context of every stream.
pub(crate) const REQUIRED: [&str; 8] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_vm_start",
];

/// Every callback of ABI 0.2.1 that a host does without where it is missing.
pub(crate) const OPTIONAL: [Callback; 21] = [
    callback("proxy_on_done", &["on_done"]),
    callback("proxy_on_log", &["on_log"]),
    callback("proxy_on_tick", &["on_tick"]),
    callback("proxy_on_queue_ready", &["on_queue_ready"]),
    callback("proxy_on_new_connection", &["on_new_connection"]),
    callback("proxy_on_downstream_data", &["on_downstream_data"]),
    callback(
        "proxy_on_downstream_connection_close",
        &["on_downstream_close"],
    ),
    callback("proxy_on_upstream_data", &["on_upstream_data"]),
    callback("proxy_on_upstream_connection_close", &["on_upstream_close"]),
    callback("proxy_on_request_headers", &["on_http_request_headers"]),
    callback("proxy_on_request_body", &["on_http_request_body"]),
    callback("proxy_on_request_trailers", &["on_http_request_trailers"]),
    callback("proxy_on_response_headers", &["on_http_response_headers"]),
    callback("proxy_on_response_body", &["on_http_response_body"]),
    callback("proxy_on_response_trailers", &["on_http_response_trailers"]),
    callback("proxy_on_http_call_response", &["on_http_call_response"]),
    callback(
        "proxy_on_grpc_receive_initial_metadata",
        &["on_grpc_stream_initial_metadata"],
    ),
    // A call's answer and its failure, a stream's messages and its end come by the same two exports.
    callback(
        "proxy_on_grpc_receive",
        &["on_grpc_call_response", "on_grpc_stream_message"],
    ),
    callback(
        "proxy_on_grpc_receive_trailing_metadata",
        &["on_grpc_stream_trailing_metadata"],
    ),
    callback(
        "proxy_on_grpc_close",
        &["on_grpc_call_response", "on_grpc_stream_close"],
    ),
    callback("proxy_on_foreign_function", &["on_foreign_function"]),
];

/// The exports of the callbacks that these sources may implement: whose method they name outside of a comment line.
///
/// What no source of a module names, none implements, by macro or by hand. A callback that is only named is kept too;
/// that costs an entry into the VM, where one too few would cost a check.
pub fn callbacks_in<'a>(sources: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    let named: BTreeSet<&str> = sources
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        })
        .collect();
    OPTIONAL
        .iter()
        .filter(|callback| callback.methods.iter().any(|method| named.contains(method)))
        .map(|callback| callback.export)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<&'static str> {
        callbacks_in([source]).into_iter().collect()
    }

    // A callback that is missed is stripped, and with it what it protects.
    #[test]
    fn a_callback_is_found_in_any_form() {
        for source in [
            "impl HttpContext for X {\n    fn on_http_request_trailers(&mut self, n: usize) -> Action {",
            "fn\non_http_request_trailers\n(&mut self, _: usize) -> Action",
            "delegate!(on_http_request_trailers);",
            "/* why */ fn on_http_request_trailers(&mut self) {} // note",
            "let link = \"http://x\"; fn r#on_http_request_trailers() {}",
        ] {
            assert_eq!(found(source), ["proxy_on_request_trailers"], "{source}");
        }
    }

    #[test]
    fn what_only_a_comment_names_is_not_found() {
        assert!(
            found("    /// Calls `on_tick` every `period`.\n//! on_log\nfn on_ticket() {}")
                .is_empty()
        );
    }

    #[test]
    fn an_answer_that_comes_by_two_exports_keeps_both() {
        assert_eq!(
            found("fn on_grpc_call_response(&mut self) {}"),
            ["proxy_on_grpc_close", "proxy_on_grpc_receive"]
        );
    }
}
