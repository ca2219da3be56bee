//! Attempts to speak for the gateway: identity headers that a client sends itself, and claims that would break out of a header.

use serde_json::json;

use super::{KEY, gate};
use crate::forge::{FORGE, Sign};

/// Spellings of `x-user` that an upstream may fold into the header that the gateway writes.
const SPELLINGS: [&str; 7] = [
    "x-user", "X-User", "X-USER", "x_user", "X_User", "x.user", "x~user",
];

/// Row 16: a client's identity headers reach no upstream, on a protected, an anonymous and a shadowed path alike.
#[test]
fn row_16_a_client_cannot_write_its_own_identity() {
    let Some(gate) = gate() else { return };
    let bearer = format!("Bearer {}", FORGE.good(Sign::Es256));
    for (path, subject) in [
        ("/orders/1", Some("alice")),
        ("/open/1", None),
        ("/shadow/1", None),
    ] {
        for spelling in SPELLINGS {
            for forged in [&b"root"[..], b"", b"\xff\xfe", b"alice"] {
                let mut headers = vec![
                    (spelling, forged),
                    (spelling, b"twice"),
                    ("X-Consumer", b"forged"),
                    ("x_groups", b"admins"),
                ];
                headers.push(("x-authenticated-scope", b"all"));
                if subject.is_some() {
                    headers.push(("authorization", bearer.as_bytes()));
                }
                let answer = gate.get(path, &headers);
                assert_eq!(answer.status, 200, "{path} {spelling}: {}", answer.text());
                let seen = answer.upstream_headers();
                let users: Vec<_> = seen
                    .iter()
                    .filter(|(name, _)| fold(name) == "x-user")
                    .collect();
                match subject {
                    Some(subject) => {
                        assert_eq!(users.len(), 1, "{path} {spelling}: {users:?}");
                        assert_eq!(
                            (users[0].0.as_str(), users[0].1.as_str()),
                            ("x-user", subject),
                            "{path} {spelling}"
                        );
                    }
                    None => assert!(users.is_empty(), "{path} {spelling}: {users:?}"),
                }
                for name in ["x-consumer", "x-authenticated-scope"] {
                    assert!(
                        seen.iter().all(|(seen, _)| fold(seen) != name),
                        "{path}: a forged {name} came through"
                    );
                }
                assert!(
                    seen.iter().all(|(_, value)| value != "admins"),
                    "{path}: a forged group came through"
                );
            }
        }
    }
}

/// Row 16, the credential itself: an upstream, or who reads its logs, must not be able to use it.
#[test]
fn row_16_credentials_stop_at_the_gateway() {
    let Some(gate) = gate() else { return };
    let token = FORGE.good(Sign::Es256);
    let bearer = format!("Bearer {token}");
    for (path, headers) in [
        ("/orders/1?a=1", vec![("authorization", bearer.as_bytes())]),
        ("/orders/1?a=1", vec![("x-api-key", KEY)]),
        ("/orders/1?api_key=demo-key-of-attack-1&a=1", vec![]),
        ("/orders/1?api%5Fkey=demo-key-of-attack-1&a=1", vec![]),
        ("/orders/1?a=1&api_key=demo-key-of-attack-1", vec![]),
        (
            "/open/1?a=1",
            vec![("authorization", bearer.as_bytes()), ("x-api-key", KEY)],
        ),
    ] {
        let answer = gate.get(path, &headers);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(
            !answer.text().contains("demo-key-of-attack-1"),
            "{path}: the key reached the upstream: {}",
            answer.text()
        );
        assert!(
            !answer.text().contains(&token),
            "{path}: the token reached the upstream"
        );
        assert!(
            answer.upstream_path().ends_with("?a=1"),
            "{path}: {}",
            answer.upstream_path()
        );
        let no_store = answer
            .upstream_headers()
            .iter()
            .any(|(name, value)| name == "cache-control" && value.contains("no-store"));
        assert!(
            no_store,
            "{path}: a cache behind auth would serve this answer to another caller"
        );
    }
}

/// Row 17: text from a token must not end a header line, or look like another item of a list.
#[test]
fn row_17_a_claim_cannot_break_out_of_a_header() {
    let Some(gate) = gate() else { return };
    for subject in [
        "a\r\nx-user: root",
        "a\nb",
        "a\0b",
        "a,admins",
        "ä€😀",
        "a%0d%0ab",
        "a\u{7f}b",
        "a\u{85}b",
        "  a ",
        "a\tb",
    ] {
        let token = FORGE.with_claims(|claims| {
            claims["sub"] = json!(subject);
            claims["groups"] = json!(["staff", subject]);
        });
        let answer = gate.get(
            "/orders/1",
            &[("authorization", format!("Bearer {token}").as_bytes())],
        );
        match answer.status {
            401 => {}
            200 => {
                let users: Vec<_> = answer
                    .upstream_headers()
                    .into_iter()
                    .filter(|(name, _)| fold(name) == "x-user")
                    .collect();
                assert_eq!(users.len(), 1, "{subject:?}: {users:?}");
                let value = &users[0].1;
                assert!(
                    value
                        .bytes()
                        .all(|byte| (0x21..0x7f).contains(&byte) && byte != b','),
                    "{subject:?}: {value:?}"
                );
                assert_eq!(
                    decode(value),
                    subject,
                    "the upstream can get the subject back"
                );
            }
            other => panic!("{subject:?}: status {other}: {}", answer.text()),
        }
    }
    let huge = FORGE.with_claims(|claims| claims["groups"] = json!(vec!["\u{1}".repeat(500); 4]));
    let answer = gate.get(
        "/orders/1",
        &[("authorization", format!("Bearer {huge}").as_bytes())],
    );
    assert_eq!(
        answer.status,
        401,
        "a header of 6 KB of escapes must not be sent: {}",
        answer.text()
    );
}

/// Row 15 in part: a key is compared whole, byte for byte.
#[test]
fn an_api_key_is_all_of_its_bytes() {
    let Some(gate) = gate() else { return };
    for wrong in [
        &b"demo-key-of-attack-"[..],
        b"demo-key-of-attack-1 x",
        b"Demo-key-of-attack-1",
        b"demo-key-of-attack-11",
        b"demo-key-of-attack-1\xc2\xa0",
        b"\xff",
        b"a",
    ] {
        assert_eq!(
            gate.get("/orders/1", &[("x-api-key", wrong)]).status,
            401,
            "{wrong:?}"
        );
    }
    assert_eq!(
        gate.get("/orders/1", &[("x-api-key", &[b'k'; 16_000])])
            .status,
        401,
        "a huge key"
    );
    assert_eq!(gate.get("/orders/1", &[("x-api-key", KEY)]).status, 200);
}

/// How CGI and WSGI upstreams name a header.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}
