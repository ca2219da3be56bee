//! The compiled configuration, and the decision on a request.

use std::borrow::Cow;
use std::time::Duration;

use filter_config::{ConfigError, FieldPath};
use http_message::{
    GrpcStatus, HeaderEdits, HeaderMap, HeaderName, HeaderValue, Problem, Protocol, RequestHead,
};
use identity::{Identity, OriginalRequest, RecordedProtocol};
use request_match::{Ambiguity, Mode, Placement, RequestMatch, Rule, Rules, Subject, TwinTable};

use crate::api_keys::{ApiKeys, MAX_API_KEY_BYTES};
use crate::challenge::{Challenges, Scheme};
use crate::config::{AuthConfig, TokenCacheConfig};
use crate::credential::{Presented, Sources, Stripped};
use crate::decision::{Decision, Evidence, Forward, KeyNeed, Refusal, Step};
use crate::key_source::KeySource;
use crate::provider::{Providers, Token};
use crate::reason::Reason;
use crate::rules::{Access, Denial, Known, Verified};
use crate::signature::SignatureCheck;
use crate::token_cache::{TokenCache, TokenCacheLimits};
use crate::upstream::UpstreamHeaders;

const DEFAULT_REALM: &str = "api";
const CACHE_CONTROL: HeaderName = HeaderName::from_static("cache-control");
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
}

/// A refusal before it has a form.
struct Denied<'p> {
    rule: Option<&'p Rule<Access>>,
    reason: Reason,
    identity: Box<Identity>,
    asks_token_for: Option<Vec<String>>,
    bearer_is_bad: bool,
}

/// What checking the credentials of a request came to.
enum Checked {
    Good(Box<Verified>),
    Bad { reason: Reason, bearer: bool },
    Unknown(SignatureCheck),
    Awaits(KeyNeed),
}

impl Policy {
    /// Reads a configuration: JSON or a serialized `google.protobuf.Struct`.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::compile(filter_config::parse(bytes)?)
    }

    /// Compiles a configuration.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn compile(config: AuthConfig) -> Result<Self, ConfigError> {
        let root = FieldPath::root();
        let realm = config
            .realm
            .as_ref()
            .map_or(DEFAULT_REALM, |realm| realm.as_str());
        let challenges = Challenges::new(realm).map_err(|_| {
            let reason = "a realm is visible ASCII and spaces, without \" and \\";
            ConfigError::new(&root.field("realm"), reason)
        })?;

        let keys_at = root.field("api_keys");
        let (sources, keys) = match config.api_keys {
            Some(section) => (
                section.sources.into_inner(),
                Some(section.keys.into_inner()),
            ),
            None => (Vec::new(), None),
        };
        let has_keys = keys.is_some();
        let sources = Sources::compile(sources, config.jwt.is_some(), &keys_at.field("sources"))?;
        let api_keys = ApiKeys::compile(keys.unwrap_or_default(), &keys_at.field("keys"))?;
        let (providers, token_cache) = match config.jwt {
            Some(jwt) => (jwt.providers.into_inner(), jwt.token_cache),
            None => (Vec::new(), TokenCacheConfig::default()),
        };
        let providers = Providers::compile(providers, &root.field("jwt").field("providers"))?;

        let cache_at = root.field("jwt").field("token_cache");
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
            let value = Access::compile(&rule, &known, &at)?;
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

        Ok(Self {
            mode: config.mode,
            challenges,
            schemes,
            upstream: UpstreamHeaders::compile(
                config.upstream_headers,
                config.strip_headers.into_inner(),
                sources.header_names(),
                &root,
            )?,
            sources,
            api_keys,
            providers,
            token_cache,
            twins: TwinTable::compile(config.twins.into_inner(), &root.field("twins"))?,
            rules: Rules::compile(rules, &rules_at)?,
        })
    }

    /// Whether a rule looks at the name of the route, which then has to be given to [`Policy::decide`].
    pub fn needs_route(&self) -> bool {
        self.rules.needs_route()
    }

    /// The providers whose keys have to be fetched, by their places in the configuration.
    pub fn key_sources(&self) -> impl Iterator<Item = (usize, &KeySource)> {
        self.providers.key_sources()
    }

    /// An empty cache for the tokens that this configuration verifies, and no other. `seeds` have to be random.
    pub fn token_cache(&self, seeds: [u64; 4]) -> TokenCache {
        TokenCache::new(self.token_cache, seeds)
    }

    /// Decides on a request.
    ///
    /// `route` is the name of the route if [`Policy::needs_route`], `evidence` what is known of its signatures, `tokens` what
    /// was verified before, from [`Policy::token_cache`], `now` the time since the Unix epoch. The same arguments give the
    /// same step.
    pub fn decide(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
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
                identity: with_original(Identity::anonymous(), head, stripped.path.as_deref()),
                edits: no_store(edits, stripped.any),
                rule: None,
                decision: Decision::Off,
                reason: None,
            });
        }
        match self.judge(head, route, evidence, tokens, now) {
            Ok(Judged::Unknown(check)) => Step::Verify(check),
            Ok(Judged::Awaits(need)) => Step::Await(need),
            Ok(Judged::Allowed(rule, identity, values)) => {
                let mut edits = no_store(edits, stripped.any && !rule.value.cacheable);
                for (name, value) in values {
                    edits.set(name, value);
                }
                Step::Forward(Forward {
                    edits,
                    identity: with_original(identity, head, stripped.path.as_deref()),
                    rule: Some(rule.name.as_str()),
                    decision: Decision::Allow,
                    reason: None,
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
        route: Option<&[u8]>,
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
        let rule = self.rules.first_match(&subject.with_route(route));
        let verified = match self.check_credentials(head, evidence, tokens, now) {
            Checked::Good(verified) => verified,
            Checked::Unknown(check) => return Ok(Judged::Unknown(check)),
            Checked::Awaits(need) => return Ok(Judged::Awaits(need)),
            Checked::Bad { reason, bearer } => {
                return Err(Denied {
                    rule,
                    bearer_is_bad: bearer,
                    ..Denied::anonymous(reason)
                });
            }
        };
        let Some(rule) = rule else {
            return Err(Denied {
                identity: Box::new(verified.identity()),
                ..Denied::anonymous(Reason::NoRule)
            });
        };
        let identity = rule
            .value
            .judge(&verified)
            .map_err(|denial| Denied::by(rule, denial, &verified))?;
        match self.upstream.values(&identity) {
            Ok(values) => Ok(Judged::Allowed(rule, identity, values)),
            Err(_) => Err(Denied {
                rule: Some(rule),
                bearer_is_bad: verified.jwt.is_some(),
                ..Denied::anonymous(Reason::ClaimTooLong)
            }),
        }
    }

    /// Every credential that was sent has to be good, also where none is asked for.
    fn check_credentials(
        &self,
        head: &RequestHead,
        evidence: &Evidence,
        tokens: &mut TokenCache,
        now: Duration,
    ) -> Checked {
        let bad = |reason, bearer| Checked::Bad { reason, bearer };
        let api_key = self.sources.api_key(head);
        let bearer = self.sources.bearer(head);
        // Before any work: sending credentials twice costs nothing.
        if api_key == Presented::Several || bearer == Presented::Several {
            return bad(Reason::CredentialRepeated, false);
        }
        let mut verified = Verified::default();
        match api_key {
            Presented::Nothing => {}
            Presented::One(key) if key.is_empty() || key.len() > MAX_API_KEY_BYTES => {
                return bad(Reason::ApiKeyMalformed, false);
            }
            Presented::One(key) => match self.api_keys.find(&key) {
                Some(identity) => verified.api_key = Some(identity.clone()),
                None => return bad(Reason::ApiKeyUnknown, false),
            },
            Presented::Several | Presented::Unreadable => {
                return bad(Reason::ApiKeyMalformed, false);
            }
        }
        match bearer {
            Presented::Nothing => {}
            Presented::One(token) => match self.providers.check(&token, evidence, tokens, now) {
                Token::Good(provider, identity) => verified.jwt = Some((provider, identity)),
                Token::Bad(reason) => return bad(reason, true),
                Token::Unknown(check) => return Checked::Unknown(check),
                Token::Awaits(need) => return Checked::Awaits(need),
            },
            Presented::Several | Presented::Unreadable => return bad(Reason::TokenMalformed, true),
        }
        Checked::Good(Box::new(verified))
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
        for (name, value) in self.upstream.values(&denied.identity).unwrap_or_default() {
            edits.set(name, value);
        }
        Forward {
            edits,
            identity: with_original(*denied.identity, head, stripped.path.as_deref()),
            rule: denied.rule.map(|rule| rule.name.as_str()),
            decision: Decision::ShadowDeny,
            reason: Some(denied.reason),
        }
    }

    fn refusal<'p>(
        &'p self,
        head: &RequestHead,
        path: Option<&[u8]>,
        denied: Denied<'p>,
    ) -> Refusal<'p> {
        Refusal {
            problem: self.problem(&denied),
            rule: denied.rule.map(|rule| rule.name.as_str()),
            reason: denied.reason,
            identity: with_original(*denied.identity, head, path),
        }
    }

    fn problem(&self, denied: &Denied<'_>) -> Problem {
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
            Reason::KeysUnavailable => Problem {
                status: 503,
                grpc_status: GrpcStatus::Unavailable,
                title: "Service Unavailable",
                detail: "The credential cannot be checked at present.",
                code_details: "gatehouse_auth_unavailable",
                headers: Vec::new(),
            },
            Reason::ScopeMissing | Reason::GroupMissing | Reason::CredentialNotAccepted => {
                self.forbidden(denied)
            }
            Reason::NoRule if !denied.identity.is_anonymous() => self.forbidden(denied),
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
enum Judged<'p> {
    Allowed(&'p Rule<Access>, Identity, Vec<(HeaderName, HeaderValue)>),
    Unknown(SignatureCheck),
    Awaits(KeyNeed),
}

impl<'p> Denied<'p> {
    fn anonymous(reason: Reason) -> Self {
        Self {
            rule: None,
            reason,
            identity: Box::new(Identity::anonymous()),
            asks_token_for: None,
            bearer_is_bad: false,
        }
    }

    fn by(rule: &'p Rule<Access>, denial: Denial, verified: &Verified) -> Self {
        Self {
            rule: Some(rule),
            reason: denial.reason,
            identity: Box::new(verified.identity()),
            asks_token_for: denial.asks_token_for,
            bearer_is_bad: false,
        }
    }
}

/// Without this, a cache behind this filter, which sees no credential, would hand one caller's answer to another.
fn no_store(mut edits: HeaderEdits, wanted: bool) -> HeaderEdits {
    if wanted {
        edits.set(CACHE_CONTROL, NO_STORE);
    }
    edits
}

/// The identity with the request as the client sent it, but for the keys that were taken out of the target.
///
/// A target too long to record loses its query, a content type its end: the record of every request can be read.
fn with_original(identity: Identity, head: &RequestHead, path: Option<&[u8]>) -> Identity {
    let path = path.unwrap_or(head.raw_path());
    let path = if path.len() > MAX_RECORDED_PATH_BYTES {
        path.split(|byte| *byte == b'?').next().unwrap_or_default()
    } else {
        path
    };
    let cut = |bytes: &[u8], most: usize| bytes.get(..most).unwrap_or(bytes).to_vec();
    Identity {
        original: OriginalRequest {
            path: cut(path, MAX_RECORDED_PATH_BYTES),
            content_type: cut(head.content_type(), MAX_RECORDED_CONTENT_TYPE_BYTES),
            protocol: match head.protocol() {
                Protocol::Http => RecordedProtocol::Http,
                Protocol::Grpc => RecordedProtocol::Grpc,
                Protocol::GrpcWeb => RecordedProtocol::GrpcWeb,
                Protocol::Connect => RecordedProtocol::Connect,
            },
        },
        ..identity
    }
}
