//! Requests that could be read in two ways.

use http_message::PathError;
use thiserror::Error;

/// Why a request is no [`Subject`](crate::Subject): answer it with 400, whatever the rules are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Ambiguity {
    /// The path has no canonical form.
    #[error(transparent)]
    Path(#[from] PathError),
    /// There is an authority, and it is not clear which part of it is the host: `a@b`, `a:x`, `a,b`. Envoy lets these
    /// through, and takes two `host` headers for `a,b`. A rule for a host would be passed by, and the upstream may well
    /// find that host in it.
    #[error("it is not clear which host is meant")]
    Host,
    /// It may become one gRPC method or another: its path names one and is the REST form of another, or is so once decoded.
    #[error("it is not clear which gRPC method is meant")]
    Call,
}
