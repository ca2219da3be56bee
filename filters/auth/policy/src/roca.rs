//! The fingerprint of RSA moduli made by a broken library (CVE-2017-15361, "ROCA").
//!
//! Its primes were powers of 65537 modulo a primorial, so its moduli are powers of 65537 modulo every small prime in it.
//! A modulus made honestly has that property by chance less than once in 2^27.

/// The primes whose residues tell most, as the finders' own detection tool lists them.
const PRIMES: [u32; 17] = [
    11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
];

/// Whether `modulus` (big-endian) bears the fingerprint.
pub(crate) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|prime| is_power_of_65537(residue(modulus, *prime), *prime))
}

fn residue(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0u32, |rest, byte| {
        rest.wrapping_mul(256)
            .wrapping_add(u32::from(*byte))
            .checked_rem(prime)
            .unwrap_or(0)
    })
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    let mut power = 1u32;
    for _ in 0..prime {
        if power == value {
            return true;
        }
        power = power.wrapping_mul(65537).checked_rem(prime).unwrap_or(0);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_found_and_others_are_not() {
        // 65537 mod 11 is 10, whose powers are 1 and 10.
        assert!(is_power_of_65537(1, 11) && is_power_of_65537(10, 11));
        assert!(!is_power_of_65537(2, 11) && !is_power_of_65537(0, 11));
        assert_eq!(residue(&[0x01, 0x00], 11), 256 % 11);
    }

    #[test]
    fn one_residue_outside_clears_a_modulus() {
        // 65537 itself is a power of 65537 everywhere; 65539 is not modulo 11.
        assert!(has_fingerprint(&65537u32.to_be_bytes()));
        assert!(!has_fingerprint(&65539u32.to_be_bytes()));
    }
}
