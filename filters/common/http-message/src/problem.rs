//! What went wrong, and how it is told in the protocol of the one who asked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::grpc_status::GrpcStatus;
use crate::head::RequestHead;
use crate::header_map::HeaderMap;
use crate::name::HeaderName;
use crate::protocol::{Protocol, is_media_type};
use crate::reply::LocalReply;
use crate::value::HeaderValue;

/// A refusal or failure. Its texts are constants: nothing of the request is repeated to the client but its request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// gRPC status.
    pub grpc_status: GrpcStatus,
    /// A short text for the kind of problem, printable ASCII without `%`; for gRPC it is the whole message.
    pub title: &'static str,
    /// What the client can do about it.
    pub detail: &'static str,
    /// Response code details for the access log: `gatehouse_` and then `[a-z0-9_]`.
    pub code_details: &'static str,
    /// Headers to add: `www-authenticate`, `retry-after`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What kind of problem it is, where a registered type says more than the status (RFC 9457 section 3.1.1), and what that type
/// tells besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The URI of the type.
    pub uri: &'static str,
    /// `violated-policies`: the names of the quotas that are used up (draft-ietf-httpapi-ratelimit-headers-11). Left out if
    /// empty.
    pub violated_policies: Vec<String>,
    /// `supported-versions`: the versions of the API that are served. Left out if empty.
    pub supported_versions: Vec<String>,
    /// `pointer`: the place in the request's body that is at fault, as a JSON Pointer (RFC 6901).
    pub pointer: Option<String>,
    /// `offset`: how many bytes of the request's body are in front of the fault.
    pub offset: Option<u64>,
    /// What gRPC callers alone are told, as metadata: `grpc-status-details-bin` and the like.
    pub grpc_metadata: Vec<(HeaderName, HeaderValue)>,
}

/// The type of a problem that has none of its own.
impl Default for ProblemType {
    fn default() -> Self {
        ProblemType {
            uri: "about:blank",
            violated_policies: Vec::new(),
            supported_versions: Vec::new(),
            pointer: None,
            offset: None,
            grpc_metadata: Vec::new(),
        }
    }
}

/// Where in the chain the filter stands that replies: before Envoy's bridges for gRPC-Web, Connect and REST (its
/// transcoder), or behind them, where their requests have become gRPC.
///
/// It matters because a bridge translates the answers of what stands behind it, and because Envoy makes a reply a gRPC reply
/// by what the *client* sent, not by what a bridge made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the bridges: the client is seen as it is.
    BeforeBridges,
    /// Behind the bridges.
    BehindBridges,
}

/// RFC 9457 section 3.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(
        rename = "violated-policies",
        skip_serializing_if = "<[String]>::is_empty"
    )]
    violated_policies: &'a [String],
    #[serde(
        rename = "supported-versions",
        skip_serializing_if = "<[String]>::is_empty"
    )]
    supported_versions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

/// An error of the Connect protocol.
#[derive(Serialize)]
struct ConnectError {
    code: &'static str,
    message: &'static str,
}

/// What most problem documents take.
const USUAL_BODY_BYTES: usize = 320;

/// Flags of the frame that carries a gRPC-Web answer's trailers.
const WEB_TRAILERS: u8 = 0x80;
/// Flags of the frame that ends a Connect stream.
const END_OF_CONNECT_STREAM: u8 = 0x02;

/// Who reads the reply.
enum Reader {
    /// A client of plain HTTP; also REST through the transcoder.
    Http,
    /// A Connect client whose call is one message each way.
    Connect,
    /// A Connect client whose call is a stream, in messages of that content type.
    ConnectStream(&'static str),
    /// A gRPC client, for whom the host writes the status.
    Grpc,
    /// A gRPC-Web client with no bridge in between.
    GrpcWeb { text: bool },
    /// A gRPC-Web client to whom a bridge translates our reply.
    BridgedGrpcWeb,
}

impl Problem {
    /// The reply that tells this problem to the one who sent `head`:
    ///
    /// - HTTP: the status, `application/problem+json` (RFC 9457) with the request id, `cache-control: no-store`;
    /// - Connect: its JSON of code and message, since from a bare 429 its clients read `unavailable` and try again
    ///   (<https://connectrpc.com/docs/protocol#error-codes>); with the status, or as the end of a stream;
    /// - gRPC: the gRPC status, the title as message;
    /// - gRPC-Web: HTTP 200, `grpc-status` and `grpc-message` as headers and in a trailer frame;
    /// - behind the bridges, what each bridge turns into these.
    pub fn render(&self, head: &RequestHead, place: Place) -> LocalReply {
        self.render_as(&ProblemType::default(), head, place)
    }

    /// As [`render`](Problem::render), for a problem of a registered type.
    pub fn render_as(&self, kind: &ProblemType, head: &RequestHead, place: Place) -> LocalReply {
        match reader(head, place) {
            Reader::Http => self.for_http(kind, head),
            Reader::Connect => self.for_connect(),
            Reader::ConnectStream(content_type) => self.for_connect_stream(content_type),
            Reader::Grpc => self.for_grpc(kind),
            Reader::GrpcWeb { text } => self.for_grpc_web(kind, text),
            Reader::BridgedGrpcWeb => self.for_bridged_grpc_web(kind),
        }
    }

    fn for_http(&self, kind: &ProblemType, head: &RequestHead) -> LocalReply {
        let body = Body {
            r#type: kind.uri,
            title: self.title,
            status: self.status,
            detail: self.detail,
            request_id: head.request_id(),
            violated_policies: &kind.violated_policies,
            supported_versions: &kind.supported_versions,
            pointer: kind.pointer.as_deref(),
            offset: kind.offset,
        };
        let own: [(&[u8], &[u8]); 2] = [
            (b"content-type", b"application/problem+json"),
            (b"cache-control", b"no-store"),
        ];
        LocalReply {
            status: self.status,
            details: self.code_details,
            headers: self.headers_with(&own),
            body: to_json(&body),
            grpc_status: None,
        }
    }

    fn for_connect(&self) -> LocalReply {
        let own: [(&[u8], &[u8]); 2] = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
        ];
        LocalReply {
            status: self.status,
            details: self.code_details,
            headers: self.headers_with(&own),
            body: self.connect_error(),
            grpc_status: None,
        }
    }

    fn for_connect_stream(&self, content_type: &'static str) -> LocalReply {
        let end = [&b"{\"error\":"[..], &self.connect_error(), b"}"].concat();
        LocalReply {
            status: 200,
            details: self.code_details,
            headers: self.headers_with(&[(b"content-type", content_type.as_bytes())]),
            body: frame(END_OF_CONNECT_STREAM, &end),
            grpc_status: None,
        }
    }

    fn connect_error(&self) -> Vec<u8> {
        let error = ConnectError {
            code: self.grpc_status.connect_code(),
            message: self.title,
        };
        // Two strings always serialize.
        serde_json::to_vec(&error).unwrap_or_default()
    }

    fn for_grpc(&self, kind: &ProblemType) -> LocalReply {
        LocalReply {
            status: self.status,
            details: self.code_details,
            headers: self.headers_with(&metadata(kind, &[])),
            body: self.title.as_bytes().to_vec(),
            grpc_status: Some(self.grpc_status),
        }
    }

    fn for_grpc_web(&self, kind: &ProblemType, text: bool) -> LocalReply {
        let code = self.grpc_status.code().to_string();
        let mut trailers =
            format!("grpc-status:{code}\r\ngrpc-message:{}\r\n", self.title).into_bytes();
        for (name, value) in &kind.grpc_metadata {
            trailers.extend([name.as_bytes(), b":", value.as_bytes(), b"\r\n"].concat());
        }
        // An empty body would lose its content type.
        let frame = frame(WEB_TRAILERS, &trailers);
        let (content_type, body) = if text {
            (
                &b"application/grpc-web-text+proto"[..],
                STANDARD.encode(frame).into_bytes(),
            )
        } else {
            (&b"application/grpc-web+proto"[..], frame)
        };
        let own = [
            (&b"content-type"[..], content_type),
            (b"grpc-status", code.as_bytes()),
            (b"grpc-message", self.title.as_bytes()),
        ];
        LocalReply {
            status: 200,
            details: self.code_details,
            headers: self.headers_with(&metadata(kind, &own)),
            body,
            grpc_status: None,
        }
    }

    fn for_bridged_grpc_web(&self, kind: &ProblemType) -> LocalReply {
        let code = self.grpc_status.code().to_string();
        let own: [(&[u8], &[u8]); 3] = [
            (b"content-type", b"application/grpc"),
            (b"grpc-status", code.as_bytes()),
            (b"grpc-message", self.title.as_bytes()),
        ];
        LocalReply {
            status: 200,
            details: self.code_details,
            headers: self.headers_with(&metadata(kind, &own)),
            body: Vec::new(),
            // Not read for this client. Should it be gRPC after all and only look like gRPC-Web, its status is right.
            grpc_status: Some(self.grpc_status),
        }
    }

    /// The headers of a form, and of the problem those that the form does not set.
    fn headers_with(&self, own: &[(&[u8], &[u8])]) -> HeaderMap {
        let is_own = |name: &HeaderName| own.iter().any(|(other, _)| *other == name.as_bytes());
        let added = self.headers.iter().filter(|(name, _)| !is_own(name));
        HeaderMap::from_pairs(
            own.iter()
                .copied()
                .chain(added.map(|(name, value)| (name.as_bytes(), value.as_bytes()))),
        )
    }
}

/// The headers of a gRPC form, and what its callers are told besides.
fn metadata<'a>(kind: &'a ProblemType, own: &[(&'a [u8], &'a [u8])]) -> Vec<(&'a [u8], &'a [u8])> {
    let more = kind.grpc_metadata.iter();
    let more = more.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    own.iter().copied().chain(more).collect()
}

/// The document of a problem in one piece of memory, where it has no list. Strings and a number always serialize.
fn to_json(body: &Body<'_>) -> Vec<u8> {
    let mut json = Vec::with_capacity(USUAL_BODY_BYTES);
    let _ = serde_json::to_writer(&mut json, body);
    json
}

/// A message with its flags and its length in front.
fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[flags][..], &length.to_be_bytes(), message].concat()
}

/// Who will read a reply to this request.
///
/// Behind the bridges everything is gRPC, and what the client was is told by what it or the bridge left in the head. A client
/// can forge that, and then gets its own reply in a form that does not suit it.
fn reader(head: &RequestHead, place: Place) -> Reader {
    let accept = head.headers().get_all("accept").next().unwrap_or_default();
    let accepts_text = is_media_type(accept, b"application/grpc-web-text");
    let accepts_binary = is_media_type(accept, b"application/grpc-web");
    match (head.protocol(), place) {
        (Protocol::Http, _) => Reader::Http,
        (Protocol::Connect, _) => {
            let content_type = head.content_type();
            if is_media_type(content_type, b"application/connect+proto") {
                Reader::ConnectStream("application/connect+proto")
            } else if is_media_type(content_type, b"application/connect+json") {
                Reader::ConnectStream("application/connect+json")
            } else {
                Reader::Connect
            }
        }
        (Protocol::GrpcWeb, _) => {
            let sends_text = is_media_type(head.content_type(), b"application/grpc-web-text");
            Reader::GrpcWeb {
                text: accepts_text || (sends_text && !accepts_binary),
            }
        }
        (Protocol::Grpc, Place::BeforeBridges) => Reader::Grpc,
        (Protocol::Grpc, Place::BehindBridges) => {
            let has = |name| head.headers().get_all(name).next().is_some();
            if has("x-envoy-original-path") {
                Reader::Http
            } else if has("x-grpc-web") || accepts_text || accepts_binary {
                Reader::BridgedGrpcWeb
            } else {
                Reader::Grpc
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::header_map::Occurrence;

    const DENIED: Problem = Problem {
        status: 401,
        grpc_status: GrpcStatus::Unauthenticated,
        title: "unauthorized",
        detail: "send a valid credential",
        code_details: "gatehouse_auth_denied",
        headers: Vec::new(),
    };

    fn denied() -> Problem {
        let challenge = HeaderName::from_static("www-authenticate");
        Problem {
            headers: vec![(challenge, HeaderValue::from_static("Bearer realm=\"api\""))],
            ..DENIED
        }
    }

    fn head(pairs: &[(&str, &str)]) -> RequestHead {
        RequestHead::new(HeaderMap::from_pairs(
            [(":method", "POST"), (":path", "/a")]
                .iter()
                .chain(pairs)
                .copied(),
        ))
    }

    fn header<'a>(reply: &'a LocalReply, name: &str) -> Option<&'a str> {
        match reply.headers.occurrence(name) {
            Occurrence::Absent => None,
            Occurrence::Once(value) => Some(std::str::from_utf8(value).unwrap()),
            Occurrence::Repeated => panic!("{name} is repeated"),
        }
    }

    fn assert_no_grpc_headers(reply: &LocalReply) {
        assert!(
            !reply
                .headers
                .iter()
                .any(|(name, _)| name.starts_with(b"grpc-")),
            "{reply:?}"
        );
    }

    #[test]
    fn a_registered_type_tells_which_quotas_are_used_up() {
        let kind = ProblemType {
            uri: "https://iana.org/assignments/http-problem-types#quota-exceeded",
            violated_policies: vec!["burst".to_owned()],
            ..ProblemType::default()
        };
        let head = head(&[]);
        let reply = DENIED.render_as(&kind, &head, Place::BeforeBridges);
        let body = String::from_utf8(reply.body).unwrap();
        assert!(body.contains(r#""type":"https://iana.org/"#), "{body}");
        assert!(
            body.ends_with(r#","violated-policies":["burst"]}"#),
            "{body}"
        );
    }

    // A client with a body of a megabyte has to be told where in it the fault is.
    #[test]
    fn the_place_of_a_fault_in_the_body_is_told() {
        let kind = ProblemType {
            pointer: Some("/items/3".to_owned()),
            offset: Some(17),
            ..ProblemType::default()
        };
        let reply = DENIED.render_as(&kind, &head(&[]), Place::BeforeBridges);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (&body["pointer"], &body["offset"]),
            (&json!("/items/3"), &json!(17))
        );
    }

    // A header that begins with grpc- on an answer to REST makes Envoy take it for gRPC; a gRPC-Web client reads trailers alone.
    #[test]
    fn grpc_callers_alone_are_told_metadata() {
        let pushback = HeaderName::from_static("grpc-retry-pushback-ms");
        let kind = ProblemType {
            grpc_metadata: vec![(pushback, HeaderValue::from_static("1500"))],
            ..ProblemType::default()
        };
        let told = |content_type| {
            let head = head(&[("content-type", content_type)]);
            DENIED.render_as(&kind, &head, Place::BeforeBridges)
        };
        let name = "grpc-retry-pushback-ms";
        assert_eq!(header(&told("application/grpc"), name), Some("1500"));
        let web = told("application/grpc-web+proto");
        assert_eq!(header(&web, name), Some("1500"));
        assert!(web.body.ends_with(b"grpc-retry-pushback-ms:1500\r\n"));
        assert_no_grpc_headers(&told("application/json"));
        assert_no_grpc_headers(&told("application/connect+json"));
    }

    #[test]
    fn http_gets_a_problem_document() {
        for place in [Place::BeforeBridges, Place::BehindBridges] {
            let reply = denied().render(&head(&[("x-request-id", "r\"\\1")]), place);
            assert_eq!(reply.status, 401);
            assert_eq!(reply.grpc_status, None);
            assert_eq!(reply.details, "gatehouse_auth_denied");
            assert_eq!(
                header(&reply, "content-type"),
                Some("application/problem+json")
            );
            assert_eq!(header(&reply, "cache-control"), Some("no-store"));
            assert_eq!(
                header(&reply, "www-authenticate"),
                Some("Bearer realm=\"api\"")
            );
            assert_no_grpc_headers(&reply);
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            let expected = json!({
                "type": "about:blank",
                "title": "unauthorized",
                "status": 401,
                "detail": "send a valid credential",
                "request_id": "r\"\\1",
            });
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn without_a_request_id_the_member_is_absent() {
        let reply = denied().render(&head(&[]), Place::BeforeBridges);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body.get("request_id"), None);
    }

    #[test]
    fn a_problem_cannot_repeat_the_headers_of_its_form() {
        let own = HeaderName::from_static("content-type");
        let problem = Problem {
            headers: vec![(own, HeaderValue::from_static("text/html"))],
            ..DENIED
        };
        let reply = problem.render(&head(&[]), Place::BeforeBridges);
        assert_eq!(
            header(&reply, "content-type"),
            Some("application/problem+json")
        );
    }

    #[test]
    fn grpc_gets_a_status_and_a_message() {
        // The host makes the body grpc-message, so a document there would be the message.
        for place in [Place::BeforeBridges, Place::BehindBridges] {
            let reply =
                denied().render(&head(&[("content-type", "application/grpc+proto")]), place);
            assert_eq!(reply.grpc_status, Some(GrpcStatus::Unauthenticated));
            assert_eq!(reply.body, b"unauthorized");
            assert_eq!(reply.status, 401);
            assert_eq!(header(&reply, "content-type"), None);
            assert_eq!(
                header(&reply, "www-authenticate"),
                Some("Bearer realm=\"api\"")
            );
            assert_no_grpc_headers(&reply);
        }
    }

    #[test]
    fn grpc_web_gets_a_trailer_frame() {
        let trailers = b"grpc-status:16\r\ngrpc-message:unauthorized\r\n";
        let mut frame = vec![0x80, 0, 0, 0, trailers.len() as u8];
        frame.extend_from_slice(trailers);
        let reply = denied().render(
            &head(&[("content-type", "application/grpc-web+proto")]),
            Place::BeforeBridges,
        );
        assert_eq!(reply.status, 200);
        assert_eq!(reply.grpc_status, None);
        assert_eq!(reply.body, frame);
        assert_eq!(
            header(&reply, "content-type"),
            Some("application/grpc-web+proto")
        );
        assert_eq!(header(&reply, "grpc-status"), Some("16"));
        assert_eq!(header(&reply, "grpc-message"), Some("unauthorized"));
        assert_eq!(
            header(&reply, "www-authenticate"),
            Some("Bearer realm=\"api\"")
        );
    }

    #[test]
    fn grpc_web_text_gets_base64() {
        // A client in text mode cannot read binary.
        for (pairs, text) in [
            (&[("content-type", "application/grpc-web-text")][..], true),
            (
                &[
                    ("content-type", "application/grpc-web"),
                    ("accept", "application/grpc-web-text"),
                ],
                true,
            ),
            (
                &[
                    ("content-type", "application/grpc-web-text"),
                    ("accept", "application/grpc-web+proto"),
                ],
                false,
            ),
            (
                &[("content-type", "application/grpc-web"), ("accept", "*/*")],
                false,
            ),
        ] {
            let reply = denied().render(&head(pairs), Place::BeforeBridges);
            let binary = if text {
                assert_eq!(
                    header(&reply, "content-type"),
                    Some("application/grpc-web-text+proto")
                );
                STANDARD.decode(&reply.body).unwrap()
            } else {
                assert_eq!(
                    header(&reply, "content-type"),
                    Some("application/grpc-web+proto")
                );
                reply.body
            };
            assert_eq!(binary.first(), Some(&0x80), "{pairs:?}");
            assert!(
                binary.ends_with(b"grpc-message:unauthorized\r\n"),
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn behind_the_bridges_each_client_gets_what_its_bridge_translates() {
        let bridged = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = [("content-type", "application/grpc")]
                .iter()
                .chain(pairs)
                .copied()
                .collect();
            denied().render(&head(&pairs), Place::BehindBridges)
        };
        // The grpc_web bridge makes anything but a gRPC answer status 14.
        for pairs in [
            ("x-grpc-web", "1"),
            ("accept", "application/grpc-web-text"),
            ("accept", "application/grpc-web+proto"),
        ] {
            let reply = bridged(&[pairs]);
            assert_eq!(reply.status, 200);
            assert_eq!(header(&reply, "content-type"), Some("application/grpc"));
            assert_eq!(header(&reply, "grpc-status"), Some("16"));
            assert_eq!(header(&reply, "grpc-message"), Some("unauthorized"));
            assert!(reply.body.is_empty());
            assert_eq!(reply.grpc_status, Some(GrpcStatus::Unauthenticated));
        }
        // The transcoder leaves a plain answer as it is; its client spoke REST.
        let rest = bridged(&[("x-envoy-original-path", "/v1/stock/1")]);
        assert_eq!(rest.status, 401);
        assert_eq!(
            header(&rest, "content-type"),
            Some("application/problem+json")
        );
        assert_no_grpc_headers(&rest);
    }

    #[test]
    fn connect_gets_its_own_json() {
        // From a bare 429 a Connect client reads "unavailable", and tries again.
        let exceeded = Problem {
            status: 429,
            grpc_status: GrpcStatus::ResourceExhausted,
            ..denied()
        };
        for place in [Place::BeforeBridges, Place::BehindBridges] {
            let unary = head(&[
                ("connect-protocol-version", "1"),
                ("content-type", "application/proto"),
            ]);
            let reply = exceeded.render(&unary, place);
            assert_eq!(reply.status, 429);
            assert_eq!(header(&reply, "content-type"), Some("application/json"));
            assert_eq!(
                header(&reply, "www-authenticate"),
                Some("Bearer realm=\"api\"")
            );
            assert_no_grpc_headers(&reply);
            let error = br#"{"code":"resource_exhausted","message":"unauthorized"}"#;
            assert_eq!(reply.body, error);

            for kind in ["application/connect+proto", "application/connect+json"] {
                let reply = exceeded.render(&head(&[("content-type", kind)]), place);
                assert_eq!(reply.status, 200);
                assert_eq!(header(&reply, "content-type"), Some(kind));
                assert_no_grpc_headers(&reply);
                let end = [&b"{\"error\":"[..], error, b"}"].concat();
                let length = u8::try_from(end.len()).unwrap();
                assert_eq!(reply.body[..5], [2, 0, 0, 0, length]);
                assert_eq!(reply.body[5..], end);
            }
        }
    }
}
