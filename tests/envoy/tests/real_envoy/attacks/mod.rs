//! Attacks, byte by byte, on a real Envoy with the auth filter alone in front of an upstream that echoes what it was sent.
//!
//! The listener does no path normalisation and speaks plain HTTP/1.1, so that nothing but the filter stands in the way. The
//! numbers of the tests are those of the catalogue in `tests/README.md`.

mod elsewhere;
mod identity;
mod paths;
mod tokens;

use std::sync::LazyLock;

use envoy_harness::{Bootstrap, Echo, Gateway, Options, Read, StartError, skipped};
use serde_json::{Value, json};

use crate::forge::{FORGE, HMAC_ISSUER, ISSUER};

/// The key of the credential `attack-1`, as the harness puts it in.
const KEY: &[u8] = b"demo-key-of-attack-1";

/// A header as it is sent.
type Header<'a> = (&'a str, &'a [u8]);

/// One Envoy for all attacks: what one of them breaks, the next one sees.
static GATEWAY: LazyLock<Result<Gateway, StartError>> = LazyLock::new(|| {
    Gateway::try_start(
        &bootstrap(),
        &Options {
            counted: false,
            ..Options::default()
        },
    )
});

/// The gateway under attack, for one test. At the end of the test it must not have lost a VM.
struct Gate(&'static Gateway);

/// An answer, read from the bytes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// The gateway under attack; None where there is no Envoy, which has been said then.
fn gate() -> Option<Gate> {
    match &*GATEWAY {
        Ok(gateway) => Some(Gate(gateway)),
        Err(StartError::Missing(missing)) => {
            skipped(missing);
            None
        }
        Err(error) => panic!("the gateway does not start: {error}"),
    }
}

/// `envoy/single/auth.yaml`, stripped of what protects the filter.
fn bootstrap() -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/auth.yaml");
    bootstrap.set_filter_config("gatehouse.auth", configuration());
    let manager = bootstrap.connection_manager_mut();
    manager["normalize_path"] = false.into();
    manager["merge_slashes"] = false.into();
    manager["path_with_escaped_slashes_action"] = "KEEP_UNCHANGED".into();
    // Methods of other protocols reach the filter too.
    manager["upgrade_configs"] =
        json!([{ "upgrade_type": "websocket" }, { "upgrade_type": "CONNECT" }]);
    bootstrap.pass_trailers();
    bootstrap
}

/// The auth configuration under attack.
fn configuration() -> Value {
    json!({
        "version": 1,
        "api_keys": {
            "sources": [{ "header": "x-api-key" }, { "query": "api_key" }],
            "keys": [{ "id": "attack-1", "sha256": "0".repeat(64), "consumer": "tester", "groups": ["staff"], "scopes": ["orders:read"] }]
        },
        "jwt": { "providers": [
            { "name": "main", "issuer": ISSUER, "audiences": ["api"], "claims": { "groups": "groups" }, "jwks": FORGE.jwks() },
            { "name": "hmac", "issuer": HMAC_ISSUER, "audiences": ["api"], "jwks": FORGE.hmac_jwks() },
        ] },
        "upstream_headers": { "subject": "x-user", "consumer": "x-consumer", "groups": "x-groups" },
        "strip_headers": ["x-authenticated-*"],
        "rules": [
            { "name": "open", "match": { "path": { "prefix": "/open" } }, "allow_anonymous": true },
            { "name": "read", "match": { "path": { "prefix": "/read" }, "methods": ["GET"] }, "allow_anonymous": true },
            { "name": "shadow", "match": { "path": { "prefix": "/shadow" } }, "mode": "shadow",
              "any": [{ "credential": "jwt", "provider": "main" }] },
            { "name": "admin-host", "match": { "hosts": ["admin.test"] }, "any": [{ "credential": "jwt", "provider": "main" }] },
            { "name": "other-hosts", "match": { "path": { "prefix": "/hosts" } }, "allow_anonymous": true },
            { "name": "orders", "match": { "path": { "prefix": "/orders" } },
              "any": [{ "credential": "jwt", "provider": "main" }, { "credential": "jwt", "provider": "hmac" }, { "credential": "api_key" }] },
        ]
    })
}

impl Gate {
    /// A GET with these headers.
    fn get(&self, target: &str, headers: &[Header]) -> Answer {
        self.send(b"GET", target.as_bytes(), headers, b"")
    }

    /// A request, every byte as given.
    fn send(&self, method: &[u8], target: &[u8], headers: &[Header], body: &[u8]) -> Answer {
        let mut bytes = [method, b" ", target, b" HTTP/1.1\r\nhost: x.test\r\n"].concat();
        for (name, value) in headers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if !headers.iter().any(|(name, _)| *name == "connection") {
            bytes.extend_from_slice(b"connection: close\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        self.send_raw(&bytes)
    }

    /// Bytes, and the first answer to them. No answer but a closed connection counts as 400: nothing got through.
    fn send_raw(&self, bytes: &[u8]) -> Answer {
        match self.0.h1().try_raw(bytes, Read::OneAnswer) {
            Ok(raw) => Answer::parse(&raw.0),
            Err(_) => Answer {
                status: 400,
                headers: Vec::new(),
                body: String::new(),
            },
        }
    }

    /// What a request without a credential is told, which every refused one must be told too.
    fn constant_401(&self) -> Value {
        let answer = self.get("/orders/1", &[]);
        assert_eq!(answer.status, 401, "{}", answer.text());
        answer.problem()
    }

    /// Fails unless a token is let in as alice, so that a refusal before meant something.
    fn assert_lets_in(&self, token: &str) {
        let answer = self.get(
            "/orders/1",
            &[("authorization", format!("Bearer {token}").as_bytes())],
        );
        assert_eq!(
            answer.status,
            200,
            "an honest token is refused: {}",
            answer.text()
        );
        assert_eq!(answer.echo().header("x-user"), ["alice"]);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.assert_filters_alive();
        }
    }
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok());
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked {
            dechunk(body)
        } else {
            body.to_owned()
        };
        Self {
            status: status.unwrap_or(400),
            headers,
            body,
        }
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers
            .iter()
            .find(|(seen, _)| seen == name)
            .map(|(_, value)| value.clone())
    }

    fn text(&self) -> &str {
        &self.body
    }

    /// The problem document without the request's id, the one thing in it that may differ.
    fn problem(&self) -> Value {
        let mut problem: Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.body));
        problem
            .as_object_mut()
            .expect("a problem is an object")
            .remove("request_id");
        problem
    }

    fn grpc_status(&self) -> Option<i32> {
        self.header("grpc-status")
            .and_then(|status| status.parse().ok())
    }

    /// Whether an upstream answered, whatever it said.
    fn reached_upstream(&self) -> bool {
        self.header("x-replica").is_some()
    }

    fn echo(&self) -> Echo {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not an echo: {error}: {}", self.body))
    }

    /// Every header that the upstream got, a pair for each value.
    fn upstream_headers(&self) -> Vec<(String, String)> {
        let echo = self.echo();
        echo.headers
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
            .collect()
    }

    fn upstream_path(&self) -> String {
        self.echo().path
    }
}

/// The body of a chunked answer (RFC 9112 section 7.1).
fn dechunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || after.len() < size {
            break;
        }
        body.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    body
}
