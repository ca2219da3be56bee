//! What is sent.

use envoy_harness::{Algorithm, Gateway, demo_key};
use serde_json::{Map, Value, json};

/// Tokens that differ from request to request: many more than the cache of a cold variant holds.
const DISTINCT_TOKENS: usize = 512;

/// The path whose answer repeats what the filters made of the request.
pub(crate) const CHECK_PATH: &str = "/v1/orders/check";

/// What requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// The same token in every request.
    Token(Algorithm),
    /// Another token in each.
    Tokens(Algorithm),
    ApiKey,
    /// A token whose signature is none.
    Garbage,
}

/// The requests of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) credentials: Credentials,
    /// Headers beside those of a browser.
    pub(crate) more_headers: usize,
    /// Tenants that they name, one after another.
    pub(crate) tenants: usize,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            credentials: Credentials::Token(Algorithm::RS256),
            more_headers: 0,
            tenants: 1,
        }
    }
}

impl Requests {
    /// Every one of them, to be sent over and over.
    pub(crate) fn all(&self) -> Vec<Vec<u8>> {
        let credentials: Vec<String> = match self.credentials {
            Credentials::Tokens(algorithm) => (1..=DISTINCT_TOKENS)
                .map(|number| bearer(&token(algorithm, number)))
                .collect(),
            _ => vec![self.credential()],
        };
        let count = credentials.len().max(self.tenants);
        credentials
            .iter()
            .cycle()
            .take(count)
            .enumerate()
            .map(|(index, credential)| {
                self.head("/v1/orders/42?page=1", index % self.tenants, credential)
            })
            .collect()
    }

    /// The request whose answer shows what the filters did.
    pub(crate) fn check(&self) -> Vec<u8> {
        self.head(CHECK_PATH, 0, &self.credential())
    }

    /// The same with a token that somebody else has signed; none where no token is sent.
    pub(crate) fn forged(&self) -> Option<Vec<u8>> {
        let (Credentials::Token(algorithm) | Credentials::Tokens(algorithm)) = self.credentials
        else {
            return None;
        };
        let (good, other) = (token(algorithm, 0), token(algorithm, 1));
        let (signed, _) = good.rsplit_once('.')?;
        let (_, signature) = other.rsplit_once('.')?;
        Some(self.head(CHECK_PATH, 0, &bearer(&format!("{signed}.{signature}"))))
    }

    fn credential(&self) -> String {
        match self.credentials {
            Credentials::Token(algorithm) | Credentials::Tokens(algorithm) => {
                bearer(&token(algorithm, 0))
            }
            Credentials::ApiKey => format!("x-api-key: {}\r\n", demo_key("bench-0")),
            Credentials::Garbage => {
                bearer("eyJhbGciOiJSUzI1NiIsImtpZCI6InJzMjU2LTEifQ.e30.c2lnbmF0dXJl")
            }
        }
    }

    fn head(&self, path: &str, tenant: usize, credential: &str) -> Vec<u8> {
        let more: String = (0..self.more_headers)
            .map(|number| format!("x-more-{number:02}: some value of a header\r\n"))
            .collect();
        format!(
            "GET {path} HTTP/1.1\r\n\
             host: api.gatehouse.test\r\n\
             user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
             accept: application/json\r\n\
             accept-language: en-GB,en;q=0.7,de;q=0.3\r\n\
             accept-encoding: gzip, deflate, br\r\n\
             referer: https://app.gatehouse.test/orders\r\n\
             origin: https://app.gatehouse.test\r\n\
             x-tenant: tenant-{tenant}\r\n\
             sec-fetch-mode: cors\r\n\
             {credential}{more}\r\n"
        )
        .into_bytes()
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
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

/// `{"customers":[{"id":…,"name":…,"email":…,"address":{…}}…]}` of about that many bytes.
pub(crate) fn customers(bytes: usize) -> String {
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
