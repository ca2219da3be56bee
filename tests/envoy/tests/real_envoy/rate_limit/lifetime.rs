//! Row 22: what buckets outlive, and what a changed limit does to them.

use envoy_harness::{Bootstrap, Gateway, Options, Reload, Request};
use serde_json::{Value, json};

use super::{PLUGIN, counter, with_limits};
use crate::trap::ChangedModule;

const RELOADABLE: Options = Options {
    concurrency: 2,
    reloadable: true,
    port: 0,
    counted: true,
};

/// A limit of each tenant, and one that shows in the answers to `/revision` which configuration a worker has.
fn revision(tenant: Value, revision: u32) -> Bootstrap {
    let mut limit = json!({
        "name": "tenant", "key": { "header": "x-tenant" },
        "match": { "path": { "prefix": "/users" } },
    });
    let more = tenant.as_object().expect("a limit").clone();
    limit.as_object_mut().expect("a limit").extend(more);
    with_limits(json!([
        limit,
        { "name": "revision", "key": "method", "rate": "1000000/s", "burst": revision,
          "match": { "path": { "prefix": "/revision" } } },
    ]))
}

/// Takes the new configuration, and waits until all workers have it.
fn reload(gateway: &Gateway, bootstrap: &Bootstrap, revision: u32) {
    if let Reload::Rejected(log) = gateway.reload(bootstrap) {
        panic!("a good configuration is refused: {log}");
    }
    let wanted = format!("\"revision\";q={revision};");
    gateway
        .envoy()
        .wait_until("every worker has the new configuration", |_| {
            (0..16).all(|_| {
                let answer = gateway.h1().send(&Request::get("/revision"));
                let policy = answer.header("ratelimit-policy").unwrap_or_default();
                policy.starts_with(&wanted)
            })
        });
}

/// How many of so many requests are admitted, each over a connection of its own, so that both workers are asked.
fn admitted(gateway: &Gateway, requests: usize) -> usize {
    let request = Request::get("/users/1").header("x-tenant", "acme");
    let statuses = (0..requests).map(|_| gateway.h1().send(&request).status);
    statuses
        .filter(|status| match status {
            200 => true,
            429 => false,
            other => panic!("status {other}"),
        })
        .count()
}

/// An update of the configuration must be no way to a full bucket.
#[test]
fn row_22_buckets_outlive_a_new_configuration() {
    let limit = || json!({ "rate": "1/h", "burst": 4 });
    let Some(gateway) = Gateway::start_with(&revision(limit(), 1), &RELOADABLE) else {
        return;
    };
    assert_eq!(admitted(&gateway, 3), 3);
    reload(&gateway, &revision(limit(), 2), 2);
    assert_eq!(admitted(&gateway, 5), 1);
    reload(&gateway, &revision(limit(), 3), 3);
    assert_eq!(admitted(&gateway, 5), 0);
}

/// What README.md says of a changed limit: a bucket is full at the time at which it would have been, or sooner if the new one
/// fills faster than that.
#[test]
fn row_22_a_changed_limit_goes_on_from_when_the_bucket_is_full() {
    let Some(gateway) = Gateway::start_with(
        &revision(json!({ "rate": "1/h", "burst": 4 }), 1),
        &RELOADABLE,
    ) else {
        return;
    };
    assert_eq!(admitted(&gateway, 5), 4);
    // Full in four hours, of ten: six are there.
    reload(
        &gateway,
        &revision(json!({ "rate": "1/h", "burst": 10 }), 2),
        2,
    );
    assert_eq!(admitted(&gateway, 12), 6);
    // Full in ten hours, of ten days: half a token is missing. At most one burst of each limit, whatever is changed.
    reload(
        &gateway,
        &revision(json!({ "rate": "1/d", "burst": 10 }), 3),
        3,
    );
    assert_eq!(admitted(&gateway, 12), 9);
    // Full in nine days, but this one fills in two minutes: nobody is kept out for longer than that.
    reload(
        &gateway,
        &revision(json!({ "rate": "1/m", "burst": 2 }), 4),
        4,
    );
    let request = Request::get("/users/1").header("x-tenant", "acme");
    let refused = gateway.h1().send(&request);
    assert_eq!(refused.status, 429);
    let wait: u64 = refused
        .header("retry-after")
        .unwrap_or_default()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

/// New code under the same `vm_id` runs in new VMs, which know nothing but what is shared.
#[test]
fn row_22_buckets_outlive_new_code() {
    let limit = || json!({ "rate": "1/h", "burst": 4 });
    let Some(renamed) = ChangedModule::renamed("gatehouse-rate-limit") else {
        return;
    };
    let Some(gateway) = Gateway::start_with(&revision(limit(), 1), &RELOADABLE) else {
        return;
    };
    assert_eq!(admitted(&gateway, 3), 3);
    let created = "wasm.envoy.wasm.runtime.v8.created";
    let before = gateway.envoy().counter(created);
    let mut bootstrap = revision(limit(), 2);
    renamed.install(&mut bootstrap, PLUGIN);
    reload(&gateway, &bootstrap, 2);
    // One for each worker, one for the main thread, and those that Envoy tries the code in.
    assert!(gateway.envoy().counter(created) >= before + 3);
    assert_eq!(admitted(&gateway, 5), 1);
    assert_eq!(counter(&gateway, "unknown_form"), 0);
}

/// Envoy makes a new VM where one was lost, and that must be no way to a full bucket either. The trap is put into the module: the
/// filter has none of its own.
#[test]
fn row_22_buckets_outlive_a_lost_vm() {
    let Some(trapping) = ChangedModule::trapping_on_trailers("gatehouse-rate-limit") else {
        return;
    };
    let mut bootstrap = with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 4 },
    ]));
    trapping.install(&mut bootstrap, PLUGIN);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    gateway.expect_vm_loss();
    assert_eq!(admitted(&gateway, 5), 4);

    let deadly = Request::new("POST", "/users/1")
        .header("x-tenant", "another")
        .body("x")
        .trailer("x-checksum", "abc");
    let lost = gateway.h2().send(&deadly);
    assert_eq!(lost.status, 503, "the request in which the VM is lost");

    let asked = Request::get("/users/1").header("x-tenant", "acme");
    let reloads = format!("wasm.{PLUGIN}.vm_reload_success");
    gateway
        .envoy()
        .wait_until("a request is answered by a new VM", |envoy| {
            let status = gateway.h1().send(&asked).status;
            // 503 as long as Envoy waits before it makes the new one.
            assert!([429, 503].contains(&status), "status {status}");
            status == 429 && envoy.counter(&reloads) >= 1
        });
    assert_eq!(admitted(&gateway, 8), 0);
    let fresh = Request::get("/users/1").header("x-tenant", "newcomer");
    assert_eq!(gateway.h1().send(&fresh).status, 200);
}
