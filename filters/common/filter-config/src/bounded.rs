//! Numbers and durations with bounds.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::duration::ConfigDuration;

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    /// The number, if it is within the bounds.
    pub const fn new(number: u64) -> Option<Self> {
        if MIN <= number && number <= MAX {
            Some(Bounded(number))
        } else {
            None
        }
    }

    /// A number known when the code is compiled, for defaults; one out of bounds does not compile.
    pub const fn constant<const NUMBER: u64>() -> Self {
        const { assert!(MIN <= NUMBER && NUMBER <= MAX, "out of bounds") };
        Bounded(NUMBER)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(BoundedVisitor)
    }
}

struct BoundedVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> BoundedVisitor<MIN, MAX> {
    fn refusal<E: Error>() -> E {
        E::custom(format_args!(
            "out of range, expected a whole number from {MIN} to {MAX}"
        ))
    }
}

impl<const MIN: u64, const MAX: u64> Visitor<'_> for BoundedVisitor<MIN, MAX> {
    type Value = Bounded<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Bounded::new(number).ok_or_else(Self::refusal)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        u64::try_from(number)
            .ok()
            .and_then(Bounded::new)
            .ok_or_else(Self::refusal)
    }
}

/// A [`ConfigDuration`] from `MIN_MS` to `MAX_MS` milliseconds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoundedDuration<const MIN_MS: u64, const MAX_MS: u64>(ConfigDuration);

impl<const MIN_MS: u64, const MAX_MS: u64> BoundedDuration<MIN_MS, MAX_MS> {
    /// A duration known when the code is compiled, for defaults; one out of bounds does not compile.
    pub const fn constant<const MS: u64>() -> Self {
        const { assert!(MIN_MS <= MS && MS <= MAX_MS, "out of bounds") };
        BoundedDuration(ConfigDuration::from_millis(MS))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0.get()
    }
}

impl<'de, const MIN_MS: u64, const MAX_MS: u64> Deserialize<'de>
    for BoundedDuration<MIN_MS, MAX_MS>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let duration = ConfigDuration::deserialize(deserializer)?;
        let (least, most) = (
            ConfigDuration::from_millis(MIN_MS),
            ConfigDuration::from_millis(MAX_MS),
        );
        if least <= duration && duration <= most {
            Ok(BoundedDuration(duration))
        } else {
            Err(D::Error::custom(format_args!(
                "out of range, expected {least} to {most}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::from_value;

    // One off at either end admits what the documentation refuses, or the other way round.
    #[test]
    fn numbers_keep_both_bounds() {
        type Port = Bounded<1, 100>;
        for (number, within) in [(0, false), (1, true), (100, true), (101, false)] {
            assert_eq!(Port::new(number).is_some(), within);
            assert_eq!(
                from_value::<Port>(json!(number)).map(Port::get).ok(),
                within.then_some(number)
            );
        }
        assert_eq!(Port::constant::<100>().get(), 100);
        let refusal = |value| from_value::<Port>(value).unwrap_err().to_string();
        for value in [
            json!(0),
            json!(101),
            json!(-5),
            json!(-5.0),
            json!(u64::MAX),
        ] {
            assert_eq!(
                refusal(value),
                "out of range, expected a whole number from 1 to 100"
            );
        }
        for value in [json!(1.5), json!(1e300)] {
            assert_eq!(
                refusal(value),
                "wrong type number, expected a whole number from 1 to 100"
            );
        }
        assert_eq!(
            refusal(json!("5")),
            "wrong type string, expected a whole number from 1 to 100"
        );
    }

    // A skew above the bound would accept tokens long expired.
    #[test]
    fn durations_keep_both_bounds() {
        type Skew = BoundedDuration<500, 60_000>;
        for (text, within) in [
            ("499ms", false),
            ("500ms", true),
            ("1m", true),
            ("60001ms", false),
        ] {
            assert_eq!(from_value::<Skew>(json!(text)).is_ok(), within, "{text}");
        }
        assert_eq!(
            from_value::<Skew>(json!("1s")).map(Skew::get),
            Ok(Duration::from_secs(1))
        );
        assert_eq!(Skew::constant::<60_000>().get(), Duration::from_secs(60));
        let error = from_value::<Skew>(json!("2h")).unwrap_err();
        assert_eq!(error.to_string(), "out of range, expected 500ms to 1m");
    }
}
