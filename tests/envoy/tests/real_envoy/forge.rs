//! Makes tokens that no honest issuer would: any header, any claims, any bytes where a signature belongs, all properly signed
//! where the attack needs a signature that verifies.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::algorithms::RS256KeyPair;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

/// Issuer of the asymmetric keys in the configuration under attack.
pub(crate) const ISSUER: &str = "https://issuer.attack.test";
/// Issuer of the HMAC key.
pub(crate) const HMAC_ISSUER: &str = "https://hmac.attack.test";

/// One set of keys for the whole run: an RSA key takes a while to make.
pub(crate) static FORGE: LazyLock<Forge> = LazyLock::new(Forge::new);

/// How a token is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256, raw r and s.
    Es256,
    /// ECDSA on P-384: a key that the configuration does not hold.
    P384,
    /// Ed25519.
    EdDsa,
    /// HMAC with the configured secret.
    Hs256,
}

/// Keys, and what is signed with them.
pub(crate) struct Forge {
    rng: SystemRandom,
    rsa: RsaKeyPair,
    rsa_public: RS256KeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    secret: [u8; 32],
}

impl Forge {
    fn new() -> Self {
        let rng = SystemRandom::new();
        let rsa_public = RS256KeyPair::generate(2048).unwrap();
        let rsa = RsaKeyPair::from_pkcs8(&rsa_public.to_der().unwrap())
            .or_else(|_| RsaKeyPair::from_der(&rsa_public.to_der().unwrap()))
            .unwrap();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &rng)
            .unwrap();
        let p384 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &rng).unwrap();
        let p384 = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, p384.as_ref(), &rng)
            .unwrap();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&rng).unwrap();
        let ed25519 = Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap();
        let mut secret = [0; 32];
        ring::rand::SecureRandom::fill(&rng, &mut secret).unwrap();
        Self {
            rng,
            rsa,
            rsa_public,
            p256,
            p384,
            ed25519,
            secret,
        }
    }

    /// The asymmetric key set, as the provider `main` holds it.
    pub(crate) fn jwks(&self) -> Value {
        let rsa = self.rsa_public.public_key().to_components();
        json!({ "keys": [
            { "kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa", "n": encode(&rsa.n), "e": encode(&rsa.e) },
            self.p256_jwk("p256"),
            { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "ed25519",
              "x": encode(self.ed25519.public_key().as_ref()) },
        ] })
    }

    /// The key set of the provider `hmac`.
    pub(crate) fn hmac_jwks(&self) -> Value {
        json!({ "keys": [{ "kty": "oct", "alg": "HS256", "kid": "hmac", "k": encode(self.secret) }] })
    }

    /// The RSA public key in each form that a confused verifier might take for an HMAC secret.
    pub(crate) fn rsa_public_forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let key = self.rsa_public.public_key();
        let pem = key.to_pem().unwrap();
        vec![
            ("SPKI as PEM", pem.clone().into_bytes()),
            (
                "SPKI as PEM without the last line end",
                pem.trim_end().as_bytes().to_vec(),
            ),
            ("SPKI as DER", key.to_der().unwrap()),
            ("the modulus", key.to_components().n),
            (
                "the modulus as base64url",
                encode(&key.to_components().n).into_bytes(),
            ),
            ("the empty secret", Vec::new()),
        ]
    }

    /// The P-256 public key as a JWK.
    pub(crate) fn p256_jwk(&self, kid: &str) -> Value {
        let point = self.p256.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid,
                "x": encode(&point[1..33]), "y": encode(&point[33..65]) })
    }

    /// Claims that the gateway accepts.
    pub(crate) fn claims(&self) -> Value {
        let now = now();
        json!({ "iss": ISSUER, "aud": "api", "sub": "alice", "iat": now, "exp": now + 600,
                "scope": "orders:read", "groups": ["staff"] })
    }

    /// A token with this header and these claims, byte for byte, and a signature that verifies.
    pub(crate) fn token(&self, sign: Sign, header: &[u8], claims: &[u8]) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.signature(sign, input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }

    /// A token signed with any HMAC secret.
    pub(crate) fn hmac_token(&self, header: &[u8], claims: &[u8], secret: &[u8]) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        format!(
            "{input}.{}",
            encode(ring::hmac::sign(&key, input.as_bytes()).as_ref())
        )
    }

    /// A token as an honest issuer makes it, with `change` applied to its claims.
    pub(crate) fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.token(Sign::Es256, ES256, claims.to_string().as_bytes())
    }

    /// An honest token whose header is `header`.
    pub(crate) fn with_header(&self, header: &Value) -> String {
        self.token(
            Sign::Es256,
            header.to_string().as_bytes(),
            self.claims().to_string().as_bytes(),
        )
    }

    /// A token that must be let in.
    pub(crate) fn good(&self, sign: Sign) -> String {
        let header = match sign {
            Sign::Rs256 => json!({ "alg": "RS256", "kid": "rsa" }),
            Sign::Es256 => json!({ "alg": "ES256", "kid": "p256" }),
            Sign::P384 => json!({ "alg": "ES384", "kid": "p384" }),
            Sign::EdDsa => json!({ "alg": "EdDSA", "kid": "ed25519" }),
            Sign::Hs256 => json!({ "alg": "HS256", "kid": "hmac" }),
        };
        let mut claims = self.claims();
        if matches!(sign, Sign::Hs256) {
            claims["iss"] = HMAC_ISSUER.into();
        }
        self.token(
            sign,
            header.to_string().as_bytes(),
            claims.to_string().as_bytes(),
        )
    }

    /// The bytes of a signature over `input`.
    pub(crate) fn signature(&self, sign: Sign, input: &[u8]) -> Vec<u8> {
        match sign {
            Sign::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.rng, input, &mut signature)
                    .unwrap();
                signature
            }
            Sign::Es256 => self.p256.sign(&self.rng, input).unwrap().as_ref().to_vec(),
            Sign::P384 => self.p384.sign(&self.rng, input).unwrap().as_ref().to_vec(),
            Sign::EdDsa => self.ed25519.sign(input).as_ref().to_vec(),
            Sign::Hs256 => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.secret);
                ring::hmac::sign(&key, input).as_ref().to_vec()
            }
        }
    }
}

/// The header of an honest ES256 token.
pub(crate) const ES256: &[u8] = br#"{"alg":"ES256","kid":"p256","typ":"JWT"}"#;

/// Base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
