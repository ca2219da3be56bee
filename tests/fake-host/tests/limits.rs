//! Buffers, stop-iteration, and what a request costs in host calls.

mod common;

use common::{probe, script};
use fake_host::{FilterStatus, Host};

// A filter that buffers must be seen to meet the host's limit: 413 before anything has gone upstream.
#[test]
fn a_buffered_request_over_the_limit_is_refused() {
    let vm = Host::new()
        .with_buffer_limit(8)
        .start(probe("probe"))
        .unwrap();
    let mut stream = vm.request(script("request-body: pause"));
    stream.request_headers(false);
    assert_eq!(stream.request_body("12345678", false), FilterStatus::Pause);
    let FilterStatus::Replied(reply) = stream.request_body("9", false) else {
        panic!("no reply");
    };
    assert_eq!(
        (reply.status, &*reply.details),
        (413, "request_payload_too_large")
    );
    assert!(stream.upstream().body.is_empty());
}

// After response headers have gone out a limit can only cut: no second status line.
#[test]
fn a_buffered_response_over_the_limit_is_cut() {
    let vm = Host::new()
        .with_buffer_limit(8)
        .start(probe("probe"))
        .unwrap();
    let mut stream = vm.request(script("response-body: pause"));
    stream.request_headers(true);
    stream.response_headers([(":status", "200")], false);
    assert_eq!(stream.response_body("123456789", true), FilterStatus::Reset);
    assert!(!stream.client().complete);
}

// With the listener's leave a filter sees the body while headers can still be edited.
#[test]
fn with_stop_iteration_headers_wait_for_the_body() {
    let vm = Host::new()
        .start(probe("probe").allow_stop_iteration())
        .unwrap();
    let mut stream = vm.request(script(
        "request-headers: pause | request-body: set-header edit request x-late yes",
    ));
    assert_eq!(stream.request_headers(false), FilterStatus::Pause);
    assert!(!stream.upstream().started);
    assert_eq!(stream.request_body("body", true), FilterStatus::Continue);
    let upstream = stream.upstream();
    assert_eq!(upstream.headers.text("x-late"), Some("yes"));
    assert_eq!((upstream.text(), upstream.complete), ("body", true));
}

// Budgets count calls that put bytes into the VM: one for the whole head, none for an edit.
#[test]
fn host_calls_are_counted() {
    let vm = Host::new().start(probe("probe")).unwrap();
    let mut stream = vm.request(script(
        "request-headers: set-header edit request x-a b; route none",
    ));
    stream.request_headers(true);
    let calls = stream.host_calls("proxy_on_request_headers");
    let names: Vec<_> = calls.iter().map(|call| call.function).collect();
    assert_eq!(
        names,
        [
            "proxy_get_header_map_pairs",
            "proxy_replace_header_map_value",
            "proxy_get_property"
        ]
    );
    // There are no routes: an answer without bytes does not enter the VM.
    let returned: Vec<_> = calls.iter().map(|call| call.returned > 0).collect();
    assert_eq!(returned, [true, false, false]);
}

// `on_log`, `on_done` and `on_delete` run once, and a late step calls nobody.
#[test]
fn a_closed_stream_is_gone() {
    let vm = Host::new().start(probe("probe")).unwrap();
    let mut stream = vm.request(script("request-headers: pause"));
    stream.request_headers(false);
    stream.close();
    vm.forget();
    stream.close();
    stream.request_body("x", true);
    assert!(vm.host_calls().is_empty());
    assert!(!stream.upstream().started);
}
