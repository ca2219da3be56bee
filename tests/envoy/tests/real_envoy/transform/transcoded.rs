//! A gRPC service's answers as JSON, through the chain of `envoy/envoy.yaml`: transform in front, the transcoder behind it.

use envoy_harness::{Bootstrap, Gateway, Protocol, Request};
use serde_json::{Value, json};

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

// Several documents under the name of one: after the first nobody says whose members the operations are for. Where they are events,
// each is edited.
#[test]
fn a_stream_of_several_documents_is_edited_or_not_passed() {
    for (option, is_read) in [
        ("stream_newline_delimited", false),
        ("stream_sse_style_delimited", true),
    ] {
        let mut bootstrap = bootstrap();
        let filters = bootstrap.http_filters_mut();
        let transcoder = filters
            .iter_mut()
            .find(|filter| filter["name"] == "envoy.filters.http.grpc_json_transcoder")
            .expect("the chain has a transcoder");
        transcoder["typed_config"]["print_options"][option] = true.into();
        let Some(gateway) = Gateway::start(&bootstrap) else {
            return;
        };
        for client in [gateway.h1(), gateway.h2()] {
            match client.try_send(&get("/stock/7/watch?updates=20")) {
                Ok(answer) if is_read => {
                    let text = answer.text();
                    let events: Vec<Value> = text
                        .lines()
                        .filter_map(|line| line.strip_prefix("data: "))
                        .map(|data| serde_json::from_str(data).expect("a document"))
                        .collect();
                    assert_eq!(events.len(), 20, "{text}");
                    assert!(events.iter().all(is_edited), "{text}");
                }
                Ok(answer) => {
                    assert_eq!(answer.status, 502, "{option}: {}", answer.text());
                    assert!(!reached_inventory(&answer.body), "{option}");
                }
                Err(error) => assert!(!is_read, "{option}: {error}"),
            }
            // One answer is one document.
            assert!(is_edited(&client.send(&get("/stock/7")).json()), "{option}");
        }
        gateway.assert_filters_alive();
    }
}
