//! Another host.

use http_message::HeaderValue;

use crate::reason::Reason;
use crate::template::Sources;
use crate::value::Value;

/// Another host for the upstream and the route.
#[derive(Debug)]
pub(crate) struct HostRewrite {
    pub(crate) value: Value,
    /// The hosts that it may be, with their ports. A host leads to a route of its own, which no rule in front has seen.
    pub(crate) allowed: Vec<String>,
}

impl HostRewrite {
    /// The new authority, or nothing if it is that already.
    pub(crate) fn apply(
        &self,
        authority: &[u8],
        sources: &Sources<'_>,
    ) -> Result<Option<HeaderValue>, Reason> {
        let host = self.value.text(sources);
        let host = host.ok().flatten().ok_or(Reason::HostNotAllowed)?;
        if !is_one_of(host.as_bytes(), &self.allowed) {
            return Err(Reason::HostNotAllowed);
        }
        Ok((host.as_bytes() != authority).then_some(host))
    }
}

/// Letters are of one case in a host (RFC 9110 section 4.2.3).
fn is_one_of(host: &[u8], allowed: &[String]) -> bool {
    allowed
        .iter()
        .any(|allowed| host.eq_ignore_ascii_case(allowed.as_bytes()))
}

/// Whether it is a host, with a port or without: a name of DNS, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => return address.parse::<std::net::Ipv6Addr>().is_ok(),
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
            ("x", port.strip_prefix(':'))
        }
        Some(_) => return false,
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("80")),
        },
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(is_label) && port.is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use filter_config::FieldPath;
    use http_message::{HeaderMap, RequestHead};
    use request_match::RequestMatch;

    use super::*;
    use crate::direction::Direction;
    use crate::template::{Facts, Scope};

    // What a host is made of may one day be a client's word: only a host that is allowed is one.
    #[test]
    fn only_allowed_hosts_are_taken() {
        let head = RequestHead::new(HeaderMap::default());
        let sources = Sources {
            head: &head,
            identity: None,
            facts: &Facts::default(),
            now: std::time::Duration::ZERO,
            response: None,
            captures: &[("host", b"b.test:8080")],
        };
        let scope = Scope {
            direction: Direction::Request,
            matcher: &RequestMatch::default(),
            captures: &["host".to_owned()],
        };
        let rewrite = |host: &str| {
            let rewrite = HostRewrite {
                value: Value::compile(host, scope, &FieldPath::root()).unwrap(),
                allowed: vec!["a.test".to_owned(), "b.test:8080".to_owned()],
            };
            rewrite
                .apply(b"a.test", &sources)
                .map(|host| host.map(|host| String::from_utf8(host.as_bytes().to_vec()).unwrap()))
        };
        for host in [
            "c.test",
            "b.test",
            "b.test:80",
            "a.test.",
            "x.a.test",
            "a.test@c.test",
            "a.test ${capture:host}",
            "${header:x-none}",
        ] {
            assert_eq!(rewrite(host), Err(Reason::HostNotAllowed), "{host}");
        }
        assert_eq!(rewrite("a.test"), Ok(None));
        let filled = rewrite("${capture:host}");
        assert_eq!(filled, Ok(Some("b.test:8080".to_owned())));
        assert_eq!(rewrite("B.test:8080"), Ok(Some("B.test:8080".to_owned())));
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "", ".", "a..b", "a.", "a/b", "a@b", "a b", "a:0", "a:", "a:65536", "a:+1", "a:1:2",
            "::1", "[::1", "[::1]x", "[::1]:", "[x]", "*.a", "bücher", "http://a",
        ] {
            assert!(!is_host(host), "{host}");
        }
        for host in [
            "a",
            "api.internal",
            "a_b.test:8080",
            "127.0.0.1",
            "[::1]",
            "[::1]:443",
        ] {
            assert!(is_host(host), "{host}");
        }
    }
}
