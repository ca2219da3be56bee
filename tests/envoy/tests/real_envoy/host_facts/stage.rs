//! An Envoy with the probes, as the head of `probe_filter::facts` asks for.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use envoy_harness::{Bootstrap, Gateway, Options, Protocol};
use http::{HeaderValue, Response};
use probe_filter::facts::{self, Body, Chain, Client, Exchange, PICKED, PLAIN, STATE};
use probe_filter::observation::Observation;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::client::{Connection, pieces};
use crate::server::{Pieces, Received, Server};

/// The response header that names the route.
const ROUTE: &str = "x-route";

/// How many callouts are under way.
const CALLOUTS: &str = "cluster.callee.upstream_rq_active";

/// How many requests are under way.
const REQUESTS: &str = "http.probe.downstream_rq_active";

/// A request that asks the probes for nothing.
pub(super) const NOTHING: Exchange = Exchange {
    request: &[],
    body: Body::None,
    response: Body::None,
    client: Client::Stays,
    worker: 0,
    expect: facts::Expect {
        status: 200,
        headers: &[],
        body: None,
        upstream_headers: &[],
        upstream_body: None,
        route: None,
    },
};

/// A request that asks a VM which one it is.
const WHO: Exchange = Exchange {
    request: &[("x-probe-first", "request-headers: vm vm")],
    ..NOTHING
};

/// Connections that are opened until one is the wanted worker's. The kernel deals them out by chance: of so many none is
/// another worker's once in 2^99.
const CONNECTIONS: usize = 100;

/// Envoy, its upstream and its callee.
pub(super) struct Stage {
    protocol: Protocol,
    address: SocketAddr,
    /// Who answers on each worker; empty if there is one.
    workers: Vec<String>,
    // Envoy goes before what it talks to.
    gateway: Gateway,
    upstream: Upstream,
    callee: Callee,
}

/// Answers as it is told, and remembers what it was sent last.
struct Upstream {
    server: Server,
    state: Arc<Mutex<UpstreamState>>,
}

struct UpstreamState {
    answer: Body,
    received: Option<Received>,
}

/// Answers callouts with 200, once its gate is open.
struct Callee {
    server: Server,
    open: watch::Sender<bool>,
}

impl Stage {
    /// Starts one. None if there is no Envoy or no module, which has been said then.
    pub(super) fn start(chain: Chain, protocol: Protocol) -> Option<Self> {
        let (upstream, callee) = (Upstream::start(), Callee::start());
        let options = Options {
            concurrency: if chain == Chain::Workers { 2 } else { 1 },
            ..Options::default()
        };
        let gateway = Gateway::start_with(&bootstrap(chain, &upstream, &callee), &options)?;
        let mut stage = Self {
            protocol,
            address: gateway.envoy().address(),
            workers: Vec::new(),
            gateway,
            upstream,
            callee,
        };
        if chain == Chain::Workers {
            stage.workers = stage.find_workers();
        }
        Some(stage)
    }

    /// A trap is part of what is tried.
    pub(super) fn expect_vm_loss(&self) {
        self.gateway.expect_vm_loss();
    }

    /// Makes an exchange and says what is not as expected.
    pub(super) fn take_part(&self, exchange: &Exchange) -> Vec<String> {
        if exchange.client == Client::WaitsForReload {
            self.gateway.envoy().wait_until("the filter's new VM", |_| {
                self.observe(&NOTHING).is_ok_and(|seen| seen.status == 200)
            });
        }
        if exchange.client == Client::Leaves {
            return self.leave(exchange);
        }
        match self.observe(exchange) {
            Ok(seen) => seen.differences(&exchange.expect),
            Err(error) => vec![error],
        }
    }

    fn observe(&self, exchange: &Exchange) -> Result<Observation, String> {
        self.upstream.will_answer(exchange.response);
        let answer = self.connect(exchange.worker)?.send(exchange)?;
        let received = self.upstream.received();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let route = answer.headers.iter().find(|(name, _)| name == ROUTE);
        Ok(Observation {
            status: answer.status,
            route: route.map(|(_, name)| name.clone()).unwrap_or_default(),
            headers: answer.headers,
            body: answer.body,
            upstream_body: received
                .as_ref()
                .map(|received| text(&received.body))
                .unwrap_or_default(),
            upstream_headers: received
                .into_iter()
                .flat_map(|received| received.headers)
                .map(|(name, value)| (name, text(&value)))
                .collect(),
        })
    }

    /// Opens a connection that is that worker's.
    fn connect(&self, worker: usize) -> Result<Connection, String> {
        let Some(wanted) = self.workers.get(worker) else {
            return Connection::open(self.address, self.protocol);
        };
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(self.address, self.protocol)?;
            if who(&mut connection)? == *wanted {
                return Ok(connection);
            }
        }
        Err(format!("no connection got to worker {worker}"))
    }

    /// The VMs of the two workers.
    fn find_workers(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for _ in 0..CONNECTIONS {
            let connection = Connection::open(self.address, self.protocol);
            found.extend(connection.and_then(|mut connection| who(&mut connection)));
            if found.len() == 2 {
                return found.into_iter().collect();
            }
        }
        panic!("not two VMs answer, but {found:?}");
    }

    /// Sends a request that waits for the callee, goes away, and lets the callee answer then.
    fn leave(&self, exchange: &Exchange) -> Vec<String> {
        let envoy = self.gateway.envoy();
        let sent_on = || envoy.counter("cluster.upstream.upstream_rq_total");
        let before = sent_on();
        self.callee.open.send_replace(false);
        let pending = match self.connect(exchange.worker) {
            Ok(connection) => connection.start(exchange),
            Err(error) => return vec![error],
        };
        envoy.wait_until("the callout", |envoy| envoy.counter(CALLOUTS) == 1);
        pending.leave();
        envoy.wait_until("the end of the request", |envoy| {
            envoy.counter(REQUESTS) == 0
        });
        self.callee.open.send_replace(true);
        envoy.wait_until("the end of the callout", |envoy| {
            envoy.counter(CALLOUTS) == 0
        });
        match sent_on() == before {
            true => Vec::new(),
            false => vec!["not paused when its client left".to_owned()],
        }
    }
}

/// The VM that answers on a connection.
fn who(connection: &mut Connection) -> Result<String, String> {
    let answer = connection.send(&WHO)?;
    let vm = answer
        .headers
        .into_iter()
        .find(|(name, _)| name == "x-probe-vm");
    Ok(vm.ok_or("the filter does not say which VM it is in")?.1)
}

impl Upstream {
    fn start() -> Self {
        let state = Arc::new(Mutex::new(UpstreamState {
            answer: Body::None,
            received: None,
        }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |received| {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.received = Some(received);
            let mut response = Response::new(pieces(state.answer));
            if matches!(state.answer, Body::Trailers(_)) {
                let name = HeaderValue::from_static("x-trailer");
                response.headers_mut().insert("trailer", name);
            }
            std::future::ready(response)
        });
        Self { server, state }
    }

    /// From now on it answers with that body, and forgets what it was sent.
    fn will_answer(&self, answer: Body) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = UpstreamState {
            answer,
            received: None,
        };
    }

    fn received(&self) -> Option<Received> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .received
            .take()
    }
}

impl Callee {
    fn start() -> Self {
        let (open, gate) = watch::channel(true);
        let server = Server::start(move |_| {
            let mut gate = gate.clone();
            async move {
                // The gate's other side goes when the test has ended.
                let _ = gate.wait_for(|open| *open).await;
                Response::new(Pieces::default())
            }
        });
        Self { server, open }
    }
}

fn bootstrap(chain: Chain, upstream: &Upstream, callee: &Callee) -> Bootstrap {
    let route = |name: &str, wanted: Value| {
        let mut wanted = wanted;
        wanted["prefix"] = "/".into();
        json!({
            "name": name,
            "match": wanted,
            "route": { "cluster": "upstream" },
            "response_headers_to_add": [{ "header": { "key": ROUTE, "value": name } }],
        })
    };
    let picked = json!({ "headers": [{ "name": "x-pick", "string_match": { "exact": "yes" } }] });
    let state =
        json!({ "filter_state": [{ "key": "envoy.string", "string_match": { "exact": "pick" } }] });
    let trailers = json!({ "enable_trailers": true });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "probe",
        "http_protocol_options": trailers,
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [route(PICKED, picked), route(STATE, state), route(PLAIN, json!({}))],
        }] },
        "http_filters": [filter("router", "router.v3.Router")],
    });
    let mut bootstrap = Bootstrap::from_value(json!({ "static_resources": {
        "listeners": [{
            "name": "probe",
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }] }],
        }],
        "clusters": [
            {
                "name": "upstream",
                "type": "STATIC",
                "load_assignment": upstream.server.load_assignment("upstream"),
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "use_downstream_protocol_config": {
                            "http_protocol_options": trailers,
                            "http2_protocol_options": {},
                        },
                    },
                },
            },
            { "name": "callee", "type": "STATIC", "load_assignment": callee.server.load_assignment("callee") },
        ],
    } }));
    let probes: &[&str] = match chain {
        Chain::One | Chain::Workers => &["first"],
        Chain::Three => &["first", "second", "third"],
    };
    for (index, probe) in probes.iter().enumerate() {
        bootstrap.insert_wasm_filter(index, probe, "probe_filter", &format!("x-probe-{probe}"));
    }
    if chain == Chain::Three {
        // It asks for its own configuration on the route, and so looks the route up.
        bootstrap
            .http_filters_mut()
            .insert(2, filter("cors", "cors.v3.Cors"));
    }
    bootstrap
}

fn filter(name: &str, kind: &str) -> Value {
    json!({
        "name": format!("envoy.filters.http.{name}"),
        "typed_config": { "@type": format!("type.googleapis.com/envoy.extensions.filters.http.{kind}") },
    })
}
