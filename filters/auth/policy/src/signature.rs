//! One signature to be checked: the question, its form for the host, and the answer without the host.
//!
//! Everything that can be told without arithmetic on the key is checked when the question is put: the length, and for
//! ECDSA that both numbers are in range. What remains is one yes or no.

use std::fmt;
use std::sync::Arc;

use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, EdDSAPublicKeyLike as _, MACLike as _, NoCustomClaims,
    RSAPublicKeyLike as _, Token, UnixTimeStamp, VerificationOptions,
};
use subtle::ConstantTimeEq as _;

use crate::jws::{CompactJws, MAX_TOKEN_BYTES};
use crate::key_set::{Algorithm, Material, VerificationKey};

/// The length of one number of an ES256 signature, in bytes.
const P256_NUMBER_BYTES: usize = 32;

/// The order of P-256 (SEC 2 section 2.4.2), big-endian.
const P256_ORDER: [u8; P256_NUMBER_BYTES] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A token, a key, and the question whether the one was signed with the other.
#[derive(Clone)]
pub struct SignatureCheck {
    key: Arc<VerificationKey>,
    token: String,
    token_type: Option<String>,
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
            token_type: jws.header().token_type.clone(),
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

    /// The answer, found in this process by jwt-simple.
    ///
    /// jwt-simple reads the header once more and has its own idea of it: a header with an object in `jwk` is answered
    /// with no here, whatever the signature.
    pub fn verify(&self) -> bool {
        let options = Some(VerificationOptions {
            // The claims are for `claims` to judge: nothing in here may depend on the time or on what they say.
            artificial_time: Some(UnixTimeStamp::from_secs(0)),
            accept_future: true,
            time_tolerance: Some(jwt_simple::prelude::Duration::from_secs(0)),
            // Otherwise jwt-simple asks for a `typ` of its own choice; which are taken is for the provider to say.
            required_signature_type: self.token_type.clone(),
            max_token_length: Some(MAX_TOKEN_BYTES),
            max_header_length: Some(MAX_TOKEN_BYTES),
            ..VerificationOptions::default()
        });
        match self.key.material() {
            Material::Rs256(key, _) => {
                self.held(|token| key.verify_token::<NoCustomClaims>(token, options).map(drop))
            }
            Material::Es256(key) => {
                self.held(|token| key.verify_token::<NoCustomClaims>(token, options).map(drop))
            }
            Material::EdDsa(key) => {
                self.held(|token| key.verify_token::<NoCustomClaims>(token, options).map(drop))
            }
            Material::Hs256(key) => key
                .authentication_tag(self.signing_input().as_bytes())
                .ct_eq(&self.signature)
                .into(),
        }
    }

    /// Whether the signature held, told from what jwt-simple answered about the whole token.
    ///
    /// It parses the header, verifies the signature, and only then parses the claims. A header it cannot read is sorted
    /// out first, so that a JSON error can only be about the claims: the signature was right. Every other error is a no.
    fn held(&self, verify: impl FnOnce(&str) -> Result<(), jwt_simple::Error>) -> bool {
        if Token::decode_metadata(&self.token).is_err() {
            return false;
        }
        match verify(&self.token) {
            Ok(()) => true,
            Err(error) => error.downcast_ref::<serde_json::Error>().is_some(),
        }
    }

    fn signing_input(&self) -> &str {
        self.token
            .get(..self.signing_input_bytes)
            .unwrap_or_default()
    }
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
    let mut body = Vec::with_capacity(72);
    for number in numbers {
        let mut integer: Vec<u8> = number
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect();
        if integer.first().is_none_or(|byte| byte & 0x80 != 0) {
            integer.insert(0, 0);
        }
        push_der(&mut body, 0x02, &integer);
    }
    let mut sequence = Vec::with_capacity(72);
    push_der(&mut sequence, 0x30, &body);
    sequence
}

/// One DER value. The longest here has 70 bytes, so the short form of its length is enough.
fn push_der(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    out.push(u8::try_from(content.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(content);
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
