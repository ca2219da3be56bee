//! A tour of the gateway: a stock Envoy with the filters in front of the upstreams, on loopback, and one request after
//! another. Stays up until Ctrl-C; `ONCE=1` ends after the tour, with status 0 only if every answer was as expected.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

mod answer;
mod screen;
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

use crate::tour::{Places, steps};

/// The port of `envoy/envoy.yaml`, which is nice to keep.
const PORT: u16 = 8443;

/// How long the tour's tokens are good for, in seconds: a working day.
const TOKEN_SECONDS: i64 = 8 * 60 * 60;

fn main() -> ExitCode {
    let started = Instant::now();
    screen::say(
        "starting two replicas each of users, orders and inventory, a token issuer, and Envoy with auth and routing",
    );
    let gateway = match start() {
        Ok(gateway) => gateway,
        Err(error) => {
            screen::say(&format!("the demo cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let places = match places(&gateway) {
        Ok(places) => places,
        Err(error) => {
            screen::say(&format!("the demo cannot write its files: {error}"));
            return ExitCode::FAILURE;
        }
    };
    screen::say(&format!(
        "up after {:.1} s: {}",
        started.elapsed().as_secs_f64(),
        places.origin
    ));

    let steps = steps(&places);
    let count = steps.len();
    let mut good = 0;
    for (number, step) in steps.iter().enumerate() {
        screen::step(number + 1, count, step);
        let outcome = step.take(&gateway);
        screen::outcome(step, &outcome);
        good += usize::from(outcome.verdict.is_ok());
    }
    screen::summary(good, count);

    if std::env::var_os("ONCE").is_none_or(|once| once.is_empty() || once == "0") {
        screen::staying(&places, &gateway);
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

fn start() -> Result<Gateway, StartError> {
    let port = TcpListener::bind(("127.0.0.1", PORT)).map_or(0, |_| PORT);
    Gateway::try_start(
        &Bootstrap::chain(),
        &Options {
            port,
            ..Options::default()
        },
    )
}

/// Writes what the commands of the tour refer to, and says where it is.
fn places(gateway: &Gateway) -> io::Result<Places> {
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
    // A call with one empty message: a flag and a length of nought.
    fs::write(folder.join("empty.grpc"), [0; 5])?;
    Ok(Places {
        folder: shortest(&folder),
        origin: format!("https://localhost:{}", gateway.envoy().address().port()),
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

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
