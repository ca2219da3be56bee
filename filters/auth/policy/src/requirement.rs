//! What one place in a rule's tree asks for: a credential, what it has to have, where its caller may be.

use client_address::Source;
use filter_config::{ConfigError, FieldPath, nearest};
use identity::{CredentialKind, Identity};

use crate::challenge::Scheme;
use crate::claim_test::ClaimTest;
use crate::config::{CredentialConfig, Label, NodeConfig, Scope};
use crate::extraction::Extraction;
use crate::networks::Networks;
use crate::reason::Reason;
use crate::verified::{Credential, Verified};

/// What rules may refer to.
pub(crate) struct Known<'a> {
    pub(crate) api_keys: bool,
    pub(crate) providers: &'a [&'a str],
}

/// A credential with these grants, or none where only the address counts.
#[derive(Clone, Debug)]
pub(crate) struct Requirement {
    kind: Option<Kind>,
    grants: Grants,
    /// The numbers of tests that were made when the token was verified.
    claims: Vec<usize>,
    networks: Option<Networks>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ApiKey,
    /// A token of the provider at this place in the configuration, or of any.
    Jwt(Option<usize>),
}

/// All of the scopes, any of the groups, any of the plans.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    pub(crate) scopes: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) plans: Vec<String>,
}

/// Why a caller may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial<'p> {
    pub(crate) reason: Reason,
    /// The scopes that a token lacks, for the challenge; `None` where a token would not help.
    pub(crate) asks_token_for: Option<&'p [String]>,
}

impl Requirement {
    pub(crate) fn compile(
        config: &NodeConfig,
        known: &Known<'_>,
        extraction: &mut Extraction,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let kind = match config.credential {
            Some(credential) => Some(Kind::compile(credential, config, known, at)?),
            None => None,
        };
        let grants = Grants::compile(&config.scopes, &config.groups, &config.plans);
        if kind.is_none()
            && (config.provider.is_some() || !grants.is_empty() || !config.claims.is_empty())
        {
            let reason =
                "without a credential there is nobody who could have these: name the credential";
            return Err(ConfigError::new(at, reason));
        }
        let claims_at = at.field("claims");
        if kind == Some(Kind::ApiKey) && !config.claims.is_empty() {
            return Err(ConfigError::new(&claims_at, "an API key has no claims"));
        }
        let mut claims = Vec::with_capacity(config.claims.len());
        for (index, test) in config.claims.iter().enumerate() {
            let test = ClaimTest::compile(test.clone(), &claims_at.index(index))?;
            claims.push(extraction.test(test));
        }
        let networks = match &config.addresses {
            Some(networks) => Some(Networks::compile(networks, &at.field("addresses"))?),
            None => None,
        };
        Ok(Self {
            kind,
            grants,
            claims,
            networks,
        })
    }

    /// The scheme by which a client could send what is asked for.
    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.kind.map(|kind| match kind {
            Kind::ApiKey => Scheme::ApiKey,
            Kind::Jwt(_) => Scheme::Bearer,
        })
    }

    pub(crate) fn needs_address(&self) -> bool {
        self.networks.is_some()
    }

    /// The credential that meets this requirement; none where none is asked for.
    pub(crate) fn meet(
        &self,
        verified: &Verified,
        source: Option<&Source>,
    ) -> Result<Option<Credential>, Denial<'_>> {
        let met = match self.kind {
            None => None,
            Some(kind) => Some(self.credential(kind, verified)?),
        };
        match (&self.networks, source) {
            (None, _) => Ok(met),
            (Some(_), None) => Err(Denial::of(Reason::AddressUnknown)),
            (Some(networks), Some(source)) if networks.have(source) => Ok(met),
            (Some(_), Some(_)) => Err(Denial::of(Reason::AddressNotAllowed)),
        }
    }

    fn credential(&self, kind: Kind, verified: &Verified) -> Result<Credential, Denial<'_>> {
        let missing = Denial::of(Reason::CredentialMissing);
        match kind {
            Kind::ApiKey => {
                let identity = verified.api_key.as_ref().ok_or(missing)?;
                self.grants.check(identity)?;
                Ok(Credential::ApiKey)
            }
            Kind::Jwt(provider) => {
                let token = verified.jwt.as_ref().ok_or(missing)?;
                if provider.is_some_and(|asked| asked != token.provider) {
                    return Err(Denial::of(Reason::CredentialNotAccepted));
                }
                self.grants.check(&token.identity)?;
                let holds = |test: &usize| {
                    let extracted = token.extracted.as_deref();
                    extracted.is_some_and(|extracted| extracted.holds(*test))
                };
                if !self.claims.iter().all(holds) {
                    return Err(Denial {
                        reason: Reason::ClaimMissing,
                        asks_token_for: Some(&[]),
                    });
                }
                Ok(Credential::Jwt)
            }
        }
    }
}

impl Kind {
    fn compile(
        credential: CredentialConfig,
        config: &NodeConfig,
        known: &Known<'_>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let fault = |field, reason: &str| Err(ConfigError::new(&at.field(field), reason));
        match (credential, &config.provider) {
            (CredentialConfig::ApiKey, Some(_)) => fault("provider", "an API key has no provider"),
            (CredentialConfig::ApiKey, None) if !known.api_keys => {
                fault("credential", "there is no api_keys section")
            }
            (CredentialConfig::ApiKey, None) => Ok(Self::ApiKey),
            (CredentialConfig::Jwt, _) if known.providers.is_empty() => {
                fault("credential", "there is no jwt section")
            }
            (CredentialConfig::Jwt, None) => Ok(Self::Jwt(None)),
            (CredentialConfig::Jwt, Some(name)) => {
                let name = name.as_str();
                let providers = known.providers;
                match providers.iter().position(|provider| *provider == name) {
                    Some(index) => Ok(Self::Jwt(Some(index))),
                    None => {
                        let mut reason = "no such provider".to_owned();
                        if let Some(near) = nearest(name, providers.iter().copied()) {
                            reason = format!("{reason}, did you mean {near}?");
                        }
                        fault("provider", &reason)
                    }
                }
            }
        }
    }
}

impl Grants {
    pub(crate) fn compile(scopes: &[Scope], groups: &[Label], plans: &[Label]) -> Self {
        let texts = |labels: &[Label]| labels.iter().map(|text| text.as_str().to_owned()).collect();
        Self {
            scopes: scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            groups: texts(groups),
            plans: texts(plans),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.groups.is_empty() && self.plans.is_empty()
    }

    /// Whether the caller has all that is asked for.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), Denial<'_>> {
        if self.is_empty() {
            return Ok(());
        }
        if identity.is_anonymous() {
            return Err(Denial::of(Reason::CredentialMissing));
        }
        let helps = identity.kind == CredentialKind::Jwt;
        let lacks = |reason, scopes| {
            Err(Denial {
                reason,
                asks_token_for: helps.then_some(scopes),
            })
        };
        let has = |list: &[String], name: &String| list.contains(name);
        if !self.scopes.iter().all(|scope| has(&identity.scopes, scope)) {
            return lacks(Reason::ScopeMissing, &self.scopes);
        }
        if !self.groups.is_empty() && !self.groups.iter().any(|group| has(&identity.groups, group))
        {
            return lacks(Reason::GroupMissing, &[]);
        }
        let on_plan = |plan: &String| has(&self.plans, plan);
        if !self.plans.is_empty() && !identity.plan.as_ref().is_some_and(on_plan) {
            return lacks(Reason::PlanMissing, &[]);
        }
        Ok(())
    }
}

/// A denial of its own: the reason, and the scopes that a token lacks.
pub(crate) type Refused = (Reason, Option<Vec<String>>);

impl Denial<'_> {
    pub(crate) fn told(self) -> Refused {
        (self.reason, self.asks_token_for.map(<[String]>::to_vec))
    }

    pub(crate) fn of(reason: Reason) -> Self {
        Self {
            reason,
            asks_token_for: None,
        }
    }
}
