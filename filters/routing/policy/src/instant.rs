//! Points in time, as a configuration and the headers of a response write them.

use std::fmt;

/// A second, between the years 1970 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant {
    /// Since the Unix epoch.
    seconds: u64,
    date: Date,
    /// Since midnight.
    second_of_day: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Date {
    year: u32,
    month: u32,
    day: u32,
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SECONDS_A_DAY: u64 = 86_400;

impl Instant {
    /// Reads `2026-12-31` (its first second, UTC) or `2026-12-31T23:59:59Z` (RFC 3339 without fraction and offset).
    pub(crate) fn parse(text: &str) -> Option<Instant> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, time.strip_suffix('Z')?),
            None => (text, "00:00:00"),
        };
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let date = Date { year, month, day };
        if year < 1970 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = date.days_since_epoch()?;
        let second_of_day = hour
            .checked_mul(3600)?
            .checked_add(minute.checked_mul(60)?)?
            .checked_add(second)?;
        Some(Instant {
            seconds: days
                .checked_mul(SECONDS_A_DAY)?
                .checked_add(u64::from(second_of_day))?,
            date,
            second_of_day,
        })
    }

    /// A date of structured fields (RFC 9651 section 3.3.7): `@1688169599`.
    pub(crate) fn structured(self) -> String {
        format!("@{}", self.seconds)
    }
}

/// An HTTP date (RFC 9110 section 5.6.7): `Thu, 31 Dec 2026 23:59:59 GMT`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.seconds / SECONDS_A_DAY;
        let weekday = usize::try_from(days % 7).ok().and_then(|day| DAYS.get(day));
        let month = usize::try_from(self.date.month.saturating_sub(1)).ok();
        let month = month.and_then(|month| MONTHS.get(month));
        let (hour, rest) = (self.second_of_day / 3600, self.second_of_day % 3600);
        write!(
            f,
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            weekday.unwrap_or(&""),
            self.date.day,
            month.unwrap_or(&""),
            self.date.year,
            hour,
            rest / 60,
            rest % 60
        )
    }
}

impl Date {
    /// `None` for a day that its month does not have.
    fn days_since_epoch(self) -> Option<u64> {
        let mut days = u64::from(self.day.checked_sub(1)?);
        let months = usize::try_from(self.month.checked_sub(1)?).ok()?;
        let lengths = month_lengths(self.year);
        if self.day > *lengths.get(months)? {
            return None;
        }
        for length in lengths.iter().take(months) {
            days = days.checked_add(u64::from(*length))?;
        }
        for year in 1970..self.year {
            days = days.checked_add(if is_leap(year) { 366 } else { 365 })?;
        }
        Some(days)
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_lengths(year: u32) -> [u32; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Three numbers of so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(separator);
    let mut next = |length: usize| {
        let part = parts.next()?;
        let fits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| part.parse().ok())?
    };
    let [first, second, third] = digits;
    let numbers = [next(first)?, next(second)?, next(third)?];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Known dates; a wrong weekday alone makes a strict client drop the header.
    #[test]
    fn known_instants_are_written_right() {
        for (text, structured, http) in [
            ("1970-01-01", "@0", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (
                "1994-11-06T08:49:37Z",
                "@784111777",
                "Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            ("2000-02-29", "@951782400", "Tue, 29 Feb 2000 00:00:00 GMT"),
            // The example of RFC 9745 section 2.1.
            (
                "2023-06-30T23:59:59Z",
                "@1688169599",
                "Fri, 30 Jun 2023 23:59:59 GMT",
            ),
            // The example of RFC 8594 section 3.
            (
                "2018-12-31T23:59:59Z",
                "@1546300799",
                "Mon, 31 Dec 2018 23:59:59 GMT",
            ),
            ("2100-03-01", "@4107542400", "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            let instant = Instant::parse(text).unwrap();
            assert_eq!(instant.structured(), structured, "{text}");
            assert_eq!(instant.to_string(), http, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026",
            "2026-1-1",
            "2026-00-01",
            "2026-13-01",
            "2026-02-29",
            "2100-02-29",
            "2026-04-31",
            "2026-01-00",
            "1969-12-31",
            "2026-01-01T00:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01 ",
            "20260101",
            "true",
            "@0",
            "2026-01-01-01",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
        assert!(
            Instant::parse("2026-12-31").unwrap() > Instant::parse("2026-12-30T23:59:59Z").unwrap()
        );
    }
}
