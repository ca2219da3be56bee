//! Requests and responses as tests write and read them.

use http::HeaderMap;
use serde_json::Value;
use upstreams::Echo;

/// A request that an HTTP library can send; what no library sends goes by [`Client::raw`](crate::Client::raw).
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Host, or `:authority`; the client's own if not set.
    pub authority: Option<String>,
    /// Headers in their order; values are bytes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body; none if empty.
    pub body: Vec<u8>,
    /// Trailers, which only go out after a body or over HTTP/2.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the body ends by an empty frame of its own, over HTTP/1.1 by an empty chunk; else its last data says that it is
    /// over, or trailers do.
    pub has_empty_end: bool,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            authority: None,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            has_empty_end: false,
        }
    }

    /// `GET` that path.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A unary gRPC call of `/service/method` with that message; for a client of HTTP/2.
    pub fn grpc(path: impl Into<String>, message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).expect("a message of a test is small");
        let mut body = vec![0];
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(message);
        Self::new("POST", path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
    }

    /// The same as gRPC-Web (`application/grpc-web+proto`), which any client can send.
    pub fn grpc_web(path: impl Into<String>, message: &[u8]) -> Self {
        let mut request = Self::grpc(path, message);
        request.headers = vec![
            ("content-type".into(), b"application/grpc-web+proto".into()),
            ("x-grpc-web".into(), b"1".into()),
        ];
        request
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Adds `authorization: Bearer TOKEN`.
    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        self.header("authorization", format!("Bearer {}", token.as_ref()))
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the host, or `:authority`.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Ends the body by an empty frame, or chunk.
    pub fn empty_end(mut self) -> Self {
        self.has_empty_end = true;
        self
    }

    /// Adds a trailer.
    pub fn trailer(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push((name.into(), value.as_ref().to_vec()));
        self
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
    /// Trailers; empty if there were none.
    pub trailers: HeaderMap,
}

impl Response {
    /// The one value of a header; none if it is absent or not visible ASCII.
    ///
    /// # Panics
    /// If it is there more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert!(
            values.next().is_none(),
            "{name} is there more than once: {:?}",
            self.headers
        );
        value.to_str().ok()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!(
                "{} with a body that is no JSON ({error}): {}",
                self.status,
                self.text()
            )
        })
    }

    /// What a replica says that it was sent; from a gRPC answer too.
    ///
    /// # Panics
    /// If no replica answered.
    pub fn echo(&self) -> Echo {
        // A gRPC message stands behind a flag of one byte and a length of four.
        let json = match self.body.first() {
            Some(0) => self.body.get(5..).unwrap_or_default(),
            _ => &self.body,
        };
        serde_json::from_slice(json).unwrap_or_else(|error| {
            panic!(
                "{}, and no replica's answer ({error}): {}",
                self.status,
                self.text()
            )
        })
    }

    /// `grpc-status`, from the trailers or, where the answer is trailers only, from the headers.
    pub fn grpc_status(&self) -> Option<i32> {
        let status = self
            .trailers
            .get("grpc-status")
            .or_else(|| self.headers.get("grpc-status"))?;
        status.to_str().ok()?.parse().ok()
    }
}
