//! Request headers that no filter takes for a purpose of its own.

use crate::name::HeaderName;
use crate::spelling::same_spelling;

/// Names, in lower case, that frame the message, choose the connection, carry credentials or content negotiation, or are
/// read by the proxy itself. A configuration that would have a filter write or remove one of these is refused.
pub const RESERVED_REQUEST_HEADERS: [&str; 19] = [
    "accept",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-request-id",
];

/// Whether the name is one of [`RESERVED_REQUEST_HEADERS`], or one that an upstream may take for it.
///
/// What a filter writes it first removes in every spelling: told to write `content_length`, it would take `content-length`
/// from every request.
pub fn is_reserved_request_header(name: &HeaderName) -> bool {
    RESERVED_REQUEST_HEADERS
        .iter()
        .any(|reserved| same_spelling(reserved.as_bytes(), name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_name_is_reserved_in_every_spelling() {
        for (name, reserved) in [
            ("content-length", true),
            ("Content_Length", true),
            ("host", true),
            ("te", true),
            ("x.forwarded.for", true),
            ("x-user", false),
            ("tea", false),
        ] {
            let name = HeaderName::try_from(name).unwrap();
            assert_eq!(is_reserved_request_header(&name), reserved, "{name}");
        }
    }
}
