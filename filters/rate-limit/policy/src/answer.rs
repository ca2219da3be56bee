//! What client and upstream are told of the limits (draft-ietf-httpapi-ratelimit-headers-11, and the older headers).

use std::time::Duration;

use http_message::{HeaderEdits, HeaderMap, HeaderName, HeaderValue, RequestHead, same_spelling};

use crate::config::Policy;
use crate::draw::{Draw, Drawn, Effect};
use crate::headers::Reset;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::standing::Standing;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// The soft limits that a request is beyond: for the upstream, and on the response for the client.
const OVER_LIMIT: HeaderName = HeaderName::from_static("x-gatehouse-over-limit");

/// Those of the limits, and one more: `Retry-After`, or the mark of soft limits.
const MOST_HEADERS: usize = 6;

const SECOND: u64 = 1_000_000_000;

/// How the limits of one request stand. Those that do not act are not told to the client.
#[derive(Debug, Default)]
pub struct Standings<'a>(Vec<Line<'a>>);

#[derive(Debug)]
struct Line<'a> {
    name: &'a str,
    /// The item of `RateLimit-Policy`.
    policy: &'a HeaderValue,
    quota: u64,
    is_soft: bool,
    standing: Standing,
}

impl<'a> Standings<'a> {
    /// Adds a limit, if it acts. `taken` is whether what the request costs has been taken, and stays so; where it could have been and
    /// was not, it is there for the next request.
    pub fn push(&mut self, draw: &'a Draw<'_>, drawn: &Drawn, taken: bool) {
        if draw.effect() == Effect::Shadow {
            return;
        }
        let meters = draw.quota.meters().iter();
        let lines = meters.zip(drawn.standings(taken));
        self.0.extend(lines.map(|(meter, standing)| Line {
            name: &meter.name,
            policy: &meter.policy,
            quota: meter.quota(),
            is_soft: draw.effect() == Effect::Soft,
            standing: *standing,
        }));
    }

    /// The names of the rates that had no room.
    pub fn violated(&self) -> Vec<&'a str> {
        self.refusing().map(|line| line.name).collect()
    }

    /// The names of the soft ones among them.
    pub fn over(&self) -> Vec<&'a str> {
        let over = |line: &&Line<'_>| line.is_soft && line.standing.wait > 0;
        self.0.iter().filter(over).map(|line| line.name).collect()
    }

    fn refusing(&self) -> impl Iterator<Item = &Line<'a>> {
        let refuses = |line: &&Line<'_>| line.standing.wait > 0 && !line.is_soft;
        self.0.iter().filter(refuses)
    }

    /// The limit that stops the client first: the one that refuses for longest, or has the least room.
    fn tightest(&self) -> Option<&Line<'a>> {
        let key = |line: &&Line<'a>| {
            let standing = &line.standing;
            (standing.wait, u64::MAX.saturating_sub(standing.remaining))
        };
        self.0.iter().max_by_key(key)
    }
}

impl Line<'_> {
    /// Seconds until more can be had: the room that was missing, or all of it.
    fn reset(&self) -> u64 {
        seconds(self.until())
    }

    /// The same in nanoseconds.
    fn until(&self) -> u64 {
        match self.standing.wait {
            0 => self.standing.until_full,
            wait => wait,
        }
    }
}

impl Policy {
    /// The headers that tell how the limits stand on a response to a request that went on, as they are configured. `epoch` is the
    /// time since 1970, where [`tells_epoch`](Policy::tells_epoch).
    pub fn headers(
        &self,
        standings: &Standings<'_>,
        epoch: Duration,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = match self.headers.on_admitted {
            true => self.all_headers(standings, epoch),
            false => Vec::new(),
        };
        let over = standings.over();
        if let Some(value) = names(&over) {
            headers.push((OVER_LIMIT, value));
        }
        headers
    }

    fn all_headers(
        &self,
        standings: &Standings<'_>,
        epoch: Duration,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::with_capacity(MOST_HEADERS);
        let lines = &standings.0;
        let mut text = Vec::with_capacity(128);
        if self.headers.rate_limit_policy {
            match lines.as_slice() {
                [] => {}
                [line] => headers.push((RATE_LIMIT_POLICY, line.policy.clone())),
                lines => headers.extend(policies(lines, &mut text)),
            }
        }
        if self.headers.rate_limit && !lines.is_empty() {
            let mut digits = itoa::Buffer::new();
            for line in lines {
                text.extend_from_slice(if text.is_empty() { b"\"" } else { b", \"" });
                text.extend_from_slice(line.name.as_bytes());
                text.extend_from_slice(b"\";r=");
                text.extend_from_slice(digits.format(line.standing.remaining).as_bytes());
                text.extend_from_slice(b";t=");
                text.extend_from_slice(digits.format(line.reset()).as_bytes());
            }
            // Names of limits are tokens and all else is digits: the text is always a value.
            headers.extend(header(RATE_LIMIT, &text));
        }
        if let Some(line) = standings.tightest().filter(|_| self.headers.x_rate_limit) {
            let reset = match self.headers.x_rate_limit_reset {
                Reset::Delta => line.reset(),
                Reset::Epoch => epoch
                    .as_nanos()
                    .saturating_add(u128::from(line.until()))
                    .div_ceil(u128::from(SECOND))
                    .try_into()
                    .unwrap_or(u64::MAX),
            };
            for (name, number) in [
                (X_LIMIT, line.quota),
                (X_REMAINING, line.standing.remaining),
                (X_RESET, reset),
            ] {
                let mut digits = itoa::Buffer::new();
                headers.extend(header(name, digits.format(number).as_bytes()));
            }
        }
        headers
    }

    /// The reply to a request for which a limit had no room. `Retry-After` names the instant at which all have it.
    pub fn exceeded(&self, standings: &Standings<'_>, epoch: Duration) -> Refusal {
        let waits = standings.refusing().map(|line| line.standing.wait);
        let wait = waits.max().unwrap_or_default();
        let mut headers = self.all_headers(standings, epoch);
        headers.extend(retry_after(seconds(wait)));
        Refusal::new(Reason::Exceeded, standings.violated(), wait, headers)
    }

    /// The reply to a request that could not be counted, under the limit of this name.
    pub fn contended(&self, name: &str) -> Refusal {
        let headers = retry_after(1).into_iter().collect();
        Refusal::new(Reason::Contended, vec![name], SECOND, headers)
    }

    /// The edits that tell the upstream of soft limits that a request is beyond. What the client has written in their name goes, also
    /// where there is nothing to tell.
    pub fn mark(&self, head: &RequestHead, standings: &Standings<'_>) -> HeaderEdits {
        let mut edits = self.without_marks(head.headers());
        if let Some(value) = names(&standings.over()) {
            edits.set(OVER_LIMIT, value);
        }
        edits
    }

    /// The edits that take out of headers or trailers what is written there in the name of the mark, in every spelling.
    pub fn without_marks(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        for (name, _) in headers {
            if same_spelling(name, OVER_LIMIT.as_bytes()) {
                edits.remove(name);
            }
        }
        edits
    }
}

/// `RateLimit-Policy` of several rates. The text is left empty.
#[inline(never)]
fn policies(lines: &[Line<'_>], text: &mut Vec<u8>) -> Option<(HeaderName, HeaderValue)> {
    for line in lines {
        text.extend_from_slice(if text.is_empty() { b"" } else { b", " });
        text.extend_from_slice(line.policy.as_bytes());
    }
    let policies = header(RATE_LIMIT_POLICY, text);
    text.clear();
    policies
}

fn header(name: HeaderName, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::try_from(value).ok()?;
    Some((name, value))
}

fn names(names: &[&str]) -> Option<HeaderValue> {
    match names {
        [] => None,
        names => HeaderValue::try_from(names.join(", ")).ok(),
    }
}

fn retry_after(seconds: u64) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::try_from(seconds.to_string()).ok()?;
    Some((RETRY_AFTER, value))
}

/// Rounded up, and at least one: "in 0 seconds" is an invitation to try again at once.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(SECOND).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour after the beginning of 1970, and half a second.
    const NOW: Duration = Duration::from_millis(3_600_500);

    fn policy(headers: &str) -> Policy {
        let config = format!(
            r#"{{ "version": 1, "headers": {headers},
                "limits": [{{ "name": "a", "key": "address", "rate": "1/s" }}] }}"#
        );
        Policy::from_bytes(config.as_bytes()).unwrap()
    }

    fn line(name: &'static str, remaining: u64, wait: u64, until_full: u64) -> Line<'static> {
        const BURST: &HeaderValue = &HeaderValue::from_static(r#""burst";q=20;w=2"#);
        const DAILY: &HeaderValue = &HeaderValue::from_static(r#""daily";q=20;w=2"#);
        let standing = Standing {
            remaining,
            wait,
            until_full,
        };
        Line {
            name,
            policy: if name == "burst" { BURST } else { DAILY },
            quota: 20,
            is_soft: false,
            standing,
        }
    }

    fn text(headers: &[(HeaderName, HeaderValue)]) -> Vec<String> {
        let show = |(name, value): &(HeaderName, HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        headers.iter().map(show).collect()
    }

    #[test]
    fn an_admitted_request_is_told_what_is_left() {
        let standings = Standings(vec![
            line("burst", 7, 0, 1_300_000_000),
            line("daily", 3, 0, 60 * SECOND),
        ]);
        let policy = policy(r#"{ "x_rate_limit": true }"#);
        assert_eq!(
            text(&policy.headers(&standings, NOW)),
            [
                r#"ratelimit-policy: "burst";q=20;w=2, "daily";q=20;w=2"#,
                r#"ratelimit: "burst";r=7;t=2, "daily";r=3;t=60"#,
                "x-ratelimit-limit: 20",
                "x-ratelimit-remaining: 3",
                "x-ratelimit-reset: 60",
            ]
        );
        assert!(standings.violated().is_empty());
    }

    #[test]
    fn a_refused_request_is_told_when_to_come_back() {
        let standings = Standings(vec![
            line("burst", 0, 1, SECOND),
            line("other", 9, 0, SECOND),
            line("daily", 0, 59 * SECOND + 1, 90 * SECOND),
        ]);
        let policy = policy(r#"{ "x_rate_limit": true, "rate_limit": false }"#);
        let refusal = policy.exceeded(&standings, NOW);
        assert_eq!(refusal.problem.status, 429);
        assert_eq!(refusal.violated(), ["burst", "daily"]);
        assert_eq!(
            text(&refusal.problem.headers),
            [
                "x-ratelimit-limit: 20",
                "x-ratelimit-remaining: 0",
                "x-ratelimit-reset: 60",
                "retry-after: 60",
            ]
        );
    }

    // A list that is empty is not a structured field.
    #[test]
    fn without_a_limit_there_is_no_header() {
        let policy = policy(r#"{ "x_rate_limit": true }"#);
        assert!(policy.headers(&Standings::default(), NOW).is_empty());
    }

    #[test]
    fn headers_can_be_left_out() {
        let standings = Standings(vec![line("burst", 0, 1, 1)]);
        let told = |headers: &str| {
            let told = policy(headers).headers(&standings, NOW);
            told.into_iter()
                .map(|(name, _)| name.to_string())
                .collect::<Vec<_>>()
        };
        let older = ["limit", "remaining", "reset"].map(|part| format!("x-ratelimit-{part}"));
        let newer = ["ratelimit-policy".to_owned(), "ratelimit".to_owned()];
        assert_eq!(told("{}"), [&newer[..], &older[..]].concat());
        assert_eq!(told(r#"{ "rate_limit": false }"#), older);
        assert_eq!(told(r#"{ "x_rate_limit": false }"#), newer);
        assert_eq!(
            told(r#"{ "rate_limit_policy": false, "x_rate_limit": false }"#),
            newer[1..]
        );
        let only_policy =
            r#"{ "rate_limit": false, "rate_limit_policy": true, "x_rate_limit": false }"#;
        assert_eq!(told(only_policy), newer[..1]);
        let policy = policy(r#"{ "rate_limit": false, "x_rate_limit": false }"#);
        assert!(policy.headers(&standings, NOW).is_empty());
        // Retry-After is part of the refusal, and never zero.
        assert_eq!(
            text(&policy.exceeded(&standings, NOW).problem.headers),
            ["retry-after: 1"]
        );
    }

    // Seconds from now and seconds since 1970 are told apart by nobody but the one who has configured them.
    #[test]
    fn a_reset_can_be_told_as_a_time() {
        let standings = Standings(vec![line("burst", 0, 2 * SECOND, 1)]);
        let policy = policy(
            r#"{ "rate_limit": false, "x_rate_limit": true, "x_rate_limit_reset": "epoch" }"#,
        );
        assert!(policy.tells_epoch());
        let told = text(&policy.headers(&standings, NOW));
        assert_eq!(told[2], "x-ratelimit-reset: 3603");
    }

    #[test]
    fn those_who_are_admitted_can_be_told_nothing() {
        let standings = Standings(vec![line("burst", 0, 2 * SECOND, 1)]);
        let policy = policy(r#"{ "on_admitted": false }"#);
        assert!(policy.headers(&standings, NOW).is_empty());
        assert_eq!(
            text(&policy.exceeded(&standings, NOW).problem.headers).len(),
            6
        );
    }

    // A soft limit refuses nobody: it must not set Retry-After, nor be named as violated.
    #[test]
    fn a_soft_limit_marks_and_refuses_nobody() {
        let mut soft = line("burst", 0, 90 * SECOND, 1);
        soft.is_soft = true;
        let standings = Standings(vec![soft, line("daily", 0, SECOND, 1)]);
        let policy = policy("{}");
        let refusal = policy.exceeded(&standings, NOW);
        assert_eq!(refusal.violated(), ["daily"]);
        assert!(text(&refusal.problem.headers).contains(&"retry-after: 1".to_owned()));
        let told = text(&policy.headers(&standings, NOW));
        assert_eq!(told.last().unwrap(), "x-gatehouse-over-limit: burst");

        let pairs = [
            (":path", "/"),
            ("x_gatehouse_over_limit", "forged"),
            ("x-a", "1"),
        ];
        let head = RequestHead::new(HeaderMap::from_pairs(pairs));
        let edits = policy.mark(&head, &standings);
        assert_eq!(edits.writes(head.headers()).len(), 2);
        let nothing = policy.mark(&head, &Standings::default());
        assert_eq!(nothing.writes(head.headers()).len(), 1);
    }
}
