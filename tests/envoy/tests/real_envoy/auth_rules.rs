//! Rules and keys of auth, where the host decides what they see: addresses, route metadata, the environment of a VM, reloads.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use envoy_harness::{
    Bootstrap, Client, Gateway, Options, Protocol, Reload, Request, Response, demo_key,
};
use serde_json::{Value, json};

const AUTH: &str = "gatehouse.auth";

/// `envoy/single/auth.yaml` with this configuration, answered by Envoy itself.
fn bootstrap(config: Value) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/auth.yaml");
    bootstrap.set_filter_config(AUTH, config);
    let manager = bootstrap.connection_manager_mut();
    manager["route_config"]["virtual_hosts"][0]["routes"] = json!([
        { "match": { "prefix": "/" }, "direct_response": { "status": 200 } },
    ]);
    bootstrap
}

fn keys(keys: Value, rules: Value) -> Value {
    json!({
        "version": 1,
        "api_keys": { "sources": [{ "header": "x-api-key" }], "keys": keys },
        "rules": rules,
    })
}

fn key(id: &str, more: Value) -> Value {
    // The harness puts the hash of `demo_key(id)` in its place.
    let mut key = json!({ "id": id, "sha256": "0".repeat(63) + "1" });
    let members = more.as_object().expect("an object").clone();
    key.as_object_mut().expect("an object").extend(members);
    key
}

fn any_key() -> Value {
    json!([{ "name": "all", "any": [{ "credential": "api_key" }] }])
}

fn reloadable() -> Options {
    Options {
        reloadable: true,
        ..Options::default()
    }
}

fn ask(gateway: &Gateway, path: &str, id: &str) -> Response {
    gateway
        .h1()
        .send(&Request::get(path).header("x-api-key", demo_key(id)))
}

/// The status, and the reason that was counted: none if the request passed as it is.
fn told(gateway: &Gateway, send: impl FnOnce() -> Response) -> (u16, String) {
    let counted = || {
        let prefix = format!("wasmcustom.{AUTH}.reason.");
        let stats = gateway.envoy().stats().into_iter();
        let reasons = stats.filter_map(|(name, count)| {
            let reason = name.strip_prefix(&prefix)?.to_owned();
            Some((reason, count))
        });
        reasons.collect::<BTreeMap<_, _>>()
    };
    let before = counted();
    let status = send().status;
    let after = counted();
    let grown = after
        .into_iter()
        .find(|(reason, count)| before.get(reason) != Some(count));
    (
        status,
        grown.map_or_else(|| "ok".to_owned(), |(reason, _)| reason),
    )
}

fn reload(gateway: &Gateway, config: Value) {
    match gateway.reload(&bootstrap(config)) {
        Reload::Accepted => {}
        Reload::Rejected(log) => panic!("rejected: {log}"),
    }
}

/// Asks until both workers have the new configuration: 40 connections in a row answer so.
fn settle(gateway: &Gateway, what: &str, mut holds: impl FnMut() -> bool) {
    let mut row = 0;
    gateway.envoy().wait_until(what, |_| {
        row = if holds() { row + 1 } else { 0 };
        row >= 40
    });
}

// The life of a key: the new one is announced by the old one's responses, and the old one ends, without one refusal between.
#[test]
fn a_key_is_rotated_while_requests_go_on() {
    let first = keys(
        json!([key("probe", json!({})), key("old", json!({}))]),
        any_key(),
    );
    let Some(gateway) = Gateway::start_with(&bootstrap(first), &reloadable()) else {
        return;
    };
    let told = |id: &str| {
        let answer = ask(&gateway, "/", id);
        (
            answer.status,
            answer.header("deprecation").map(str::to_owned),
        )
    };
    assert_eq!(told("old"), (200, None));
    assert_eq!(told("new").0, 401);

    let old = key("old", json!({ "deprecated": "2023-06-30T23:59:59Z" }));
    let both = json!([key("probe", json!({})), old, key("new", json!({}))]);
    reload(&gateway, keys(both, any_key()));
    let since = || Some("@1688169599".to_owned());
    let mut refused = 0;
    settle(&gateway, "the new key is known", || {
        let old = told("old");
        refused += usize::from(old.0 != 200);
        old == (200, since()) && told("new") == (200, None)
    });
    assert_eq!(refused, 0);

    let old = key(
        "old",
        json!({ "deprecated": "2023-06-30T23:59:59Z", "expires": "2024-01-01T00:00:00Z" }),
    );
    reload(
        &gateway,
        keys(
            json!([key("probe", json!({})), old, key("new", json!({}))]),
            any_key(),
        ),
    );
    settle(&gateway, "the old key has ended", || {
        let new = told("new");
        assert_eq!(new, (200, None));
        ask(&gateway, "/", "old").status == 401
    });
    let ended = self::told(&gateway, || ask(&gateway, "/", "old"));
    assert_eq!(ended, (401, "api_key_expired".to_owned()));
}

// An operator looks at what a rule would refuse before it does.
#[test]
fn a_shadow_rule_is_enforced_by_a_reload() {
    let rules = |mode: &str| {
        json!([
            { "name": "trial", "any": [{ "credential": "api_key", "plans": ["gold"] }], "mode": mode },
        ])
    };
    let all = json!([
        key("probe", json!({ "plan": "gold" })),
        key("free", json!({ "plan": "free" }))
    ]);
    let Some(gateway) = Gateway::start_with(
        &bootstrap(keys(all.clone(), rules("shadow"))),
        &reloadable(),
    ) else {
        return;
    };
    let count = |name: &str| {
        gateway
            .envoy()
            .counter(&format!("wasmcustom.{AUTH}.{name}"))
    };
    let trial = told(&gateway, || ask(&gateway, "/", "free"));
    assert_eq!(trial, (200, "plan_missing".to_owned()));
    assert_eq!(
        (
            count("shadow_denied"),
            count("reason.plan_missing"),
            count("denied")
        ),
        (1, 1, 0)
    );
    reload(&gateway, keys(all, rules("enforce")));
    settle(&gateway, "the rule is enforced", || {
        assert_eq!(ask(&gateway, "/", "probe").status, 200);
        ask(&gateway, "/", "free").status == 403
    });
    assert!(count("denied") >= 40);
}

// What a list in a route's metadata looks like to a filter, only the host knows.
#[test]
fn a_route_asks_for_more_by_its_metadata() {
    let rules = json!([{ "name": "routes", "any": [{ "credential": "api_key" }], "route_metadata": ["scopes", "groups"] }]);
    let granted = json!({ "scopes": ["a", "b"], "groups": ["staff"] });
    let mut bootstrap = bootstrap(keys(json!([key("probe", granted)]), rules));
    let route = |path: &str, metadata: Value| {
        json!({
            "match": { "path": path },
            "direct_response": { "status": 200 },
            "metadata": { "filter_metadata": metadata },
        })
    };
    let auth = |metadata: Value| json!({ "gatehouse.auth": metadata });
    bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"] = json!([
        route("/one", auth(json!({ "scopes": ["a"], "groups": ["staff", "admins"] }))),
        route("/both", auth(json!({ "scopes": ["b", "a"], "groups": ["staff"] }))),
        route("/lacks", auth(json!({ "scopes": ["a", "c"], "groups": ["staff"] }))),
        route("/group", auth(json!({ "scopes": [], "groups": ["admins"] }))),
        route("/empty", auth(json!({ "scopes": [], "groups": [] }))),
        route("/half", auth(json!({ "scopes": ["a"] }))),
        route("/text", auth(json!({ "scopes": "a", "groups": ["staff"] }))),
        route("/nothing", auth(json!({ "scopes": "", "groups": ["staff"] }))),
        route("/number", auth(json!({ "scopes": 1, "groups": ["staff"] }))),
        route("/null", auth(json!({ "scopes": null, "groups": ["staff"] }))),
        route("/numbers", auth(json!({ "scopes": [1], "groups": ["staff"] }))),
        route("/nested", auth(json!({ "scopes": [["a"]], "groups": ["staff"] }))),
        route("/object", auth(json!({ "scopes": { "a": "" }, "groups": ["staff"] }))),
        route("/other", json!({ "gatehouse.other": { "scopes": [], "groups": [] } })),
        route("/users/closing-probe", auth(json!({ "scopes": [], "groups": [] }))),
        { "match": { "prefix": "/" }, "direct_response": { "status": 200 } },
    ]);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let missing = (403, "route_metadata_missing");
    for (path, expected) in [
        ("/one", (200, "ok")),
        ("/both", (200, "ok")),
        ("/empty", (200, "ok")),
        ("/lacks", (403, "scope_missing")),
        ("/group", (403, "group_missing")),
        ("/half", missing),
        ("/text", missing),
        ("/nothing", missing),
        ("/number", missing),
        // The host gives no map that holds a null.
        ("/null", (500, "internal")),
        ("/numbers", missing),
        ("/nested", missing),
        ("/other", missing),
        ("/unset", missing),
    ] {
        let (status, reason) = told(&gateway, || ask(&gateway, path, "probe"));
        assert_eq!((status, reason.as_str()), expected, "{path}");
    }
}

// An address that a client may write is nobody's.
#[test]
fn an_address_is_that_of_the_connection() {
    let rules = json!([
        { "name": "office", "match": { "path": { "prefix": "/office" } }, "any": [{ "addresses": ["127.0.2.0/24"] }] },
        { "name": "elsewhere", "match": { "path": { "prefix": "/elsewhere" } }, "not": { "addresses": ["127.0.2.0/24"] } },
        { "name": "all", "allow_anonymous": true },
    ]);
    for use_remote_address in [true, false] {
        let mut bootstrap = bootstrap(keys(json!([key("probe", json!({}))]), rules.clone()));
        bootstrap.connection_manager_mut()["use_remote_address"] = use_remote_address.into();
        let Some(gateway) = Gateway::start(&bootstrap) else {
            return;
        };
        let from = |last: [u8; 4], path: &str, forwarded: Option<&str>| {
            let client = Client::plain(gateway.envoy().address(), Protocol::H1);
            let client = client.from_address(Ipv4Addr::from(last));
            let mut request = Request::get(path);
            if let Some(forwarded) = forwarded {
                request = request.header("x-forwarded-for", forwarded);
            }
            told(&gateway, || client.send(&request))
        };
        let told = |status, reason: &str| (status, reason.to_owned());
        let (office, other) = ([127, 0, 2, 9], [127, 0, 3, 9]);
        assert_eq!(from(office, "/office", None), told(200, "ok"));
        assert_eq!(
            from(other, "/office", None),
            told(403, "address_not_allowed")
        );
        assert_eq!(from(office, "/elsewhere", None), told(403, "excluded"));
        assert_eq!(from(other, "/elsewhere", None), told(200, "ok"));
        let forged = match use_remote_address {
            true => told(403, "address_not_allowed"),
            false => told(403, "address_unknown"),
        };
        assert_eq!(from(other, "/office", Some("127.0.2.9")), forged);
    }
}

// A hash with a pepper is of no use to who has only the configuration.
#[test]
fn a_pepper_comes_from_the_environment_of_the_vm() {
    const PEPPER: &str = "a pepper of at least thirty-two bytes";
    let hash: String = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, PEPPER.as_bytes()),
        demo_key("peppered").as_bytes(),
    )
    .as_ref()
    .iter()
    .map(|byte| format!("{byte:02x}"))
    .collect();
    let mut config = keys(
        json!([key("probe", json!({})), { "id": "peppered", "hmac_sha256": hash }]),
        any_key(),
    );
    config["api_keys"]["pepper_variable"] = json!("GATEHOUSE_PEPPER");
    let without = bootstrap(config.clone());
    let mut with = without.clone();
    with.plugin_mut(AUTH)["vm_config"]["environment_variables"] =
        json!({ "key_values": { "GATEHOUSE_PEPPER": PEPPER } });
    let Some(gateway) = Gateway::start_with(&with, &reloadable()) else {
        return;
    };
    assert_eq!(ask(&gateway, "/", "peppered").status, 200);
    assert_eq!(ask(&gateway, "/", "probe").status, 200);
    assert_eq!(ask(&gateway, "/", "other").status, 401);
    let mut unset = without;
    unset.plugin_mut(AUTH)["vm_config"]["vm_id"] = "gatehouse.auth.without".into();
    match gateway.reload(&unset) {
        Reload::Rejected(log) => {
            let says = "api_keys.pepper_variable: the VM has no such environment variable";
            assert!(log.contains(says) && !log.contains(PEPPER), "{log}");
        }
        Reload::Accepted => panic!("accepted without a pepper"),
    }
    assert_eq!(ask(&gateway, "/", "peppered").status, 200);
}

/// What a process has used, and has.
struct Usage {
    /// The linear memory of the largest VM.
    vm_kib: u64,
    cpu: Duration,
    resident_kib: u64,
}

impl Usage {
    fn of(gateway: &Gateway) -> Self {
        let process = gateway.envoy().process_id();
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{process}/{name}")).expect("Linux has it")
        };
        // Behind the name in brackets: state is the first, utime the 12th, stime the 13th, in 1/100 s (proc_pid_stat(5)).
        let stat = read("stat");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        let status = read("status");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.trim().parse().ok());
        Usage {
            vm_kib: largest_vm_kib(&read("maps")),
            cpu: Duration::from_millis(ticks * 10),
            resident_kib: resident.expect("a number"),
        }
    }
}

/// The linear memory of the largest VM, by the mappings of the process (proc_pid_maps(5)): V8 reserves 8 GiB for each, of which what
/// the VM has is readable, at the start.
fn largest_vm_kib(maps: &str) -> u64 {
    const RESERVED: u64 = 4 << 30;
    let mappings: Vec<(u64, u64, bool)> = maps
        .lines()
        .filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            Some((address(start)?, address(end)?, rest.starts_with("rw-p")))
        })
        .collect();
    let memories = mappings.windows(2).filter_map(|pair| match pair {
        [(start, end, true), (next, last, false)] if end == next && last - next > RESERVED => {
            Some((end - start) >> 10)
        }
        _ => None,
    });
    memories.max().expect("a VM")
}

/// Ten thousand keys beside the one that the harness knows.
fn many() -> Value {
    let keys: Vec<Value> = std::iter::once(key("probe", json!({})))
        .chain((0..10_000_u32).map(|number| {
            json!({
                "id": format!("key-{number}"),
                "consumer": format!("consumer-{number}"),
                "plan": "gold",
                "groups": ["partners"],
                // Overwritten by the harness.
                "sha256": "",
            })
        }))
        .collect();
    json!(keys)
}

// A worker that reads its configuration answers nobody meanwhile, and what it took to read it is never given back.
#[test]
fn ten_thousand_keys_load_quickly_and_in_little_memory() {
    const WORKERS: u32 = 2;
    // Base, main thread and workers; each read is made in a canary too.
    const VMS: u32 = WORKERS + 2;
    let small = || keys(json!([key("probe", json!({}))]), any_key());
    let Some(gateway) = Gateway::start_with(&bootstrap(small()), &reloadable()) else {
        return;
    };
    assert_eq!(ask(&gateway, "/", "key-9999").status, 401);
    let known = || ask(&gateway, "/", "key-9999").status == 200;
    let mut last = Usage::of(&gateway);
    let (first, first_vm) = (last.resident_kib, last.vm_kib);
    for round in 0..3 {
        let started = Instant::now();
        // A rule's name makes it another configuration.
        let rules =
            json!([{ "name": format!("round-{round}"), "any": [{ "credential": "api_key" }] }]);
        reload(&gateway, keys(many(), rules));
        settle(&gateway, "the keys are known", known);
        let now = Usage::of(&gateway);
        let cpu = (now.cpu - last.cpu) / (VMS + 1);
        let grown = now.vm_kib.saturating_sub(first_vm);
        let resident = now.resident_kib.saturating_sub(first) / u64::from(VMS);
        eprintln!(
            "round {round}: {cpu:?} of CPU for each VM, {grown} KiB more in each, {resident} KiB with its share of what Envoy \
             keeps, {:?} in all",
            started.elapsed()
        );
        assert!(
            cpu < Duration::from_millis(300),
            "round {round}: {cpu:?} for each VM"
        );
        assert!(grown < 8 * 1024, "round {round}: {grown} KiB in a VM");
        assert!(
            resident < 16 * 1024,
            "round {round}: {resident} KiB for each VM"
        );
        last = now;
    }
}
