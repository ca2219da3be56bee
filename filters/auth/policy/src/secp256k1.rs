//! The curve secp256k1 (SEC 2 section 2.4.1) on the arithmetic that P-256 and P-384 have too.
//!
//! The crate `k256` is faster, by arithmetic of its own that would weigh 58 KB in the module, four times as much as this. The
//! parameters are compared with that crate's in tests, and each signature of its is verified there.

use ::ecdsa::EcdsaCurve;
use elliptic_curve::bigint::{ArrayEncoding, Limb, Odd, U256};
use elliptic_curve::consts::U32;
use elliptic_curve::ff::PrimeField;
use elliptic_curve::hazmat::FieldArithmetic;
use elliptic_curve::ops::{Reduce, ReduceNonZero};
use elliptic_curve::point::{PointCompaction, PointCompression};
use elliptic_curve::scalar::{FromUintUnchecked, IsHigh};
use elliptic_curve::subtle::{
    Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater, CtOption,
};
use elliptic_curve::{Curve, CurveArithmetic, PrimeCurve, PrimeCurveArithmetic};
use primeorder::{PrimeCurveParams, mul_backend, point_arithmetic, wnaf};

/// The order of the base point.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// The curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secp256k1;

pub(crate) type FieldBytes = elliptic_curve::FieldBytes<Secp256k1>;
pub(crate) type AffinePoint = primeorder::AffinePoint<Secp256k1>;
type ProjectivePoint = primeorder::ProjectivePoint<Secp256k1>;

/// ECDSA on the curve.
pub(crate) mod ecdsa {
    use super::Secp256k1;

    pub(crate) type Signature = ::ecdsa::Signature<Secp256k1>;
    pub(crate) type VerifyingKey = ::ecdsa::VerifyingKey<Secp256k1>;
}

impl Curve for Secp256k1 {
    type FieldBytesSize = U32;
    type Uint = U256;

    const ORDER: Odd<U256> = Odd::<U256>::from_be_hex(ORDER);
}

impl PrimeCurve for Secp256k1 {}

impl PointCompression for Secp256k1 {
    const COMPRESS_POINTS: bool = false;
}

impl PointCompaction for Secp256k1 {
    const COMPACT_POINTS: bool = false;
}

/// RFC 8812 section 3.2 asks for no form of `s`: OpenSSL, and so most issuers, make either of two twins.
impl EcdsaCurve for Secp256k1 {
    const NORMALIZE_S: bool = false;
}

impl CurveArithmetic for Secp256k1 {
    type AffinePoint = AffinePoint;
    type ProjectivePoint = ProjectivePoint;
    type Scalar = Scalar;
}

impl FieldArithmetic for Secp256k1 {
    type FieldElement = FieldElement;
}

impl PrimeCurveArithmetic for Secp256k1 {
    type CurveGroup = ProjectivePoint;
}

impl PrimeCurveParams for Secp256k1 {
    type PointArithmetic = point_arithmetic::EquationAIsZero;
    type Backend = mul_backend::VariableOnly;

    const EQUATION_A: FieldElement = FieldElement::ZERO;
    const EQUATION_B: FieldElement = FieldElement::from_u64(7);
    const GENERATOR: (FieldElement, FieldElement) = (
        FieldElement::from_hex_vartime(
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        FieldElement::from_hex_vartime(
            "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
        ),
    );
}

primefield::monty_field_params! {
    name: FieldParams,
    modulus: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
    uint: U256,
    byte_order: primefield::ByteOrder::BigEndian,
    multiplicative_generator: 3,
    doc: "The prime field that the coordinates are in."
}

primefield::monty_field_element! {
    name: FieldElement,
    params: FieldParams,
    uint: U256,
    doc: "A coordinate."
}

primefield::monty_field_arithmetic! {
    name: FieldElement,
    params: FieldParams,
    uint: U256
}

impl elliptic_curve::ops::BatchInvert for FieldElement {}

/// The numbers modulo the order.
mod scalar {
    use super::*;

    primefield::monty_field_params! {
        name: ScalarParams,
        modulus: ORDER,
        uint: U256,
        byte_order: primefield::ByteOrder::BigEndian,
        multiplicative_generator: 7,
        doc: "The prime field of the order."
    }

    primefield::monty_field_element! {
        name: Scalar,
        params: ScalarParams,
        uint: U256,
        doc: "A number modulo the order."
    }

    primefield::monty_field_arithmetic! {
        name: Scalar,
        params: ScalarParams,
        uint: U256
    }

    elliptic_curve::scalar_impls!(Secp256k1, Scalar);

    wnaf::impl_wnaf_size_for_scalar!(Scalar);

    impl AsRef<Scalar> for Scalar {
        fn as_ref(&self) -> &Scalar {
            self
        }
    }

    impl FromUintUnchecked for Scalar {
        type Uint = U256;

        fn from_uint_unchecked(uint: U256) -> Self {
            Self::from_uint_unchecked(uint)
        }
    }

    impl IsHigh for Scalar {
        fn is_high(&self) -> Choice {
            const HALF: U256 = Secp256k1::ORDER.as_ref().shr_vartime(1);
            self.to_canonical().ct_gt(&HALF)
        }
    }

    impl Reduce<U256> for Scalar {
        fn reduce(number: &U256) -> Self {
            Self::from_uint_unchecked(less(number, &Secp256k1::ORDER))
        }
    }

    impl Reduce<FieldBytes> for Scalar {
        fn reduce(bytes: &FieldBytes) -> Self {
            Self::reduce(&U256::from_be_byte_array(*bytes))
        }
    }

    impl ReduceNonZero<U256> for Scalar {
        fn reduce_nonzero(number: &U256) -> Self {
            const LAST: U256 = Secp256k1::ORDER.as_ref().wrapping_sub(&U256::ONE);
            Self::from_uint_unchecked(less(number, &LAST).wrapping_add(&U256::ONE))
        }
    }

    impl ReduceNonZero<FieldBytes> for Scalar {
        fn reduce_nonzero(bytes: &FieldBytes) -> Self {
            Self::reduce_nonzero(&U256::from_be_byte_array(*bytes))
        }
    }

    /// The number less this one, once, where it is not smaller: all numbers of 256 bits are below twice the order.
    fn less(number: &U256, subtrahend: &U256) -> U256 {
        let (rest, borrow) = number.borrowing_sub(subtrahend, Limb::ZERO);
        let is_smaller = Choice::from(u8::from(borrow != Limb::ZERO));
        U256::conditional_select(number, &rest, !is_smaller)
    }
}

pub(crate) use scalar::Scalar;

#[cfg(test)]
mod tests {
    use ::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
    use elliptic_curve::point::AffineCoordinates as _;
    use proptest::prelude::*;

    use super::*;

    /// The key of a signer of the other crate, by its coordinates.
    fn key(signer: &k256::ecdsa::SigningKey) -> ecdsa::VerifyingKey {
        let point = signer.verifying_key().to_sec1_point(false);
        let (x, y) = (point.x().unwrap(), point.y().unwrap());
        let point = AffinePoint::from_coordinates(x, y).unwrap();
        ecdsa::VerifyingKey::from_affine(point).unwrap()
    }

    // Another order or generator would refuse every signature; another equation would take points that belong to a weak curve.
    #[test]
    fn parameters_are_those_of_another_crate() {
        assert_eq!(Secp256k1::ORDER, k256::Secp256k1::ORDER);
        let other = k256::AffinePoint::GENERATOR;
        let (x, y) = (other.x(), other.y());
        let generator = AffinePoint::from_coordinates(&x, &y).unwrap();
        assert_eq!(generator, AffinePoint::GENERATOR);
        let off_curve = AffinePoint::from_coordinates(&y, &x);
        assert!(bool::from(off_curve.is_none()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        // Two implementations that share no arithmetic agree on signatures, their twins, and what is neither.
        #[test]
        fn signatures_hold_here_and_there(secret in any::<[u8; 32]>(), hash in any::<[u8; 32]>(), at in 0..64_usize, bit in 0..8_u32) {
            let Ok(signer) = k256::ecdsa::SigningKey::from_slice(&secret) else {
                return Ok(());
            };
            let key = key(&signer);
            let signed: k256::ecdsa::Signature = signer.sign_prehash(&hash).unwrap();
            let holds = |bytes: &[u8]| {
                let signature = ecdsa::Signature::from_slice(bytes);
                signature.is_ok_and(|signature| key.verify_prehash(&hash, &signature).is_ok())
            };
            let (r, s) = signed.split_scalars();
            let twin = k256::ecdsa::Signature::from_scalars(r, -s).unwrap();
            prop_assert!(holds(&signed.to_bytes()) && holds(&twin.to_bytes()));
            let mut changed = signed.to_bytes().to_vec();
            changed[at] ^= 1 << bit;
            prop_assert!(!holds(&changed));
        }

        #[test]
        fn points_are_on_the_curve_here_and_there(x in any::<[u8; 32]>(), y in any::<[u8; 32]>()) {
            let (x, y) = (FieldBytes::from(x), FieldBytes::from(y));
            let here = AffinePoint::from_coordinates(&x, &y);
            let there = k256::AffinePoint::from_coordinates(&x, &y);
            prop_assert_eq!(bool::from(here.is_some()), bool::from(there.is_some()));
        }
    }
}
