//! Rates of routes, and the mark of soft limits: what the host has of a route, and what it forwards.

use envoy_harness::{Gateway, Request};
use serde_json::{Value, json};

use super::{counter, with_limits};

/// Who goes by two routes must get rid of neither's rate, nor be kept out of one for as long as the other takes.
#[test]
fn a_route_overrides_a_rate_and_counts_apart() {
    let mut bootstrap = with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1000/m", "algorithm": "fixed_window",
          "route_override": true },
    ]));
    let route = |path: &str, said: Value| {
        json!({
            "match": { "prefix": path },
            "route": { "cluster": "users" },
            "metadata": { "filter_metadata": { "gatehouse.rate_limit": { "tenant": said } } },
        })
    };
    bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"] = json!([
        route("/users/slow", json!("3/h")),
        route("/users/other", json!("3/h")),
        route("/users/none", json!("plenty")),
        { "match": { "prefix": "/" }, "route": { "cluster": "users" } },
    ]);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let ask = |path: &str| {
        let answer = gateway
            .h1()
            .send(&Request::get(path).header("x-tenant", "acme"));
        let left = answer.header("x-ratelimit-remaining").unwrap_or_default();
        (answer.status, left.to_owned())
    };
    let told = |status: u16, left: &str| (status, left.to_owned());
    assert_eq!(ask("/users/slow"), told(200, "2"));
    assert_eq!(ask("/users/1"), told(200, "999"));
    // Two routes that say the same are one.
    assert_eq!(ask("/users/other"), told(200, "1"));
    assert_eq!(ask("/users/1"), told(200, "998"));
    assert_eq!(ask("/users/slow"), told(200, "0"));
    assert_eq!(ask("/users/1"), told(200, "997"));
    assert_eq!(ask("/users/other").0, 429);
    assert_eq!(counter(&gateway, "bad_override"), 0);
    assert_eq!(ask("/users/none"), told(200, "996"));
    assert_eq!(counter(&gateway, "bad_override"), 1);
}

/// An upstream that merges trailers into headers would believe a client that it is beyond its limit.
#[test]
fn the_mark_of_a_soft_limit_is_no_trailer_of_a_client() {
    let mut bootstrap = with_limits(json!([
        { "name": "soft", "key": { "header": "x-tenant" }, "rate": "1000/h", "action": "soft" },
    ]));
    bootstrap.pass_trailers();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let request = Request::new("POST", "/users/1")
        .header("x-tenant", "acme")
        .header("x-gatehouse-over-limit", "forged")
        .body("abc")
        .trailer("x-gatehouse-over-limit", "forged")
        .trailer("x_gatehouse_over_limit", "forged")
        .trailer("x-checksum", "abc");
    let echo = gateway.h2().send(&request).echo();
    let names: Vec<_> = echo.trailers.keys().map(String::as_str).collect();
    assert_eq!(names, ["x-checksum"], "{:?}", echo.trailers);
    assert!(echo.header("x-gatehouse-over-limit").is_empty());
    assert_eq!(echo.body, "abc");
    assert_eq!(counter(&gateway, "internal"), 0);
}
