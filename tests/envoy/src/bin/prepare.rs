//! Puts in place what `envoy/envoy.yaml` names below `/etc/gatehouse`, for a stack of containers, and ends.
//!
//! The demo's credentials stand in for those in the file, put in by the code that the tests and `make demo` use. Keys and
//! certificates that are there stay, so that running it again changes nothing that somebody may have copied.
#![allow(clippy::disallowed_methods)] // Writes files.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use envoy_harness::Bootstrap;
use upstreams::{Certificates, DEFAULT_ISSUER, INVENTORY_DESCRIPTOR_SET, Issuer, SigningKeys};

const USAGE: &str = "\
prepare --config FILE --modules DIR --health-check FILE --gateway DIR --issuer DIR

--config        the gateway's configuration, envoy/envoy.yaml
--modules       the Wasm modules
--health-check  the program of the gateway's health check, upstreams
--gateway       gets everything that the gateway reads: envoy.json, modules, tls/, inventory.pb, bin/upstreams
--issuer        gets keys.json, which the issuer signs with
";

/// Where things come from and where they go.
struct Places {
    config: PathBuf,
    modules: PathBuf,
    health_check: PathBuf,
    gateway: PathBuf,
    issuer: PathBuf,
}

impl Places {
    fn parse(words: impl Iterator<Item = String>) -> Option<Self> {
        let words: Vec<_> = words.collect();
        let value = |name: &str| {
            let place = words.iter().position(|word| word == name)?;
            words.get(place + 1).map(PathBuf::from)
        };
        // Five names, a value each, and nothing else.
        (words.len() == 10).then_some(())?;
        Some(Self {
            config: value("--config")?,
            modules: value("--modules")?,
            health_check: value("--health-check")?,
            gateway: value("--gateway")?,
            issuer: value("--issuer")?,
        })
    }

    fn prepare(&self) -> Result<(), Box<dyn Error>> {
        let keys = self.issuer.join("keys.json");
        if !keys.exists() {
            fs::create_dir_all(&self.issuer)?;
            SigningKeys::generate().write(&keys)?;
        }
        let issuer = Issuer::with_keys(DEFAULT_ISSUER, &SigningKeys::read(&keys)?);

        let tls = self.gateway.join("tls");
        if !tls.join("server.key").exists() {
            Certificates::generate()?.write(&tls)?;
        }

        for entry in fs::read_dir(&self.modules)? {
            let module = entry?.path();
            if let Some(name) = module.file_name() {
                replace(&self.gateway.join(name), &fs::read(&module)?)?;
            }
        }
        replace(&self.gateway.join("inventory.pb"), INVENTORY_DESCRIPTOR_SET)?;
        let bin = self.gateway.join("bin");
        fs::create_dir_all(&bin)?;
        // A copy keeps the mode: it can be run.
        let health_check = bin.join("upstreams.new");
        fs::copy(&self.health_check, &health_check)?;
        fs::rename(health_check, bin.join("upstreams"))?;

        let mut bootstrap = Bootstrap::file(&self.config);
        bootstrap.install_credentials(&issuer);
        let config = serde_json::to_vec_pretty(bootstrap.root())?;
        replace(&self.gateway.join("envoy.json"), &config)?;
        Ok(())
    }
}

fn main() -> ExitCode {
    let Some(places) = Places::parse(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match places.prepare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prepare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a file in one step: a reader sees all of it or none.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, file)
}
