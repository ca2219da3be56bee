//! The demo stack against what it is made of.

use std::collections::BTreeSet;

use manifests::tree;
use serde_json::{Map, Value};

/// A YAML file, its merge keys resolved.
fn yaml(path: &str) -> Value {
    let mut value: serde_norway::Value = serde_norway::from_str(&tree::read(path)).expect("YAML");
    // One of them may bring another along.
    for _ in 0..3 {
        value.apply_merge().expect("merge keys");
    }
    serde_json::to_value(value).expect("a tree with names for keys")
}

fn services() -> Map<String, Value> {
    let compose = yaml("docker-compose.yml");
    compose["services"].as_object().expect("services").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// Name and port of every socket address in a file.
fn socket_addresses(value: &Value, found: &mut Vec<(String, u64)>) {
    match value {
        Value::Object(members) => {
            if let Some(address) = members.get("socket_address") {
                let port = address["port_value"].as_u64().unwrap_or_default();
                found.push((text(&address["address"]).into(), port));
            }
            members
                .values()
                .for_each(|value| socket_addresses(value, found));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| socket_addresses(value, found)),
        _ => {}
    }
}

fn port_of_listener(envoy: &Value, name: &str) -> u64 {
    let listeners = envoy["static_resources"]["listeners"].as_array();
    let listener = listeners
        .into_iter()
        .flatten()
        .find(|listener| listener["name"] == name)
        .unwrap_or_else(|| panic!("no listener {name}"));
    let port = listener.pointer("/address/socket_address/port_value");
    port.and_then(Value::as_u64).expect("a port")
}

// Without it a name that the gateway looks up could be nobody's, which nothing but the running stack would show.
#[test]
fn every_upstream_of_the_gateway_is_a_service_that_listens_there() {
    let services = services();
    let mut addresses = Vec::new();
    socket_addresses(&yaml("envoy/envoy.yaml"), &mut addresses);
    let mut names = BTreeSet::new();
    for (name, port) in addresses {
        if name.parse::<std::net::IpAddr>().is_ok() {
            continue;
        }
        let service = services
            .get(&name)
            .unwrap_or_else(|| panic!("docker-compose.yml has no service {name}"));
        let listen = format!("0.0.0.0:{port}");
        assert!(texts(&service["command"]).contains(&&*listen), "{name}");
        assert!(
            service["depends_on"].is_null() && !service["healthcheck"].is_null(),
            "{name}"
        );
        let condition = &services["envoy"]["depends_on"][&name]["condition"];
        assert_eq!(condition, "service_healthy", "{name}");
        names.insert(name);
    }
    // Two replicas of each.
    let kinds: BTreeSet<_> = names
        .iter()
        .filter_map(|name| name.rsplit_once('-'))
        .collect();
    assert_eq!(kinds.len(), names.len());
    assert!(names.len() >= 6, "{names:?}");
}

// Without it a port could be changed in one place of three.
#[test]
fn ports_are_those_of_the_listeners() {
    let services = services();
    let envoy = yaml("envoy/envoy.yaml");
    let edge = format!(":{}", port_of_listener(&envoy, "edge"));
    assert!(texts(&services["envoy"]["ports"])[0].ends_with(&edge));

    let prometheus = yaml("envoy/observability/prometheus.yaml");
    let target = format!("envoy:{}", port_of_listener(&envoy, "stats"));
    assert_eq!(
        prometheus["scrape_configs"][0]["static_configs"][0]["targets"],
        Value::from(vec![target])
    );

    let admin = &envoy["admin"]["address"]["socket_address"]["port_value"];
    let ready = format!("http://127.0.0.1:{admin}/ready");
    assert!(texts(&services["envoy"]["healthcheck"]["test"]).contains(&&*ready));
}

// The demo's keys are known to everybody. Docker's own rules let a published port past a firewall.
#[test]
fn ports_are_published_on_loopback_only() {
    let mut published = 0;
    for (name, service) in services() {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
            published += 1;
        }
    }
    assert!(published >= 3);
}

#[test]
fn every_service_is_confined_bounded_and_watched() {
    for (name, service) in services() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(
            texts(&service["security_opt"]),
            ["no-new-privileges:true"],
            "{name}"
        );
        let user = text(&service["user"]);
        assert!(
            !user.is_empty() && !user.starts_with('0'),
            "{name}: user {user}"
        );
        for member in ["privileged", "cap_add", "pid", "ipc", "devices"] {
            assert!(service[member].is_null(), "{name}: {member}");
        }
        for bound in ["mem_limit", "cpus", "pids_limit"] {
            assert!(!service[bound].is_null(), "{name}: {bound}");
        }
        assert_eq!(service["logging"]["options"]["max-size"], "10m", "{name}");
        // The one that ends by itself is waited for instead.
        assert_eq!(
            service["healthcheck"].is_null(),
            name == "prepare",
            "{name}"
        );
    }
}

// An image that moves is another stack tomorrow.
#[test]
fn every_image_has_a_version_and_it_is_the_tested_one() {
    let services = services();
    for (name, service) in &services {
        let image = text(&service["image"]);
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        let numbers = tag.trim_start_matches('v').split(['.', '-']);
        let numbered = numbers.take(3).filter(|part| part.parse::<u32>().is_ok());
        assert_eq!(numbered.count(), 3, "{name}: {image}");
    }
    let setup = tree::read("tools/setup.sh");
    let image = text(&services["envoy"]["image"]);
    let version = image.rsplit_once(":v").expect("a version").1;
    assert!(setup.contains(&format!("version={version}\n")), "{image}");

    let toolchain = tree::read("rust-toolchain.toml");
    let channel = toolchain.split('"').nth(1).expect("a channel");
    let from = format!("FROM rust:{channel}-");
    assert!(tree::read("Dockerfile").contains(&from), "{from}");
}

#[test]
fn every_file_that_is_mounted_is_in_the_tree() {
    let mut mounted = 0;
    for (name, service) in services() {
        for volume in texts(&service["volumes"]) {
            if let Some(file) = volume
                .split(':')
                .next()
                .filter(|source| source.starts_with("./"))
            {
                assert!(tree::root().join(file).is_file(), "{name}: {file}");
                assert!(volume.ends_with(":ro"), "{name}: {volume}");
                mounted += 1;
            }
        }
    }
    assert_eq!(mounted, 2);
}
