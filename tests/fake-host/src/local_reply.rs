//! What becomes of a local reply on the wire.

use crate::headers::Headers;
use crate::stream::Reply;

/// Headers and body as the host sends them for this request: a gRPC request gets a gRPC status, trailers-only.
pub(crate) fn on_the_wire(reply: &Reply, request: &Headers) -> (Headers, Vec<u8>) {
    let mut headers = Headers::default();
    headers.add(b":status", reply.status.to_string().as_bytes());
    for (name, value) in reply.headers.iter() {
        headers.add(name, value);
    }
    if is_grpc(request.get("content-type").unwrap_or_default()) {
        let status = reply
            .grpc_status
            .unwrap_or_else(|| default_grpc_status(reply.status));
        headers.replace(b":status", b"200");
        headers.replace(b"content-type", b"application/grpc");
        if headers.get("grpc-status").is_none() {
            headers.add(b"grpc-status", status.to_string().as_bytes());
        }
        if !reply.body.is_empty() {
            headers.replace(b"grpc-message", &percent_encoded(&reply.body));
        }
        return (headers, Vec::new());
    }
    if !reply.body.is_empty() {
        headers.replace(b"content-length", reply.body.len().to_string().as_bytes());
        if headers.get("content-type").is_none() {
            headers.add(b"content-type", b"text/plain");
        }
    }
    let is_head = request.get(":method") == Some(b"HEAD");
    let body = if is_head {
        Vec::new()
    } else {
        reply.body.clone()
    };
    (headers, body)
}

/// Envoy goes by the content type, and gRPC-Web is none.
fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';')),
        None => false,
    }
}

/// Envoy's table for replies that name no gRPC status: 429 becomes "unavailable", which clients retry.
fn default_grpc_status(status: u16) -> u8 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// As the gRPC specification asks of `grpc-message`.
fn percent_encoded(message: &[u8]) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b'%' => b"%25".to_vec(),
        0x20..=0x7e => vec![*byte],
        other => format!("%{other:02X}").into_bytes(),
    };
    message.iter().flat_map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(content_type: &str, grpc_status: Option<u8>) -> (Headers, Vec<u8>) {
        let reply = Reply {
            status: 429,
            body: b"too many\n".to_vec(),
            grpc_status,
            ..Reply::default()
        };
        on_the_wire(&reply, &Headers::new([("content-type", content_type)]))
    }

    // A gRPC client told "unavailable" retries at once: the status must be given.
    #[test]
    fn grpc_gets_a_status_and_no_body() {
        let (headers, body) = wire("application/grpc+proto", None);
        assert_eq!(headers.text(":status"), Some("200"));
        assert_eq!(headers.text("grpc-status"), Some("14"));
        assert_eq!(headers.text("grpc-message"), Some("too many%0A"));
        assert!(body.is_empty());
        let (headers, _) = wire("application/grpc", Some(8));
        assert_eq!(headers.text("grpc-status"), Some("8"));
    }

    // gRPC-Web is not gRPC to the host: its clients get the plain reply.
    #[test]
    fn grpc_web_gets_plain_http() {
        let (headers, body) = wire("application/grpc-web+proto", Some(8));
        assert_eq!(headers.text(":status"), Some("429"));
        assert_eq!(headers.text("content-type"), Some("text/plain"));
        assert_eq!(headers.text("grpc-status"), None);
        assert_eq!(body, b"too many\n");
    }
}
