//! Calls that are let in.

use std::collections::BTreeSet;

use envoy_harness::stock::stock_client::StockClient;
use envoy_harness::stock::{AdjustRequest, GetRequest, NoSuchItem, ReserveRequest, WatchRequest};
use envoy_harness::{Bootstrap, Channel, Gateway, demo_key, wait_for};
use prost::Message;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{gateway, reader, writer};

fn client(channel: Channel) -> StockClient<Channel> {
    let origin = channel.origin();
    StockClient::with_origin(channel, origin)
}

fn by_key(gateway: &Gateway, key: &str) -> Channel {
    gateway.channel(&[("x-api-key", key)])
}

fn by_token(gateway: &Gateway, token: &str) -> Channel {
    gateway.channel(&[("authorization", &format!("Bearer {token}"))])
}

// Without it a filter could break calls that carry one message each way, or not tell the service who calls.
#[test]
fn a_unary_call_passes_and_its_caller_is_told() {
    let Some(gateway) = gateway() else { return };
    let channel = by_key(&gateway, &reader());
    let item = wait_for(client(channel.clone()).get(GetRequest { id: "7".into() }));
    let item = item.unwrap().into_inner();
    assert_eq!(
        (item.id.as_str(), item.caller.as_str()),
        ("7", "acme"),
        "{item:?}"
    );
    assert!(item.replica.starts_with("inventory-"), "{item:?}");
    let entry = access_log_entry(&gateway, &channel);
    for (field, value) in [
        ("rule", "stock-get"),
        ("route", "stock"),
        ("identity", "api_key:acme-2026"),
        ("grpc_service", "inventory.v1.Stock"),
        ("grpc_method", "Get"),
    ] {
        assert_eq!(entry[field], value, "{field}: {entry}");
    }
    assert_eq!(entry["grpc_status"], 0, "{entry}");
}

// Without it a filter could hold a stream back until it ends, or lose its last message.
#[test]
fn a_server_stream_passes_message_by_message() {
    let Some(gateway) = gateway() else { return };
    let mut client = client(by_key(&gateway, &reader()));
    let updates = wait_for(async {
        let asked = WatchRequest {
            id: "7".into(),
            updates: 50,
        };
        let mut messages = client.watch(asked).await.unwrap().into_inner();
        let mut updates = Vec::new();
        while let Some(item) = messages.next().await {
            updates.push(item.unwrap().update);
        }
        updates
    });
    assert_eq!(updates, (1..=50).collect::<Vec<_>>());
}

// Without it a call in which both sides talk in turn could hang: each answer here is needed for the next request.
#[test]
fn both_sides_of_a_stream_can_take_turns() {
    let Some(gateway) = gateway() else { return };
    let mut client = client(by_token(&gateway, &writer(&gateway)));
    let status = wait_for(async {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let ask = |quantity| ReserveRequest {
            id: "bolt-m4".into(),
            quantity,
        };
        sender.send(ask(1)).await.unwrap();
        let mut answers = client
            .reserve(ReceiverStream::new(receiver))
            .await
            .unwrap()
            .into_inner();
        let mut left = answers.next().await.unwrap().unwrap().left;
        for quantity in [2, 3] {
            sender.send(ask(quantity)).await.unwrap();
            let answer = answers.next().await.unwrap().unwrap();
            assert_eq!((answer.reserved, answer.left), (quantity, left - quantity));
            left = answer.left;
        }
        sender.send(ask(u32::MAX)).await.unwrap();
        answers.next().await.unwrap().unwrap_err()
    });
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "not enough in stock")
    );
}

// Without it a service's own errors could lose what it says about them.
#[test]
fn an_error_of_the_service_arrives_with_its_details() {
    let Some(gateway) = gateway() else { return };
    let mut client = client(by_key(&gateway, &reader()));
    let status = wait_for(client.get(GetRequest { id: "9".into() })).unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "no such item")
    );
    let missing = NoSuchItem { id: "9".into() }.encode_to_vec();
    assert!(
        status
            .details()
            .windows(missing.len())
            .any(|window| window == missing),
        "{:?}",
        status.details()
    );
}

// Without it the scope that reading takes would do for writing too.
#[test]
fn each_method_has_its_own_rule() {
    let Some(gateway) = gateway() else { return };
    let adjust = |channel| {
        let asked = AdjustRequest {
            id: "8".into(),
            quantity: 0,
        };
        wait_for(client(channel).adjust(asked)).map(|_| ())
    };
    let only_reads = gateway
        .token("carol")
        .groups(&["staff"])
        .scope("stock:read")
        .sign();
    let refused = adjust(by_token(&gateway, &only_reads)).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    adjust(by_token(&gateway, &writer(&gateway))).unwrap();
}

// Without it anybody could ask what services and methods there are, and which are in trouble.
#[test]
fn health_and_reflection_are_for_admins() {
    let Some(gateway) = gateway() else { return };
    let health = |channel: Channel| {
        let origin = channel.origin();
        let asked = HealthCheckRequest {
            service: "inventory.v1.Stock".into(),
        };
        wait_for(HealthClient::with_origin(channel, origin).check(asked))
            .map(|answer| answer.into_inner().status)
    };
    let reflection = |channel: Channel| {
        let origin = channel.origin();
        let asked = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        wait_for(async {
            let mut client = ServerReflectionClient::with_origin(channel, origin);
            let answers = client
                .server_reflection_info(tokio_stream::once(asked))
                .await?;
            answers.into_inner().message().await
        })
    };
    let nobody = || gateway.channel(&[]);
    let partner = || by_key(&gateway, &reader());
    let admin = || by_key(&gateway, &demo_key("ops-2026"));

    assert_eq!(health(nobody()).unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(
        health(partner()).unwrap_err().code(),
        Code::PermissionDenied
    );
    assert_eq!(health(admin()).unwrap(), 1); // SERVING
    assert_eq!(
        reflection(nobody()).unwrap_err().code(),
        Code::Unauthenticated
    );
    assert_eq!(
        reflection(partner()).unwrap_err().code(),
        Code::PermissionDenied
    );
    let answer = reflection(admin())
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = services
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(names.contains(&"inventory.v1.Stock"), "{names:?}");
}

// Without it the replicas could be one, or one that says it is not well still be given calls.
#[test]
fn calls_go_to_the_replicas_that_are_well() {
    let Some(gateway) = Gateway::start(&Bootstrap::chain()) else {
        return;
    };
    let serving = || {
        let replicas = (0..64).map(|_| {
            let mut client = client(by_key(&gateway, &reader()));
            let item = wait_for(client.get(GetRequest { id: "7".into() }));
            item.unwrap().into_inner().replica
        });
        replicas.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let both: Vec<String> = serving();
    assert_eq!(both, ["inventory-1", "inventory-2"]);
    assert!(
        gateway
            .upstreams()
            .set_inventory_healthy("inventory-1", false)
    );
    // Each worker hears of it at a moment of its own.
    gateway
        .envoy()
        .wait_until("calls to the healthy replica alone", |_| {
            let one: Vec<String> = serving();
            one == ["inventory-2"]
        });
}

/// The access log's line for the last call on a channel.
fn access_log_entry(gateway: &Gateway, channel: &Channel) -> serde_json::Value {
    let head = channel.last_head().expect("an answer has begun");
    let id = head.headers["x-request-id"].to_str().unwrap().to_owned();
    gateway
        .envoy()
        .access_log_entry(|entry| entry["request_id"] == id.as_str())
}
