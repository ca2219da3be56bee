//! Refusals arrive in the form that each caller reads, and say when to come back.

use envoy_harness::{Gateway, Request};
use serde_json::json;

use super::with_limits;

#[test]
fn each_caller_is_told_in_its_own_form() {
    let Some(gateway) = Gateway::start(&with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 2 },
    ]))) else {
        return;
    };
    let (h1, h2) = (gateway.h1(), gateway.h2());
    let request = Request::get("/users/1").header("x-tenant", "acme");
    for (left, client) in [(1, &h1), (0, &h2)] {
        let answer = client.send(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.header("ratelimit").unwrap_or_default();
        assert!(
            said.starts_with(&format!("\"tenant\";r={left};t=")),
            "{said}"
        );
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"tenant\";q=2;w=7200")
        );
        assert_eq!(
            answer.header("x-ratelimit-remaining"),
            Some(&*left.to_string())
        );
    }
    for client in [&h1, &h2] {
        let answer = client.send(&request);
        assert_eq!(answer.status, 429);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let wait: u64 = answer
            .header("retry-after")
            .unwrap_or_default()
            .parse()
            .unwrap();
        assert!((3500..=3600).contains(&wait), "{wait}");
        // Once: Envoy runs replies of a filter through that filter's response callbacks too.
        let said = format!("\"tenant\";r=0;t={wait}");
        assert_eq!(answer.headers.get_all("ratelimit").iter().count(), 1);
        assert_eq!(answer.header("ratelimit"), Some(&*said));
        let body = answer.json();
        assert_eq!(
            body["type"],
            "https://iana.org/assignments/http-problem-types#quota-exceeded"
        );
        assert_eq!(body["violated-policies"], json!(["tenant"]));
    }
    let answer = h2.send(&Request::grpc("/inventory.v1.Stock/Get", b"").header("x-tenant", "acme"));
    assert_eq!(answer.grpc_status(), Some(8), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    let pushback: u64 = answer
        .header("grpc-retry-pushback-ms")
        .unwrap()
        .parse()
        .unwrap();
    assert!((3_500_000..=3_600_000).contains(&pushback), "{pushback}");
    // RetryInfo and QuotaFailure; what is in them is the policy's test.
    assert!(answer.header("grpc-status-details-bin").is_some());
    let answer =
        h1.send(&Request::grpc_web("/inventory.v1.Stock/Get", b"").header("x-tenant", "acme"));
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("8"))
    );
    // Without the header there is nothing to count by.
    assert_eq!(h1.send(&Request::get("/users/1")).status, 403);
}
