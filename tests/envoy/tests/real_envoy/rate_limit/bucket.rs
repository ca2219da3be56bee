//! The bucket on two workers that really run at the same time: never more than it may admit, and hardly less than it could.

use std::time::{Duration, Instant};

use envoy_harness::{Bootstrap, Client, Gateway, Request, Statuses};
use serde_json::{Value, json};

use super::{answered_by_envoy, counter, with_limits};

const CLIENTS: usize = 8;

/// What eight clients at once were answered.
#[derive(Debug, Default)]
struct Tally {
    admitted: u64,
    refused: u64,
}

/// One client on one connection.
fn hammer(client: &Client, requests: usize) -> Tally {
    let mut connection = client.connect().expect("a connection");
    let request = Request::get("/users/1").header("x-tenant", "acme");
    let mut tally = Tally::default();
    for _ in 0..requests {
        match connection.send(&request).status {
            200 => tally.admitted += 1,
            429 => tally.refused += 1,
            other => panic!("status {other}"),
        }
    }
    tally
}

/// Eight clients at once, half of them HTTP/2, each so many requests; how long it took from before the first to after the
/// last.
fn hammered(gateway: &Gateway, requests: usize) -> (Tally, Duration) {
    let start = Instant::now();
    let total = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let client = match index % 2 {
                    0 => gateway.h1(),
                    _ => gateway.h2(),
                };
                scope.spawn(move || hammer(&client, requests))
            })
            .collect();
        threads.into_iter().fold(Tally::default(), |sum, thread| {
            let tally = thread.join().expect("a client ended");
            Tally {
                admitted: sum.admitted + tally.admitted,
                refused: sum.refused + tally.refused,
            }
        })
    });
    (total, start.elapsed())
}

/// A token bucket as in the books, in whole numbers: a token is `per` units, `requests` units come in a nanosecond.
pub(super) struct Model {
    requests: u128,
    per: u128,
    most: u128,
    level: u128,
    at: u128,
}

impl Model {
    pub(super) fn new(requests: u128, per: Duration, burst: u128) -> Self {
        let most = burst * per.as_nanos();
        Self {
            requests,
            per: per.as_nanos(),
            most,
            level: most,
            at: 0,
        }
    }

    pub(super) fn admits(&mut self, at: u128) -> bool {
        self.level = self.most.min(self.level + (at - self.at) * self.requests);
        self.at = at;
        let admits = self.level >= self.per;
        if admits {
            self.level -= self.per;
        }
        admits
    }
}

/// When the requests in the access log began, in nanoseconds, in order.
fn times(log: &[Value]) -> Vec<u128> {
    let mut times: Vec<u128> = log
        .iter()
        .map(|line| {
            let (seconds, nanoseconds) = line["at"].as_str().unwrap().split_once('.').unwrap();
            assert_eq!(nanoseconds.len(), 9, "{line}");
            seconds.parse::<u128>().unwrap() * 1_000_000_000 + nanoseconds.parse::<u128>().unwrap()
        })
        .collect();
    times.sort_unstable();
    times
}

/// Both sides of the promise. Above there is no slack: whatever the workers do at the same time, no more than a burst and what
/// has come from before the first request until after the last answer. Below it is a plain token bucket that is asked at the times
/// at which Envoy says that the requests began.
///
/// Half a percent of slack below: Envoy takes that time when it starts to read a request, on the other clock; the filter looks at
/// the clock some ten microseconds later, or some ten milliseconds where the machine lets the worker wait in between. Only what
/// that moves past the first or the last request can be missing, since the clients ask far faster than tokens come and a token
/// that one request is too early for is there for the next.
#[test]
fn row_22_eight_clients_on_one_key_get_what_one_bucket_has_and_never_more() {
    const RATE: u128 = 250;
    const BURST: u128 = 100;
    let mut bootstrap = with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "burst": BURST,
          "rate": { "requests": RATE, "per": "1s" } },
    ]));
    answered_by_envoy(&mut bootstrap);
    log_times(&mut bootstrap);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    const REQUESTS: usize = 50_000;
    let (tally, elapsed) = hammered(&gateway, REQUESTS / CLIENTS);
    let most = BURST + elapsed.as_nanos() * RATE / 1_000_000_000;
    let admitted = u128::from(tally.admitted);
    assert!(admitted <= most, "{tally:?} in {elapsed:?}: at most {most}");
    assert!(
        tally.refused > tally.admitted,
        "the clients are too slow to show anything: {tally:?} in {elapsed:?}"
    );

    let envoy = gateway.envoy();
    envoy.wait_until("every request is in the access log", |envoy| {
        envoy.access_log().len() >= REQUESTS
    });
    let mut model = Model::new(RATE, Duration::from_secs(1), BURST);
    let times = times(&envoy.access_log());
    let modelled = times.iter().filter(|at| model.admits(**at)).count() as u128;
    eprintln!(
        "{admitted} admitted, {} refused in {elapsed:?}; a model admits {modelled}, at most {most} may be",
        tally.refused
    );
    assert!(
        admitted * 1000 >= modelled * 995,
        "{admitted} admitted, where a model admits {modelled}"
    );

    assert_eq!(counter(&gateway, "admitted"), tally.admitted);
    assert_eq!(counter(&gateway, "limited"), tally.refused);
    for name in ["contended", "overflow", "unknown_form", "internal"] {
        assert_eq!(counter(&gateway, name), 0, "{name}");
    }
}

/// An access log with nothing but when each request began.
fn log_times(bootstrap: &mut Bootstrap) {
    bootstrap.connection_manager_mut()["access_log"] = json!([{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "json_format": { "at": "%START_TIME(%s.%9f)%" } },
        },
    }]);
}

/// Writes to one slot from both workers at the same time, all the time: every request of every client is admitted, and no write
/// is given up. What is counted in the end is what was taken.
#[test]
fn row_22_a_storm_of_writes_to_one_slot_loses_none() {
    const BURST: u64 = 1_000_000;
    let mut bootstrap = with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "burst": BURST,
          "rate": { "requests": BURST, "per": "24h" } },
    ]));
    answered_by_envoy(&mut bootstrap);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    const EACH: usize = 5_000;
    let gateway = &gateway;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let tenants = std::iter::repeat_n("acme".to_owned(), EACH);
                let statuses = gateway.h2().flood("x-tenant", tenants);
                assert_eq!(statuses, Statuses::from([(200, EACH as u64)]));
            });
        }
    });
    let answer = gateway
        .h1()
        .send(&Request::get("/users/1").header("x-tenant", "acme"));
    let said = answer.header("ratelimit").unwrap_or_default().to_owned();
    let left: u64 = said
        .split([';', '='])
        .nth(2)
        .and_then(|left| left.parse().ok())
        .unwrap_or_else(|| panic!("{said}"));
    let taken = 4 * EACH as u64 + 1;
    // Some tokens have come back meanwhile, at eleven and a half a second.
    assert!(
        (BURST - taken..BURST - taken + 700).contains(&left),
        "{left} left of {BURST}, {taken} taken"
    );
    for name in ["contended", "limited", "overflow", "internal"] {
        assert_eq!(counter(gateway, name), 0, "{name}");
    }
}
