//! Experiments: which group a caller is in.

use std::hash::Hasher;

use filter_config::{Bounded, BoundedDuration, BoundedList, ConfigError, FieldPath, Name, Text};
use http_message::{HeaderName, HeaderValue, Occurrence, RequestHead};
use identity::Identity;
use request_match::{MatchConfig, Mode, Rule, Rules};
use serde::Deserialize;
use siphasher::sip::SipHasher24;

use crate::cookie;
use crate::target::matcher;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitConfig {
    name: Name,
    #[serde(default)]
    mode: Mode,
    #[serde(default, rename = "match")]
    matcher: MatchConfig,
    by: BoundedList<ByConfig, 1, 4>,
    salt: Option<Text<64>>,
    groups: BoundedList<GroupConfig, 2, 16>,
    #[serde(rename = "override")]
    choice: Option<OverrideConfig>,
}

/// The experiments as they are configured.
pub(crate) type SplitList = BoundedList<SplitConfig, 1, 32>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByConfig {
    identity: Option<bool>,
    address: Option<bool>,
    header: Option<HeaderName>,
    cookie: Option<CookieConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CookieConfig {
    name: Text<64>,
    max_age: Option<BoundedDuration<1000, 34_560_000_000>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupConfig {
    name: Name,
    weight: Bounded<0, 1_000_000>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideConfig {
    header: HeaderName,
    groups: BoundedList<Name, 1, 16>,
}

/// Who is in which group of an experiment.
#[derive(Debug)]
pub(crate) struct Split {
    by: Vec<By>,
    salt: String,
    groups: Vec<Group>,
    choice: Option<Choice>,
}

#[derive(Debug, PartialEq, Eq)]
enum By {
    Identity,
    Address,
    Header(HeaderName),
    Cookie { name: String, max_age_s: u64 },
}

#[derive(Debug)]
struct Group {
    name: HeaderValue,
    weight: u32,
}

/// The groups that a caller may choose.
#[derive(Debug)]
struct Choice {
    header: HeaderName,
    groups: Vec<HeaderValue>,
}

/// What callers are told apart by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) identity: &'a Identity,
    /// The host's `source.address`.
    pub(crate) address: Option<&'a [u8]>,
    /// Random bytes for a cookie.
    pub(crate) draw: Option<[u8; 16]>,
}

/// The group of a request.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) group: HeaderValue,
    /// A cookie for the client to keep, so that it stays in its group.
    pub(crate) cookie: Option<HeaderValue>,
    /// Whether there was nothing to tell the caller by.
    pub(crate) unknown: bool,
}

/// A month, where nothing else is said.
const COOKIE_SECONDS: u64 = 30 * 86_400;

pub(crate) fn compile(config: SplitList, at: &FieldPath) -> Result<Rules<Split>, ConfigError> {
    let mut rules = Vec::new();
    for (index, split) in config.into_iter().enumerate() {
        let at = at.index(index);
        rules.push(Rule {
            mode: split.mode,
            matcher: matcher(split.matcher, &at)?,
            value: Split::compile(
                split
                    .salt
                    .map_or_else(|| split.name.to_string(), Text::into_inner),
                split.by,
                split.groups,
                split.choice,
                &at,
            )?,
            name: split.name,
        });
    }
    Rules::compile(rules, at)
}

impl Split {
    fn compile(
        salt: String,
        by: BoundedList<ByConfig, 1, 4>,
        groups: BoundedList<GroupConfig, 2, 16>,
        choice: Option<OverrideConfig>,
        at: &FieldPath,
    ) -> Result<Split, ConfigError> {
        let mut split = Split {
            by: Vec::new(),
            salt,
            groups: Vec::new(),
            choice: None,
        };
        for (index, by) in by.into_iter().enumerate() {
            let at = at.field("by").index(index);
            let by = By::compile(by, &at)?;
            if split.by.contains(&by) {
                return Err(ConfigError::new(&at, "listed twice"));
            }
            split.by.push(by);
        }
        let groups_at = at.field("groups");
        for (index, group) in groups.into_iter().enumerate() {
            let name_at = groups_at.index(index).field("name");
            let name = name_value(&group.name, &name_at)?;
            if split.groups.iter().any(|other| other.name == name) {
                return Err(ConfigError::new(
                    &name_at,
                    "another group has the same name",
                ));
            }
            split.groups.push(Group {
                name,
                weight: u32::try_from(group.weight.get()).unwrap_or(u32::MAX),
            });
        }
        if split.groups.iter().all(|group| group.weight == 0) {
            return Err(ConfigError::new(
                &groups_at,
                "one group needs a weight above 0",
            ));
        }
        if let Some(choice) = choice {
            let at = at.field("override").field("groups");
            let mut groups = Vec::new();
            for (index, name) in choice.groups.iter().enumerate() {
                let at = at.index(index);
                let name = name_value(name, &at)?;
                if !split.groups.iter().any(|group| group.name == name) {
                    return Err(ConfigError::new(&at, "not among the groups of this split"));
                }
                groups.push(name);
            }
            split.choice = Some(Choice {
                header: choice.header,
                groups,
            });
        }
        Ok(split)
    }

    pub(crate) fn needs_identity(&self) -> bool {
        self.by.contains(&By::Identity)
    }

    pub(crate) fn needs_address(&self) -> bool {
        self.by.contains(&By::Address)
    }

    /// Whether a cookie may have to be made.
    pub(crate) fn needs_draw(&self, head: &RequestHead) -> bool {
        self.by.iter().any(|by| match by {
            By::Cookie { name, .. } => cookie::find(head, name).is_none(),
            _ => false,
        })
    }

    /// The headers that this experiment reads.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        let by = self.by.iter().filter_map(|by| match by {
            By::Header(name) => Some(name),
            _ => None,
        });
        by.chain(self.choice.as_ref().map(|choice| &choice.header))
    }

    /// The group of a caller: the same for the same caller, however it calls, on every worker and after every restart.
    pub(crate) fn member(&self, caller: &Caller<'_>) -> Option<Member> {
        let chosen = self
            .choice
            .as_ref()
            .and_then(|choice| choice.of(caller.head));
        if let Some(group) = chosen {
            return Some(Member {
                group,
                cookie: None,
                unknown: false,
            });
        }
        for by in &self.by {
            let (key, cookie) = match by.key(caller) {
                Some(found) => found,
                None => continue,
            };
            return Some(Member {
                group: self.group(by.kind(), &key)?.clone(),
                cookie,
                unknown: false,
            });
        }
        // Without anything to tell callers by, all are in the first group.
        Some(Member {
            group: self.groups.first()?.name.clone(),
            cookie: None,
            unknown: true,
        })
    }

    /// Weighted rendezvous hashing: each group draws a number for the key, and the lowest wins. A changed weight changes the
    /// numbers of that group alone, so that nobody moves between two others.
    fn group(&self, kind: u8, key: &[u8]) -> Option<&HeaderValue> {
        let drawn = self.groups.iter().filter(|group| group.weight > 0);
        let drawn = drawn.map(|group| (self.draw(group, kind, key), group));
        let lowest = drawn.min_by(|(one, _), (other, _)| one.total_cmp(other));
        lowest.map(|(_, group)| &group.name)
    }

    /// Exponentially distributed with the weight as its rate.
    fn draw(&self, group: &Group, kind: u8, key: &[u8]) -> f64 {
        let mut hasher = SipHasher24::new();
        for text in [self.salt.as_bytes(), group.name.as_bytes(), &[kind], key] {
            hasher.write_u64(u64::try_from(text.len()).unwrap_or(u64::MAX));
            hasher.write(text);
        }
        // 53 bits are what a double holds; a half keeps it off 0, which has no logarithm.
        let bits = hasher.finish() >> 11;
        let uniform = (bits as f64 + 0.5) / (1u64 << 53) as f64;
        -uniform.ln() / f64::from(group.weight)
    }
}

impl By {
    fn compile(config: ByConfig, at: &FieldPath) -> Result<By, ConfigError> {
        let only_true = |field: &str, given: Option<bool>| match given {
            Some(false) => Err(ConfigError::new(
                &at.field(field),
                "can only be true; leave it out instead",
            )),
            given => Ok(given.is_some()),
        };
        let identity = only_true("identity", config.identity)?;
        let address = only_true("address", config.address)?;
        match (identity, address, config.header, config.cookie) {
            (true, false, None, None) => Ok(By::Identity),
            (false, true, None, None) => Ok(By::Address),
            (false, false, Some(header), None) => Ok(By::Header(header)),
            (false, false, None, Some(cookie)) => {
                if !http_message::is_token(cookie.name.as_str()) {
                    return Err(ConfigError::new(
                        &at.field("cookie").field("name"),
                        "not the name of a cookie",
                    ));
                }
                Ok(By::Cookie {
                    name: cookie.name.into_inner(),
                    max_age_s: cookie
                        .max_age
                        .map_or(COOKIE_SECONDS, |age| age.get().as_secs()),
                })
            }
            _ => Err(ConfigError::new(
                at,
                "needs exactly one of identity, cookie, header, address",
            )),
        }
    }

    /// What callers are told apart by, and a cookie if it is new. Empty is nothing.
    fn key(&self, caller: &Caller<'_>) -> Option<(Vec<u8>, Option<HeaderValue>)> {
        match self {
            By::Identity => identity_key(caller.identity).map(|key| (key, None)),
            By::Address => caller.address.and_then(address_key).map(|key| (key, None)),
            By::Header(name) => match caller.head.headers().occurrence(name.as_str()) {
                Occurrence::Once(value) if !value.is_empty() => Some((value.to_vec(), None)),
                _ => None,
            },
            By::Cookie { name, max_age_s } => match cookie::find(caller.head, name) {
                Some(value) => Some((value.to_vec(), None)),
                None => cookie::make(name, *max_age_s, caller.draw?)
                    .map(|(value, header)| (value, Some(header))),
            },
        }
    }

    /// Keeps two kinds of keys of one text apart.
    const fn kind(&self) -> u8 {
        match self {
            By::Identity => 0,
            By::Address => 1,
            By::Header(_) => 2,
            By::Cookie { .. } => 3,
        }
    }
}

impl Choice {
    fn of(&self, head: &RequestHead) -> Option<HeaderValue> {
        let Occurrence::Once(value) = head.headers().occurrence(self.header.as_str()) else {
            return None;
        };
        let found = self.groups.iter().find(|group| group.as_bytes() == value);
        found.cloned()
    }
}

/// The user, else the organisation, else the credential. Nobody, if nobody was verified.
fn identity_key(identity: &Identity) -> Option<Vec<u8>> {
    if identity.is_anonymous() {
        return None;
    }
    let (kind, text) = match (&identity.subject, &identity.consumer) {
        (Some(subject), _) => ("subject", subject),
        (None, Some(consumer)) => ("consumer", consumer),
        (None, None) => ("credential", &identity.credential_id),
    };
    // Two issuers may name two users alike.
    let issuer = identity.issuer.as_deref().unwrap_or_default();
    Some([kind, issuer, text].join("\0").into_bytes())
}

/// The address without its port.
fn address_key(property: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(property).ok()?;
    let address = match text.parse::<std::net::SocketAddr>() {
        Ok(socket) => socket.ip(),
        Err(_) => text.parse().ok()?,
    };
    Some(address.to_canonical().to_string().into_bytes())
}

fn name_value(name: &Name, at: &FieldPath) -> Result<HeaderValue, ConfigError> {
    HeaderValue::try_from(name.as_str()).map_err(|error| ConfigError::new(at, error.to_string()))
}

#[cfg(test)]
mod tests;
