//! A moment as text.

use std::time::Duration;

const SECONDS_A_DAY: u64 = 86_400;
/// The days of 400 years, after which the calendar repeats itself.
const DAYS_AN_ERA: u64 = 146_097;
/// From the first of March of the year 0 to 1970, in days.
const BEFORE_1970: u64 = 719_468;

/// RFC 3339 in UTC, to the second: `2026-12-31T23:59:59Z`.
pub(super) fn rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = date(seconds.div_euclid(SECONDS_A_DAY));
    let second = seconds.rem_euclid(SECONDS_A_DAY);
    let (hour, minute) = (
        second.div_euclid(3600),
        second.rem_euclid(3600).div_euclid(60),
    );
    let second = second.rem_euclid(60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date of a day since 1970. Years begin with March here, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(BEFORE_1970);
    let (era, day) = (days.div_euclid(DAYS_AN_ERA), days.rem_euclid(DAYS_AN_ERA));
    // Without the leap days before it every year has 365.
    let leap_days = (day.div_euclid(1460))
        .saturating_add(day.div_euclid(DAYS_AN_ERA.saturating_sub(1)))
        .saturating_sub(day.div_euclid(36_524));
    let year = day.saturating_sub(leap_days).div_euclid(365);
    let before = year
        .saturating_mul(365)
        .saturating_add(year.div_euclid(4))
        .saturating_sub(year.div_euclid(100));
    let day = day.saturating_sub(before);
    // March to July have 153 days, and so have the five months behind them.
    let month = day.saturating_mul(5).saturating_add(2).div_euclid(153);
    let first = month.saturating_mul(153).saturating_add(2).div_euclid(5);
    let day = day.saturating_sub(first).saturating_add(1);
    let year = year.saturating_add(era.saturating_mul(400));
    if month < 10 {
        (year, month.saturating_add(3), day)
    } else {
        (year.saturating_add(1), month.saturating_sub(9), day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_825_600, "2000-02-29T12:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_688_169_599, "2023-06-30T23:59:59Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
    }

    // A day that is left out or comes twice, anywhere in four hundred years.
    #[test]
    fn days_follow_each_other() {
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let mut expected = (1970, 1, 1);
        for days in 0..=DAYS_AN_ERA {
            assert_eq!(date(days), expected, "day {days}");
            let (year, month, day) = expected;
            let length = match month {
                4 | 6 | 9 | 11 => 30,
                2 => 28 + u64::from(is_leap(year)),
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == length => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }

    // A clock of the host's that is wild gives a wild date, and no panic.
    #[test]
    fn no_clock_is_too_late() {
        assert!(rfc3339(Duration::MAX).ends_with('Z'));
    }
}
