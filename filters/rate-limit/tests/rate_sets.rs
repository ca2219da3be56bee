//! One limit with rates of its own, of plans and of routes: each of them counts as if it were alone.

use std::time::Duration;

use fake_host::{FilterStatus, Host, Vm, VmOptions};
use identity::{CredentialKind, Identity};
use serde_json::{Value, json};

const ALGORITHMS: [&str; 5] = [
    "token_bucket",
    "leaky_bucket",
    "fixed_window",
    "sliding_window",
    "sliding_log",
];

/// Where a route says which rate is for it.
const OVERRIDE: [&str; 5] = [
    "xds",
    "route_metadata",
    "filter_metadata",
    "gatehouse.rate_limit",
    "api",
];

/// How a request comes to its rate.
struct Way {
    plan: Option<&'static str>,
    route: Option<&'static str>,
    /// Its place in [`RATES`].
    rate: usize,
}

/// The limit's own, a plan's, a slower and a larger one of routes.
const RATES: [&str; 4] = ["10/s", "20/m", "5/h", "200/m"];

const WAYS: [Way; 6] = [
    way(None, None, 0),
    // A plan that the limit does not have.
    way(Some("silver"), None, 0),
    way(Some("gold"), None, 1),
    way(None, Some("5/h"), 2),
    // The route's rate is for all plans alike.
    way(Some("gold"), Some("5/h"), 2),
    way(None, Some("200/m"), 3),
];

const fn way(plan: Option<&'static str>, route: Option<&'static str>, rate: usize) -> Way {
    Way { plan, route, rate }
}

/// Milliseconds between two requests.
const GAPS: [u64; 16] = [
    0, 0, 0, 1, 0, 100, 0, 0, 999, 0, 3000, 0, 0, 50, 60_000, 400_000,
];

fn limit(algorithm: &str, more: &Value) -> Value {
    let mut limit =
        json!({ "name": "api", "key": { "header": "x-tenant" }, "algorithm": algorithm });
    let fields = limit.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    json!({ "version": 1, "limits": [limit] })
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut both = one.clone();
    let fields = both.as_object_mut().unwrap();
    fields.extend(other.as_object().unwrap().clone());
    both
}

fn start(host: &Host, config: &Value) -> Vm {
    let options = VmOptions::new("rate-limit", gatehouse_rate_limit::register);
    host.start(options.config(config.to_string())).unwrap()
}

/// Whether a request is admitted, and what is told with it.
fn ask(vm: &Vm, way: &Way) -> (bool, Option<String>, Option<String>) {
    let caller = Identity {
        kind: CredentialKind::ApiKey,
        credential_id: "k".to_owned(),
        plan: way.plan.map(str::to_owned),
        ..Identity::anonymous()
    };
    let head = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.test"),
        (":path", "/"),
        ("x-tenant", "a"),
    ];
    let mut stream = vm
        .request(head)
        .with_filter_state("gatehouse.identity", caller.encode());
    if let Some(rate) = way.route {
        stream = stream.with_property(&OVERRIDE, rate);
    }
    let headers = match stream.request_headers(true) {
        FilterStatus::Continue => {
            stream.response_headers([(":status", "200"), ("x-units", "3")], true);
            stream.client().headers
        }
        FilterStatus::Replied(reply) => reply.headers,
        other => panic!("{other:?}"),
    };
    let text = |name: &str| headers.text(name).map(str::to_owned);
    let admitted = text("retry-after").is_none();
    (admitted, text("ratelimit"), text("retry-after"))
}

/// A caller that goes from route to route, or from plan to plan, would be rid of the slower rate, or kept out of the faster one for as
/// long as the slower takes.
#[test]
fn alternating_rates_count_as_if_each_were_alone() {
    let extras = [
        json!({}),
        json!({ "penalty": 2 }),
        json!({ "actual_cost": { "header": "x-units", "max": 5 } }),
    ];
    for algorithm in ALGORITHMS {
        for extra in &extras {
            let host = Host::new();
            let rates = json!({ "rate": RATES[0], "plans": { "rates": { "gold": RATES[1] } },
                                "route_override": true });
            let together = start(&host, &limit(algorithm, &merged(extra, &rates)));
            let alone = RATES.map(|rate| {
                let host = Host::new();
                let vm = start(
                    &host,
                    &limit(algorithm, &merged(extra, &json!({ "rate": rate }))),
                );
                (host, vm)
            });
            let (mut random, mut refused) = (7_u64, [0; RATES.len()]);
            for step in 0..192 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(99);
                let way = &WAYS[usize::try_from(random >> 33).unwrap() % WAYS.len()];
                let gap = Duration::from_millis(GAPS[step % GAPS.len()]);
                host.clock().advance(gap);
                for (host, _) in &alone {
                    host.clock().advance(gap);
                }
                let plain = way_of(way.rate);
                let (got, expected) = (ask(&together, way), ask(&alone[way.rate].1, &plain));
                assert_eq!(
                    got, expected,
                    "{algorithm} {extra}: step {step}, plan {:?}, route {:?}",
                    way.plan, way.route
                );
                refused[way.rate] += usize::from(!got.0);
            }
            assert_eq!(together.counter("gatehouse.rate_limit.overflow"), 0);
            assert!(
                refused[2] > 0,
                "{algorithm} {extra}: the slow rate never refused: {refused:?}"
            );
        }
    }
}

/// The plain request of a limit that has this rate alone.
fn way_of(rate: usize) -> Way {
    way(None, None, rate)
}

/// An operator who changes a rate must not give everybody a fresh state by it.
#[test]
fn a_changed_rate_of_a_limit_or_a_plan_goes_on_from_the_old_state() {
    let config = |own: &str, gold: &str| {
        limit(
            "fixed_window",
            &json!({ "rate": own, "plans": { "rates": { "gold": gold } } }),
        )
    };
    let host = Host::new();
    let vm = start(&host, &config("5/h", "7/h"));
    let count = |way: &Way| (0..20).filter(|_| ask(&vm, way).0).count();
    assert_eq!((count(&WAYS[0]), count(&WAYS[2])), (5, 7));
    vm.reconfigure(config("6/h", "9/h").to_string()).unwrap();
    assert_eq!((count(&WAYS[0]), count(&WAYS[2])), (1, 2));
}

/// An operator who makes a limit faster lets those in who had used up the old one, and is told the truth; and a flood of refusals writes
/// no more than one of them.
#[test]
fn a_limit_that_is_made_faster_lets_in_who_had_used_it_up() {
    for algorithm in ALGORITHMS {
        let config = |rate: &str| limit(algorithm, &json!({ "rate": rate }));
        let host = Host::new();
        let vm = start(&host, &config("100/d"));
        let count = |requests: usize| (0..requests).filter(|_| ask(&vm, &WAYS[0]).0).count();
        count(200);
        vm.reconfigure(config("10/s").to_string()).unwrap();
        count(20);
        vm.forget();
        assert_eq!(count(20), 0, "{algorithm}");
        let writes = |call: &fake_host::HostCall| call.function.contains("set_shared_data");
        assert!(!vm.host_calls().iter().any(writes), "{algorithm}");
        host.clock().advance(Duration::from_secs(2));
        let expected = if algorithm == "leaky_bucket" { 1 } else { 10 };
        assert_eq!(count(20), expected, "{algorithm}");
    }
}
