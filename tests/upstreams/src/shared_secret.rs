//! An issuer that signs with a secret which it shares with those who verify (HS256).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};

use crate::issuer::with_usual_claims;

/// `kid` of the secret.
const KEY_ID: &str = "hs256-1";

/// Such an issuer. Whoever has its key set can sign, so that it is made for one run and stands in no file.
pub struct SharedSecret {
    name: String,
    secret: [u8; 32],
}

impl SharedSecret {
    /// An issuer of that name with a secret of its own.
    pub fn generate(name: impl Into<String>) -> Self {
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .expect("the system has random numbers");
        Self {
            name: name.into(),
            secret,
        }
    }

    /// The issuer's name, `iss` in its tokens.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret as a key set (RFC 7518 section 6.4).
    pub fn key_set(&self) -> Value {
        json!({ "keys": [{
            "kty": "oct", "kid": KEY_ID, "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(self.secret),
        }] })
    }

    /// A token, as [`Issuer::token_with_claims`](crate::Issuer::token_with_claims) makes it.
    pub fn token_with_claims(&self, claims: Map<String, Value>) -> String {
        let header = json!({ "alg": "HS256", "kid": KEY_ID, "typ": "JWT" });
        let claims = with_usual_claims(&self.name, claims);
        let signed = [header, Value::Object(claims)]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let signature = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
