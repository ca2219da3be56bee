//! The table of the crate `scenarios` on a real Envoy: the whole chain, over TLS, each request on every protocol that can carry
//! it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use envoy_harness::{
    Bootstrap, Client, ClientError, Connection, Gateway, Protocol, Read, Request, Response,
    demo_key,
};
use http::HeaderValue;
use hyper::body::Bytes;
use scenarios::{ANSWER, Expect, Outcome, Scenario, Seen, Signer, WireRequest, gateway};
use serde_json::json;

use crate::attacks::Answer;
use crate::server::{Pieces, Received, Server, pairs};

/// The header that tells the upstream which request of ours it got. No filter knows it.
const NUMBER: &str = "x-number";

/// The host that every request names.
const AUTHORITY: &str = "api.gatehouse.test";

/// The gateway of the scenarios, and what its upstream was sent.
struct Vehicle {
    gateway: Gateway,
    signer: Signer<'static>,
    upstream: Upstream,
}

/// An upstream that answers 200 and remembers what it was sent, by number.
struct Upstream {
    server: Server,
    received: Arc<Mutex<BTreeMap<String, Received>>>,
}

/// How a request gets to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    H1,
    H2,
    Raw,
}

/// A way that is kept open from one request to the next, as a browser does.
struct Way {
    client: Client,
    connection: Option<Connection>,
}

// Without it the filters could do on the fake host what they do not do on Envoy.
#[test]
fn every_scenario_comes_out_as_it_must() {
    let Some(vehicle) = Vehicle::start() else {
        return;
    };
    let scenarios = scenarios::all();
    let mut failures = Vec::new();
    let mut runs = BTreeMap::new();
    let mut refused = Vec::new();
    for lane in [Lane::H1, Lane::H2, Lane::Raw] {
        let mut way = vehicle.way(lane);
        let carried = scenarios.iter().filter(|scenario| lane.carries(scenario));
        for (index, scenario) in carried.enumerate() {
            let number = format!("{lane:?}-{index}");
            let wrong = match vehicle.run(scenario, &number, lane, &mut way) {
                Ok(outcome) => scenario.check(&outcome).err(),
                Err(error) => Some(format!("{}: {}\n  {error}", scenario.name, scenario.why)),
            };
            failures.extend(wrong.map(|report| format!("over {lane:?}, {report}")));
            if let Expect::Refused(_) = scenario.expect {
                refused.push((number, scenario.name));
            }
            *runs.entry(scenario.name).or_insert(0) += 1;
        }
    }
    // A request that is refused and sent on all the same may reach the upstream after its answer was read.
    let received = vehicle.upstream.received();
    for (number, name) in refused {
        if received.contains_key(&number) {
            failures.push(format!(
                "{number}, {name}: refused, but it reached the upstream"
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(
        runs.len(),
        scenarios.len(),
        "a scenario that nothing carries"
    );
}

// Without it a key that stands in for a scenario's would be another one, and each scenario with a key would be refused.
#[test]
fn the_scenarios_keys_are_those_that_the_harness_puts_in() {
    assert_eq!(demo_key("partner"), gateway::PARTNER_KEY);
    assert_eq!(demo_key("reader"), gateway::READER_KEY);
}

impl Vehicle {
    fn start() -> Option<Self> {
        let upstream = Upstream::start();
        let vehicle = Self {
            gateway: Gateway::start(&bootstrap(&upstream))?,
            signer: Signer::new(Gateway::issuer()),
            upstream,
        };
        let spending = gateway::spending().on_the_wire(|_| String::new());
        let spent = vehicle.gateway.h2().send(&request(spending));
        assert_eq!(spent.status, 200, "{}", spent.text());
        Some(vehicle)
    }

    fn way(&self, lane: Lane) -> Way {
        let protocol = match lane {
            Lane::H1 | Lane::Raw => Protocol::H1,
            Lane::H2 => Protocol::H2,
        };
        Way {
            client: self.gateway.client(protocol),
            connection: None,
        }
    }

    fn run(
        &self,
        scenario: &Scenario,
        number: &str,
        lane: Lane,
        way: &mut Way,
    ) -> Result<Outcome, ClientError> {
        let mut wire = scenario
            .request
            .on_the_wire(|spec| self.signer.token(spec, now()));
        wire.headers
            .push((NUMBER.to_owned(), number.as_bytes().to_vec()));
        let (status, headers, body) = match lane {
            Lane::H1 | Lane::H2 => {
                let response = way.send(&request(wire))?;
                (response.status, pairs(&response.headers), response.body)
            }
            Lane::Raw => {
                let answer = Answer::parse(&way.client.try_raw(&bytes(&wire), Read::OneAnswer)?.0);
                let headers = answer.headers.into_iter();
                let headers = headers.map(|(name, value)| (name, value.into_bytes()));
                (answer.status, headers.collect(), answer.body.into_bytes())
            }
        };
        Ok(Outcome {
            status,
            headers,
            body,
            upstream: self
                .upstream
                .received()
                .remove(number)
                .map(|received| Seen {
                    path: received.path,
                    headers: received.headers,
                    body: received.body,
                }),
        })
    }
}

impl Upstream {
    fn start() -> Self {
        let received = Arc::new(Mutex::new(BTreeMap::new()));
        let kept = Arc::clone(&received);
        let server = Server::start(move |request: Received| {
            let answer = request.header(ANSWER).map(Bytes::from);
            let is_json = answer.is_some();
            let mut response = Response200::new(Pieces::of(answer, None));
            if is_json {
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert("content-type", json);
            }
            let grpc = request
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("application/grpc"));
            if grpc {
                let headers = response.headers_mut();
                headers.insert("content-type", HeaderValue::from_static("application/grpc"));
                headers.insert("grpc-status", HeaderValue::from_static("0"));
            }
            if let Some(number) = request.header(NUMBER) {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(number, request);
            }
            std::future::ready(response)
        });
        Self { server, received }
    }

    /// Everything that it was sent so far.
    fn received(&self) -> BTreeMap<String, Received> {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

type Response200 = http::Response<Pieces>;

impl Lane {
    /// Whether the scenario can, and is to, go this way.
    fn carries(self, scenario: &Scenario) -> bool {
        match self {
            Lane::H1 => !scenario.raw && !scenario.http2,
            Lane::H2 => !scenario.raw,
            Lane::Raw => scenario.raw && !scenario.http2,
        }
    }
}

impl Way {
    /// Sends over the connection at hand. Only one that has served before may turn out to be closed: the other side may have
    /// ended it with its last answer.
    fn send(&mut self, request: &Request) -> Result<Response, ClientError> {
        if let Some(mut connection) = self.connection.take()
            && let Ok(response) = connection.try_send(request)
        {
            self.connection = Some(connection);
            return Ok(response);
        }
        let connection = self.connection.insert(self.client.connect()?);
        connection.try_send(request)
    }
}

/// `envoy/envoy.yaml` with the scenarios' filters in front of `upstream`, and without what would keep a request from them.
fn bootstrap(upstream: &Upstream) -> Bootstrap {
    let mut bootstrap = Bootstrap::chain();
    bootstrap.set_filter_config("gatehouse.auth", gateway::auth(Gateway::issuer().key_set()));
    bootstrap.set_filter_config("gatehouse.rate_limit", gateway::rate_limit());
    bootstrap.set_filter_config("gatehouse.transform", gateway::transform());
    bootstrap.set_filter_config("gatehouse.routing", gateway::routing());
    let cluster = bootstrap.cluster_mut("users");
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = upstream.server.load_assignment("users");
    // The table is about what our filters do by themselves; with Envoy's bridges they are seen in `grpc`. And about auth's view
    // of a request, which a limit in front of it would refuse by its own.
    for filter in [
        "envoy.filters.http.grpc_web",
        "envoy.filters.http.grpc_json_transcoder",
        "gatehouse.rate_limit_address",
    ] {
        bootstrap.remove_filter(filter);
    }
    let manager = bootstrap.connection_manager_mut();
    manager["normalize_path"] = false.into();
    manager["merge_slashes"] = false.into();
    manager["path_with_escaped_slashes_action"] = "KEEP_UNCHANGED".into();
    manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW".into();
    manager["route_config"] = json!({ "virtual_hosts": [{
        "name": "all",
        "domains": ["*"],
        "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "users" } }],
    }] });
    bootstrap
}

/// The request for a library to send.
fn request(wire: WireRequest) -> Request {
    let mut request = Request::new(wire.method, wire.path).authority(AUTHORITY);
    request.headers = wire.headers;
    request.body = wire.body;
    request
}

/// The request as HTTP/1.1 (RFC 9112).
fn bytes(wire: &WireRequest) -> Vec<u8> {
    let mut bytes = format!(
        "{} {} HTTP/1.1\r\nhost: {AUTHORITY}\r\nconnection: close\r\ncontent-length: {}\r\n",
        wire.method,
        wire.path,
        wire.body.len()
    )
    .into_bytes();
    for (name, value) in &wire.headers {
        bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&wire.body);
    bytes
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}
