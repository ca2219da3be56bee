//! What a replica says about a request: everything that it was sent.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

/// Bytes of a request body that are repeated; what is longer is read, counted and dropped.
pub const MAX_ECHOED_BODY: usize = 64 * 1024;

/// A request as it reached a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Service that answered: `users` or `orders`.
    pub service: String,
    /// Replica that answered: `users-1`.
    pub replica: String,
    /// `HTTP/1.1` or `HTTP/2.0`, between gateway and replica.
    pub protocol: String,
    /// Method.
    pub method: String,
    /// Authority: the `host` header, or `:authority`.
    pub authority: String,
    /// Path and query, byte for byte.
    pub path: String,
    /// Headers by lower-case name, every value in its order; a byte above 0x7f is the character of that number.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The first [`MAX_ECHOED_BODY`] bytes of the body; what is not UTF-8 is replaced.
    pub body: String,
    /// Bytes of the whole body.
    pub body_bytes: usize,
    /// Trailers, in the form of the headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trailers: BTreeMap<String, Vec<String>>,
}

impl Echo {
    /// Reads the whole request. A body that breaks off is an error.
    pub(crate) async fn read(
        service: &str,
        replica: &str,
        request: Request<Body>,
    ) -> Result<Self, axum::Error> {
        let (head, mut body) = request.into_parts();
        let mut echo = Self {
            service: service.into(),
            replica: replica.into(),
            protocol: format!("{:?}", head.version),
            method: head.method.to_string(),
            authority: authority(&head.uri, &head.headers),
            path: head
                .uri
                .path_and_query()
                .map_or("", |path| path.as_str())
                .into(),
            headers: by_name(&head.headers),
            ..Self::default()
        };
        let mut kept = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => {
                    echo.body_bytes += data.len();
                    let room = MAX_ECHOED_BODY - kept.len();
                    kept.extend_from_slice(&data[..data.len().min(room)]);
                }
                Err(frame) => echo.trailers = frame.trailers_ref().map(by_name).unwrap_or_default(),
            }
        }
        echo.body = String::from_utf8_lossy(&kept).into_owned();
        Ok(echo)
    }

    /// Every value of a header, none if it was not sent.
    pub fn header(&self, name: &str) -> &[String] {
        self.headers.get(name).map_or(&[], Vec::as_slice)
    }
}

fn authority(uri: &axum::http::Uri, headers: &HeaderMap) -> String {
    match (uri.authority(), headers.get("host")) {
        (Some(authority), _) => authority.to_string(),
        (None, Some(host)) => latin1(host.as_bytes()),
        (None, None) => String::new(),
    }
}

fn by_name(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut named = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        named
            .entry(name.to_string())
            .or_default()
            .push(latin1(value.as_bytes()));
    }
    named
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
