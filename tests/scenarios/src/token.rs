//! Tokens as data: a vehicle holds the keys and signs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::gateway::{AUDIENCE, HMAC_ISSUER, ISSUER};

/// A key of the vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA, 2048 bits, in the key set as `rs256-1`.
    Rs256,
    /// P-256, in the key set as `es256-1`.
    Es256,
    /// Ed25519, in the key set as `eddsa-1`.
    EdDsa,
    /// The secret [`HMAC_SECRET`](crate::gateway::HMAC_SECRET), in the key set of provider `hmac` as `hs256-1`.
    Hs256,
    /// P-256, in no key set.
    Stranger,
}

impl Key {
    /// The `alg` of tokens signed with it (RFC 7518 section 3.1, RFC 8037).
    pub fn algorithm(self) -> &'static str {
        match self {
            Key::Rs256 => "RS256",
            Key::Es256 | Key::Stranger => "ES256",
            Key::EdDsa => "EdDSA",
            Key::Hs256 => "HS256",
        }
    }

    /// The `kid` of tokens signed with it. The stranger claims to be the P-256 key of the set.
    pub fn id(self) -> &'static str {
        match self {
            Key::Rs256 => "rs256-1",
            Key::Es256 | Key::Stranger => "es256-1",
            Key::EdDsa => "eddsa-1",
            Key::Hs256 => "hs256-1",
        }
    }
}

/// What a token says.
#[derive(Clone, Debug)]
pub struct TokenSpec {
    /// What it is signed with.
    pub key: Key,
    /// Members of the header beside `alg`, `kid` and `typ`; one given as `null` is left out.
    pub header: Map<String, Value>,
    /// Claims beside `iss`, `aud`, `sub`, `iat`, `exp`; one given as `null` is left out.
    pub claims: Map<String, Value>,
    /// Seconds from now to `exp`.
    pub expires_in: i64,
    /// Seconds from now to `nbf`, if it is there.
    pub valid_in: Option<i64>,
}

impl TokenSpec {
    /// A token of subject `alice` that is good for five minutes.
    pub fn new(key: Key) -> Self {
        TokenSpec {
            key,
            header: Map::new(),
            claims: Map::new(),
            expires_in: 300,
            valid_in: None,
        }
    }

    /// Sets a claim; `null` leaves it out.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a member of the header; `null` leaves it out.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `exp` to so many seconds from now.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.expires_in = seconds;
        self
    }

    /// Sets `nbf` to so many seconds from now.
    pub fn valid_in(mut self, seconds: i64) -> Self {
        self.valid_in = Some(seconds);
        self
    }

    /// The compact form (RFC 7515 section 7.1). `now` is in seconds since 1970; `sign` gives the signature as RFC 7518 lays
    /// it out.
    pub fn compact(&self, now: i64, sign: impl FnOnce(Key, &[u8]) -> Vec<u8>) -> String {
        let mut header = Map::from_iter([
            ("alg".to_owned(), json!(self.key.algorithm())),
            ("kid".to_owned(), json!(self.key.id())),
            ("typ".to_owned(), json!("JWT")),
        ]);
        lay_over(&mut header, &self.header);
        let issuer = match self.key {
            Key::Hs256 => HMAC_ISSUER,
            _ => ISSUER,
        };
        let mut claims = Map::from_iter([
            ("iss".to_owned(), json!(issuer)),
            ("aud".to_owned(), json!(AUDIENCE)),
            ("sub".to_owned(), json!("alice")),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + self.expires_in)),
        ]);
        if let Some(seconds) = self.valid_in {
            claims.insert("nbf".to_owned(), json!(now + seconds));
        }
        lay_over(&mut claims, &self.claims);
        let encode =
            |object: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(object).to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(sign(self.key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn lay_over(object: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(token: &str) -> (Value, Value) {
        let mut parts = token.split('.').map(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            serde_json::from_slice(&bytes).unwrap_or(Value::Null)
        });
        (parts.next().unwrap(), parts.next().unwrap())
    }

    // A scenario that leaves a claim out would send it all the same, and pass for the wrong reason.
    #[test]
    fn null_leaves_a_member_out() {
        let spec = TokenSpec::new(Key::Es256)
            .claim("exp", Value::Null)
            .header("kid", Value::Null);
        let (header, claims) = parts(&spec.compact(1000, |_, _| Vec::new()));
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
        assert!(claims.get("exp").is_none());
        assert_eq!(claims["iat"], 1000);
    }

    #[test]
    fn times_are_relative_to_now() {
        let spec = TokenSpec::new(Key::Hs256).expires_in(-90).valid_in(30);
        let (_, claims) = parts(&spec.compact(1000, |_, _| Vec::new()));
        assert_eq!(
            (claims["exp"].as_i64(), claims["nbf"].as_i64()),
            (Some(910), Some(1030))
        );
        assert_eq!(claims["iss"], HMAC_ISSUER);
    }
}
