//! Any JSON as a key set: what is taken is what its JSON Web Key says, and strong enough.

use auth_policy::Algorithm;
use auth_policy::key_set::KeySet;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filter_config::FieldPath;
use serde_json::{Value, json};

use crate::{auth, json};

/// # Panics
/// A key is taken that is weak, of another type than it says, not for signatures, or one of two with one id.
pub fn run(input: &[u8]) {
    let Ok(set) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    let Ok(keys) = KeySet::from_jwks(&set, &FieldPath::root()) else {
        return;
    };
    let listed: Vec<&Value> = json::items(&set, "keys").collect();
    assert_eq!(
        keys.iter().count(),
        listed.len(),
        "a key is left out unsaid"
    );
    let mut ids = std::collections::BTreeSet::new();
    for (key, jwk) in keys.iter().zip(listed) {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            text(name)
                .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
                .unwrap_or_default()
        };
        assert_eq!(key.key_id(), text("kid"));
        assert!(
            key.key_id().is_none_or(|id| ids.insert(id.to_owned())),
            "two keys of one id"
        );
        assert!(text("use").is_none_or(|purpose| purpose == "sig"));
        assert!(text("alg").is_none_or(|name| name == key.algorithm().name()));
        match key.algorithm() {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => {
                assert_eq!(text("kty"), Some("RSA"));
                let modulus = bytes("n");
                let bits = modulus.len() * 8
                    - modulus
                        .first()
                        .map_or(8, |byte| byte.leading_zeros() as usize);
                assert!(
                    bits >= 2048 && modulus.last().is_some_and(|byte| byte % 2 == 1),
                    "{bits}"
                );
                assert!(bytes("e").last().is_some_and(|byte| byte % 2 == 1) && bytes("e") != [1]);
            }
            Algorithm::Es256 | Algorithm::Es256k | Algorithm::Es384 | Algorithm::Es512 => {
                let (curve, length) = match key.algorithm() {
                    Algorithm::Es256 => ("P-256", 32),
                    Algorithm::Es256k => ("secp256k1", 32),
                    Algorithm::Es384 => ("P-384", 48),
                    _ => ("P-521", 66),
                };
                assert_eq!((text("kty"), text("crv")), (Some("EC"), Some(curve)));
                assert_eq!((bytes("x").len(), bytes("y").len()), (length, length));
            }
            Algorithm::EdDsa => {
                assert_eq!((text("kty"), text("crv")), (Some("OKP"), Some("Ed25519")));
                assert_eq!(bytes("x").len(), 32);
            }
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                // RFC 7518 section 3.2: as long as the hash at least.
                let least = match key.algorithm() {
                    Algorithm::Hs256 => 32,
                    Algorithm::Hs384 => 48,
                    _ => 64,
                };
                assert_eq!(text("kty"), Some("oct"));
                assert!(bytes("k").len() >= least);
            }
        }
    }
}

/// The sets of the example and of a secret, and keys that are not to be taken.
pub fn seeds() -> Vec<Vec<u8>> {
    let example: Value =
        serde_json::from_str(&auth::configuration::example()).expect("the example is JSON");
    let modulus = URL_SAFE_NO_PAD.encode([0xc5; 256]);
    let mut sets = vec![auth::secret_keys()];
    for provider in json::at(&example, &["jwt", "providers"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        sets.push(provider["jwks"].clone());
    }
    sets.push(json!({ "keys": [{ "kty": "RSA", "kid": "rs", "e": "AQAB", "n": modulus, "use": "sig", "key_ops": ["verify"] }] }));
    sets.push(json!({ "keys": [{ "kty": "RSA", "e": "Aw", "n": modulus, "alg": "RS256" }, { "kty": "RSA", "e": "AQAB", "n": "AQAB" }] }));
    sets.iter()
        .map(|set| set.to_string().into_bytes())
        .collect()
}
