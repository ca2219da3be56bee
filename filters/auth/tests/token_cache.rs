//! The token cache on the fake host: what a flood does to it, and what an operator sees of it.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use fake_host::{FilterStatus, Host, Vm, VmOptions};
use serde_json::{Value, json};
use support::{NOW, config, raw_token, secret_token, signed_with};

/// How many tokens the cache holds.
const ROOM: usize = 8;

fn start() -> Vm {
    let host = Host::new();
    host.clock().set_realtime(NOW);
    let mut config = config();
    config["jwt"]["token_cache"] = json!({ "max_entries": ROOM });
    let options = VmOptions::new("auth", gatehouse_auth::register).config(config.to_string());
    host.start(options).expect("a good configuration")
}

fn passes(vm: &Vm, token: &str) -> bool {
    let bearer = format!("Bearer {token}");
    let mut stream = vm.request([
        (":method", "GET"),
        (":authority", "api"),
        (":path", "/tokens"),
        ("authorization", &bearer),
    ]);
    stream.request_headers(true) == FilterStatus::Continue
}

fn token(subject: usize) -> String {
    secret_token(json!({ "sub": format!("user-{subject}") }))
}

/// Hits, misses and evictions, as the host has been told by the next tick.
fn told(vm: &Vm) -> [u64; 3] {
    vm.tick();
    ["hits", "misses", "evicted"]
        .map(|name| vm.counter(&format!("gatehouse.auth.token_cache_{name}")))
}

/// Tokens that are bad in every way that is found out late.
fn bad(number: usize) -> String {
    let claims = |changes: Value| {
        let mut claims = support::claims_with(changes);
        claims["iss"] = support::SECRET_ISSUER.into();
        claims["jti"] = number.into();
        claims.to_string()
    };
    let header = r#"{"alg":"HS256","kid":"hs"}"#;
    match number % 5 {
        0 => signed_with(
            b"not the secret, but as long as it",
            header,
            &claims(json!({})),
        ),
        1 => raw_token(header, &claims(json!({ "exp": NOW.as_secs() - 100 }))),
        2 => raw_token(header, &claims(json!({ "nbf": NOW.as_secs() + 1000 }))),
        3 => raw_token(header, &claims(json!({ "aud": "other" }))),
        _ => raw_token(header, &claims(json!({ "sub": "x".repeat(2000) }))),
    }
}

// The bound that the README states: bad tokens, properly signed ones too, push out none that is good.
#[test]
fn a_flood_of_distinct_bad_tokens_pushes_out_nothing() {
    let vm = start();
    let good: Vec<_> = (0..ROOM).map(token).collect();
    assert!(good.iter().all(|token| passes(&vm, token)));
    assert_eq!(told(&vm), [0, 8, 0]);
    for number in 0..2_000 {
        assert!(!passes(&vm, &bad(number)), "{number}");
    }
    assert_eq!(told(&vm), [0, 2_008, 0]);
    assert!(good.iter().all(|token| passes(&vm, token)));
    assert_eq!(told(&vm), [8, 2_008, 0], "each was there");
}

// And the bound for somebody who has good ones: as many of his own as there is room for.
#[test]
fn a_flood_of_good_tokens_leaves_those_that_are_used() {
    let vm = start();
    let (busy, idle) = (token(0), token(1));
    assert!(passes(&vm, &busy) && passes(&vm, &idle));
    for number in 2..200 {
        assert!(passes(&vm, &token(number)) && passes(&vm, &busy));
    }
    let [hits, misses, evicted] = told(&vm);
    assert_eq!([hits, misses, evicted], [198, 200, 200 - ROOM as u64]);
    assert!(passes(&vm, &busy) && passes(&vm, &idle));
    assert_eq!(
        told(&vm),
        [199, 201, 193],
        "the idle one was verified again"
    );
}

// A counter for each request would cost what the cache saves; and what is counted has to be told when nobody calls any more.
#[test]
fn what_is_counted_is_told_once_a_tick() {
    let vm = start();
    assert_eq!(vm.tick_period(), Some(std::time::Duration::from_secs(1)));
    let token = token(0);
    for _ in 0..10 {
        assert!(passes(&vm, &token));
    }
    assert_eq!(vm.counter("gatehouse.auth.token_cache_hits"), 0);
    assert_eq!(told(&vm), [9, 1, 0]);
    assert_eq!(told(&vm), [9, 1, 0]);
}
