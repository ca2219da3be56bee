//! What a client sends.

use crate::token::TokenSpec;

/// The header by which a request tells the upstream of a vehicle what JSON to answer with. No filter knows it.
pub const ANSWER: &str = "x-answer";

/// A request, with its credentials as data.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, as it goes over the wire.
    pub method: &'static str,
    /// The request target: path and query, as they go over the wire.
    pub path: String,
    /// Header fields in order, beside those that the credentials add. Values are bytes.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The body; none if empty.
    pub body: Vec<u8>,
    /// What the client proves its identity with, in order.
    pub credentials: Vec<Credential>,
}

/// A credential, and where it goes.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An API key in the header `x-api-key`.
    ApiKey(&'static str),
    /// An API key in the query parameter `api_key`.
    ApiKeyInQuery(&'static str),
    /// A token in `authorization: Bearer …`.
    Bearer(Box<TokenSpec>),
    /// A token in `authorization`, its signature spoilt.
    SpoiltBearer(Box<TokenSpec>),
    /// A token in `authorization`, the scheme spelt otherwise.
    Scheme(&'static str, Box<TokenSpec>),
}

/// A request as it goes over the wire, its credentials made. Authority and framing are for the vehicle to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireRequest {
    /// The method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Header fields in order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; none if empty.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers, body and credentials.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Request {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
            credentials: Vec::new(),
        }
    }

    /// `GET` that path.
    pub fn get(path: impl Into<String>) -> Self {
        Request::new("GET", path)
    }

    /// A gRPC call with one empty message.
    pub fn grpc(path: impl Into<String>) -> Self {
        Request::new("POST", path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body([0, 0, 0, 0, 0])
    }

    /// A gRPC-Web call with one empty message.
    pub fn grpc_web(path: impl Into<String>) -> Self {
        Request::new("POST", path)
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1")
            .body([0, 0, 0, 0, 0])
    }

    /// Adds a header field.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The upstream answers with this JSON.
    pub fn answered_with(self, json: &'static str) -> Self {
        self.header(ANSWER, json)
    }

    /// Adds a credential.
    pub fn with(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Adds a token in `authorization: Bearer …`.
    pub fn bearer(self, token: TokenSpec) -> Self {
        self.with(Credential::Bearer(Box::new(token)))
    }

    /// The request with its credentials made; `token` signs one (see [`TokenSpec::compact`]).
    pub fn on_the_wire(&self, mut token: impl FnMut(&TokenSpec) -> String) -> WireRequest {
        let mut path = self.path.clone();
        let mut headers: Vec<(String, Vec<u8>)> = self
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let mut authorization = |scheme: &str, token: String| {
            let value = format!("{scheme} {token}").into_bytes();
            headers.push(("authorization".to_owned(), value));
        };
        for credential in &self.credentials {
            match credential {
                Credential::ApiKey(_) => {}
                Credential::ApiKeyInQuery(key) => {
                    path.push(if path.contains('?') { '&' } else { '?' });
                    path.push_str("api_key=");
                    path.push_str(key);
                }
                Credential::Bearer(spec) => authorization("Bearer", token(spec)),
                Credential::SpoiltBearer(spec) => authorization("Bearer", spoil(&token(spec))),
                Credential::Scheme(scheme, spec) => authorization(scheme, token(spec)),
            }
        }
        for credential in &self.credentials {
            if let Credential::ApiKey(key) = credential {
                headers.push(("x-api-key".to_owned(), key.as_bytes().to_vec()));
            }
        }
        WireRequest {
            method: self.method,
            path,
            headers,
            body: self.body.clone(),
        }
    }
}

/// Changes the first character of the signature: the token stays well-formed, and all of the character's bits count.
fn spoil(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let rest: String = signature.chars().skip(1).collect();
    format!("{signed}.{other}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Key;

    #[test]
    fn credentials_go_where_they_belong() {
        let wire = Request::get("/users?a=1")
            .header("x-one", "1")
            .with(Credential::ApiKey("key"))
            .with(Credential::ApiKeyInQuery("other"))
            .bearer(TokenSpec::new(Key::Es256))
            .on_the_wire(|_| "a.b.c".to_owned());
        assert_eq!(wire.path, "/users?a=1&api_key=other");
        let headers: Vec<_> = wire
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        assert_eq!(
            headers,
            [
                ("x-one", &b"1"[..]),
                ("authorization", b"Bearer a.b.c"),
                ("x-api-key", b"key")
            ]
        );
    }

    // A spoilt token that is the same token would be let in, and the scenario would blame auth.
    #[test]
    fn a_spoilt_token_differs() {
        assert_eq!(spoil("a.b.Axx"), "a.b.Bxx");
        assert_eq!(spoil("a.b.xxx"), "a.b.Axx");
    }
}
