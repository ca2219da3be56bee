//! One signature to be checked: the question, its form for the host, and the answer without the host.
//!
//! Everything that can be told without arithmetic on the key is checked when the question is put: the length, and for
//! ECDSA that both numbers are in range. What remains is one yes or no.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use subtle::ConstantTimeEq as _;
use superboring::reexports::rsa::{Pkcs1v15Sign, Pss, RsaPublicKey};

use crate::algorithm::{Algorithm, Digest};
use crate::curve::Curve;
use crate::jws::CompactJws;
use crate::key_set::{Material, VerificationKey};
use crate::secp256k1;

/// A token, a key, and the question whether the one was signed with the other.
#[derive(Clone)]
pub struct SignatureCheck {
    key: Arc<VerificationKey>,
    jws: Rc<CompactJws>,
}

/// The question in the form that Envoy's `verify_signature` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostForm<'a> {
    /// What is signed is this hash of the text.
    pub digest: Digest,
    /// The public key, a DER SubjectPublicKeyInfo.
    pub key_der: &'a [u8],
    /// The signature; for ECDSA in DER, because the host does not know the raw form of RFC 7518.
    pub signature: Vec<u8>,
    /// What was signed.
    pub text: &'a [u8],
}

impl SignatureCheck {
    /// Puts the question, or nothing where the answer is no already: the token names another algorithm than the key's,
    /// or the signature cannot be one of this key.
    pub fn new(jws: &Rc<CompactJws>, key: &Arc<VerificationKey>) -> Option<Self> {
        if Algorithm::from_name(&jws.header().algorithm) != Some(key.algorithm()) {
            return None;
        }
        let signature = jws.signature();
        let in_range = |curve: Curve| curve.numbers(signature).is_some();
        let possible = signature.len() == key.signature_bytes()
            && key.algorithm().curve().is_none_or(in_range);
        possible.then(|| Self {
            key: Arc::clone(key),
            jws: Rc::clone(jws),
        })
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// Whether this is the same question. A token that a question was put about is not read again, see
    /// [`Evidence::read`](crate::decision::Evidence::read): another reading is another token.
    pub(crate) fn is_for(&self, jws: &Rc<CompactJws>, key: &Arc<VerificationKey>) -> bool {
        Arc::ptr_eq(&self.key, key) && Rc::ptr_eq(&self.jws, jws)
    }

    /// What the question is about.
    pub(crate) fn jws(&self) -> &Rc<CompactJws> {
        &self.jws
    }

    /// The question for the host, where the host can answer it: RSA but for PSS, and ECDSA but for secp256k1.
    ///
    /// The host accepts short RSA keys and a hash that does not belong to the curve; both are pinned by the key.
    pub fn host_form(&self) -> Option<HostForm<'_>> {
        let algorithm = self.algorithm();
        if !algorithm.is_known_to_hosts() {
            return None;
        }
        Some(HostForm {
            digest: algorithm.digest(),
            key_der: self.key.spki_der()?,
            signature: match algorithm.curve() {
                Some(curve) => curve.der(self.jws.signature())?,
                None => self.jws.signature().to_vec(),
            },
            text: self.jws.signing_input().as_bytes(),
        })
    }

    /// The answer, found in this process.
    ///
    /// With the primitives that jwt-simple is made of: what it does with a token beside verifying the signature (reading the
    /// header once more by its own ideas, reading and judging the claims, with 15 minutes of leeway) is done here in another
    /// way or must not be done, and would be in the module once for each algorithm.
    ///
    /// ES512 is answered with no: only a host verifies it.
    pub fn verify(&self) -> bool {
        let text = self.jws.signing_input().as_bytes();
        let signature = self.jws.signature();
        let algorithm = self.algorithm();
        let hash = || algorithm.digest().of(text);
        match self.key.material() {
            Material::Rsa(key) => verify_rsa(key, algorithm, &hash(), signature),
            Material::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| verify_ecdsa(key, &hash(), &signature)),
            Material::Secp256k1(key) => secp256k1::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| verify_ecdsa(key, &hash(), &signature)),
            Material::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| verify_ecdsa(key, &hash(), &signature)),
            Material::OfHost => false,
            Material::Ed25519(key) => ed25519_compact::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            Material::Secret(secret) => {
                algorithm.digest().mac(secret, text).ct_eq(signature).into()
            }
        }
    }
}

fn verify_rsa(key: &RsaPublicKey, algorithm: Algorithm, hash: &[u8], signature: &[u8]) -> bool {
    // The salt is as long as the hash (RFC 7518 section 3.5), which is what these take it to be.
    let pss = match algorithm {
        Algorithm::Ps256 => Pss::new::<hmac_sha256::Hash>(),
        Algorithm::Ps384 => Pss::new::<hmac_sha512::sha384::Hash>(),
        Algorithm::Ps512 => Pss::new::<hmac_sha512::Hash>(),
        _ => {
            let scheme = Pkcs1v15Sign {
                hash_len: Some(hash.len()),
                prefix: algorithm.digest().rsa_prefix().into(),
            };
            return key.verify(scheme, hash, signature).is_ok();
        }
    };
    key.verify(pss, hash, signature).is_ok()
}

fn verify_ecdsa<S>(key: &impl PrehashVerifier<S>, hash: &[u8], signature: &S) -> bool {
    key.verify_prehash(hash, signature).is_ok()
}

impl fmt::Debug for SignatureCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SignatureCheck")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
