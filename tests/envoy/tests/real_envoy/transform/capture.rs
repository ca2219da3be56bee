//! Heads that wait for their bodies, where only the host knows how it holds, cuts and ends them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use envoy_harness::{Bootstrap, Gateway, Request};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::peer::{Peer, answer};
use super::peer::{frames, head, speak};
use super::{Ending, load_assignment, single};
use crate::attacks::Answer;

const TRANSFORM: &str = "gatehouse.transform";
const VARIANT: &str = "envoy/variants/capture.yaml";

/// The file; and trailers, which HTTP/1.1 would lose.
fn bootstrap() -> Bootstrap {
    let mut bootstrap = Bootstrap::file(VARIANT);
    bootstrap.pass_trailers_to(&["small", "large", "acme"]);
    bootstrap
}

fn with_deadline(deadline: &str) -> Bootstrap {
    let mut bootstrap = bootstrap();
    bootstrap.edit_filter_config(TRANSFORM, |config| {
        config["rules"][0]["request"]["capture_deadline"] = deadline.into();
    });
    bootstrap
}

fn post(path: &str, body: &str) -> Request {
    Request::new("POST", path)
        .header("content-type", "application/json")
        .header("x-model", "large")
        .body(body)
}

/// A request head in the raw, whose body comes in chunks.
fn chunked(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x_model: large\r\ntransfer-encoding: chunked\r\n\r\n"
    )
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn counter(gateway: &Gateway, name: &str) -> u64 {
    gateway
        .envoy()
        .counter(&format!("wasmcustom.gatehouse.transform.{name}"))
}

// The route that a header leads to is chosen by what the body says, however it is framed and however it ends.
#[test]
fn a_request_takes_the_route_that_its_body_names() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    let padding = "x".repeat(300_000);
    let long = format!(r#"{{"model":"large","tenant":null,"padding":"{padding}"}}"#);
    for client in [gateway.h1(), gateway.h2()] {
        for (body, replica, model) in [
            (r#"{"model":"large"}"#, "users-2", Some("large")),
            (
                r#" {"a":[1,{"model":"x"}],"\u006dodel":"lar\u0067e"} "#,
                "users-2",
                Some("large"),
            ),
            (r#"{"model":"tiny"}"#, "users-1", Some("tiny")),
            (
                r#"{"model":"large","tenant":"acme"}"#,
                "orders-1",
                Some("large"),
            ),
            (r#"{"tenant":"acme","model":7}"#, "orders-1", Some("7")),
            (r#"{"model":["large"]}"#, "users-1", None),
            (r#"{"model":"large\r\n"}"#, "users-1", None),
            ("{}", "users-1", None),
            ("[\"model\"]", "users-1", None),
            ("7", "users-1", None),
            ("", "users-1", None),
            (&long, "users-2", Some("large")),
        ] {
            for ending in Ending::ALL {
                let mut request = ending.of(post("/completions/a", body));
                if ending == Ending::Trailers {
                    request = request.trailer("x-model", "huge");
                }
                let response = client.send(&request);
                let seen = &body[..body.len().min(60)];
                assert_eq!(response.status, 200, "{seen} {}", response.text());
                assert_eq!(response.header("x-answered-by"), Some(replica), "{seen}");
                let echo = response.echo();
                assert_eq!(echo.replica, replica, "{seen}");
                assert_eq!(echo.header("x-model"), model.as_slice(), "{seen}");
                assert_eq!(echo.body_bytes, body.len(), "{seen}");
                assert!(!echo.trailers.contains_key("x-model"), "{seen}");
                if ending == Ending::WithData && !body.is_empty() {
                    let length = [body.len().to_string()];
                    assert_eq!(
                        echo.header("content-length"),
                        length,
                        "not a byte is changed"
                    );
                }
            }
        }
        let get = client.send(&Request::get("/completions/get").header("x-model", "large"));
        assert_eq!(get.echo().replica, "users-1");
        let head = Request::new("HEAD", "/completions/head").header("x-model", "large");
        assert_eq!(client.send(&head).status, 200);
        let other = client.send(&post("/other", "<a/>")).echo();
        assert_eq!(
            (other.replica.as_str(), other.body.as_str()),
            ("users-1", "<a/>")
        );
        assert!(
            !other.headers.contains_key("x-model"),
            "forged, on another path"
        );
    }
    let logged = gateway
        .envoy()
        .access_log_entry(|entry| entry["tenant"] == "acme");
    assert_eq!(
        (&logged["route"], &logged["replica"]),
        (&json!("tenant"), &json!("orders-1"))
    );
    assert_eq!(counter(&gateway, "late_request"), 0);
    gateway.assert_filters_alive();
}

// One byte at a time, and as much of it as the rule allows: it is held, and nobody else waits for it.
#[test]
fn a_slow_drip_takes_its_route() {
    let Some(gateway) = Gateway::start(&with_deadline("20s")) else {
        return;
    };
    let address = gateway.h1().address();
    let body = format!(
        r#"{{"a":"{}","model":"large","tenant":"x"}}"#,
        "é".repeat(150)
    );
    for ending in [&b"0\r\n\r\n"[..], b"0\r\nx-end: 1\r\n\r\n"] {
        let head = chunked("/completions/drip");
        let mut pieces = vec![head.as_bytes().to_vec()];
        pieces.extend(body.as_bytes().chunks(1).map(chunk));
        pieces.push(ending.to_vec());
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let bytes = speak(address, &pieces, Duration::from_millis(2));
        let answer = Answer::parse(&bytes);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let echo: Value = serde_json::from_str(&answer.body).expect("an echo");
        assert_eq!(
            (&echo["replica"], &echo["body"]),
            (&json!("users-2"), &json!(body))
        );
    }
    let pieces = body.as_bytes().chunks(1).map(Bytes::copy_from_slice);
    let mut request = http::Request::builder().method("POST");
    request = request.uri(format!("http://{address}/completions/frames"));
    let answered = frames(
        gateway.h2().address(),
        request.header("content-type", "application/json"),
        pieces.collect::<Vec<_>>(),
        None,
    )
    .expect("an answer");
    let echo: Value = serde_json::from_slice(&answered.body).expect("an echo");
    assert_eq!(
        (answered.status, &echo["replica"]),
        (200, &json!("users-2"))
    );
    gateway.assert_filters_alive();
}

// Each of these is held by the gateway and known to no upstream: it ends at the deadline, and leaves nothing behind.
#[test]
fn a_body_that_never_ends_is_a_503_at_the_deadline() {
    let Some(gateway) = Gateway::start(&with_deadline("500ms")) else {
        return;
    };
    let address = gateway.h1().address();
    let began = Instant::now();
    for sent in ["", "{", r#"{"model":"large""#, r#"{"x":"#] {
        let mut bytes = chunked("/completions/never").into_bytes();
        if !sent.is_empty() {
            bytes.extend(chunk(sent.as_bytes()));
        }
        let answer = Answer::parse(&speak(address, &[&bytes], Duration::ZERO));
        assert_eq!(answer.status, 503, "{sent}: {}", answer.body);
        assert!(
            answer.body.contains("did not come in time"),
            "{}",
            answer.body
        );
    }
    assert!(began.elapsed() >= Duration::from_millis(4 * 500));
    assert_eq!(counter(&gateway, "late_request"), 4);
    let logged = gateway
        .envoy()
        .access_log_entry(|entry| entry["path"] == "/completions/never");
    assert_eq!(logged["details"], "gatehouse_transform_late_request");
    assert_eq!(gateway.h2().send(&post("/completions/a", "{}")).status, 200);
    gateway.assert_filters_alive();
}

// The word of the operator is not kept: requests end at the deadline, responses that can do without go on then.
#[test]
fn without_the_flag_in_envoy_the_deadline_ends_what_waits() {
    let mut bootstrap = with_deadline("300ms");
    bootstrap.edit_filter_config(TRANSFORM, |config| {
        let mut masked = config["rules"][0].clone();
        masked["name"] = "masked".into();
        masked["match"] = json!({ "path": { "prefix": "/masked" } });
        masked["request"] = json!({ "headers": [{ "remove": "x-none" }] });
        masked["response"] = json!({ "body": [{ "mask": "/replica" }] });
        config["rules"].as_array_mut().expect("rules").push(masked);
    });
    bootstrap
        .plugin_mut(TRANSFORM)
        .as_object_mut()
        .expect("a plugin")
        .remove("allow_on_headers_stop_iteration");
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let response = client.send(&post("/completions/a", r#"{"model":"large"}"#));
        assert_eq!(response.status, 503, "{}", response.text());
        let masked = client.send(&Request::get("/masked"));
        assert_eq!(
            (masked.status, &masked.json()["replica"]),
            (200, &json!("***"))
        );
        assert_eq!(client.send(&Request::get("/other")).status, 200);
    }
    assert_eq!(counter(&gateway, "late_request"), 2);
    assert_eq!(counter(&gateway, "head_released"), 2);
    gateway.assert_filters_alive();
}

// A context that is gone, and still waits for its body, would have another request answered in its place.
#[test]
fn a_client_that_goes_away_while_its_head_waits_leaves_nothing() {
    let Some(gateway) = Gateway::start(&with_deadline("1s")) else {
        return;
    };
    let address = gateway.h1().address();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).expect("Envoy listens");
        let bytes = [
            chunked("/completions/gone").into_bytes(),
            chunk(b"{\"model\":"),
        ]
        .concat();
        stream.write_all(&bytes).expect("a reader");
    }
    let envoy = gateway.envoy();
    envoy.wait_until("all have waited", |_| {
        counter(&gateway, "head_waited") >= 50
    });
    // Those of the same worker that come meanwhile are decided each by itself.
    for _ in 0..20 {
        let echo = gateway
            .h1()
            .send(&post("/completions/a", r#"{"model":"large","tenant":"x"}"#));
        assert_eq!(echo.echo().replica, "users-2");
    }
    // One that came behind them and stays has its time, and so have they.
    let never = speak(
        address,
        &[chunked("/completions/never").as_bytes()],
        Duration::ZERO,
    );
    assert_eq!(Answer::parse(&never).status, 503);
    assert_eq!(counter(&gateway, "late_request"), 1);
    // Reset in the middle of a body whose head has gone on.
    let mut stream = TcpStream::connect(address).expect("Envoy listens");
    let bytes = [
        chunked("/completions/gone").into_bytes(),
        chunk(br#"{"model":"large","tenant":"x","more":"#),
    ];
    stream.write_all(&bytes.concat()).expect("a reader");
    envoy.wait_until("it goes on", |_| counter(&gateway, "captured") >= 41);
    drop(stream);
    assert_eq!(gateway.h1().send(&post("/completions/a", "{}")).status, 200);
    assert_eq!(counter(&gateway, "held_bytes"), 0);
    gateway.assert_filters_alive();
}

// As many as one worker has open at a time, each with a route of its own.
#[test]
fn a_hundred_wait_at_once_and_each_takes_its_own_route() {
    let Some(gateway) = Gateway::start(&with_deadline("30s")) else {
        return;
    };
    let address = gateway.h1().address();
    let mut streams: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("Envoy listens");
            let patience = Some(Duration::from_secs(30));
            stream.set_read_timeout(patience).expect("a socket");
            let bytes = [
                chunked("/completions/many").into_bytes(),
                chunk(b"{\"model\":"),
            ];
            stream.write_all(&bytes.concat()).expect("a reader");
            stream
        })
        .collect();
    let envoy = gateway.envoy();
    envoy.wait_until("all wait", |_| counter(&gateway, "head_waited") >= 100);
    for (index, stream) in streams.iter_mut().enumerate().rev() {
        let model = ["large", "tiny"][index % 2];
        let rest = [
            chunk(format!("\"{model}\",\"n\":{index}}}").as_bytes()),
            b"0\r\n\r\n".to_vec(),
        ];
        stream.write_all(&rest.concat()).expect("a reader");
    }
    for (index, stream) in streams.iter_mut().enumerate() {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let answer = Answer::parse(&bytes);
        let echo: Value = serde_json::from_str(&answer.body).expect("an echo");
        assert_eq!(
            echo["replica"],
            ["users-2", "users-1"][index % 2],
            "{index}"
        );
        let said: Value =
            serde_json::from_str(echo["body"].as_str().expect("a body")).expect("JSON");
        assert_eq!(said["n"], index);
    }
    gateway.assert_filters_alive();
}

// Before anything has gone on there is a status to give; behind that only an end that can be seen.
#[test]
fn a_body_that_cannot_be_read_does_not_go_on() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    let far = format!(r#"{{"a":"{}","model":"large"}}"#, "x".repeat(70_000));
    for client in [gateway.h1(), gateway.h2()] {
        for (body, status) in [
            ("<a/>", 400),
            (r#"{"model":"large","model":"tiny"}"#, 400),
            (r#"{"model":"#, 400),
            (r#"{"model":"large","tenant":"x"}]"#, 400),
            (&far, 413),
        ] {
            let response = client.send(&post("/completions/broken", body));
            assert_eq!(response.status, status, "{}", response.text());
            assert_eq!(
                response.header("content-type"),
                Some("application/problem+json")
            );
            assert_eq!(response.header("x-replica"), None);
        }
        let text = Request::new("POST", "/completions/text").body("{}");
        assert_eq!(client.send(&text).status, 415);
    }
    gateway.assert_filters_alive();
}

// With the flag the head of a response is still here when its first chunk turns out to be no document.
#[test]
fn a_response_that_breaks_in_its_first_chunk_is_a_502() {
    let peer = Peer::start(|got, stream| match got.path.as_str() {
        "/masked/html" => stream.write_all(&answer("application/json", b"<html>")),
        "/masked/late" => {
            stream.write_all(&head("200 OK", &["content-type: application/json"]))?;
            std::thread::sleep(Duration::from_millis(300));
            stream.write_all(b"]")
        }
        "/masked/drip" => {
            stream.write_all(&head("200 OK", &["content-type: application/json"]))?;
            for byte in br#"{"email":"a@b.test","n":1}"# {
                stream.write_all(&[*byte])?;
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        }
        "/masked/cut" => {
            stream.write_all(&head("200 OK", &["content-type: application/json"]))?;
            stream.write_all(br#"{"email":"#)
        }
        "/masked/empty" => stream.write_all(&head("200 OK", &["content-type: application/json"])),
        _ => stream.write_all(&answer("application/json", br#"{"email":"a@b.test"}"#)),
    });
    let mut bootstrap = single(load_assignment(peer.address()), false);
    bootstrap.plugin_mut(TRANSFORM)["allow_on_headers_stop_iteration"] = true.into();
    bootstrap.set_filter_config(
        TRANSFORM,
        json!({ "version": 1, "host_allows_stop_iteration": true, "rules": [{
            "name": "masked",
            "match": { "path": { "prefix": "/masked" } },
            "response": { "body": [{ "mask": "/email" }] },
        }] }),
    );
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for (path, status, body) in [
            ("/masked/html", 502, None),
            ("/masked/late", 502, None),
            ("/masked/drip", 200, Some(r#"{"email":"***","n":1}"#)),
            ("/masked/empty", 200, Some("")),
            ("/masked/whole", 200, Some(r#"{"email":"***"}"#)),
        ] {
            let response = client.send(&Request::get(path));
            assert_eq!(response.status, status, "{path} {}", response.text());
            if let Some(body) = body {
                assert_eq!(response.text(), body, "{path}");
            }
        }
        let cut = client.try_send(&Request::get("/masked/cut"));
        assert!(cut.is_err(), "{cut:?}");
    }
    gateway.assert_filters_alive();
}
