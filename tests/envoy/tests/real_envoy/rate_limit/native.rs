//! Envoy's own `local_ratelimit` and ours, in one Envoy, asked at the same times.

use std::time::{Duration, Instant};

use envoy_harness::{Bootstrap, Client, Gateway, Request};
use serde_json::{Value, json};

use super::{answered_by_envoy, with_limits};

/// `local_ratelimit` with this bucket in front of ours, each on paths of its own.
fn beside(native: &Value, ours: &Value) -> Bootstrap {
    let mut limit =
        json!({ "name": "ours", "key": "method", "match": { "path": { "prefix": "/ours" } } });
    let fields = ours.as_object().expect("fields of a limit").clone();
    limit.as_object_mut().expect("a limit").extend(fields);
    let mut bootstrap = with_limits(json!([limit]));
    answered_by_envoy(&mut bootstrap);
    let kind =
        "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
    let all = json!({ "default_value": { "numerator": 100 } });
    bootstrap.http_filters_mut().insert(
        0,
        json!({
            "name": "envoy.filters.http.local_ratelimit",
            "typed_config": { "@type": kind, "stat_prefix": "off" },
        }),
    );
    let direct = json!({ "status": 200 });
    bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"] = json!([
        { "match": { "prefix": "/native" }, "direct_response": direct, "typed_per_filter_config": {
            "envoy.filters.http.local_ratelimit": {
                "@type": kind, "stat_prefix": "native", "token_bucket": native,
                "filter_enabled": all, "filter_enforced": all,
            },
        } },
        { "match": { "prefix": "/ours" }, "direct_response": direct },
    ]);
    bootstrap
}

/// How late a request may be: no verdict of the tables changes within it, nor if the first requests came as late.
const LATE: Duration = Duration::from_millis(350);

/// How often a table is begun anew where requests were late.
const TRIES: usize = 10;

/// How many of so many requests are admitted.
fn admitted(client: &Client, path: &str, requests: usize) -> usize {
    let statuses = (0..requests).map(|_| client.send(&Request::get(path)).status);
    statuses
        .filter(|status| match status {
            200 => true,
            429 => false,
            other => panic!("status {other}"),
        })
        .count()
}

/// A table of times, the same verdicts: a burst, what it refuses, a part of what came since, all of it. Envoy fills its bucket bit by
/// bit since 1.34, as ours does, so both have the same at any time that is not within a moment of the next token.
#[test]
fn envoys_own_limiter_gives_the_same_verdicts_at_the_same_times() {
    // Milliseconds since the first, how many requests then, how many of them are admitted.
    type Table = &'static [(u64, usize, usize)];
    let tables: [(Value, Value, Table); 2] = [
        (
            json!({ "max_tokens": 10, "tokens_per_fill": 1, "fill_interval": "1s" }),
            json!({ "rate": "1/s", "burst": 10 }),
            &[
                (0, 15, 10),
                (1500, 3, 1),
                (3500, 4, 2),
                (4500, 1, 1),
                (4600, 2, 0),
            ],
        ),
        (
            json!({ "max_tokens": 3, "tokens_per_fill": 3, "fill_interval": "60s" }),
            json!({ "rate": "3/m", "burst": 3 }),
            &[(0, 2, 2), (200, 2, 1), (1200, 2, 0)],
        ),
    ];
    for (native, ours, table) in tables {
        let in_time = (0..TRIES).any(|_| {
            let Some(gateway) = Gateway::start(&beside(&native, &ours)) else {
                return true;
            };
            let client = gateway.h1();
            let start = Instant::now();
            table.iter().all(|(at, requests, expected)| {
                // The times are what is compared.
                std::thread::sleep(Duration::from_millis(*at).saturating_sub(start.elapsed()));
                let found = ["/native", "/ours"].map(|path| admitted(&client, path, *requests));
                let took = start.elapsed();
                // On a machine that is busy otherwise, requests come at other times than those of the table.
                if took > Duration::from_millis(*at).saturating_add(LATE) {
                    return false;
                }
                assert_eq!(found, [*expected; 2], "{ours} at {at} ms, {took:?}");
                true
            })
        });
        assert!(in_time, "{ours}: {TRIES} times requests were late");
    }
}
