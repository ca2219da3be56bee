//! A tour of the gateway: a stock Envoy with the filters in front of the upstreams, on loopback, and one request after
//! another. Stays up until Ctrl-C; `ONCE=1` ends after the tour, with status 0 only if every answer was as expected.
//! With `--against` the tour is of a gateway that runs, and ends by itself.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

mod answer;
mod backstage;
mod callers;
mod containers;
mod outside;
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

use envoy_harness::{Bootstrap, Gateway, Options, StartError, target_folder, until_interrupted};
use serde_json::{Map, Value, json};
use upstreams::SharedSecret;

use crate::backstage::Backstage;
use crate::callers::{TOKEN_SECONDS, callers};
use crate::outside::{Outside, USAGE};
use crate::places::Places;
use crate::tour::tour;

/// The port of `envoy/envoy.yaml`, which is nice to keep.
const PORT: u16 = 8443;

/// An issuer whose secret no file may hold, so that the demo adds it to the configuration.
const MACHINES: &str = "https://machines.gatehouse.test";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if words.is_empty() {
        return of_our_own();
    }
    let Some(outside) = Outside::parse(&words) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match (outside.places(), outside.backstage()) {
        (Ok(places), Ok(backstage)) => status(take(&places, &*backstage, Instant::now())),
        (Err(error), _) | (_, Err(error)) => {
            screen::say(&format!("there is no tour: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn of_our_own() -> ExitCode {
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

    let good = take(&places, &gateway, started);

    if std::env::var_os("ONCE").is_none_or(|once| once.is_empty() || once == "0") {
        screen::staying(&places);
        until_interrupted();
        screen::say("stopping");
    }
    // Fails if a filter lost a VM on the way.
    drop(gateway);
    status(good)
}

/// Takes the tour; whether all was as expected.
fn take(places: &Places, backstage: &dyn Backstage, started: Instant) -> bool {
    let groups = tour(places);
    let count = groups.iter().map(|group| group.steps.len()).sum();
    let (mut number, mut good) = (0, 0);
    for group in &groups {
        screen::group(group.title);
        for step in &group.steps {
            number += 1;
            screen::step(number, count, step);
            let outcome = step.take(backstage);
            screen::outcome(step, &outcome);
            good += usize::from(outcome.verdict.is_ok());
        }
    }
    screen::summary(good, count, started.elapsed());
    good == count
}

fn status(good: bool) -> ExitCode {
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
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
    for (name, request) in callers() {
        let token = Gateway::issuer().token(&request);
        fs::write(folder.join(format!("{name}.jwt")), token)?;
    }
    let erin = [
        ("sub", Value::from("erin")),
        ("exp", (now() + TOKEN_SECONDS).into()),
    ];
    let erin = Map::from_iter(erin.map(|(name, value)| (name.to_string(), value)));
    fs::write(folder.join("erin.jwt"), machines.token_with_claims(erin))?;
    empty_call(&folder)?;
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

/// A call with one empty message: a flag and a length of nought.
fn empty_call(folder: &Path) -> io::Result<()> {
    fs::write(folder.join("empty.grpc"), [0; 5])
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
