//! The compiled configuration, and the decision on a request.

mod checked;
mod compiled;
mod denied;
mod judged;
mod needs;
mod original;

use std::time::Duration;

use filter_config::FieldPath;
use http_message::{
    GrpcStatus, HeaderEdits, HeaderMap, HeaderName, HeaderValue, Occurrence, Problem, RequestHead,
};
use request_match::{Mode, Rules, TwinTable};

use self::denied::Denied;
use self::judged::{Allowed, Judged};
pub use self::needs::Needs;
use self::original::original;
use crate::api_keys::ApiKeys;
use crate::caller::Caller;
use crate::challenge::{Challenges, Scheme};
use crate::credential::{Sources, Stripped};
use crate::decision::{Decision, Evidence, Facts, Forward, Step};
use crate::failed_attempts::FailedAttempts;
use crate::key_set::VerificationKey;
use crate::key_source::KeySource;
use crate::networks::AddressConfig;
use crate::provider::Providers;
use crate::reason::Reason;
use crate::rules::Access;
use crate::token_cache::{TokenCache, TokenCacheLimits};
use crate::upstream::UpstreamHeaders;

const CACHE_CONTROL: HeaderName = HeaderName::from_static("cache-control");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A credential, its cache directive, and what is told of the caller: more than these are rare.
const USUAL_EDITS: usize = 8;

/// A configuration, checked and compiled. It decides, and does nothing.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    challenges: Challenges,
    schemes: Vec<Scheme>,
    sources: Sources,
    api_keys: ApiKeys,
    providers: Providers,
    token_cache: TokenCacheLimits,
    upstream: UpstreamHeaders,
    twins: TwinTable,
    rules: Rules<Access>,
    address: AddressConfig,
    failed_attempts: Option<FailedAttempts>,
}

impl Policy {
    /// What the rules look at beside the head, which then has to be given to [`Policy::decide`].
    pub fn needs(&self) -> Needs {
        let mut needs = Needs {
            route: self.rules.needs_route(),
            ..Needs::default()
        };
        for rule in self.rules.iter().filter(|rule| rule.mode != Mode::Off) {
            needs.address |= rule.value.needs_address();
            needs.route_metadata |= rule.value.needs_route_metadata();
        }
        needs
    }

    /// The providers whose keys have to be fetched, by their places in the configuration.
    pub fn key_sources(&self) -> impl Iterator<Item = (usize, &KeySource)> {
        self.providers.key_sources()
    }

    /// Whether it knows any tokens.
    pub fn has_providers(&self) -> bool {
        !self.providers.names().is_empty()
    }

    /// How often an address may fail, if there is an end to it.
    pub fn failed_attempts(&self) -> Option<&FailedAttempts> {
        self.failed_attempts.as_ref()
    }

    /// The keys of the configuration that only a host verifies with, and their paths. The adapter refuses a configuration that
    /// has one where the host cannot.
    pub fn keys_for_host(&self) -> impl Iterator<Item = (FieldPath, &VerificationKey)> {
        self.providers.keys_for_host()
    }

    /// An empty cache for the tokens that this configuration verifies, and no other. `seeds` have to be random.
    pub fn token_cache(&self, seeds: [u64; 4]) -> TokenCache {
        TokenCache::new(self.token_cache, seeds)
    }

    /// Decides on a request.
    ///
    /// `facts` is what [`Policy::needs`] asks for, `evidence` what is known of its signatures, `tokens` what was verified
    /// before, from [`Policy::token_cache`], `now` the time since the Unix epoch. The same arguments give the same step.
    pub fn decide(
        &self,
        head: &RequestHead,
        facts: &Facts,
        evidence: &Evidence,
        tokens: &mut TokenCache,
        now: Duration,
    ) -> Step<'_> {
        let mut edits = HeaderEdits::new();
        // One look at the names, for most requests have no copies and few credentials.
        let (mut copies, mut credentials) = (false, false);
        for (name, _) in head.headers() {
            copies |= self.upstream.is_copy(name);
            credentials |= self.sources.is_in(name);
        }
        if copies || credentials || head.authorization() != Occurrence::Absent {
            edits.reserve(USUAL_EDITS);
        }
        if copies {
            self.upstream.remove_copies(head.headers(), &mut edits);
        }
        let Ok(stripped) = self.sources.strip(head, credentials, &mut edits) else {
            // In no mode may a credential go on to the upstream, so one that cannot be taken out stops the request.
            let path = head.raw_path().split(|byte| *byte == b'?').next();
            let path = path.map(<[u8]>::to_vec);
            return Step::Reply(self.refusal(head, path, Denied::anonymous(Reason::BadPath)));
        };
        if self.mode == Mode::Off {
            return Step::Forward(Forward {
                caller: Caller::anonymous(),
                original: original(head, stripped.path.as_deref()),
                edits: no_store(edits, stripped.any),
                rule: None,
                decision: Decision::Off,
                reason: None,
                deprecation: None,
                failed_attempt: false,
            });
        }
        match self.judge(head, facts, evidence, tokens, now) {
            Ok(Judged::Unknown(check)) => Step::Verify(check),
            Ok(Judged::Attempts) => Step::Attempt,
            Ok(Judged::Awaits(need)) => Step::Await(need),
            Ok(Judged::Allowed(allowed)) => {
                let Allowed {
                    rule,
                    caller,
                    told,
                    ignored,
                    deprecated,
                } = allowed;
                let mut edits = no_store(edits, stripped.any && !rule.value.cacheable);
                told.edit(
                    caller.headers(&self.upstream).unwrap_or_default(),
                    &mut edits,
                );
                Step::Forward(Forward {
                    edits,
                    caller,
                    original: original(head, stripped.path.as_deref()),
                    rule: Some(rule.name.as_str()),
                    decision: Decision::Allow,
                    reason: ignored,
                    deprecation: deprecated.and_then(deprecation),
                    failed_attempt: ignored.is_some_and(|reason| self.is_failed_attempt(reason)),
                })
            }
            Err(denied)
                if self.mode == Mode::Shadow
                    || denied.rule.is_some_and(|rule| rule.mode == Mode::Shadow) =>
            {
                Step::Forward(self.shadow(head, edits, &stripped, denied))
            }
            Err(denied) => Step::Reply(self.refusal(head, stripped.path, denied)),
        }
    }

    /// The edits that a request's trailers need, in every mode: some upstreams take trailers for headers, so what a client may
    /// not say in the one place it may not say in the other.
    pub fn clean_trailers(&self, trailers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        self.upstream.remove_copies(trailers, &mut edits);
        self.sources.strip_trailers(trailers, &mut edits);
        edits
    }

    /// The refusal for when the host did not do what it was asked to. Nothing of the request was understood.
    pub fn internal_error() -> Problem {
        Problem {
            status: 500,
            grpc_status: GrpcStatus::Internal,
            title: "Internal Server Error",
            detail: "The gateway could not examine the request.",
            code_details: "gatehouse_auth_internal",
            headers: Vec::new(),
        }
    }

    /// A request that passes only because somebody is watching what would happen.
    #[cold]
    #[inline(never)]
    fn shadow<'p>(
        &'p self,
        head: &RequestHead,
        edits: HeaderEdits,
        stripped: &Stripped,
        denied: Denied<'p>,
    ) -> Forward<'p> {
        let cacheable = denied.rule.is_some_and(|rule| rule.value.cacheable);
        let mut edits = no_store(edits, stripped.any && !cacheable);
        // Who was found is told as it would be once the rule is enforced; what does not fit is not told.
        for (name, value) in denied.caller.headers(&self.upstream).unwrap_or_default() {
            edits.set(name.clone(), value.clone());
        }
        Forward {
            edits,
            caller: denied.caller,
            original: original(head, stripped.path.as_deref()),
            rule: denied.rule.map(|rule| rule.name.as_str()),
            decision: Decision::ShadowDeny,
            reason: Some(denied.reason),
            deprecation: None,
            failed_attempt: denied.failed_attempt,
        }
    }
}

/// RFC 9745 section 2.1: a date of structured fields.
#[cold]
#[inline(never)]
fn deprecation(since: Duration) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("@{}", since.as_secs()).as_str()).ok()
}

/// Without this, a cache behind this filter, which sees no credential, would hand one caller's answer to another.
fn no_store(mut edits: HeaderEdits, wanted: bool) -> HeaderEdits {
    if wanted {
        edits.set(CACHE_CONTROL, NO_STORE);
    }
    edits
}
