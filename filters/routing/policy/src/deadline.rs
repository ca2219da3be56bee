//! How long a call may take.

use std::time::Duration;

use filter_config::{BoundedDuration, ConfigError, FieldPath};
use http_message::{HeaderValue, Occurrence, Protocol, RequestHead};
use serde::Deserialize;

use crate::reason::Reason;
use crate::route_override::{BadOverride, RouteMetadata};

/// Its bounds keep a deadline within the eight digits of `grpc-timeout` in milliseconds.
pub(crate) type Bounds = BoundedDuration<1, 86_400_000>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadlineConfig {
    default: Option<Bounds>,
    max: Option<Bounds>,
    #[serde(default)]
    route_override: bool,
}

/// What a method allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// Where the client gives none.
    default: Option<Duration>,
    /// No client gets more.
    max: Option<Duration>,
    /// Whether a route may give another `max`.
    pub(crate) route_override: bool,
}

/// The time that a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) time: Duration,
    /// Whether it is not what the client asked for.
    pub(crate) changed: bool,
}

impl Deadline {
    pub(crate) fn compile(config: DeadlineConfig, at: &FieldPath) -> Result<Deadline, ConfigError> {
        let deadline = Deadline {
            default: config.default.map(BoundedDuration::get),
            max: config.max.map(BoundedDuration::get),
            route_override: config.route_override,
        };
        match (deadline.default, deadline.max) {
            (None, None) => Err(ConfigError::new(at, "needs default, max or both")),
            (Some(default), Some(max)) if default > max => {
                Err(ConfigError::new(&at.field("default"), "is longer than max"))
            }
            _ => Ok(deadline),
        }
    }

    /// The same with the `max` of the route.
    pub(crate) fn on_route(self, route: &RouteMetadata) -> Result<Deadline, BadOverride> {
        match route.max_deadline()? {
            Some(max) if self.route_override => Ok(Deadline {
                max: Some(max),
                ..self
            }),
            _ => Ok(self),
        }
    }

    /// What the call gets, if there is a limit to it at all.
    pub(crate) fn allow(&self, head: &RequestHead) -> Result<Option<Allowed>, Reason> {
        let asked = asked(head)?;
        if asked == Some(Duration::ZERO) {
            return Err(Reason::Expired);
        }
        let Some(wanted) = asked.or(self.default).or(self.max) else {
            return Ok(None);
        };
        let time = self.max.map_or(wanted, |max| wanted.min(max));
        Ok(Some(Allowed {
            time,
            changed: asked != Some(time),
        }))
    }
}

impl Allowed {
    /// In whole milliseconds, never none.
    pub(crate) fn millis(self) -> u128 {
        self.time.as_nanos().div_ceil(1_000_000).max(1)
    }

    /// For the header that [`timeout_header`] names: milliseconds.
    pub(crate) fn header_value(self, protocol: Protocol) -> Option<HeaderValue> {
        let unit = if protocol == Protocol::Connect {
            ""
        } else {
            "m"
        };
        HeaderValue::try_from(format!("{}{unit}", self.millis()).as_str()).ok()
    }
}

/// The header in which a client of the protocol says how long it waits.
pub(crate) const fn timeout_header(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Connect => "connect-timeout-ms",
        Protocol::Http | Protocol::Grpc | Protocol::GrpcWeb => "grpc-timeout",
    }
}

fn asked(head: &RequestHead) -> Result<Option<Duration>, Reason> {
    let protocol = head.protocol();
    let parse = match protocol {
        Protocol::Connect => parse_connect_timeout,
        Protocol::Http | Protocol::Grpc | Protocol::GrpcWeb => parse_grpc_timeout,
    };
    match head.headers().occurrence(timeout_header(protocol)) {
        Occurrence::Absent => Ok(None),
        Occurrence::Once(value) => parse(value).map(Some).ok_or(Reason::MalformedTimeout),
        Occurrence::Repeated => Err(Reason::MalformedTimeout),
    }
}

/// `grpc-timeout`: one to eight digits and a unit of `HMSmun`
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). `None` for all else.
pub fn parse_grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let number = number(digits, 8)?;
    Some(match unit {
        b'H' => Duration::from_secs(number.checked_mul(3600)?),
        b'M' => Duration::from_secs(number.checked_mul(60)?),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// `connect-timeout-ms`: one to ten digits (<https://connectrpc.com/docs/protocol#unary-request>). `None` for all else.
pub fn parse_connect_timeout(value: &[u8]) -> Option<Duration> {
    number(value, 10).map(Duration::from_millis)
}

fn number(digits: &[u8], most: usize) -> Option<u64> {
    let fits = (1..=most).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| fits)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use http_message::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    fn deadline(default: Option<u64>, max: Option<u64>) -> Deadline {
        Deadline {
            default: default.map(Duration::from_millis),
            max: max.map(Duration::from_millis),
            route_override: false,
        }
    }

    fn head(headers: &[(&str, &str)]) -> RequestHead {
        let pseudo = [(":method", "POST"), (":path", "/a.B/C")];
        RequestHead::new(HeaderMap::from_pairs(
            pseudo.into_iter().chain(headers.iter().copied()),
        ))
    }

    #[test]
    fn timeouts_have_one_form() {
        for (text, millis) in [
            ("1H", 3_600_000),
            ("2M", 120_000),
            ("3S", 3000),
            ("99999999m", 99_999_999),
            ("5000u", 5),
            ("7000000n", 7),
            ("0S", 0),
        ] {
            let found = parse_grpc_timeout(text.as_bytes()).unwrap();
            assert_eq!(found.as_millis(), millis, "{text}");
        }
        for text in [
            "",
            "S",
            "1",
            "1s",
            "100000000m",
            "-1S",
            "+1S",
            " 1S",
            "1S ",
            "1.5S",
            "1SS",
            "1é",
            "1,2S",
        ] {
            assert_eq!(parse_grpc_timeout(text.as_bytes()), None, "{text}");
        }
        assert_eq!(
            parse_connect_timeout(b"250"),
            Some(Duration::from_millis(250))
        );
        for text in ["", "250m", "12345678901", "-1", "1 "] {
            assert_eq!(parse_connect_timeout(text.as_bytes()), None, "{text}");
        }
    }

    // A client that asks for an hour must not hold an upstream for it, nor one that asks for nothing.
    #[test]
    fn a_client_gets_what_it_asks_for_within_the_bounds() {
        for (default, max, asked, expected) in [
            (Some(500), Some(1000), None, Some((500, true))),
            (Some(500), Some(1000), Some("2S"), Some((1000, true))),
            (Some(500), Some(1000), Some("300m"), Some((300, false))),
            (None, Some(1000), None, Some((1000, true))),
            (Some(500), None, Some("2S"), Some((2000, false))),
            (Some(500), None, Some("10n"), Some((1, false))),
        ] {
            let headers: Vec<_> = asked
                .map(|value| ("grpc-timeout", value))
                .into_iter()
                .collect();
            let found = deadline(default, max).allow(&head(&headers)).unwrap();
            assert_eq!(
                found.map(|allowed| (allowed.millis(), allowed.changed)),
                expected,
                "{default:?} {max:?} {asked:?}"
            );
        }
        let connect = [
            ("connect-protocol-version", "1"),
            ("connect-timeout-ms", "5000"),
        ];
        let found = deadline(None, Some(1000))
            .allow(&head(&connect))
            .unwrap()
            .unwrap();
        assert_eq!(
            found.header_value(Protocol::Connect).unwrap().as_bytes(),
            b"1000"
        );
        assert_eq!(
            found.header_value(Protocol::Grpc).unwrap().as_bytes(),
            b"1000m"
        );
    }

    #[test]
    fn what_is_expired_or_unclear_is_refused() {
        let ask = |headers: &[(&str, &str)]| deadline(None, Some(1000)).allow(&head(headers)).err();
        assert_eq!(ask(&[("grpc-timeout", "0m")]), Some(Reason::Expired));
        assert_eq!(
            ask(&[("grpc-timeout", "soon")]),
            Some(Reason::MalformedTimeout)
        );
        let twice = [("grpc-timeout", "1S"), ("grpc-timeout", "9H")];
        assert_eq!(ask(&twice), Some(Reason::MalformedTimeout));
        assert_eq!(ask(&[("grpc-timeout", "1S")]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_timeout_or_none(value in proptest::collection::vec(any::<u8>(), 0..12)) {
            let _ = parse_connect_timeout(&value);
            let _ = parse_grpc_timeout(&value);
        }

        // What is written is what is read.
        #[test]
        fn a_written_timeout_comes_back(millis in 1u64..=86_400_000) {
            let allowed = Allowed { time: Duration::from_millis(millis), changed: true };
            let grpc = allowed.header_value(Protocol::Grpc).unwrap();
            prop_assert_eq!(parse_grpc_timeout(grpc.as_bytes()), Some(allowed.time));
            let connect = allowed.header_value(Protocol::Connect).unwrap();
            prop_assert_eq!(parse_connect_timeout(connect.as_bytes()), Some(allowed.time));
        }
    }
}
