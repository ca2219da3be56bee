//! Many requests over one key, a hundred, ten thousand: never more than the limit, and hardly less; also while the configuration is
//! replaced each second. `make long` sends ten times as many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use envoy_harness::{Bootstrap, Gateway, Options, Reload, Request};
use serde_json::{Value, json};

use super::bucket::Model;
use super::{PLUGIN, answered_by_envoy, counter, is_long, with_limits};

const CONNECTIONS: usize = 4;

/// A rate: so many in so many seconds, and the burst.
struct Rate {
    requests: u64,
    seconds: u64,
    burst: u64,
}

/// Requests as the access log has them: when each began, how long it took, whose it was, whether it was admitted.
struct Logged {
    at: u128,
    milliseconds: u64,
    key: String,
    admitted: bool,
}

fn gateway(rate: &Rate, options: &Options) -> Option<Gateway> {
    Gateway::start_with(&bootstrap(rate, 0), options)
}

/// `revision` changes nothing but the configuration.
fn bootstrap(rate: &Rate, revision: usize) -> Bootstrap {
    let mut bootstrap = with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "burst": rate.burst,
          "rate": { "requests": rate.requests, "per": format!("{}s", rate.seconds) } },
    ]));
    // Room for all: what an overfull table costs is another test's.
    bootstrap.edit_filter_config(PLUGIN, |config| {
        config["table"] = json!({ "slots": 16384 });
        config["headers"] = json!({ "x_rate_limit": revision % 2 == 1 });
    });
    answered_by_envoy(&mut bootstrap);
    bootstrap.connection_manager_mut()["access_log"] = json!([{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "json_format": {
                "at": "%START_TIME(%s.%9f)%", "took": "%DURATION%", "key": "%REQ(X-TENANT)%", "status": "%RESPONSE_CODE%",
            } },
        },
    }]);
    bootstrap
}

fn logged(gateway: &Gateway, requests: usize) -> Vec<Logged> {
    let envoy = gateway.envoy();
    envoy.wait_until("every request is in the access log", |envoy| {
        envoy.access_log().len() >= requests
    });
    let line = |line: &Value| {
        let (seconds, nanoseconds) = line["at"].as_str()?.split_once('.')?;
        let (seconds, nanoseconds): (u128, u128) =
            (seconds.parse().ok()?, nanoseconds.parse().ok()?);
        let took = &line["took"];
        Some(Logged {
            at: seconds * 1_000_000_000 + nanoseconds,
            milliseconds: took.as_u64().or_else(|| took.as_str()?.parse().ok())?,
            key: line["key"].as_str()?.to_owned(),
            admitted: line["status"].as_u64() == Some(200)
                || line["status"].as_str() == Some("200"),
        })
    };
    let mut all: Vec<_> = envoy.access_log().iter().filter_map(line).collect();
    all.sort_by_key(|one| one.at);
    all
}

/// What was admitted in all; that no key had more than a burst and what has come in `elapsed`, and that each had what a model gives
/// it that is asked at the times of the log.
///
/// The log says when a request's head was there, and the filter reads the clock a little later, before the request is over. So each
/// key may have had one less than the model, and what comes in the longest time that a request took; and all together, of which few
/// took that long, half a percent less.
fn check(logged: &[Logged], rate: &Rate, elapsed: Duration) -> u64 {
    let per = Duration::from_secs(rate.seconds);
    let most =
        u128::from(rate.burst) + elapsed.as_nanos() * u128::from(rate.requests) / per.as_nanos();
    let mut keys: BTreeMap<&str, (u128, u128, Model)> = BTreeMap::new();
    let mut modelled = 0_u64;
    for one in logged {
        let model = || Model::new(rate.requests.into(), per, rate.burst.into());
        let (admitted, given, model) = keys.entry(&one.key).or_insert_with(|| (0, 0, model()));
        *admitted += u128::from(one.admitted);
        let admits = model.admits(one.at);
        *given += u128::from(admits);
        modelled += u64::from(admits);
    }
    let longest = logged.iter().map(|one| one.milliseconds).max().unwrap_or(0) + 1;
    let late = (u128::from(longest * rate.requests)).div_ceil(u128::from(rate.seconds) * 1000);
    let (mut fewest, mut exact) = (0, 0);
    for (key, (admitted, given, _)) in &keys {
        let fewer = given.saturating_sub(*admitted);
        assert!(
            fewer <= 1 + late,
            "{key}: {admitted} admitted, where a model admits {given}; a request took {longest} ms at most"
        );
        fewest = fewest.max(fewer);
        exact += usize::from(admitted == given);
        assert!(
            *admitted <= most,
            "{key}: {admitted} admitted, at most {most} in {elapsed:?}"
        );
    }
    let admitted: u64 = logged.iter().map(|one| u64::from(one.admitted)).sum();
    eprintln!(
        "{} requests of {} keys in {elapsed:?}: {admitted} admitted, a model admits {modelled}; {exact} keys had what the \
         model gives, none more than {fewest} less, where {} are allowed",
        logged.len(),
        keys.len(),
        1 + late
    );
    assert!(
        admitted * 1000 >= modelled * 995,
        "{admitted} admitted, where a model admits {modelled}"
    );
    admitted
}

/// A limiter that is exact for one client and loses count of many, or the other way round.
#[test]
fn a_hundred_thousand_requests_over_one_key_a_hundred_and_ten_thousand() {
    let requests = if is_long() { 1_000_000 } else { 100_000 };
    for (keys, rate) in [
        (
            1,
            Rate {
                requests: 250,
                seconds: 1,
                burst: 100,
            },
        ),
        (
            100,
            Rate {
                requests: 10,
                seconds: 1,
                burst: 50,
            },
        ),
        (
            10_000,
            Rate {
                requests: 1,
                seconds: 60,
                burst: 3,
            },
        ),
    ] {
        let options = Options {
            concurrency: 2,
            reloadable: false,
            port: 0,
            counted: true,
        };
        let Some(gateway) = gateway(&rate, &options) else {
            return;
        };
        let start = Instant::now();
        std::thread::scope(|scope| {
            for first in 0..CONNECTIONS {
                let gateway = &gateway;
                scope.spawn(move || {
                    let all = (first..requests).step_by(CONNECTIONS);
                    let tenants = all.map(|request| format!("tenant-{}", request % keys));
                    gateway.h2().flood("x-tenant", tenants);
                });
            }
        });
        let elapsed = start.elapsed();
        let admitted = check(&logged(&gateway, requests), &rate, elapsed);
        assert_eq!(counter(&gateway, "admitted"), admitted);
        for name in ["contended", "unknown_form", "internal"] {
            assert_eq!(counter(&gateway, name), 0, "{name}");
        }
    }
}

/// Two configurations are at work side by side each time; a bucket that one of them does not know is a burst too many.
#[test]
fn buckets_are_exact_while_the_configuration_is_replaced_each_second() {
    let rate = Rate {
        requests: 20,
        seconds: 1,
        burst: 30,
    };
    let options = Options {
        concurrency: 2,
        reloadable: true,
        port: 0,
        counted: true,
    };
    let Some(gateway) = gateway(&rate, &options) else {
        return;
    };
    let replacements = if is_long() { 60 } else { 6 };
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let requests: usize = std::thread::scope(|scope| {
        let (gateway, done) = (&gateway, &done);
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || {
                    let client = gateway.h1();
                    let mut sent = 0;
                    while !done.load(Ordering::Relaxed) {
                        let tenant = format!("tenant-{}", (thread + sent) % 3);
                        let answer = client.send(&Request::get("/").header("x-tenant", &tenant));
                        assert!(
                            [200, 429].contains(&answer.status),
                            "status {}",
                            answer.status
                        );
                        sent += 1;
                    }
                    sent
                })
            })
            .collect();
        for revision in 1..=replacements {
            if let Reload::Rejected(log) = gateway.reload(&bootstrap(&rate, revision)) {
                panic!("a good configuration is refused: {log}");
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        done.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let elapsed = start.elapsed();
    check(&logged(&gateway, requests), &rate, elapsed);
    assert_eq!(counter(&gateway, "unknown_form"), 0);
    assert_eq!(counter(&gateway, "contended"), 0);
}
