//! Fetches whose beginners are lost while they run: a VM, a client.

use std::time::Duration;

use envoy_harness::{Gateway, Request};
use serde_json::json;
use upstreams::Algorithm;

use super::endpoint::{Asking, Behaviour, Endpoint};
use super::{ALL, PLUGIN, SOON, ask, begin, bootstrap, count, forwarded, wait_for_keys};
use crate::trap::ChangedModule;

/// A VM is lost without a word: not even its waiting requests are told. They end by this, as any paused request.
const IDLE: Duration = Duration::from_secs(8);

/// Loses one of the two VMs while a fetch runs, and sees it through; `false` if it was not the one that leads.
fn lose_a_vm(module: &ChangedModule) -> Option<bool> {
    let endpoint = Endpoint::start(Behaviour::Silent);
    let mut bootstrap = bootstrap(&endpoint, json!({ "timeout": "3s", "wait": "30s" }));
    module.install(&mut bootstrap, PLUGIN);
    let idle = format!("{}s", IDLE.as_secs());
    bootstrap.connection_manager_mut()["stream_idle_timeout"] = idle.into();
    let gateway = Gateway::start(&bootstrap)?;
    gateway.expect_vm_loss();
    gateway
        .envoy()
        .wait_until("the fetch", |_| endpoint.calls() == 1);
    let token = gateway.token("alice").sign();
    // By connections of their own, so that both workers have some.
    let mut waiting: Vec<Asking> = (0..40).map(|_| begin(&gateway, &token)).collect();
    gateway
        .envoy()
        .wait_until("all wait", |_| count(&gateway, "jwks_waited") == 40);
    let deadly = Request::new("POST", "/healthz")
        .header("x-api-key", envoy_harness::demo_key("acme-2026"))
        .body("x")
        .trailer("x-checksum", "abc");
    let lost = gateway.h2().send(&deadly);
    assert_eq!(lost.status, 503, "the request in which the VM is lost");
    assert_eq!(forwarded(&gateway), 0, "undecided");
    // The leader that lives gives its call up and begins another; one that is lost does nothing, and its lease runs out.
    gateway
        .envoy()
        .wait_until("another call", |_| endpoint.calls() == 2);
    let was_leader = count(&gateway, "jwks_failures") == 0;
    endpoint.set(ALL);
    let statuses: Vec<_> = waiting
        .iter_mut()
        .map(|asking| asking.status(IDLE + SOON))
        .collect();
    let passed = statuses
        .iter()
        .filter(|status| **status == Some(200))
        .count();
    assert!(passed > 0, "the other VM has some: {statuses:?}");
    assert!(
        statuses
            .iter()
            .all(|status| status.is_some_and(|status| status == 200 || status >= 400)),
        "each has ended: {statuses:?}"
    );
    assert_eq!(forwarded(&gateway), passed as u64);
    // On the new VM too.
    gateway.envoy().wait_until("all is as before", |_| {
        (0..8).all(|_| ask(&gateway, Algorithm::EdDSA) == Some(200))
    });
    assert_eq!(count(&gateway, "jwks_fetches"), 2);
    Some(was_leader)
}

// A lease that outlived its holder would leave all workers without keys for ever.
#[test]
fn a_leader_that_traps_is_followed_by_the_other_worker() {
    let Some(module) = ChangedModule::trapping_on_trailers("gatehouse-auth") else {
        return;
    };
    // Which worker gets a connection is the kernel's to say: each try is as good as a coin's.
    for _ in 0..20 {
        match lose_a_vm(&module) {
            None | Some(true) => return,
            Some(false) => {}
        }
    }
    panic!("never the leader");
}

// The fetch is the root's, not the stream's: who began it with a new key's token may go.
#[test]
fn a_client_that_is_gone_takes_no_fetch_along() {
    let endpoint = Endpoint::start(Behaviour::Keys(&[0]));
    let limits = json!({ "timeout": "30s", "wait": "60s" });
    let Some(gateway) = Gateway::start(&bootstrap(&endpoint, limits)) else {
        return;
    };
    wait_for_keys(&gateway, 1);
    endpoint.set(Behaviour::Silent);
    let token = gateway.token("alice").algorithm(Algorithm::ES256).sign();
    let first = begin(&gateway, &token);
    gateway
        .envoy()
        .wait_until("its fetch", |_| endpoint.calls() == 2);
    drop(first);
    gateway.envoy().wait_until("it is gone", |envoy| {
        envoy.counter("http.http.downstream_rq_active") == 0
    });
    let mut waiting: Vec<_> = (0..20).map(|_| begin(&gateway, &token)).collect();
    gateway
        .envoy()
        .wait_until("all wait", |_| count(&gateway, "jwks_waited") == 21);
    assert_eq!(forwarded(&gateway), 0, "undecided");
    endpoint.set(ALL);
    for asking in &mut waiting {
        assert_eq!(asking.status(SOON), Some(200));
    }
    assert_eq!((endpoint.calls(), count(&gateway, "jwks_fetches")), (2, 2));
}
