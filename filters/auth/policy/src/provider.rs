//! The issuers whose tokens are accepted, and what becomes of a token that one of them signed.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use filter_config::{ConfigError, FieldPath};
use identity::{CredentialKind, Identity, MAX_GROUPS, MAX_SCOPES};

use crate::algorithm::Algorithm;
use crate::caller::Caller;
use crate::claim_test::ClaimTest;
use crate::claims::{Claims, Expected, MAX_CLOCK_SKEW};
use crate::config::{JwksConfig, NamedClaim, ProviderConfig};
use crate::decision::{Evidence, KeyNeed, NoKeys};
use crate::extraction::Extraction;
use crate::jws::{CompactJws, JoseHeader, media_subtype};
use crate::key_set::{KeyFingerprint, KeySet, VerificationKey};
use crate::key_source::KeySource;
use crate::reason::Reason;
use crate::signature::SignatureCheck;
use crate::token_cache::{TokenCache, VerifiedToken};

/// The `typ` of a plain token; one without a `typ` counts as this.
const PLAIN_TYPE: &str = "JWT";

/// An issuer of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    name: String,
    expected: Expected,
    keys: Keys,
    types: Vec<String>,
    required: Vec<ClaimTest>,
    consumer_claim: Option<NamedClaim>,
    plan_claim: Option<NamedClaim>,
    groups_claim: Option<NamedClaim>,
}

/// The keys of an issuer.
#[derive(Clone, Debug)]
enum Keys {
    /// Those of the configuration.
    Inline(KeySet),
    /// Those that were fetched: they are evidence.
    Fetched(Box<KeySource>),
}

/// How a signature stands.
enum Signed {
    /// This key made it.
    By(KeyFingerprint),
    /// This has to be known first.
    Unknown(SignatureCheck),
}

/// All issuers, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Providers {
    list: Vec<Provider>,
    extraction: Extraction,
}

/// What became of a token.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would be one more allocation on every request"
)]
pub(crate) enum Token {
    /// A provider vouches for this caller.
    Good(VerifiedToken),
    /// It is not good, for this reason.
    Bad(Reason),
    /// This has to be known first.
    Unknown(SignatureCheck),
    /// These keys have to be there first.
    Awaits(KeyNeed),
}

impl Providers {
    pub(crate) fn compile(
        configs: Vec<ProviderConfig>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let mut names = BTreeSet::new();
        let mut issuers = BTreeSet::new();
        let mut providers = Vec::with_capacity(configs.len());
        for (index, config) in configs.into_iter().enumerate() {
            let at = at.index(index);
            if !names.insert(config.name.as_str().to_owned()) {
                return Err(ConfigError::new(
                    &at.field("name"),
                    "another provider has the same name",
                ));
            }
            if !issuers.insert(config.issuer.as_str().to_owned()) {
                let reason =
                    "another provider has the same issuer: which keys count could not be told";
                return Err(ConfigError::new(&at.field("issuer"), reason));
            }
            providers.push(Provider::compile(config, &at)?);
        }
        Ok(Self {
            list: providers,
            extraction: Extraction::default(),
        })
    }

    /// The same, with what is to be taken from the claims of their tokens.
    pub(crate) fn taking(self, extraction: Extraction) -> Self {
        Self { extraction, ..self }
    }

    /// The providers whose keys are fetched, by their places.
    pub(crate) fn key_sources(&self) -> impl Iterator<Item = (usize, &KeySource)> {
        self.list
            .iter()
            .enumerate()
            .filter_map(|(index, provider)| match &provider.keys {
                Keys::Inline(_) => None,
                Keys::Fetched(source) => Some((index, &**source)),
            })
    }

    /// The keys of the configuration that only a host verifies with, and their paths.
    pub(crate) fn keys_for_host(&self) -> impl Iterator<Item = (FieldPath, &VerificationKey)> {
        let providers = self.list.iter().enumerate();
        providers.flat_map(|(index, provider)| {
            let at = FieldPath::root().field("jwt").field("providers");
            let at = at.index(index).field("jwks").field("keys");
            let keys = match &provider.keys {
                Keys::Inline(keys) => Some(keys.iter()),
                Keys::Fetched(_) => None,
            };
            let keys = keys.into_iter().flatten().enumerate();
            keys.filter(|(_, key)| key.algorithm().needs_host())
                .map(move |(index, key)| (at.index(index), key.as_ref()))
        })
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.list
            .iter()
            .map(|provider| provider.name.as_str())
            .collect()
    }

    /// Checks a token against the provider that its issuer names, unless it is known already; if it is good, it is from now on.
    pub(crate) fn check(
        &self,
        token: &[u8],
        evidence: &Evidence,
        known: &mut TokenCache,
        now: Duration,
    ) -> Token {
        if let Some(verified) = known.get(token, now) {
            return verified.map_or_else(|fault| Token::Bad(fault.into()), Token::Good);
        }
        let checked = self
            .try_check(token, evidence, known, now)
            .unwrap_or_else(Token::Bad);
        if matches!(checked, Token::Good(_) | Token::Bad(_)) {
            known.missed();
        }
        checked
    }

    /// Never inlined: most tokens are known, and their path is to be short.
    #[cold]
    #[inline(never)]
    fn try_check(
        &self,
        token: &[u8],
        evidence: &Evidence,
        known: &mut TokenCache,
        now: Duration,
    ) -> Result<Token, Reason> {
        // A decision that waited for an answer about this token has read it.
        let jws = match evidence.read(token) {
            Some(jws) => Rc::clone(jws),
            None => Rc::new(CompactJws::parse(token)?),
        };
        let claims = jws.claims()?;
        // Not verified yet: it chooses whose keys the token is tried with, and every later check is against those.
        let issuer = claims.issuer().ok_or(Reason::TokenIssuer)?;
        let (index, provider) = self
            .list
            .iter()
            .enumerate()
            .find(|(_, provider)| provider.expected.issuer == issuer)
            .ok_or(Reason::TokenIssuer)?;
        if !provider.accepts_type(jws.header()) {
            return Err(Reason::TokenType);
        }
        let header = jws.header();
        let algorithm = Algorithm::from_name(&header.algorithm).ok_or(Reason::TokenAlgorithm)?;
        let keys = match provider.keys(index, header.key_id.as_deref(), evidence) {
            Ok(keys) => keys,
            Err(need) => return need.map(Token::Awaits),
        };
        let key = match open_check(&jws, keys, algorithm, evidence)? {
            Signed::By(key) => key,
            Signed::Unknown(check) => return Ok(Token::Unknown(check)),
        };
        let validity = claims.check(&provider.expected)?;
        validity.check(now)?;
        let mut required = provider.required.iter();
        if !required.all(|test| test.holds(claims.members())) {
            return Err(Reason::ClaimRequired);
        }
        let verified = VerifiedToken {
            provider: index,
            key,
            identity: Arc::new(Caller::from(Identity {
                claims: self.extraction.selected(claims.members())?,
                ..provider.identity(claims)?
            })),
            validity,
            extracted: self.extraction.of(claims.members())?.map(Arc::new),
        };
        known.insert(token, verified.clone());
        Ok(Token::Good(verified))
    }
}

impl Provider {
    fn compile(config: ProviderConfig, at: &FieldPath) -> Result<Self, ConfigError> {
        let types = match config.typ {
            Some(types) => types
                .iter()
                .map(|text| media_subtype(text.as_str()).to_owned())
                .collect(),
            None => vec![PLAIN_TYPE.to_owned(), "at+jwt".to_owned()],
        };
        let keys = Keys::compile(
            config.jwks,
            config.name.as_str(),
            config.issuer.as_str(),
            &at.field("jwks"),
        )?;
        let required_at = at.field("required_claims");
        let mut required = Vec::with_capacity(config.required_claims.len());
        for (index, test) in config.required_claims.into_iter().enumerate() {
            required.push(ClaimTest::compile(test, &required_at.index(index))?);
        }
        Ok(Self {
            name: config.name.as_str().to_owned(),
            expected: Expected {
                issuer: config.issuer.into_inner(),
                audiences: config
                    .audiences
                    .into_iter()
                    .map(filter_config::Text::into_inner)
                    .collect(),
                clock_skew: config.clock_skew.map_or(MAX_CLOCK_SKEW, |skew| skew.get()),
                max_lifetime: config.max_lifetime.map(|most| most.get()),
            },
            keys,
            types,
            required,
            consumer_claim: config.claims.consumer,
            plan_claim: config.claims.plan,
            groups_claim: config.claims.groups,
        })
    }

    /// RFC 8725 section 3.11: one kind of token must not pass for another.
    fn accepts_type(&self, header: &JoseHeader) -> bool {
        let asked = media_subtype(header.token_type.as_deref().unwrap_or(PLAIN_TYPE));
        self.types
            .iter()
            .any(|accepted| accepted.eq_ignore_ascii_case(asked))
    }

    /// The keys that a token of this key id is tried with; what is to be waited for, or why the token is refused, if they are
    /// not there.
    fn keys<'a>(
        &'a self,
        index: usize,
        key_id: Option<&str>,
        evidence: &'a Evidence,
    ) -> Result<&'a KeySet, Result<KeyNeed, Reason>> {
        let keys = match &self.keys {
            Keys::Inline(keys) => return Ok(keys),
            Keys::Fetched(_) => evidence.fetched(index),
        };
        let key_id = match (keys, key_id) {
            (None, _) => None,
            (Some(keys), Some(id)) if !keys.has_id(id) => Some(id.to_owned()),
            (Some(keys), _) => return Ok(keys),
        };
        Err(match evidence.no_keys() {
            None => Ok(KeyNeed {
                provider: index,
                key_id,
            }),
            Some(NoKeys::Absent) if keys.is_some() => Err(Reason::TokenKey),
            Some(_) => Err(Reason::KeysUnavailable),
        })
    }

    /// Who the claims of a verified token speak of.
    fn identity(&self, claims: &Claims) -> Result<Identity, Reason> {
        let text = |claim: &Option<NamedClaim>| -> Result<Option<String>, Reason> {
            match claim {
                Some(claim) => Ok(claims.text_at(&claim.0)?.map(Into::into)),
                None => Ok(None),
            }
        };
        let groups = match &self.groups_claim {
            Some(claim) => claims.list_at(&claim.0, MAX_GROUPS)?,
            None => Vec::new(),
        };
        Ok(Identity {
            kind: CredentialKind::Jwt,
            credential_id: self.name.clone(),
            consumer: text(&self.consumer_claim)?,
            subject: claims.text("sub")?.map(Into::into),
            issuer: Some(self.expected.issuer.clone()),
            plan: text(&self.plan_claim)?,
            groups,
            scopes: claims.scopes(MAX_SCOPES)?,
            ..Identity::anonymous()
        })
    }
}

impl Keys {
    fn compile(
        config: JwksConfig,
        provider: &str,
        issuer: &str,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        match (config.keys, config.remote, config.discovery) {
            (Some(keys), None, None) => {
                KeySet::from_keys(&keys.0, &at.field("keys")).map(Self::Inline)
            }
            (None, Some(remote), None) => KeySource::remote(provider, remote, &at.field("remote"))
                .map(|source| Self::Fetched(Box::new(source))),
            (None, None, Some(discovery)) => {
                KeySource::discovered(provider, issuer, discovery, &at.field("discovery"))
                    .map(|source| Self::Fetched(Box::new(source)))
            }
            _ => Err(ConfigError::new(
                at,
                "write one of keys, remote and discovery",
            )),
        }
    }
}

/// The key that is known to have signed the token, or the next signature check whose outcome is not known.
fn open_check(
    jws: &Rc<CompactJws>,
    keys: &KeySet,
    algorithm: Algorithm,
    evidence: &Evidence,
) -> Result<Signed, Reason> {
    let mut keys = keys
        .candidates(algorithm, jws.header().key_id.as_deref())
        .peekable();
    if keys.peek().is_none() {
        return Err(Reason::TokenKey);
    }
    keys.find_map(|key| unless_refuted(jws, key, evidence))
        .ok_or(Reason::TokenSignature)
}

/// Nothing if the key did not sign the token.
fn unless_refuted(
    jws: &Rc<CompactJws>,
    key: &Arc<VerificationKey>,
    evidence: &Evidence,
) -> Option<Signed> {
    match evidence.answer(|check| check.is_for(jws, key)) {
        Some(true) => Some(Signed::By(key.fingerprint())),
        Some(false) => None,
        None => SignatureCheck::new(jws, key).map(Signed::Unknown),
    }
}
