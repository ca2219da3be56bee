//! A refusal, and the form in which the client gets it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http_message::{GrpcStatus, HeaderName, HeaderValue, Problem, Protocol, RequestHead};
use request_match::Rule;

use crate::caller::Caller;
use crate::decision::Refusal;
use crate::policy::Policy;
use crate::policy::original::original;
use crate::reason::Reason;
use crate::rules::Access;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// A refusal before it has a form.
pub(super) struct Denied<'p> {
    pub(super) rule: Option<&'p Rule<Access>>,
    pub(super) reason: Reason,
    pub(super) caller: Arc<Caller>,
    pub(super) asks_token_for: Option<Vec<String>>,
    pub(super) bearer_is_bad: bool,
    /// Whether a credential was tried that is not good.
    pub(super) failed_attempt: bool,
    /// How long no other may be tried.
    pub(super) wait: Option<Duration>,
}

impl Policy {
    #[inline(never)]
    pub(super) fn refusal<'p>(
        &'p self,
        head: &RequestHead,
        path: Option<Vec<u8>>,
        denied: Denied<'p>,
    ) -> Refusal<'p> {
        Refusal {
            problem: self.problem(head, &denied),
            rule: denied.rule.map(|rule| rule.name.as_str()),
            reason: denied.reason,
            failed_attempt: denied.failed_attempt,
            caller: denied.caller,
            original: original(head, path.as_deref()),
            target: path,
        }
    }

    fn problem(&self, head: &RequestHead, denied: &Denied<'_>) -> Problem {
        match denied.reason {
            Reason::BadPath => Problem {
                status: 400,
                grpc_status: GrpcStatus::InvalidArgument,
                title: "Bad Request",
                detail: "The request path is not acceptable.",
                code_details: "gatehouse_auth_bad_path",
                headers: Vec::new(),
            },
            Reason::BadHost => Problem {
                status: 400,
                grpc_status: GrpcStatus::InvalidArgument,
                title: "Bad Request",
                detail: "The request host is not acceptable.",
                code_details: "gatehouse_auth_bad_host",
                headers: Vec::new(),
            },
            Reason::Internal => Self::internal_error(),
            Reason::ScopeMissing
            | Reason::GroupMissing
            | Reason::PlanMissing
            | Reason::ClaimMissing
            | Reason::AddressNotAllowed
            | Reason::AddressUnknown
            | Reason::Excluded
            | Reason::RouteMetadataMissing
            | Reason::CredentialNotAccepted => self.forbidden(denied),
            Reason::NoRule if !denied.caller.is_anonymous() => self.forbidden(denied),
            Reason::KeysUnavailable => Problem {
                status: 503,
                grpc_status: GrpcStatus::Unavailable,
                title: "Service Unavailable",
                detail: "The credential cannot be checked at present.",
                code_details: "gatehouse_auth_unavailable",
                headers: Vec::new(),
            },
            Reason::Throttled => Problem {
                status: 429,
                grpc_status: GrpcStatus::ResourceExhausted,
                title: "Too Many Requests",
                detail: "Too many failed attempts. Retry-After says when another can be made.",
                code_details: "gatehouse_auth_throttled",
                headers: retry_after(head, denied.wait.unwrap_or_default()),
            },
            // Where nobody can authenticate there is no scheme to name, and RFC 9110 section 15.5.2 wants one in each 401.
            _ if self.schemes.is_empty() => self.forbidden(denied),
            _ => self.unauthenticated(denied),
        }
    }

    fn forbidden(&self, denied: &Denied<'_>) -> Problem {
        Problem {
            status: 403,
            grpc_status: GrpcStatus::PermissionDenied,
            title: "Forbidden",
            detail: "The credential does not allow this request.",
            code_details: "gatehouse_auth_forbidden",
            headers: match &denied.asks_token_for {
                Some(scopes) => self.challenges.insufficient(scopes),
                None => Vec::new(),
            },
        }
    }

    fn unauthenticated(&self, denied: &Denied<'_>) -> Problem {
        let schemes = match denied.rule {
            Some(rule) => Cow::Owned(rule.value.schemes(&self.schemes)),
            None => Cow::Borrowed(&self.schemes),
        };
        Problem {
            status: 401,
            grpc_status: GrpcStatus::Unauthenticated,
            title: "Unauthorized",
            detail: "A valid credential is required.",
            code_details: "gatehouse_auth_unauthenticated",
            headers: self
                .challenges
                .unauthenticated(&schemes, denied.bearer_is_bad),
        }
    }
}

impl Denied<'_> {
    pub(super) fn anonymous(reason: Reason) -> Self {
        Self {
            rule: None,
            reason,
            caller: Caller::anonymous(),
            asks_token_for: None,
            bearer_is_bad: false,
            failed_attempt: false,
            wait: None,
        }
    }
}

/// When another attempt may be made: in whole seconds (RFC 9110 section 10.2.3), in milliseconds for clients of gRPC (gRFC A6).
fn retry_after(head: &RequestHead, wait: Duration) -> Vec<(HeaderName, HeaderValue)> {
    let up = |wait: u128, unit: u128| wait.div_ceil(unit).max(1).to_string();
    let nanos = wait.as_nanos();
    let pushback = match head.protocol() {
        Protocol::Grpc | Protocol::GrpcWeb => Some((RETRY_PUSHBACK, up(nanos, 1_000_000))),
        Protocol::Http | Protocol::Connect => None,
    };
    let headers = [(RETRY_AFTER, up(nanos, 1_000_000_000))].into_iter();
    headers
        .chain(pushback)
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
        .collect()
}
