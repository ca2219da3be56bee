//! The credentials of a request, checked.

use std::time::Duration;

use http_message::RequestHead;

use crate::api_keys::MAX_API_KEY_BYTES;
use crate::credential::Presented;
use crate::decision::{Evidence, KeyNeed};
use crate::failed_attempts::Leave;
use crate::policy::Policy;
use crate::provider::Token;
use crate::reason::Reason;
use crate::signature::SignatureCheck;
use crate::token_cache::TokenCache;
use crate::verified::Verified;

/// What checking the credentials of a request came to.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would be one more allocation on every request"
)]
pub(super) enum Checked {
    /// With the reason why another credential counts as none.
    Good(Verified, Option<Reason>),
    Bad {
        reason: Reason,
        bearer: bool,
    },
    /// Nothing may be tried for so long.
    Throttled(Duration),
    /// Whether anything may be tried has to be known first.
    Attempts,
    Unknown(SignatureCheck),
    Awaits(KeyNeed),
}

impl Policy {
    /// Every credential that was sent has to be good, also where none is asked for; if `lenient`, one that is not counts
    /// as not sent.
    pub(super) fn check_credentials(
        &self,
        head: &RequestHead,
        evidence: &Evidence,
        tokens: &mut TokenCache,
        now: Duration,
        lenient: bool,
    ) -> Checked {
        let mut ignored: Option<Reason> = None;
        let mut bad = |reason, bearer| {
            // The first that was an attempt, and so counts: a guess must not hide behind what was not tried.
            if ignored.is_none_or(|known| !known.is_failed_attempt()) {
                ignored = Some(reason);
            }
            (!lenient).then_some(Checked::Bad { reason, bearer })
        };
        let api_key = self.sources.api_key(head);
        let token = self.sources.token(head);
        // Before any work: sending credentials twice costs nothing.
        let is_several = |sent: &Presented<'_>| matches!(sent, Presented::Several);
        if (is_several(&api_key) || is_several(&token))
            && let Some(refused) = bad(Reason::CredentialRepeated, false)
        {
            return refused;
        }
        if let Some(attempts) = self.may_try(&api_key, &token, evidence, tokens) {
            return attempts;
        }
        let mut verified = Verified::default();
        let fault = match api_key {
            Presented::Nothing | Presented::Several => None,
            Presented::One(key) if key.is_empty() || key.len() > MAX_API_KEY_BYTES => {
                Some(Reason::ApiKeyMalformed)
            }
            Presented::One(key) => self.check_key(&key, tokens, now, &mut verified),
            Presented::Unreadable => Some(Reason::ApiKeyMalformed),
        };
        if let Some(refused) = fault.and_then(|reason| bad(reason, false)) {
            return refused;
        }
        let fault = match token {
            Presented::Nothing | Presented::Several => None,
            Presented::One(token) => match self.providers.check(&token, evidence, tokens, now) {
                Token::Good(token) => {
                    verified.jwt = Some(token);
                    None
                }
                Token::Bad(reason) => Some(reason),
                Token::Unknown(check) => return Checked::Unknown(check),
                Token::Awaits(need) => return Checked::Awaits(need),
            },
            Presented::Unreadable => Some(Reason::TokenMalformed),
        };
        if let Some(refused) = fault.and_then(|reason| bad(reason, true)) {
            return refused;
        }
        Checked::Good(verified, ignored)
    }

    /// Who has the key, or why it is not good.
    #[inline(never)]
    fn check_key(
        &self,
        key: &[u8],
        tokens: &mut TokenCache,
        now: Duration,
        verified: &mut Verified,
    ) -> Option<Reason> {
        match self.api_keys.find(key, now) {
            Ok((place, known)) => {
                verified.api_key = tokens.key_callers.of(place, known);
                verified.deprecated = known.deprecated();
                verified.api_key.is_none().then_some(Reason::ApiKeyUnknown)
            }
            Err(reason) => Some(reason),
        }
    }

    /// Why no credential is looked at, or not yet. A token that was verified before costs nothing, and a forger cannot make one: it
    /// passes, so that who is at work behind the same address is not stopped by another's guesses.
    fn may_try(
        &self,
        api_key: &Presented<'_>,
        bearer: &Presented<'_>,
        evidence: &Evidence,
        tokens: &TokenCache,
    ) -> Option<Checked> {
        self.failed_attempts.as_ref()?;
        Self::may_try_now(api_key, bearer, evidence, tokens)
    }

    #[inline(never)]
    fn may_try_now(
        api_key: &Presented<'_>,
        bearer: &Presented<'_>,
        evidence: &Evidence,
        tokens: &TokenCache,
    ) -> Option<Checked> {
        let tries_key = matches!(api_key, Presented::One(_));
        let tries_token = matches!(bearer, Presented::One(token) if !tokens.holds(token));
        if !tries_key && !tries_token {
            return None;
        }
        match evidence.leave() {
            None => Some(Checked::Attempts),
            Some(Leave::Given) => None,
            Some(Leave::After(wait)) => Some(Checked::Throttled(wait)),
        }
    }

    pub(super) fn is_failed_attempt(&self, reason: Reason) -> bool {
        self.failed_attempts.is_some() && reason.is_failed_attempt()
    }
}
