//! The compiled configuration, and the decision on a request.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::{
    GrpcStatus, HeaderEdits, HeaderMap, HeaderName, HeaderValue, Problem, Protocol, RequestHead,
};
use identity::{OriginalRequest, RecordedProtocol};
use request_match::{Ambiguity, Mode, Placement, RequestMatch, Rule, Rules, Subject, TwinTable};

use crate::api_keys::{ApiKeys, MAX_API_KEY_BYTES, Pepper};
use crate::caller::Caller;
use crate::challenge::{Challenges, Scheme};
use crate::config::{AuthConfig, TokenCacheConfig};
use crate::credential::{Presented, Sources, Stripped, TokenSources};
use crate::decision::{Decision, Evidence, Facts, Forward, KeyNeed, Refusal, Step};
use crate::extraction::{Extracted, Extraction};
use crate::failed_attempts::{FailedAttempts, Leave};
use crate::key_set::VerificationKey;
use crate::key_source::KeySource;
use crate::networks::AddressConfig;
use crate::provider::{Providers, Token};
use crate::reason::Reason;
use crate::requirement::Known;
use crate::rules::Access;
use crate::signature::SignatureCheck;
use crate::token_cache::{TokenCache, TokenCacheLimits};
use crate::upstream::{UpstreamHeaders, ValueTooLong};
use crate::verified::{Callers, Verified};

const DEFAULT_REALM: &str = "api";
const CACHE_CONTROL: HeaderName = HeaderName::from_static("cache-control");
const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The most of the original request target that is recorded, in bytes.
const MAX_RECORDED_PATH_BYTES: usize = 8 * 1024;

/// The most of the original content type that is recorded, in bytes.
const MAX_RECORDED_CONTENT_TYPE_BYTES: usize = 256;

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

/// What a policy wants to know of a request beside its head: the [`Facts`] that it looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The name of the route.
    pub route: bool,
    /// The address of the caller.
    pub address: bool,
    /// The route's metadata `gatehouse.auth`.
    pub route_metadata: bool,
}

/// A refusal before it has a form.
struct Denied<'p> {
    rule: Option<&'p Rule<Access>>,
    reason: Reason,
    caller: Arc<Caller>,
    asks_token_for: Option<Vec<String>>,
    bearer_is_bad: bool,
    /// Whether a credential was tried that is not good.
    failed_attempt: bool,
    /// How long no other may be tried.
    wait: Option<Duration>,
}

/// What checking the credentials of a request came to.
enum Checked {
    /// With the reason why another credential counts as none.
    Good(Box<Verified>, Option<Reason>),
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
    /// Reads a configuration: JSON or a serialized `google.protobuf.Struct`.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_bytes_in(bytes, &|_| None)
    }

    /// As [`Policy::from_bytes`], in a VM with environment variables.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn from_bytes_in(
        bytes: &[u8],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::compile(filter_config::parse(bytes)?, environment)
    }

    /// Compiles a configuration. `environment` gives the VM's environment variables, which hold what a configuration must
    /// not.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn compile(
        config: AuthConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let root = FieldPath::root();
        let realm = config
            .realm
            .as_ref()
            .map_or(DEFAULT_REALM, |realm| realm.as_str());
        let metadata = config.resource_metadata.as_ref().map(|url| url.as_str());
        let keys_at = root.field("api_keys");
        let has_keys = config.api_keys.is_some();
        let (sources, keys, pepper) = match config.api_keys {
            Some(section) => {
                let at = keys_at.field("pepper_variable");
                let read = |name: &Text<128>| Pepper::read(name.as_str(), environment, &at);
                let pepper = section.pepper_variable.as_ref().map(read).transpose()?;
                let sources = section.sources.into_inner();
                (sources, section.keys.into_inner(), pepper)
            }
            None => (Vec::new(), Vec::new(), None),
        };
        let api_keys = ApiKeys::compile(keys, pepper, &keys_at.field("keys"))?;
        let jwt_at = root.field("jwt");
        let mut extraction = Extraction::default();
        let (providers, token_cache, token_sources) = match config.jwt {
            Some(jwt) => {
                extraction.select(&jwt.selected_claims);
                let sources = jwt.sources.map(BoundedList::into_inner);
                let sources = sources.map_or(TokenSources::Bearer, TokenSources::These);
                (jwt.providers.into_inner(), jwt.token_cache, sources)
            }
            None => (Vec::new(), TokenCacheConfig::default(), TokenSources::None),
        };
        let sources = Sources::compile(
            (sources, &keys_at.field("sources")),
            (token_sources, &jwt_at.field("sources")),
        )?;
        let challenges = Challenges::compile(realm, metadata, sources.key_scheme(), &root)?;
        let providers = Providers::compile(providers, &jwt_at.field("providers"))?;

        let failed_attempts = config.failed_attempts.as_ref().map(|attempts| {
            let at = root.field("failed_attempts");
            FailedAttempts::compile(attempts, config.address, &at)
        });
        let cache_at = jwt_at.field("token_cache");
        let token_cache = TokenCacheLimits::compile(&token_cache, &cache_at)?;

        let names = providers.names();
        let schemes = [
            (!names.is_empty(), Scheme::Bearer),
            (has_keys, Scheme::ApiKey),
        ]
        .into_iter()
        .filter_map(|(configured, scheme)| configured.then_some(scheme))
        .collect();
        let known = Known {
            api_keys: has_keys,
            providers: &names,
        };
        let rules_at = root.field("rules");
        let mut rules = Vec::with_capacity(config.rules.len());
        for (index, rule) in config.rules.into_iter().enumerate() {
            let at = rules_at.index(index);
            let value = Access::compile(&rule, &known, &mut extraction, &at)?;
            rules.push(Rule {
                name: rule.name,
                mode: rule.mode,
                matcher: RequestMatch::compile(
                    rule.r#match,
                    &at.field("match"),
                    Placement { identity: false },
                )?,
                value,
            });
        }

        let upstream = UpstreamHeaders::compile(
            config.upstream_headers,
            config.strip_headers.into_inner(),
            sources.header_names(),
            &mut extraction,
            &root,
        )?;
        Ok(Self {
            mode: config.mode,
            challenges,
            schemes,
            upstream,
            sources,
            api_keys,
            providers: providers.taking(extraction),
            token_cache,
            address: config.address,
            failed_attempts: failed_attempts.transpose()?,
            twins: TwinTable::of(
                config.twins.into_inner(),
                config.descriptor_set.as_ref(),
                &root,
            )?,
            rules: Rules::compile(rules, &rules_at)?,
        })
    }

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
        self.upstream.remove_copies(head.headers(), &mut edits);
        let Ok(stripped) = self.sources.strip(head, &mut edits) else {
            // In no mode may a credential go on to the upstream, so one that cannot be taken out stops the request.
            return Step::Reply(self.refusal(head, None, Denied::anonymous(Reason::BadPath)));
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
                    values,
                    ignored,
                    deprecated,
                } = allowed;
                let mut edits = no_store(edits, stripped.any && !rule.value.cacheable);
                edits.extend(values);
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
            Err(denied) => Step::Reply(self.refusal(head, stripped.path.as_deref(), denied)),
        }
    }

    /// The edits that a request's trailers need, in every mode: some upstreams take trailers for headers, so what a client may
    /// not say in the one place it may not say in the other.
    pub fn clean_trailers(&self, trailers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        self.upstream.remove_copies(trailers, &mut edits);
        self.sources.strip_headers(trailers, &mut edits);
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

    fn judge(
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
        match self.values(head, &caller, &verified, callers) {
            Ok(values) => Ok(Judged::Allowed(Allowed {
                rule,
                caller,
                values,
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

    /// The headers for the upstream: of a token's claims those of the token by which the caller is known.
    fn values(
        &self,
        head: &RequestHead,
        caller: &Caller,
        verified: &Verified,
        callers: Callers,
    ) -> Result<HeaderEdits, ValueTooLong> {
        let mut edits = HeaderEdits::new();
        if caller.is_anonymous() {
            return Ok(edits);
        }
        let token = verified.token_of(callers);
        let extracted = token.and_then(|token| token.extracted.as_deref());
        let sent = match token.is_some() && self.upstream.wants_payload() {
            true => Some(self.sources.token(head)),
            false => None,
        };
        // It was read as `header.payload.signature`, the payload being canonical base64url.
        let payload = match &sent {
            Some(Presented::One(sent)) => sent.split(|byte| *byte == b'.').nth(1),
            _ => None,
        };
        let of_token = extracted.map_or(&[][..], Extracted::headers);
        for (name, value) in caller.headers(&self.upstream)?.iter().chain(of_token) {
            edits.set(name.clone(), value.clone());
        }
        if let Some((name, value)) = self.upstream.of_payload(payload)? {
            edits.set(name, value);
        }
        Ok(edits)
    }

    /// Every credential that was sent has to be good, also where none is asked for; if `lenient`, one that is not counts
    /// as not sent.
    fn check_credentials(
        &self,
        head: &RequestHead,
        evidence: &Evidence,
        tokens: &mut TokenCache,
        now: Duration,
        lenient: bool,
    ) -> Checked {
        let mut ignored = None;
        let mut bad = |reason, bearer| {
            ignored = ignored.or(Some(reason));
            (!lenient).then_some(Checked::Bad { reason, bearer })
        };
        let api_key = self.sources.api_key(head);
        let token = self.sources.token(head);
        // Before any work: sending credentials twice costs nothing.
        if (api_key == Presented::Several || token == Presented::Several)
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
            Presented::One(key) => match self.api_keys.find(&key, now) {
                Ok(known) => {
                    verified.api_key = known.caller();
                    verified.deprecated = known.deprecated();
                    verified.api_key.is_none().then_some(Reason::ApiKeyUnknown)
                }
                Err(reason) => Some(reason),
            },
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
        Checked::Good(Box::new(verified), ignored)
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

    fn is_failed_attempt(&self, reason: Reason) -> bool {
        self.failed_attempts.is_some() && reason.is_failed_attempt()
    }

    /// A request that passes only because somebody is watching what would happen.
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

    fn refusal<'p>(
        &'p self,
        head: &RequestHead,
        path: Option<&[u8]>,
        denied: Denied<'p>,
    ) -> Refusal<'p> {
        Refusal {
            problem: self.problem(head, &denied),
            rule: denied.rule.map(|rule| rule.name.as_str()),
            reason: denied.reason,
            failed_attempt: denied.failed_attempt,
            caller: denied.caller,
            original: original(head, path),
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

/// A request that was not refused.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would be one more allocation on every request"
)]
enum Judged<'p> {
    Allowed(Allowed<'p>),
    Attempts,
    Unknown(SignatureCheck),
    Awaits(KeyNeed),
}

/// A request that a rule allows.
struct Allowed<'p> {
    rule: &'p Rule<Access>,
    caller: Arc<Caller>,
    values: HeaderEdits,
    /// Why a credential that was sent counts as none.
    ignored: Option<Reason>,
    /// From when on another API key should be used.
    deprecated: Option<Duration>,
}

impl Denied<'_> {
    fn anonymous(reason: Reason) -> Self {
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

/// RFC 9745 section 2.1: a date of structured fields.
fn deprecation(since: Duration) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("@{}", since.as_secs()).as_str()).ok()
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

/// Without this, a cache behind this filter, which sees no credential, would hand one caller's answer to another.
fn no_store(mut edits: HeaderEdits, wanted: bool) -> HeaderEdits {
    if wanted {
        edits.set(CACHE_CONTROL, NO_STORE);
    }
    edits
}

/// The request as the client sent it, but for the keys that were taken out of the target.
///
/// A target too long to record loses its query, a content type its end: the record of every request can be read.
fn original(head: &RequestHead, path: Option<&[u8]>) -> OriginalRequest {
    let path = path.unwrap_or(head.raw_path());
    let path = if path.len() > MAX_RECORDED_PATH_BYTES {
        path.split(|byte| *byte == b'?').next().unwrap_or_default()
    } else {
        path
    };
    let cut = |bytes: &[u8], most: usize| bytes.get(..most).unwrap_or(bytes).to_vec();
    OriginalRequest {
        path: cut(path, MAX_RECORDED_PATH_BYTES),
        content_type: cut(head.content_type(), MAX_RECORDED_CONTENT_TYPE_BYTES),
        protocol: match head.protocol() {
            Protocol::Http => RecordedProtocol::Http,
            Protocol::Grpc => RecordedProtocol::Grpc,
            Protocol::GrpcWeb => RecordedProtocol::GrpcWeb,
            Protocol::Connect => RecordedProtocol::Connect,
        },
    }
}
