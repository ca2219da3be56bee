//! Asks a service whether it is well: what a container's health check runs, in images that have no shell.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::Channel;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(2);

/// What is asked, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheck {
    /// `http://HOST:PORT/PATH`: well if a GET in the clear is answered with 200.
    Http {
        /// `HOST:PORT`
        address: String,
        /// Path, with its first slash.
        path: String,
    },
    /// `grpc://HOST:PORT/SERVICE`: well if `grpc.health.v1` says that the service is serving. No name means all of it.
    Grpc {
        /// `HOST:PORT`
        address: String,
        /// Full name of the service.
        service: String,
    },
}

impl HealthCheck {
    /// Asks.
    ///
    /// # Errors
    /// The service is not well, or says nothing in time.
    pub async fn ask(&self) -> Result<(), Box<dyn Error>> {
        let asked = async {
            match self {
                Self::Http { address, path } => http(address, path).await,
                Self::Grpc { address, service } => grpc(address, service).await,
            }
        };
        tokio::time::timeout(WITHIN, asked).await?
    }
}

impl FromStr for HealthCheck {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = address.to_string();
        match (scheme, path) {
            ("http", "") => Err(format!("{url} has no path")),
            ("http", path) => Ok(Self::Http {
                address,
                path: path.into(),
            }),
            ("grpc", path) => Ok(Self::Grpc {
                address,
                service: path.trim_start_matches('/').into(),
            }),
            _ => Err(format!("{url} is neither http://… nor grpc://…")),
        }
    }
}

async fn http(address: &str, path: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status_line = String::new();
    BufReader::new(stream).read_line(&mut status_line).await?;
    match status_line.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("answered {:?}", status_line.trim_end()).into()),
    }
}

async fn grpc(address: &str, service: &str) -> Result<(), Box<dyn Error>> {
    let channel = Channel::connect(address, None).await?;
    let mut health = HealthClient::with_origin(channel.clone(), channel.origin());
    let request = HealthCheckRequest {
        service: service.into(),
    };
    let status = health.check(request).await?.into_inner().status();
    match status {
        ServingStatus::Serving => Ok(()),
        _ => Err(status.as_str_name().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{DEFAULT_ISSUER, Issuer, Upstreams};

    // Without it a stack could count a replica as well that says it is not, or never come up.
    #[test]
    fn it_says_what_the_service_says() {
        let upstreams = Upstreams::start(Arc::new(Issuer::generate(DEFAULT_ISSUER))).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ask = |scheme: &str, name: &str, path: &str| {
            let address = upstreams.address(name).unwrap();
            let check: HealthCheck = format!("{scheme}://{address}{path}").parse().unwrap();
            runtime.block_on(check.ask()).is_ok()
        };
        let all = |well: bool| {
            assert_eq!(ask("http", "users-1", "/healthz"), well);
            assert_eq!(ask("grpc", "inventory-1", "/inventory.v1.Stock"), well);
            assert_eq!(ask("grpc", "inventory-1", ""), well);
        };
        all(true);
        assert!(ask("http", "issuer", "/healthz"));
        assert!(!ask("http", "users-1", "/users/status/503"));
        assert!(!ask("grpc", "inventory-1", "/no.such.Service"));
        upstreams.replica("users-1").unwrap().set_healthy(false);
        assert!(upstreams.set_inventory_healthy("inventory-1", false));
        all(false);
        assert!(ask("http", "users-2", "/healthz"));
    }

    // Without it a check of nothing at all could be taken for one.
    #[test]
    fn only_urls_of_the_two_kinds_are_read() {
        for wrong in ["", "users-1:8080/healthz", "https://a:1/", "http://a:1"] {
            assert!(wrong.parse::<HealthCheck>().is_err(), "{wrong}");
        }
        let check = "http://a:1/x/y?z".parse();
        let (address, path) = ("a:1".to_string(), "/x/y?z".to_string());
        assert_eq!(check, Ok(HealthCheck::Http { address, path }));
    }
}
