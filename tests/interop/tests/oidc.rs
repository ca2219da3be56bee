//! auth with keys and tokens of programs that others wrote, through a stock Envoy with two workers.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use envoy_harness::{Bootstrap, Client, Gateway, Missing, Protocol, Request, skipped};
use interop::{Peer, fetched, folder};
use serde_json::{Value, json};

const PLUGIN: &str = "gatehouse.auth";
const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// What `make interop` fetched; none where it has not, which [`skipped`] has said then.
fn environment() -> Option<std::path::PathBuf> {
    let found = fetched();
    if found.is_none() {
        skipped(&Missing::new(
            "GATEHOUSE_INTEROP is not set: `make interop` runs this",
        ));
    }
    found
}

/// auth alone with one provider, whose endpoint is on this port of loopback.
fn bootstrap(issuer: &str, audiences: &[String], port: u64, jwks: Value) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/auth.yaml");
    bootstrap.edit_filter_config(PLUGIN, |config| {
        config["jwt"] = json!({ "providers": [
            { "name": "main", "issuer": issuer, "audiences": audiences, "jwks": jwks },
        ] });
        let any = config["rules"][1]["any"].as_array_mut().expect("a rule");
        any.push(json!({ "credential": "jwt" }));
    });
    let address = json!({ "address": "127.0.0.1", "port_value": port });
    let cluster = json!({
        "name": "idp",
        "type": "STATIC",
        "load_assignment": { "cluster_name": "idp", "endpoints": [
            { "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] },
        ] },
    });
    let clusters = &mut bootstrap.root_mut()["static_resources"]["clusters"];
    clusters.as_array_mut().expect("clusters").push(cluster);
    bootstrap
}

fn wait_for_keys(gateway: &Gateway, keys: u64) {
    gateway.envoy().wait_until("the keys", |envoy| {
        envoy.counter("wasmcustom.gatehouse.auth.jwks_keys") == keys
    });
}

fn status(gateway: &Gateway, token: &str) -> u16 {
    gateway
        .h1()
        .send(&Request::get("/users/7").bearer(token))
        .status
}

/// The same token with a signature that begins with another letter.
fn tampered(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("a token");
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{other}{}", &signature[1..])
}

/// npm `oidc-provider`.
struct Provider {
    peer: Mutex<Peer>,
    issuer: String,
    port: u64,
    client: Client,
}

impl Provider {
    fn start() -> Option<Self> {
        let fetched = environment()?;
        let mut command = Command::new("node");
        command
            .arg(folder().join("provider.mjs"))
            .env("GATEHOUSE_INTEROP", fetched);
        let mut peer = Peer::start(&mut command);
        let started = peer.hear();
        let port = started["port"].as_u64().expect("a port");
        let address = format!("127.0.0.1:{port}").parse().expect("an address");
        Some(Self {
            peer: Mutex::new(peer),
            issuer: started["issuer"].as_str().expect("an issuer").to_owned(),
            port,
            client: Client::plain(address, Protocol::H1),
        })
    }

    /// How often metadata and keys were fetched.
    fn ask(&self, command: &str) -> (u64, u64) {
        let counts = self.peer.lock().expect("a peer").ask(command);
        let count = |name: &str| counts[name].as_u64().expect("a count");
        (count("metadata"), count("keys"))
    }

    /// An access token for the resource that is signed with this algorithm.
    fn token(&self, algorithm: &str) -> String {
        let basic = STANDARD.encode("shop:a-secret-of-a-test");
        let resource = resource(algorithm).replace(':', "%3A").replace('/', "%2F");
        let form = format!("grant_type=client_credentials&scope=orders%3Aread&resource={resource}");
        let request = Request::new("POST", "/token")
            .header("authorization", format!("Basic {basic}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = self.client.send(&request);
        let body = answer.json();
        let token = body["access_token"].as_str();
        token
            .unwrap_or_else(|| panic!("{}: {body}", answer.status))
            .to_owned()
    }

    fn gateway(&self, limits: &Value) -> Option<Gateway> {
        let mut discovery = json!({ "cluster": "idp" });
        for (name, value) in limits.as_object().expect("an object") {
            discovery[name] = value.clone();
        }
        let audiences = ALGORITHMS.map(resource);
        let jwks = json!({ "discovery": discovery });
        Gateway::start(&bootstrap(&self.issuer, &audiences, self.port, jwks))
    }
}

fn resource(algorithm: &str) -> String {
    format!("https://api.test/{algorithm}")
}

// What our own issuer publishes and signs, only our own idea of the standards has been asked.
#[test]
fn tokens_of_a_real_provider_found_by_discovery() {
    let Some(provider) = Provider::start() else {
        return;
    };
    let Some(gateway) = provider.gateway(&json!({})) else {
        return;
    };
    wait_for_keys(&gateway, 3);
    for algorithm in ALGORITHMS {
        let token = provider.token(algorithm);
        for _ in 0..8 {
            assert_eq!(status(&gateway, &token), 200, "{algorithm}");
        }
        assert_eq!(status(&gateway, &tampered(&token)), 401, "{algorithm}");
    }
    assert_eq!(provider.ask("counts"), (1, 1), "one fetch an Envoy");
}

// Rotation is what users of every gateway complain about: good tokens refused for minutes.
#[test]
fn a_rotation_under_load_refuses_nobody() {
    const ROTATIONS: u64 = 3;
    let Some(provider) = Provider::start() else {
        return;
    };
    let limits = json!({ "cool_down": "1s" });
    let Some(gateway) = provider.gateway(&limits) else {
        return;
    };
    wait_for_keys(&gateway, 3);
    let (done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (provider, gateway, done, sent) = (&provider, &gateway, &done, &sent);
            scope.spawn(move || {
                let mut kept = None;
                while !done.load(Ordering::Relaxed) {
                    let algorithm = ALGORITHMS[(thread + sent.load(Ordering::Relaxed)) % 3];
                    let fresh = provider.token(algorithm);
                    // A token of before the last rotation is good too: its key is still published.
                    for token in kept.replace(fresh.clone()).into_iter().chain([fresh]) {
                        assert_eq!(status(gateway, &token), 200, "{algorithm}");
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for rotation in 1..=ROTATIONS {
            let before = sent.load(Ordering::Relaxed);
            gateway
                .envoy()
                .wait_until("load", |_| sent.load(Ordering::Relaxed) > before + 50);
            provider.ask("rotate");
            gateway
                .envoy()
                .wait_until("the new keys", |_| provider.ask("counts").1 == 1 + rotation);
            // The next one has to be another than that of this cool-down.
            let cooled = std::time::Instant::now();
            gateway
                .envoy()
                .wait_until("the cool-down", |_| cooled.elapsed().as_millis() > 1_500);
        }
        done.store(true, Ordering::Relaxed);
    });
    let fetches = 1 + ROTATIONS;
    assert_eq!(
        provider.ask("counts"),
        (fetches, fetches),
        "one fetch an Envoy and rotation"
    );
    assert!(sent.load(Ordering::Relaxed) > 150);
    println!(
        "{} requests, {ROTATIONS} rotations, {fetches} fetches",
        sent.load(Ordering::Relaxed)
    );
}

// Libraries write headers, keys and numbers in their own ways; each of them is somebody's issuer.
#[test]
fn tokens_of_three_libraries() {
    const PUBLISHED: usize = 3 * 11;
    const SECRETS: usize = 3 * 3;
    let Some(fetched) = environment() else {
        return;
    };
    let python = fetched.join("venv/bin/python");
    let mut peer = Peer::start(Command::new(python).arg(folder().join("mint.py")));
    let minted = peer.hear();
    let issuer = minted["issuer"].as_str().expect("an issuer");
    let port = minted["port"].as_u64().expect("a port");
    let jwks = json!({ "remote": { "cluster": "idp", "uri": "http://mint.test/jwks" } });
    let mut bootstrap = bootstrap(issuer, &["api".to_owned()], port, jwks);
    bootstrap.edit_filter_config(PLUGIN, |config| {
        let providers = config["jwt"]["providers"].as_array_mut().expect("a list");
        providers.push(json!({
            "name": "secret", "issuer": minted["secret_issuer"], "audiences": ["api"],
            "jwks": { "keys": minted["secret_keys"] },
        }));
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    wait_for_keys(&gateway, PUBLISHED as u64);
    let tokens = minted["tokens"].as_array().expect("tokens");
    assert_eq!(tokens.len(), PUBLISHED + SECRETS);
    for token in tokens {
        let text = token["token"].as_str().expect("a token");
        let (library, algorithm) = (&token["library"], &token["algorithm"]);
        assert_eq!(status(&gateway, text), 200, "{library} {algorithm}");
        assert_eq!(
            status(&gateway, &tampered(text)),
            401,
            "{library} {algorithm}"
        );
    }
}
