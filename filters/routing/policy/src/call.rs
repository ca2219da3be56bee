//! Which gRPC method a request calls, and how the call came.

use http_message::{CanonicalPath, GrpcMethod, Protocol, RequestHead};
use identity::{Identity, RecordedProtocol};

/// What a request is in the eyes of gRPC.
#[derive(Debug)]
pub(crate) enum Call<'a> {
    /// Not a gRPC, gRPC-Web or Connect request.
    NotGrpc,
    /// One of these by its content type, but its path is not `/service/method`.
    Unnamed,
    /// A call of this method.
    Method(GrpcMethod<'a>),
}

impl<'a> Call<'a> {
    /// Reads the service and the method from the path of a gRPC request. No path, no method.
    pub(crate) fn of(protocol: Protocol, path: Option<&'a CanonicalPath>) -> Call<'a> {
        match protocol {
            Protocol::Http => Call::NotGrpc,
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => path
                .and_then(GrpcMethod::parse)
                .map_or(Call::Unnamed, Call::Method),
        }
    }
}

/// What the transcoder leaves of the REST request that it makes a call: its path and its method.
pub(crate) const TRACES: [&str; 2] = ["x-envoy-original-path", "x-envoy-original-method"];

/// Whether the head looks as the transcoder leaves one. Any client can write one like it; the record of auth tells which it is.
pub(crate) fn may_be_transcoded(head: &RequestHead) -> bool {
    let has = |name: &str| head.headers().get_all(name).next().is_some();
    // Whether it is gRPC, the content type alone tells.
    Protocol::of_content_type(head.content_type()) == Protocol::Grpc && TRACES.into_iter().any(has)
}

/// What the client speaks, whatever a bridge has made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Rest,
    /// REST that the transcoder made a gRPC call.
    Transcoded,
    Grpc,
    GrpcWeb,
    Connect,
}

impl Spoken {
    /// What auth recorded in front of the bridges. Without a record the head tells, which a client can forge: a bridged gRPC-Web
    /// call is known by `x-grpc-web`. What looks transcoded is a plain call then, since it matters to those behind.
    pub(crate) fn of(head: &RequestHead, identity: &Identity) -> Spoken {
        let here = head.protocol();
        match (recorded(identity), here) {
            (Some(RecordedProtocol::Grpc), _) => Spoken::Grpc,
            (Some(RecordedProtocol::GrpcWeb), _) | (None, Protocol::GrpcWeb) => Spoken::GrpcWeb,
            (Some(RecordedProtocol::Connect), _) | (None, Protocol::Connect) => Spoken::Connect,
            (Some(RecordedProtocol::Http) | None, Protocol::Http) => Spoken::Rest,
            (Some(RecordedProtocol::Http), _) => Spoken::Transcoded,
            (None, Protocol::Grpc) => match head.headers().get_all("x-grpc-web").next() {
                Some(_) => Spoken::GrpcWeb,
                None => Spoken::Grpc,
            },
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Spoken::Rest => "rest",
            Spoken::Transcoded => "transcoded",
            Spoken::Grpc => "grpc",
            Spoken::GrpcWeb => "grpc-web",
            Spoken::Connect => "connect",
        }
    }
}

/// auth records the path of every request; where there is none, there is no record.
fn recorded(identity: &Identity) -> Option<RecordedProtocol> {
    (!identity.original.path.is_empty()).then_some(identity.original.protocol)
}

#[cfg(test)]
mod tests {
    use http_message::HeaderMap;
    use identity::OriginalRequest;

    use super::*;

    fn spoken(headers: &[(&str, &str)], recorded: Option<RecordedProtocol>) -> Spoken {
        let pseudo = [(":method", "POST"), (":path", "/a.B/C")];
        let head = RequestHead::new(HeaderMap::from_pairs(
            pseudo.into_iter().chain(headers.iter().copied()),
        ));
        let original = recorded.map(|protocol| OriginalRequest {
            path: b"/a".to_vec(),
            protocol,
            ..OriginalRequest::default()
        });
        Spoken::of(
            &head,
            &Identity {
                original: original.unwrap_or_default(),
                ..Identity::anonymous()
            },
        )
    }

    // Behind the bridges all is gRPC: an upstream or a log that goes by the content type would call every caller native.
    #[test]
    fn the_record_tells_what_the_client_spoke() {
        let grpc = ("content-type", "application/grpc");
        // Forged: what auth saw counts.
        let traces = [grpc, ("x-envoy-original-path", "/x"), ("x-grpc-web", "1")];
        for (protocol, expected) in [
            (RecordedProtocol::Grpc, Spoken::Grpc),
            (RecordedProtocol::GrpcWeb, Spoken::GrpcWeb),
            (RecordedProtocol::Connect, Spoken::Connect),
            (RecordedProtocol::Http, Spoken::Transcoded),
        ] {
            assert_eq!(spoken(&traces, Some(protocol)), expected);
            assert_eq!(spoken(&[grpc], Some(protocol)), expected);
        }
        assert_eq!(spoken(&[], Some(RecordedProtocol::Http)), Spoken::Rest);
    }

    #[test]
    fn without_a_record_the_head_tells() {
        for (headers, expected) in [
            (&[][..], Spoken::Rest),
            (&[("content-type", "application/json")], Spoken::Rest),
            (&[("content-type", "application/grpc")], Spoken::Grpc),
            (
                &[("content-type", "application/grpc"), ("x-grpc-web", "1")],
                Spoken::GrpcWeb,
            ),
            (
                &[
                    ("content-type", "application/grpc"),
                    ("x-envoy-original-path", "/stock/7"),
                ],
                Spoken::Grpc,
            ),
            (&[("content-type", "application/grpc-web")], Spoken::GrpcWeb),
            (
                &[("content-type", "application/connect+proto")],
                Spoken::Connect,
            ),
            (&[("connect-protocol-version", "1")], Spoken::Connect),
        ] {
            assert_eq!(spoken(headers, None), expected, "{headers:?}");
        }
    }
}
