//! Any bytes as the timeout of a call: what is taken is what the protocols say, and no call gets more than its method allows.

use std::sync::LazyLock;

use http_message::{HeaderMap, RequestHead};
use routing_policy::{Facts, Policy, Reason, Step, parse_connect_timeout, parse_grpc_timeout};

use crate::request;

/// What the method below allows, in nanoseconds.
const MAX: u128 = 5_000_000_000;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let config = br#"{"version":1,"grpc":{"methods":[{"service":"a.B","deadline":{"default":"2s","max":"5s"}}]}}"#;
    Policy::from_bytes(config).expect("a good configuration")
});

/// # Panics
/// A timeout is read otherwise than the protocols have it, or goes on longer than was allowed.
pub fn run(input: &[u8]) {
    let grpc = parse_grpc_timeout(input).map(|time| time.as_nanos());
    let connect = parse_connect_timeout(input).map(|time| time.as_nanos());
    assert_eq!(grpc, plain_grpc(input));
    assert_eq!(connect, plain_connect(input));
    for (name, kind, read) in [
        ("grpc-timeout", "application/grpc", grpc),
        ("connect-timeout-ms", "application/connect+proto", connect),
    ] {
        let head = RequestHead::new(HeaderMap::from_pairs([
            (&b":method"[..], &b"POST"[..]),
            (b":path", b"/a.B/C"),
            (b"content-type", kind.as_bytes()),
            (name.as_bytes(), input),
        ]));
        let step = POLICY.decide(&head, &Facts::default());
        let forward = match (step, read) {
            (Step::Reply(_, Reason::MalformedTimeout), None)
            | (Step::Reply(_, Reason::Expired), Some(0)) => continue,
            (Step::Forward(forward), Some(1..)) => forward,
            (step, read) => panic!("{read:?}: {step:?}"),
        };
        let after = request::after(&head, &forward.edits);
        let header = |wanted: &str| {
            let mut found = after.iter().filter(|(is, _)| is == wanted.as_bytes());
            let value = found.next().map(|(_, value)| value.clone());
            assert!(found.next().is_none(), "{wanted} twice");
            value.expect("a value")
        };
        let told = match name {
            "grpc-timeout" => plain_grpc(&header(name)),
            _ => plain_connect(&header(name)),
        };
        let asked = read.unwrap_or_default();
        // Whole milliseconds, where it is written anew.
        assert_eq!(told, Some(asked.min(MAX)), "{input:?}");
        let millis = String::from_utf8(header("x-envoy-upstream-rq-timeout-ms")).expect("digits");
        let millis: u128 = millis.parse().expect("a number");
        assert_eq!(millis, asked.min(MAX).div_ceil(1_000_000), "{input:?}");
    }
}

/// `1*8DIGIT` and one of `HMSmun`.
fn plain_grpc(input: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(input).ok()?;
    let unit = match text.chars().last()? {
        'H' => 3_600_000_000_000,
        'M' => 60_000_000_000,
        'S' => 1_000_000_000,
        'm' => 1_000_000,
        'u' => 1_000,
        'n' => 1,
        _ => return None,
    };
    Some(digits(&text[..text.len() - 1], 8)? * unit)
}

/// Up to ten digits, of milliseconds.
fn plain_connect(input: &[u8]) -> Option<u128> {
    Some(digits(std::str::from_utf8(input).ok()?, 10)? * 1_000_000)
}

fn digits(text: &str, most: usize) -> Option<u128> {
    let fits = !text.is_empty() && text.len() <= most;
    let all = text.bytes().all(|letter| letter.is_ascii_digit());
    text.parse().ok().filter(|_| fits && all)
}

/// Timeouts, and what is none.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "1H",
        "2M",
        "3S",
        "99999999m",
        "5000u",
        "7000000n",
        "0S",
        "100000000m",
        "1s",
        "-1S",
        "+1S",
        "1.5S",
        " 1S",
        "250",
        "9999999999",
        "0",
        "00000001S",
        "",
    ];
    texts.map(Into::into).into()
}
