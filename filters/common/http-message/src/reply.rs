//! An answer that the gateway gives in the upstream's place.

use crate::grpc_status::GrpcStatus;
use crate::header_map::HeaderMap;

/// A local reply in the form in which the host takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status. For a gRPC request the host turns it into 200 and sends `grpc_status`.
    pub status: u16,
    /// The response code details in the access log, where other filters know our replies by the prefix `gatehouse_`.
    pub details: &'static str,
    /// Headers beside those that the host makes.
    pub headers: HeaderMap,
    /// The body; for a gRPC request the host makes it `grpc-message`.
    pub body: Vec<u8>,
    /// The gRPC status for a request that the host takes for gRPC; `None` leaves it to the host's table (-1 in the ABI).
    pub grpc_status: Option<GrpcStatus>,
}
