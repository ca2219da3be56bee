//! What a rule asks of a caller, and whether the caller has it.

use filter_config::{ConfigError, FieldPath, nearest};
use identity::{CredentialKind, Identity, MAX_GROUPS, MAX_SCOPES};

use crate::challenge::Scheme;
use crate::config::{CredentialConfig, RequirementConfig, RuleConfig};
use crate::reason::Reason;

/// What one rule asks for.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    credentials: Credentials,
    grants: Grants,
    /// Whether a cache behind this filter may keep the answer although a credential was taken out of the request.
    pub(crate) cacheable: bool,
}

#[derive(Clone, Debug)]
enum Credentials {
    Anonymous,
    Any(Vec<Requirement>),
    All(Vec<Requirement>),
}

#[derive(Clone, Debug)]
struct Requirement {
    kind: Kind,
    grants: Grants,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ApiKey,
    /// A token of the provider at this place in the configuration, or of any.
    Jwt(Option<usize>),
}

/// All of the scopes, and any of the groups.
#[derive(Clone, Debug, Default)]
struct Grants {
    scopes: Vec<String>,
    groups: Vec<String>,
}

/// The credentials of a request that were found good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verified {
    pub(crate) api_key: Option<Identity>,
    /// With the place of its provider in the configuration.
    pub(crate) jwt: Option<(usize, Identity)>,
}

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    /// The scopes that a token lacks, for the challenge; `None` where a token would not help.
    pub(crate) asks_token_for: Option<Vec<String>>,
}

/// What rules may refer to.
pub(crate) struct Known<'a> {
    pub(crate) api_keys: bool,
    pub(crate) providers: &'a [&'a str],
}

impl Access {
    pub(crate) fn compile(
        rule: &RuleConfig,
        known: &Known<'_>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let requirements =
            |list: &[RequirementConfig], at: &FieldPath| -> Result<Vec<Requirement>, ConfigError> {
                list.iter()
                    .enumerate()
                    .map(|(index, requirement)| {
                        Requirement::compile(requirement, known, &at.index(index))
                    })
                    .collect()
            };
        let grants = Grants::compile(&rule.scopes, &rule.groups);
        let credentials = match (rule.allow_anonymous, &rule.any, &rule.all) {
            (Some(true), None, None) => {
                if !grants.scopes.is_empty() || !grants.groups.is_empty() {
                    let reason = "an anonymous caller has no scopes and no groups: use any or all";
                    return Err(ConfigError::new(at, reason));
                }
                Credentials::Anonymous
            }
            (Some(false), None, None) => {
                let reason = "only true can be meant here; without a rule nothing is allowed";
                return Err(ConfigError::new(&at.field("allow_anonymous"), reason));
            }
            (None, Some(list), None) => Credentials::Any(requirements(list, &at.field("any"))?),
            (None, None, Some(list)) => {
                let at = at.field("all");
                let list = requirements(list, &at)?;
                let of =
                    |kind: fn(&Kind) -> bool| list.iter().filter(|asked| kind(&asked.kind)).count();
                if of(|kind| *kind == Kind::ApiKey) > 1 || of(|kind| *kind != Kind::ApiKey) > 1 {
                    let reason = "a request carries one credential of a kind: name each kind once";
                    return Err(ConfigError::new(&at, reason));
                }
                Credentials::All(list)
            }
            _ => {
                let reason = "expected exactly one of allow_anonymous, any, all";
                return Err(ConfigError::new(at, reason));
            }
        };
        Ok(Self {
            credentials,
            grants,
            cacheable: rule.cacheable,
        })
    }

    /// The schemes that would be taken, for the challenges.
    pub(crate) fn schemes(&self, all: &[Scheme]) -> Vec<Scheme> {
        let (Credentials::Any(list) | Credentials::All(list)) = &self.credentials else {
            return all.to_vec();
        };
        let asked = |scheme: &Scheme| {
            list.iter()
                .any(|requirement| requirement.kind.scheme() == *scheme)
        };
        all.iter().copied().filter(asked).collect()
    }

    /// Who the caller is to the upstream, if the rule lets the caller pass.
    pub(crate) fn judge(&self, verified: &Verified) -> Result<Identity, Denial> {
        let identity = match &self.credentials {
            Credentials::Anonymous => return Ok(verified.identity()),
            Credentials::Any(list) => any(list, verified)?,
            Credentials::All(list) => all(list, verified)?,
        };
        self.grants.check(&identity)?;
        Ok(identity)
    }
}

impl Kind {
    fn scheme(self) -> Scheme {
        match self {
            Self::ApiKey => Scheme::ApiKey,
            Self::Jwt(_) => Scheme::Bearer,
        }
    }
}

impl Requirement {
    fn compile(
        config: &RequirementConfig,
        known: &Known<'_>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let kind = match (config.credential, &config.provider) {
            (CredentialConfig::ApiKey, Some(_)) => {
                let reason = "an API key has no provider";
                return Err(ConfigError::new(&at.field("provider"), reason));
            }
            (CredentialConfig::ApiKey, None) if !known.api_keys => {
                let reason = "there is no api_keys section";
                return Err(ConfigError::new(&at.field("credential"), reason));
            }
            (CredentialConfig::ApiKey, None) => Kind::ApiKey,
            (CredentialConfig::Jwt, _) if known.providers.is_empty() => {
                return Err(ConfigError::new(
                    &at.field("credential"),
                    "there is no jwt section",
                ));
            }
            (CredentialConfig::Jwt, None) => Kind::Jwt(None),
            (CredentialConfig::Jwt, Some(name)) => {
                let name = name.as_str();
                let Some(index) = known
                    .providers
                    .iter()
                    .position(|provider| *provider == name)
                else {
                    let mut reason = "no such provider".to_owned();
                    if let Some(near) = nearest(name, known.providers.iter().copied()) {
                        reason = format!("{reason}, did you mean {near}?");
                    }
                    return Err(ConfigError::new(&at.field("provider"), reason));
                };
                Kind::Jwt(Some(index))
            }
        };
        Ok(Self {
            kind,
            grants: Grants::compile(&config.scopes, &config.groups),
        })
    }

    /// The identity that meets this requirement.
    fn meet<'v>(&self, verified: &'v Verified) -> Result<&'v Identity, Denial> {
        let identity = match (self.kind, verified) {
            (
                Kind::ApiKey,
                Verified {
                    api_key: Some(identity),
                    ..
                },
            ) => identity,
            (
                Kind::Jwt(None),
                Verified {
                    jwt: Some((_, identity)),
                    ..
                },
            ) => identity,
            (
                Kind::Jwt(Some(asked)),
                Verified {
                    jwt: Some((provider, identity)),
                    ..
                },
            ) => {
                if asked != *provider {
                    return Err(Denial::of(Reason::CredentialNotAccepted));
                }
                identity
            }
            _ => return Err(Denial::of(Reason::CredentialMissing)),
        };
        self.grants.check(identity)?;
        Ok(identity)
    }
}

impl Grants {
    fn compile(scopes: &[crate::config::Scope], groups: &[crate::config::Label]) -> Self {
        Self {
            scopes: scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            groups: groups
                .iter()
                .map(|group| group.as_str().to_owned())
                .collect(),
        }
    }

    fn check(&self, identity: &Identity) -> Result<(), Denial> {
        let helps = identity.kind == CredentialKind::Jwt;
        if !self
            .scopes
            .iter()
            .all(|scope| identity.scopes.contains(scope))
        {
            return Err(Denial {
                asks_token_for: helps.then(|| self.scopes.clone()),
                ..Denial::of(Reason::ScopeMissing)
            });
        }
        if !self.groups.is_empty()
            && !self
                .groups
                .iter()
                .any(|group| identity.groups.contains(group))
        {
            return Err(Denial {
                asks_token_for: helps.then(Vec::new),
                ..Denial::of(Reason::GroupMissing)
            });
        }
        Ok(())
    }
}

impl Verified {
    /// Who calls, where no rule says which credential counts: the token's user, completed from the API key.
    pub(crate) fn identity(&self) -> Identity {
        match (&self.jwt, &self.api_key) {
            (Some((_, first)), Some(second)) => joined(first.clone(), second),
            (Some((_, only)), None) | (None, Some(only)) => only.clone(),
            (None, None) => Identity::anonymous(),
        }
    }
}

impl Denial {
    fn of(reason: Reason) -> Self {
        Self {
            reason,
            asks_token_for: None,
        }
    }
}

/// The first requirement that is met. If none is, the denial that says most about what was sent.
fn any(list: &[Requirement], verified: &Verified) -> Result<Identity, Denial> {
    let mut told: Option<Denial> = None;
    for requirement in list {
        match requirement.meet(verified) {
            Ok(identity) => return Ok(identity.clone()),
            Err(denial) => {
                if told
                    .as_ref()
                    .is_none_or(|told| rank(denial.reason) > rank(told.reason))
                {
                    told = Some(denial);
                }
            }
        }
    }
    Err(told.unwrap_or_else(|| Denial::of(Reason::CredentialMissing)))
}

/// All requirements together: the first is who calls, the others complete it.
fn all(list: &[Requirement], verified: &Verified) -> Result<Identity, Denial> {
    let missing = |requirement: &&Requirement| matches!(requirement.meet(verified), Err(denial) if denial.reason == Reason::CredentialMissing);
    // A credential that was not sent is asked for first: without it the rest cannot be judged.
    if let Some(requirement) = list.iter().find(missing) {
        requirement.meet(verified)?;
    }
    let mut identity: Option<Identity> = None;
    for requirement in list {
        let next = requirement.meet(verified)?;
        identity = Some(match identity {
            None => next.clone(),
            Some(first) => joined(first, next),
        });
    }
    identity.ok_or_else(|| Denial::of(Reason::CredentialMissing))
}

fn rank(reason: Reason) -> u8 {
    match reason {
        Reason::ScopeMissing | Reason::GroupMissing => 2,
        Reason::CredentialNotAccepted => 1,
        _ => 0,
    }
}

/// One caller out of two credentials: what the first does not say is taken from the second, lists are joined.
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
    for (name, value) in &second.labels {
        if !both.labels.iter().any(|(mine, _)| mine == name) {
            both.labels.push((name.clone(), value.clone()));
        }
    }
    both
}
