//! Each algorithm, and each key for what it is not.

mod support;

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use auth_policy::jws::CompactJws;
use auth_policy::key_set::{KeySet, VerificationKey};
use auth_policy::{Algorithm, Digest, SignatureCheck};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filter_config::FieldPath;
use jwt_simple::prelude::{
    Claims, ECDSAP256KeyPairLike as _, ECDSAP256kKeyPairLike as _, ECDSAP384KeyPairLike as _,
    ES256kKeyPair, ES384KeyPair, EdDSAKeyPairLike as _, HS256Key, HS384Key, HS512Key, MACLike as _,
    NoCustomClaims, PS256KeyPair, PS384KeyPair, PS512KeyPair, RS384KeyPair, RS512KeyPair,
    RSAKeyPairLike as _,
};
use p521::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use support::KEYS;

/// A secret that is long enough for every HMAC.
const SECRET: [u8; 64] = [7; 64];

/// A token of each algorithm, and its key. All RSA keys have the same numbers and all secrets are one, so that nothing but
/// `alg` tells them apart.
static SIGNED: LazyLock<Vec<(Algorithm, Value, String)>> = LazyLock::new(|| {
    let claims = || Claims::create(jwt_simple::prelude::Duration::from_secs(600));
    let rsa = KEYS.rs256.to_der().unwrap();
    let rsa_jwk: Value = serde_json::from_str(&KEYS.rs256.public_key().to_jwk()).unwrap();
    let jwk = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let (es256k, es384) = (ES256kKeyPair::generate(), ES384KeyPair::generate());
    let p521 = p521::ecdsa::SigningKey::from_slice(&[1; 66]).unwrap();
    let secret = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET) });
    use Algorithm::{
        EdDsa, Es256, Es256k, Es384, Es512, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384,
        Rs512,
    };
    let signed: Vec<(Algorithm, Value, Result<String, jwt_simple::Error>)> = vec![
        (
            Hs256,
            secret.clone(),
            HS256Key::from_bytes(&SECRET).authenticate(claims()),
        ),
        (
            Hs384,
            secret.clone(),
            HS384Key::from_bytes(&SECRET).authenticate(claims()),
        ),
        (
            Hs512,
            secret,
            HS512Key::from_bytes(&SECRET).authenticate(claims()),
        ),
        (Rs256, rsa_jwk.clone(), KEYS.rs256.sign(claims())),
        (
            Rs384,
            rsa_jwk.clone(),
            RS384KeyPair::from_der(&rsa).unwrap().sign(claims()),
        ),
        (
            Rs512,
            rsa_jwk.clone(),
            RS512KeyPair::from_der(&rsa).unwrap().sign(claims()),
        ),
        (
            Ps256,
            rsa_jwk.clone(),
            PS256KeyPair::from_der(&rsa).unwrap().sign(claims()),
        ),
        (
            Ps384,
            rsa_jwk.clone(),
            PS384KeyPair::from_der(&rsa).unwrap().sign(claims()),
        ),
        (
            Ps512,
            rsa_jwk,
            PS512KeyPair::from_der(&rsa).unwrap().sign(claims()),
        ),
        (
            Es256,
            jwk(KEYS.es256.public_key().to_jwk()),
            KEYS.es256.sign(claims()),
        ),
        (
            Es256k,
            jwk(es256k.public_key().to_jwk()),
            es256k.sign(claims()),
        ),
        (
            Es384,
            jwk(es384.public_key().to_jwk()),
            es384.sign(claims()),
        ),
        (Es512, p521_jwk(&p521), Ok(es512(&p521))),
        (
            EdDsa,
            jwk(KEYS.eddsa.public_key().to_jwk()),
            KEYS.eddsa.sign(claims()),
        ),
    ];
    signed
        .into_iter()
        .map(|(algorithm, mut key, token)| {
            key["alg"] = algorithm.name().into();
            key.as_object_mut().unwrap().remove("kid");
            (algorithm, key, token.unwrap())
        })
        .collect()
});

fn p521_jwk(key: &p521::ecdsa::SigningKey) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let point = point.as_bytes();
    json!({ "kty": "EC", "crv": "P-521",
            "x": URL_SAFE_NO_PAD.encode(&point[1..67]), "y": URL_SAFE_NO_PAD.encode(&point[67..]) })
}

fn es512(key: &p521::ecdsa::SigningKey) -> String {
    let input = [r#"{"alg":"ES512"}"#, "{}"].map(|part| URL_SAFE_NO_PAD.encode(part));
    let input = input.join(".");
    let signature: p521::ecdsa::Signature = key.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn key(jwk: &Value) -> Arc<VerificationKey> {
    let set = json!({ "keys": [jwk] });
    let set = KeySet::from_jwks(&set, &FieldPath::root()).unwrap();
    Arc::clone(set.iter().next().unwrap())
}

/// The question whether this key made this token, if it is one.
fn check(token: &str, key: &Arc<VerificationKey>) -> Option<SignatureCheck> {
    SignatureCheck::new(&Rc::new(CompactJws::parse(token.as_bytes()).unwrap()), key)
}

/// The token with another `alg` in its header, its signature as it was.
fn renamed(token: &str, algorithm: Algorithm) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn the_list_is_whole() {
    let signed: Vec<Algorithm> = SIGNED.iter().map(|(algorithm, ..)| *algorithm).collect();
    assert_eq!(signed, Algorithm::ALL);
}

#[test]
fn each_key_verifies_its_own_tokens() {
    for (algorithm, jwk, token) in SIGNED.iter() {
        let key = key(jwk);
        assert_eq!(key.algorithm(), *algorithm);
        let check = check(token, &key).unwrap();
        // ES512 has no verifier here: a no, never a yes.
        assert_eq!(check.verify(), !algorithm.needs_host(), "{algorithm:?}");
    }
}

// A token that chose the algorithm would turn a public key into a secret, or PSS into the older padding.
#[test]
fn no_key_verifies_another_algorithm() {
    for (_, jwk, _) in SIGNED.iter() {
        let key = key(jwk);
        for (algorithm, _, token) in SIGNED.iter() {
            if *algorithm == key.algorithm() {
                continue;
            }
            assert!(check(token, &key).is_none(), "{algorithm:?} {key:?}");
            let renamed = renamed(token, key.algorithm());
            let verified = check(&renamed, &key).is_some_and(|check| check.verify());
            assert!(!verified, "{algorithm:?} under the name of {key:?}");
        }
    }
}

#[test]
fn a_changed_bit_is_a_no() {
    for (algorithm, jwk, token) in SIGNED.iter() {
        let key = key(jwk);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(&changed));
            let verified = check(&token, &key).is_some_and(|check| check.verify());
            assert!(!verified, "{algorithm:?} {at}");
        }
        for wrong in [&signature[1..], &[&signature[..], &[0]].concat()] {
            let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(wrong));
            assert!(check(&token, &key).is_none(), "{algorithm:?}");
        }
    }
}

// OpenSSL leaves s as it comes out, so half of all tokens of such an issuer have the larger one.
#[test]
fn es256k_takes_both_twins_of_a_signature() {
    let pair = ES256kKeyPair::generate();
    let key = key(&serde_json::from_str(&pair.public_key().to_jwk()).unwrap());
    let claims = || Claims::create(jwt_simple::prelude::Duration::from_secs(600));
    for _ in 0..16 {
        let token = pair.sign::<NoCustomClaims>(claims()).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let twin = [&signature[..32], &order_less(&signature[32..])].concat();
        for signature in [signature, twin] {
            let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
            assert!(check(&token, &key).unwrap().verify());
        }
    }
}

/// The order of secp256k1 less a number, in 128-bit halves.
fn order_less(number: &[u8]) -> [u8; 32] {
    let half = |bytes: &[u8]| u128::from_be_bytes(bytes.try_into().unwrap());
    let (high, low) = (half(&number[..16]), half(&number[16..]));
    let (low, borrow) = 0xbaae_dce6_af48_a03b_bfd2_5e8c_d036_4141_u128.overflowing_sub(low);
    let high = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_u128 - high - u128::from(borrow);
    [high.to_be_bytes(), low.to_be_bytes()]
        .concat()
        .try_into()
        .unwrap()
}

// What the host does not know it answers with an error or, worse, with a no; what only it knows must be put to it.
#[test]
fn the_host_is_asked_what_it_knows() {
    use Digest::{Sha256, Sha384, Sha512};
    for (algorithm, jwk, token) in SIGNED.iter() {
        let expected = match algorithm.name() {
            "RS256" | "ES256" => Some(Sha256),
            "RS384" | "ES384" => Some(Sha384),
            "RS512" | "ES512" => Some(Sha512),
            _ => None,
        };
        let check = check(token, &key(jwk)).unwrap();
        let asked = check.host_form();
        assert_eq!(asked.as_ref().map(|form| form.digest), expected);
        let Some(form) = asked else { continue };
        assert_eq!(form.text, token.rsplit_once('.').unwrap().0.as_bytes());
        let raw = check.algorithm().name().starts_with("RS");
        assert_eq!(form.signature.first() == Some(&0x30), !raw, "{algorithm:?}");
    }
}

// The public keys that the host is handed are written here: a slip would make every answer a no.
#[test]
fn keys_for_the_host_are_what_others_write() {
    let der = |algorithm: &str| {
        let found = SIGNED.iter().find(|(own, ..)| own.name() == algorithm);
        key(&found.unwrap().1).spki_der().unwrap().to_vec()
    };
    let rsa = KEYS.rs256.public_key().to_der().unwrap();
    for algorithm in ["RS256", "RS384", "RS512", "PS256"] {
        assert_eq!(der(algorithm), rsa);
    }
    assert_eq!(der("ES256"), KEYS.es256.public_key().to_der().unwrap());
    let pair = ES384KeyPair::generate();
    let jwk = serde_json::from_str(&pair.public_key().to_jwk()).unwrap();
    assert_eq!(
        key(&jwk).spki_der().unwrap(),
        pair.public_key().to_der().unwrap()
    );
}

#[test]
fn a_key_that_names_no_algorithm_has_the_usual_one() {
    for (name, jwk, usual) in [
        ("RS512", "n", Algorithm::Rs256),
        ("HS512", "k", Algorithm::Hs256),
    ] {
        let found = SIGNED.iter().find(|(own, ..)| own.name() == name).unwrap();
        let mut unnamed = found.1.clone();
        assert!(unnamed.get(jwk).is_some());
        unnamed.as_object_mut().unwrap().remove("alg");
        assert_eq!(key(&unnamed).algorithm(), usual);
    }
}
