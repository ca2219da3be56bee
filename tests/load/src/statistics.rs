//! The middle of many values, and how far they lie apart.

/// The middle of the values; between the two in the middle of an even number of them. Not a number if there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let upper = sorted.len() / 2;
    let lower = sorted.len().saturating_sub(1) / 2;
    match (sorted.get(lower), sorted.get(upper)) {
        (Some(lower), Some(upper)) => (lower + upper) / 2.0,
        _ => f64::NAN,
    }
}

/// Half of what lies between the first and the third quarter: half of all values are no further than this from the middle.
pub(crate) fn spread(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let last = sorted.len().saturating_sub(1);
    match (sorted.get(last / 4), sorted.get(last - last / 4)) {
        (Some(first), Some(third)) => (third - first) / 2.0,
        _ => f64::NAN,
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    // A mean would follow the one round in which the machine did something else.
    #[test]
    fn one_bad_round_moves_neither_median_nor_spread() {
        let quiet = [5.0, 4.0, 6.0, 5.0, 7.0];
        let disturbed = [5.0, 4.0, 6.0, 5.0, 1_000.0];
        assert_eq!(median(&quiet), 5.0);
        assert_eq!(median(&disturbed), 5.0);
        assert_eq!(spread(&quiet), 0.5);
        assert_eq!(spread(&disturbed), 0.5);
    }

    #[test]
    fn few_values_have_a_middle_too() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[4.0, 2.0]), 3.0);
        assert_eq!(spread(&[3.0]), 0.0);
        assert!(median(&[]).is_nan() && spread(&[]).is_nan());
    }
}
