//! Why a request is refused, and what the client is told.

use http_message::{GrpcStatus, HeaderName, HeaderValue, Problem};

use crate::counters::Counter;

/// Why a request is refused. README.md has the same list as its failure table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A limit had no token.
    Exceeded,
    /// Other workers were faster in every try.
    Contended,
    /// A part of a limit's key is absent.
    MissingKey,
    /// A header that is part of a limit's key occurs twice.
    AmbiguousKey,
    /// Path or host can be read in two ways.
    AmbiguousRequest,
    /// The record of auth cannot be read.
    MalformedIdentity,
    /// The host did not do what was asked of it.
    Internal,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Reason; 7] = [
        Reason::Exceeded,
        Reason::Contended,
        Reason::MissingKey,
        Reason::AmbiguousKey,
        Reason::AmbiguousRequest,
        Reason::MalformedIdentity,
        Reason::Internal,
    ];

    /// What `%RESPONSE_CODE_DETAILS%` shows in the access log.
    pub const fn code_details(self) -> &'static str {
        match self {
            Reason::Exceeded => "gatehouse_rate_limit_exceeded",
            Reason::Contended => "gatehouse_rate_limit_contended",
            Reason::MissingKey => "gatehouse_rate_limit_missing_key",
            Reason::AmbiguousKey => "gatehouse_rate_limit_ambiguous_key",
            Reason::AmbiguousRequest => "gatehouse_rate_limit_ambiguous_request",
            Reason::MalformedIdentity => "gatehouse_rate_limit_malformed_identity",
            Reason::Internal => "gatehouse_rate_limit_internal",
        }
    }

    /// The HTTP status of the reply.
    pub const fn status(self) -> u16 {
        match self {
            Reason::Exceeded => 429,
            Reason::Contended => 503,
            Reason::MissingKey => 403,
            Reason::AmbiguousKey | Reason::AmbiguousRequest => 400,
            Reason::MalformedIdentity | Reason::Internal => 500,
        }
    }

    /// The status of the reply where the request is a gRPC call. Envoy would make 429 `UNAVAILABLE`, which clients take as
    /// leave to retry at once.
    pub const fn grpc_status(self) -> GrpcStatus {
        match self {
            Reason::Exceeded => GrpcStatus::ResourceExhausted,
            Reason::Contended => GrpcStatus::Unavailable,
            Reason::MissingKey => GrpcStatus::PermissionDenied,
            Reason::AmbiguousKey | Reason::AmbiguousRequest => GrpcStatus::InvalidArgument,
            Reason::MalformedIdentity | Reason::Internal => GrpcStatus::Internal,
        }
    }

    /// What is counted. Contention is counted where it happens, whatever follows from it.
    pub const fn counter(self) -> Option<Counter> {
        match self {
            Reason::Exceeded => Some(Counter::Limited),
            Reason::Contended => None,
            Reason::MissingKey => Some(Counter::MissingKey),
            Reason::AmbiguousKey => Some(Counter::AmbiguousKey),
            Reason::AmbiguousRequest => Some(Counter::AmbiguousRequest),
            Reason::MalformedIdentity => Some(Counter::MalformedIdentity),
            Reason::Internal => Some(Counter::Internal),
        }
    }

    /// The problem type of draft-ietf-httpapi-ratelimit-headers-11, where there is one for it.
    pub const fn problem_type(self) -> Option<&'static str> {
        match self {
            Reason::Exceeded => {
                Some("https://iana.org/assignments/http-problem-types#quota-exceeded")
            }
            Reason::Contended => {
                Some("https://iana.org/assignments/http-problem-types#temporary-reduced-capacity")
            }
            _ => None,
        }
    }

    /// The reply as data. Its text is constant; `headers` go with it.
    pub fn problem(self, headers: Vec<(HeaderName, HeaderValue)>) -> Problem {
        Problem {
            status: self.status(),
            grpc_status: self.grpc_status(),
            title: self.title(),
            detail: self.detail(),
            code_details: self.code_details(),
            headers,
        }
    }

    /// The phrase of the status, or what the problem's type is called.
    const fn title(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            403 => "Forbidden",
            429 => "Quota Exceeded",
            503 => "Temporary Reduced Capacity",
            _ => "Internal Server Error",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Reason::Exceeded => {
                "Too many requests. Retry-After says when the next one can be served."
            }
            Reason::Contended => "The gateway is too busy to count this request.",
            Reason::MissingKey => "The request lacks what its quota is counted by.",
            Reason::AmbiguousKey => "A header that a quota is counted by may occur once.",
            Reason::AmbiguousRequest => {
                "The path or the host of the request can be read in more than one way."
            }
            Reason::MalformedIdentity | Reason::Internal => {
                "The gateway could not process the request."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Details that lack the prefix are taken for Envoy's own; another character is refused by the host layer.
    #[test]
    fn details_are_ours() {
        for reason in Reason::ALL {
            let details = reason.code_details();
            assert!(details.starts_with("gatehouse_rate_limit_"), "{details}");
            assert!(
                details.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{details}"
            );
        }
    }
}
