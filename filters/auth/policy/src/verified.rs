//! The credentials of a request that were found good, and who calls by them.

use std::sync::Arc;
use std::time::Duration;

use identity::{Identity, MAX_CLAIMS, MAX_GROUPS, MAX_LABELS, MAX_SCOPES};

use crate::caller::Caller;
use crate::token_cache::VerifiedToken;

/// The credentials of a request that were found good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verified {
    pub(crate) api_key: Option<Arc<Caller>>,
    pub(crate) jwt: Option<VerifiedToken>,
    /// From when on another API key should be used.
    pub(crate) deprecated: Option<Duration>,
}

/// One of the credentials that a request can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    ApiKey,
    Jwt,
}

/// The credentials by which a rule was met, the first being who calls. None where it was met without any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Callers {
    first: Option<Credential>,
    second: Option<Credential>,
}

impl Callers {
    /// These, and then that one, if it is not among them.
    pub(crate) fn and(mut self, other: Option<Credential>) -> Self {
        if self.first.is_none() {
            self.first = other;
        } else if self.first != other && self.second.is_none() {
            self.second = other;
        }
        self
    }

    fn has(self, credential: Credential) -> bool {
        [self.first, self.second].contains(&Some(credential))
    }

    /// These, and then those.
    pub(crate) fn and_all(self, others: Self) -> Self {
        self.and(others.first).and(others.second)
    }
}

impl Verified {
    /// Who calls, where no rule says which credential counts: the token's user, completed from the API key.
    pub(crate) fn identity(&self) -> Arc<Caller> {
        let both = Callers::default()
            .and(self.jwt.as_ref().map(|_| Credential::Jwt))
            .and(self.api_key.as_ref().map(|_| Credential::ApiKey));
        self.of(both).unwrap_or_else(Caller::anonymous)
    }

    /// Who calls by these credentials; whoever is known where a rule was met without any.
    pub(crate) fn identity_of(&self, callers: Callers) -> Arc<Caller> {
        self.of(callers).unwrap_or_else(|| self.identity())
    }

    /// The token, if it is one of those credentials; any that is there where the rule was met without any.
    pub(crate) fn token_of(&self, callers: Callers) -> Option<&VerifiedToken> {
        let counts = callers.first.is_none() || callers.has(Credential::Jwt);
        self.jwt.as_ref().filter(|_| counts)
    }

    fn of(&self, callers: Callers) -> Option<Arc<Caller>> {
        let first = self.one(callers.first?)?;
        Some(match callers.second.and_then(|second| self.one(second)) {
            Some(second) => Arc::new(joined(Identity::clone(first), second).into()),
            None => Arc::clone(first),
        })
    }

    fn one(&self, credential: Credential) -> Option<&Arc<Caller>> {
        match credential {
            Credential::ApiKey => self.api_key.as_ref(),
            Credential::Jwt => self.jwt.as_ref().map(|token| &token.identity),
        }
    }
}

/// One caller out of two credentials: what the first does not say is taken from the second, lists are joined.
#[cold]
#[inline(never)]
fn joined(first: Identity, second: &Identity) -> Identity {
    let mut both = first;
    let fill = |mine: &mut Option<String>, other: &Option<String>| {
        if mine.is_none() {
            mine.clone_from(other);
        }
    };
    fill(&mut both.consumer, &second.consumer);
    fill(&mut both.subject, &second.subject);
    fill(&mut both.issuer, &second.issuer);
    fill(&mut both.plan, &second.plan);
    let join = |mine: &mut Vec<String>, other: &[String], most: usize| {
        for text in other {
            if !mine.contains(text) && mine.len() < most {
                mine.push(text.clone());
            }
        }
    };
    join(&mut both.groups, &second.groups, MAX_GROUPS);
    join(&mut both.scopes, &second.scopes, MAX_SCOPES);
    let join_pairs = |mine: &mut Vec<(String, String)>, other: &[(String, String)], most: usize| {
        for (name, value) in other {
            if !mine.iter().any(|(known, _)| known == name) && mine.len() < most {
                mine.push((name.clone(), value.clone()));
            }
        }
    };
    join_pairs(&mut both.labels, &second.labels, MAX_LABELS);
    join_pairs(&mut both.claims, &second.claims, MAX_CLAIMS);
    both
}
