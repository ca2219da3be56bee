//! Which gRPC method a request calls.

use http_message::{CanonicalPath, GrpcMethod, Protocol, RequestHead};

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
    pub(crate) fn of(head: &RequestHead, path: Option<&'a CanonicalPath>) -> Call<'a> {
        match head.protocol() {
            Protocol::Http => Call::NotGrpc,
            Protocol::Grpc | Protocol::GrpcWeb | Protocol::Connect => path
                .and_then(GrpcMethod::parse)
                .map_or(Call::Unnamed, Call::Method),
        }
    }
}
