//! A gRPC service's answers as JSON, through the chain of `envoy/envoy.yaml`: transform in front, the transcoder behind it.

use envoy_harness::{Bootstrap, Gateway, Protocol, Request};
use serde_json::{Value, json};

use super::Ending;
use super::codings::gzip;
use crate::grpc::{Caller, reached_inventory, reader, writer};

const TRANSFORM: &str = "gatehouse.transform";

/// The chain, with a rule that hides who asks for stock and which replica answers.
fn bootstrap() -> Bootstrap {
    let mut bootstrap = Bootstrap::chain();
    let twins = bootstrap.filter_config("gatehouse.auth")["twins"].take();
    bootstrap.edit_filter_config(TRANSFORM, |config| {
        config["twins"] = twins;
        config["rules"].as_array_mut().expect("a list").push(json!({
            "name": "stock",
            "match": { "grpc": { "service": "inventory.v1.Stock" } },
            "request": { "body": [{ "set": "/quantity", "value": 3 }, { "remove": "/internal" }] },
            "response": { "body": [
                { "mask": "/caller" }, { "remove": "/replica" },
                { "mask": "/*/caller" }, { "remove": "/*/replica" },
            ] },
        }));
    });
    bootstrap
}

fn get(path: &str) -> Request {
    Request::get(path).header("x-api-key", reader())
}

/// Whether the operations were made on this item.
fn is_edited(item: &Value) -> bool {
    item["caller"] == "***" && item.get("replica").is_none() && item.get("quantity").is_some()
}

// Every transcoded answer ends by trailers: what a filter holds back until the end of the stream is lost.
#[test]
fn a_transcoded_answer_is_masked_and_whole() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let answer = client.send(&get("/stock/bolt-m4"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["id"], "bolt-m4");
        assert!(is_edited(&answer.json()), "{}", answer.text());
        assert_eq!(answer.header("content-length"), None);

        let answer = client.send(&get("/stock/7/watch?updates=200"));
        let items = answer.json();
        let items = items.as_array().expect("a list");
        let updates: Vec<_> = items
            .iter()
            .filter_map(|item| item["update"].as_u64())
            .collect();
        assert_eq!(updates, (1..=200).collect::<Vec<_>>());
        assert!(items.iter().all(is_edited));

        // An error of the service is JSON too.
        let answer = client.send(&get("/stock/9"));
        assert_eq!(
            (answer.status, &answer.json()["message"]),
            (404, &"no such item".into())
        );

        let adjust = Request::new("POST", "/stock/8/adjust")
            .header("content-type", "application/json")
            .bearer(writer(&gateway))
            .body(r#"{"quantity": 500, "internal": true}"#);
        let answer = client.send(&adjust);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["quantity"], 3);
        assert!(is_edited(&answer.json()), "{}", answer.text());
    }
    gateway.assert_filters_alive();
}

/// The chain, with these operations on both directions of the same calls.
fn with_operations(request: &Value, response: &Value) -> Bootstrap {
    let mut bootstrap = bootstrap();
    bootstrap.edit_filter_config(TRANSFORM, |config| {
        let rule = config["rules"].as_array_mut().expect("a list").last_mut();
        let rule = rule.expect("the rule of this test");
        rule["request"] = request.clone();
        rule["response"] = response.clone();
    });
    bootstrap
}

// A request may end in three ways, and an answer out of the transcoder ends in its own: every operation is made in all of them.
// The answer is never coded here: the service's messages are gRPC's, and the compressor stands in front of transform.
#[test]
fn every_operation_is_made_through_the_transcoder() {
    let mut operations = Vec::new();
    for place in ["", "/*"] {
        operations.extend([
            json!({ "mask": format!("{place}/caller"), "keep_last": 2 }),
            json!({ "mask": format!("{place}/replica"), "hash": { "key": "a key of thirty-two bytes, or more" } }),
            json!({ "convert": format!("{place}/quantity"), "to": "string" }),
        ]);
    }
    // A member that is missing comes last in its object, behind all that the upstream has sent.
    let mut unary = operations.clone();
    unary.push(json!({ "set": "/seen", "value": "${identity:consumer} ${status}: ${header:x-a}" }));
    let request = json!({
        "codings": { "out": "identity" },
        "body": [{ "set": "/quantity", "value": "${header:x-quantity|default:3}" }, { "remove": "/internal" }],
    });
    let Some(gateway) = Gateway::start(&with_operations(&request, &json!({ "body": unary })))
    else {
        return;
    };
    let long = "x".repeat(2000);
    let is_edited = |item: &Value, caller: &str, quantity: &str| {
        let end = &caller[caller.len() - 2..];
        item["caller"] == format!("***{end}")
            && item["replica"]
                .as_str()
                .is_some_and(|hash| hash.len() == 64)
            && item["quantity"] == quantity
    };
    for client in [gateway.h1(), gateway.h2()] {
        let plain = client.send(&get("/stock/bolt-m4").header("x-a", &long));
        assert_eq!(plain.status, 200, "{}", plain.text());
        assert_eq!(plain.header("content-encoding"), None);
        let item = plain.json();
        let seen = item["seen"].as_str().expect("a text");
        let (caller, rest) = seen.split_once(' ').expect("two words");
        assert!(
            caller.len() >= 4 && is_edited(&item, caller, "12000"),
            "{item}"
        );
        assert_eq!(rest, format!("200: {long}"));

        for ending in Ending::ALL {
            for is_coded in [false, true] {
                let body = r#"{"internal": true, "quantity": 500, "id": "8"}"#;
                let mut adjust = Request::new("POST", "/stock/8/adjust")
                    .header("content-type", "application/json")
                    .header("x-quantity", "17")
                    .bearer(writer(&gateway))
                    .body(body);
                if is_coded {
                    adjust = adjust
                        .header("content-encoding", "gzip")
                        .body(gzip(body.as_bytes()));
                }
                let answer = client.send(&ending.of(adjust));
                assert_eq!(
                    answer.status,
                    200,
                    "{ending:?} {is_coded}: {}",
                    answer.text()
                );
                let item = answer.json();
                assert!(is_edited(&item, "alice", "17"), "{ending:?}: {item}");
            }
        }
    }
    gateway.assert_filters_alive();
    drop(gateway);

    let Some(gateway) = Gateway::start(&with_operations(&request, &json!({ "body": operations })))
    else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let answer = client.send(&get("/stock/7/watch?updates=50"));
        let items = answer.json();
        let items = items.as_array().expect("a list");
        assert_eq!(items.len(), 50);
        for item in items {
            assert_eq!(item["replica"].as_str().map(str::len), Some(64), "{item}");
            assert!(
                item["caller"]
                    .as_str()
                    .is_some_and(|caller| caller.starts_with("***")),
                "{item}"
            );
            assert_eq!(item["quantity"], "40");
        }
    }
    gateway.assert_filters_alive();
}

// The rule is for the method. Its frames are nothing that an operation reads: they would be a way round the mask.
#[test]
fn no_other_form_of_the_call_evades_the_mask() {
    let Some(gateway) = Gateway::start(&bootstrap()) else {
        return;
    };
    for caller in Caller::ALL {
        let protocols = match caller {
            Caller::Grpc => &[Protocol::H2][..],
            _ => &[Protocol::H1, Protocol::H2],
        };
        for protocol in protocols {
            let request = caller.get_7().header("x-api-key", reader());
            let answer = gateway.client(*protocol).send(&request);
            assert!(!reached_inventory(&answer.body), "{caller:?}: {answer:?}");
            if caller == Caller::Rest {
                assert!(is_edited(&answer.json()), "{answer:?}");
            } else {
                assert_eq!(answer.status, 200, "{caller:?}");
                assert_eq!(answer.grpc_status(), Some(12), "{caller:?}: {answer:?}");
            }
        }
    }
    // Spellings and forms that the transcoder, or a service behind it, could take for the method.
    for (path, kind) in [
        ("/inventory.v1.Stock/Get", "application/json"),
        ("/inventory.v1.Stock/Get", "application/proto"),
        ("/inventory.v1.Stock/Get", "application/grpc+json"),
        ("/inventory.v1.Stock/Get", "application/connect+json"),
        ("/%69nventory.v1.Stock/Get", "application/grpc"),
        ("/stock/7", "application/grpc"),
        ("/stock/7", "application/grpc-web+proto"),
        ("/%73tock/7", "text/plain"),
        ("//stock/7", "text/plain"),
        ("/stock/7/", "text/plain"),
    ] {
        for method in ["GET", "POST"] {
            let mut request = Caller::Grpc.get_7();
            request.method = method.into();
            request.path = path.into();
            request.headers[0].1 = kind.into();
            let answer = gateway.h2().send(&request.header("x-api-key", reader()));
            assert!(
                !reached_inventory(&answer.body),
                "{method} {path} {kind}: {answer:?}"
            );
            let bare = Request::new(method, path).header("x-api-key", reader());
            let answer = gateway.h2().send(&bare);
            assert!(
                !reached_inventory(&answer.body),
                "{method} {path}: {answer:?}"
            );
        }
    }
    assert!(is_edited(&gateway.h2().send(&get("/stock/7/")).json()));
    // A method that no rule of transform is for.
    let health = Request::grpc("/grpc.health.v1.Health/Check", b"");
    let token = gateway.token("root").groups(&["admins"]).sign();
    let answer = gateway.h2().send(&health.bearer(token));
    assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
    gateway.assert_filters_alive();
}

/// The rule, with the answers of streams written in that way.
fn streaming(option: &str) -> Bootstrap {
    let mut bootstrap = bootstrap();
    let transcoder = bootstrap
        .http_filters_mut()
        .iter_mut()
        .find(|filter| filter["name"] == "envoy.filters.http.grpc_json_transcoder")
        .expect("the chain has a transcoder");
    transcoder["typed_config"]["print_options"][option] = true.into();
    bootstrap
}

// Several documents, of which the type does not tell, are not one: after the first nobody says whose members the operations are
// for.
#[test]
fn a_stream_of_several_documents_is_not_passed() {
    let Some(gateway) = Gateway::start(&streaming("stream_newline_delimited")) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        match client.try_send(&get("/stock/7/watch?updates=20")) {
            Err(_) => {}
            Ok(answer) => {
                assert_eq!(answer.status, 502, "{}", answer.text());
                assert!(!reached_inventory(&answer.body));
            }
        }
        // One answer is one document.
        assert!(is_edited(&client.send(&get("/stock/7")).json()));
    }
    gateway.assert_filters_alive();
}

// Events say that they are several: each is edited by itself, and the last one by the trailers is whole.
#[test]
fn events_out_of_the_transcoder_are_masked_one_by_one() {
    let Some(gateway) = Gateway::start(&streaming("stream_sse_style_delimited")) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let answer = client.send(&get("/stock/7/watch?updates=20"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        let text = answer.text();
        let events: Vec<_> = text
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").expect("data alone"))
            .map(|data| serde_json::from_str::<Value>(data).expect("JSON"))
            .collect();
        assert!(events.len() == 20 && events.iter().all(is_edited), "{text}");
        assert!(is_edited(&client.send(&get("/stock/7")).json()));
    }
    gateway.assert_filters_alive();
}
