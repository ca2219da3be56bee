//! The algorithms that signatures are made with (RFC 7518 section 3.1, RFC 8037, RFC 8812).

use crate::curve::Curve;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256, the salt as long as the digest.
    Ps256,
    /// RSASSA-PSS with SHA-384, the salt as long as the digest.
    Ps384,
    /// RSASSA-PSS with SHA-512, the salt as long as the digest.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on secp256k1 with SHA-256.
    Es256k,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512. Only a host verifies it: no code here does.
    Es512,
    /// EdDSA on Ed25519.
    EdDsa,
}

/// What is signed is this hash of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es256k,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es256k => "ES256K",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of exactly this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Whether its keys are secrets, so that who verifies can sign too.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// Whether only the host can verify it.
    pub fn needs_host(self) -> bool {
        self == Self::Es512
    }

    /// The hash in it.
    pub(crate) fn digest(self) -> Digest {
        match self {
            Self::Hs256 | Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Es256k => Digest::Sha256,
            Self::Hs384 | Self::Rs384 | Self::Ps384 | Self::Es384 => Digest::Sha384,
            Self::Hs512
            | Self::Rs512
            | Self::Ps512
            | Self::Es512
            // Not of the text alone (RFC 8032 section 5.1).
            | Self::EdDsa => Digest::Sha512,
        }
    }

    /// Whether Envoy's `verify_signature` can verify it: it knows neither PSS nor HMAC, neither Ed25519 nor secp256k1.
    pub(crate) fn is_known_to_hosts(self) -> bool {
        use Algorithm::{Es256, Es384, Es512, Rs256, Rs384, Rs512};
        matches!(self, Rs256 | Rs384 | Rs512 | Es256 | Es384 | Es512)
    }

    /// Whether its keys are RSA keys.
    pub(crate) fn is_rsa(self) -> bool {
        use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        matches!(self, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
    }

    /// The curve of an ECDSA algorithm.
    pub(crate) fn curve(self) -> Option<Curve> {
        match self {
            Self::Es256 => Some(Curve::P256),
            Self::Es256k => Some(Curve::Secp256k1),
            Self::Es384 => Some(Curve::P384),
            Self::Es512 => Some(Curve::P521),
            _ => None,
        }
    }
}

impl Digest {
    /// The length of a hash, in bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => hmac_sha256::Hash::hash(text).to_vec(),
            Self::Sha384 => hmac_sha512::sha384::Hash::hash(text).to_vec(),
            Self::Sha512 => hmac_sha512::Hash::hash(text).to_vec(),
        }
    }

    /// The HMAC of a text (RFC 2104).
    pub(crate) fn mac(self, secret: &[u8], text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => hmac_sha256::HMAC::mac(text, secret).to_vec(),
            Self::Sha384 => hmac_sha512::sha384::HMAC::mac(text, secret).to_vec(),
            Self::Sha512 => hmac_sha512::HMAC::mac(text, secret).to_vec(),
        }
    }

    /// What stands before a hash in an RSA signature of PKCS #1 v1.5 (RFC 8017 section 9.2, note 1).
    pub(crate) fn rsa_prefix(self) -> [u8; 19] {
        let (whole, number, length) = match self {
            Self::Sha256 => (0x31, 1, 32),
            Self::Sha384 => (0x41, 2, 48),
            Self::Sha512 => (0x51, 3, 64),
        };
        [
            0x30, whole, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            number, 0x05, 0x00, 0x04, length,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A second reading of a name would let a token choose between two algorithms.
    #[test]
    fn a_name_is_exactly_one_algorithm() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            let lower = algorithm.name().to_ascii_lowercase();
            assert_eq!(Algorithm::from_name(&lower), None, "{lower}");
        }
        for name in ["", "none", "ES521", "RSA-OAEP", "RS256 ", "HS256\0"] {
            assert_eq!(Algorithm::from_name(name), None, "{name:?}");
        }
    }
}
