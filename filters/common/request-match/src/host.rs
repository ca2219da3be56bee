//! Host names, with `*.` for what lies below one.

use filter_config::{ConfigError, FieldPath};

/// A host as it is configured: `api.example.com`, `*.example.com` (any name below it, at any depth), `[::1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    /// In lower case; of a wildcard what follows `*`, with its dot.
    name: String,
    wildcard: bool,
}

impl HostPattern {
    pub(crate) fn compile(text: &str, at: &FieldPath) -> Result<HostPattern, ConfigError> {
        let refuse = |reason: &str| Err(ConfigError::new(at, reason));
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return refuse("\"*\" is every host: leave hosts out");
        }
        if text.contains("://") || text.contains('/') {
            return refuse("a host name alone, without scheme and path");
        }
        let (name, wildcard) = text
            .strip_prefix('*')
            .map_or((text.as_str(), false), |name| (name, true));
        let is_address = name.starts_with('[');
        if host_of(name.as_bytes()) != Some(name.as_bytes()) {
            return refuse("a host name alone, without port and without a dot at its end");
        }
        if is_address {
            let inner = name
                .strip_prefix('[')
                .and_then(|name| name.strip_suffix(']'))
                .unwrap_or_default();
            if wildcard || inner.parse::<std::net::Ipv6Addr>().is_err() {
                return refuse("expected an IPv6 address in the brackets");
            }
            return Ok(HostPattern {
                name: name.to_owned(),
                wildcard,
            });
        }
        let labels = if wildcard {
            name.strip_prefix('.')
        } else {
            Some(name)
        };
        let Some(labels) = labels else {
            return refuse("\"*\" stands for whole labels, as in \"*.example.com\"");
        };
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !labels.split('.').all(is_label) {
            return refuse(
                "not a host name, expected letters, digits, \"-\" and \"_\" between dots, with \"*.\" only in front; \
                 write other letters as in DNS (xn--)",
            );
        }
        Ok(HostPattern {
            name: name.to_owned(),
            wildcard,
        })
    }

    /// Whether a host without port, as [`host_of`] finds it, is meant. Letter case does not matter.
    pub(crate) fn matches(&self, host: &[u8]) -> bool {
        let name = self.name.as_bytes();
        if !self.wildcard {
            return host.eq_ignore_ascii_case(name);
        }
        host.len()
            .checked_sub(name.len())
            .filter(|start| *start > 0)
            .and_then(|start| host.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(name))
    }
}

/// The host of an authority: without port and without one dot at its end. `None` if it is not clear which part is the host;
/// such a request is refused before any pattern is looked at.
pub fn host_of(authority: &[u8]) -> Option<&[u8]> {
    // Of what most authorities consist, and what can only be of the host.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !authority.iter().all(is_plain) {
        return host_among_others(authority);
    }
    let host = authority.strip_suffix(b".").unwrap_or(authority);
    (!host.is_empty()).then_some(host)
}

/// The same of an authority with a port, an address in brackets, or what no host can have.
#[inline(never)]
fn host_among_others(authority: &[u8]) -> Option<&[u8]> {
    let host = if authority.starts_with(b"[") {
        let end = authority
            .iter()
            .position(|byte| *byte == b']')?
            .checked_add(1)?;
        let (host, port) = authority.split_at_checked(end)?;
        match port.split_first() {
            None => host,
            Some((b':', port)) if is_port(port) => host,
            Some(_) => return None,
        }
    } else {
        match authority
            .iter()
            .position(|byte| *byte == b':')
            .and_then(|at| authority.split_at_checked(at))
        {
            None => authority,
            Some((host, port)) if port.get(1..).is_some_and(is_port) => host,
            Some(_) => return None,
        }
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    // Visible ASCII but for `#`, `%`, `,`, `/`, `?`, `@` and `\`.
    let clear = |byte: &u8| matches!(byte, b'!'..=b'"' | b'$' | b'&'..=b'+' | b'-'..=b'.' | b'0'..=b'>' | b'A'..=b'[' | b']'..=b'~');
    (!host.is_empty() && host.iter().all(clear)).then_some(host)
}

fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Result<HostPattern, String> {
        HostPattern::compile(text, &FieldPath::root()).map_err(|error| error.to_string())
    }

    fn matches(text: &str, authority: &str) -> bool {
        host_of(authority.as_bytes()).is_some_and(|host| pattern(text).unwrap().matches(host))
    }

    #[test]
    fn port_case_and_one_final_dot_do_not_count() {
        // A rule for a host has to hold however a client spells the host.
        for authority in [
            "api.example.com",
            "API.Example.Com",
            "api.example.com:8443",
            "api.example.com:",
            "api.example.com.",
            "api.example.com.:443",
        ] {
            assert!(matches("api.example.com", authority), "{authority}");
            assert!(matches("API.example.com", authority), "{authority}");
            assert!(matches("*.example.com", authority), "{authority}");
        }
        for authority in [
            "",
            "example.com",
            "xapi.example.com",
            "api.example.com.evil",
            "api.example.com..",
            ".",
        ] {
            assert!(!matches("api.example.com", authority), "{authority}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_what_lies_below() {
        assert!(matches("*.example.com", "a.b.example.com"));
        for authority in [
            "example.com",
            ".example.com",
            "xexample.com",
            "a.example.com.evil",
        ] {
            assert!(!matches("*.example.com", authority), "{authority}");
        }
    }

    #[test]
    fn addresses_have_brackets() {
        assert!(matches("[::1]", "[::1]:8080") && matches("[::1]", "[::1]"));
        assert!(matches("127.0.0.1", "127.0.0.1:8080"));
        assert!(!matches("127.0.0.1", "[::1]"));
    }

    #[test]
    fn an_unclear_authority_has_no_host() {
        for authority in [
            "user@api.example.com",
            "api.example.com@evil",
            "api.example.com:443:80",
            "api.example.com:x",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "api.example.com/x",
            "api.example.com,evil",
            "api.example.com?evil",
            "api.example.com#evil",
            "api.example.com\\evil",
            "api%2eexample.com",
            "api.example.com\u{e9}",
            "api example.com",
            ":443",
        ] {
            assert_eq!(host_of(authority.as_bytes()), None, "{authority}");
        }
    }

    #[test]
    fn patterns_that_cannot_match_are_refused() {
        for (text, reason) in [
            ("*", "leave hosts out"),
            ("https://api.example.com", "without scheme"),
            ("api.example.com/x", "without scheme and path"),
            ("api.example.com:443", "without port"),
            ("api.example.com.", "without a dot"),
            ("[::1]:80", "without port"),
            ("*example.com", "whole labels"),
            ("*.", "without a dot at its end"),
            ("a.*.com", "only in front"),
            ("*.*.com", "only in front"),
            ("a..b", "not a host name"),
            (".a", "not a host name"),
            ("bücher.example", "without port"),
            ("[x]", "IPv6"),
            ("[::1", "without port"),
        ] {
            let error = pattern(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        // An authority is what a client likes it to be.
        #[test]
        fn any_bytes_have_a_host_or_none(authority in proptest::collection::vec(any::<u8>(), 0..32)) {
            if let Some(host) = host_of(&authority) {
                prop_assert!(!host.is_empty());
            }
        }
    }
}
