//! What the request looked like when auth decided on it.

/// The request as the client sent it, before bridges and rewrites changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginalRequest {
    /// `:path` as on the wire, with its query but without the credentials that auth removed from it.
    pub path: Vec<u8>,
    /// `content-type`, empty if there was none.
    pub content_type: Vec<u8>,
    /// The protocol that the client spoke.
    pub protocol: RecordedProtocol,
}

/// The protocol a client spoke, which a bridge or a transcoder may hide from the filters behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RecordedProtocol {
    /// Plain HTTP.
    #[default]
    Http,
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, binary or text.
    GrpcWeb,
    /// The Connect protocol.
    Connect,
}

impl OriginalRequest {
    pub(crate) fn text_bytes(&self) -> usize {
        self.path.len().saturating_add(self.content_type.len())
    }
}

impl RecordedProtocol {
    /// Every protocol that this version writes.
    pub const ALL: [RecordedProtocol; 4] = [
        RecordedProtocol::Http,
        RecordedProtocol::Grpc,
        RecordedProtocol::GrpcWeb,
        RecordedProtocol::Connect,
    ];

    pub(crate) fn wire(self) -> u8 {
        match self {
            RecordedProtocol::Http => 0,
            RecordedProtocol::Grpc => 1,
            RecordedProtocol::GrpcWeb => 2,
            RecordedProtocol::Connect => 3,
        }
    }

    pub(crate) fn from_wire(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.wire() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two protocols with one number would answer a gRPC client in plain HTTP.
    #[test]
    fn numbers_round_trip() {
        for protocol in RecordedProtocol::ALL {
            assert_eq!(RecordedProtocol::from_wire(protocol.wire()), Some(protocol));
        }
        assert_eq!(RecordedProtocol::from_wire(4), None);
    }
}
