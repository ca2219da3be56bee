//! The adapter on a host that behaves as Envoy does: it takes each token once, obeys the policy, and closes where the host
//! fails it.
#![allow(clippy::disallowed_methods)] // Several workers are several threads.

use std::time::Duration;

use fake_host::{FilterStatus, Host, Reply, Stream, Vm, VmOptions};
use identity::{CredentialKind, Identity};
use serde_json::{Value, json};

const TABLE: &str = "gatehouse.rate-limit";

fn config(limits: Value) -> Value {
    json!({ "version": 1, "limits": limits })
}

/// Ten a second for each tenant, twenty at once.
fn by_tenant() -> Value {
    config(
        json!([{ "name": "tenant", "key": { "header": "x-tenant" }, "rate": "10/s", "burst": 20 }]),
    )
}

fn start(host: &Host, config: &Value) -> Vm {
    let options = VmOptions::new("rate-limit", gatehouse_rate_limit::register);
    host.start(options.config(config.to_string())).unwrap()
}

fn get<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.test"),
        (":path", path),
    ];
    pseudo.into_iter().chain(more.iter().copied()).collect()
}

fn send(vm: &Vm, head: Vec<(&str, &str)>) -> Stream {
    let mut stream = vm.request(head);
    stream.request_headers(true);
    stream
}

fn tenant(vm: &Vm, tenant: &str) -> Stream {
    send(vm, get("/", &[("x-tenant", tenant)]))
}

fn admitted(stream: &Stream) -> bool {
    stream.request_status() == FilterStatus::Continue
}

fn reply(stream: &Stream) -> Reply {
    match stream.request_status() {
        FilterStatus::Replied(reply) => reply,
        other => panic!("expected a reply, found {other:?}"),
    }
}

fn count(vm: &Vm, requests: usize, name: &str) -> usize {
    (0..requests)
        .filter(|_| admitted(&tenant(vm, name)))
        .count()
}

#[test]
fn a_burst_is_admitted_and_then_the_rate() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    assert_eq!(count(&vm, 30, "a"), 20);
    host.clock().advance(Duration::from_millis(250));
    assert_eq!(count(&vm, 30, "a"), 2);
    assert_eq!(count(&vm, 30, "b"), 20);
    assert_eq!(vm.counter("gatehouse.rate_limit.admitted"), 42);
    assert_eq!(vm.counter("gatehouse.rate_limit.limited"), 48);
}

#[test]
fn the_refusal_says_what_and_how_long() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    count(&vm, 20, "a");
    let stream = send(&vm, get("/", &[("x-tenant", "a"), ("x-request-id", "r-1")]));
    let reply = reply(&stream);
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (429, "gatehouse_rate_limit_exceeded")
    );
    assert_eq!(reply.headers.text("retry-after"), Some("1"));
    assert_eq!(
        reply.headers.text("ratelimit-policy"),
        Some(r#""tenant";q=20;w=2"#)
    );
    assert_eq!(reply.headers.text("ratelimit"), Some(r#""tenant";r=0;t=1"#));
    assert_eq!(reply.headers.text("x-ratelimit-limit"), Some("20"));
    assert_eq!(reply.headers.text("x-ratelimit-remaining"), Some("0"));
    assert_eq!(reply.headers.text("x-ratelimit-reset"), Some("1"));
    assert_eq!(
        reply.headers.text("content-type"),
        Some("application/problem+json")
    );
    let body: Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!(
        body["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(body["violated-policies"], json!(["tenant"]));
    assert_eq!(
        (&body["status"], &body["request_id"]),
        (&json!(429), &json!("r-1"))
    );
    assert_eq!(
        stream
            .filter_state("gatehouse.rate_limit.violated")
            .as_deref(),
        Some(&b"tenant"[..])
    );
}

// Envoy's own table makes 429 UNAVAILABLE, on which clients try again at once.
#[test]
fn a_grpc_call_is_told_resource_exhausted() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    count(&vm, 20, "a");
    let grpc = |content_type| {
        let head = [("x-tenant", "a"), ("content-type", content_type)];
        reply(&send(&vm, get("/inventory.v1.Stock/Get", &head)))
    };
    let refused = grpc("application/grpc");
    assert_eq!(refused.grpc_status, Some(8));
    assert_eq!(refused.text(), "Quota Exceeded");
    assert_eq!(refused.headers.text("retry-after"), Some("1"));
    let refused = grpc("application/grpc-web+proto");
    assert_eq!(refused.status, 200);
    assert_eq!(refused.headers.text("grpc-status"), Some("8"));
}

#[test]
fn an_admitted_request_is_told_what_is_left() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    let mut stream = tenant(&vm, "a");
    stream.response_headers([(":status", "200")], true);
    let client = stream.client().headers;
    assert_eq!(
        client.text("ratelimit-policy"),
        Some(r#""tenant";q=20;w=2"#)
    );
    assert_eq!(client.text("ratelimit"), Some(r#""tenant";r=19;t=1"#));
    assert_eq!(client.text("x-ratelimit-limit"), Some("20"));
    assert_eq!(client.text("x-ratelimit-remaining"), Some("19"));
    assert_eq!(client.text("x-ratelimit-reset"), Some("1"));
}

// Of two limiters in a chain both are heard: the newer headers are lists; the older take one value.
#[test]
fn what_another_limiter_said_is_kept() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    let answered = |more: &[(&'static str, &'static str)]| {
        let mut stream = tenant(&vm, "a");
        stream.response_headers([&[(":status", "429")], more].concat(), true);
        stream.client().headers
    };
    let client = answered(&[
        ("ratelimit", r#""other";r=0;t=9"#),
        ("x-ratelimit-limit", "7"),
        ("x-ratelimit-remaining", "0"),
    ]);
    assert_eq!(client.all("ratelimit").len(), 2);
    assert_eq!(client.all("x-ratelimit-limit"), [b"7"]);
    assert_eq!(client.all("x-ratelimit-remaining"), [b"0"]);
    assert_eq!(client.text("x-ratelimit-reset"), None);
    // What is left of a limit that is not told is not told either: there is one value of each.
    let client = answered(&[("x-ratelimit-remaining", "0")]);
    assert_eq!(client.all("x-ratelimit-limit"), [b"20"]);
    assert_eq!(client.all("x-ratelimit-remaining"), [b"18"]);
}

#[test]
fn headers_can_be_switched_off() {
    let host = Host::new();
    let mut config = by_tenant();
    config["headers"] = json!({ "rate_limit": false, "x_rate_limit": false });
    let vm = start(&host, &config);
    let mut stream = tenant(&vm, "a");
    stream.response_headers([(":status", "200")], true);
    assert_eq!(stream.client().headers.len(), 1);
}

// The workers of one Envoy count together, whoever of them is asked.
#[test]
fn workers_share_the_buckets() {
    let host = Host::new();
    let workers = [start(&host, &by_tenant()), start(&host, &by_tenant())];
    let total: usize = (0..60)
        .map(|request| count(&workers[request % 2], 1, "a"))
        .sum();
    assert_eq!(total, 20);
    assert_eq!(workers[0].counter("gatehouse.rate_limit.unknown_form"), 0);
}

/// How many requests to `path` are admitted by eight workers that send so many each at the same time.
fn race(workers: &[Vm], path: &str, requests: usize) -> usize {
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter()
            .map(|vm| {
                let send = || admitted(&send(vm, get(path, &[])));
                scope.spawn(move || (0..requests).filter(|_| send()).count())
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    })
}

fn eight(host: &Host, config: &Value) -> Vec<Vm> {
    (0..8).map(|_| start(host, config)).collect()
}

// The bound, with eight workers at the same bucket at the same time. The clock stands still: exactly the burst.
#[test]
fn workers_that_race_take_each_token_once() {
    let host = Host::new();
    let config = config(json!([
        { "name": "all", "key": "method", "rate": "100/s", "burst": 200 },
    ]));
    let workers = eight(&host, &config);
    assert_eq!(race(&workers, "/", 100), 200);
    host.clock().advance(Duration::from_millis(500));
    assert_eq!(race(&workers, "/", 100), 50);
}

// Where the last token of one limit goes to another worker, what was taken of the other limit is given back or counted.
#[test]
fn workers_that_race_lose_no_token_uncounted() {
    let host = Host::new();
    let config = config(json!([
        { "name": "wide", "key": "method", "rate": "1/h", "burst": 700 },
        { "name": "narrow", "key": "method", "rate": "1/h", "burst": 50,
          "match": { "path": { "prefix": "/narrow" } } },
    ]));
    let workers = eight(&host, &config);
    assert_eq!(race(&workers, "/narrow", 100), 50);
    let mut stream = send(&workers[0], get("/", &[]));
    stream.response_headers([(":status", "200")], true);
    let left = 700 - 50 - host.counter("gatehouse.rate_limit.kept") - 1;
    let said = stream
        .client()
        .headers
        .text("ratelimit")
        .unwrap()
        .to_owned();
    assert!(
        said.starts_with(&format!("\"wide\";r={left};")),
        "{said}, not {left}"
    );
}

// A request that was not counted must not pass as one that was, and an operator decides whether it passes at all.
#[test]
fn row_22_running_out_of_tries_has_the_answer_that_is_configured() {
    for (on_contention, status) in [("reject", Some(503)), ("admit", None)] {
        let host = Host::new();
        let mut config = by_tenant();
        config["on_contention"] = json!(on_contention);
        let vm = start(&host, &config);
        assert!(admitted(&tenant(&vm, "a")));
        host.outrun(31);
        assert!(admitted(&tenant(&vm, "a")));
        assert_eq!(vm.counter("gatehouse.rate_limit.contended"), 0);

        host.outrun(32);
        let stream = tenant(&vm, "a");
        assert_eq!(vm.counter("gatehouse.rate_limit.contended"), 1);
        match status {
            None => assert!(admitted(&stream)),
            Some(status) => {
                let reply = reply(&stream);
                assert_eq!(reply.status, status);
                assert_eq!(reply.details, "gatehouse_rate_limit_contended");
                assert_eq!(reply.headers.text("retry-after"), Some("1"));
            }
        }
        // Nothing was taken for it.
        assert_eq!(count(&vm, 30, "a"), 18);
    }
}

// A limit that counts in windows admits two bursts within a moment, one at the end of a window and one at the start of the next.
#[test]
fn row_22_the_edge_of_a_window_is_no_edge() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    host.clock().advance(Duration::from_millis(999));
    assert_eq!(count(&vm, 30, "a"), 20);
    host.clock().advance(Duration::from_millis(2));
    assert_eq!(count(&vm, 30, "a"), 0);
    host.clock().advance(Duration::from_millis(98));
    assert_eq!(count(&vm, 30, "a"), 1);
    // In any two seconds a burst, and what comes in two seconds.
    let total: usize = (0..20)
        .map(|_| {
            host.clock().advance(Duration::from_millis(100));
            count(&vm, 30, "a")
        })
        .sum();
    assert_eq!(total, 20);
}

// A million clients must not become a million keys: the host never frees one.
#[test]
fn shared_data_is_bounded() {
    let host = Host::new();
    let mut config = by_tenant();
    config["table"] = json!({ "slots": 4 });
    let vm = start(&host, &config);
    for client in 0..500 {
        tenant(&vm, &client.to_string());
    }
    // Four slots and the key of the hash.
    assert_eq!(host.shared_keys("rate-limit").len(), 5);
    assert!(vm.counter("gatehouse.rate_limit.overflow") > 0);
    for key in host.shared_keys("rate-limit") {
        assert!(key.starts_with(TABLE.as_bytes()));
        assert!(host.shared_data("rate-limit", &key).unwrap().0.len() < 1000);
    }
}

// What a client sends appears in no key.
#[test]
fn keys_do_not_show_the_client() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    tenant(&vm, "secret-tenant");
    for key in host.shared_keys("rate-limit") {
        let (value, _) = host.shared_data("rate-limit", &key).unwrap();
        for bytes in [key, value] {
            assert!(!bytes.windows(6).any(|window| window == b"secret"));
        }
    }
}

#[test]
fn state_outlives_a_new_configuration_and_a_lost_vm() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    assert_eq!(count(&vm, 30, "a"), 20);
    vm.reconfigure(by_tenant().to_string()).unwrap();
    assert_eq!(count(&vm, 5, "a"), 0);
    let another = start(&host, &by_tenant());
    assert_eq!(count(&another, 5, "a"), 0);
}

#[test]
fn a_slot_of_another_form_counts_as_absent() {
    let host = Host::new();
    let mut config = by_tenant();
    config["table"] = json!({ "slots": 1 });
    let vm = start(&host, &config);
    assert!(admitted(&tenant(&vm, "a")));
    let keys = host.shared_keys("rate-limit");
    let slot = keys.iter().find(|key| key.ends_with(b"/2/0")).unwrap();
    host.set_shared_data("rate-limit", slot, b"\x09newer");
    assert!(admitted(&tenant(&vm, "a")));
    assert_eq!(vm.counter("gatehouse.rate_limit.unknown_form"), 1);
    assert_eq!(count(&vm, 30, "a"), 19);
}

// A request that a later limit refuses must cost nothing of an earlier one.
#[test]
fn all_limits_or_none() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "wide", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 3 },
            { "name": "narrow", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1,
              "match": { "path": { "prefix": "/narrow" } } },
        ])),
    );
    let narrow = || send(&vm, get("/narrow", &[("x-tenant", "a")]));
    assert!(admitted(&narrow()));
    for _ in 0..5 {
        let refused = narrow();
        let body: Value = serde_json::from_str(reply(&refused).text()).unwrap();
        assert_eq!(body["violated-policies"], json!(["narrow"]));
        assert_eq!(
            reply(&refused).headers.text("ratelimit"),
            Some(r#""wide";r=2;t=3600, "narrow";r=0;t=3600"#)
        );
    }
    assert_eq!(count(&vm, 5, "a"), 2);
}

#[test]
fn shadow_counts_and_admits() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "s", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1, "mode": "shadow" },
        ])),
    );
    assert_eq!(count(&vm, 5, "a"), 5);
    assert_eq!(vm.counter("gatehouse.rate_limit.shadow_limited"), 4);
    let mut stream = tenant(&vm, "a");
    stream.response_headers([(":status", "200")], true);
    assert_eq!(stream.client().headers.len(), 1);
}

#[test]
fn off_does_nothing() {
    let host = Host::new();
    let mut config = by_tenant();
    config["mode"] = json!("off");
    let vm = start(&host, &config);
    assert_eq!(count(&vm, 30, "a"), 30);
    assert!(admitted(&send(&vm, get("//", &[]))));
    assert_eq!(vm.counter("gatehouse.rate_limit.admitted"), 0);
}

#[test]
fn the_consumer_is_read_from_the_record_of_auth() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "consumer", "key": "consumer", "rate": "1/h", "burst": 1 },
        ])),
    );
    let ask = |identity: &[u8]| {
        let mut stream = vm
            .request(get("/", &[]))
            .with_filter_state("gatehouse.identity", identity);
        stream.request_headers(true);
        stream
    };
    let caller = |consumer: &str| Identity {
        kind: CredentialKind::ApiKey,
        credential_id: "k".to_owned(),
        consumer: Some(consumer.to_owned()),
        ..Identity::anonymous()
    };
    assert!(admitted(&ask(&caller("acme").encode())));
    assert_eq!(reply(&ask(&caller("acme").encode())).status, 429);
    assert!(admitted(&ask(&caller("other").encode())));
    // Anonymous callers have no consumer; what is no record lets nobody in.
    assert_eq!(reply(&ask(&Identity::anonymous().encode())).status, 403);
    assert_eq!(reply(&send(&vm, get("/", &[]))).status, 403);
    let malformed = reply(&ask(b"forged"));
    assert_eq!(malformed.details, "gatehouse_rate_limit_malformed_identity");
    assert_eq!(vm.counter("gatehouse.rate_limit.missing_key"), 2);
    assert_eq!(vm.counter("gatehouse.rate_limit.malformed_identity"), 1);
}

#[test]
fn the_address_is_that_of_the_trusted_hop() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "address", "key": "address", "rate": "1/h", "burst": 1 },
        ])),
    );
    let ask = |address: &str, forwarded: &str| {
        let mut stream = vm
            .request(get("/", &[("x-forwarded-for", forwarded)]))
            .with_property(&["source", "address"], address);
        stream.request_headers(true);
        admitted(&stream)
    };
    assert!(ask("192.0.2.1:1000", "198.51.100.1"));
    assert!(!ask("192.0.2.1:2000", "198.51.100.2"));
    assert!(ask("[2001:db8::1]:1", ""));
    assert!(!ask("[2001:db8::2]:1", ""));
}

// In one VM under Istio: limits of one name in two filters of a chain would take two tokens of one bucket for each request.
#[test]
fn two_instances_in_one_vm_have_buckets_of_their_own() {
    let host = Host::new();
    let start = |plugin: &str| {
        let options = VmOptions::new(plugin, gatehouse_rate_limit::register).vm_id("");
        host.start(options.config(by_tenant().to_string())).unwrap()
    };
    let (one, other) = (start("one"), start("other"));
    assert_eq!(count(&one, 30, "a"), 20);
    assert_eq!(count(&other, 30, "a"), 20);
    assert_eq!(count(&start("one"), 30, "a"), 0);
}

#[test]
fn a_cdn_names_the_client_and_nobody_else_does() {
    let host = Host::new();
    let mut config = config(json!([
        { "name": "address", "key": "address", "rate": "1/h", "burst": 1 },
    ]));
    config["address"] = json!({ "cdns": [
        { "header": "cf-connecting-ip", "networks": ["192.0.2.0/24"] },
    ] });
    let vm = start(&host, &config);
    let ask = |source: &str, client: &str| {
        let mut stream = vm
            .request(get("/", &[("cf-connecting-ip", client)]))
            .with_property(&["source", "address"], source);
        stream.request_headers(true);
        admitted(&stream)
    };
    assert!(ask("192.0.2.1:1000", "203.0.113.1"));
    assert!(!ask("192.0.2.2:1000", "203.0.113.1"));
    assert!(ask("192.0.2.2:1000", "203.0.113.2"));
    assert!(ask("198.51.100.1:1000", "203.0.113.3"));
    assert!(!ask("198.51.100.1:1000", "203.0.113.4"));
    assert_eq!(vm.counter("gatehouse.rate_limit.cdn_address"), 0);
    assert!(ask("192.0.2.2:1000", "not an address"));
    assert!(!ask("192.0.2.2:1001", ""));
    assert_eq!(vm.counter("gatehouse.rate_limit.cdn_address"), 2);
    // Envoy had these from x-forwarded-for: all who wrote one are one client.
    assert!(ask("192.0.2.9:0", "203.0.113.5"));
    assert!(!ask("192.0.2.10:0", "203.0.113.6"));
    assert_eq!(vm.counter("gatehouse.rate_limit.unknown_address"), 2);
}

#[test]
fn the_route_can_be_a_key() {
    let host = Host::new().with_routes(|view| view.headers.text("x-route").map(str::to_owned));
    let vm = start(
        &host,
        &config(json!([
            { "name": "route", "key": "route", "rate": "1/h", "burst": 1, "on_missing_key": "skip" },
        ])),
    );
    let ask = |route| admitted(&send(&vm, get("/", &[("x-route", route)])));
    assert!(ask("a") && ask("b"));
    assert!(!ask("a"));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    let stream = send(&vm, get("/a%2fb", &[("x-tenant", "a")]));
    assert_eq!(
        reply(&stream).details,
        "gatehouse_rate_limit_ambiguous_request"
    );
    let twice = [("x-tenant", "a"), ("x-tenant", "b")];
    let stream = send(&vm, get("/", &twice));
    assert_eq!(reply(&stream).details, "gatehouse_rate_limit_ambiguous_key");
}

// A request that could not be counted must not go on.
#[test]
fn where_the_host_fails_the_request_stops() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    let stream = send(&vm, Vec::new());
    assert_eq!(reply(&stream).details, "gatehouse_rate_limit_internal");
    assert_eq!(vm.counter("gatehouse.rate_limit.internal"), 1);
}

// Each call that returns data re-enters the VM and costs as much as all the rest.
#[test]
fn two_host_calls_return_data() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    tenant(&vm, "a");
    let mut stream = tenant(&vm, "a");
    let calls = stream.host_calls("proxy_on_request_headers");
    let dear = calls.iter().filter(|call| call.returned > 0).count();
    assert_eq!(dear, 2, "{calls:?}");
    assert!(calls.len() <= 5, "{calls:?}");
    stream.response_headers([(":status", "200")], true);
    let calls = stream.host_calls("proxy_on_response_headers");
    // Five writes, and a look whether another has written the older ones, which answers no.
    assert_eq!(calls.len(), 6, "{calls:?}");
    assert!(calls.iter().all(|call| call.returned == 0), "{calls:?}");
}

// A flood of refusals writes nothing, so it does not contend with those that are admitted, nor fill the log.
#[test]
fn a_refusal_writes_no_shared_data_and_no_log() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    count(&vm, 20, "a");
    vm.forget();
    assert_eq!(count(&vm, 10, "a"), 0);
    assert!(
        !vm.host_calls()
            .iter()
            .any(|call| call.function.contains("set_shared_data"))
    );
    assert!(
        vm.logs().iter().all(|line| line.level <= 1),
        "{:?}",
        vm.logs()
    );
}

#[test]
fn a_faulty_configuration_is_refused_with_its_path_and_the_old_one_serves_on() {
    let host = Host::new();
    let vm = start(&host, &by_tenant());
    let mut faulty = by_tenant();
    faulty["limits"][0]["brust"] = json!(1);
    let refused = vm.reconfigure(faulty.to_string()).unwrap_err().to_string();
    assert!(
        refused.contains("limits[0].brust: unknown field, did you mean burst?"),
        "{refused}"
    );
    assert_eq!(count(&vm, 30, "a"), 20);
}

// Where a limit says so, callers are told and not stopped; what a client claims to have been told by a gateway is nothing.
#[test]
fn a_soft_limit_marks_the_request_and_the_response() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "soft", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1, "action": "soft" },
        ])),
    );
    let forged = [("x-tenant", "a"), ("X_Gatehouse_Over_Limit", "forged")];
    let mut first = send(&vm, get("/", &forged));
    assert!(admitted(&first));
    let upstream = first.upstream();
    assert!(upstream.headers.text("x_gatehouse_over_limit").is_none());
    assert_eq!(upstream.headers.text("x-gatehouse-over-limit"), None);
    first.response_headers([(":status", "200")], true);
    assert_eq!(first.client().headers.text("x-gatehouse-over-limit"), None);

    let mut second = send(&vm, get("/", &forged));
    assert!(admitted(&second));
    assert_eq!(
        second.upstream().headers.text("x-gatehouse-over-limit"),
        Some("soft")
    );
    second.response_headers([(":status", "200")], true);
    let told = second.client().headers;
    assert_eq!(told.text("x-gatehouse-over-limit"), Some("soft"));
    assert_eq!(told.text("ratelimit"), Some(r#""soft";r=0;t=3600"#));
    assert_eq!(vm.counter("gatehouse.rate_limit.soft_limited"), 1);
    assert_eq!(vm.counter("gatehouse.rate_limit.limited"), 0);
}

// Envoy forwards a client's trailers, and some upstreams merge them into the headers: a client would mark its requests itself.
#[test]
fn the_mark_of_a_soft_limit_is_no_trailer() {
    for (action, left) in [("soft", 1), ("reject", 4)] {
        let host = Host::new();
        let vm = start(
            &host,
            &config(json!([
                { "name": "a", "key": { "header": "x-tenant" }, "rate": "1/h", "action": action },
            ])),
        );
        let mut stream = vm.request(get("/", &[("x-tenant", "a")]));
        assert_eq!(stream.request_headers(false), FilterStatus::Continue);
        stream.request_body("abc", false);
        let status = stream.request_trailers([
            ("x-gatehouse-over-limit", "forged"),
            ("X_Gatehouse_Over_Limit", "forged"),
            ("x.gatehouse.over-limit", "forged"),
            ("x-checksum", "abc"),
        ]);
        assert_eq!(status, FilterStatus::Continue, "{action}");
        let trailers = stream.upstream().trailers;
        assert_eq!(trailers.text("x-checksum"), Some("abc"), "{action}");
        assert_eq!(trailers.len(), left, "{action}");
        // Where no limit marks requests, their trailers cost nothing.
        let calls = stream.host_calls("proxy_on_request_trailers");
        assert_eq!(calls.is_empty(), action == "reject", "{calls:?}");
    }
}

// A guard against guessing must count failures alone, and parallel guesses before the first answer is there.
#[test]
fn only_chosen_statuses_count() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "login", "key": { "header": "x-tenant" }, "rate": "3/h", "count_only": [401] },
        ])),
    );
    let answer = |status: &'static str| {
        let mut stream = tenant(&vm, "a");
        let admitted = admitted(&stream);
        if admitted {
            stream.response_headers([(":status", status)], true);
        }
        admitted
    };
    assert!((0..20).all(|_| answer("200")));
    assert_eq!(vm.counter("gatehouse.rate_limit.refunded"), 20);
    assert_eq!((0..9).filter(|_| answer("401")).count(), 3);
    host.clock().advance(Duration::from_secs(3600));
    let mut parallel: Vec<_> = (0..9).map(|_| tenant(&vm, "a")).collect();
    parallel.retain(admitted);
    assert_eq!(parallel.len(), 3);
    for stream in &mut parallel {
        stream.response_headers([(":status", "200")], true);
    }
    assert!(answer("200"));
}

// The price is known when the answer is there: what was taken becomes what it has cost, up or down.
#[test]
fn the_response_says_what_it_has_cost() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "tokens", "key": { "header": "x-tenant" }, "rate": "100/h", "cost": 10,
              "actual_cost": { "header": "x-tokens", "max": 500 } },
        ])),
    );
    let left = |tokens: &str| {
        let mut stream = tenant(&vm, "a");
        stream.response_headers([(":status", "200"), ("x-tokens", tokens)], true);
        let mut next = tenant(&vm, "a");
        assert!(admitted(&next));
        next.response_headers([(":status", "200"), ("x-tokens", "0")], true);
        let said = next.client().headers.text("ratelimit").unwrap().to_owned();
        said.split([';', '='])
            .nth(2)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    // Ten are taken in advance by the one that asks.
    assert_eq!(left("10"), 80);
    assert_eq!(left("3"), 77);
    assert_eq!(left("0"), 77);
    assert_eq!(left("40"), 37);
    assert_eq!(left("many"), 27);
    assert_eq!(vm.counter("gatehouse.rate_limit.unsettled"), 1);
    // More than there is: the client owes it.
    let mut dear = tenant(&vm, "a");
    dear.response_headers([(":status", "200"), ("x-tokens", "137")], true);
    let refused = tenant(&vm, "a");
    let wait: u64 = reply(&refused)
        .headers
        .text("retry-after")
        .unwrap()
        .parse()
        .unwrap();
    // 37 were left, 137 are taken: a hundred owed, and ten asked for.
    assert_eq!(wait, 110 * 36);
}

/// A limiter by tokens of a language model: ten in advance, and then what the response says in its body.
fn by_usage(vm_limits: Value) -> Value {
    let mut limit = json!({
        "name": "tokens", "key": { "header": "x-tenant" }, "rate": "1000/h", "cost": 10,
        "actual_cost": { "json": "/usage/total_tokens", "max": 500 },
    });
    let more = vm_limits.as_object().unwrap().clone();
    limit.as_object_mut().unwrap().extend(more);
    config(json!([limit]))
}

/// What a tenant has left. Asking takes its ten, which are given back.
fn left(vm: &Vm) -> u64 {
    let mut stream = tenant(vm, "a");
    assert!(admitted(&stream));
    stream.response_headers(
        [(":status", "200"), ("content-type", "application/json")],
        false,
    );
    let said = stream
        .client()
        .headers
        .text("x-ratelimit-remaining")
        .unwrap()
        .parse();
    stream.response_body(r#"{"usage":{"total_tokens":0}}"#, true);
    said.unwrap()
}

// What a model has cost is known when its answer ends, and the answer must reach the client as it came, at once.
#[test]
fn the_body_of_the_response_says_what_it_has_cost() {
    let host = Host::new();
    let vm = start(&host, &by_usage(json!({})));
    let json = "application/json";
    let events = "text/event-stream";
    let ask = |kind: &'static str, body: &str, size: usize, trailers: bool| {
        let mut stream = tenant(&vm, "a");
        stream.response_headers([(":status", "200"), ("content-type", kind)], false);
        let chunks: Vec<_> = body.as_bytes().chunks(size).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let is_last = index + 1 == chunks.len();
            let status = stream.response_body(chunk, is_last && !trailers);
            assert_eq!(status, FilterStatus::Continue);
            let sent: usize = chunks[..=index].iter().map(|chunk| chunk.len()).sum();
            assert_eq!(
                stream.client().body,
                body.as_bytes()[..sent],
                "nothing is held back"
            );
        }
        if trailers {
            stream.response_trailers([("x-checksum", "1")]);
        }
    };
    let usage =
        |tokens: &str| format!(r#"{{"text":"total_tokens","usage":{{"total_tokens":{tokens}}}}}"#);
    let mut expected = 990;
    assert_eq!(left(&vm), expected);
    for (tokens, cost) in [("10", 10), ("3", 3), ("0", 0), ("40", 40), ("1e2", 100)] {
        for (size, trailers) in [(1, false), (7, true), (1000, false)] {
            ask(json, &usage(tokens), size, trailers);
            expected -= cost;
            assert_eq!(left(&vm), expected, "{tokens}");
        }
    }
    ask(
        events,
        &format!(
            "data: {{\"usage\":null}}\n\ndata: {}\n\ndata: [DONE]\n\n",
            usage("50")
        ),
        3,
        false,
    );
    assert_eq!(left(&vm), expected - 50);
    let counter = |name: &str| vm.counter(&format!("gatehouse.rate_limit.{name}"));
    assert_eq!((counter("unsettled"), counter("unread")), (0, 0));
}

// What cannot be read has cost what was taken in advance: that is what the operator sets, and what a client cannot change.
#[test]
fn a_body_that_says_nothing_costs_what_was_taken() {
    let host = Host::new();
    let vm = start(
        &host,
        &by_usage(json!({ "actual_cost": {
        "json": "/usage/total_tokens", "max": 500, "read": "1KiB" } })),
    );
    let counter = |name: &str| vm.counter(&format!("gatehouse.rate_limit.{name}"));
    let usage = r#"{"usage":{"total_tokens":400}}"#;
    let json = ("content-type", "application/json");
    let long = format!("{}{usage}", " ".repeat(2000));
    let mut expected = 990;
    for (headers, body, counted) in [
        (&[json][..], "{}", "unsettled"),
        (&[json], "", "unsettled"),
        (&[json], r#"{"usage":{"total_tokens":"400"}}"#, "unsettled"),
        (&[json], r#"{"usage":{"total_tokens":-400}}"#, "unsettled"),
        (&[json], "<html>", "unread"),
        (&[json], &usage[..usage.len() - 1], "unread"),
        (&[json], &long, "unread"),
        (&[json, ("content-encoding", "gzip")], usage, "unread"),
        (&[("content-type", "application/grpc")], usage, "unread"),
        (&[], usage, "unread"),
    ] {
        let before = counter(counted);
        let mut stream = tenant(&vm, "a");
        stream.response_headers([&[(":status", "200")], headers].concat(), false);
        stream.response_body(body, true);
        assert_eq!(stream.client().body, body.as_bytes());
        assert_eq!(counter(counted), before + 1, "{headers:?} {body}");
        expected -= 10;
        assert_eq!(left(&vm), expected, "{headers:?} {body}");
    }
    // A call of gRPC is not even looked at.
    let mut stream = tenant(&vm, "a");
    stream.response_headers(
        [(":status", "200"), ("content-type", "application/grpc")],
        false,
    );
    stream.response_body("x", false);
    assert_eq!(stream.host_calls("proxy_on_response_body").len(), 0);
}

// A client that hangs up before the end has had what came before it.
#[test]
fn a_stream_that_breaks_off_has_cost_what_it_has_said() {
    let host = Host::new();
    let vm = start(&host, &by_usage(json!({})));
    let counter = |name: &str| vm.counter(&format!("gatehouse.rate_limit.{name}"));
    let broken_off = |kind: &'static str, body: &str| {
        let mut stream = tenant(&vm, "a");
        stream.response_headers([(":status", "200"), ("content-type", kind)], false);
        stream.response_body(body, false);
        stream.close();
    };
    broken_off(
        "text/event-stream",
        "data: {\"usage\":{\"total_tokens\":100}}\n\ndata: {",
    );
    assert_eq!((left(&vm), counter("charged")), (890, 1));
    broken_off("text/event-stream", "data: {\"usage\":null}\n\n");
    assert_eq!((left(&vm), counter("unsettled")), (880, 1));
    broken_off("application/json", "{\"usage\":{\"total_tokens\":3},");
    assert_eq!((left(&vm), counter("unread")), (870, 1));
    // One that has no response at all stays counted.
    tenant(&vm, "a").close();
    assert_eq!(left(&vm), 860);
}

// Only answers that count are read, and only what a limit asks for.
#[test]
fn a_body_is_read_where_its_cost_is_asked_for_and_nowhere_else() {
    let host = Host::new();
    let vm = start(&host, &by_usage(json!({ "count_only": [200] })));
    let mut stream = tenant(&vm, "a");
    let json = ("content-type", "application/json");
    stream.response_headers([(":status", "500"), json], false);
    stream.response_body(r#"{"usage":{"total_tokens":400}}"#, true);
    assert_eq!(stream.host_calls("proxy_on_response_body").len(), 0);
    assert_eq!(left(&vm), 990);
    let plain = start(&Host::new(), &by_tenant());
    let mut stream = tenant(&plain, "a");
    stream.response_headers([(":status", "200"), json], false);
    stream.response_body("{}", true);
    assert_eq!(stream.host_calls("proxy_on_response_body").len(), 0);
}

// A REST request that the transcoder makes a call of gRPC is that call: else each method could be called twice as often.
#[test]
fn a_call_and_its_rest_form_are_counted_together() {
    let host = Host::new();
    let mut config =
        config(json!([{ "name": "calls", "key": ["grpc_service", "grpc_method"], "rate": "3/h" }]));
    config["twins"] = json!([
        { "method": "GET", "template": "/stock/{id}", "service": "inventory.v1.Stock", "rpc": "Get" },
    ]);
    let vm = start(&host, &config);
    let rest = || admitted(&send(&vm, get("/stock/7", &[])));
    let call = |path: &'static str| {
        let head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "api.test"),
            (":path", path),
            ("content-type", "application/grpc"),
        ];
        admitted(&send(&vm, head.to_vec()))
    };
    assert!(rest() && call("/inventory.v1.Stock/Get") && rest());
    assert!(!rest() && !call("/inventory.v1.Stock/Get"));
    assert!(call("/inventory.v1.Stock/List"));
}

// Clients that read an instant in seconds since 1970 would wait for half a century if they were told a distance, or not at all.
#[test]
fn a_reset_is_told_as_a_time_by_the_clock_of_the_host() {
    let host = Host::new();
    host.clock()
        .set_realtime(Duration::from_millis(1_700_000_000_400));
    let mut config = by_tenant();
    config["headers"] = json!({ "x_rate_limit_reset": "epoch" });
    let vm = start(&host, &config);
    let mut stream = tenant(&vm, "a");
    stream.response_headers([(":status", "200")], true);
    let told = stream
        .client()
        .headers
        .text("x-ratelimit-reset")
        .unwrap()
        .to_owned();
    // A tenth of a second later the bucket is full.
    assert_eq!(told, "1700000001");
}

// Plans are by who calls, never by what a client writes.
#[test]
fn a_plan_has_rates_of_its_own() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "api", "key": "consumer", "rates": ["2/s", "10/d"],
              "plans": { "rates": { "gold": "5/s burst 6" } } },
        ])),
    );
    let count = |consumer: &str, plan: Option<&str>| {
        let caller = Identity {
            kind: CredentialKind::ApiKey,
            credential_id: "k".to_owned(),
            consumer: Some(consumer.to_owned()),
            plan: plan.map(str::to_owned),
            ..Identity::anonymous()
        };
        let ask = || {
            let head = get("/", &[("x-plan", "gold")]);
            let mut stream = vm
                .request(head)
                .with_filter_state("gatehouse.identity", caller.encode());
            stream.request_headers(true);
            admitted(&stream)
        };
        (0..20).filter(|_| ask()).count()
    };
    assert_eq!(count("a", Some("gold")), 6);
    assert_eq!(count("b", Some("silver")), 2);
    assert_eq!(count("c", None), 2);
}

// One route of an API may take less: its metadata says so, and what says nothing that can be read changes nothing.
#[test]
fn a_route_overrides_a_rate() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "api", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 3, "route_override": true },
        ])),
    );
    let count = |tenant: &str, said: Option<&str>| {
        let path = [
            "xds",
            "route_metadata",
            "filter_metadata",
            "gatehouse.rate_limit",
            "api",
        ];
        let ask = || {
            let mut stream = vm.request(get("/", &[("x-tenant", tenant)]));
            if let Some(said) = said {
                stream = stream.with_property(&path, said);
            }
            stream.request_headers(true);
            admitted(&stream)
        };
        (0..9).filter(|_| ask()).count()
    };
    assert_eq!(count("a", None), 3);
    assert_eq!(count("b", Some("1/h burst 5")), 5);
    assert_eq!(count("c", Some("1/h")), 1);
    assert_eq!(vm.counter("gatehouse.rate_limit.bad_override"), 0);
    assert_eq!(count("d", Some("plenty")), 3);
    assert_eq!(vm.counter("gatehouse.rate_limit.bad_override"), 9);
}

// A client that leaves out what it is counted by must not be rid of its limit, nor share one with all others.
#[test]
fn a_missing_key_can_be_another() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "api", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1,
              "on_missing_key": { "use": "address" } },
        ])),
    );
    let ask = |address: &str, tenant: Option<&str>| {
        let more: Vec<_> = tenant.iter().map(|tenant| ("x-tenant", *tenant)).collect();
        let mut stream = vm
            .request(get("/", &more))
            .with_property(&["source", "address"], address);
        stream.request_headers(true);
        admitted(&stream)
    };
    assert!(ask("192.0.2.1:1", Some("a")));
    assert!(ask("192.0.2.1:1", None));
    assert!(!ask("192.0.2.1:2", None));
    assert!(ask("192.0.2.2:1", None));
}

// What a gauge says must end where it began once everybody has been forgotten, or it says nothing.
#[test]
fn the_gauge_of_entries_follows_the_table() {
    let host = Host::new();
    let mut config = by_tenant();
    config["table"] = json!({ "slots": 1 });
    let vm = start(&host, &config);
    let entries = || host.counter("gatehouse.rate_limit.entries");
    for tenant_name in ["a", "b", "a"] {
        tenant(&vm, tenant_name);
    }
    assert_eq!(entries(), 2);
    host.clock().advance(Duration::from_secs(9));
    tenant(&vm, "c");
    assert_eq!(entries(), 1);
}

// A gateway with three rates, as Kong has them: all are taken in one swap, whatever the algorithm.
#[test]
fn several_rates_are_told_and_refused_by_name() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "api", "key": { "header": "x-tenant" }, "algorithm": "fixed_window",
              "rates": ["2/s", "3/h"] },
        ])),
    );
    let mut first = tenant(&vm, "a");
    first.response_headers([(":status", "200")], true);
    let told = first.client().headers;
    assert_eq!(
        told.text("ratelimit-policy"),
        Some(r#""api.1s";q=2;w=1, "api.1h";q=3;w=3600"#)
    );
    assert_eq!(
        told.text("ratelimit"),
        Some(r#""api.1s";r=1;t=1, "api.1h";r=2;t=3600"#)
    );
    assert!(admitted(&tenant(&vm, "a")));
    let body = |stream: &Stream| serde_json::from_str::<Value>(reply(stream).text()).unwrap();
    assert_eq!(
        body(&tenant(&vm, "a"))["violated-policies"],
        json!(["api.1s"])
    );
    host.clock().advance(Duration::from_secs(1));
    assert!(admitted(&tenant(&vm, "a")));
    let refused = tenant(&vm, "a");
    assert_eq!(body(&refused)["violated-policies"], json!(["api.1h"]));
    assert_eq!(reply(&refused).headers.text("retry-after"), Some("3599"));
}

// A body of untold length costs the most, also where nothing has to be asked of the host; or it would cost as much as none.
#[test]
fn a_body_of_untold_length_costs_the_most() {
    let host = Host::new();
    let vm = start(
        &host,
        &config(json!([
            { "name": "all", "key": "method", "rate": "10/d", "cost": { "request_bytes": "1KiB", "max": 9 } },
        ])),
    );
    let ask = |has_body: bool| {
        let mut stream = vm.request(get("/", &[]));
        stream.request_headers(!has_body);
        admitted(&stream)
    };
    assert!(ask(true));
    assert!(!ask(true));
    assert!(ask(false));
    assert!(!ask(false));
}
