//! What the client is told of its limits (draft-ietf-httpapi-ratelimit-headers-11, and the older headers).

use http_message::{HeaderName, HeaderValue, Problem, ProblemType};

use crate::bucket::Standing;
use crate::config::Policy;
use crate::draw::{Draw, Drawn};
use crate::reason::Reason;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const SECOND: u64 = 1_000_000_000;

/// How the limits of one request stand. Those that do not act are not told to the client.
#[derive(Debug, Default)]
pub struct Standings<'a>(Vec<Line<'a>>);

#[derive(Debug)]
struct Line<'a> {
    name: &'a str,
    burst: u64,
    /// Seconds.
    window: u64,
    standing: Standing,
}

impl<'a> Standings<'a> {
    /// Adds a limit, if it acts. `taken` is whether its token has been taken, and stays so; where it could have been and was
    /// not, it is there for the next request.
    pub fn push(&mut self, draw: &Draw<'a>, drawn: &Drawn, taken: bool) {
        if draw.enforced() {
            self.0.push(Line {
                name: draw.name,
                burst: draw.bucket.burst(),
                window: seconds(draw.bucket.fill_time()),
                standing: match taken || !drawn.admits() {
                    true => drawn.standing,
                    false => drawn.untouched,
                },
            });
        }
    }

    /// The names of the limits that had no token.
    pub fn violated(&self) -> Vec<&'a str> {
        self.refusing().map(|line| line.name).collect()
    }

    fn refusing(&self) -> impl Iterator<Item = &Line<'a>> {
        self.0.iter().filter(|line| line.standing.wait > 0)
    }

    /// The limit that stops the client first: the one that refuses for longest, or has the fewest tokens.
    fn tightest(&self) -> Option<&Line<'a>> {
        let key = |line: &&Line<'a>| {
            let standing = &line.standing;
            (standing.wait, u64::MAX.saturating_sub(standing.remaining))
        };
        self.0.iter().max_by_key(key)
    }
}

impl Line<'_> {
    /// Seconds until more can be had: the token that was missing, or a full bucket.
    fn reset(&self) -> u64 {
        match self.standing.wait {
            0 => seconds(self.standing.until_full),
            wait => seconds(wait),
        }
    }
}

impl Policy {
    /// The headers that tell how the limits stand, as they are configured.
    pub fn headers(&self, standings: &Standings<'_>) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        let mut write = |name: HeaderName, value: String| {
            // Names of limits are tokens and all else is digits: the value is always one.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.push((name, value));
            }
        };
        let lines = &standings.0;
        if self.rate_limit_headers && !lines.is_empty() {
            let list = |item: fn(&Line<'_>) -> String| {
                lines.iter().map(item).collect::<Vec<_>>().join(", ")
            };
            write(
                RATE_LIMIT_POLICY,
                list(|line| format!("\"{}\";q={};w={}", line.name, line.burst, line.window)),
            );
            write(
                RATE_LIMIT,
                list(|line| {
                    format!(
                        "\"{}\";r={};t={}",
                        line.name,
                        line.standing.remaining,
                        line.reset()
                    )
                }),
            );
        }
        if let Some(line) = standings.tightest().filter(|_| self.x_rate_limit_headers) {
            write(X_LIMIT, line.burst.to_string());
            write(X_REMAINING, line.standing.remaining.to_string());
            write(X_RESET, line.reset().to_string());
        }
        headers
    }

    /// The reply to a request for which a limit had no token. `Retry-After` names the instant at which all have one.
    pub fn exceeded(&self, standings: &Standings<'_>) -> (Problem, ProblemType) {
        let waits = standings.refusing().map(|line| line.standing.wait);
        let wait = seconds(waits.max().unwrap_or_default());
        let mut headers = self.headers(standings);
        headers.extend(retry_after(wait));
        refusal(Reason::Exceeded, standings.violated(), headers)
    }

    /// The reply to a request that could not be counted, under the limit of this name.
    pub fn contended(&self, name: &str) -> (Problem, ProblemType) {
        refusal(
            Reason::Contended,
            vec![name],
            retry_after(1).into_iter().collect(),
        )
    }
}

fn refusal(
    reason: Reason,
    violated: Vec<&str>,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> (Problem, ProblemType) {
    let kind = ProblemType {
        uri: reason.problem_type().unwrap_or("about:blank"),
        violated_policies: violated.into_iter().map(str::to_owned).collect(),
        ..ProblemType::default()
    };
    (reason.problem(headers), kind)
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

    fn policy(headers: &str) -> Policy {
        let config = format!(
            r#"{{ "version": 1, "headers": {headers},
                "limits": [{{ "name": "a", "key": "address", "rate": "1/s" }}] }}"#
        );
        Policy::from_bytes(config.as_bytes()).unwrap()
    }

    fn line(name: &'static str, remaining: u64, wait: u64, until_full: u64) -> Line<'static> {
        let standing = Standing {
            remaining,
            wait,
            until_full,
        };
        Line {
            name,
            burst: 20,
            window: 2,
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
            text(&policy.headers(&standings)),
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
        let (problem, kind) = policy.exceeded(&standings);
        assert_eq!(problem.status, 429);
        assert_eq!(kind.violated_policies, ["burst", "daily"]);
        assert_eq!(
            text(&problem.headers),
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
        assert!(policy.headers(&Standings::default()).is_empty());
    }

    #[test]
    fn headers_can_be_left_out() {
        let standings = Standings(vec![line("burst", 0, 1, 1)]);
        let policy = policy(r#"{ "rate_limit": false }"#);
        assert!(policy.headers(&standings).is_empty());
        // Retry-After is part of the refusal, and never zero.
        assert_eq!(
            text(&policy.exceeded(&standings).0.headers),
            ["retry-after: 1"]
        );
    }
}
