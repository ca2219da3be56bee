//! What the policy asks the adapter to do.

use std::rc::Rc;
use std::sync::Arc;

use http_message::{HeaderEdits, HeaderValue, Problem};
use identity::OriginalRequest;

use crate::caller::Caller;
use crate::failed_attempts::Leave;
use crate::fetched_keys::FetchedKeys;
use crate::jws::CompactJws;
use crate::key_set::KeySet;
use crate::reason::Reason;
use crate::signature::SignatureCheck;
use crate::token_cache::are_same;

/// What is known of a request beside its head. What [`crate::Policy::needs`] does not name may be left out.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The name of the route, as a native filter last looked it up.
    pub route: Option<Vec<u8>>,
    /// The host's `source.address`.
    pub address: Option<Vec<u8>>,
    /// The route's metadata `gatehouse.auth`, as the host gives a map.
    pub route_metadata: Option<Vec<u8>>,
}

/// The next thing to do for a request.
#[derive(Debug)]
pub enum Step<'p> {
    /// Let it pass.
    Forward(Forward<'p>),
    /// Answer it here.
    Reply(Refusal<'p>),
    /// Find out whether a signature holds, add the answer to the [`crate::Evidence`], and ask again.
    Verify(SignatureCheck),
    /// Find out whether the address of the request may try a credential, tell the [`crate::Evidence`], and ask again.
    Attempt,
    /// Wait for keys, tell the [`crate::Evidence`] what came of it, and ask again.
    Await(KeyNeed),
}

impl Step<'_> {
    /// Whether a credential was tried that is not good, which then has to be counted.
    pub fn is_failed_attempt(&self) -> bool {
        match self {
            Self::Forward(forward) => forward.failed_attempt,
            Self::Reply(refusal) => refusal.failed_attempt,
            Self::Verify(_) | Self::Attempt | Self::Await(_) => false,
        }
    }
}

/// Keys that a request cannot be decided without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyNeed {
    /// The place of the provider in the configuration.
    pub provider: usize,
    /// The id of the key that the provider's present set does not have; nothing if there is no set.
    pub key_id: Option<String>,
}

/// Why no more keys are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKeys {
    /// The provider's present set was fetched since and does not have the key.
    Absent,
    /// None came in time, or none will.
    Unavailable,
}

/// A request that passes.
#[derive(Debug)]
pub struct Forward<'p> {
    /// The header edits, to be made before it passes.
    pub edits: HeaderEdits,
    /// Who calls, for the filters behind.
    pub caller: Arc<Caller>,
    /// The request as the client sent it, for the filters behind.
    pub original: OriginalRequest,
    /// The rule that decided.
    pub rule: Option<&'p str>,
    /// Why it passes.
    pub decision: Decision,
    /// Why it would have been refused, in shadow mode; why a credential was ignored, where the rule says so.
    pub reason: Option<Reason>,
    /// The response header `deprecation`, for who uses an API key that should be replaced.
    pub deprecation: Option<HeaderValue>,
    /// Whether a credential was tried that is not good, which then has to be counted.
    pub failed_attempt: bool,
}

/// A request that is refused.
#[derive(Debug)]
pub struct Refusal<'p> {
    /// The answer. It depends on the class of the failure and on the rule's challenges, never on the reason.
    pub problem: Problem,
    /// Who calls, as far as it was verified.
    pub caller: Arc<Caller>,
    /// The request as the client sent it.
    pub original: OriginalRequest,
    /// What the request target is to be, where it held a credential: access logs show those of refused requests too.
    pub target: Option<Vec<u8>>,
    /// The rule that decided, if the request got as far.
    pub rule: Option<&'p str>,
    /// Why.
    pub reason: Reason,
    /// Whether a credential was tried that is not good, which then has to be counted.
    pub failed_attempt: bool,
}

/// The decision as the access log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule allows it.
    Allow,
    /// It was refused.
    Deny,
    /// It would have been refused.
    ShadowDeny,
    /// It was not examined.
    Off,
}

impl Decision {
    /// The word in filter state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::ShadowDeny => "shadow_deny",
            Self::Off => "off",
        }
    }
}

/// What is known about the signatures of one request.
///
/// Filled by the adapter with one answer for each [`Step::Verify`].
#[derive(Debug, Default)]
pub struct Evidence {
    answers: Vec<(SignatureCheck, bool)>,
    fetched: Option<Rc<FetchedKeys>>,
    no_keys: Option<NoKeys>,
    leave: Option<Leave>,
}

impl Evidence {
    /// The most answers that are kept. No decision needs more.
    pub const MAX_ANSWERS: usize = 10;

    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These keys were fetched, and if `no_keys` says why, no more will be waited for.
    pub fn with_keys(fetched: Rc<FetchedKeys>, no_keys: Option<NoKeys>) -> Self {
        Self {
            fetched: Some(fetched),
            no_keys,
            ..Self::default()
        }
    }

    /// Whether the address may try a credential.
    pub fn set_leave(&mut self, leave: Leave) {
        self.leave = Some(leave);
    }

    pub(crate) fn leave(&self) -> Option<Leave> {
        self.leave
    }

    pub(crate) fn fetched(&self, provider: usize) -> Option<&KeySet> {
        self.fetched.as_ref()?.get(provider)
    }

    pub(crate) fn no_keys(&self) -> Option<NoKeys> {
        self.no_keys
    }

    /// Adds an answer; past [`Evidence::MAX_ANSWERS`] it is dropped.
    pub fn add(&mut self, check: SignatureCheck, holds: bool) {
        if self.answers.len() < Self::MAX_ANSWERS {
            self.answers.push((check, holds));
        }
    }

    /// A token that an answer is about, as it was read for the question.
    pub(crate) fn read(&self, token: &[u8]) -> Option<&Rc<CompactJws>> {
        let mut read = self.answers.iter().map(|(check, _)| check.jws());
        read.find(|jws| are_same(jws.token().as_bytes(), token))
    }

    /// The answer to a check, where it is known. What can no longer be asked about counts as a no.
    pub(crate) fn answer(&self, is_it: impl Fn(&SignatureCheck) -> bool) -> Option<bool> {
        let known = self.answers.iter().find(|(check, _)| is_it(check));
        match known {
            Some((_, holds)) => Some(*holds),
            None => (self.answers.len() >= Self::MAX_ANSWERS).then_some(false),
        }
    }
}
