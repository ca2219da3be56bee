//! The variants that are compared: ours, Envoy's own, floors, and each host call by itself.

use std::sync::Arc;

use envoy_harness::Algorithm;
use serde_json::{Value, json};

use crate::requests::{Credentials, Requests, customers};
use crate::variant::Expected::{
    self, ForgedIsRefused, Header, HeaderIsThere, InBody, NoHeader, NotInBody,
};
use crate::variant::{Kind, Variant};
use crate::{floors, native, ours};

/// Tokens that a cold variant remembers: fewer than lie between two uses of one.
const COLD_CACHE: usize = 16;

/// How often a call is made where one call is measured.
const CALLS: usize = 10;

const TEAM: [Expected; 2] = [
    Header("seen-x-team", "crm"),
    Header("x-frame-options", "DENY"),
];
const USER: [Expected; 4] = [
    Header("seen-x-user", "user-0"),
    Header("seen-x-consumer", "web-shop"),
    NoHeader("seen-authorization"),
    ForgedIsRefused,
];
const VERSION: Expected = Header("seen-x-gatehouse-api-version", "1");

/// All of them.
pub(crate) fn variants() -> Vec<Variant> {
    let mut all = bases();
    all.extend(filters());
    all.extend(chains());
    all.extend(tokens());
    all.extend(masks());
    all.extend(host_calls());
    all
}

fn ours(name: &str, what: &str) -> Variant {
    Variant::new(Kind::Ours, name, what)
}

fn theirs(name: &str, what: &str) -> Variant {
    Variant::new(Kind::Native, name, what)
}

fn floor(name: &str, what: &str) -> Variant {
    Variant::new(Kind::Floor, name, what)
}

fn small() -> Arc<str> {
    customers(1 << 10).into()
}

fn large() -> Arc<str> {
    customers(100 << 10).into()
}

fn bases() -> Vec<Variant> {
    let base = |name, what| Variant::new(Kind::Base, name, what);
    vec![
        base("unfiltered", "no filter")
            .expecting([NoHeader("seen-x-user"), HeaderIsThere("seen-authorization")]),
        base("proxied", "no filter, an upstream").proxied(),
        base("unfiltered_1k", "no filter, answers of 1 KiB").answering(&small(), "unfiltered_1k"),
        base("unfiltered_100k", "no filter, answers of 100 KiB")
            .answering(&large(), "unfiltered_100k"),
    ]
}

fn filters() -> Vec<Variant> {
    const SAME: &str = "its host calls, nothing else";
    vec![
        floor("empty", "an empty Wasm filter").with([floors::empty()]),
        floor("empty_4", "four of it").with((0..4).map(|_| floors::empty())),
        floor("empty_vms", "four in four VMs").with(floors::four_vms()),
        ours("auth", "auth, warm token")
            .with([ours::auth(None)])
            .expecting(USER),
        floor("auth_floor", SAME)
            .with([floors::auth()])
            .expecting([Header("seen-x-user", "user-0")]),
        ours("rate_limit", "rate-limit by a header")
            .with([ours::rate_limit()])
            .expecting([
                HeaderIsThere("ratelimit"),
                HeaderIsThere("ratelimit-policy"),
            ]),
        floor("rate_limit_floor", SAME)
            .with([floors::rate_limit()])
            .expecting([HeaderIsThere("ratelimit")]),
        ours("transform", "transform, header rules")
            .with([ours::transform()])
            .proxied()
            .expecting(TEAM),
        floor("transform_floor", SAME)
            .with([floors::transform()])
            .proxied()
            .expecting(TEAM),
        ours("routing", "routing, version in the path")
            .with([ours::routing()])
            .expecting([VERSION]),
        floor("routing_floor", SAME)
            .with([floors::routing()])
            .expecting([VERSION]),
        theirs("jwt_authn", "jwt_authn")
            .with([native::jwt_authn(false)])
            .expecting(USER),
        theirs("jwt_authn_cached", "jwt_authn with its cache")
            .with([native::jwt_authn(true)])
            .expecting(USER),
        theirs("local_ratelimit", "local_ratelimit by a header")
            .with([native::local_ratelimit()])
            .expecting([HeaderIsThere("x-ratelimit-remaining")]),
        theirs("header_mutation", "header_mutation")
            .with([native::header_mutation()])
            .proxied()
            .expecting(TEAM),
        theirs("lua", "a Lua script sets headers")
            .with([native::lua()])
            .proxied()
            .expecting(TEAM),
    ]
}

fn chains() -> Vec<Variant> {
    let native = |cached| {
        [
            native::jwt_authn(cached),
            native::local_ratelimit(),
            native::header_mutation(),
        ]
    };
    let limited = HeaderIsThere("x-ratelimit-remaining");
    vec![
        ours("chain", "our four")
            .with(ours::chain())
            .proxied()
            .expecting(USER)
            .expecting(TEAM)
            .expecting([HeaderIsThere("ratelimit"), VERSION]),
        floor("chain_floor", "their host calls, nothing else")
            .with(floors::chain())
            .proxied()
            .expecting(TEAM)
            .expecting([HeaderIsThere("ratelimit"), VERSION]),
        floor("joined_floor", "the same by one module")
            .with([floors::joined()])
            .proxied()
            .expecting(TEAM)
            .expecting([HeaderIsThere("ratelimit"), VERSION]),
        theirs("native", "those three of Envoy's")
            .with(native(false))
            .proxied()
            .expecting(USER)
            .expecting(TEAM)
            .expecting([limited.clone()]),
        theirs("native_cached", "those three, token cache")
            .with(native(true))
            .proxied()
            .expecting(USER)
            .expecting(TEAM)
            .expecting([limited]),
    ]
}

fn tokens() -> Vec<Variant> {
    let with = |credentials| Requests {
        credentials,
        ..Requests::default()
    };
    let (rs256, es256) = (
        Credentials::Tokens(Algorithm::RS256),
        Credentials::Tokens(Algorithm::ES256),
    );
    let cold = |name: &str, what: &str, sent| {
        ours(name, what)
            .with([ours::auth(Some(COLD_CACHE))])
            .sending(with(sent))
            .expecting(USER)
    };
    let native = |name: &str, sent| {
        theirs(name, "jwt_authn, the same")
            .with([native::jwt_authn(false)])
            .sending(with(sent))
            .expecting(USER)
    };
    vec![
        cold("auth_rs256_cold", "auth, each token new, RS256", rs256),
        native("jwt_authn_rs256_cold", rs256),
        cold("auth_es256_cold", "auth, each token new, ES256", es256),
        native("jwt_authn_es256_cold", es256),
        ours("api_key", "auth, a key among 10,000")
            .with([ours::auth_keys(10_000)])
            .sending(with(Credentials::ApiKey))
            .expecting([
                Header("seen-x-consumer", "acme"),
                NoHeader("seen-x-api-key"),
            ]),
        ours("garbage", "auth refuses a garbage token")
            .with([ours::auth(None)])
            .sending(with(Credentials::Garbage))
            .refused(401),
        theirs("jwt_authn_garbage", "jwt_authn, the same")
            .with([native::jwt_authn(true)])
            .sending(with(Credentials::Garbage))
            .refused(401),
    ]
}

/// What is compared is the work on the JSON: each is measured against the same host calls around a body that stays as it is.
fn masks() -> Vec<Variant> {
    let masked = || [InBody("\"email\":\"***\""), NotInBody("@mail")];
    let mut all = Vec::new();
    for (size, body) in [("1k", small()), ("100k", large())] {
        let calls = format!("mask_floor_{size}");
        all.push(
            floor(&calls, "its host calls, nothing else")
                .with([floors::masking()])
                .answering(&body, format!("unfiltered_{size}"))
                .expecting([InBody("@mail")]),
        );
        all.push(
            ours(&format!("mask_{size}"), "transform masks, over its calls")
                .with([ours::masking()])
                .answering(&body, calls.as_str())
                .expecting(masked()),
        );
        all.push(
            floor(&format!("dom_{size}"), "a serde_json tree, the same")
                .with([floors::tree()])
                .answering(&body, calls.as_str())
                .expecting(masked()),
        );
        all.push(
            floor(&format!("rewriter_{size}"), "our rewriter, the same")
                .with([floors::rewriter()])
                .answering(&body, calls)
                .expecting(masked()),
        );
    }
    all
}

fn host_calls() -> Vec<Variant> {
    let value = "value of 24 bytes or so.";
    [
        ("read_head", "the header map", json!("read_head")),
        (
            "replace",
            "one header replaced",
            json!({ "replace": ["x-floor", value] }),
        ),
        (
            "add",
            "one header added",
            json!({ "add": ["x-floor", value] }),
        ),
        ("remove", "a header removed", json!({ "remove": "x-floor" })),
        (
            "get_property",
            "a property read",
            json!({ "get": ["xds", "route_name"] }),
        ),
        (
            "set_property",
            "filter state written",
            json!({ "set": ["bench.call", value] }),
        ),
        ("count", "a counter", json!({ "count": "floor.call" })),
        (
            "swap",
            "shared data read and swapped",
            json!({ "swap": "bench-call" }),
        ),
        ("realtime", "the clock", json!("realtime")),
        ("log", "a line that is not logged", json!("log")),
    ]
    .into_iter()
    .map(|(name, what, call): (&str, &str, Value)| {
        let calls = vec![call; CALLS];
        Variant::new(Kind::HostCall(CALLS), format!("call_{name}"), what)
            .with([floors::calls(&calls)])
            .against("empty")
    })
    .collect()
}
