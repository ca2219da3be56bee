//! Every algorithm against a model of its own that one thread plays: eight workers at once admit what it admits, never more.
#![allow(clippy::disallowed_methods)] // Several workers are several threads.

use std::collections::BTreeMap;
use std::time::Duration;

use fake_host::{FilterStatus, Host, Vm, VmOptions};
use serde_json::{Value, json};

const WORKERS: usize = 8;
const REQUESTS: u64 = 20;
/// The time of the rate, in milliseconds.
const PER: u64 = 1000;

/// What one client has used up, in the words of a textbook: nothing here knows of slots, states or swaps.
enum Model {
    /// Tokens times [`PER`], less than none where some are owed, and when that was.
    Tokens { level: i64, most: i64, at: u64 },
    /// The window's start and count.
    Fixed { start: u64, count: u64 },
    /// The window's start, the count before and in it.
    Sliding { start: u64, before: u64, count: u64 },
    /// All times, each as often as it counts.
    Log(Vec<u64>),
}

impl Model {
    fn new(algorithm: &str) -> Model {
        match algorithm {
            "token_bucket" => Model::tokens(REQUESTS),
            "leaky_bucket" => Model::tokens(1),
            "fixed_window" => Model::Fixed { start: 0, count: 0 },
            "sliding_window" => Model::Sliding {
                start: 0,
                before: 0,
                count: 0,
            },
            "sliding_log" => Model::Log(Vec::new()),
            other => panic!("{other}"),
        }
    }

    fn tokens(burst: u64) -> Model {
        let most = signed(burst * PER);
        Model::Tokens {
            level: most,
            most,
            at: 0,
        }
    }

    /// Whether one request is admitted at this time, in milliseconds.
    fn admits(&mut self, now: u64) -> bool {
        self.takes(now, 1)
    }

    /// The same for a request that costs so much. One that costs more than there ever is needs all of it.
    fn takes(&mut self, now: u64, cost: u64) -> bool {
        let needed = cost.min(REQUESTS);
        match self {
            Model::Tokens { level, most, at } => {
                *level = (*most).min(*level + signed((now - *at) * REQUESTS));
                *at = now;
                let admits = *level >= (*most).min(signed(cost * PER));
                *level -= if admits { signed(cost * PER) } else { 0 };
                admits
            }
            Model::Fixed { start, count } => {
                if *count == 0 || now >= *start + PER {
                    (*start, *count) = (now, 0);
                }
                let admits = *count + needed <= REQUESTS;
                *count += if admits { cost } else { 0 };
                admits
            }
            Model::Sliding {
                start,
                before,
                count,
            } => {
                while now >= *start + PER && (*before, *count) != (0, 0) {
                    (*start, *before, *count) = (*start + PER, *count, 0);
                }
                if (*before, *count) == (0, 0) {
                    *start = now;
                }
                let reaches = *start + PER - now;
                let admits = *before * reaches + (*count + needed) * PER <= REQUESTS * PER;
                *count += if admits { cost } else { 0 };
                admits
            }
            Model::Log(times) => {
                times.retain(|at| now < at + PER);
                let admits = times.len() + size(needed) <= size(REQUESTS);
                if admits {
                    times.extend(std::iter::repeat_n(now, size(cost)));
                }
                admits
            }
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn start(host: &Host, config: &Value) -> Vm {
    let options = VmOptions::new("rate-limit", gatehouse_rate_limit::register);
    host.start(options.config(config.to_string())).unwrap()
}

fn admitted(vm: &Vm, tenant: &str) -> bool {
    admitted_at(vm, tenant, 1)
}

/// A request whose header says this cost.
fn admitted_at(vm: &Vm, tenant: &str, cost: u64) -> bool {
    let cost = cost.to_string();
    let head = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.test"),
        (":path", "/"),
        ("x-tenant", tenant),
        ("x-cost", cost.as_str()),
    ];
    let mut stream = vm.request(head);
    stream.request_headers(true) == FilterStatus::Continue
}

/// The steps of the clock: none, less than a token's time, about one, part of a window, more than one, more than two.
const STEPS: [u64; 16] = [
    0, 13, 50, 0, 51, 49, 333, 7, 0, 999, 1, 500, 1001, 260, 2500, 40,
];

/// No request more than the model's, and none less: eight workers race for each, while the clock stands between its steps.
#[test]
fn eight_workers_admit_what_a_sequential_model_admits() {
    for algorithm in [
        "token_bucket",
        "fixed_window",
        "sliding_window",
        "sliding_log",
        "leaky_bucket",
    ] {
        let host = Host::new();
        let config = json!({ "version": 1, "table": { "slots": 3 }, "limits": [
            { "name": "tenant", "key": { "header": "x-tenant" }, "algorithm": algorithm,
              "rate": { "requests": REQUESTS, "per": format!("{PER}ms") } },
        ] });
        let workers: Vec<Vm> = (0..WORKERS).map(|_| start(&host, &config)).collect();
        let tenants = ["a", "b", "c"];
        let mut models: BTreeMap<&str, Model> = tenants
            .into_iter()
            .map(|tenant| (tenant, Model::new(algorithm)))
            .collect();
        let mut now = 0;
        for (round, step) in STEPS.into_iter().cycle().take(48).enumerate() {
            host.clock().advance(Duration::from_millis(step));
            now += step;
            // A client that comes seldom, one that comes in some rounds, and one that never stops.
            let asked: Vec<&str> = tenants
                .into_iter()
                .enumerate()
                .filter(|(index, _)| round % (index * 2 + 1) == 0)
                .map(|(_, tenant)| tenant)
                .collect();
            const EACH: usize = 4;
            let counts = std::thread::scope(|scope| {
                let asked = &asked;
                let threads: Vec<_> = workers
                    .iter()
                    .map(|vm| {
                        scope.spawn(move || {
                            let mut counts = BTreeMap::<&str, usize>::new();
                            for tenant in asked {
                                let taken = (0..EACH).filter(|_| admitted(vm, tenant)).count();
                                *counts.entry(tenant).or_default() += taken;
                            }
                            counts
                        })
                    })
                    .collect();
                let mut all = BTreeMap::<&str, usize>::new();
                for thread in threads {
                    for (tenant, count) in thread.join().unwrap() {
                        *all.entry(tenant).or_default() += count;
                    }
                }
                all
            });
            for tenant in asked {
                let model = models.get_mut(tenant).unwrap();
                let modelled = (0..EACH * WORKERS).filter(|_| model.admits(now)).count();
                assert_eq!(
                    counts[tenant], modelled,
                    "{algorithm}: {tenant} in round {round} at {now} ms"
                );
            }
        }
        let counter = |name: &str| host.counter(&format!("gatehouse.rate_limit.{name}"));
        for name in ["contended", "overflow", "unknown_form", "internal"] {
            assert_eq!(counter(name), 0, "{algorithm}: {name}");
        }
    }
}

/// A dear request that takes less than it costs is as many requests as the client likes: for each algorithm, with costs that are the same
/// for all requests, and with costs that they tell, some of them more than there ever is.
#[test]
fn costs_are_taken_whole() {
    let fixed = |algorithm: &str| match algorithm {
        // One at a time, whatever it costs.
        "leaky_bucket" => vec![1, 2, 5, 30],
        _ => vec![1, 3, 7, REQUESTS],
    };
    for algorithm in [
        "token_bucket",
        "leaky_bucket",
        "fixed_window",
        "sliding_window",
        "sliding_log",
    ] {
        let numbers = fixed(algorithm)
            .into_iter()
            .map(|cost| (json!(cost), vec![cost]));
        let told = (
            json!({ "header": "x-cost", "max": 50 }),
            vec![1, 4, 50, 2, 25, 9, 20],
        );
        for (config, costs) in numbers.chain([told]) {
            let host = Host::new();
            let vm = start(
                &host,
                &json!({ "version": 1, "limits": [
                    { "name": "tenant", "key": { "header": "x-tenant" }, "algorithm": algorithm, "cost": config,
                      "rate": { "requests": REQUESTS, "per": format!("{PER}ms") } },
                ] }),
            );
            let mut model = Model::new(algorithm);
            let (mut now, mut taken) = (0, 0);
            const EACH: usize = 24;
            let mut costs = costs.iter().cycle();
            for step in STEPS {
                host.clock().advance(Duration::from_millis(step));
                now += step;
                for cost in costs.by_ref().take(EACH) {
                    let admits = model.takes(now, *cost);
                    taken += usize::from(admits);
                    assert_eq!(
                        admitted_at(&vm, "a", *cost),
                        admits,
                        "{algorithm}, cost {config}: {cost} at {now} ms"
                    );
                }
            }
            assert!(
                (1..STEPS.len() * EACH).contains(&taken),
                "{algorithm} {config}: {taken}"
            );
        }
    }
}

/// As many clients as the table has room for, spread by a hash: each has what a table without bounds would give it, unless its slot
/// is overfull; and there those who came first still have, and those who came late share what one of them would have.
#[test]
fn a_table_gives_what_one_without_bounds_would_until_a_slot_is_overfull() {
    const SLOTS: usize = 64;
    let host = Host::new();
    let config = json!({ "version": 1, "table": { "slots": SLOTS }, "limits": [
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 3 },
    ] });
    let vm = start(&host, &config);
    let overflow = || host.counter("gatehouse.rate_limit.overflow");
    let (mut exact, mut fewer) = (0, 0);
    // An eighth of the places, half of them, all of them twice over.
    for (clients, most_fewer) in [(SLOTS, 0), (SLOTS * 4, 8), (SLOTS * 16, SLOTS * 9)] {
        for client in exact + fewer..clients {
            let tenant = format!("client-{client}");
            let before = overflow();
            let count = (0..5).filter(|_| admitted(&vm, &tenant)).count();
            assert!(count <= 3, "{tenant}: {count}");
            match overflow() == before {
                true => assert_eq!(count, 3, "{tenant} has a place of its own"),
                false => fewer += usize::from(count < 3),
            }
            exact += usize::from(overflow() == before || count == 3);
        }
        assert!(
            fewer <= most_fewer,
            "of {clients} clients {fewer} had less than their own"
        );
    }
    // Nobody has got a fresh one: all who had a place are known, and have nothing left.
    for client in 0..SLOTS * 16 {
        let tenant = format!("client-{client}");
        assert!(!admitted(&vm, &tenant), "{tenant}");
    }
}

/// The same requests at the same times as three other limiters, and the verdicts that their documents give.
///
/// - nginx `limit_req rate=10r/s burst=20 nodelay`: the first and 20 more at once, then one each 100 ms;
///   <https://nginx.org/en/docs/http/ngx_http_limit_req_module.html>
/// - Envoy `local_ratelimit` `max_tokens: 10, tokens_per_fill: 10, fill_interval: 1s`: 10 at once, and 10 a second: ours come one by
///   one where Envoy's come all at its fill, so the table asks where both agree; its documentation of `token_bucket`
/// - Kong `rate-limiting` `second: 5, hour: 8`: 5 in a second, 8 in an hour, the window of ours beginning with the first request;
///   <https://developer.konghq.com/plugins/rate-limiting/>
#[test]
fn three_other_limiters_give_the_same_verdicts() {
    // Milliseconds, how many requests then, how many of them are admitted.
    type Table = &'static [(u64, usize, usize)];
    let tables: [(&str, Value, Table); 3] = [
        (
            "nginx",
            json!({ "rate": "10/s", "burst": 21 }),
            &[
                (0, 30, 21),
                (99, 1, 0),
                (100, 2, 1),
                (200, 1, 1),
                (450, 5, 2),
                (1200, 10, 8),
                (10_000, 40, 21),
            ],
        ),
        (
            "Envoy",
            json!({ "rate": "10/s", "burst": 10 }),
            &[(0, 15, 10), (1000, 15, 10), (2000, 4, 4), (3000, 15, 10)],
        ),
        (
            "Kong",
            json!({ "algorithm": "fixed_window", "rates": ["5/s", "8/h"] }),
            &[
                (0, 7, 5),
                (500, 1, 0),
                (1000, 7, 3),
                (2000, 1, 0),
                (3_599_999, 1, 0),
                (3_600_000, 7, 5),
            ],
        ),
    ];
    for (name, rates, table) in tables {
        let host = Host::new();
        let mut limit = json!({ "name": "tenant", "key": { "header": "x-tenant" } });
        let limit_fields = limit.as_object_mut().unwrap();
        limit_fields.extend(rates.as_object().unwrap().clone());
        let vm = start(&host, &json!({ "version": 1, "limits": [limit] }));
        let mut now = 0;
        for (at, requests, expected) in table {
            host.clock().advance(Duration::from_millis(at - now));
            now = *at;
            let count = (0..*requests).filter(|_| admitted(&vm, "a")).count();
            assert_eq!(count, *expected, "{name} at {at} ms");
        }
    }
}
