//! Row 23: keys that are missing, empty, oversized, repeated or spelt otherwise.

use envoy_harness::{Gateway, Options, Read, Reload};
use serde_json::json;

use super::{counter, with_limits};

/// A request for `path` by bytes, and its status.
fn status(gateway: &Gateway, path: &str, headers: &[(&str, &[u8])]) -> u16 {
    let mut bytes = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    let answer = gateway.h1().raw(&bytes, Read::OneAnswer);
    answer.status().unwrap_or_default()
}

/// Whoever has no key is refused or not limited, as the limit says; whoever has two, or one in a spelling that some upstreams
/// read as the same, is refused in any case.
#[test]
fn row_23_a_key_that_is_missing_empty_or_ambiguous_evades_no_limit() {
    let Some(gateway) = Gateway::start(&with_limits(json!([
        { "name": "deny", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1,
          "match": { "path": { "prefix": "/users/deny" } } },
        { "name": "skip", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1,
          "match": { "path": { "prefix": "/users/skip" } }, "on_missing_key": "skip" },
        { "name": "consumer", "key": "consumer", "rate": "1/h", "burst": 1,
          "match": { "path": { "prefix": "/users/consumer" } } },
    ]))) else {
        return;
    };
    let deny = |headers: &[(&str, &[u8])]| status(&gateway, "/users/deny", headers);
    let skip = |headers: &[(&str, &[u8])]| status(&gateway, "/users/skip", headers);
    for missing in [
        &[][..],
        &[("x-tenant", &b""[..])],
        &[("x-tenant", &b"  \t "[..])],
        &[("x-tenants", &b"a"[..])],
    ] {
        assert_eq!(deny(missing), 403, "{missing:?}");
        assert_eq!(skip(missing), 200, "{missing:?}");
    }
    assert_eq!(counter(&gateway, "missing_key"), 4);
    assert_eq!(counter(&gateway, "skipped_key"), 4);
    for ambiguous in [
        &[("x-tenant", &b"a"[..]), ("x-tenant", b"b")][..],
        &[("x-tenant", b"a"), ("X-Tenant", b"a")],
        &[("x-tenant", b"a"), ("x_tenant", b"b")],
        &[("x_tenant", b"a")],
        &[("X_TENANT", b"a")],
        &[("x.tenant", b"a")],
        &[("x-tenant", b""), ("x-tenant", b"a")],
    ] {
        assert_eq!(deny(ambiguous), 400, "{ambiguous:?}");
        assert_eq!(skip(ambiguous), 400, "{ambiguous:?}");
    }
    assert_eq!(counter(&gateway, "ambiguous_key"), 14);
    // No record of auth is here, and a header is none.
    let forged = [
        ("x-consumer", &b"acme"[..]),
        ("wasm.gatehouse.identity", b"acme"),
    ];
    assert_eq!(status(&gateway, "/users/consumer", &forged), 403);

    let good = [("X-Tenant", &b"acme"[..])];
    assert_eq!([deny(&good), deny(&good)], [200, 429]);
    assert_eq!([skip(&good), skip(&good)], [200, 429]);
}

/// Any bytes of any length are a key, whole: what is cut off or cannot be decoded would make two clients one, or one two.
#[test]
fn row_23_an_oversized_key_is_a_key_like_others() {
    let Some(gateway) = Gateway::start(&with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1 },
    ]))) else {
        return;
    };
    let ask = |key: &[u8]| status(&gateway, "/users/1", &[("x-tenant", key)]);
    let long = "k".repeat(50_000);
    let other = long.clone() + "x";
    for key in [
        long.as_bytes(),
        other.as_bytes(),
        b"\xff\xfe",
        b"\xff\xfd",
        b"acme",
        b"Acme",
        b"acme, acme",
        b"%61cme",
    ] {
        assert_eq!([ask(key), ask(key)], [200, 429], "{}", key.escape_ascii());
    }
    // Spaces around a value are no part of it (RFC 9110 section 5.5).
    assert_eq!(ask(b"  acme \t"), 429);
    // Past what Envoy takes at all.
    assert_eq!(ask("k".repeat(70_000).as_bytes()), 431);
}

/// A request takes one token. What says otherwise is refused with its path, and never ignored.
#[test]
fn row_23_a_weight_is_refused_by_the_configuration() {
    let limits = json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1 },
    ]);
    let bootstrap = with_limits(limits);
    let options = Options {
        reloadable: true,
        ..Options::default()
    };
    let Some(gateway) = Gateway::start_with(&bootstrap, &options) else {
        return;
    };
    for (field, value) in [
        ("cost", json!(0)),
        ("cost", json!(-1)),
        ("cost", json!(1_u64 << 63)),
        ("weight", json!(2)),
        ("hits_addend", json!(2)),
        ("burst", json!(0)),
        ("burst", json!(-1)),
        ("burst", json!(1_000_000_001)),
        ("burst", json!(1.5)),
    ] {
        let mut faulty = bootstrap.clone();
        faulty.edit_filter_config(super::PLUGIN, |config| {
            config["limits"][0][field] = value.clone();
        });
        match gateway.reload(&faulty) {
            Reload::Accepted => panic!("{field}: {value} is taken"),
            Reload::Rejected(log) => assert!(
                log.contains(&format!("limits[0].{field}: ")),
                "{field}: {value}: {log}"
            ),
        }
    }
    assert_eq!(status(&gateway, "/users/1", &[("x-tenant", b"acme")]), 200);
}
