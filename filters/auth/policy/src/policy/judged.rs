//! The verdict of the rules on a request.

use std::sync::Arc;
use std::time::Duration;

use http_message::{HeaderEdits, HeaderName, HeaderValue, RequestHead};
use request_match::{Ambiguity, Rule, Subject};

use crate::caller::Caller;
use crate::credential::Presented;
use crate::decision::{Evidence, Facts, KeyNeed};
use crate::extraction::Extracted;
use crate::policy::Policy;
use crate::policy::checked::Checked;
use crate::policy::denied::Denied;
use crate::reason::Reason;
use crate::rules::Access;
use crate::signature::SignatureCheck;
use crate::token_cache::TokenCache;
use crate::upstream::ValueTooLong;
use crate::verified::{Callers, Verified};

/// A request that was not refused.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would be one more allocation on every request"
)]
pub(super) enum Judged<'p> {
    Allowed(Allowed<'p>),
    Attempts,
    Unknown(SignatureCheck),
    Awaits(KeyNeed),
}

/// A request that a rule allows.
pub(super) struct Allowed<'p> {
    pub(super) rule: &'p Rule<Access>,
    pub(super) caller: Arc<Caller>,
    pub(super) told: Told,
    /// Why a credential that was sent counts as none.
    pub(super) ignored: Option<Reason>,
    /// From when on another API key should be used.
    pub(super) deprecated: Option<Duration>,
}

/// What the upstream is told of a caller beside who it is. All of it fits into headers.
#[derive(Default)]
pub(super) struct Told {
    extracted: Option<Arc<Extracted>>,
    payload: Option<(HeaderName, HeaderValue)>,
}

impl Told {
    /// Tells it, behind who the caller is.
    pub(super) fn edit(self, caller: &[(HeaderName, HeaderValue)], edits: &mut HeaderEdits) {
        let of_token = self
            .extracted
            .as_deref()
            .map_or(&[][..], Extracted::headers);
        for (name, value) in caller.iter().chain(of_token) {
            edits.set(name.clone(), value.clone());
        }
        if let Some((name, value)) = self.payload {
            edits.set(name, value);
        }
    }
}

impl Policy {
    pub(super) fn judge(
        &self,
        head: &RequestHead,
        facts: &Facts,
        evidence: &Evidence,
        tokens: &mut TokenCache,
        now: Duration,
    ) -> Result<Judged<'_>, Denied<'_>> {
        let subject = Subject::new(head, &self.twins).map_err(|ambiguity| {
            Denied::anonymous(match ambiguity {
                Ambiguity::Path(_) | Ambiguity::Call => Reason::BadPath,
                Ambiguity::Host => Reason::BadHost,
            })
        })?;
        let rule = self
            .rules
            .first_match(&subject.with_route(facts.route.as_deref()));
        let lenient = rule.is_some_and(|rule| rule.value.ignore_invalid);
        let (verified, ignored) = match self.check_credentials(head, evidence, tokens, now, lenient)
        {
            Checked::Good(verified, ignored) => (verified, ignored),
            Checked::Unknown(check) => return Ok(Judged::Unknown(check)),
            Checked::Awaits(need) => return Ok(Judged::Awaits(need)),
            Checked::Attempts => return Ok(Judged::Attempts),
            Checked::Throttled(wait) => {
                return Err(Denied {
                    rule,
                    wait: Some(wait),
                    ..Denied::anonymous(Reason::Throttled)
                });
            }
            Checked::Bad { reason, bearer } => {
                return Err(Denied {
                    rule,
                    bearer_is_bad: bearer,
                    failed_attempt: self.is_failed_attempt(reason),
                    ..Denied::anonymous(reason)
                });
            }
        };
        let failed_attempt = ignored.is_some_and(|reason| self.is_failed_attempt(reason));
        let Some(rule) = rule else {
            return Err(Denied {
                caller: verified.identity(),
                failed_attempt,
                ..Denied::anonymous(Reason::NoRule)
            });
        };
        let source = self.address.believed(facts.address.as_deref());
        let metadata = facts.route_metadata.as_deref();
        let (caller, callers) = rule
            .value
            .judge(&verified, source.as_ref(), metadata)
            .map_err(|(reason, asks_token_for)| Denied {
                rule: Some(rule),
                reason,
                caller: verified.identity(),
                asks_token_for,
                failed_attempt,
                ..Denied::anonymous(reason)
            })?;
        match self.told(head, &caller, &verified, callers) {
            Ok(told) => Ok(Judged::Allowed(Allowed {
                rule,
                caller,
                told,
                ignored,
                deprecated: verified.deprecated,
            })),
            Err(_) => Err(Denied {
                rule: Some(rule),
                bearer_is_bad: verified.jwt.is_some(),
                failed_attempt,
                ..Denied::anonymous(Reason::ClaimTooLong)
            }),
        }
    }

    /// What is told the upstream: of a token's claims those of the token by which the caller is known.
    fn told(
        &self,
        head: &RequestHead,
        caller: &Caller,
        verified: &Verified,
        callers: Callers,
    ) -> Result<Told, ValueTooLong> {
        if caller.is_anonymous() {
            return Ok(Told::default());
        }
        caller.headers(&self.upstream)?;
        let token = verified.token_of(callers);
        let payload = match token.is_some() && self.upstream.wants_payload() {
            true => self.payload(head)?,
            false => None,
        };
        Ok(Told {
            extracted: token.and_then(|token| token.extracted.clone()),
            payload,
        })
    }

    #[inline(never)]
    fn payload(
        &self,
        head: &RequestHead,
    ) -> Result<Option<(HeaderName, HeaderValue)>, ValueTooLong> {
        let sent = self.sources.token(head);
        // It was read as `header.payload.signature`, the payload being canonical base64url.
        let payload = match &sent {
            Presented::One(sent) => sent.split(|byte| *byte == b'.').nth(1),
            _ => None,
        };
        self.upstream.of_payload(payload)
    }
}
