//! What those are told whose body is refused: a client where in its own body the fault is, and nobody what is in another's.

use std::io::Write as _;
use std::time::Duration;

use envoy_harness::{Bootstrap, Gateway, Request};
use serde_json::{Value, json};

use super::peer::{Got, Peer, answer, speak};
use super::{Ending, load_assignment, single};

const TRANSFORM: &str = "gatehouse.transform";

/// Documents with one fault each: its status in a request, its place, and the bytes in front of it.
const FAULTS: [(&str, u16, &str, u64); 9] = [
    (r#"{"s3cret":{"b":[1,2,x]}}"#, 400, "/s3cret/b/2", 20),
    (
        r#"{"a":{"s3cret/~":1,"s3cret/~":2}}"#,
        400,
        "/a/s3cret~1~0",
        29,
    ),
    (r#"{"s3cret":{},"b" "x"}"#, 400, "/b", 17),
    (r#"{"s3cret":[1,2"#, 400, "/s3cret/1", 14),
    (r#"{"s3cret":1}x"#, 400, "", 12),
    (r#"{"s3cret":[[[[1]]]]}"#, 413, "/s3cret/0/0/0", 13),
    (r#"{"s3cret":[[1,2,3,4]]}"#, 413, "/s3cret/0/3", 18),
    (r#"{"s3cret":1,"b":{},"c":[],"d":0}"#, 413, "", 26),
    (
        r#"{"s3cret":"0123456789012345678901234567890123456789"}"#,
        413,
        "/s3cret",
        43,
    ),
];

fn bootstrap(peer: &Peer, head_waits: bool) -> Bootstrap {
    let mut bootstrap = single(load_assignment(peer.address()), false);
    let limits =
        json!({ "max_depth": 4, "max_members": 3, "max_elements": 3, "max_string": "32B" });
    let direction = json!({ "limits": limits, "body": [{ "mask": "/email" }] });
    bootstrap.set_filter_config(
        TRANSFORM,
        json!({ "version": 1, "host_allows_stop_iteration": head_waits, "rules": [
            { "name": "posted", "match": { "path": { "prefix": "/posted" } }, "request": direction },
            { "name": "answered", "match": { "path": { "prefix": "/answered" } }, "response": direction },
        ] }),
    );
    bootstrap.plugin_mut(TRANSFORM)["allow_on_headers_stop_iteration"] = head_waits.into();
    bootstrap
}

/// Answers `/answered/N` with the document of that number, and everything else with one that is fine.
fn peer() -> Peer {
    Peer::start(|got: &Got, stream| {
        let number = got.path.strip_prefix("/answered/").unwrap_or_default();
        let document = number.parse().ok().and_then(|n: usize| FAULTS.get(n));
        let text = document.map_or(r#"{"email":"a@b.test"}"#, |(text, ..)| text);
        stream.write_all(&answer("application/json", text.as_bytes()))
    })
}

// Whoever sends a body of a megabyte has to be told where in it the fault is, however the body ends.
#[test]
fn a_client_is_told_the_place_of_its_fault() {
    let peer = peer();
    let Some(gateway) = Gateway::start(&bootstrap(&peer, false)) else {
        return;
    };
    for (text, status, pointer, offset) in FAULTS {
        for ending in Ending::ALL {
            for client in [gateway.h1(), gateway.h2()] {
                let post = Request::new("POST", "/posted/fault")
                    .header("content-type", "application/json")
                    .header("x-request-id", "7")
                    .body(text);
                // Where the head has gone on, nobody reads the body behind the answer: the connection may be closed under it.
                let Ok(response) = client.try_send(&ending.of(post)) else {
                    panic!("{text} {ending:?}")
                };
                assert_eq!(response.status, status, "{text} {ending:?}");
                let kind = response.header("content-type");
                assert_eq!(kind, Some("application/problem+json"), "{text}");
                let problem = response.json();
                assert_eq!(
                    (&problem["status"], &problem["pointer"], &problem["offset"]),
                    (&json!(status), &json!(pointer), &json!(offset)),
                    "{text} {ending:?}"
                );
            }
        }
    }
    let received = peer.received("/posted/fault");
    assert!(received.iter().all(|got| !got.complete), "{received:?}");
    let fine = Request::new("POST", "/posted/fine")
        .header("content-type", "application/json")
        .body(r#"{"email":"a@b.test"}"#);
    assert_eq!(gateway.h2().send(&fine).status, 200);
    assert_eq!(peer.received("/posted/fine")[0].body, br#"{"email":"***"}"#);
    let log = gateway.envoy().log();
    assert!(!log.contains("s3cret"), "{log}");
    gateway.assert_filters_alive();
}

// The names in an upstream's document are not the client's business, and neither are they anybody's who reads the log.
#[test]
fn nothing_of_an_answer_is_told_with_its_refusal() {
    let peer = peer();
    for head_waits in [true, false] {
        let Some(gateway) = Gateway::start(&bootstrap(&peer, head_waits)) else {
            return;
        };
        for (number, (text, _, pointer, _)) in FAULTS.iter().enumerate() {
            let get =
                format!("GET /answered/{number} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            let bytes = speak(gateway.h1().address(), &[get.as_bytes()], Duration::ZERO);
            let told = String::from_utf8_lossy(&bytes).into_owned();
            // Once the head has left, what is of the document goes on until the fault, and then it breaks off.
            let has_left = told.starts_with("HTTP/1.1 200");
            assert!(!has_left || !told.ends_with("0\r\n\r\n"), "{text}: {told}");
            assert!(has_left || !told.contains("s3cret"), "{text}: {told}");
            // One whose fault is that it ends has begun well.
            let begins_well = text.ends_with('2');
            assert!(!has_left || !head_waits || begins_well, "{text}: {told}");
            match gateway
                .h2()
                .try_send(&Request::get(format!("/answered/{number}")))
            {
                Ok(response) => {
                    assert_eq!(response.status, 502, "{text}: {}", response.text());
                    let problem = response.json();
                    assert_eq!(problem["status"], 502);
                    assert_eq!(
                        (&problem["pointer"], &problem["offset"]),
                        (&Value::Null, &Value::Null),
                        "{text}"
                    );
                    let said = format!("{:?} {}", response.headers, response.text());
                    assert!(!said.contains("s3cret"), "{said}");
                    assert!(pointer.is_empty() || !said.contains(pointer), "{said}");
                }
                // The head has left.
                Err(_) => assert!(!head_waits || begins_well, "{text}"),
            }
        }
        let fine = gateway.h2().send(&Request::get("/answered/fine"));
        assert_eq!(
            (fine.status, fine.text().as_str()),
            (200, r#"{"email":"***"}"#)
        );
        let log = gateway.envoy().log();
        assert!(!log.contains("s3cret"), "{log}");
        gateway.assert_filters_alive();
    }
}
