//! Whatever a client sends: no panic, and no way past a rule that protects.

mod support;

use std::sync::LazyLock;

use auth_policy::jws::CompactJws;
use auth_policy::{Decision, Policy, Step};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_message::{HeaderMap, RequestHead};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use support::{KEYS, NOW, SECRET_ISSUER, claims_with, config, decide, policy};

static POLICY: LazyLock<Policy> = LazyLock::new(|| policy(&config()));

static TOKENS: LazyLock<[String; 3]> = LazyLock::new(|| KEYS.tokens(&claims_with(json!({}))));

/// Whether a request with these header pairs got past a rule that asks for a credential.
fn passes(path: &[u8], pairs: &[(Vec<u8>, Vec<u8>)]) -> bool {
    let pseudo = [
        (&b":method"[..], &b"GET"[..]),
        (b":authority", b"a"),
        (b":path", path),
    ];
    let all = pseudo.into_iter().chain(
        pairs
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice())),
    );
    let head = RequestHead::new(HeaderMap::from_pairs(all));
    match decide(&POLICY, &head, NOW) {
        Step::Forward(forward) => {
            forward.decision == Decision::Allow && forward.rule != Some("health")
        }
        Step::Reply(_) => false,
        Step::Verify(_) | Step::Attempt | Step::Await(_) => unreachable!("`decide` answers these"),
    }
}

fn authorization(token: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![(b"authorization".to_vec(), [b"Bearer ", token].concat())]
}

/// Header names near to those that mean something.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"authorization".to_vec()),
        Just(b"x-api-key".to_vec()),
        Just(b"x_api_key".to_vec()),
        Just(b"content-type".to_vec()),
        Just(b"x-user".to_vec()),
        vec(any::<u8>(), 0..12),
    ]
}

/// A part of a token: arbitrary bytes, or base64url of JSON that is nearly right.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just(r#"{"alg":"RS256","kid":"rs"}"#.to_owned()),
        Just(r#"{"alg":"ES256","kid":"es"}"#.to_owned()),
        Just(r#"{"alg":"EdDSA","kid":"ed"}"#.to_owned()),
        Just(r#"{"alg":"HS256","kid":"hs"}"#.to_owned()),
        Just(r#"{"alg":"none"}"#.to_owned()),
        Just(format!(
            r#"{{"iss":"{SECRET_ISSUER}","aud":"api","exp":1800000300}}"#
        )),
        Just(claims_with(json!({})).to_string()),
        ".{0,40}",
    ];
    prop_oneof![
        json.prop_map(|text| URL_SAFE_NO_PAD.encode(text).into_bytes()),
        vec(any::<u8>(), 0..48),
        vec(any::<u8>(), 0..300).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes).into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    // A panic in here would take a worker's VM and all its requests with it.
    #[test]
    fn arbitrary_tokens_are_refused(token in vec(any::<u8>(), 0..200)) {
        let _ = CompactJws::parse(&token);
        prop_assert!(!passes(b"/orders", &authorization(&token)));
    }

    #[test]
    fn tokens_of_likely_parts_are_refused(parts in vec(part(), 1..6)) {
        prop_assert!(!passes(b"/orders", &authorization(&parts.join(&b'.'))));
        prop_assert!(!passes(b"/tokens", &authorization(&parts.join(&b'.'))));
    }

    #[test]
    fn arbitrary_headers_are_refused(pairs in vec((name(), vec(any::<u8>(), 0..64)), 0..8)) {
        prop_assert!(!passes(b"/orders", &pairs));
    }

    // A path that reads as `/orders` for some upstream must not read as something open for us.
    #[test]
    fn arbitrary_paths_are_refused(path in vec(any::<u8>(), 0..64)) {
        prop_assert!(!passes(&path, &[]));
        prop_assert!(!passes(&[b"/orders/", path.as_slice()].concat(), &[]));
        prop_assert!(!passes(&[b"/orders?api_key=", path.as_slice()].concat(), &[]));
    }

    // One character changed anywhere, and no algorithm lets the token through.
    #[test]
    fn changed_tokens_are_refused(which in 0..3usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut token = TOKENS[which].clone().into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        prop_assert!(!passes(b"/orders", &authorization(&token)));
        token.truncate(at);
        prop_assert!(!passes(b"/orders", &authorization(&token)));
    }
}

#[test]
fn the_tokens_that_are_changed_are_good_ones() {
    // Otherwise the property above would hold for the wrong reason.
    for token in TOKENS.iter() {
        assert!(passes(b"/orders", &authorization(token.as_bytes())));
    }
}
