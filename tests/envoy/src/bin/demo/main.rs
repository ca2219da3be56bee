//! A tour of the gateway: a stock Envoy with the filters in front of the upstreams, on loopback, and one request after
//! another. Stays up until Ctrl-C; `ONCE=1` ends after the tour, with status 0 only if every answer was as expected.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

mod answer;
mod backstage;
mod places;
mod screen;
mod step;
mod tour;

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use envoy_harness::{
    Algorithm, Bootstrap, Gateway, Options, StartError, target_folder, until_interrupted,
};

use serde_json::{Map, Value, json};
use upstreams::SharedSecret;

use crate::places::Places;
use crate::tour::tour;

/// The port of `envoy/envoy.yaml`, which is nice to keep.
const PORT: u16 = 8443;

/// How long the tour's tokens are good for, in seconds: a working day.
const TOKEN_SECONDS: i64 = 8 * 60 * 60;

/// An issuer whose secret no file may hold, so that the demo adds it to the configuration.
const MACHINES: &str = "https://machines.gatehouse.test";

fn main() -> ExitCode {
    let started = Instant::now();
    screen::say(
        "starting two replicas each of users, orders and inventory, a token issuer, and Envoy with the whole chain",
    );
    let machines = SharedSecret::generate(MACHINES);
    let gateway = match start(&machines) {
        Ok(gateway) => gateway,
        Err(error) => {
            screen::say(&format!("the demo cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let places = match places(&gateway, &machines) {
        Ok(places) => places,
        Err(error) => {
            screen::say(&format!("the demo cannot write its files: {error}"));
            return ExitCode::FAILURE;
        }
    };
    screen::say(&format!(
        "up after {:.1} s: {}",
        started.elapsed().as_secs_f64(),
        places.origin()
    ));

    let groups = tour(&places);
    let count = groups.iter().map(|group| group.steps.len()).sum();
    let (mut number, mut good) = (0, 0);
    for group in &groups {
        screen::group(group.title);
        for step in &group.steps {
            number += 1;
            screen::step(number, count, step);
            let outcome = step.take(&gateway);
            screen::outcome(step, &outcome);
            good += usize::from(outcome.verdict.is_ok());
        }
    }
    screen::summary(good, count, started.elapsed());

    if std::env::var_os("ONCE").is_none_or(|once| once.is_empty() || once == "0") {
        screen::staying(&places);
        until_interrupted();
        screen::say("stopping");
    }
    // Fails if a filter lost a VM on the way.
    drop(gateway);
    if good == count {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn start(machines: &SharedSecret) -> Result<Gateway, StartError> {
    let port = TcpListener::bind(("127.0.0.1", PORT)).map_or(0, |_| PORT);
    let mut bootstrap = Bootstrap::chain();
    bootstrap.edit_filter_config("gatehouse.auth", |auth| {
        if let Some(providers) = auth["jwt"]["providers"].as_array_mut() {
            providers.push(json!({
                "name": "machines",
                "issuer": machines.name(),
                "audiences": ["api"],
                "jwks": machines.key_set(),
            }));
        }
    });
    Gateway::try_start(
        &bootstrap,
        &Options {
            port,
            ..Options::default()
        },
    )
}

/// Writes what the commands of the tour refer to, and says where it is.
fn places(gateway: &Gateway, machines: &SharedSecret) -> io::Result<Places> {
    let folder = target_folder().join("demo");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("ca.pem"), Gateway::certificates().ca_pem())?;
    let token = |subject| {
        gateway
            .token(subject)
            .claim("exp", now() + TOKEN_SECONDS)
            .claim("azp", "web-shop")
    };
    let tokens = [
        (
            "alice.jwt",
            token("alice")
                .scope("orders:read orders:write stock:read stock:write")
                .groups(&["staff"])
                .algorithm(Algorithm::RS256),
        ),
        ("bob.jwt", token("bob").scope("profile")),
        (
            "carol.jwt",
            token("carol")
                .groups(&["admins"])
                .algorithm(Algorithm::EdDSA),
        ),
        ("dora.jwt", token("dora").groups(&["support"])),
        (
            "expired.jwt",
            token("alice")
                .scope("orders:read")
                .claim("exp", now() - 3600),
        ),
    ];
    for (name, token) in tokens {
        fs::write(folder.join(name), token.sign())?;
    }
    let erin = [
        ("sub", Value::from("erin")),
        ("exp", (now() + TOKEN_SECONDS).into()),
    ];
    let erin = Map::from_iter(erin.map(|(name, value)| (name.to_string(), value)));
    fs::write(folder.join("erin.jwt"), machines.token_with_claims(erin))?;
    // A call with one empty message: a flag and a length of nought.
    fs::write(folder.join("empty.grpc"), [0; 5])?;
    Ok(Places {
        folder: shortest(&folder),
        scheme: "https",
        host: "localhost".into(),
        port: gateway.envoy().address().port(),
        admin: format!("http://{}", gateway.envoy().admin().address()),
        grpc_client: upstreams_program(),
        issuer: gateway
            .upstreams()
            .address("issuer")
            .map(|address| format!("http://{address}"))
            .unwrap_or_default(),
    })
}

/// A path as a reader in this folder would write it.
fn shortest(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_path_buf()
}

/// The program `upstreams` as a reader in this folder would call it: cargo builds it with this one.
fn upstreams_program() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    shortest(&program.with_file_name("upstreams"))
        .display()
        .to_string()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
