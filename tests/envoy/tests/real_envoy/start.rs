//! The configurations of the tree are taken, and the chain serves.

use envoy_harness::{Bootstrap, Gateway, Request, StartError, demo_key, skipped, validate};
use serde_json::Value;

const CONFIGURATIONS: [&str; 8] = [
    "envoy/envoy.yaml",
    "envoy/single/auth.yaml",
    "envoy/single/rate-limit.yaml",
    "envoy/single/routing.yaml",
    "envoy/single/transform.yaml",
    "envoy/variants/cache.yaml",
    "envoy/variants/criteria.yaml",
    "envoy/variants/jwks.yaml",
];

// Without it a configuration that a reader copies could be one that Envoy, or a filter, refuses.
#[test]
fn every_configuration_validates() {
    for file in CONFIGURATIONS {
        match validate(&Bootstrap::file(file), Gateway::certificates()) {
            Ok(()) => {}
            Err(StartError::Missing(missing)) => return skipped(&missing),
            Err(error) => panic!("{file}: {error}"),
        }
    }
}

// Without it the test above could pass on anything.
#[test]
fn a_bad_filter_configuration_does_not_validate() {
    let mut bootstrap = Bootstrap::file("envoy/single/routing.yaml");
    bootstrap.edit_filter_config("gatehouse.routing", |config| config["versoin"] = 1.into());
    match validate(&bootstrap, Gateway::certificates()) {
        Err(StartError::Missing(missing)) => skipped(&missing),
        Err(StartError::Refused { log, .. }) => {
            assert!(
                log.contains("versoin"),
                "the reason is not in the log:\n{log}"
            );
        }
        other => panic!("an unknown field: {other:?}"),
    }
}

// Without it nothing would show that a request gets through TLS and both filters, on either protocol, to an upstream.
#[test]
fn a_request_passes_the_chain_on_both_protocols() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let request = Request::get("/v2/users/17?full=1").header("x-api-key", demo_key("acme-2026"));
    for (client, protocol) in [(gateway.h1(), "HTTP/1.1"), (gateway.h2(), "HTTP/2.0")] {
        let response = client.send(&request);
        assert_eq!(response.status, 200, "{}", response.text());
        let echo = response.echo();
        assert_eq!(
            (echo.service.as_str(), echo.protocol.as_str()),
            ("users", protocol)
        );
        assert_eq!(echo.path, "/users/17?full=1");
        assert_eq!(echo.header("x-consumer"), ["acme"]);
        assert_eq!(echo.header("x-gatehouse-api-version"), ["2"]);
        assert!(
            echo.header("x-api-key").is_empty(),
            "the key reached the upstream"
        );
    }
}

// Without it the health of the gateway could depend on a credential, an upstream or a version.
#[test]
fn health_is_exempt_in_every_filter() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let response = gateway.h1().send(&Request::get("/healthz"));
    assert_eq!((response.status, response.text().as_str()), (200, "ok\n"));
}

// Without it an operator could not see from the log who asked for what and why it was refused.
#[test]
fn the_access_log_says_who_what_and_why() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    gateway
        .h1()
        .send(&Request::get("/v1/users/log?secret=1").header("x-api-key", demo_key("acme-2026")));
    let entry = gateway
        .envoy()
        .access_log_entry(|entry| entry["path"] == "/v1/users/log");
    assert_eq!(entry["status"], 200);
    assert_eq!(entry["identity"], "api_key:acme-2026");
    assert_eq!(
        (&entry["rule"], &entry["decision"]),
        (&"users-v1".into(), &"allow".into())
    );
    assert_eq!(
        (&entry["route"], &entry["api_version"]),
        (&"users-v1".into(), &"1".into())
    );
    assert_eq!(entry["details"], "via_upstream");
    for field in ["time", "request_id", "upstream"] {
        assert!(
            entry[field].as_str().is_some_and(|value| !value.is_empty()),
            "no {field}: {entry}"
        );
    }

    gateway.h1().send(&Request::get("/orders/log"));
    let entry = gateway
        .envoy()
        .access_log_entry(|entry| entry["path"] == "/orders/log");
    assert_eq!(
        (&entry["status"], &entry["decision"]),
        (&401.into(), &"deny".into())
    );
    assert_eq!(
        (&entry["identity"], &entry["upstream"]),
        (&"anonymous".into(), &Value::Null)
    );
    assert!(
        entry["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "no reason: {entry}"
    );
    assert!(
        entry["details"]
            .as_str()
            .is_some_and(|details| details.starts_with("gatehouse_")),
        "{entry}"
    );
}

// Without it a field of the configuration could be one that the next Envoy no longer knows.
#[test]
fn no_field_of_the_configuration_is_deprecated_or_unknown() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let stats = gateway.envoy().stats();
    for counter in [
        "runtime.deprecated_feature_use",
        "server.static_unknown_fields",
    ] {
        assert_eq!(stats.get(counter), Some(&0), "{counter}");
    }
}

// Without it the two replicas of the demo could be one.
#[test]
fn both_replicas_serve() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let mut replicas = std::collections::BTreeSet::new();
    // The choice is by chance: of 64 requests all go to one replica once in 2^63.
    for _ in 0..64 {
        let response = gateway
            .h1()
            .send(&Request::get("/users/1").header("x-api-key", demo_key("acme-2026")));
        replicas.insert(response.echo().replica);
    }
    assert_eq!(
        replicas.into_iter().collect::<Vec<_>>(),
        ["users-1", "users-2"]
    );
}

// Without it the smallest configurations would be checked, but never seen to serve.
#[test]
fn each_filter_serves_alone() {
    let Some(gateway) = Gateway::start(&Bootstrap::file("envoy/single/auth.yaml")) else {
        return;
    };
    assert_eq!(gateway.h1().send(&Request::get("/anything")).status, 401);
    let response = gateway
        .h1()
        .send(&Request::get("/anything").header("x-api-key", demo_key("acme-2026")));
    assert_eq!(response.echo().header("x-consumer"), ["acme"]);
    drop(gateway);

    let Some(gateway) = Gateway::start(&Bootstrap::file("envoy/single/routing.yaml")) else {
        return;
    };
    for (path, replica) in [("/users", "users-1"), ("/v2/users", "users-2")] {
        assert_eq!(
            gateway.h1().send(&Request::get(path)).echo().replica,
            replica,
            "{path}"
        );
    }
}
