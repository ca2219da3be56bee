//! Any bytes as `Accept`: the version that is taken out of it is the one that it names.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http_message::{HeaderMap, RequestHead};
use routing_policy::{Facts, Policy, Reason, STATE_API_VERSION, Step};

/// By parameter, and by vendor's type.
static POLICIES: LazyLock<[Policy; 2]> = LazyLock::new(|| {
    ["{\"accept_parameter\":\"version\"}", "{\"accept_vendor\":\"application/vnd.example\"}"].map(|source| {
        let config = format!(
            r#"{{"version":1,"api_version":{{"supported":["1","2"],"default":"1","sources":[{source}]}}}}"#
        );
        Policy::from_bytes(config.as_bytes()).expect("a good configuration")
    })
});

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
enum Says {
    Nothing,
    Version(Vec<u8>),
    Unserved,
    Contradiction,
    Malformed,
}

/// # Panics
/// A version is taken that a plain reader does not find, or none where it finds one.
pub fn run(input: &[u8]) {
    let head = RequestHead::new(HeaderMap::from_pairs([
        (&b":method"[..], &b"GET"[..]),
        (b":path", b"/users"),
        (b"accept", input),
    ]));
    let [parameter, vendor] = &*POLICIES;
    for (policy, plain) in [
        (parameter, by_parameter as fn(&[u8]) -> Option<Named>),
        (vendor, by_vendor),
    ] {
        let says = match policy.decide(&head, &Facts::default()) {
            Step::Reply(_, Reason::UnknownVersionInAccept) => Says::Unserved,
            Step::Reply(_, Reason::ConflictingAccept) => Says::Contradiction,
            Step::Reply(_, Reason::MalformedAccept) => Says::Malformed,
            Step::Reply(_, reason) => panic!("{reason:?}"),
            Step::Forward(forward) => {
                let state = forward
                    .state
                    .iter()
                    .find(|(name, _)| *name == STATE_API_VERSION);
                let (_, version) = state.expect("a version is always written");
                match forward.counters.first() {
                    Some(routing_policy::Counter::Versioned) => {
                        Says::Version(version.as_bytes().to_vec())
                    }
                    _ => Says::Nothing,
                }
            }
        };
        // Without quotes commas and semicolons are what they seem.
        if !input.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
            assert_eq!(
                says,
                expected(input, plain),
                "{:?}",
                String::from_utf8_lossy(input)
            );
        }
    }
}

/// What one media range names; malformed is none that two parsers read alike.
enum Named {
    Version(Vec<u8>),
    Contradiction,
    Malformed,
}

fn expected(input: &[u8], plain: fn(&[u8]) -> Option<Named>) -> Says {
    let mut named = BTreeSet::new();
    for range in input.split(|byte| *byte == b',') {
        // In the order of the text: the first fault is the one that is told.
        match plain(range) {
            Some(Named::Malformed) => return Says::Malformed,
            Some(Named::Contradiction) => return Says::Contradiction,
            Some(Named::Version(version)) => {
                named.insert(label(&version));
                if named.len() > 1 {
                    return Says::Contradiction;
                }
            }
            None => {}
        }
    }
    match named.into_iter().next() {
        None => Says::Nothing,
        Some(Some(version)) if version == b"1" || version == b"2" => Says::Version(version),
        Some(_) => Says::Unserved,
    }
}

/// `2` and `v2` are one version; all that is no number is the same nonsense.
fn label(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"v").unwrap_or(text);
    let number = (1..=4).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    (number && (digits == b"0" || digits[0] != b'0')).then(|| digits.to_vec())
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Whether the client refuses the range: `q=0`, `q=0.000`.
fn refused(range: &[u8]) -> bool {
    range.split(|byte| *byte == b';').skip(1).any(|part| {
        let part = trim(part);
        let rest = part
            .strip_prefix(b"q=")
            .or_else(|| part.strip_prefix(b"Q="));
        rest.and_then(|weight| weight.strip_prefix(b"0"))
            .is_some_and(|rest| {
                rest.is_empty()
                    || rest
                        .strip_prefix(b".")
                        .is_some_and(|rest| rest.iter().all(|b| *b == b'0'))
            })
    })
}

fn by_parameter(range: &[u8]) -> Option<Named> {
    let mut found: Option<Vec<u8>> = None;
    for part in range.split(|byte| *byte == b';').skip(1) {
        let part = trim(part);
        let at = part.iter().position(|byte| *byte == b'=');
        let name = &part[..at.unwrap_or(part.len())];
        if !trim(name).eq_ignore_ascii_case(b"version") {
            continue;
        }
        let value = at.map(|at| &part[at + 1..]);
        let Some(value) = value.filter(|value| trim(name) == name && trim(value) == *value) else {
            return Some(Named::Malformed);
        };
        match &found {
            Some(other) if label(other) != label(value) => return Some(Named::Contradiction),
            _ => found = Some(value.to_vec()),
        }
    }
    found.filter(|_| !refused(range)).map(Named::Version)
}

fn by_vendor(range: &[u8]) -> Option<Named> {
    let kind = trim(range.split(|byte| *byte == b';').next().unwrap_or_default());
    let vendor = b"application/vnd.example";
    let rest = kind
        .get(..vendor.len())
        .filter(|start| start.eq_ignore_ascii_case(vendor))
        .map(|_| &kind[vendor.len()..])?;
    let rest = rest
        .strip_prefix(b".v")
        .or_else(|| rest.strip_prefix(b".V"))?;
    let version = rest.split(|byte| *byte == b'+').next().unwrap_or_default();
    let number = !version.is_empty() && version.iter().all(u8::is_ascii_digit);
    (number && !refused(range)).then(|| Named::Version(version.to_vec()))
}

/// What clients send, and what they should not.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "application/json;version=2",
        "text/html;q=0.4, application/json; Version=v2",
        "application/json;version=9;q=0, application/json;version=2",
        "application/json;version=\"2\"",
        "application/json;note=\"a;version=2,b\"",
        "a/b;version=1,c/d;version=2",
        "a/b;version = 2",
        "a/b;version",
        "a/b;version=02",
        "application/vnd.example.v2+json, */*;q=0.1",
        "application/vnd.Example.V9+json",
        "application/vnd.example.vault",
        "application/vnd.example.v1+json;q=0.0, application/vnd.example.v2",
        "*/*",
        "",
    ];
    texts.map(Into::into).into()
}
