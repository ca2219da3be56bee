//! A gateway that somebody else has started, in containers or anywhere.

use std::error::Error;
use std::fs;
use std::net::ToSocketAddrs;
use std::path::PathBuf;

use envoy_harness::{Client, Protocol, Request};
use serde_json::Value;
use upstreams::TokenRequest;

use crate::backstage::Backstage;
use crate::callers::callers;
use crate::containers::Containers;
use crate::places::Places;
use crate::{empty_call, upstreams_program};

pub(crate) const USAGE: &str = "\
demo                                                                    a gateway of its own, on loopback
demo --against URL --issuer URL --folder DIR [--compose-project NAME]   a gateway that runs

--against          https://HOST:PORT
--issuer           http://HOST:PORT, where /token gives tokens that the gateway takes
--folder           holds the certificate of the gateway's authority, ca.pem; gets the callers' tokens
--compose-project  where its containers are, so that the access log can be read and a replica be killed
";

/// What the command line says.
pub(crate) struct Outside {
    host: String,
    port: u16,
    issuer: String,
    folder: PathBuf,
    project: Option<String>,
}

impl Outside {
    /// None if the words are no command line of ours.
    pub(crate) fn parse(words: &[String]) -> Option<Self> {
        let mut outside = Self {
            host: String::new(),
            port: 0,
            issuer: String::new(),
            folder: PathBuf::new(),
            project: None,
        };
        for pair in words.chunks(2) {
            let [name, value] = pair else { return None };
            match name.as_str() {
                "--against" => {
                    let (host, port) = value.strip_prefix("https://")?.rsplit_once(':')?;
                    (outside.host, outside.port) = (host.into(), port.parse().ok()?);
                }
                "--issuer" => outside.issuer = value.clone(),
                "--folder" => outside.folder = value.into(),
                "--compose-project" => outside.project = Some(value.clone()),
                _ => return None,
            }
        }
        let complete = outside.port != 0
            && outside.issuer.starts_with("http://")
            && !outside.folder.as_os_str().is_empty();
        complete.then_some(outside)
    }

    /// Fetches the callers' tokens, and says where everything is.
    pub(crate) fn places(&self) -> Result<Places, Box<dyn Error>> {
        for (name, request) in callers() {
            let token = self.token(&request)?;
            fs::write(self.folder.join(format!("{name}.jwt")), token)?;
        }
        empty_call(&self.folder)?;
        Ok(Places {
            folder: self.folder.clone(),
            scheme: "https",
            host: self.host.clone(),
            port: self.port,
            issuer: self.issuer.clone(),
            admin: String::new(),
            grpc_client: upstreams_program(),
        })
    }

    /// Its containers, or nothing but what a caller sees.
    pub(crate) fn backstage(&self) -> Result<Box<dyn Backstage>, Box<dyn Error>> {
        Ok(match &self.project {
            Some(project) => Box::new(
                Containers::of(project)
                    .ok_or_else(|| format!("the project {project} has no running Envoy"))?,
            ),
            None => Box::new(Nothing),
        })
    }

    fn token(&self, request: &TokenRequest) -> Result<String, Box<dyn Error>> {
        let address = self.issuer.trim_start_matches("http://");
        let address = address.to_socket_addrs()?.next();
        let issuer = Client::plain(address.ok_or("the issuer has no address")?, Protocol::H1);
        let answer = issuer.try_send(&Request::get(format!("/token?{}", request.query())))?;
        match answer.json()["access_token"].as_str() {
            Some(token) => Ok(token.into()),
            None => Err(format!("the issuer answers {}: {}", answer.status, answer.text()).into()),
        }
    }
}

/// Nobody who runs the gateway.
struct Nothing;

impl Backstage for Nothing {
    fn has_log(&self) -> bool {
        false
    }

    fn logged(&self, _: &str) -> Option<Value> {
        None
    }

    fn counter(&self, _: &str) -> Option<u64> {
        None
    }

    fn stop(&self, _: &str) -> Option<bool> {
        None
    }

    fn start_again(&self, _: &str) -> Option<bool> {
        None
    }
}
