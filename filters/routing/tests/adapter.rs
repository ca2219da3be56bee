//! The adapter on a host that behaves as Envoy does: it obeys the policy, and closes where the host fails it.

use fake_host::{Chain, FilterStatus, Host, Reply, RouteView, Stream, Vm, VmOptions};

const CONFIG: &str = r#"{
    "version": 1,
    "api_version": {
        "supported": ["1", "2"],
        "default": "1",
        "sources": [{ "path_prefix": true }, { "header": "x-api-version" }]
    }
}"#;

const LOG_WARN: u32 = 3;

fn start(host: &Host, config: &str) -> Vm {
    let options = VmOptions::new("routing", gatehouse_routing::register).config(config);
    host.start(options).unwrap()
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

fn reply(stream: &Stream) -> Reply {
    match stream.request_status() {
        FilterStatus::Replied(reply) => reply,
        other => panic!("expected a reply, found {other:?}"),
    }
}

fn by_header(view: &RouteView<'_>) -> Option<String> {
    let version = view.headers.text("x-gatehouse-api-version")?;
    Some(format!("v{version}"))
}

fn by_filter_state(view: &RouteView<'_>) -> Option<String> {
    let version = view.filter_state.get("wasm.gatehouse.api_version")?;
    Some(format!("v{}", String::from_utf8_lossy(version)))
}

#[test]
fn the_version_is_written_and_the_route_chosen_anew() {
    let host = Host::new().with_routes(by_header);
    let vm = start(&host, CONFIG);
    let stream = send(&vm, get("/v2/users?page=1", &[]));
    assert_eq!(stream.request_status(), FilterStatus::Continue);
    let upstream = stream.upstream().headers;
    assert_eq!(upstream.text("x-gatehouse-api-version"), Some("2"));
    assert_eq!(upstream.text(":path"), Some("/v2/users?page=1"));
    assert_eq!(
        stream.filter_state("gatehouse.api_version").as_deref(),
        Some(&b"2"[..])
    );
    assert_eq!(stream.route().as_deref(), Some("v2"));
    assert_eq!(vm.counter("gatehouse.routing.versioned"), 1);
}

// Setting filter state alone does not clear the route cache, and routes may match on it.
#[test]
fn the_route_is_chosen_anew_where_only_filter_state_changed() {
    let host = Host::new().with_routes(by_filter_state);
    let vm = start(&host, CONFIG);
    // The client sends the very headers that would be written, so no header is edited.
    let stream = send(&vm, get("/v2/users", &[("x-gatehouse-api-version", "2")]));
    let calls = stream.host_calls("proxy_on_request_headers");
    assert!(
        !calls
            .iter()
            .any(|call| call.function.contains("header_map_value")),
        "{calls:?}"
    );
    assert_eq!(stream.route().as_deref(), Some("v2"));
}

#[test]
fn a_grpc_call_is_labelled() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let grpc = [("content-type", "application/grpc")];
    let stream = send(&vm, get("/inventory.v1.Stock/Get", &grpc));
    let upstream = stream.upstream().headers;
    assert_eq!(
        upstream.text("x-gatehouse-grpc-service"),
        Some("inventory.v1.Stock")
    );
    assert_eq!(upstream.text("x-gatehouse-grpc-method"), Some("Get"));
    assert_eq!(
        stream.filter_state("gatehouse.grpc_service").as_deref(),
        Some(&b"inventory.v1.Stock"[..])
    );
    assert_eq!(
        stream.filter_state("gatehouse.grpc_method").as_deref(),
        Some(&b"Get"[..])
    );
    assert_eq!(vm.counter("gatehouse.routing.grpc"), 1);
    send(&vm, get("/inventory.v1.Stock", &grpc));
    assert_eq!(vm.counter("gatehouse.routing.grpc_unnamed"), 1);
}

#[test]
fn a_clients_own_copies_do_not_reach_the_upstream() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let spoofed = [
        ("x-gatehouse-api-version", "2"),
        ("x-gatehouse-api-version", "3"),
        ("x_gatehouse_api_version", "2"),
        ("x-gatehouse-grpc-service", "inventory.v1.Admin"),
        ("x_gatehouse_grpc_method", "Drop"),
    ];
    for (mode, version) in [("enforce", &[&b"1"[..]][..]), ("off", &[])] {
        let config = CONFIG.replacen('{', &format!(r#"{{"mode":"{mode}","#), 1);
        vm.reconfigure(&config).unwrap();
        let upstream = send(&vm, get("/users", &spoofed)).upstream();
        assert!(upstream.started);
        assert_eq!(
            upstream.headers.all("x-gatehouse-api-version"),
            version,
            "{mode}"
        );
        for name in [
            "x_gatehouse_api_version",
            "x-gatehouse-grpc-service",
            "x_gatehouse_grpc_method",
        ] {
            assert_eq!(upstream.headers.get(name), None, "{mode} {name}");
        }
    }
}

#[test]
fn a_refusal_is_a_problem_for_http_and_a_status_for_grpc() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let id = [("x-request-id", "r-1")];
    let stream = send(&vm, get("/v9/users", &id));
    assert!(!stream.upstream().started);
    assert_eq!(
        reply(&stream).details,
        "gatehouse_routing_unknown_version_in_path"
    );
    let client = stream.client();
    assert_eq!(client.status(), Some(404));
    assert_eq!(
        client.headers.text("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(client.headers.text("cache-control"), Some("no-store"));
    assert_eq!(
        client.headers.text("x-gatehouse-supported-versions"),
        Some("1, 2")
    );
    assert_eq!(client.headers.text("grpc-status"), None);
    assert!(
        client.text().contains(r#""request_id":"r-1""#),
        "{}",
        client.text()
    );
    assert_eq!(vm.counter("gatehouse.routing.unknown_version"), 1);

    let grpc = [("content-type", "application/grpc"), ("x-api-version", "9")];
    let client = send(&vm, get("/a.B/C", &grpc)).client();
    assert_eq!(client.headers.text("grpc-status"), Some("12"));
    assert_eq!(client.headers.text("grpc-message"), Some("Not Acceptable"));
    assert_eq!(
        client.headers.text("content-type"),
        Some("application/grpc")
    );

    // Behind Envoy's bridge a gRPC-Web call looks like gRPC, and the bridge needs a form of its own.
    let bridged = [
        ("content-type", "application/grpc"),
        ("x-grpc-web", "1"),
        ("x-api-version", "9"),
    ];
    let bridged = reply(&send(&vm, get("/a.B/C", &bridged)));
    assert_eq!(bridged.status, 200);
    assert_eq!(bridged.headers.text("grpc-status"), Some("12"));
}

#[test]
fn ambiguous_requests_are_refused_and_counted() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let stream = send(&vm, get("/users/..%2fadmin", &[]));
    assert_eq!(reply(&stream).status, 400);
    assert_eq!(vm.counter("gatehouse.routing.ambiguous_path"), 1);
    let twice = [("x-api-version", "1"), ("x-api-version", "1")];
    assert_eq!(reply(&send(&vm, get("/users", &twice))).status, 400);
    assert_eq!(vm.counter("gatehouse.routing.ambiguous_version"), 1);
}

// Envoy's codecs let these bytes through, and the SDK's own getters would end the VM.
#[test]
fn bytes_that_are_not_text_do_no_harm() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let mut head: Vec<(&[u8], &[u8])> = vec![(b":method", b"GET"), (b":path", b"/users")];
    head.push((b"x-note", b"caf\xe9"));
    head.push((b"x-gatehouse-api-version", b"\xff"));
    let mut stream = vm.request(head.clone());
    assert_eq!(stream.request_headers(true), FilterStatus::Continue);
    assert_eq!(
        stream.upstream().headers.get("x-note"),
        Some(&b"caf\xe9"[..])
    );
    assert_eq!(
        stream.upstream().headers.all("x-gatehouse-api-version"),
        [b"1"]
    );
    head.push((b"x-api-version", b"\xff2"));
    let mut stream = vm.request(head);
    stream.request_headers(true);
    assert_eq!(reply(&stream).status, 406);
}

#[test]
fn a_request_without_pseudo_headers_is_forwarded() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let stream = send(
        &vm,
        vec![(":method", "CONNECT"), (":authority", "db.test:5432")],
    );
    assert_eq!(
        stream.upstream().headers.text("x-gatehouse-api-version"),
        Some("1")
    );
}

#[test]
fn bodies_and_trailers_pass_untouched() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let mut stream = vm.request(get("/users", &[]));
    stream.request_headers(false);
    stream.request_body("one", false);
    stream.request_body("two", false);
    stream.request_trailers([("x-sum", "6")]);
    let upstream = stream.upstream();
    assert!(upstream.complete);
    assert_eq!(upstream.text(), "onetwo");
    assert_eq!(upstream.trailers.text("x-sum"), Some("6"));
    stream.response_headers([(":status", "200")], false);
    stream.response_body("answer", true);
    assert_eq!(stream.client().text(), "answer");
}

// A request that could not be read, or is half edited, must not go on.
#[test]
fn where_the_host_fails_the_request_stops() {
    // The map of a request that is no longer open reads as empty.
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let stream = send(&vm, Vec::new());
    assert_eq!(reply(&stream).status, 500);
    assert_eq!(reply(&stream).details, "gatehouse_routing_internal");
    assert_eq!(vm.counter("gatehouse.routing.internal"), 1);

    let host = Host::new().without_foreign("clear_route_cache");
    let vm = start(&host, CONFIG);
    let stream = send(&vm, get("/v2/users", &[("x-gatehouse-api-version", "2")]));
    assert_eq!(reply(&stream).status, 500);
    assert!(!stream.upstream().started);
    assert!(
        vm.logs().iter().any(|line| line.level == LOG_WARN),
        "{:?}",
        vm.logs()
    );
}

#[test]
fn a_faulty_configuration_is_refused_with_its_path_and_the_old_one_serves_on() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    for (config, reason) in [
        (
            CONFIG.replace("supported", "suported"),
            "api_version.suported: unknown field",
        ),
        (
            CONFIG.replace(r#""default": "1""#, r#""default": "3""#),
            "api_version.default: ",
        ),
        ("".to_owned(), ""),
        ("{".to_owned(), ""),
    ] {
        let refused = vm.reconfigure(&config).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
        assert!(
            refused.to_string().contains("configuration refused"),
            "{refused}"
        );
        let stream = send(&vm, get("/v2/users", &[]));
        assert_eq!(
            stream.upstream().headers.text("x-gatehouse-api-version"),
            Some("2")
        );
    }
}

// Envoy keeps the VM when only the configuration changes: what is static would outlive it.
#[test]
fn a_new_configuration_holds_for_new_requests_and_not_for_those_under_way() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let mut under_way = vm.request(get("/users", &[("x-api-version", "3")]));
    vm.reconfigure(CONFIG.replace(r#"["1", "2"]"#, r#"["1", "2", "3"]"#))
        .unwrap();
    let new = send(&vm, get("/users", &[("x-api-version", "3")]));
    assert_eq!(
        new.upstream().headers.text("x-gatehouse-api-version"),
        Some("3")
    );
    assert_eq!(vm.loads(), 1);
    under_way.request_headers(true);
    under_way.close();
}

// Each call that returns data re-enters the VM and costs as much as all the rest.
#[test]
fn one_host_call_returns_data() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    let grpc = [("content-type", "application/grpc")];
    let stream = send(&vm, get("/inventory.v1.Stock/Get", &grpc));
    let calls = stream.host_calls("proxy_on_request_headers");
    let dear: Vec<_> = calls.iter().filter(|call| call.returned > 0).collect();
    assert_eq!(dear.len(), 1, "{calls:?}");
    // Three headers, three pieces of filter state, two counters.
    assert!(calls.len() <= 9 + 1, "{calls:?}");
}

// A client that repeats a bad request must not fill the disk with our log.
#[test]
fn refusals_are_not_logged_above_debug() {
    let host = Host::new();
    let vm = start(&host, CONFIG);
    vm.forget();
    send(&vm, get("/v9/users", &[]));
    send(&vm, get("/users", &[]));
    assert!(
        vm.logs().iter().all(|line| line.level <= 1),
        "{:?}",
        vm.logs()
    );
}

#[test]
fn the_filter_works_behind_others() {
    let host = Host::new().with_routes(by_header);
    let (first, second) = (start(&host, CONFIG), start(&host, CONFIG));
    let chain = Chain::new().filter(&first).native().filter(&second);
    let mut stream = chain.request(get("/v2/users", &[]));
    assert_eq!(stream.request_headers(true), FilterStatus::Continue);
    assert_eq!(
        stream.upstream().headers.all("x-gatehouse-api-version"),
        [b"2"]
    );
    assert_eq!(stream.route().as_deref(), Some("v2"));
}

// Without it a client could send in a trailer what it may not send in a header, to an upstream that merges the two.
#[test]
fn trailers_carry_no_labels_of_the_clients_own() {
    let vm = start(&Host::new(), CONFIG);
    let mut stream = vm.request(get("/users", &[]));
    assert_eq!(stream.request_headers(false), FilterStatus::Continue);
    stream.request_body("abc", false);
    let status = stream.request_trailers([
        ("x_gatehouse_api_version", "9"),
        ("x-gatehouse-grpc-service", "a.B"),
        ("x-checksum", "abc"),
    ]);
    assert_eq!(status, FilterStatus::Continue);
    let trailers = stream.upstream().trailers;
    assert_eq!(trailers.text("x-checksum"), Some("abc"));
    assert_eq!(trailers.len(), 1);
}

const TABLE: &str = r#"{
    "version": 1,
    "grpc": {
        "undeclared": "refuse",
        "statistics": true,
        "methods": [{ "service": "inventory.v1.Stock", "method": "Get", "target": "stock-v2", "deadline": { "max": "2s" } },
                    { "service": "inventory.v1.*" }]
    }
}"#;

fn by_target(view: &RouteView<'_>) -> Option<String> {
    view.headers.text("x-gatehouse-target").map(str::to_owned)
}

// The router takes the cluster and the time from headers, which a client must not write.
#[test]
fn a_method_leads_to_its_target_within_its_deadline() {
    let host = Host::new().with_routes(by_target);
    let vm = start(&host, TABLE);
    let call = [
        ("content-type", "application/grpc"),
        ("grpc-timeout", "9H"),
        ("x-gatehouse-target", "admin"),
        ("x-envoy-upstream-rq-timeout-ms", "0"),
    ];
    let stream = send(&vm, get("/inventory.v1.Stock/Get", &call));
    let upstream = stream.upstream().headers;
    assert_eq!(upstream.all("x-gatehouse-target"), [b"stock-v2"]);
    assert_eq!(upstream.all("x-envoy-upstream-rq-timeout-ms"), [b"2000"]);
    assert_eq!(upstream.all("grpc-timeout"), [b"2000m"]);
    assert_eq!(stream.route().as_deref(), Some("stock-v2"));
    let other = send(&vm, get("/inventory.v1.Stock/Put", &call));
    assert_eq!(other.upstream().headers.get("x-gatehouse-target"), None);
    let refused = send(&vm, get("/admin.Users/Drop", &call));
    assert!(!refused.upstream().started);
    assert_eq!(
        reply(&refused).details,
        "gatehouse_routing_undeclared_method"
    );
    assert_eq!(refused.client().headers.text("grpc-status"), Some("12"));
    assert_eq!(vm.counter("gatehouse.routing.undeclared_method"), 1);
}

#[test]
fn calls_are_counted_by_method_and_status() {
    let host = Host::new();
    let vm = start(&host, TABLE);
    let grpc = [("content-type", "application/grpc")];
    let open = |path: &str| {
        let mut stream = vm.request(get(path, &grpc));
        stream.request_headers(true);
        stream
    };
    let mut whole = open("/inventory.v1.Stock/Get");
    host.clock().advance(std::time::Duration::from_millis(40));
    whole.response_headers([(":status", "200")], false);
    whole.response_body("frame", false);
    whole.response_trailers([("grpc-status", "0")]);
    // An error without a message has its status among the headers.
    let mut failed = open("/inventory.v1.Stock/Get");
    failed.response_headers([(":status", "200"), ("grpc-status", "5")], true);
    let mut other = open("/inventory.v1.Stock/Other");
    other.response_headers([(":status", "200"), ("grpc-status", "0")], true);
    // What is no status is not counted, and names no metric.
    let mut strange = open("/inventory.v1.Stock/Get");
    strange.response_headers([(":status", "200"), ("grpc-status", "99.x")], true);
    let name = |end: &str| format!("gatehouse.routing.grpc_status.{end}");
    assert_eq!(vm.counter(&name("inventory.v1.Stock.Get.0")), 1);
    assert_eq!(vm.counter(&name("inventory.v1.Stock.Get.5")), 1);
    assert_eq!(vm.counter(&name("other.0")), 1);
    assert_eq!(
        host.histogram("gatehouse.routing.grpc_time_ms.inventory.v1.Stock.Get"),
        [40, 0]
    );
}

const LIFECYCLE: &str = r#"{
    "version": 1,
    "api_version": {
        "supported": ["2", "4"], "default": "4", "retired": ["1"], "fallback": "older",
        "sources": [{ "path_prefix": true }],
        "deprecated": [{ "version": "2", "since": "2026-01-01", "sunset": "2026-12-31", "successor": "/v4" }],
        "upstream_path": { "version": "strip", "allowed_paths": ["/users"] }
    }
}"#;

// A client that is told in time moves in time; and what the upstream says of itself stays.
#[test]
fn the_response_tells_of_the_version() {
    let host = Host::new();
    let vm = start(&host, LIFECYCLE);
    let mut old = send(&vm, get("/v3/users?page=1", &[]));
    let upstream = old.upstream().headers;
    assert_eq!(upstream.text(":path"), Some("/users?page=1"));
    assert_eq!(upstream.text("x-gatehouse-api-version"), Some("2"));
    old.response_headers(
        [(":status", "200"), ("link", "</next>; rel=\"next\"")],
        true,
    );
    let client = old.client().headers;
    assert_eq!(client.text("deprecation"), Some("@1767225600"));
    assert_eq!(client.text("sunset"), Some("Thu, 31 Dec 2026 00:00:00 GMT"));
    assert_eq!(client.all("link").len(), 2);
    assert_eq!(
        client.text("x-gatehouse-version-warning"),
        Some("version 3 is not served, this is version 2")
    );
    assert_eq!(client.text("x-gatehouse-supported-versions"), Some("2, 4"));
    let mut new = send(&vm, get("/v4/users", &[]));
    new.response_headers([(":status", "200")], true);
    assert_eq!(new.client().headers.text("deprecation"), None);
    assert_eq!(vm.counter("gatehouse.routing.deprecated"), 1);

    let gone = send(&vm, get("/v1/users", &[]));
    assert!(!gone.upstream().started);
    assert_eq!(gone.client().status(), Some(410));
    assert!(
        gone.client()
            .text()
            .contains(r#""supported-versions":["2","4"]"#),
        "{}",
        gone.client().text()
    );
    let astray = send(&vm, get("/v2/admin", &[]));
    assert_eq!(reply(&astray).details, "gatehouse_routing_path_not_allowed");
}

const SPLIT: &str = r#"{
    "version": 1,
    "targets": [
        { "name": "gold", "match": { "headers": [{ "name": "x-country", "exact": "DE" }] }, "target": "users-eu" },
        { "name": "trial", "mode": "shadow", "match": { "path": { "prefix": "/trial" } }, "target": "trial" },
        { "name": "behind", "match": { "path": { "prefix": "/trial/old" } }, "target": "old" }
    ],
    "splits": [{
        "name": "checkout", "match": { "path": { "prefix": "/cart" } },
        "by": [{ "cookie": { "name": "group", "max_age": "1h" } }],
        "groups": [{ "name": "stable", "weight": 50 }, { "name": "canary", "weight": 50 }],
        "override": { "header": "x-try", "groups": ["canary"] }
    }]
}"#;

// A visitor who changes groups with every page sees two shops.
#[test]
fn a_visitor_stays_in_its_group() {
    let host = Host::new();
    let vm = start(&host, SPLIT);
    let mut groups = std::collections::BTreeSet::new();
    for _ in 0..32 {
        let forged = [
            ("x-gatehouse-group", "admin"),
            ("x_gatehouse_experiment", "mine"),
        ];
        let mut first = send(&vm, get("/cart", &forged));
        let upstream = first.upstream().headers;
        let group = upstream.text("x-gatehouse-group").unwrap().to_owned();
        assert_eq!(upstream.all("x-gatehouse-group").len(), 1);
        assert_eq!(upstream.get("x_gatehouse_experiment"), None);
        assert_eq!(upstream.text("x-gatehouse-experiment"), Some("checkout"));
        assert_eq!(
            first.filter_state("gatehouse.group").as_deref(),
            Some(group.as_bytes())
        );
        first.response_headers([(":status", "200"), ("set-cookie", "session=1")], true);
        let client = first.client().headers;
        assert_eq!(client.text("x-gatehouse-group"), Some(group.as_str()));
        let cookies = client.all("set-cookie");
        assert_eq!(cookies.len(), 2, "the upstream's own stays");
        let ours = String::from_utf8(cookies[1].to_vec()).unwrap();
        let pair = ours.split_once(';').unwrap().0;
        let again = send(&vm, get("/cart/items", &[("cookie", pair)]));
        assert_eq!(
            again.upstream().headers.text("x-gatehouse-group"),
            Some(group.as_str())
        );
        groups.insert(group);
    }
    assert_eq!(
        groups.len(),
        2,
        "the host's random bytes tell visitors apart"
    );
    let chosen = send(&vm, get("/cart", &[("x-try", "canary")]));
    assert_eq!(
        chosen.upstream().headers.text("x-gatehouse-group"),
        Some("canary")
    );
    let other = send(&vm, get("/users", &[("x-gatehouse-group", "canary")]));
    assert_eq!(other.upstream().headers.get("x-gatehouse-group"), None);
}

#[test]
fn a_rule_names_the_target() {
    let host = Host::new().with_routes(by_target);
    let vm = start(&host, SPLIT);
    let german = send(&vm, get("/users", &[("x-country", "DE")]));
    assert_eq!(german.route().as_deref(), Some("users-eu"));
    let other = send(
        &vm,
        get(
            "/users",
            &[("x-country", "FR"), ("x-gatehouse-target", "users-eu")],
        ),
    );
    assert_eq!(other.route(), None);
    let trial = send(&vm, get("/trial", &[]));
    assert_eq!(trial.upstream().headers.get("x-gatehouse-target"), None);
    assert_eq!(vm.counter("gatehouse.routing.shadow_labelled"), 1);
    assert_eq!(vm.counter("gatehouse.routing.targeted"), 1);
    // What stands behind a rule on trial is in force.
    let behind = send(&vm, get("/trial/old", &[]));
    assert_eq!(
        behind.upstream().headers.text("x-gatehouse-target"),
        Some("old")
    );
    assert_eq!(vm.counter("gatehouse.routing.shadow_labelled"), 2);
}

// An update that drops the last target leaves a route that goes by the header, and clients that write it.
#[test]
fn a_header_that_nothing_writes_is_removed_all_the_same() {
    let host = Host::new();
    let vm = start(
        &host,
        r#"{ "version": 1, "api_version": { "supported": ["1"], "default": "1", "sources": [{ "path_prefix": true }] } }"#,
    );
    let forged = [
        ("x-gatehouse-target", "admin"),
        ("x_gatehouse_group", "staff"),
        ("x-gatehouse-experiment", "mine"),
        ("x-other", "stays"),
    ];
    let sent = send(&vm, get("/users", &forged)).upstream().headers;
    for (name, _) in &forged[..3] {
        assert_eq!(sent.get(name), None, "{name}");
    }
    assert_eq!(sent.text("x-other"), Some("stays"));
}

// What is not asked of the host is as if the host had nothing to say.
#[test]
fn what_the_host_knows_of_a_request_is_asked_for() {
    let host = Host::new();
    let vm = start(
        &host,
        r#"{
            "version": 1,
            "api_version": {
                "supported": ["1", "2"], "default": "1", "sources": [{ "path_prefix": true }], "route_override": true
            },
            "grpc": { "methods": [{ "service": "a.B", "deadline": { "max": "9s", "route_override": true } }] },
            "splits": [{
                "name": "half", "by": [{ "address": true }],
                "groups": [{ "name": "blue", "weight": 1 }, { "name": "green", "weight": 1 }]
            }]
        }"#,
    );
    let ask = |path: &str, property: &[&str], value: &str| {
        let mut stream = vm.request(get(path, &[("content-type", "application/grpc")]));
        stream = stream.with_property(property, value);
        stream.request_headers(true);
        stream.upstream().headers
    };
    let of_route = |name| {
        [
            "xds",
            "route_metadata",
            "filter_metadata",
            "gatehouse.routing",
            name,
        ]
    };
    let told = ask("/a.B/Get", &of_route("default_version"), "2");
    assert_eq!(told.text("x-gatehouse-api-version"), Some("2"));
    let told = ask("/a.B/Get", &of_route("max_deadline"), "3s");
    assert_eq!(told.text("x-envoy-upstream-rq-timeout-ms"), Some("3000"));
    let groups: std::collections::BTreeSet<_> = (0..32)
        .map(|number| {
            let address = format!("192.0.2.{number}:80");
            let told = ask("/a.B/Get", &["source", "address"], &address);
            told.text("x-gatehouse-group").map(str::to_owned)
        })
        .collect();
    assert_eq!(groups.len(), 2, "{groups:?}");
}
