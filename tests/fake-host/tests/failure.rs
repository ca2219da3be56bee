//! What is left of a plugin, and of its requests, when its VM is lost.

mod common;

use std::time::Duration;

use common::{probe, script};
use fake_host::{FailurePolicy, FilterStatus, Host, Vm};

const PASS: &str = "request-headers: note seen";

fn start(host: &Host, policy: FailurePolicy) -> Vm {
    host.start(probe("probe").failure_policy(policy)).unwrap()
}

/// The client's status, and whether the filter took part.
fn one(vm: &Vm) -> (u16, bool) {
    let mut stream = vm.request(script(PASS));
    if stream.request_headers(true) == FilterStatus::Continue {
        stream.response_headers([(":status", "200")], true);
    }
    let client = stream.client();
    (
        client.status().unwrap(),
        client.headers.text("x-probe-seen").is_some(),
    )
}

// Without the 503 a test of a fail-closed filter would pass on a filter that lets requests through.
#[test]
fn the_request_in_which_it_happens_gets_a_503_under_every_policy() {
    let base = Duration::from_secs(1);
    for policy in [
        FailurePolicy::Closed,
        FailurePolicy::Open,
        FailurePolicy::Reload { base },
    ] {
        let host = Host::new();
        let vm = start(&host, policy);
        vm.trap_in_next_callback();
        let mut stream = vm.request(script(PASS));
        let FilterStatus::Replied(reply) = stream.request_headers(true) else {
            panic!("{policy:?}: no reply");
        };
        assert_eq!((reply.status, &*reply.details), (503, "wasm_fail_stream"));
        assert!(!vm.is_alive());
    }
}

// Later requests: refused, passed by unseen, or served by a new VM once the back-off is over.
#[test]
fn later_requests_meet_the_policy() {
    let base = Duration::from_secs(1);
    let host = Host::new();
    let closed = start(&host, FailurePolicy::Closed);
    let open = start(&host, FailurePolicy::Open);
    let reload = start(&host, FailurePolicy::Reload { base });
    for vm in [&closed, &open, &reload] {
        assert_eq!(one(vm), (200, true));
        vm.trap();
    }
    assert_eq!(one(&closed), (503, false));
    assert_eq!(one(&open), (200, false));
    assert_eq!(one(&reload), (503, false));
    host.clock().advance(base);
    assert_eq!(one(&closed), (503, false));
    assert_eq!(one(&reload), (200, true));
    assert_eq!(reload.loads(), 2);
}

// A paused request of a lost VM gets nothing, whatever comes: only its own deadline ends it.
#[test]
fn a_paused_request_hangs() {
    let host = Host::new();
    let base = Duration::from_secs(1);
    let vm = start(&host, FailurePolicy::Reload { base });
    let mut stream = vm.request(script("request-headers: pause | tick: continue-request go"));
    assert_eq!(stream.request_headers(true), FilterStatus::Pause);
    vm.trap();
    host.clock().advance(base);
    assert_eq!(one(&vm), (200, true));
    vm.tick();
    assert_eq!(stream.request_status(), FilterStatus::Pause);
}

// A body for a VM that was lost must not pass a fail-closed filter.
#[test]
fn a_later_phase_fails_too() {
    let host = Host::new();
    let vm = start(&host, FailurePolicy::Closed);
    let mut stream = vm.request(script("request-body: last-size size"));
    assert_eq!(stream.request_headers(false), FilterStatus::Continue);
    vm.trap();
    assert!(matches!(
        stream.request_body("x", true),
        FilterStatus::Replied(_)
    ));
    assert!(stream.upstream().body.is_empty());
}
