//! gRPC status codes.

/// A gRPC status code, with its number on the wire (<https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // The names are the specification's.
pub enum GrpcStatus {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcStatus {
    const ALL: [GrpcStatus; 17] = [
        GrpcStatus::Ok,
        GrpcStatus::Cancelled,
        GrpcStatus::Unknown,
        GrpcStatus::InvalidArgument,
        GrpcStatus::DeadlineExceeded,
        GrpcStatus::NotFound,
        GrpcStatus::AlreadyExists,
        GrpcStatus::PermissionDenied,
        GrpcStatus::ResourceExhausted,
        GrpcStatus::FailedPrecondition,
        GrpcStatus::Aborted,
        GrpcStatus::OutOfRange,
        GrpcStatus::Unimplemented,
        GrpcStatus::Internal,
        GrpcStatus::Unavailable,
        GrpcStatus::DataLoss,
        GrpcStatus::Unauthenticated,
    ];

    /// The number on the wire.
    pub fn code(self) -> u8 {
        // The discriminants are the wire's numbers.
        self as u8
    }

    /// The status that a `grpc-status` header or trailer names: a number from 0 to 16, in digits.
    pub fn from_header(value: &[u8]) -> Option<GrpcStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.code().to_string().as_bytes() == value)
    }

    /// What the Connect protocol calls it (<https://connectrpc.com/docs/protocol#error-codes>).
    pub(crate) fn connect_code(self) -> &'static str {
        match self {
            GrpcStatus::Cancelled => "canceled",
            // No error is OK.
            GrpcStatus::Ok | GrpcStatus::Unknown => "unknown",
            GrpcStatus::InvalidArgument => "invalid_argument",
            GrpcStatus::DeadlineExceeded => "deadline_exceeded",
            GrpcStatus::NotFound => "not_found",
            GrpcStatus::AlreadyExists => "already_exists",
            GrpcStatus::PermissionDenied => "permission_denied",
            GrpcStatus::ResourceExhausted => "resource_exhausted",
            GrpcStatus::FailedPrecondition => "failed_precondition",
            GrpcStatus::Aborted => "aborted",
            GrpcStatus::OutOfRange => "out_of_range",
            GrpcStatus::Unimplemented => "unimplemented",
            GrpcStatus::Internal => "internal",
            GrpcStatus::Unavailable => "unavailable",
            GrpcStatus::DataLoss => "data_loss",
            GrpcStatus::Unauthenticated => "unauthenticated",
        }
    }

    /// The status that a reply with this HTTP status should have.
    ///
    /// Envoy's own table, for replies that name no status, differs: it makes 429 and all of 5xx `UNAVAILABLE`, which clients
    /// take as leave to retry at once, and 400 `INTERNAL`.
    pub fn for_http(status: u16) -> GrpcStatus {
        match status {
            200..=299 => GrpcStatus::Ok,
            400 | 406 | 415 | 422 => GrpcStatus::InvalidArgument,
            401 => GrpcStatus::Unauthenticated,
            403 => GrpcStatus::PermissionDenied,
            404 | 405 | 501 => GrpcStatus::Unimplemented,
            409 => GrpcStatus::Aborted,
            412 => GrpcStatus::FailedPrecondition,
            413 | 429 | 431 => GrpcStatus::ResourceExhausted,
            408 | 504 => GrpcStatus::DeadlineExceeded,
            499 => GrpcStatus::Cancelled,
            500 => GrpcStatus::Internal,
            502 | 503 => GrpcStatus::Unavailable,
            _ => GrpcStatus::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_wires() {
        assert_eq!(GrpcStatus::Ok.code(), 0);
        assert_eq!(GrpcStatus::PermissionDenied.code(), 7);
        assert_eq!(GrpcStatus::ResourceExhausted.code(), 8);
        assert_eq!(GrpcStatus::Unimplemented.code(), 12);
        assert_eq!(GrpcStatus::Unauthenticated.code(), 16);
    }

    // What an upstream writes there is not to be trusted to be a number.
    #[test]
    fn a_header_names_one_status_or_none() {
        for status in GrpcStatus::ALL {
            let text = status.code().to_string();
            assert_eq!(GrpcStatus::from_header(text.as_bytes()), Some(status));
        }
        for text in ["", "17", "-1", "00", "0 ", "ok", "é"] {
            assert_eq!(GrpcStatus::from_header(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn refusals_are_never_retryable() {
        // UNAVAILABLE for a refusal would make clients repeat it.
        for status in [400, 401, 403, 404, 406, 413, 429] {
            assert_ne!(
                GrpcStatus::for_http(status),
                GrpcStatus::Unavailable,
                "{status}"
            );
            assert_ne!(
                GrpcStatus::for_http(status),
                GrpcStatus::Unknown,
                "{status}"
            );
        }
        assert_eq!(GrpcStatus::for_http(429), GrpcStatus::ResourceExhausted);
        assert_eq!(GrpcStatus::for_http(503), GrpcStatus::Unavailable);
        assert_eq!(GrpcStatus::for_http(302), GrpcStatus::Unknown);
    }
}
