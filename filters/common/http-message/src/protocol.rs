//! The protocol that a request speaks over HTTP.

use crate::query::{Query, query_decodes_to};

/// What a request speaks. It decides how an answer of ours must look and whether the path names a method of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Plain HTTP.
    Http,
    /// gRPC: content type `application/grpc`, with a `+` suffix or parameters if any.
    Grpc,
    /// gRPC-Web: content type `application/grpc-web` or `application/grpc-web-text`, the same.
    GrpcWeb,
    /// Connect: content type `application/connect+…` (streams), the header `connect-protocol-version` (unary), or GET with
    /// the query parameter `connect=v1`.
    Connect,
}

impl Protocol {
    /// The protocol of a request with this content type, as far as that tells: `Http` also for unary Connect. Letter case
    /// does not matter.
    pub fn of_content_type(content_type: &[u8]) -> Protocol {
        if content_type.is_empty() {
            Protocol::Http
        } else if is_media_type(content_type, b"application/grpc") {
            Protocol::Grpc
        } else if is_media_type(content_type, b"application/grpc-web")
            || is_media_type(content_type, b"application/grpc-web-text")
        {
            Protocol::GrpcWeb
        } else if strip_prefix_ignoring_case(content_type, b"application/connect+").is_some() {
            Protocol::Connect
        } else {
            Protocol::Http
        }
    }

    /// The protocol of a request; `connect` says whether it has the header `connect-protocol-version`.
    pub(crate) fn of_request(
        connect: bool,
        content_type: &[u8],
        method: &[u8],
        target: &[u8],
    ) -> Protocol {
        match Protocol::of_content_type(content_type) {
            Protocol::Http if connect || (method == b"GET" && asks_for_connect(target)) => {
                Protocol::Connect
            }
            protocol => protocol,
        }
    }

    /// Whether the path of such a request names a service and a method.
    pub fn has_methods(self) -> bool {
        match self {
            Protocol::Http => false,
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => true,
        }
    }
}

/// Whether a target has the query parameter `connect=v1`.
#[inline(never)]
fn asks_for_connect(target: &[u8]) -> bool {
    let mut pairs = Query::of(target).iter();
    pairs.any(|(name, value)| query_decodes_to(name, b"connect") && query_decodes_to(value, b"v1"))
}

/// Whether the value is the media type, alone, with a `+` suffix or with parameters.
pub(crate) fn is_media_type(value: &[u8], media_type: &[u8]) -> bool {
    match strip_prefix_ignoring_case(value, media_type).map(|rest| rest.first()) {
        Some(None | Some(b'+' | b';' | b' ' | b'\t')) => true,
        Some(Some(_)) | None => false,
    }
}

/// Once in a module: there are many prefixes, and in its callers it would be unrolled for each.
#[inline(never)]
fn strip_prefix_ignoring_case<'a>(value: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::RequestHead;
    use crate::header_map::HeaderMap;

    #[test]
    fn content_types_tell_grpc_from_grpc_web_and_connect() {
        // "application/grpc" is a prefix of other types: a plain starts-with takes gRPC-Web for gRPC.
        for (content_type, protocol) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("application/grpc; charset=utf-8", Protocol::Grpc),
            ("application/grpc ;x", Protocol::Grpc),
            ("Application/GRPC+json", Protocol::Grpc),
            ("application/grpcx", Protocol::Http),
            ("application/grpc/", Protocol::Http),
            ("application/grpc-", Protocol::Http),
            ("application/grpc-web", Protocol::GrpcWeb),
            ("application/grpc-web+proto", Protocol::GrpcWeb),
            ("application/grpc-web-text", Protocol::GrpcWeb),
            ("application/grpc-web-text+proto", Protocol::GrpcWeb),
            ("application/grpc-web;x=y", Protocol::GrpcWeb),
            ("application/grpc-webx", Protocol::Http),
            ("application/grpc-web-textual", Protocol::Http),
            ("application/connect+proto", Protocol::Connect),
            ("application/connect", Protocol::Http),
            ("application/json", Protocol::Http),
            ("", Protocol::Http),
        ] {
            assert_eq!(
                Protocol::of_content_type(content_type.as_bytes()),
                protocol,
                "{content_type}"
            );
        }
    }

    #[test]
    fn unary_connect_is_told_by_header_or_query() {
        let of = |headers: &[(&str, &str)], method: &str, target: &str| {
            let pseudo = [
                (":method", method),
                (":path", target),
                ("content-type", "application/json"),
            ];
            let pairs = pseudo.iter().chain(headers).copied();
            RequestHead::new(HeaderMap::from_pairs(pairs)).protocol()
        };
        assert_eq!(
            of(&[("connect-protocol-version", "1")], "POST", "/p.S/M"),
            Protocol::Connect
        );
        assert_eq!(
            of(&[("Connect-Protocol-Version", "2")], "POST", "/p.S/M"),
            Protocol::Connect
        );
        assert_eq!(
            of(&[], "GET", "/p.S/M?encoding=json&connect=v1&message=%7B%7D"),
            Protocol::Connect
        );
        // Another header of that length, in front of it or behind, makes nothing of it.
        let other = ("x-connect-protocol-aaaaa", "1");
        let connect = ("connect-protocol-version", "1");
        for headers in [[other, connect], [connect, other]] {
            assert_eq!(of(&headers, "POST", "/p.S/M"), Protocol::Connect);
        }
        assert_eq!(of(&[other], "POST", "/p.S/M"), Protocol::Http);
        // A server decodes the query first.
        for target in ["/p.S/M?conn%65ct=v1", "/p.S/M?a&connect=v%31"] {
            assert_eq!(of(&[], "GET", target), Protocol::Connect, "{target}");
        }
        assert_eq!(of(&[], "POST", "/p.S/M?connect=v1"), Protocol::Http);
        assert_eq!(of(&[], "GET", "/p.S/M?connect=v2"), Protocol::Http);
        assert_eq!(of(&[], "POST", "/p.S/M"), Protocol::Http);
    }
}
