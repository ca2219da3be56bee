//! Public keys as Envoy's `verify_signature` takes them: a DER SubjectPublicKeyInfo (RFC 5280 section 4.1).

/// `rsaEncryption` without parameters but NULL (RFC 3279 section 2.3.1).
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// `id-ecPublicKey` (RFC 5480 section 2.1.1).
const EC: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// An RSA key; both numbers are big-endian.
pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    push_integer(&mut numbers, modulus);
    push_integer(&mut numbers, exponent);
    let mut key = Vec::new();
    push(&mut key, SEQUENCE, &[&numbers]);
    public_key(&RSA, &key)
}

/// A point on a named curve, by the curve's object identifier and the coordinates in their full length.
pub(crate) fn ec(curve: &[u8], x: &[u8], y: &[u8]) -> Vec<u8> {
    let mut parameters = EC.to_vec();
    push(&mut parameters, OBJECT_IDENTIFIER, &[curve]);
    // Uncompressed (SEC 1 section 2.3.3).
    public_key(&sequence(&parameters), &[&[4], x, y].concat())
}

fn public_key(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    // None of the bits is padding.
    push(&mut bits, BIT_STRING, &[&[0], key]);
    let mut out = Vec::new();
    push(&mut out, SEQUENCE, &[algorithm, &bits]);
    out
}

/// An INTEGER, which is signed: of as few bytes as hold it, and positive.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: &[u8]) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = number.get(zeros..).unwrap_or_default();
    let sign: &[u8] = match digits.first() {
        Some(first) if first & 0x80 == 0 => &[],
        _ => &[0],
    };
    push(out, INTEGER, &[sign, digits]);
}

/// A SEQUENCE of what is encoded already.
pub(crate) fn sequence(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out, SEQUENCE, &[content]);
    out
}

/// One value: its tag, its length in the form of two bytes where one does not hold it, its content. The longest here is a key
/// of 4096 bits, far below what two bytes count to.
fn push(out: &mut Vec<u8>, tag: u8, content: &[&[u8]]) {
    let length = content.iter().map(|part| part.len()).sum::<usize>();
    out.push(tag);
    match u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes() {
        [0, low] if low < 0x80 => out.push(low),
        [0, low] => out.extend_from_slice(&[0x81, low]),
        [high, low] => out.extend_from_slice(&[0x82, high, low]),
    }
    for part in content {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use jwt_simple::prelude::{
        ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256KeyPair, ES384KeyPair,
        RS256PublicKey,
    };

    use super::*;
    use crate::curve::Curve;

    // What BoringSSL refuses to read cannot verify; another library must agree on every byte.
    #[test]
    fn rsa_keys_are_as_another_library_writes_them() {
        for (bytes, top) in [
            (256, 0x80),
            (256, 0xff),
            (257, 0x01),
            (384, 0x9b),
            (512, 0xc1),
        ] {
            let mut modulus = vec![0xa5; bytes];
            if let Some(first) = modulus.first_mut() {
                *first = top;
            }
            let key = RS256PublicKey::from_components(&modulus, &[1, 0, 1]).unwrap();
            assert_eq!(
                rsa(&modulus, &[1, 0, 1]),
                key.to_der().unwrap(),
                "{bytes} {top}"
            );
            let padded = [&[0, 0], modulus.as_slice()].concat();
            assert_eq!(rsa(&padded, &[1, 0, 1]), key.to_der().unwrap());
        }
    }

    #[test]
    fn points_are_as_another_library_writes_them() {
        let key = ES256KeyPair::generate().public_key();
        let point = key.public_key().to_bytes_uncompressed();
        let der = ec(Curve::P256.identifier(), &point[1..33], &point[33..]);
        assert_eq!(der, key.to_der().unwrap());
        let key = ES384KeyPair::generate().public_key();
        let point = key.public_key().to_bytes_uncompressed();
        let der = ec(Curve::P384.identifier(), &point[1..49], &point[49..]);
        assert_eq!(der, key.to_der().unwrap());
    }
}
