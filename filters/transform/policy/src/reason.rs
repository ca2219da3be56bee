//! Why a message does not go on, and what the client is told.

use http_message::{GrpcStatus, Problem};

use crate::body::BodyFault;
use crate::counters::Counter;

/// Why a request or a response does not go on. README.md has the same list as its failure table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The path or the host can be read in two ways.
    Ambiguous,
    /// The rewritten path is under none of the prefixes that the rule allows.
    PathNotAllowed,
    /// The host that comes out is none that the rule allows.
    HostNotAllowed,
    /// With what was added the target is longer than a header may be.
    TargetTooLong,
    /// The request cannot be sent on by the method that its rule asks for: a call, or a body for GET.
    MethodUnfit,
    /// The record of the caller cannot be read.
    MalformedIdentity,
    /// The request's body is not JSON, or in a coding that is not read, or it is a call whose answer would not be JSON.
    UndecodableRequest,
    /// The request's body claims to be JSON and is not.
    BrokenRequest,
    /// What a template of the rule makes of the request may not stand where it is to be put.
    InvalidRequestValue,
    /// The request's body has more than the limits of its rule allow.
    OverLimit,
    /// The members that a rule captures are not among the first bytes of the request's body.
    MembersTooFar,
    /// They have not come by the deadline.
    LateRequest,
    /// Those of the response's body have not come by the deadline.
    LateResponse,
    /// Too many messages wait for their bodies.
    Crowded,
    /// The response's body is not JSON, in a coding that is not read, or a part of a document.
    UndecodableResponse,
    /// The response's body claims to be JSON and is not, or ends before its document.
    BrokenResponse,
    /// What a template of the rule makes of the exchange may not stand where it is to be put.
    InvalidResponseValue,
    /// The request's body inflates to more than may be read.
    InflatedRequest,
    /// The response's body inflates to more than may be read.
    InflatedResponse,
    /// The host did not do what was asked of it.
    Internal,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Reason; 20] = [
        Reason::Ambiguous,
        Reason::PathNotAllowed,
        Reason::HostNotAllowed,
        Reason::TargetTooLong,
        Reason::MethodUnfit,
        Reason::MalformedIdentity,
        Reason::UndecodableRequest,
        Reason::BrokenRequest,
        Reason::InvalidRequestValue,
        Reason::OverLimit,
        Reason::MembersTooFar,
        Reason::LateRequest,
        Reason::LateResponse,
        Reason::Crowded,
        Reason::UndecodableResponse,
        Reason::BrokenResponse,
        Reason::InvalidResponseValue,
        Reason::InflatedRequest,
        Reason::InflatedResponse,
        Reason::Internal,
    ];

    /// What `%RESPONSE_CODE_DETAILS%` shows in the access log.
    pub const fn code_details(self) -> &'static str {
        match self {
            Reason::Ambiguous => "gatehouse_transform_ambiguous",
            Reason::PathNotAllowed => "gatehouse_transform_path_not_allowed",
            Reason::HostNotAllowed => "gatehouse_transform_host_not_allowed",
            Reason::TargetTooLong => "gatehouse_transform_target_too_long",
            Reason::MethodUnfit => "gatehouse_transform_method_unfit",
            Reason::MalformedIdentity => "gatehouse_transform_malformed_identity",
            Reason::UndecodableRequest => "gatehouse_transform_undecodable_request",
            Reason::BrokenRequest => "gatehouse_transform_broken_request",
            Reason::InvalidRequestValue => "gatehouse_transform_invalid_request_value",
            Reason::OverLimit => "gatehouse_transform_over_limit",
            Reason::MembersTooFar => "gatehouse_transform_members_too_far",
            Reason::LateRequest => "gatehouse_transform_late_request",
            Reason::LateResponse => "gatehouse_transform_late_response",
            Reason::Crowded => "gatehouse_transform_crowded",
            Reason::UndecodableResponse => "gatehouse_transform_undecodable_response",
            Reason::BrokenResponse => "gatehouse_transform_broken_response",
            Reason::InvalidResponseValue => "gatehouse_transform_invalid_response_value",
            Reason::InflatedRequest => "gatehouse_transform_inflated_request",
            Reason::InflatedResponse => "gatehouse_transform_inflated_response",
            Reason::Internal => "gatehouse_transform_internal",
        }
    }

    /// The HTTP status of the reply.
    pub const fn status(self) -> u16 {
        match self {
            Reason::Ambiguous
            | Reason::BrokenRequest
            | Reason::InvalidRequestValue
            | Reason::MethodUnfit => 400,
            Reason::PathNotAllowed | Reason::HostNotAllowed | Reason::MalformedIdentity => 403,
            Reason::OverLimit | Reason::MembersTooFar | Reason::InflatedRequest => 413,
            Reason::TargetTooLong => 414,
            Reason::UndecodableRequest => 415,
            Reason::LateRequest | Reason::Crowded => 503,
            Reason::LateResponse => 504,
            Reason::UndecodableResponse
            | Reason::BrokenResponse
            | Reason::InvalidResponseValue
            | Reason::InflatedResponse => 502,
            Reason::Internal => 500,
        }
    }

    /// The status of the reply where the request is a gRPC call.
    pub const fn grpc_status(self) -> GrpcStatus {
        match self {
            Reason::Ambiguous
            | Reason::BrokenRequest
            | Reason::InvalidRequestValue
            | Reason::TargetTooLong => GrpcStatus::InvalidArgument,
            Reason::PathNotAllowed | Reason::HostNotAllowed | Reason::MalformedIdentity => {
                GrpcStatus::PermissionDenied
            }
            Reason::UndecodableRequest | Reason::MethodUnfit => GrpcStatus::Unimplemented,
            Reason::OverLimit
            | Reason::MembersTooFar
            | Reason::InflatedRequest
            | Reason::Crowded => GrpcStatus::ResourceExhausted,
            Reason::LateRequest | Reason::LateResponse => GrpcStatus::DeadlineExceeded,
            Reason::UndecodableResponse
            | Reason::BrokenResponse
            | Reason::InvalidResponseValue
            | Reason::InflatedResponse
            | Reason::Internal => GrpcStatus::Internal,
        }
    }

    /// Why a request with such a body does not go on.
    pub fn of_request(fault: &BodyFault) -> Reason {
        match fault {
            BodyFault::Document(broken) if broken.is_limit() => Reason::OverLimit,
            _ if fault.is_cap() => Reason::InflatedRequest,
            _ => Reason::BrokenRequest,
        }
    }

    /// Why a response with such a body does not go on.
    pub fn of_response(fault: &BodyFault) -> Reason {
        match fault.is_cap() {
            true => Reason::InflatedResponse,
            false => Reason::BrokenResponse,
        }
    }

    /// What is counted.
    pub const fn counter(self) -> Counter {
        match self {
            Reason::Ambiguous => Counter::Ambiguous,
            Reason::PathNotAllowed => Counter::PathNotAllowed,
            Reason::HostNotAllowed => Counter::HostNotAllowed,
            Reason::TargetTooLong => Counter::TargetTooLong,
            Reason::MethodUnfit => Counter::MethodUnfit,
            Reason::MalformedIdentity => Counter::MalformedIdentity,
            Reason::UndecodableRequest => Counter::UndecodableRequest,
            Reason::BrokenRequest => Counter::BrokenRequest,
            Reason::InvalidRequestValue => Counter::InvalidRequestValue,
            Reason::OverLimit => Counter::OverLimit,
            Reason::MembersTooFar => Counter::MembersTooFar,
            Reason::LateRequest => Counter::LateRequest,
            Reason::LateResponse => Counter::LateResponse,
            Reason::Crowded => Counter::Crowded,
            Reason::UndecodableResponse => Counter::UndecodableResponse,
            Reason::BrokenResponse => Counter::BrokenResponse,
            Reason::InvalidResponseValue => Counter::InvalidResponseValue,
            Reason::InflatedRequest => Counter::InflatedRequest,
            Reason::InflatedResponse => Counter::InflatedResponse,
            Reason::Internal => Counter::Internal,
        }
    }

    /// The reply as data. Its text is constant.
    pub fn problem(self) -> Problem {
        Problem {
            status: self.status(),
            grpc_status: self.grpc_status(),
            title: self.title(),
            detail: self.detail(),
            code_details: self.code_details(),
            headers: Vec::new(),
        }
    }

    /// The phrase of the status, as RFC 9457 section 4.2.1 asks where a problem has no type of its own.
    const fn title(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            403 => "Forbidden",
            413 => "Content Too Large",
            414 => "URI Too Long",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            415 => "Unsupported Media Type",
            502 => "Bad Gateway",
            _ => "Internal Server Error",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Reason::Ambiguous => "The target of the request can be read in more than one way.",
            Reason::PathNotAllowed => "The request may not be sent to where its path leads.",
            Reason::HostNotAllowed => "The request may not be sent to that host.",
            Reason::TargetTooLong => "The target of the request is too long.",
            Reason::MethodUnfit => "A call, or a body, cannot be sent on by this method.",
            Reason::MalformedIdentity => "The gateway cannot tell who is calling.",
            Reason::UndecodableRequest => {
                "The body must be JSON in UTF-8, in no content coding or one that the gateway reads."
            }
            Reason::BrokenRequest => "The body is not valid JSON.",
            Reason::InvalidRequestValue => "A value of the request cannot be passed on.",
            Reason::OverLimit => "The body has more than may be sent here.",
            Reason::MembersTooFar => {
                "The body does not say early enough what the gateway has to know of it."
            }
            Reason::LateRequest => "The body did not come in time.",
            Reason::LateResponse => "The upstream's answer did not come in time.",
            Reason::Crowded => "The gateway is waiting for too many bodies.",
            Reason::UndecodableResponse => {
                "The upstream's answer has a form that cannot be passed on."
            }
            Reason::BrokenResponse => "The upstream's answer is not valid JSON.",
            Reason::InvalidResponseValue => "A value of the answer cannot be passed on.",
            Reason::InflatedRequest => "The body inflates to more than the gateway reads.",
            Reason::InflatedResponse => {
                "The upstream's answer inflates to more than the gateway reads."
            }
            Reason::Internal => "The gateway could not process the request.",
        }
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
            assert!(details.starts_with("gatehouse_transform_"), "{details}");
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
