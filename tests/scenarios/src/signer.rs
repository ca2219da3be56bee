//! The keys of a vehicle, and the tokens that are signed with them.

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use upstreams::{Algorithm, Issuer};

use crate::gateway::HMAC_SECRET;
use crate::token::{Key, TokenSpec};

/// Signs what a [`TokenSpec`] says.
pub struct Signer<'a> {
    issuer: &'a Issuer,
    stranger: EcdsaKeyPair,
    random: SystemRandom,
}

impl<'a> Signer<'a> {
    /// Signs with the keys of `issuer`, whose key set [`gateway::auth`](crate::gateway::auth) was given, and with a stranger's
    /// key, made here.
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub fn new(issuer: &'a Issuer) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let stranger = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
            .expect("the system has random numbers");
        Signer {
            issuer,
            stranger: EcdsaKeyPair::from_pkcs8(algorithm, stranger.as_ref(), &random)
                .expect("ring takes the key that it made"),
            random,
        }
    }

    /// The token of `spec`, made at `now`, in seconds since 1970.
    pub fn token(&self, spec: &TokenSpec, now: i64) -> String {
        spec.compact(now, |key, message| self.signature(key, message))
    }

    fn signature(&self, key: Key, message: &[u8]) -> Vec<u8> {
        match key {
            Key::Rs256 => self.issuer.signature(Algorithm::RS256, message),
            Key::Es256 => self.issuer.signature(Algorithm::ES256, message),
            Key::EdDsa => self.issuer.signature(Algorithm::EdDSA, message),
            Key::Stranger => self
                .stranger
                .sign(&self.random, message)
                .expect("the system has random numbers")
                .as_ref()
                .to_vec(),
            Key::Hs256 => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, HMAC_SECRET);
                hmac::sign(&secret, message).as_ref().to_vec()
            }
        }
    }
}
