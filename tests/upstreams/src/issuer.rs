//! The token issuer: three key pairs, and tokens signed with them on request.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{ECDSAP256PublicKeyLike, EdDSAKeyPairLike};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::SigningKeys;

/// `iss` of an issuer that was given no other name.
pub const DEFAULT_ISSUER: &str = "https://issuer.gatehouse.test";

/// Signature algorithms of the issuer's keys (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    #[default]
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RS256, Self::ES256, Self::EdDSA];

    /// The `alg` of a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The `kid` of the issuer's key for it.
    pub fn key_id(self) -> &'static str {
        match self {
            Self::RS256 => "rs256-1",
            Self::ES256 => "es256-1",
            Self::EdDSA => "eddsa-1",
        }
    }
}

/// What `/token` is asked for. Lists are words with spaces or commas between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Algorithm, ES256 if not given.
    #[serde(default)]
    pub alg: Algorithm,
    /// `sub`.
    pub sub: Option<String>,
    /// `aud`, `api` if not given.
    pub aud: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `groups`, an array in the token.
    pub groups: Option<String>,
    /// `azp`, the client that the token was issued to.
    pub azp: Option<String>,
    /// `plan`.
    pub plan: Option<String>,
    /// Seconds from now to `exp`, 300 if not given; below zero the token has expired already.
    pub ttl: Option<i64>,
}

impl TokenRequest {
    /// The query that asks `/token` for it.
    pub fn query(&self) -> String {
        let texts = [
            ("sub", &self.sub),
            ("aud", &self.aud),
            ("scope", &self.scope),
            ("groups", &self.groups),
            ("azp", &self.azp),
            ("plan", &self.plan),
        ];
        let mut query = format!("alg={}", self.alg.name());
        for (name, value) in texts {
            if let Some(value) = value {
                // A form's query (WHATWG URL, application/x-www-form-urlencoded): what is not plain is percent-encoded.
                query.push_str(&format!("&{name}="));
                for byte in value.bytes() {
                    match byte {
                        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                            query.push(char::from(byte));
                        }
                        _ => query.push_str(&format!("%{byte:02X}")),
                    }
                }
            }
        }
        if let Some(ttl) = self.ttl {
            query.push_str(&format!("&ttl={ttl}"));
        }
        query
    }
}

/// An issuer and its keys.
pub struct Issuer {
    name: String,
    rsa: RsaKeyPair,
    ecdsa: EcdsaKeyPair,
    eddsa: ring::signature::Ed25519KeyPair,
    key_set: Value,
    random: SystemRandom,
}

impl Issuer {
    /// An issuer with keys of its own. Takes about a second: RSA keys are slow to make.
    pub fn generate(name: impl Into<String>) -> Self {
        Self::with_keys(name, &SigningKeys::generate())
    }

    /// An issuer with these keys.
    ///
    /// Keys come from jwt-simple and signatures from ring, so that a token is never checked by the code that signed it.
    pub fn with_keys(name: impl Into<String>, keys: &SigningKeys) -> Self {
        let random = SystemRandom::new();
        let SigningKeys { rsa, ecdsa, eddsa } = keys;
        let keys = [
            key(Algorithm::RS256, &rsa.public_key().to_jwk()),
            key(Algorithm::ES256, &ecdsa.public_key().to_jwk()),
            key(Algorithm::EdDSA, &eddsa.public_key().to_jwk()),
        ];
        Self {
            name: name.into(),
            rsa: RsaKeyPair::from_pkcs8(&rsa.to_der().expect("a new key has a DER form"))
                .expect("ring takes PKCS #8 of 2048 bits"),
            ecdsa: EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &ecdsa.to_bytes(),
                &ecdsa.public_key().public_key().to_bytes_uncompressed(),
                &random,
            )
            .expect("ring takes a P-256 scalar and its point"),
            // jwt-simple's bytes are the seed and the public key, 32 bytes each.
            eddsa: ring::signature::Ed25519KeyPair::from_seed_and_public_key(
                &eddsa.to_bytes()[..32],
                &eddsa.key_pair().public_key().to_bytes(),
            )
            .expect("ring takes an Ed25519 seed and its key"),
            key_set: json!({ "keys": keys }),
            random,
        }
    }

    /// The issuer's name, `iss` in its tokens.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public keys (RFC 7517).
    pub fn key_set(&self) -> &Value {
        &self.key_set
    }

    /// The token that `/token` gives for a request.
    pub fn token(&self, request: &TokenRequest) -> String {
        let words = |text: &str| {
            text.split([' ', ','])
                .filter(|word| !word.is_empty())
                .map(Value::from)
                .collect()
        };
        let mut claims = Map::new();
        if let Some(aud) = &request.aud {
            claims.insert("aud".into(), aud.as_str().into());
        }
        for (name, value) in [
            ("sub", &request.sub),
            ("scope", &request.scope),
            ("azp", &request.azp),
            ("plan", &request.plan),
        ] {
            if let Some(value) = value {
                claims.insert(name.into(), value.as_str().into());
            }
        }
        if let Some(groups) = &request.groups {
            claims.insert("groups".into(), Value::Array(words(groups)));
        }
        if let Some(ttl) = request.ttl {
            claims.insert("exp".into(), now().saturating_add(ttl).into());
        }
        self.token_with_claims(request.alg, claims)
    }

    /// A token of well-formed header and `iss`, `aud`, `iat`, `exp` as usual, over which `claims` are laid; a claim given as
    /// `null` is left out.
    pub fn token_with_claims(&self, algorithm: Algorithm, claims: Map<String, Value>) -> String {
        let all = with_usual_claims(&self.name, claims);
        let header = json!({ "alg": algorithm.name(), "kid": algorithm.key_id(), "typ": "JWT" });
        self.sign(
            algorithm,
            header.to_string().as_bytes(),
            Value::Object(all).to_string().as_bytes(),
        )
    }

    /// Any header and payload, well-formed or not, under a good signature (RFC 7515 section 7.1): what an attack needs to
    /// get past the signature check.
    pub fn sign(&self, algorithm: Algorithm, header: &[u8], payload: &[u8]) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = self.signature(algorithm, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The signature of `message` as RFC 7518 lays it out.
    pub fn signature(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        match algorithm {
            Algorithm::RS256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
                    .expect("the buffer has the length of the modulus");
                signature
            }
            Algorithm::ES256 => self
                .ecdsa
                .sign(&self.random, message)
                .expect("the system has random numbers")
                .as_ref()
                .to_vec(),
            Algorithm::EdDSA => self.eddsa.sign(message).as_ref().to_vec(),
        }
    }

    /// `/.well-known/jwks.json`, `/.well-known/openid-configuration`, `/token` (parameters in the query, GET or POST) and
    /// `/healthz`.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route(
                "/.well-known/jwks.json",
                get(async |State(issuer): State<Arc<Self>>| Json(issuer.key_set.clone())),
            )
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/token", get(token).post(token))
            .route("/healthz", get(async || "ok\n"))
            .with_state(self)
    }
}

/// What every token says, over which `claims` are laid; one given as `null` is left out.
pub(crate) fn with_usual_claims(issuer: &str, claims: Map<String, Value>) -> Map<String, Value> {
    let now = now();
    let mut all = Map::new();
    all.insert("iss".into(), issuer.into());
    all.insert("aud".into(), "api".into());
    all.insert("iat".into(), now.into());
    all.insert("exp".into(), now.saturating_add(300).into());
    for (name, value) in claims {
        match value {
            Value::Null => all.remove(&name),
            value => all.insert(name, value),
        };
    }
    all
}

async fn metadata(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let name = &issuer.name;
    Json(json!({
        "issuer": name,
        "jwks_uri": format!("{name}/.well-known/jwks.json"),
        "token_endpoint": format!("{name}/token"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
    }))
}

async fn token(
    State(issuer): State<Arc<Issuer>>,
    Query(request): Query<TokenRequest>,
) -> (StatusCode, [(&'static str, &'static str); 1], Json<Value>) {
    let body = json!({
        "access_token": issuer.token(&request),
        "token_type": "Bearer",
        "expires_in": request.ttl.unwrap_or(300),
    });
    (StatusCode::OK, [("cache-control", "no-store")], Json(body))
}

/// A public key of jwt-simple as a member of a key set.
fn key(algorithm: Algorithm, jwk: &str) -> Value {
    let mut key: Value = serde_json::from_str(jwk).expect("jwt-simple writes JSON");
    key["kid"] = algorithm.key_id().into();
    key["alg"] = algorithm.name().into();
    key["use"] = "sig".into();
    key
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jwt_simple::prelude::*;

    use super::*;

    // Without it a test of the gateway could fail, or pass, because the issuer's own tokens are bad.
    #[test]
    fn every_token_is_verified_by_its_key_in_the_set() {
        let issuer = Issuer::generate(DEFAULT_ISSUER);
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([DEFAULT_ISSUER.to_string()])),
            allowed_audiences: Some(HashSet::from(["api".to_string()])),
            ..Default::default()
        };
        for algorithm in Algorithm::ALL {
            let keys = issuer.key_set()["keys"].as_array().unwrap();
            let key = keys
                .iter()
                .find(|key| key["kid"] == algorithm.key_id())
                .unwrap()
                .to_string();
            let request = TokenRequest {
                alg: algorithm,
                sub: Some("alice".into()),
                groups: Some("a b".into()),
                ..Default::default()
            };
            let token = issuer.token(&request);
            let options = options.clone();
            let claims: JWTClaims<Value> = match algorithm {
                Algorithm::RS256 => RS256PublicKey::from_jwk(&key)
                    .unwrap()
                    .verify_token(&token, Some(options)),
                Algorithm::ES256 => ES256PublicKey::from_jwk(&key)
                    .unwrap()
                    .verify_token(&token, Some(options)),
                Algorithm::EdDSA => Ed25519PublicKey::from_jwk(&key)
                    .unwrap()
                    .verify_token(&token, Some(options)),
            }
            .unwrap();
            assert_eq!(claims.subject.as_deref(), Some("alice"));
            assert_eq!(claims.custom["groups"], json!(["a", "b"]));
        }
    }

    // Without it a tour of another gateway could ask for other tokens than it needs, and test nothing.
    #[test]
    fn a_query_asks_for_what_the_request_says() {
        let request = TokenRequest {
            alg: Algorithm::RS256,
            sub: Some("a&b=ü".into()),
            scope: Some("orders:read orders:write".into()),
            ttl: Some(-1),
            ..TokenRequest::default()
        };
        let uri = format!("/token?{}", request.query()).parse().unwrap();
        let Query(read): Query<TokenRequest> = Query::try_from_uri(&uri).unwrap();
        assert_eq!(read, request);
    }

    // Without it a test that leaves a claim out would send it all the same.
    #[test]
    fn a_claim_given_as_null_is_left_out() {
        let issuer = Issuer::generate("https://other.test");
        let token = issuer.token_with_claims(
            Algorithm::ES256,
            Map::from_iter([("exp".to_string(), Value::Null)]),
        );
        let payload = URL_SAFE_NO_PAD
            .decode(token.split('.').nth(1).unwrap())
            .unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["iss"], "https://other.test");
        assert!(claims.get("exp").is_none());
    }
}
