//! The curves of ECDSA keys, and what can be told of a signature without arithmetic on its curve.

use crate::spki;

/// A curve that keys are on (RFC 7518 section 6.2.1.1, RFC 8812 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    Secp256k1,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 4] = [Self::P256, Self::Secp256k1, Self::P384, Self::P521];

    /// The curve of exactly this name in `crv`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::Secp256k1 => "secp256k1",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The length of a coordinate, and of one number of a signature, in bytes.
    pub(crate) fn number_bytes(self) -> usize {
        self.order().len()
    }

    /// The object identifier (RFC 5480 section 2.1.1.1, SEC 2 appendix A.2.1).
    pub(crate) fn identifier(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::Secp256k1 => &[0x2b, 0x81, 0x04, 0x00, 0x0a],
            Self::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        }
    }

    /// The order of the base point (SEC 2 section 2), big-endian.
    fn order(self) -> &'static [u8] {
        match self {
            Self::P256 => &P256_ORDER,
            Self::Secp256k1 => &SECP256K1_ORDER,
            Self::P384 => &P384_ORDER,
            Self::P521 => &P521_ORDER,
        }
    }

    /// The two numbers of a raw signature (RFC 7518 section 3.4), if each is from 1 to the order less one.
    ///
    /// Zero and the order itself make signatures that hold for every message in careless implementations. These numbers are
    /// public: comparing them may take what time it takes.
    pub(crate) fn numbers(self, signature: &[u8]) -> Option<[&[u8]; 2]> {
        let (r, s) = signature.split_at_checked(self.number_bytes())?;
        [r, s]
            .iter()
            .all(|number| {
                number.len() == self.number_bytes()
                    && number.iter().any(|byte| *byte != 0)
                    && *number < self.order()
            })
            .then_some([r, s])
    }

    /// The signature as a DER SEQUENCE of INTEGERs (RFC 3279 section 2.2.3).
    pub(crate) fn der(self, signature: &[u8]) -> Option<Vec<u8>> {
        let mut integers = Vec::with_capacity(signature.len().saturating_add(8));
        for number in self.numbers(signature)? {
            spki::push_integer(&mut integers, number);
        }
        Some(spki::sequence(&integers))
    }
}

const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

const P521_ORDER: [u8; 66] = [
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09,
    0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38,
    0x64, 0x09,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(curve: Curve, r: &[u8], s: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; 2 * curve.number_bytes()];
        let middle = curve.number_bytes();
        signature[middle - r.len()..middle].copy_from_slice(r);
        let end = signature.len();
        signature[end - s.len()..].copy_from_slice(s);
        signature
    }

    // Zero and the order itself make signatures that hold for every message in careless implementations.
    #[test]
    fn numbers_are_from_one_to_the_order_less_one() {
        for curve in Curve::ALL {
            let mut last = curve.order().to_vec();
            *last.last_mut().unwrap() -= 1;
            let huge = vec![0xff; curve.number_bytes()];
            for (number, expected) in [
                (&[1][..], true),
                (&last, true),
                (&[], false),
                (curve.order(), false),
                (&huge, false),
            ] {
                assert_eq!(curve.numbers(&raw(curve, number, &[1])).is_some(), expected);
                assert_eq!(curve.numbers(&raw(curve, &[1], number)).is_some(), expected);
            }
        }
    }

    #[test]
    fn raw_signatures_have_one_length() {
        for curve in Curve::ALL {
            let right = 2 * curve.number_bytes();
            for length in [0, 1, right / 2, right - 1, right + 1, 2 * right] {
                assert_eq!(curve.numbers(&vec![1; length]), None, "{length}");
            }
            assert!(curve.numbers(&vec![1; right]).is_some());
        }
    }

    // BoringSSL refuses a padded integer, and reads one with its top bit set as negative.
    #[test]
    fn der_integers_are_minimal_and_positive() {
        let der = Curve::P256.der(&raw(Curve::P256, &[0x7f], &[0x80, 0x01]));
        let expected = [0x30, 8, 2, 1, 0x7f, 2, 3, 0, 0x80, 0x01];
        assert_eq!(der.as_deref(), Some(&expected[..]));
        let high = [0xef; 32];
        let der = Curve::P256.der(&raw(Curve::P256, &high, &high)).unwrap();
        assert_eq!((der.len(), der[1], der[3], der[4]), (72, 70, 33, 0));
        // Two numbers of P-521 are the first that need a length of two bytes.
        let der = Curve::P521.der(&[1; 132]).unwrap();
        assert_eq!(der[..6], [0x30, 0x81, 0x88, 0x02, 0x42, 0x01]);
    }
}
