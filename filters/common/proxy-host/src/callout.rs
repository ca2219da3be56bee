//! HTTP calls to other services.
//!
//! The answer is routed by the SDK to the context that asked, by a token that only the SDK's own call
//! registers; an answer to a call made past it would panic in the SDK's dispatcher. So every call goes through
//! [`dispatch`], and through nothing else.
//!
//! The answer to a call made by a stream that is gone by then is dropped: calls whose answer others wait for
//! are made by the root context. A refused connection looks like a 503 and a timeout like a 504, with the
//! body "upstream request timeout"; no headers at all is a failure too.

use std::time::Duration;

use proxy_wasm::types::Status;

use crate::error::HostError;
use crate::written;

/// The longest that a call may take.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// The most header pairs that the host takes.
const MAX_PAIRS: usize = 1024;

/// Sends a request to `cluster` and gives the token that `on_http_call_response` will name.
///
/// `headers` hold `:method`, `:path` and `:authority`. The host follows no redirects and decodes no content.
///
/// # Errors
///
/// [`HostError::BadArgument`] for a timeout under a millisecond (the host would wait for ever) or over five minutes,
/// for an unknown cluster, and for missing pseudo headers; [`HostError::ForbiddenByte`] for a header that
/// is not visible ASCII; [`HostError::TooLarge`] for too many of them; [`HostError::Internal`] if the cluster has no endpoint.
pub fn dispatch(
    cluster: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
    timeout: Duration,
) -> Result<u32, HostError> {
    if timeout.as_millis() == 0 || timeout > MAX_TIMEOUT {
        return Err(HostError::BadArgument);
    }
    if headers.len() > MAX_PAIRS {
        return Err(HostError::TooLarge);
    }
    for (name, value) in headers {
        written::name(name.as_bytes())?;
        if !value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Err(HostError::ForbiddenByte);
        }
    }
    // It registers the token with the dispatcher; it answers these two errors and no others.
    #[allow(clippy::disallowed_methods)]
    let token = proxy_wasm::hostcalls::dispatch_http_call(
        cluster,
        headers.to_vec(),
        body,
        Vec::new(),
        timeout,
    );
    token.map_err(|status| match status {
        Status::BadArgument => HostError::BadArgument,
        _ => HostError::Internal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: [(&str, &str); 3] = [(":method", "GET"), (":path", "/"), (":authority", "a")];

    // Timeout 0 means "none" to the host: a silent service would hold requests for ever.
    #[test]
    fn a_timeout_is_needed() {
        for refused in [
            Duration::ZERO,
            Duration::from_micros(999),
            Duration::from_secs(301),
        ] {
            assert_eq!(
                dispatch("idp", &HEADERS, None, refused),
                Err(HostError::BadArgument)
            );
        }
    }

    // Text from a token in a callout's header could end it and begin another.
    #[test]
    fn values_are_visible_ascii() {
        for refused in ["a\r\nx: y", "a\0", "é"] {
            assert_eq!(
                dispatch("idp", &[("x-a", refused)], None, Duration::from_secs(1)),
                Err(HostError::ForbiddenByte)
            );
        }
    }
}
