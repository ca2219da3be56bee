//! Any configuration and any request: the buckets that it is counted in.

use http_message::HeaderMap;
use rate_limit_policy::{Facts, Policy, Step};
use serde_json::Value;
use shared_table::HashKey;

use crate::{join, json, parts, rate_limit, request};

/// # Panics
/// A request is counted for a limit that is not its own, in a slot that no table has, or in another when it comes again with
/// a header that no limit looks at.
pub fn run(input: &[u8]) {
    let Some((config, text)) = parts(input) else {
        return;
    };
    let Ok(policy) = Policy::from_bytes(config) else {
        return;
    };
    let Ok(config) = serde_json::from_slice::<Value>(config) else {
        return;
    };
    let head = request::read(text);
    let facts = Facts {
        address: Some(b"192.0.2.7:4711".to_vec()),
        ..Facts::default()
    };
    let instance = policy.instance(HashKey::new([7; HashKey::BYTES]), b"fuzz");
    let slots = json::at(&config, &["table", "slots"])
        .and_then(Value::as_u64)
        .unwrap_or(u64::MAX);
    let limits: Vec<&str> = json::items(&config, "limits")
        .filter_map(|limit| limit["name"].as_str())
        .collect();
    let places = match policy.decide(&head, &facts, &instance).step {
        Step::Draw(draws) => {
            let mut names = limits.iter();
            for draw in &draws {
                assert!(
                    names.any(|name| *name == draw.name()),
                    "limits in the order of the configuration, each once"
                );
                let number = draw
                    .slot()
                    .rsplit('/')
                    .next()
                    .and_then(|number| number.parse::<u64>().ok());
                assert!(
                    number.is_some_and(|number| number < slots),
                    "{}",
                    draw.slot()
                );
                let limit =
                    json::items(&config, "limits").find(|limit| limit["name"] == draw.name());
                let cost = limit.and_then(|limit| limit.get("cost"));
                // Any other cost may come to more than a bucket ever has.
                if cost.is_none_or(|cost| cost.is_null() || cost.is_u64()) {
                    assert!(draw.take(None, 1).admits(), "a fresh bucket has a token");
                }
            }
            draws.iter().map(|draw| draw.slot().to_owned()).collect()
        }
        Step::Forward => Vec::new(),
        Step::Reply(problem, _) => {
            assert!((400..600).contains(&problem.status));
            return;
        }
    };
    let pairs = head
        .headers()
        .iter()
        .chain([(&b"x-fuzz-nobody-looks-at-this"[..], &b"1"[..])]);
    let again = http_message::RequestHead::new(HeaderMap::from_pairs(pairs));
    if let Step::Draw(draws) = policy.decide(&again, &facts, &instance).step {
        assert!(
            draws.iter().map(|draw| draw.slot()).eq(&places),
            "a header mints buckets"
        );
    }
}

/// The example with requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let example = rate_limit::configuration::example();
    let requests = [
        "GET /users",
        "POST /orders\nx-consumer: acme",
        "GET /\nx-tenant: a",
        "GET /\nx-tenant: a\nx-tenant: b",
        "GET /\ncf-connecting-ip: 203.0.113.9\nx-forwarded-for: 2001:db8::1, 10.0.0.1",
        "POST /a.B/C\ncontent-type: application/grpc",
    ];
    requests
        .iter()
        .map(|request| join(&example, request))
        .collect()
}
