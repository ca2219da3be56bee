//! Replies of our own.

use http_message::LocalReply;

use crate::error::HostError;
use crate::{abi, written};

/// The most header pairs that the host parses: past it a reply goes out with none, and the host says "ok".
const MAX_PAIRS: usize = 1024;

/// The most bytes of headers that the host parses, and our own bound on a reply's body.
const MAX_BYTES: usize = 1024 * 1024;

/// What the host is told when a reply has no gRPC status.
const NO_GRPC_STATUS: i32 = -1;

/// Answers the request in place of the upstream. The host sends the reply after the callback returned, and
/// only the first of several; the callback returns Pause right after.
///
/// # Errors
///
/// Refused here, before the host is asked: [`HostError::BadArgument`] for a status outside 200 to 599 or
/// details other than `[a-z0-9_]`; [`HostError::TooLarge`] past 1024 headers or 1 MiB;
/// [`HostError::ForbiddenByte`] for a pseudo header or a control byte in a value. Otherwise the host's statuses.
pub fn send_local_reply(reply: &LocalReply) -> Result<(), HostError> {
    if !(200..=599).contains(&reply.status) || !is_detail(reply.details) {
        return Err(HostError::BadArgument);
    }
    let headers = reply.headers.as_bytes();
    if reply.headers.len() > MAX_PAIRS || headers.len() > MAX_BYTES || reply.body.len() > MAX_BYTES
    {
        return Err(HostError::TooLarge);
    }
    for (name, value) in reply.headers.iter() {
        written::field_name(name)?;
        written::value(value)?;
    }
    let grpc_status = reply
        .grpc_status
        .map_or(NO_GRPC_STATUS, |status| i32::from(status.code()));
    abi::send_local_response(
        u32::from(reply.status),
        reply.details.as_bytes(),
        &reply.body,
        headers,
        grpc_status,
    )
}

/// Response code details go into access logs as they are; the host replaces no more than spaces.
fn is_detail(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Details with spaces, line ends or quotes would break the access log's lines.
    #[test]
    fn details_are_plain_words() {
        assert!(is_detail("gatehouse_auth_denied"));
        assert!(is_detail(""));
        for refused in ["Denied", "a b", "a\n", "a-b", "é"] {
            assert!(!is_detail(refused), "{refused}");
        }
    }
}
