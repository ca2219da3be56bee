//! Paths and methods that a gateway, Envoy's router and an upstream may each read in another way. Sent as raw bytes to a listener
//! that does not normalise, so that the filter alone must hold.

use super::{Gate, KEY, gate};
use crate::forge::{FORGE, Sign};

/// Row 18: `/open` needs no credential, `/orders` does. No spelling of the second may pass as the first or as neither.
#[test]
fn row_18_no_spelling_of_a_path_evades_its_rule() {
    let Some(gate) = gate() else { return };
    let targets: Vec<Vec<u8>> = [
        "/open/../orders/1",
        "/open/..",
        "/open/%2e%2e/orders/1",
        "/open/.%2e/orders/1",
        "/open/%2E%2E/orders/1",
        "/open/./../orders/1",
        "/open/%2e/x",
        "/open/.",
        "/open//orders/1",
        "//orders/1",
        "/open//",
        "//open/1",
        "/open%2f..%2forders/1",
        "/open/..%2forders/1",
        "/open%2Forders",
        "/open/..%5corders/1",
        "/open\\..\\orders\\1",
        "/open/..\\orders",
        "/open;/../orders/1",
        "/open/..;/orders/1",
        "/open;p=1/x",
        "/open/x;p=1",
        "/open/..;p=1/orders/1",
        "/open/%2e%2e;/orders/1",
        "/open/x%3bp",
        "/open/x%00",
        "/open/%00/../orders",
        "/open/x%0d%0ay",
        "/open/x%7f",
        "/open/%c0%af../orders",
        "/open/%c0%ae%c0%ae/orders",
        "/open/%252e%252e/orders/1",
        "/open/%25%32%65",
        "/open%252forders",
        "/open/%zz",
        "/open/%2",
        "/open/%",
        "/open/%ff",
        "/open/%e2%82",
        "open/1",
        "*",
        "/open/%u002e%u002e/orders",
    ]
    .iter()
    .map(|target| target.as_bytes().to_vec())
    .chain([
        b"/open/\xff".to_vec(),
        b"/open/x#/../orders/1".to_vec(),
        [&b"/open/"[..], &[b'a'; 20_000]].concat(),
    ])
    .collect();
    for target in &targets {
        let answer = gate.send(b"GET", target, &[], b"");
        let shown = String::from_utf8_lossy(&target[..target.len().min(60)]);
        assert!(
            [400, 404, 414, 431].contains(&answer.status),
            "{shown}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(
            !answer.reached_upstream(),
            "{shown} reached the upstream: {}",
            answer.text()
        );
    }
}

/// Row 18, the other way round: what cannot be read in two ways keeps working and meets its own rule.
#[test]
fn row_18_plain_paths_meet_their_rule() {
    let Some(gate) = gate() else { return };
    for (target, status) in [
        ("/open/1", 200),
        ("/open/a%20b", 200),
        ("/open/%C3%A4", 200),
        ("/open/a.b..c", 200),
        ("/open/...", 200),
        ("/open/1?x=../orders", 200),
        ("/open/1?x=%2f%00;", 200),
        ("/op%65n/1", 200),
        ("/open", 200),
        ("/open/", 200),
        ("/opened", 401),
        ("/OPEN/1", 401),
        ("/orders/1", 401),
        ("/%6frders/1", 401),
        ("/ord%65rs/1", 401),
        ("/nowhere", 401),
        ("/", 401),
        ("/orders/1?/open", 401),
        ("/orders/1/../1", 400),
    ] {
        let answer = gate.send(b"GET", target.as_bytes(), &[], b"");
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
}

/// Row 18, absolute form (RFC 9112 section 3.2.2): the path inside it meets the rule.
#[test]
fn row_18_an_absolute_target_is_its_path() {
    let Some(gate) = gate() else { return };
    for (target, status) in [
        ("http://x.test/open/1", 200),
        ("http://x.test/orders/1", 401),
        ("http://x.test/open/../orders/1", 400),
        ("http://x.test", 401),
    ] {
        let answer = gate.send(b"GET", target.as_bytes(), &[], b"");
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
}

/// Row 19: a rule for GET covers GET. No other method, spelling or protocol is exempt.
#[test]
fn row_19_a_method_that_no_rule_names_is_refused() {
    let Some(gate) = gate() else { return };
    assert_eq!(gate.send(b"GET", b"/read/1", &[], b"").status, 200);
    for method in [
        "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "GETS",
        "X",
    ] {
        let answer = gate.send(method.as_bytes(), b"/read/1", &[], b"");
        assert!(
            [400, 401, 403, 404, 405, 501].contains(&answer.status),
            "{method}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.reached_upstream(), "{method} reached the upstream");
        let overridden = gate.send(
            method.as_bytes(),
            b"/read/1",
            &[
                ("x-http-method-override", b"GET"),
                ("x-method-override", b"GET"),
            ],
            b"",
        );
        assert!(
            !overridden.reached_upstream(),
            "{method} with an override reached the upstream"
        );
    }
    preflight_is_not_exempt(&gate);
    for (what, headers) in [
        (
            "gRPC",
            vec![
                ("content-type", &b"application/grpc"[..]),
                ("te", b"trailers"),
            ],
        ),
        (
            "gRPC-Web",
            vec![("content-type", b"application/grpc-web+proto")],
        ),
        (
            "Connect",
            vec![
                ("content-type", b"application/connect+json"),
                ("connect-protocol-version", b"1"),
            ],
        ),
        (
            "an upgrade",
            vec![
                ("connection", b"upgrade"),
                ("upgrade", b"websocket"),
                ("sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
                ("sec-websocket-version", b"13"),
            ],
        ),
    ] {
        for (method, target) in [
            (&b"POST"[..], &b"/orders/1"[..]),
            (b"GET", b"/orders/1"),
            (b"POST", b"/pkg.Service/Method"),
        ] {
            let answer = gate.send(method, target, &headers, b"");
            assert!(
                !answer.reached_upstream(),
                "{what} reached the upstream: {}",
                answer.text()
            );
            assert!(
                answer.status == 401
                    || answer.grpc_status() == Some(16)
                    || (what == "Connect" && answer.text().contains("\"unauthenticated\""))
                    || [400, 403].contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    let connect = gate.send_raw(b"CONNECT upstream.test:443 HTTP/1.1\r\nhost: upstream.test:443\r\nconnection: close\r\n\r\n");
    assert!(
        !connect.reached_upstream() && connect.status >= 400,
        "CONNECT: {}",
        connect.status
    );
}

/// An OPTIONS that reaches auth was declined by cors: it must not go upstream without a credential.
fn preflight_is_not_exempt(gate: &Gate) {
    let headers: [(&str, &[u8]); 2] = [
        ("origin", b"https://attacker.test"),
        ("access-control-request-method", b"GET"),
    ];
    let answer = gate.send(b"OPTIONS", b"/orders/1", &headers, b"");
    assert_eq!(answer.status, 401, "{}", answer.text());
}

/// Row 37: a refusal tells the client nothing but that it was refused; the reason is the operator's.
#[test]
fn row_37_refusals_are_constant_and_bare() {
    let Some(gate) = gate() else { return };
    let constant = gate.constant_401();
    let expired =
        FORGE.with_claims(|claims| claims["exp"] = serde_json::json!(crate::forge::now() - 1000));
    let bearer = |token: &str| format!("Bearer {token}").into_bytes();
    for (what, headers) in [
        ("no credential", vec![]),
        ("an unknown key", vec![("x-api-key", b"nope".to_vec())]),
        ("garbage", vec![("authorization", bearer("garbage"))]),
        (
            "an expired token",
            vec![("authorization", bearer(&expired))],
        ),
        (
            "a bad signature",
            vec![(
                "authorization",
                bearer(&format!("{}AA", FORGE.good(Sign::Es256))),
            )],
        ),
        (
            "two keys",
            vec![("x-api-key", KEY.to_vec()), ("x-api-key", KEY.to_vec())],
        ),
        (
            "a scheme of its own",
            vec![("authorization", b"Secret abc".to_vec())],
        ),
    ] {
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        let answer = gate.get("/orders/1", &headers);
        assert_eq!(
            (answer.status, answer.problem()),
            (401, constant.clone()),
            "{what}"
        );
        assert_eq!(
            answer.header("content-type").as_deref(),
            Some("application/problem+json"),
            "{what}"
        );
        assert_eq!(
            answer.header("cache-control").as_deref(),
            Some("no-store"),
            "{what}"
        );
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        for told in ["expired", "signature", "unknown", "rule", "kid", "consumer"] {
            assert!(
                !answer.text().contains(told) && !challenge.contains(told),
                "{what}: the client is told {told:?}"
            );
        }
        assert!(answer.header("x-gatehouse-reason").is_none());
    }
    let traced = gate.send(b"TRACE", b"/open/1", &[("x-api-key", KEY)], b"");
    assert!(
        !traced.text().contains("demo-key-of-attack-1"),
        "TRACE gives a credential back"
    );
    for what in [&b"x-envoy-force-trace"[..], b"x-debug"] {
        let name = std::str::from_utf8(what).unwrap();
        let answer = gate.get("/orders/1", &[(name, b"1")]);
        assert_eq!(
            (answer.status, answer.problem()),
            (401, constant.clone()),
            "{name} changes the answer"
        );
    }
}
