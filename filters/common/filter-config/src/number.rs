//! Numbers that are whole.

/// Up to here every whole number has a double of its own.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The whole number that a double stands for, if it does and the double is exact (at most 2^53 either way).
pub(crate) fn whole(double: f64) -> Option<i64> {
    if double.fract() == 0.0 && double.abs() <= MAX_EXACT {
        // In range by the check above.
        Some(double as i64)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Beyond 2^53 a double stands for several numbers: an id or a limit would silently become another.
    #[test]
    fn only_exact_whole_numbers() {
        assert_eq!(whole(1.0), Some(1));
        assert_eq!(whole(-0.0), Some(0));
        assert_eq!(whole(9_007_199_254_740_992.0), Some(1 << 53));
        assert_eq!(whole(-9_007_199_254_740_992.0), Some(-(1 << 53)));
        for double in [
            9_007_199_254_740_994.0,
            1.5,
            1e300,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            assert_eq!(whole(double), None);
        }
    }
}
