//! Why a request is refused, and what the client is told.

use http_message::{GrpcStatus, HeaderName, HeaderValue, Problem};

use crate::counters::Counter;

/// Why a request is refused. README.md has the same list as its failure table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The path can be read in two ways.
    AmbiguousPath,
    /// The path names a version that is not served.
    UnknownVersionInPath,
    /// The header names a version that is not served.
    UnknownVersionInHeader,
    /// `Accept` names a version that is not served.
    UnknownVersionInAccept,
    /// The query names a version that is not served.
    UnknownVersionInQuery,
    /// The version named is no longer served.
    RetiredVersion,
    /// The query names the version twice.
    RepeatedVersionQuery,
    /// Without its version, or with another, the path leads to where the request may not go.
    PathNotAllowed,
    /// The version header occurs twice or holds a list.
    RepeatedVersionHeader,
    /// Two media ranges of `Accept` name two versions.
    ConflictingAccept,
    /// `Accept` can be read in two ways.
    MalformedAccept,
    /// The host or the gRPC method can be read in two ways.
    AmbiguousRequest,
    /// The gRPC method is declared nowhere, or closed.
    UndeclaredMethod,
    /// The caller lacks the scope or the group that the method asks for.
    MethodNotPermitted,
    /// The timeout of the call cannot be read.
    MalformedTimeout,
    /// The client waits no longer.
    Expired,
    /// The upstream has not answered in the time of the call.
    TimedOut,
    /// The record of the caller cannot be read.
    MalformedIdentity,
    /// The host did not do what was asked of it.
    Internal,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Reason; 19] = [
        Reason::AmbiguousPath,
        Reason::UnknownVersionInPath,
        Reason::UnknownVersionInHeader,
        Reason::UnknownVersionInAccept,
        Reason::UnknownVersionInQuery,
        Reason::RetiredVersion,
        Reason::RepeatedVersionQuery,
        Reason::PathNotAllowed,
        Reason::RepeatedVersionHeader,
        Reason::ConflictingAccept,
        Reason::MalformedAccept,
        Reason::AmbiguousRequest,
        Reason::UndeclaredMethod,
        Reason::MethodNotPermitted,
        Reason::MalformedTimeout,
        Reason::Expired,
        Reason::TimedOut,
        Reason::MalformedIdentity,
        Reason::Internal,
    ];

    /// What `%RESPONSE_CODE_DETAILS%` shows in the access log.
    pub const fn code_details(self) -> &'static str {
        match self {
            Reason::AmbiguousPath => "gatehouse_routing_ambiguous_path",
            Reason::UnknownVersionInPath => "gatehouse_routing_unknown_version_in_path",
            Reason::UnknownVersionInHeader => "gatehouse_routing_unknown_version_in_header",
            Reason::UnknownVersionInAccept => "gatehouse_routing_unknown_version_in_accept",
            Reason::UnknownVersionInQuery => "gatehouse_routing_unknown_version_in_query",
            Reason::RetiredVersion => "gatehouse_routing_retired_version",
            Reason::RepeatedVersionQuery => "gatehouse_routing_repeated_version_query",
            Reason::PathNotAllowed => "gatehouse_routing_path_not_allowed",
            Reason::RepeatedVersionHeader => "gatehouse_routing_repeated_version_header",
            Reason::ConflictingAccept => "gatehouse_routing_conflicting_accept",
            Reason::MalformedAccept => "gatehouse_routing_malformed_accept",
            Reason::AmbiguousRequest => "gatehouse_routing_ambiguous_request",
            Reason::UndeclaredMethod => "gatehouse_routing_undeclared_method",
            Reason::MethodNotPermitted => "gatehouse_routing_method_not_permitted",
            Reason::MalformedTimeout => "gatehouse_routing_malformed_timeout",
            Reason::Expired => "gatehouse_routing_expired",
            Reason::TimedOut => "gatehouse_routing_timed_out",
            Reason::MalformedIdentity => "gatehouse_routing_malformed_identity",
            Reason::Internal => "gatehouse_routing_internal",
        }
    }

    /// The HTTP status of the reply.
    pub const fn status(self) -> u16 {
        match self {
            // The path is what names a resource; a header or `Accept` asks for a form of it.
            Reason::UnknownVersionInPath
            | Reason::UnknownVersionInQuery
            | Reason::UndeclaredMethod => 404,
            Reason::RetiredVersion => 410,
            Reason::MethodNotPermitted | Reason::PathNotAllowed => 403,
            Reason::Expired | Reason::TimedOut => 504,
            Reason::UnknownVersionInHeader | Reason::UnknownVersionInAccept => 406,
            Reason::AmbiguousPath
            | Reason::RepeatedVersionHeader
            | Reason::RepeatedVersionQuery
            | Reason::ConflictingAccept
            | Reason::MalformedAccept
            | Reason::AmbiguousRequest
            | Reason::MalformedTimeout => 400,
            Reason::MalformedIdentity | Reason::Internal => 500,
        }
    }

    /// The status of the reply where the request is a gRPC call.
    pub const fn grpc_status(self) -> GrpcStatus {
        match self {
            Reason::UnknownVersionInPath
            | Reason::UnknownVersionInHeader
            | Reason::UnknownVersionInAccept
            | Reason::UnknownVersionInQuery
            | Reason::RetiredVersion
            | Reason::UndeclaredMethod => GrpcStatus::Unimplemented,
            Reason::MethodNotPermitted | Reason::PathNotAllowed => GrpcStatus::PermissionDenied,
            Reason::Expired | Reason::TimedOut => GrpcStatus::DeadlineExceeded,
            Reason::AmbiguousPath
            | Reason::RepeatedVersionHeader
            | Reason::RepeatedVersionQuery
            | Reason::ConflictingAccept
            | Reason::MalformedAccept
            | Reason::AmbiguousRequest
            | Reason::MalformedTimeout => GrpcStatus::InvalidArgument,
            Reason::MalformedIdentity | Reason::Internal => GrpcStatus::Internal,
        }
    }

    /// What is counted.
    pub const fn counter(self) -> Counter {
        match self {
            Reason::AmbiguousPath => Counter::AmbiguousPath,
            Reason::UnknownVersionInPath
            | Reason::UnknownVersionInHeader
            | Reason::UnknownVersionInAccept
            | Reason::UnknownVersionInQuery => Counter::UnknownVersion,
            Reason::RetiredVersion => Counter::RetiredVersion,
            Reason::PathNotAllowed => Counter::PathNotAllowed,
            Reason::RepeatedVersionHeader
            | Reason::RepeatedVersionQuery
            | Reason::ConflictingAccept
            | Reason::MalformedAccept => Counter::AmbiguousVersion,
            Reason::AmbiguousRequest => Counter::AmbiguousRequest,
            Reason::UndeclaredMethod => Counter::UndeclaredMethod,
            Reason::MethodNotPermitted => Counter::MethodNotPermitted,
            Reason::MalformedTimeout => Counter::MalformedTimeout,
            Reason::Expired => Counter::Expired,
            Reason::TimedOut => Counter::TimedOut,
            Reason::MalformedIdentity => Counter::MalformedIdentity,
            Reason::Internal => Counter::Internal,
        }
    }

    /// The reply as data. Its text is constant; `headers` go with it.
    pub fn problem(self, headers: Vec<(HeaderName, HeaderValue)>) -> Problem {
        self.problem_of(self.status(), headers)
    }

    /// Likewise, with another HTTP status.
    pub(crate) fn problem_of(
        self,
        status: u16,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Problem {
        Problem {
            status,
            grpc_status: self.grpc_status(),
            title: title(status),
            detail: self.detail(),
            code_details: self.code_details(),
            headers,
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Reason::AmbiguousPath => "The path of the request can be read in more than one way.",
            Reason::UnknownVersionInPath => "The path names an API version that is not served.",
            Reason::UnknownVersionInHeader => "A header names an API version that is not served.",
            Reason::UnknownVersionInAccept => {
                "The Accept header names an API version that is not served."
            }
            Reason::RepeatedVersionHeader => {
                "The header that names the API version may occur once, with one value."
            }
            Reason::UnknownVersionInQuery => "The query names an API version that is not served.",
            Reason::RetiredVersion => "The API version that the request names is no longer served.",
            Reason::RepeatedVersionQuery => "The query may name the API version once.",
            Reason::PathNotAllowed => "The request may not be sent to where its path leads.",
            Reason::ConflictingAccept => "The Accept header names more than one API version.",
            Reason::MalformedAccept => "The Accept header can be read in more than one way.",
            Reason::AmbiguousRequest => {
                "The host or the method of the request can be read in more than one way."
            }
            Reason::UndeclaredMethod => "The method is not offered here.",
            Reason::MethodNotPermitted => "The caller may not call this method.",
            Reason::MalformedTimeout => "The timeout of the call cannot be read.",
            Reason::Expired => "The time that the client gave the call is over.",
            Reason::TimedOut => "The upstream did not answer in time.",
            Reason::MalformedIdentity | Reason::Internal => {
                "The gateway could not process the request."
            }
        }
    }
}

/// The phrase of the status, as RFC 9457 section 4.2.1 asks where a problem has no type of its own.
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        406 => "Not Acceptable",
        410 => "Gone",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Other filters know our replies by this prefix, and Envoy replaces spaces in it.
    #[test]
    fn details_are_words_with_the_prefix() {
        for reason in Reason::ALL {
            let details = reason.code_details();
            assert!(details.starts_with("gatehouse_routing_"), "{details}");
            assert!(
                details.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{details}"
            );
        }
    }

    // A retryable status (UNAVAILABLE) would have clients repeat a call that can never succeed.
    #[test]
    fn grpc_statuses_do_not_invite_a_retry() {
        for reason in Reason::ALL {
            assert_ne!(reason.grpc_status(), GrpcStatus::Unavailable, "{reason:?}");
        }
    }
}
