//! Everything that transform counts: a closed list, so that no client chooses the name of a statistic.

/// A gauge: the bytes that the bodies under way hold in this process. Envoy shows it as `wasmcustom.<name>`.
pub const HELD_BYTES: &str = "gatehouse.transform.held_bytes";

/// A counter. Envoy shows it as `wasmcustom.<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Forwarded by a rule.
    Matched,
    /// Forwarded; no rule is for it.
    Unmatched,
    /// A rule in mode `shadow` is for it.
    Shadowed,
    /// A body went through the operations of a rule in mode `shadow`, to its end; it was sent on as it came.
    ShadowRewritten,
    /// A rule in mode `shadow` would have refused the request, or replaced or cut off the response.
    ShadowRefused,
    /// Forwarded with another path.
    PathRewritten,
    /// Forwarded with another query.
    QueryEdited,
    /// Forwarded with another host.
    HostChanged,
    /// Forwarded with another method.
    MethodChanged,
    /// The members of a document that were asked for have been looked for, and told.
    Captured,
    /// A member was there and is not told: too long, or no text for a header.
    CaptureUnfit,
    /// The head of a message waited for its body.
    HeadWaited,
    /// The head of a response went on before its body had begun: the deadline.
    HeadReleased,
    /// A request's document went through its operations, to its end.
    RequestBodyRewritten,
    /// A response's document went through its operations, to its end.
    ResponseBodyRewritten,
    /// A request's body went on although it could not be read: `on_undecodable: pass`.
    RequestBodyPassed,
    /// A response's body went on although it could not be read: `on_undecodable: pass`.
    ResponseBodyPassed,
    /// Refused: path or host can be read in two ways.
    Ambiguous,
    /// Refused: no one may be sent to the path that the rewrite leads to.
    PathNotAllowed,
    /// Refused: no one may be sent to the host that comes out.
    HostNotAllowed,
    /// Refused: with what was added its target is too long.
    TargetTooLong,
    /// Refused: it cannot be sent on by the method that its rule asks for.
    MethodUnfit,
    /// Refused: the record of the caller cannot be read.
    MalformedIdentity,
    /// Refused: the request's body, or the answer to such a call, is of no kind that operations could read.
    UndecodableRequest,
    /// Refused: the request's body is not the JSON that it claims to be.
    BrokenRequest,
    /// Refused: what a template makes of the request may not stand where it is to be put.
    InvalidRequestValue,
    /// Refused: the request's body has more than the limits of its rule allow.
    OverLimit,
    /// Refused: the members that are captured are not among the first bytes.
    MembersTooFar,
    /// Refused: the members that are captured have not come by the deadline.
    LateRequest,
    /// The response was replaced: the members that are captured have not come by the deadline.
    LateResponse,
    /// Refused or replaced: too many messages wait for their bodies.
    Crowded,
    /// The response was replaced: its body is of no kind that its operations could read.
    UndecodableResponse,
    /// The response was cut off: its body is not the JSON that it claims to be, or incomplete.
    BrokenResponse,
    /// The response was replaced: what a template makes of the exchange may not stand where it is to be put.
    InvalidResponseValue,
    /// Refused or cut off: the request's body inflates to more than may be read.
    InflatedRequest,
    /// The response was cut off: its body inflates to more than may be read.
    InflatedResponse,
    /// Refused or cut off: the host did not do what was asked of it.
    Internal,
}

impl Counter {
    /// Every counter, in the order of declaration. README.md has the same list.
    pub const ALL: [Counter; 37] = [
        Counter::Matched,
        Counter::Unmatched,
        Counter::Shadowed,
        Counter::ShadowRewritten,
        Counter::ShadowRefused,
        Counter::PathRewritten,
        Counter::QueryEdited,
        Counter::HostChanged,
        Counter::MethodChanged,
        Counter::Captured,
        Counter::CaptureUnfit,
        Counter::HeadWaited,
        Counter::HeadReleased,
        Counter::RequestBodyRewritten,
        Counter::ResponseBodyRewritten,
        Counter::RequestBodyPassed,
        Counter::ResponseBodyPassed,
        Counter::Ambiguous,
        Counter::PathNotAllowed,
        Counter::HostNotAllowed,
        Counter::TargetTooLong,
        Counter::MethodUnfit,
        Counter::MalformedIdentity,
        Counter::UndecodableRequest,
        Counter::BrokenRequest,
        Counter::InvalidRequestValue,
        Counter::OverLimit,
        Counter::MembersTooFar,
        Counter::LateRequest,
        Counter::LateResponse,
        Counter::Crowded,
        Counter::UndecodableResponse,
        Counter::BrokenResponse,
        Counter::InvalidResponseValue,
        Counter::InflatedRequest,
        Counter::InflatedResponse,
        Counter::Internal,
    ];

    /// The name, without Envoy's prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Counter::Matched => "gatehouse.transform.matched",
            Counter::Unmatched => "gatehouse.transform.unmatched",
            Counter::Shadowed => "gatehouse.transform.shadowed",
            Counter::ShadowRewritten => "gatehouse.transform.shadow_rewritten",
            Counter::ShadowRefused => "gatehouse.transform.shadow_refused",
            Counter::Captured => "gatehouse.transform.captured",
            Counter::CaptureUnfit => "gatehouse.transform.capture_unfit",
            Counter::HeadWaited => "gatehouse.transform.head_waited",
            Counter::HeadReleased => "gatehouse.transform.head_released",
            Counter::MembersTooFar => "gatehouse.transform.members_too_far",
            Counter::LateRequest => "gatehouse.transform.late_request",
            Counter::LateResponse => "gatehouse.transform.late_response",
            Counter::Crowded => "gatehouse.transform.crowded",
            Counter::PathRewritten => "gatehouse.transform.path_rewritten",
            Counter::QueryEdited => "gatehouse.transform.query_edited",
            Counter::HostChanged => "gatehouse.transform.host_changed",
            Counter::MethodChanged => "gatehouse.transform.method_changed",
            Counter::RequestBodyRewritten => "gatehouse.transform.request_body_rewritten",
            Counter::ResponseBodyRewritten => "gatehouse.transform.response_body_rewritten",
            Counter::RequestBodyPassed => "gatehouse.transform.request_body_passed",
            Counter::ResponseBodyPassed => "gatehouse.transform.response_body_passed",
            Counter::Ambiguous => "gatehouse.transform.ambiguous",
            Counter::PathNotAllowed => "gatehouse.transform.path_not_allowed",
            Counter::HostNotAllowed => "gatehouse.transform.host_not_allowed",
            Counter::TargetTooLong => "gatehouse.transform.target_too_long",
            Counter::MethodUnfit => "gatehouse.transform.method_unfit",
            Counter::MalformedIdentity => "gatehouse.transform.malformed_identity",
            Counter::UndecodableRequest => "gatehouse.transform.undecodable_request",
            Counter::BrokenRequest => "gatehouse.transform.broken_request",
            Counter::InvalidRequestValue => "gatehouse.transform.invalid_request_value",
            Counter::OverLimit => "gatehouse.transform.over_limit",
            Counter::UndecodableResponse => "gatehouse.transform.undecodable_response",
            Counter::BrokenResponse => "gatehouse.transform.broken_response",
            Counter::InvalidResponseValue => "gatehouse.transform.invalid_response_value",
            Counter::InflatedRequest => "gatehouse.transform.inflated_request",
            Counter::InflatedResponse => "gatehouse.transform.inflated_response",
            Counter::Internal => "gatehouse.transform.internal",
        }
    }
}
