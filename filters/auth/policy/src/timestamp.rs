//! A moment, as an operator writes it.

use std::time::Duration;

use serde::Deserialize;

/// A moment from 1970 on, to the second: `2026-12-31T23:59:59Z` (RFC 3339), in UTC alone, so that nobody has to reckon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    /// The time since the Unix epoch.
    pub(crate) fn since_epoch(self) -> Duration {
        Duration::from_secs(self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        let form = b"0000-00-00T00:00:00Z";
        let fits = text.len() == form.len()
            && text.bytes().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == *form,
            });
        if !fits {
            return None;
        }
        let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        let (hour, minute, second) = (part(11..13)?, part(14..16)?, part(17..19)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let length = |month| match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap(year) => 29,
            2 => 28,
            _ => 31,
        };
        if year < 1970 || !(1..=12).contains(&month) || !(1..=length(month)).contains(&day) {
            return None;
        }
        let years: u64 = (1970..year)
            .map(|year| 365_u64.saturating_add(leap(year).into()))
            .sum();
        let months: u64 = (1..month).map(length).sum();
        let days = years
            .saturating_add(months)
            .saturating_add(day.saturating_sub(1));
        let add =
            |whole: u64, unit: u64, part: u64| whole.saturating_mul(unit).saturating_add(part);
        Some(Self(add(add(add(days, 24, hour), 60, minute), 60, second)))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected a moment in UTC such as 2026-12-31T23:59:59Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A key that goes a day or an hour late is good when nobody expects it.
    #[test]
    fn moments_are_seconds_since_the_epoch() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2001-09-09T01:46:40Z", 1_000_000_000),
            ("2023-06-30T23:59:59Z", 1_688_169_599),
            ("2027-01-15T08:00:00Z", 1_800_000_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-12-31",
            "2026-12-31T23:59:59",
            "2026-12-31T23:59:59+00:00",
            "2026-12-31t23:59:59z",
            "2026-12-31 23:59:59Z",
            "2026-12-31T23:59:59.5Z",
            "2026-12-31T24:00:00Z",
            "2026-12-31T23:60:00Z",
            "2026-12-31T23:59:60Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "+026-12-31T23:59:59Z",
            "2026-12-31T23:59:59é",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
