//! Durations with their unit: `250ms`, `60s`, `1m30s`, `2h`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

const MS: u64 = 1;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// The units, largest first, as they must follow each other.
const UNITS: [(&str, u64); 4] = [("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MS)];
/// Ten years, so that a clock reading and a duration can be added without care.
const MAX_MS: u64 = 87_600 * HOUR;

const EXPECTED: &str = "a duration such as 250ms, 60s, 1m30s or 2h";
const BARE: &str = "a duration needs its unit, write 60s or 250ms instead of a bare number";

/// A duration in whole milliseconds, at most `87600h` (ten years).
///
/// Written as whole numbers with the units `h`, `m`, `s`, `ms`, the largest first, each at most once. A bare number is
/// refused: nobody remembers whether it was seconds or milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigDuration(Duration);

impl ConfigDuration {
    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// A duration of so many milliseconds, for defaults.
    pub const fn from_millis(millis: u64) -> Self {
        ConfigDuration(Duration::from_millis(millis))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BARE);
        }
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        let mut rest = text;
        loop {
            let (number, behind) = split_where(rest, |byte| !byte.is_ascii_digit());
            let (unit, behind) = split_where(behind, |byte| byte.is_ascii_digit());
            // Past a unit the iterator has only smaller ones left.
            let (_, millis) = units.find(|(name, _)| *name == unit).ok_or(INVALID)?;
            if number.is_empty() {
                return Err(INVALID);
            }
            let number: u64 = number.parse().map_err(|_| TOO_LONG)?;
            total = number
                .checked_mul(*millis)
                .and_then(|part| total.checked_add(part))
                .ok_or(TOO_LONG)?;
            if total > MAX_MS {
                return Err(TOO_LONG);
            }
            if behind.is_empty() {
                return Ok(ConfigDuration::from_millis(total));
            }
            rest = behind;
        }
    }
}

const INVALID: &str = "not a duration, expected one such as 250ms, 60s, 1m30s or 2h";
const TOO_LONG: &str = "duration is too long, expected at most 87600h";

/// Splits before the first byte that fits; the whole text if none does.
fn split_where(text: &str, fits: impl Fn(u8) -> bool) -> (&str, &str) {
    let at = text.bytes().position(fits).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

impl fmt::Display for ConfigDuration {
    /// The form that a configuration has it in: `1m30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, millis) in UNITS {
            let count = rest.checked_div(millis).unwrap_or(0);
            rest = rest.checked_rem(millis).unwrap_or(0);
            if count > 0 {
                write!(f, "{count}{name}")?;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = ConfigDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ConfigDuration, E> {
        ConfigDuration::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<ConfigDuration, E> {
        Err(E::custom(BARE))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<ConfigDuration, E> {
        Err(E::custom(BARE))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<ConfigDuration, E> {
        Err(E::custom(BARE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::from_value;

    fn read(text: &str) -> Result<Duration, String> {
        from_value::<ConfigDuration>(json!(text))
            .map(ConfigDuration::get)
            .map_err(|error| error.to_string())
    }

    // A unit taken for another makes a timeout a thousand times too long.
    #[test]
    fn reads_every_unit() {
        assert_eq!(read("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(read("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(read("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(read("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(read("1h2m3s4ms"), Ok(Duration::from_millis(3_723_004)));
        assert_eq!(read("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(read("0s"), Ok(Duration::ZERO));
        assert_eq!(read("87600h"), Ok(Duration::from_secs(87_600 * 3600)));
    }

    // A bare number is the commonest slip: the message must say how to mend it.
    #[test]
    fn a_bare_number_is_refused_with_the_fix() {
        let refusal = |value| from_value::<ConfigDuration>(value).unwrap_err().to_string();
        for value in [json!(60), json!(-1), json!(0.5), json!("60")] {
            assert_eq!(
                refusal(value),
                "a duration needs its unit, write 60s or 250ms instead of a bare number"
            );
        }
        assert_eq!(
            refusal(json!(true)),
            "wrong type boolean, expected a duration such as 250ms, 60s, 1m30s or 2h"
        );
    }

    // What is guessed at here is a timeout nobody configured.
    #[test]
    fn anything_else_is_refused() {
        let texts = [
            "", " ", "s", "1", "1d", "1 s", " 1s", "1s ", "-1s", "+1s", "1.5s", "1S", "1s1m",
            "1s1s", "1ms1s", "1m30", "١s",
        ];
        for text in texts {
            assert!(read(text).is_err(), "{text:?} was read");
        }
        for text in [
            "87600h1ms",
            "87601h",
            "99999999999999999999999s",
            "18446744073709551615h",
            "87600h18446744073709551615s",
        ] {
            assert_eq!(
                read(text),
                Err("duration is too long, expected at most 87600h".to_owned()),
                "{text}"
            );
        }
    }

    proptest! {
        // A bound in an error message must be a text that a configuration may hold.
        #[test]
        fn displays_as_it_is_written(millis in 0..=MAX_MS) {
            let duration = ConfigDuration::from_millis(millis);
            prop_assert_eq!(ConfigDuration::parse(&duration.to_string()), Ok(duration));
        }

        // A configuration's text must never cost the VM.
        #[test]
        fn any_text_gets_an_answer(text in "[0-9hms. ]{0,40}|\\PC{0,10}") {
            if let Ok(duration) = ConfigDuration::parse(&text) {
                prop_assert!(duration <= ConfigDuration::from_millis(MAX_MS));
            }
        }
    }
}
