//! What is compared: each variant is a listener with filters of its own, and the requests that are sent to it.

use std::collections::BTreeMap;

use envoy_harness::{Algorithm, Gateway, demo_key};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::filters::{Module, native, wasm};

/// Tokens that are different in each request of the cold variants; more than their cache holds.
const DISTINCT_TOKENS: usize = 512;

/// One variant.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// Its listener, and its name in the report.
    pub(crate) name: String,
    pub(crate) what: &'static str,
    /// Whose cost is subtracted: the same request without filters.
    pub(crate) base: &'static str,
    pub(crate) filters: Vec<Value>,
    /// The answer of the listener's `direct_response`.
    pub(crate) body: String,
    /// A request that costs so many times as much is sent so many times less often.
    pub(crate) weight: usize,
    pub(crate) status: u16,
    credentials: Credentials,
}

/// What requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credentials {
    /// The same token in every request.
    Token(Algorithm),
    /// Another token in each.
    Tokens(Algorithm),
    ApiKey,
    Garbage,
}

impl Variant {
    fn new(name: &str, what: &'static str, filters: Vec<Value>) -> Self {
        Self {
            name: name.into(),
            what,
            base: "unfiltered",
            filters,
            body: "{\"ok\":true}".into(),
            weight: 1,
            status: 200,
            credentials: Credentials::Token(Algorithm::RS256),
        }
    }

    fn with(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    fn answering(mut self, body: &str, base: &'static str, weight: usize) -> Self {
        self.body = body.into();
        self.base = base;
        self.weight = weight;
        self
    }

    /// The requests, for ever.
    pub(crate) fn heads(&self) -> std::iter::Cycle<std::vec::IntoIter<Vec<u8>>> {
        let bearer = |token: String| format!("authorization: Bearer {token}\r\n");
        let credentials = match self.credentials {
            Credentials::Token(algorithm) => vec![bearer(token(algorithm, 0))],
            Credentials::Tokens(algorithm) => (1..=DISTINCT_TOKENS)
                .map(|number| bearer(token(algorithm, number)))
                .collect(),
            Credentials::ApiKey => vec![format!("x-api-key: {}\r\n", demo_key("bench-5000"))],
            Credentials::Garbage => vec![bearer(
                "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzMjU2LTEifQ.e30.c2lnbmF0dXJl".into(),
            )],
        };
        credentials
            .into_iter()
            .map(|credential| {
                format!(
                    "GET /v1/orders/42?page=1 HTTP/1.1\r\n\
                     host: api.gatehouse.test\r\n\
                     user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
                     accept: application/json\r\n\
                     accept-language: en-GB,en;q=0.7,de;q=0.3\r\n\
                     accept-encoding: gzip, deflate, br\r\n\
                     referer: https://app.gatehouse.test/orders\r\n\
                     origin: https://app.gatehouse.test\r\n\
                     x-tenant: acme\r\n\
                     sec-fetch-mode: cors\r\n\
                     {credential}\r\n"
                )
                .into_bytes()
            })
            .collect::<Vec<_>>()
            .into_iter()
            .cycle()
    }
}

/// All variants, the unfiltered ones first.
pub(crate) fn all() -> Vec<Variant> {
    let rs256 = Credentials::Tokens(Algorithm::RS256);
    let es256 = Credentials::Tokens(Algorithm::ES256);
    let (small, large) = (customers(1 << 10), customers(100 << 10));
    let mask = || wasm("transform", Module::Transform, &masking());
    let floor = |calls: Value| wasm("floor", Module::Floor, &calls);
    let dom = || floor(json!({ "response_body": [{ "dom": "/customers/*/email" }] }));
    let empty = || floor(json!({}));
    let mut variants = vec![
        Variant::new("unfiltered", "no filter", vec![]),
        Variant::new("unfiltered_1k", "no filter, 1 KiB", vec![]).answering(
            &small,
            "unfiltered_1k",
            1,
        ),
        Variant::new("unfiltered_100k", "no filter, 100 KiB", vec![]).answering(
            &large,
            "unfiltered_100k",
            8,
        ),
        Variant::new("empty", "an empty Wasm filter", vec![empty()]),
        Variant::new(
            "empty_4",
            "four of it",
            vec![empty(), empty(), empty(), empty()],
        ),
        Variant::new("auth", "auth, warm token", vec![auth(None)]),
        Variant::new(
            "auth_floor",
            "the same host calls",
            vec![floor(auth_floor())],
        ),
        Variant::new("rate_limit", "rate-limit by a header", vec![rate_limit()]),
        Variant::new(
            "rate_limit_floor",
            "the same host calls",
            vec![floor(rate_limit_floor())],
        ),
        Variant::new("transform", "transform, header rules", vec![transform()]),
        Variant::new(
            "transform_floor",
            "the same host calls",
            vec![floor(transform_floor())],
        ),
        Variant::new("routing", "routing, version from the path", vec![routing()]),
        Variant::new(
            "routing_floor",
            "the same host calls",
            vec![floor(routing_floor())],
        ),
        Variant::new(
            "chain",
            "our four",
            vec![auth(None), rate_limit(), transform(), routing()],
        ),
        Variant::new("jwt_authn", "jwt_authn", vec![native::jwt_authn(false)]),
        Variant::new(
            "jwt_authn_cached",
            "jwt_authn with its cache",
            vec![native::jwt_authn(true)],
        ),
        Variant::new(
            "local_ratelimit",
            "local_ratelimit by a header",
            vec![native::local_ratelimit()],
        ),
        Variant::new(
            "header_mutation",
            "header_mutation",
            vec![native::header_mutation()],
        ),
        Variant::new("native", "those three", native_chain(false)),
        Variant::new(
            "native_cached",
            "those three, token cache",
            native_chain(true),
        ),
        Variant::new("lua", "a Lua filter sets a header", vec![native::lua()]),
        Variant::new(
            "auth_rs256_cold",
            "auth, RS256, each token new",
            vec![auth(Some(16))],
        )
        .with(rs256),
        Variant::new(
            "jwt_authn_rs256_cold",
            "jwt_authn, the same",
            vec![native::jwt_authn(false)],
        )
        .with(rs256),
        Variant::new(
            "auth_es256_cold",
            "auth, ES256, each token new",
            vec![auth(Some(16))],
        )
        .with(es256),
        Variant::new(
            "jwt_authn_es256_cold",
            "jwt_authn, the same",
            vec![native::jwt_authn(false)],
        )
        .with(es256),
        Variant::new("api_key", "auth, a key among 10,000", vec![auth_keys()])
            .with(Credentials::ApiKey),
        Variant::new("garbage", "auth refuses garbage", vec![auth(None)])
            .with(Credentials::Garbage),
        Variant::new("mask_1k", "masking, 1 KiB", vec![mask()]).answering(
            &small,
            "unfiltered_1k",
            1,
        ),
        Variant::new("mask_100k", "masking, 100 KiB", vec![mask()]).answering(
            &large,
            "unfiltered_100k",
            8,
        ),
        Variant::new("dom_1k", "by a serde_json tree, 1 KiB", vec![dom()]).answering(
            &small,
            "unfiltered_1k",
            1,
        ),
        Variant::new("dom_100k", "the same, 100 KiB", vec![dom()]).answering(
            &large,
            "unfiltered_100k",
            8,
        ),
    ];
    for variant in &mut variants {
        if variant.credentials == Credentials::Garbage {
            variant.status = 401;
        }
    }
    variants
}

fn native_chain(cached: bool) -> Vec<Value> {
    vec![
        native::jwt_authn(cached),
        native::local_ratelimit(),
        native::header_mutation(),
    ]
}

/// A token as a user's client holds it.
fn token(algorithm: Algorithm, number: usize) -> String {
    let claims = json!({
        "sub": format!("user-{number}"), "azp": "web-shop", "scope": "orders:read orders:write",
        "groups": ["staff"], "plan": "gold", "aud": "api", "exp": 4_102_444_800_u64,
    });
    let claims: Map<String, Value> = claims.as_object().cloned().unwrap_or_default();
    Gateway::issuer().token_with_claims(algorithm, claims)
}

fn auth(cached: Option<u32>) -> Value {
    let mut config = json!({
        "version": 1,
        "jwt": { "providers": [{
            "name": "main", "issuer": Gateway::issuer().name(), "audiences": ["api"],
            "claims": { "consumer": "azp", "plan": "plan", "groups": "groups" },
            "jwks": Gateway::issuer().key_set(),
        }] },
        "upstream_headers": { "subject": "x-user", "consumer": "x-consumer", "scopes": "x-scopes" },
        "rules": [
            { "name": "health", "match": { "path": { "exact": "/healthz" } }, "allow_anonymous": true },
            { "name": "orders", "match": { "path": { "prefix": "/v1/orders" } },
              "any": [{ "credential": "jwt", "scopes": ["orders:read"] }] },
        ],
    });
    if let Some(entries) = cached {
        config["jwt"]["token_cache"] = json!({ "max_entries": entries });
    }
    wasm("auth", Module::Auth, &config)
}

fn auth_keys() -> Value {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let keys: Vec<Value> = (0..10_000)
        .map(|number| {
            let id = format!("bench-{number}");
            let sha256 = hex(&Sha256::digest(demo_key(&id)));
            json!({ "id": id, "sha256": sha256, "consumer": "acme", "scopes": ["orders:read"] })
        })
        .collect();
    let config = json!({
        "version": 1,
        "api_keys": { "sources": [{ "header": "x-api-key" }], "keys": keys },
        "upstream_headers": { "consumer": "x-consumer" },
        "rules": [{ "name": "orders", "match": { "path": { "prefix": "/v1/orders" } },
                    "any": [{ "credential": "api_key", "scopes": ["orders:read"] }] }],
    });
    wasm("auth", Module::Auth, &config)
}

fn rate_limit() -> Value {
    let config = json!({
        "version": 1,
        "table": { "slots": 4096 },
        "limits": [{ "name": "tenant", "match": { "path": { "prefix": "/v1" } }, "key": { "header": "x-tenant" },
                     "rate": "1000000/s" }],
    });
    wasm("rate_limit", Module::RateLimit, &config)
}

fn transform() -> Value {
    let config = json!({
        "version": 1,
        "rules": [{ "name": "orders", "match": { "path": { "prefix": "/v1" } },
                    "request": { "headers": { "set": { "x-team": "crm" } } },
                    "response": { "headers": { "set": { "x-frame-options": "DENY" } } } }],
    });
    wasm("transform", Module::Transform, &config)
}

fn masking() -> Value {
    json!({
        "version": 1,
        "rules": [{ "name": "customers", "match": { "path": { "prefix": "/v1" } },
                    "response": { "body": [{ "mask": "/customers/*/email" }] } }],
    })
}

fn routing() -> Value {
    let config = json!({
        "version": 1,
        "api_version": { "supported": ["1", "2"], "default": "1", "sources": [{ "path_prefix": true }] },
    });
    wasm("routing", Module::Routing, &config)
}

/// `{"customers":[{"id":…,"name":…,"email":…,"address":{…}}…]}` of about that many bytes.
fn customers(bytes: usize) -> String {
    let customer = |number: usize| {
        format!(
            "{{\"id\":{number},\"name\":\"Customer {number}\",\"email\":\"customer{number}@mail.gatehouse.test\",\
             \"address\":{{\"street\":\"Long Street {number}\",\"city\":\"Utrecht\"}},\"active\":true}}"
        )
    };
    let mut list = Vec::new();
    let mut size = 16;
    while size < bytes {
        let next = customer(list.len());
        size += next.len() + 1;
        list.push(next);
    }
    format!("{{\"customers\":[{}]}}", list.join(","))
}

fn auth_floor() -> Value {
    json!({ "request": [
        "read_head", "realtime",
        { "set": ["gatehouse.identity", "x".repeat(180)] }, { "set": ["gatehouse.auth.identity", "jwt:user-0"] },
        { "set": ["gatehouse.auth.rule", "orders"] }, { "set": ["gatehouse.auth.decision", "allow"] },
        { "set": ["gatehouse.auth.reason", "ok"] },
        { "remove": "authorization" }, { "replace": ["cache-control", "no-store"] }, { "replace": ["x-user", "user-0"] },
        { "replace": ["x-consumer", "web-shop"] }, { "replace": ["x-scopes", "orders:read,orders:write"] },
        { "count": "floor.auth" },
    ] })
}

fn rate_limit_floor() -> Value {
    json!({
        "request": ["read_head", "monotonic", { "swap": "floor" }, { "count": "floor.rate_limit" }],
        "response": [{ "add": ["ratelimit-policy", "\"tenant\";q=1000000;w=1"] },
                     { "add": ["ratelimit", "\"tenant\";r=999999;t=1"] }],
    })
}

fn transform_floor() -> Value {
    json!({
        "request": ["read_head", { "replace": ["x-team", "crm"] }, { "count": "floor.transform" }],
        "response": [{ "get": ["response", "code_details"] }, "read_head", { "replace": ["x-frame-options", "DENY"] }],
    })
}

fn routing_floor() -> Value {
    json!({ "request": ["read_head", { "set": ["gatehouse.api_version", "1"] },
                        { "replace": ["x-gatehouse-api-version", "1"] }, { "count": "floor.routing" }] })
}

/// Names of all variants with what they are.
pub(crate) fn titles(variants: &[Variant]) -> BTreeMap<&str, &'static str> {
    variants
        .iter()
        .map(|variant| (variant.name.as_str(), variant.what))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use fake_host::{FilterStatus, Host, VmOptions};

    use super::*;

    /// What the variant's one filter asks of the host for its second request, the answer included.
    fn calls(variants: &[Variant], name: &str, register: fn()) -> Vec<&'static str> {
        let variant = variants
            .iter()
            .find(|variant| variant.name == name)
            .unwrap();
        let config = variant.filters[0]
            .pointer("/typed_config/config/configuration/value")
            .and_then(Value::as_str)
            .unwrap();
        let host = Host::new();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        host.clock().set_realtime(now.unwrap());
        let vm = host
            .start(VmOptions::new(name, register).config(config))
            .unwrap_or_else(|refused| panic!("{name}: {refused}"));
        let head = variant.heads().next().unwrap();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let path = lines.next().unwrap().split(' ').nth(1).unwrap();
        let mut pairs = vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "api"),
            (":path", path),
        ];
        pairs.extend(lines.filter_map(|line| line.split_once(": ")));
        let mut functions = Vec::new();
        for _ in 0..2 {
            let mut stream = vm.request(pairs.clone());
            assert_eq!(
                stream.request_headers(true),
                FilterStatus::Continue,
                "{name}"
            );
            stream.response_headers(
                [(":status", "200"), ("content-type", "application/json")],
                true,
            );
            functions = stream
                .cost()
                .calls
                .iter()
                .map(|call| call.function)
                .collect();
        }
        functions.sort_unstable();
        functions
    }

    // A floor that does less than the filter would make the filter look dear, one that does more cheap.
    #[test]
    fn each_floor_makes_the_calls_of_its_filter() {
        let variants = all();
        for (name, register) in [
            ("auth", gatehouse_auth::register as fn()),
            ("rate_limit", gatehouse_rate_limit::register),
            ("transform", gatehouse_transform::register),
            ("routing", gatehouse_routing::register),
        ] {
            let floor = calls(&variants, &format!("{name}_floor"), floor_filter::register);
            assert_eq!(calls(&variants, name, register), floor, "{name}");
        }
    }
}
