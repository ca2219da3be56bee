//! What is recorded of a request as the client sent it.

use http_message::{Protocol, RequestHead};
use identity::{OriginalRequest, RecordedProtocol};

/// The most of the original request target that is recorded, in bytes.
const MAX_RECORDED_PATH_BYTES: usize = 8 * 1024;

/// The most of the original content type that is recorded, in bytes.
const MAX_RECORDED_CONTENT_TYPE_BYTES: usize = 256;

/// The request as the client sent it, but for the keys that were taken out of the target.
///
/// A target too long to record loses its query, a content type its end: the record of every request can be read.
pub(super) fn original(head: &RequestHead, path: Option<&[u8]>) -> OriginalRequest {
    let path = path.unwrap_or(head.raw_path());
    let path = if path.len() > MAX_RECORDED_PATH_BYTES {
        path.split(|byte| *byte == b'?').next().unwrap_or_default()
    } else {
        path
    };
    let cut = |bytes: &[u8], most: usize| bytes.get(..most).unwrap_or(bytes).to_vec();
    OriginalRequest {
        path: cut(path, MAX_RECORDED_PATH_BYTES),
        content_type: cut(head.content_type(), MAX_RECORDED_CONTENT_TYPE_BYTES),
        protocol: match head.protocol() {
            Protocol::Http => RecordedProtocol::Http,
            Protocol::Grpc => RecordedProtocol::Grpc,
            Protocol::GrpcWeb => RecordedProtocol::GrpcWeb,
            Protocol::Connect => RecordedProtocol::Connect,
        },
    }
}
