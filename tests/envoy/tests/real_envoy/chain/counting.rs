//! What is counted, where, and how often.

use envoy_harness::{Bootstrap, Gateway, Request, demo_key};
use serde_json::json;

const ADMITTED: &str = "wasmcustom.gatehouse.rate_limit.admitted";

/// Without this test a flood of bad tokens could keep auth busy for as long as it lasts.
#[test]
fn a_flood_of_guesses_ends_in_front_of_auth() {
    let Some(gateway) = Gateway::start(&Bootstrap::chain()) else {
        return;
    };
    let mut connection = gateway.h2().connect().expect("a connection");
    let guess = Request::get("/admin/1").bearer("guess");
    let statuses: Vec<u16> = (0..400).map(|_| connection.send(&guess).status).collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert!(count(401) >= 50, "{}", count(401));
    assert!(count(429) > 0);
    assert_eq!(count(401) + count(429), 400);
    let denied = gateway.envoy().counter("wasmcustom.gatehouse.auth.denied");
    assert_eq!(denied, count(401) as u64);
    let entry = gateway
        .envoy()
        .access_log_entry(|entry| entry["status"] == 429);
    assert_eq!(entry["limits_violated"], "address-admin");
    assert_eq!(entry["identity"], serde_json::Value::Null);
    // Other doors stay open, for the same address.
    let request = Request::get("/users/1").header("x-api-key", demo_key("acme-2026"));
    assert_eq!(connection.send(&request).status, 200);
}

/// Without this test a replica that fails could cost callers their quota.
#[test]
fn a_request_that_is_tried_again_is_counted_once() {
    let Some(gateway) = Gateway::start(&Bootstrap::chain()) else {
        return;
    };
    gateway.upstreams().stop("orders-1").expect("a replica");
    let token = gateway.token("alice").groups(&["staff"]);
    let token = token.scope("orders:write").sign();
    let order = Request::new("POST", "/orders/1").bearer(token);
    let before = gateway.envoy().counter(ADMITTED);
    let mut asked = 0;
    // The choice is by chance, and a replica that fails often gets nothing for a while.
    while gateway.envoy().counter("cluster.orders.upstream_rq_retry") == 0 {
        assert!(asked < 20, "nothing was tried again");
        asked += 1;
        let answer = gateway.h1().send(&order);
        assert_eq!(answer.echo().replica, "orders-2");
        assert_eq!(answer.headers.get_all("ratelimit").iter().count(), 1);
    }
    // Once by the limits of the address, once by those of the caller.
    assert_eq!(gateway.envoy().counter(ADMITTED), before + 2 * asked);
}

/// Without this test a limit by route could be kept for a route that auth's edits have led away from.
#[test]
fn behind_the_compressor_the_route_is_that_of_the_edited_request() {
    let gateway = |with_compressor: bool| {
        let mut bootstrap = Bootstrap::chain();
        bootstrap.edit_filter_config("gatehouse.rate_limit", |config| {
            config["limits"] = json!([{
                "name": "acme", "match": { "route": "acme" }, "key": "route", "rate": "1/h", "burst": 1,
            }]);
        });
        let routes =
            &mut bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"];
        // auth writes the header; a client cannot.
        let acme = json!({
            "name": "acme",
            "match": { "prefix": "/users", "headers": [{ "name": "x-consumer", "string_match": { "exact": "acme" } }] },
            "route": { "cluster": "users" },
        });
        routes.as_array_mut().expect("routes").insert(0, acme);
        if !with_compressor {
            bootstrap.remove_filter("envoy.filters.http.compressor");
        }
        Gateway::start(&bootstrap)
    };
    let statuses = |gateway: &Gateway| {
        let request = Request::get("/users/1").header("x-api-key", demo_key("acme-2026"));
        [0; 3].map(|_| gateway.h1().send(&request).status)
    };
    let Some(with) = gateway(true) else { return };
    assert_eq!(statuses(&with), [200, 429, 429]);
    // The closing request is over that limit too.
    drop(with);
    let Some(without) = gateway(false) else {
        return;
    };
    assert_eq!(
        statuses(&without),
        [200, 200, 200],
        "Envoy has learned to look again by itself"
    );
}
