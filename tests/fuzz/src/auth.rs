//! Targets of auth.

use auth_policy::{Evidence, Facts, Policy, Step};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_message::RequestHead;
use ring::hmac;
use serde_json::{Value, json};
use std::time::Duration;

pub mod configuration;
pub mod key_set;
pub mod rules;
pub mod token;

/// The time at which all of this happens.
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// The issuer whose tokens the targets can make.
const ISSUER: &str = "https://secret.gatehouse.test";

/// The secret that it signs with.
const SECRET: &[u8] = b"a secret of at least 32 bytes, for tests";

/// A longer secret of the same issuer, for the longer hashes.
const LONG_SECRET: &[u8] =
    b"another secret, of at least 64 bytes, because a hash of SHA-512 is as long as that";

/// A key set with both secrets.
fn secret_keys() -> Value {
    let long = URL_SAFE_NO_PAD.encode(LONG_SECRET);
    json!({ "keys": [
        { "kty": "oct", "kid": "hs", "k": URL_SAFE_NO_PAD.encode(SECRET) },
        { "kty": "oct", "kid": "hs384", "alg": "HS384", "k": long },
        { "kty": "oct", "kid": "hs512", "alg": "HS512", "k": long },
    ] })
}

/// The hash and the secret of an algorithm; of any other those of HS256.
fn hmac_key(algorithm: &str) -> hmac::Key {
    match algorithm {
        "HS384" => hmac::Key::new(hmac::HMAC_SHA384, LONG_SECRET),
        "HS512" => hmac::Key::new(hmac::HMAC_SHA512, LONG_SECRET),
        _ => hmac::Key::new(hmac::HMAC_SHA256, SECRET),
    }
}

/// What a header names, as a reader has it who knows nothing of ours.
fn algorithm(header: &[u8]) -> String {
    let header: Value = serde_json::from_slice(header).unwrap_or_default();
    header["alg"].as_str().unwrap_or_default().to_owned()
}

/// A token with this header and payload, rightly signed.
fn signed(header: &[u8], payload: &[u8]) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let tag = hmac::sign(&hmac_key(&algorithm(header)), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Whether an HMAC with this secret is on a token. It knows nothing of what the parts hold.
fn is_signed_with(secret: &[u8], token: &str) -> bool {
    is_signed(token, &hmac::Key::new(hmac::HMAC_SHA256, secret))
}

/// Whether the HMAC that the header names is on a token, under the secret for it.
fn is_rightly_signed(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    is_signed(token, &hmac_key(&algorithm(&header)))
}

fn is_signed(token: &str, key: &hmac::Key) -> bool {
    let Some((input, tag)) = token.rsplit_once('.') else {
        return false;
    };
    URL_SAFE_NO_PAD
        .decode(tag)
        .is_ok_and(|tag| hmac::verify(key, input.as_bytes(), &tag).is_ok())
}

/// Decides with every signature verified in this process.
fn decide<'p>(policy: &'p Policy, head: &RequestHead) -> Step<'p> {
    let (mut evidence, mut tokens) = (Evidence::new(), policy.token_cache([1, 2, 3, 4]));
    for _ in 0..=Evidence::MAX_ANSWERS {
        match policy.decide(head, &Facts::default(), &evidence, &mut tokens, NOW) {
            Step::Verify(check) => {
                let holds = check.verify();
                evidence.add(check, holds);
            }
            step => return step,
        }
    }
    panic!("asks for more signatures than it may");
}
