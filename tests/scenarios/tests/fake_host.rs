//! The scenarios on the fake host: the real adapters, natively.

use std::sync::LazyLock;
use std::time::Duration;

use fake_host::{Chain, Headers, Host, VmOptions};
use scenarios::{ANSWER, Outcome, Request, Scenario, Seen, Signer, gateway};
use upstreams::{DEFAULT_ISSUER, Issuer};

/// Any time will do: the clock is ours.
const NOW: i64 = 1_900_000_000;

/// The issuer of all vehicles: its keys take a second to make.
static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::generate(DEFAULT_ISSUER));

/// The gateway on the fake host, and the keys to sign with.
struct Vehicle {
    signer: Signer<'static>,
    chain: Chain,
    _host: Host,
}

/// The configurations of the filters behind auth.
struct Configs {
    rate_limit: serde_json::Value,
    transform: serde_json::Value,
    routing: serde_json::Value,
}

impl Configs {
    fn new() -> Self {
        Self {
            rate_limit: gateway::rate_limit(),
            transform: gateway::transform(),
            routing: gateway::routing(),
        }
    }
}

impl Vehicle {
    fn new() -> Self {
        Vehicle::with(Configs::new(), true)
    }

    fn with(configs: Configs, auth: bool) -> Self {
        let host = Host::new();
        let since_epoch = Duration::from_secs(NOW.unsigned_abs());
        host.clock().set_realtime(since_epoch);
        let start = |name, register: fn(), config: serde_json::Value| {
            let options = VmOptions::new(name, register).config(config.to_string());
            host.start(options)
                .unwrap_or_else(|refused| panic!("{name}: {refused}"))
        };
        let mut chain = Chain::new();
        if auth {
            let config = gateway::auth(ISSUER.key_set());
            chain = chain.filter(&start("auth", gatehouse_auth::register, config));
        }
        let chain = chain
            .filter(&start(
                "rate-limit",
                gatehouse_rate_limit::register,
                configs.rate_limit,
            ))
            .filter(&start(
                "transform",
                gatehouse_transform::register,
                configs.transform,
            ))
            .filter(&start(
                "routing",
                gatehouse_routing::register,
                configs.routing,
            ));
        let vehicle = Vehicle {
            signer: Signer::new(&ISSUER),
            chain,
            _host: host,
        };
        vehicle.send(&gateway::spending());
        vehicle
    }

    /// What does not come out as it must.
    fn failures(&self) -> Vec<String> {
        scenarios::all()
            .iter()
            .filter_map(|scenario| scenario.check(&self.run(scenario)).err())
            .collect()
    }

    fn run(&self, scenario: &Scenario) -> Outcome {
        self.send(&scenario.request)
    }

    fn send(&self, request: &Request) -> Outcome {
        let request = request.on_the_wire(|spec| self.signer.token(spec, NOW));
        let pseudo = [
            (":method", request.method),
            (":scheme", "https"),
            (":authority", "api.gatehouse.test"),
            (":path", &request.path),
        ]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let mut stream = self
            .chain
            .request(pseudo.into_iter().chain(request.headers));
        stream.request_headers(request.body.is_empty());
        if !request.body.is_empty() {
            stream.request_body(&request.body, true);
        }
        let upstream = stream.upstream();
        let upstream = upstream.started.then(|| {
            match upstream.headers.get(ANSWER) {
                Some(answer) => {
                    let json = [(":status", "200"), ("content-type", "application/json")];
                    stream.response_headers(json, false);
                    stream.response_body(answer, true);
                }
                None => drop(stream.response_headers([(":status", "200")], true)),
            }
            Seen {
                path: upstream
                    .headers
                    .text(":path")
                    .unwrap_or_default()
                    .to_owned(),
                headers: pairs(&upstream.headers),
                body: upstream.body.clone(),
            }
        });
        let client = stream.client();
        let outcome = Outcome {
            status: client.status().unwrap_or_default(),
            headers: pairs(&client.headers),
            body: client.body.clone(),
            upstream,
        };
        stream.close();
        outcome
    }
}

fn pairs(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_vec()))
        .collect()
}

#[test]
fn every_scenario_comes_out_as_it_must() {
    let failures = Vehicle::new().failures();
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

// Whatever was sent before, the filters of this worker still serve.
#[test]
fn the_order_of_scenarios_does_not_matter() {
    let vehicle = Vehicle::new();
    for scenario in scenarios::all().iter().rev() {
        vehicle.run(scenario);
    }
    let failures = vehicle.failures();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

// A table that a gateway without its filters passes proves nothing.
#[test]
fn the_table_notices_a_missing_filter() {
    let without_auth = Vehicle::with(Configs::new(), false).failures();
    assert!(without_auth.len() > 80, "{}", without_auth.len());
    let mut without = Configs::new();
    without.routing = serde_json::json!({ "version": 1, "mode": "off" });
    let without_routing = Vehicle::with(without, true).failures();
    assert!(without_routing.len() > 20, "{}", without_routing.len());
    let mut without = Configs::new();
    without.rate_limit["mode"] = "off".into();
    let without_limits = Vehicle::with(without, true).failures();
    assert!(without_limits.len() > 10, "{}", without_limits.len());
    let mut without = Configs::new();
    for rule in without.transform["rules"].as_array_mut().unwrap() {
        rule["mode"] = "off".into();
    }
    let without_transform = Vehicle::with(without, true).failures();
    assert!(without_transform.len() > 15, "{}", without_transform.len());
}
