//! One signature to be checked: the question, its form for the host, and the answer without the host.
//!
//! Everything that can be told without arithmetic on the key is checked when the question is put: the length, and for
//! ECDSA that both numbers are in range. What remains is one yes or no.

use std::fmt;
use std::sync::Arc;

use jwt_simple::prelude::MACLike as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use subtle::ConstantTimeEq as _;
use superboring::reexports::rsa::{Pkcs1v15Sign, RsaPublicKey};

use crate::jws::CompactJws;
use crate::key_set::{Algorithm, Material, VerificationKey};
use crate::spki;

/// The length of one number of an ES256 signature, in bytes.
const P256_NUMBER_BYTES: usize = 32;

/// The order of P-256 (SEC 2 section 2.4.2), big-endian.
const P256_ORDER: [u8; P256_NUMBER_BYTES] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// What stands before a SHA-256 hash in an RSA signature (RFC 8017 section 9.2, note 1).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// A token, a key, and the question whether the one was signed with the other.
#[derive(Clone)]
pub struct SignatureCheck {
    key: Arc<VerificationKey>,
    token: String,
    signing_input_bytes: usize,
    signature: Vec<u8>,
}

/// The question in the form that Envoy's `verify_signature` takes. The digest is SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostForm<'a> {
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
    pub fn new(jws: &CompactJws<'_>, key: &Arc<VerificationKey>) -> Option<Self> {
        if Algorithm::from_name(&jws.header().algorithm) != Some(key.algorithm()) {
            return None;
        }
        let signature = jws.signature();
        let possible = match key.material() {
            Material::Rs256(_, modulus_bytes) => signature.len() == *modulus_bytes,
            Material::Es256(_) => {
                p256_numbers(signature).is_some_and(|numbers| numbers.into_iter().all(is_in_range))
            }
            Material::EdDsa(_) => signature.len() == 64,
            Material::Hs256(_) => signature.len() == 32,
        };
        possible.then(|| Self {
            key: Arc::clone(key),
            token: jws.token().to_owned(),
            signing_input_bytes: jws.signing_input().len(),
            signature: signature.to_vec(),
        })
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// Whether this is the same question.
    pub(crate) fn is_for(&self, token: &str, key: &Arc<VerificationKey>) -> bool {
        Arc::ptr_eq(&self.key, key) && self.token == token
    }

    /// The question for the host, where the host can answer it: RS256 and ES256.
    ///
    /// The host accepts short RSA keys and a hash that does not belong to the curve; both are pinned by the key.
    pub fn host_form(&self) -> Option<HostForm<'_>> {
        let signature = match self.algorithm() {
            Algorithm::Rs256 => self.signature.clone(),
            Algorithm::Es256 => ecdsa_der(p256_numbers(&self.signature)?),
            Algorithm::EdDsa | Algorithm::Hs256 => return None,
        };
        Some(HostForm {
            key_der: self.key.spki_der()?,
            signature,
            text: self.signing_input().as_bytes(),
        })
    }

    /// The answer, found in this process.
    ///
    /// With the primitives that jwt-simple is made of: what it does with a token beside verifying the signature (reading the
    /// header once more by its own ideas, reading and judging the claims, with 15 minutes of leeway) is done here in another
    /// way or must not be done, and would be in the module once for each algorithm.
    pub fn verify(&self) -> bool {
        let text = self.signing_input().as_bytes();
        match self.key.material() {
            Material::Rs256(key, _) => verify_rsa(key, text, &self.signature),
            Material::Es256(key) => verify_p256(key, text, &self.signature),
            Material::EdDsa(key) => verify_ed25519(key, text, &self.signature),
            Material::Hs256(key) => key.authentication_tag(text).ct_eq(&self.signature).into(),
        }
    }

    fn signing_input(&self) -> &str {
        self.token
            .get(..self.signing_input_bytes)
            .unwrap_or_default()
    }
}

fn verify_rsa(key: &RsaPublicKey, text: &[u8], signature: &[u8]) -> bool {
    let hash = hmac_sha256::Hash::hash(text);
    let scheme = Pkcs1v15Sign {
        hash_len: Some(hash.len()),
        prefix: SHA256_PREFIX.into(),
    };
    key.verify(scheme, &hash, signature).is_ok()
}

fn verify_p256(key: &p256::ecdsa::VerifyingKey, text: &[u8], signature: &[u8]) -> bool {
    p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
        key.verify_prehash(&hmac_sha256::Hash::hash(text), &signature)
            .is_ok()
    })
}

fn verify_ed25519(key: &ed25519_compact::PublicKey, text: &[u8], signature: &[u8]) -> bool {
    ed25519_compact::Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify(text, &signature).is_ok())
}

impl fmt::Debug for SignatureCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SignatureCheck")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The two numbers of a raw ES256 signature (RFC 7518 section 3.4).
fn p256_numbers(signature: &[u8]) -> Option<[&[u8]; 2]> {
    let (r, s) = signature.split_at_checked(P256_NUMBER_BYTES)?;
    (s.len() == P256_NUMBER_BYTES).then_some([r, s])
}

/// Whether a number is from 1 to the order less one. These numbers are public: comparing them may take what time it takes.
fn is_in_range(number: &[u8]) -> bool {
    number.iter().any(|byte| *byte != 0) && number < P256_ORDER.as_slice()
}

/// The two numbers as a DER SEQUENCE of INTEGERs (RFC 3279 section 2.2.3).
fn ecdsa_der(numbers: [&[u8]; 2]) -> Vec<u8> {
    let mut integers = Vec::with_capacity(72);
    for number in numbers {
        spki::push_integer(&mut integers, number);
    }
    spki::sequence(&integers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(tail: &[u8]) -> Vec<u8> {
        let mut number = vec![0; P256_NUMBER_BYTES - tail.len()];
        number.extend_from_slice(tail);
        number
    }

    #[test]
    fn numbers_are_from_one_to_the_order_less_one() {
        // Zero and the order itself make signatures that hold for every message in careless implementations.
        let mut last = P256_ORDER;
        last[31] -= 1;
        assert!(is_in_range(&number(&[1])) && is_in_range(&last));
        assert!(!is_in_range(&number(&[])) && !is_in_range(&P256_ORDER));
        assert!(!is_in_range(&[0xff; P256_NUMBER_BYTES]));
    }

    #[test]
    fn raw_signatures_have_64_bytes() {
        for length in [0, 1, 32, 63, 65, 70, 72, 512] {
            assert_eq!(p256_numbers(&vec![1; length]), None, "{length}");
        }
        assert!(p256_numbers(&[1; 64]).is_some());
    }

    #[test]
    fn der_integers_are_minimal_and_positive() {
        // BoringSSL refuses a padded integer, and reads one with its top bit set as negative.
        let small = number(&[0x7f]);
        let high = number(&[0x80, 0x01]);
        assert_eq!(
            ecdsa_der([&small, &high]),
            [0x30, 8, 2, 1, 0x7f, 2, 3, 0, 0x80, 0x01]
        );
        let full = [0xff; P256_NUMBER_BYTES];
        let der = ecdsa_der([&full, &full]);
        assert_eq!((der.len(), der[1], der[3], der[4]), (72, 70, 33, 0));
    }
}
