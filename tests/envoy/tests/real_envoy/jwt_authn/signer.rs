//! An issuer with a key for each algorithm, made by crates that the filter does not verify with, as far as there are two.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k256::ecdsa::signature::Signer as _;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

/// Issuer of the tokens under public keys.
pub(crate) const ISSUER: &str = "https://issuer.beside.test";

/// Issuer of the tokens under a secret.
pub(crate) const SECRET_ISSUER: &str = "https://secret.beside.test";

/// All algorithms that a token may have.
pub(crate) const ALGORITHMS: [&str; 14] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES256K", "ES384", "ES512", "EdDSA",
];

/// One set of keys for the whole run: an RSA key takes a while to make.
pub(crate) static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::new);

/// Keys, and what is signed with them. The id of a key is the name of its algorithm.
pub(crate) struct Signer {
    random: SystemRandom,
    rsa: RsaKeyPair,
    rsa_numbers: (Vec<u8>, Vec<u8>),
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    secp256k1: k256::ecdsa::SigningKey,
    p521: p521::ecdsa::SigningKey,
    ed25519: Ed25519KeyPair,
    secret: [u8; 64],
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let rsa = jwt_simple::algorithms::RS256KeyPair::generate(2048).expect("an RSA key");
        let numbers = rsa.public_key().to_components();
        let der = rsa.to_der().expect("DER");
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("an EC key");
            EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("PKCS #8")
        };
        let bytes = |count: usize| {
            let mut bytes = vec![0; count];
            random.fill(&mut bytes).expect("random bytes");
            bytes
        };
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).expect("an Ed25519 key");
        Self {
            rsa: RsaKeyPair::from_pkcs8(&der)
                .or_else(|_| RsaKeyPair::from_der(&der))
                .expect("the key that was made"),
            rsa_numbers: (numbers.n, numbers.e),
            p256: ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            // All but some 2^-32 of these numbers, and all below 2^520, are scalars.
            secp256k1: k256::ecdsa::SigningKey::from_slice(&bytes(32)).expect("a scalar"),
            p521: p521::ecdsa::SigningKey::from_slice(&[vec![0], bytes(65)].concat())
                .expect("a scalar"),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).expect("PKCS #8"),
            secret: bytes(64).try_into().expect("64 bytes"),
            random,
        }
    }

    /// The public keys, one for each algorithm.
    pub(crate) fn key_set(&self) -> Value {
        let keys = ALGORITHMS
            .iter()
            .filter(|algorithm| !is_secret(algorithm))
            .map(|algorithm| self.key(algorithm));
        json!({ "keys": keys.collect::<Vec<_>>() })
    }

    /// The secret, once for each HMAC.
    pub(crate) fn secret_set(&self) -> Value {
        let keys = ALGORITHMS
            .iter()
            .filter(|algorithm| is_secret(algorithm))
            .map(|algorithm| self.key(algorithm));
        json!({ "keys": keys.collect::<Vec<_>>() })
    }

    fn key(&self, algorithm: &str) -> Value {
        let mut key = match algorithm {
            "ES256" => ec("P-256", self.p256.public_key().as_ref()),
            "ES384" => ec("P-384", self.p384.public_key().as_ref()),
            "ES256K" => {
                let point = self.secp256k1.verifying_key().to_sec1_point(false);
                ec("secp256k1", point.as_bytes())
            }
            "ES512" => {
                let point = self.p521.verifying_key().to_sec1_point(false);
                ec("P-521", point.as_bytes())
            }
            "EdDSA" => {
                let x = encode(self.ed25519.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
            name if is_secret(name) => json!({ "kty": "oct", "k": encode(self.secret) }),
            _ => {
                let (n, e) = &self.rsa_numbers;
                json!({ "kty": "RSA", "n": encode(n), "e": encode(e) })
            }
        };
        key["alg"] = algorithm.into();
        key["kid"] = algorithm.into();
        key
    }

    /// The bytes of a signature.
    ///
    /// # Panics
    /// If there is no such algorithm.
    pub(crate) fn sign(&self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa
                .sign(encoding, &self.random, input, &mut signature)
                .expect("a signature");
            signature
        };
        let mac = |algorithm| {
            let key = ring::hmac::Key::new(algorithm, &self.secret);
            ring::hmac::sign(&key, input).as_ref().to_vec()
        };
        let ec = |key: &EcdsaKeyPair| {
            let signature = key.sign(&self.random, input).expect("a signature");
            signature.as_ref().to_vec()
        };
        match algorithm {
            "HS256" => mac(ring::hmac::HMAC_SHA256),
            "HS384" => mac(ring::hmac::HMAC_SHA384),
            "HS512" => mac(ring::hmac::HMAC_SHA512),
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "PS384" => rsa(&signature::RSA_PSS_SHA384),
            "PS512" => rsa(&signature::RSA_PSS_SHA512),
            "ES256" => ec(&self.p256),
            "ES384" => ec(&self.p384),
            "ES256K" => {
                let signature: k256::ecdsa::Signature = self.secp256k1.sign(input);
                signature.to_bytes().to_vec()
            }
            "ES512" => {
                let signature: p521::ecdsa::Signature = self.p521.sign(input);
                signature.to_bytes().to_vec()
            }
            "EdDSA" => self.ed25519.sign(input).as_ref().to_vec(),
            other => panic!("no algorithm is named {other}"),
        }
    }
}

/// Whether an algorithm is an HMAC.
pub(crate) fn is_secret(algorithm: &str) -> bool {
    algorithm.starts_with("HS")
}

/// Base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key by its point, uncompressed.
fn ec(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
}
