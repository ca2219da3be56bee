//! Targets and groups: on the route, at the upstream, in the answer and in the access log.

use std::collections::BTreeMap;

use envoy_harness::{Bootstrap, Gateway, Protocol, Request, demo_key};
use serde_json::{Value, json};

use super::{ROUTING, first_route, sent, single};

/// A cookie for `/cart`, a header for `/tenants`, the address for `/local`; and targets, for which clusters are named.
fn members() -> Value {
    let halves = json!([{ "name": "stable", "weight": 1 }, { "name": "canary", "weight": 1 }]);
    json!({
        "targets": [
            { "name": "germany", "match": { "headers": [{ "name": "x-country", "exact": "DE" }] }, "target": "version-2" },
            { "name": "trial", "mode": "shadow", "match": { "path": { "prefix": "/trial" } }, "target": "version-2" },
        ],
        "splits": [
            { "name": "cart", "match": { "path": { "prefix": "/cart" } },
              "by": [{ "cookie": { "name": "visitor", "max_age": "1h" } }], "groups": halves,
              "override": { "header": "x-try-group", "groups": ["canary"] } },
            { "name": "tenants", "match": { "path": { "prefix": "/tenants" } },
              "by": [{ "header": "x-tenant" }], "groups": halves },
            { "name": "local", "match": { "path": { "prefix": "/local" } },
              "by": [{ "address": true }], "groups": halves },
            { "name": "trial", "mode": "shadow", "match": { "path": { "prefix": "/trial" } },
              "by": [{ "address": true }], "groups": halves },
        ],
    })
}

/// Targets name clusters; who is in the group `canary` gets `version-2`.
fn bootstrap() -> Bootstrap {
    let mut bootstrap = single(members());
    let by = |name: &str, matched: Value, action: Value| {
        let mut header = json!({ "name": name });
        for (key, value) in matched.as_object().expect("a matcher") {
            header[key] = value.clone();
        }
        json!({ "match": { "prefix": "/", "headers": [header] }, "route": action })
    };
    first_route(
        &mut bootstrap,
        by(
            "x-gatehouse-group",
            json!({ "string_match": { "exact": "canary" } }),
            json!({ "cluster": "version-2" }),
        ),
    );
    first_route(
        &mut bootstrap,
        by(
            "x-gatehouse-target",
            json!({ "present_match": true }),
            json!({ "cluster_header": "x-gatehouse-target" }),
        ),
    );
    with_log(&mut bootstrap);
    bootstrap
}

/// An access log of what routing has found out.
fn with_log(bootstrap: &mut Bootstrap) {
    let field = |name: &str| json!(format!("%FILTER_STATE(wasm.gatehouse.{name}:PLAIN)%"));
    bootstrap.connection_manager_mut()["access_log"] = json!([{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "json_format": {
                "path": "%REQ(:PATH)%",
                "experiment": field("experiment"),
                "group": field("group"),
                "target": field("target"),
            } },
        },
    }]);
}

// Who names a cluster itself could choose its upstream.
#[test]
fn a_target_is_the_filters_to_name() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let german = client.send(&Request::get("/users/de").header("x-country", "DE"));
        assert_eq!(german.echo().replica, "users-2");
        assert_eq!(
            sent(&german, "x-gatehouse-target").as_deref(),
            Some("version-2")
        );
        for name in [
            "x-gatehouse-target",
            "x_gatehouse_target",
            "X-Gatehouse_Target",
        ] {
            let forged =
                client.send(&Request::get("/users/1").header(name.to_lowercase(), "version-2"));
            assert_eq!(forged.status, 200, "{name}: {}", forged.text());
            let echo = forged.echo();
            assert_eq!(echo.replica, "users-1", "{name}");
            let left: Vec<_> = echo
                .headers
                .keys()
                .filter(|name| name.contains("target"))
                .collect();
            assert!(left.is_empty(), "{name}: {left:?}");
        }
        let trial = client.send(&Request::get("/trial"));
        assert_eq!(trial.echo().replica, "users-1");
        assert_eq!(sent(&trial, "x-gatehouse-target"), None);
        assert_eq!(trial.header("x-gatehouse-group"), None);
    }
    let logged = gateway
        .envoy()
        .access_log_entry(|entry| entry["path"] == "/users/de");
    assert_eq!(logged["target"], "version-2", "{logged}");
    let count = |name: &str| {
        gateway
            .envoy()
            .counter(&format!("wasmcustom.{ROUTING}.{name}"))
    };
    assert_eq!((count("targeted"), count("shadow_labelled")), (2, 4));
}

// A visitor who changes groups with every page sees two shops.
#[test]
fn a_cookie_keeps_its_visitor_in_a_group() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    let replica = |group: &str| {
        if group == "canary" {
            "users-2"
        } else {
            "users-1"
        }
    };
    let mut groups = BTreeMap::new();
    for number in 0..24 {
        let client = gateway.client(if number % 2 == 0 {
            Protocol::H1
        } else {
            Protocol::H2
        });
        let path = format!("/cart/{number}");
        let first = client.send(&Request::get(&path).header("x-gatehouse-group", "admin"));
        let group = first
            .header("x-gatehouse-group")
            .expect("a group")
            .to_owned();
        assert_eq!(
            sent(&first, "x-gatehouse-group").as_deref(),
            Some(group.as_str())
        );
        assert_eq!(
            sent(&first, "x-gatehouse-experiment").as_deref(),
            Some("cart")
        );
        assert_eq!(first.echo().replica, replica(&group));
        let cookie = first.header("set-cookie").expect("a cookie").to_owned();
        assert!(cookie.to_lowercase().contains("max-age=3600"), "{cookie}");
        let pair = cookie.split_once(';').expect("attributes").0;
        for protocol in [Protocol::H1, Protocol::H2] {
            let again = Request::get("/cart/items").header("cookie", pair);
            let again = gateway.client(protocol).send(&again);
            assert_eq!(again.header("x-gatehouse-group"), Some(group.as_str()));
            assert_eq!(again.header("set-cookie"), None);
            assert_eq!(again.echo().replica, replica(&group));
        }
        let chosen = Request::get("/cart")
            .header("cookie", pair)
            .header("x-try-group", "canary");
        assert_eq!(
            client.send(&chosen).header("x-gatehouse-group"),
            Some("canary")
        );
        let kept = Request::get("/cart")
            .header("cookie", pair)
            .header("x-try-group", "stable");
        assert_eq!(
            client.send(&kept).header("x-gatehouse-group"),
            Some(group.as_str())
        );
        let logged = gateway
            .envoy()
            .access_log_entry(|entry| entry["path"] == path.as_str());
        assert_eq!(logged["experiment"], "cart", "{logged}");
        assert_eq!(logged["group"], group.as_str(), "{logged}");
        *groups.entry(group).or_insert(0) += 1;
    }
    assert_eq!(groups.len(), 2, "one group in 24: {groups:?}");
}

// Without it a caller could be in one group by its header and another by its address, or change with its connection.
#[test]
fn a_header_or_an_address_keeps_its_caller_in_a_group() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    let mut by_header = BTreeMap::new();
    let mut by_address = BTreeMap::new();
    for number in 0..24_u8 {
        let tenant = format!("tenant-{number}");
        let address = [127, 0, 4, number];
        for protocol in [Protocol::H1, Protocol::H2] {
            let client = gateway.client(protocol).from_address(address);
            let ask = |path: &str| {
                let answer = client.send(&Request::get(path).header("x-tenant", &tenant));
                assert_eq!(answer.header("set-cookie"), None, "{path}");
                answer
                    .header("x-gatehouse-group")
                    .expect("a group")
                    .to_owned()
            };
            let group = ask("/tenants");
            assert_eq!(by_header.entry(number).or_insert(group.clone()), &group);
            let group = ask("/local");
            assert_eq!(by_address.entry(number).or_insert(group.clone()), &group);
        }
    }
    for groups in [&by_header, &by_address] {
        let canaries = groups.values().filter(|group| *group == "canary").count();
        assert!((1..24).contains(&canaries), "{groups:?}");
    }
    assert_ne!(by_header, by_address, "another experiment draws anew");
    // Nobody can be told from others without a tenant: the first group.
    let nobody = gateway.h1().send(&Request::get("/tenants"));
    assert_eq!(nobody.header("x-gatehouse-group"), Some("stable"));
    assert_eq!(
        gateway
            .envoy()
            .counter("wasmcustom.gatehouse.routing.grouped_unknown"),
        1
    );
}

// Half an application in an experiment and half out of it is neither.
#[test]
fn a_caller_is_in_one_group_by_http_and_by_grpc() {
    let mut bootstrap = Bootstrap::chain();
    let keys: Vec<Value> = (0..16).map(|number| json!({
        "id": format!("caller-{number}"), "sha256": "0".repeat(64), "consumer": format!("caller-{number}"), "scopes": ["stock:read"],
    })).collect();
    bootstrap.edit_filter_config("gatehouse.auth", |config| {
        let known = config["api_keys"]["keys"].as_array_mut().expect("keys");
        known.extend(keys);
    });
    bootstrap.edit_filter_config(ROUTING, |config| {
        config["splits"] = json!([{
            "name": "whole", "by": [{ "identity": true }],
            "groups": [{ "name": "stable", "weight": 1 }, { "name": "canary", "weight": 1 }],
        }]);
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let mut groups = BTreeMap::new();
    for number in 0..16 {
        let key = demo_key(&format!("caller-{number}"));
        let mut seen = Vec::new();
        for caller in crate::grpc::Caller::ALL {
            let answer = gateway.h2().send(&caller.get_7().header("x-api-key", &key));
            assert_eq!(answer.status, 200, "{answer:?}");
            seen.push(answer.header("x-gatehouse-group").map(str::to_owned));
        }
        let rest = gateway
            .h1()
            .send(&Request::get("/users/1").header("x-api-key", &key));
        let group = rest.header("x-gatehouse-group").map(str::to_owned);
        assert!(
            seen.iter().all(|other| *other == group),
            "{key}: {group:?} {seen:?}"
        );
        *groups.entry(group.expect("a group")).or_insert(0) += 1;
    }
    assert_eq!(groups.len(), 2, "{groups:?}");
}
