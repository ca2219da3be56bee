//! The method table of routing, through the whole chain: whoever calls, and however.

use envoy_harness::{Bootstrap, Gateway, Request, demo_key};
use serde_json::{Value, json};

use super::refusals::{Prepare, Refusal, check_every_caller};
use super::{Caller, reached_inventory, reader, writer};

const UNDECLARED: Refusal = Refusal::by_routing(404, 12, "Not Found");
const FORBIDDEN: Refusal = Refusal::by_routing(403, 7, "Forbidden");
const EXPIRED: Refusal = Refusal::by_routing(504, 4, "Gateway Timeout");

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// The descriptor set that Envoy's transcoder has, in base64.
pub(super) fn descriptor_set() -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(upstreams::INVENTORY_DESCRIPTOR_SET)
}

fn with_table(grpc: Value) -> Option<Gateway> {
    let mut bootstrap = Bootstrap::chain();
    bootstrap.edit_filter_config("gatehouse.routing", |config| config["grpc"] = grpc);
    Gateway::start(&bootstrap)
}

/// Each caller reaches the service.
fn check_every_caller_passes(gateway: &Gateway, prepare: Prepare<'_>) {
    for caller in Caller::ALL {
        let answer = gateway.h2().send(&prepare(caller.get_7()));
        assert!(
            reached_inventory(&answer.body) || caller == Caller::GrpcWebText,
            "{caller:?}: {answer:?}"
        );
        assert_eq!(answer.status, 200, "{caller:?}: {answer:?}");
    }
}

// An allow list that one way of calling evades is none, and UNAVAILABLE would be leave to try again.
#[test]
fn a_method_that_is_not_on_the_list_is_unimplemented() {
    let by_key = |request: Request| request.header("x-api-key", reader());
    // By package, and by descriptor set, which a wildcard beside it does not open.
    let watch = json!([{ "service": "inventory.v1.Stock", "method": "Watch" }]);
    let off = json!([{ "service": "inventory.v1.Stock", "mode": "off" }, { "service": "inventory.v2.*" }]);
    for (methods, admitted) in [
        (
            json!({ "methods": [{ "service": "inventory.v1.*" }] }),
            true,
        ),
        (json!({ "descriptor_set": descriptor_set() }), true),
        (json!({ "methods": watch }), false),
        (json!({ "methods": off }), false),
    ] {
        let mut table = methods.clone();
        table["undeclared"] = "refuse".into();
        let Some(gateway) = with_table(table) else {
            return;
        };
        match admitted {
            true => check_every_caller_passes(&gateway, &by_key),
            false => check_every_caller(&gateway, &methods.to_string(), &by_key, &UNDECLARED),
        }
    }
}

// A scope that REST does without, or gRPC-Web, protects nothing.
#[test]
fn a_method_asks_for_scopes_and_groups() {
    let Some(gateway) = with_table(json!({ "methods": [
        { "service": "inventory.v1.Stock", "method": "Get", "scopes": ["stock:read", "stock:write"], "groups": ["staff", "admins"] },
    ] })) else {
        return;
    };
    let token =
        |scope: &str, groups: &[&str]| gateway.token("alice").scope(scope).groups(groups).sign();
    for (scope, groups) in [
        ("stock:read", &["staff"][..]),
        ("stock:read stock:write", &[]),
        ("stock:read stock:write", &["guests"]),
    ] {
        let refused = |request: Request| request.bearer(token(scope, groups));
        check_every_caller(&gateway, scope, &refused, &FORBIDDEN);
    }
    check_every_caller_passes(&gateway, &|request: Request| {
        request.bearer(writer(&gateway))
    });
}

// What a service tells of itself is for those who run it, whatever the rules of auth let through.
#[test]
fn reflection_and_health_are_open_or_closed() {
    let ask = |gateway: &Gateway, path: &str| {
        let request = Request::grpc(path, b"").header("x-api-key", demo_key("ops-2026"));
        let status = gateway.h2().send(&request).grpc_status();
        status.expect("a status")
    };
    let rules = json!([{ "service": "inventory.v1.Stock" }]);
    for (table, reflection, health) in [
        (
            json!({ "methods": rules, "undeclared": "refuse", "health": "open" }),
            false,
            true,
        ),
        (
            json!({ "methods": rules, "reflection": "open", "health": "closed" }),
            true,
            false,
        ),
    ] {
        let Some(gateway) = with_table(table.clone()) else {
            return;
        };
        for (path, open) in [(REFLECTION, reflection), (HEALTH, health)] {
            let status = ask(&gateway, path);
            assert_eq!(status != 12, open, "{table} {path}: {status}");
        }
        let get = Request::grpc("/inventory.v1.Stock/Get", &super::get_7());
        let answer = gateway.h2().send(&get.header("x-api-key", reader()));
        assert_eq!(answer.grpc_status(), Some(0), "{table}");
    }
}

// A rule on trial must change nothing, and say what it would.
#[test]
fn a_table_on_trial_counts_and_lets_pass() {
    let Some(gateway) = with_table(json!({ "methods": [
        { "service": "inventory.v1.Stock", "mode": "shadow", "scopes": ["nobody:has"], "target": "nowhere" },
    ] })) else {
        return;
    };
    check_every_caller_passes(&gateway, &|request: Request| {
        request.header("x-api-key", reader())
    });
    let count = |name: &str| {
        gateway
            .envoy()
            .counter(&format!("wasmcustom.gatehouse.routing.{name}"))
    };
    assert_eq!(
        (count("shadow_refused"), count("method_not_permitted")),
        (4, 0)
    );
}

// Refused here, a caller that is out of time reads so in its own form.
#[test]
fn a_call_without_time_is_refused_in_the_callers_form() {
    let Some(gateway) = with_table(json!({ "methods": [
        { "service": "inventory.v1.Stock", "deadline": { "max": "5s" } },
    ] })) else {
        return;
    };
    let late = |request: Request| {
        request
            .header("x-api-key", reader())
            .header("grpc-timeout", "0m")
    };
    check_every_caller(&gateway, "no time", &late, &EXPIRED);
    check_every_caller_passes(&gateway, &|request: Request| {
        request
            .header("x-api-key", reader())
            .header("grpc-timeout", "4S")
    });
}

// Statistics by names of the client's choosing would fill the memory; without them nobody sees which method fails.
#[test]
fn calls_are_counted_and_timed_by_declared_method() {
    let Some(gateway) =
        with_table(json!({ "descriptor_set": descriptor_set(), "statistics": true }))
    else {
        return;
    };
    let call = |request: Request| gateway.h2().send(&request.bearer(writer(&gateway)));
    for caller in Caller::ALL {
        assert_eq!(call(caller.get_7()).status, 200);
    }
    // A trailers-only answer: there is no such item.
    let missing = Request::grpc("/inventory.v1.Stock/Get", b"\x0a\x04none");
    assert_eq!(call(missing).grpc_status(), Some(5));
    let watch = Request::grpc("/inventory.v1.Stock/Watch", &super::get_7());
    assert_eq!(call(watch).grpc_status(), Some(0));
    for number in 0..3 {
        call(Request::grpc(format!("/users.v1.Users/Made{number}"), b""));
    }
    let stats = gateway.envoy().stats();
    let counted: Vec<_> = stats
        .iter()
        .filter_map(|(name, count)| {
            let name = name.strip_prefix("wasmcustom.gatehouse.routing.grpc_status.")?;
            Some((name, *count))
        })
        .collect();
    assert_eq!(
        counted,
        [
            ("inventory.v1.Stock.Get.0", 4),
            ("inventory.v1.Stock.Get.5", 1),
            ("inventory.v1.Stock.Watch.0", 1),
            ("other.0", 3),
        ]
    );
    let histograms = "/stats/prometheus?filter=grpc_time_ms&histogram_buckets=cumulative";
    gateway
        .envoy()
        .wait_until("the histograms are merged", |envoy| {
            let page = envoy.admin().send(&Request::get(histograms)).text();
            let lines: Vec<_> = page
                .lines()
                .filter(|line| line.contains("_count"))
                .collect();
            let has = |method: &str, count: &str| {
                let line = lines.iter().find(|line| line.contains(method));
                line.is_some_and(|line| line.ends_with(count))
            };
            has("Stock_Get", " 5") && has("Stock_Watch", " 1") && has("other", " 3")
        });
}
