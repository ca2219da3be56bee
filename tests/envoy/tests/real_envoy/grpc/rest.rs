//! The methods by REST, through Envoy's transcoder.

use std::collections::BTreeSet;

use envoy_harness::{Bootstrap, Request};
use prost::Message;
use serde_json::{Value, json};

use super::descriptor::Set;
use super::{gateway, reader, writer};

// Without it a transcoded answer, which ends by trailers, could lose its end in a filter.
#[test]
fn a_transcoded_answer_is_whole() {
    let Some(gateway) = gateway() else { return };
    for client in [gateway.h1(), gateway.h2()] {
        let get = Request::get("/stock/bolt-m4").header("x-api-key", reader());
        let answer = client.send(&get);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let item = answer.json();
        assert_eq!(
            (&item["id"], &item["caller"]),
            (&"bolt-m4".into(), &"acme".into())
        );
        assert_eq!(
            answer.header("content-length"),
            Some(answer.body.len().to_string().as_str())
        );

        // A stream becomes a list, which is valid only with its last byte.
        let watch = Request::get("/stock/7/watch?updates=200").header("x-api-key", reader());
        let answer = client.send(&watch);
        let items = answer.json();
        let items = items.as_array().expect("a list");
        let updates: Vec<_> = items
            .iter()
            .filter_map(|item| item["update"].as_u64())
            .collect();
        assert_eq!(updates, (1..=200).collect::<Vec<_>>());
    }
}

// Without it a REST caller could get gRPC's errors, or none: each is an HTTP status with the service's details.
#[test]
fn an_error_of_the_service_is_an_http_status() {
    let Some(gateway) = gateway() else { return };
    let answer = gateway
        .h1()
        .send(&Request::get("/stock/9").header("x-api-key", reader()));
    assert_eq!(answer.status, 404, "{answer:?}");
    let error = answer.json();
    assert_eq!(error["message"], "no such item", "{error}");
    assert_eq!(
        error["details"],
        json!([{ "@type": "type.googleapis.com/inventory.v1.NoSuchItem", "id": "9" }])
    );
    let answer = gateway
        .h1()
        .send(&Request::get("/stock/7?shelf=3").header("x-api-key", reader()));
    assert_eq!(answer.status, 400, "{answer:?}");
}

// Without it a body could get lost on its way into the message.
#[test]
fn a_body_becomes_the_message() {
    let Some(gateway) = gateway() else { return };
    let adjust = |body: &str| {
        let request = Request::new("POST", "/stock/8/adjust")
            .header("content-type", "application/json")
            .bearer(writer(&gateway))
            .body(body);
        gateway.h1().send(&request)
    };
    let answer = adjust(r#"{"quantity":5}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        (&answer.json()["id"], &answer.json()["quantity"]),
        (&"8".into(), &5.into())
    );
    assert_eq!(adjust(r#"{"quantity":"#).status, 400);
    assert_eq!(adjust(r#"{"quantity":-1}"#).status, 400);
}

// Without it a method could get a REST form that a filter knows no twin of: the rules, limits and masks for the method would not
// hold there.
#[test]
fn every_rest_form_of_the_service_is_a_twin_in_each_filter() {
    let set = Set::decode(upstreams::INVENTORY_DESCRIPTOR_SET).unwrap();
    let forms = set.rest_forms();
    assert_eq!(forms.len(), 3);
    let mut bootstrap = Bootstrap::chain();
    let plugins = bootstrap.plugins();
    for plugin in &plugins {
        let config = bootstrap.filter_config(plugin);
        if config["twins"].is_null() && !has_grpc_condition(&config) {
            continue;
        }
        let twins = config["twins"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|twin| {
                ["method", "template", "service", "rpc"]
                    .map(|member| twin[member].as_str().unwrap_or_default().to_owned())
            });
        assert_eq!(twins.collect::<BTreeSet<_>>(), forms, "{plugin}");
    }
    assert!(has_grpc_condition(
        &bootstrap.filter_config("gatehouse.auth")
    ));
}

/// Whether a rule anywhere in a configuration is for a gRPC method.
fn has_grpc_condition(config: &Value) -> bool {
    match config {
        Value::Object(members) => members.iter().any(|(name, value)| {
            (name == "match" && !value["grpc"].is_null()) || has_grpc_condition(value)
        }),
        Value::Array(list) => list.iter().any(has_grpc_condition),
        _ => false,
    }
}
