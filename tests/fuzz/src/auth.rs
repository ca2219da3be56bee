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

/// A key set with that secret.
fn secret_keys() -> Value {
    json!({ "keys": [{ "kty": "oct", "kid": "hs", "k": URL_SAFE_NO_PAD.encode(SECRET) }] })
}

/// A token with this header and payload, rightly signed.
fn signed(header: &[u8], payload: &[u8]) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Whether an HMAC with this secret is on a token. It knows nothing of what the parts hold.
fn is_signed_with(secret: &[u8], token: &str) -> bool {
    let Some((input, tag)) = token.rsplit_once('.') else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    URL_SAFE_NO_PAD
        .decode(tag)
        .is_ok_and(|tag| hmac::verify(&key, input.as_bytes(), &tag).is_ok())
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
