//! Places beside path, method and headers from which an upstream may take what a client says: the host, the trailers, headers that
//! a framework reads in the place of the request line.

use envoy_harness::{Gateway, Protocol, Request, demo_key};

use super::{KEY, gate};
use crate::forge::{FORGE, Sign};

/// A host that two parsers read differently gets past no rule: the one that protects `admin.test` here is followed by one that lets
/// everybody in.
#[test]
fn row_18_no_spelling_of_a_host_evades_its_rule() {
    let Some(gate) = gate() else { return };
    let ask = |hosts: &[&str]| {
        let hosts: String = hosts
            .iter()
            .map(|host| format!("host: {host}\r\n"))
            .collect();
        gate.send_raw(
            format!("GET /hosts/1 HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes(),
        )
    };
    for (host, status) in [
        ("other.test", 200),
        ("admin.test", 401),
        ("ADMIN.test", 401),
        ("admin.test:8080", 401),
        ("admin.test.", 401),
        ("admin.test.:80", 401),
    ] {
        assert_eq!(ask(&[host]).status, status, "{host}");
    }
    for hosts in [
        &["admin.test:x"][..],
        &["x@admin.test"],
        &["admin%2etest"],
        &["admin.test,other.test"],
        &["other.test,admin.test"],
        &["admin.test:80:80"],
        &["admin.test/"],
        &["other.test", "admin.test"],
        &["admin.test", "other.test"],
    ] {
        let answer = ask(hosts);
        assert_eq!(answer.status, 400, "{hosts:?}: {}", answer.text());
        assert!(!answer.reached_upstream(), "{hosts:?} reached the upstream");
    }
}

/// What a client may not say in a header it may not say in a trailer either: some upstreams merge the two.
#[test]
fn row_16_trailers_carry_neither_identities_nor_credentials() {
    let Some(gate) = gate() else { return };
    let token = FORGE.good(Sign::Es256);
    let forged = [
        ("x-user", "root"),
        ("X_User", "root"),
        ("x-authenticated-by", "me"),
        ("x-api-key", std::str::from_utf8(KEY).unwrap()),
        ("authorization", &format!("Bearer {token}")),
        ("x-checksum", "abc"),
    ];
    let trailers: String = forged
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request = format!(
        "POST /open/1 HTTP/1.1\r\nhost: x.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailers}\r\n"
    );
    let h1 = gate.send_raw(request.as_bytes()).echo();

    let request = Request::new("POST", "/open/1").body("abc");
    let request = forged.iter().fold(request, |request, (name, value)| {
        request.trailer(name.to_ascii_lowercase(), value)
    });
    let h2 = gate.0.client(Protocol::H2).send(&request).echo();

    for (protocol, echo) in [("HTTP/1.1", h1), ("HTTP/2", h2)] {
        let names: Vec<_> = echo.trailers.keys().map(String::as_str).collect();
        assert_eq!(names, ["x-checksum"], "{protocol}: {:?}", echo.trailers);
        assert_eq!(echo.body, "abc", "{protocol}");
    }
}

/// Headers that frameworks take for the path, the method or the host: behind `envoy/envoy.yaml` none reaches an upstream.
#[test]
fn row_19_what_overrides_a_request_is_removed() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let overrides = [
        "x-original-url",
        "x-rewrite-url",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-forwarded-host",
        "x-envoy-original-path",
        "x-envoy-original-dst-host",
        "x-envoy-attempt-count",
        "x-envoy-peer-metadata",
        "x-envoy-peer-metadata-id",
        "x-envoy-upstream-alt-stat-name",
        "x-envoy-decorator-operation",
    ];
    for (path, key) in [
        ("/public/1", None),
        ("/users/1", Some(demo_key("acme-2026"))),
    ] {
        let request = overrides.iter().fold(Request::get(path), |request, name| {
            request.header(*name, "/admin")
        });
        let request = key
            .into_iter()
            .fold(request, |request, key| request.header("x-api-key", key));
        let echo = gateway.h1().send(&request).echo();
        for name in overrides {
            assert!(
                !echo.header(name).iter().any(|value| value == "/admin"),
                "{path}: {name} reached the upstream"
            );
        }
    }
}

/// A host that keeps the clock from the filter must not make every expired token young again.
#[test]
fn row_14_without_a_clock_no_token_is_valid() {
    const ALLOWED: [&str; 29] = [
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_memory_allocate",
        "proxy_on_context_create",
        "proxy_on_vm_start",
        "proxy_on_configure",
        "proxy_on_request_headers",
        "proxy_on_request_trailers",
        "proxy_on_done",
        "proxy_on_log",
        "proxy_on_delete",
        "proxy_log",
        "proxy_get_log_level",
        "proxy_get_buffer_bytes",
        "proxy_get_header_map_pairs",
        "proxy_replace_header_map_value",
        "proxy_add_header_map_value",
        "proxy_remove_header_map_value",
        "proxy_set_property",
        "proxy_get_property",
        "proxy_send_local_response",
        "proxy_call_foreign_function",
        "proxy_define_metric",
        "proxy_increment_metric",
        "environ_get",
        "environ_sizes_get",
        "fd_write",
        "proc_exit",
        "random_get",
    ];
    let mut bootstrap = super::bootstrap();
    let allowed: serde_json::Map<_, _> = ALLOWED
        .iter()
        .map(|name| ((*name).to_owned(), serde_json::json!({})))
        .collect();
    bootstrap.plugin_mut("gatehouse.auth")["capability_restriction_config"] =
        serde_json::json!({ "allowed_capabilities": allowed });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let with_key = Request::get("/orders/1").header("x-api-key", KEY);
    assert_eq!(
        gateway.h1().send(&with_key).status,
        200,
        "a key needs no clock"
    );
    let forever = FORGE.with_claims(|claims| {
        claims.as_object_mut().unwrap().remove("iat");
        claims["exp"] = serde_json::json!(1_000_000_000);
    });
    for token in [FORGE.good(Sign::Es256), forever] {
        assert_eq!(
            gateway
                .h1()
                .send(&Request::get("/orders/1").bearer(token))
                .status,
            401
        );
    }
}
