//! The upstreams as a program: all of them, or one replica, or the issuer; and a client for the gRPC service.
#![allow(clippy::disallowed_methods)] // A server with files and sockets, not policy.

mod printed_call;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use upstreams::{
    Certificates, DEFAULT_ISSUER, HealthCheck, INVENTORY_DESCRIPTOR_SET, Inventory, Issuer,
    Replica, SigningKeys, Upstreams, bind,
};

use crate::printed_call::Call;

const USAGE: &str = "\
upstreams all     [--tls-dir DIR] [--ports-file FILE] [--address NAME=IP:PORT]… [--issuer URL]
upstreams rest    --service NAME --replica NAME --listen IP:PORT
upstreams grpc    --replica NAME --listen IP:PORT
upstreams issuer  --listen IP:PORT [--issuer URL] [--keys FILE]
upstreams descriptor-set FILE
upstreams health-check URL
upstreams call    --address HOST:PORT [--ca FILE] [--header NAME:VALUE]… [--include] METHOD JSON

all       two replicas each of users, orders and inventory, and the issuer, on 127.0.0.1 and ports of the kernel's choice unless
          --address says otherwise; --ports-file gets the ports as JSON once all are open, --tls-dir gets ca.pem,
          server.pem and server.key
rest      one replica of a REST service
grpc      one replica of the gRPC service inventory.v1.Stock, with reflection and health, in the clear (h2c)
issuer    the token issuer: /token, /.well-known/jwks.json; signs with the keys in the file, or with new ones
descriptor-set
          writes the descriptor set of inventory.v1 for Envoy's transcoder
health-check
          ends with 0 if a service is well: http://HOST:PORT/PATH answers 200, or grpc://HOST:PORT/SERVICE is serving
call      one call of Stock/Get, Stock/Watch, Stock/Adjust or Stock/Reserve (whose JSON is a list of messages), over TLS if
          --ca is given; prints each message as a line of JSON, then grpc-status; with --include the HTTP status and the
          headers before; ends with 0 only if the status is OK

The services run until SIGTERM or SIGINT; with --until-stdin-closes also until its standard input ends, as it does when the
program that holds the other end dies.
";

/// What the command line says.
#[derive(Default)]
struct Arguments {
    tls_dir: Option<PathBuf>,
    ports_file: Option<PathBuf>,
    addresses: BTreeMap<String, SocketAddr>,
    issuer: Option<String>,
    keys: Option<PathBuf>,
    service: Option<String>,
    replica: Option<String>,
    listen: Option<SocketAddr>,
    until_stdin_closes: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            if word == "--until-stdin-closes" {
                arguments.until_stdin_closes = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--tls-dir" => arguments.tls_dir = Some(value.into()),
                "--ports-file" => arguments.ports_file = Some(value.into()),
                "--issuer" => arguments.issuer = Some(value),
                "--keys" => arguments.keys = Some(value.into()),
                "--service" => arguments.service = Some(value),
                "--replica" => arguments.replica = Some(value),
                "--listen" => arguments.listen = Some(value.parse()?),
                "--address" => {
                    let (name, address) =
                        value.split_once('=').ok_or("--address is NAME=IP:PORT")?;
                    arguments.addresses.insert(name.into(), address.parse()?);
                }
                _ => return Err(format!("{word} is no option").into()),
            }
        }
        Ok(arguments)
    }

    fn new_issuer(&self) -> Result<Arc<Issuer>, String> {
        let name = self.issuer.as_deref().unwrap_or(DEFAULT_ISSUER);
        let keys = match &self.keys {
            Some(file) => SigningKeys::read(file)
                .map_err(|error| format!("no keys in {}: {error}", file.display()))?,
            None => SigningKeys::generate(),
        };
        Ok(Arc::new(Issuer::with_keys(name, &keys)))
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let result = match command.as_str() {
        "call" => match Call::parse(words).and_then(|call| runtime()?.block_on(call.make())) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        "descriptor-set" => match (words.next(), words.next()) {
            (Some(file), None) => std::fs::write(file, INVENTORY_DESCRIPTOR_SET).map_err(Box::from),
            _ => Err("descriptor-set wants one file".into()),
        },
        "health-check" => match (words.next(), words.next()) {
            (Some(url), None) => health_check(&url),
            _ => Err("health-check wants one URL".into()),
        },
        "all" | "rest" | "grpc" | "issuer" => {
            Arguments::parse(words).and_then(|arguments| run(&command, &arguments))
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upstreams: {error}");
            ExitCode::FAILURE
        }
    }
}

fn health_check(url: &str) -> Result<(), Box<dyn Error>> {
    let check: HealthCheck = url.parse()?;
    runtime()?.block_on(check.ask())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn run(command: &str, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = runtime()?;
    if command == "all" {
        if let Some(folder) = &arguments.tls_dir {
            Certificates::generate()?.write(folder)?;
        }
        let upstreams = Upstreams::start_at(arguments.new_issuer()?, &arguments.addresses)?;
        let ports: BTreeMap<_, _> = upstreams
            .addresses()
            .iter()
            .map(|(name, address)| (name, address.port()))
            .collect();
        let ports = serde_json::to_string(&ports)?;
        match &arguments.ports_file {
            Some(file) => replace(file, &ports)?,
            None => println!("{ports}"),
        }
        runtime.block_on(until_told(arguments.until_stdin_closes))?;
        return Ok(());
    }
    let replica = || arguments.replica.as_deref().ok_or("--replica is missing");
    let router = match command {
        "grpc" => runtime.block_on(Inventory::start(replica()?)).1,
        "rest" => {
            let service = arguments.service.as_deref().ok_or("--service is missing")?;
            Replica::new(service, replica()?).router()
        }
        _ => arguments.new_issuer()?.router(),
    };
    let address = arguments.listen.ok_or("--listen is missing")?;
    runtime.block_on(async {
        let server = axum::serve(bind(address).await?, router);
        tokio::select! {
            result = server.into_future() => result,
            result = until_told(arguments.until_stdin_closes) => result,
        }
    })?;
    Ok(())
}

/// Writes a file in one step: a reader sees all of it or none.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, file)
}

async fn until_told(until_stdin_closes: bool) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (closed, stdin) = tokio::sync::oneshot::channel::<()>();
    if until_stdin_closes {
        std::thread::spawn(move || {
            // Whatever ends the reading, nobody is there any more.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            drop(closed);
        });
    } else {
        std::mem::forget(closed);
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = stdin => {}
    }
    Ok(())
}
