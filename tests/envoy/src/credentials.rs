//! The credentials that the tests and the demo put in the place of those in `envoy/envoy.yaml`, which nobody has.

use serde_json::Value;
use sha2::{Digest, Sha256};
use upstreams::Issuer;

/// The API key that stands in for the one with this id.
pub fn demo_key(id: &str) -> String {
    format!("demo-key-of-{id}")
}

/// In a configuration of auth: every API key without a pepper becomes its [`demo_key`], and a provider of that issuer gets its keys.
pub fn install_credentials(auth: &mut Value, issuer: &Issuer) {
    let keys = auth
        .pointer_mut("/api_keys/keys")
        .and_then(Value::as_array_mut);
    for key in keys.into_iter().flatten() {
        if let Some(id) = key["id"].as_str()
            && key.get("hmac_sha256").is_none()
        {
            key["sha256"] = hex(&Sha256::digest(demo_key(id))).into();
        }
    }
    let providers = auth
        .pointer_mut("/jwt/providers")
        .and_then(Value::as_array_mut);
    for provider in providers.into_iter().flatten() {
        // Keys that are fetched come from where a test says.
        let is_fetched = ["remote", "discovery"]
            .iter()
            .any(|way| provider["jwks"].get(way).is_some());
        if provider["issuer"] == issuer.name() && !is_fetched {
            provider["jwks"] = issuer.key_set().clone();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Without it the demo's keys could be refused, or a provider of another issuer be given keys that are not its own.
    #[test]
    fn only_what_belongs_to_the_demo_is_replaced() {
        let issuer = Issuer::generate("https://one.test");
        let mut auth = json!({
            "api_keys": { "keys": [{ "id": "a", "sha256": "00" }] },
            "jwt": { "providers": [
                { "issuer": "https://one.test", "jwks": {} },
                { "issuer": "https://two.test", "jwks": {} },
                { "issuer": "https://one.test", "jwks": { "remote": {} } },
            ] },
        });
        install_credentials(&mut auth, &issuer);
        // printf %s demo-key-of-a | sha256sum
        assert_eq!(
            auth["api_keys"]["keys"][0]["sha256"],
            "13f6f9ce0adfcf2c44aebc9feb639cb43b7776dc9e0a3adbbe075a481b476d5f"
        );
        assert_eq!(auth["jwt"]["providers"][0]["jwks"], *issuer.key_set());
        assert_eq!(auth["jwt"]["providers"][1]["jwks"], json!({}));
        assert_eq!(auth["jwt"]["providers"][2]["jwks"], json!({ "remote": {} }));
    }
}
