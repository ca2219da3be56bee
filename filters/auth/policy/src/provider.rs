//! The issuers whose tokens are accepted, and what becomes of a token that one of them signed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use filter_config::{ConfigError, FieldPath};
use identity::{CredentialKind, Identity, MAX_GROUPS, MAX_SCOPES};

use crate::caller::Caller;
use crate::claims::{Claims, Expected, MAX_CLOCK_SKEW};
use crate::config::ProviderConfig;
use crate::decision::Evidence;
use crate::extraction::Extraction;
use crate::jws::{CompactJws, JoseHeader, media_subtype};
use crate::key_set::{Algorithm, KeySet, VerificationKey};
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
    keys: KeySet,
    types: Vec<String>,
    consumer_claim: Option<String>,
    plan_claim: Option<String>,
    groups_claim: Option<String>,
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
        self.try_check(token, evidence, known, now)
            .unwrap_or_else(Token::Bad)
    }

    fn try_check(
        &self,
        token: &[u8],
        evidence: &Evidence,
        known: &mut TokenCache,
        now: Duration,
    ) -> Result<Token, Reason> {
        if let Some(verified) = known.get(token, now) {
            return Ok(Token::Good(verified?));
        }
        let jws = CompactJws::parse(token)?;
        let claims = Claims::parse(jws.payload())?;
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
        if let Some(check) = provider.open_check(&jws, evidence)? {
            return Ok(Token::Unknown(check));
        }
        let validity = claims.check(&provider.expected)?;
        validity.check(now)?;
        let verified = VerifiedToken {
            provider: index,
            identity: Arc::new(Caller::from(Identity {
                claims: self.extraction.selected(claims.members())?,
                ..provider.identity(&claims)?
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
        let claim =
            |name: Option<filter_config::Text<128>>| name.map(filter_config::Text::into_inner);
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
            },
            keys: KeySet::from_jwks(&config.jwks.0, &at.field("jwks"))?,
            types,
            consumer_claim: claim(config.claims.consumer),
            plan_claim: claim(config.claims.plan),
            groups_claim: claim(config.claims.groups),
        })
    }

    /// RFC 8725 section 3.11: one kind of token must not pass for another.
    fn accepts_type(&self, header: &JoseHeader) -> bool {
        let asked = media_subtype(header.token_type.as_deref().unwrap_or(PLAIN_TYPE));
        self.types
            .iter()
            .any(|accepted| accepted.eq_ignore_ascii_case(asked))
    }

    /// The next signature check whose outcome is not known; none if one of the keys is known to have signed the token.
    fn open_check(
        &self,
        jws: &CompactJws<'_>,
        evidence: &Evidence,
    ) -> Result<Option<SignatureCheck>, Reason> {
        let header = jws.header();
        let algorithm = Algorithm::from_name(&header.algorithm).ok_or(Reason::TokenAlgorithm)?;
        let mut keys = self
            .keys
            .candidates(algorithm, header.key_id.as_deref())
            .peekable();
        if keys.peek().is_none() {
            return Err(Reason::TokenKey);
        }
        let mut open = keys.filter_map(|key| self.unless_refuted(jws, key, evidence));
        match open.next() {
            None => Err(Reason::TokenSignature),
            Some(outcome) => Ok(outcome),
        }
    }

    /// Nothing if the key did not sign the token, `Some(None)` if it did, the check if that is not known.
    fn unless_refuted(
        &self,
        jws: &CompactJws<'_>,
        key: &Arc<VerificationKey>,
        evidence: &Evidence,
    ) -> Option<Option<SignatureCheck>> {
        match evidence.answer(|check| check.is_for(jws.token(), key)) {
            Some(true) => Some(None),
            Some(false) => None,
            None => SignatureCheck::new(jws, key).map(Some),
        }
    }

    /// Who the claims of a verified token speak of.
    fn identity(&self, claims: &Claims) -> Result<Identity, Reason> {
        let text = |name: &Option<String>| -> Result<Option<String>, Reason> {
            match name {
                Some(name) => Ok(claims.text(name)?.map(Into::into)),
                None => Ok(None),
            }
        };
        let groups = match &self.groups_claim {
            Some(name) => claims.list(name, MAX_GROUPS)?,
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
