//! Another method.

use http_message::{HeaderValue, Protocol, RequestHead, content};

use crate::reason::Reason;

/// The method that requests are sent on with.
#[derive(Debug)]
pub(crate) struct MethodOverride(pub(crate) HeaderValue);

impl MethodOverride {
    /// Methods that no request may be sent on with, in capitals. CONNECT would make a tunnel of it, what comes back for HEAD ends
    /// where its client waits for a body, and TRACE tells the client what the gateway has told the upstream.
    pub(crate) const NEVER: [&str; 3] = ["CONNECT", "HEAD", "TRACE"];

    /// The new method, or nothing if it stays. CONNECT stays, and HEAD: whoever asked by it could not tell where a body that
    /// comes all the same ends.
    ///
    /// `end_of_stream`: nothing follows the headers.
    ///
    /// # Errors
    /// A call of gRPC and its like, which is POST or no call; a body where the new method has none.
    pub(crate) fn apply(
        &self,
        head: &RequestHead,
        end_of_stream: bool,
    ) -> Result<Option<HeaderValue>, Reason> {
        let method = self.0.as_bytes();
        if [method, b"CONNECT", b"HEAD"].contains(&head.method()) {
            return Ok(None);
        }
        // RFC 9110 section 9.3.1: what a server makes of content in a GET, nobody can say, and it is a way to smuggle.
        let body = !end_of_stream && !content::is_empty(head.headers());
        if head.protocol() != Protocol::Http || method == b"GET" && body {
            return Err(Reason::MethodUnfit);
        }
        Ok(Some(self.0.clone()))
    }
}
