//! What only the host, or the host too, verifies with: digests other than SHA-256, and keys of P-521.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fake_host::{Answer, Cluster, FilterStatus, Host, Vm, VmOptions};
use jwt_simple::prelude::{
    Claims, ECDSAP384KeyPairLike as _, ES384KeyPair, PS384KeyPair, RS384KeyPair, RS512KeyPair,
    RSAKeyPairLike as _,
};
use p521::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use std::time::Duration;
use support::{KEYS, NOW, claims, claims_with, config};

fn without_function() -> Host {
    Host::new().without_foreign("verify_signature")
}

fn start(host: &Host, config: &Value) -> Result<Vm, String> {
    host.clock().set_realtime(NOW);
    let options = VmOptions::new("auth", gatehouse_auth::register).config(config.to_string());
    host.start(options).map_err(|refused| {
        let lines = refused.logs.into_iter().map(|line| line.text);
        lines
            .filter(|line| line.contains("refused"))
            .collect::<Vec<_>>()
            .join("\n")
    })
}

/// Whether a token passes, and how often the host was asked.
fn send(vm: &Vm, token: &str) -> (bool, usize) {
    let bearer = format!("Bearer {token}");
    let mut stream = vm.request([
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api"),
        (":path", "/tokens"),
        ("authorization", &bearer),
    ]);
    let passes = stream.request_headers(true) == FilterStatus::Continue;
    let calls = stream.host_calls("proxy_on_request_headers");
    let asked = calls
        .iter()
        .filter(|call| call.function == "proxy_call_foreign_function")
        .count();
    (passes, asked)
}

/// The key of ES512, and a token of it.
fn p521() -> (Value, String) {
    let key = p521::ecdsa::SigningKey::from_slice(&[1; 66]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(66);
    let jwk = json!({ "kty": "EC", "crv": "P-521", "kid": "es512",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    let header = r#"{"alg":"ES512","kid":"es512"}"#.to_owned();
    let input = [header, claims().to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
    let input = input.join(".");
    let signature: p521::ecdsa::Signature = key.sign(input.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
    (jwk, format!("{input}.{signature}"))
}

fn with_key(jwk: &Value) -> Value {
    let mut config = config();
    let keys = &mut config["jwt"]["providers"][0]["jwks"]["keys"];
    keys.as_array_mut().unwrap().push(jwk.clone());
    config
}

// A digest by another name would make the host refuse every token of that algorithm.
#[test]
fn the_longer_hashes_are_verified_with_and_without_the_host() {
    let custom = || {
        let mut made = Claims::with_custom_claims(claims_with(json!({})), Default::default());
        (made.issued_at, made.expires_at, made.invalid_before) = (None, None, None);
        made
    };
    let rsa = KEYS.rs256.to_der().unwrap();
    let (rs384, rs512) = (RS384KeyPair::from_der(&rsa), RS512KeyPair::from_der(&rsa));
    let ps384 = PS384KeyPair::from_der(&rsa);
    let es384 = ES384KeyPair::generate();
    let rsa: Value = serde_json::from_str(&KEYS.rs256.public_key().to_jwk()).unwrap();
    let ec: Value = serde_json::from_str(&es384.public_key().to_jwk()).unwrap();
    for (algorithm, mut jwk, token, asked) in [
        ("RS384", rsa.clone(), rs384.unwrap().sign(custom()), 1),
        ("RS512", rsa.clone(), rs512.unwrap().sign(custom()), 1),
        ("ES384", ec, es384.sign(custom()), 1),
        // The host does not know PSS.
        ("PS384", rsa, ps384.unwrap().sign(custom()), 0),
    ] {
        jwk["alg"] = algorithm.into();
        jwk["kid"] = "other".into();
        let (config, token) = (with_key(&jwk), token.unwrap());
        let vm = start(&Host::new(), &config).unwrap();
        assert_eq!(send(&vm, &token), (true, asked), "{algorithm}");
        let vm = start(&without_function(), &config).unwrap();
        assert_eq!(send(&vm, &token), (true, 0), "{algorithm}");
    }
}

#[test]
fn es512_is_verified_by_the_host() {
    let (jwk, token) = p521();
    let vm = start(&Host::new(), &with_key(&jwk)).unwrap();
    assert_eq!(send(&vm, &token), (true, 1));
    // Remembered as any other.
    assert_eq!(send(&vm, &token), (true, 0));
    let (input, signature) = token.rsplit_once('.').unwrap();
    let other = format!("{input}.AAAA{}", &signature[4..]);
    assert_eq!(send(&vm, &other), (false, 1));
}

// Taken all the same, such a key would refuse every token that it signs, and nobody would know why.
#[test]
fn a_key_that_the_host_cannot_verify_with_is_refused_with_the_reason() {
    let (jwk, _) = p521();
    let place = "configuration refused: jwt.providers[0].jwks.keys[3]: ";
    let refused = start(&without_function(), &with_key(&jwk)).unwrap_err();
    assert!(
        refused.contains(&format!("{place}ES512 is verified by the host, and this one has no verify_signature: remove the key")),
        "{refused}"
    );
    let mut off_curve = jwk.clone();
    (off_curve["x"], off_curve["y"]) = (jwk["y"].clone(), jwk["x"].clone());
    let refused = start(&Host::new(), &with_key(&off_curve)).unwrap_err();
    assert!(
        refused.contains(&format!(
            "{place}the host cannot read this key: its point is not on the curve"
        )),
        "{refused}"
    );
    assert!(start(&Host::new(), &with_key(&jwk)).is_ok());
}

// An issuer may publish a key that this host cannot use beside others that it can.
#[test]
fn a_published_key_of_p521_is_used_where_the_host_can() {
    let (jwk, token) = p521();
    let mut keys = KEYS.jwks();
    keys["keys"].as_array_mut().unwrap().push(jwk);
    let mut config = config();
    config["jwt"]["providers"][0]["jwks"] =
        json!({ "remote": { "cluster": "idp", "uri": "https://idp.test/keys" } });
    let [_, es256, _] = KEYS.tokens(&claims_with(json!({})));
    for (host, verdict) in [(Host::new(), true), (without_function(), false)] {
        let host = host.with_cluster("idp", Cluster::Healthy);
        host.clock().advance(Duration::from_secs(100));
        let vm = start(&host, &config).unwrap();
        vm.tick();
        let call = vm.callouts().remove(0);
        let answer = Answer::status(200).header("content-type", "application/json");
        vm.answer_callout(call.token, answer.body(keys.to_string()));
        assert!(send(&vm, &es256).0);
        let lines: Vec<_> = vm.logs().into_iter().map(|line| line.text).collect();
        let refused = "key refused: keys[3]: ES512 is verified by the host";
        let said = lines.iter().filter(|line| line.contains(refused)).count();
        assert_eq!(said, usize::from(!verdict), "{lines:?}");
        if verdict {
            assert_eq!(send(&vm, &token), (true, 1));
        }
    }
}
