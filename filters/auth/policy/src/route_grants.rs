//! What a route asks of a caller beyond its rule, in the route's metadata `gatehouse.auth`.
//!
//! Metadata can only ask for more than the rule does, and metadata that is not there refuses: a header edit behind this
//! filter may lead to another route (`filters/README.md`), and then the caller still has all that the rule asks for.

use filter_config::{BoundedList, ConfigError, FieldPath};
use http_message::HeaderMap;
use identity::Identity;
use serde::Deserialize;

use crate::reason::Reason;
use crate::requirement::{Grants, Refused};

/// What a rule may leave to its routes.
pub(crate) type RouteMetadataConfig = BoundedList<Parameter, 0, 3>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Parameter {
    Scopes,
    Groups,
    Plans,
}

/// The parameters that every route of a rule has to have.
#[derive(Clone, Debug)]
pub(crate) struct RouteGrants(Vec<Parameter>);

impl RouteGrants {
    pub(crate) fn compile(
        config: &RouteMetadataConfig,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        for (index, parameter) in config.iter().enumerate() {
            if config.iter().take(index).any(|other| other == parameter) {
                return Err(ConfigError::new(&at.index(index), "given twice"));
            }
        }
        Ok(Self(config.to_vec()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the caller has what the route asks for; `metadata` is the namespace as the host gives a map.
    pub(crate) fn check(
        &self,
        identity: &Identity,
        metadata: Option<&[u8]>,
    ) -> Result<(), Refused> {
        if self.is_empty() {
            return Ok(());
        }
        self.check_all(identity, metadata)
    }

    #[inline(never)]
    fn check_all(&self, identity: &Identity, metadata: Option<&[u8]>) -> Result<(), Refused> {
        let grants = metadata
            .and_then(|bytes| HeaderMap::parse(bytes.to_vec()).ok())
            .and_then(|members| self.grants(&members))
            .ok_or((Reason::RouteMetadataMissing, None))?;
        grants.check(identity).map_err(|denial| denial.told())
    }

    fn grants(&self, members: &HeaderMap) -> Option<Grants> {
        let mut grants = Grants::default();
        for parameter in &self.0 {
            let (name, list) = match parameter {
                Parameter::Scopes => ("scopes", &mut grants.scopes),
                Parameter::Groups => ("groups", &mut grants.groups),
                Parameter::Plans => ("plans", &mut grants.plans),
            };
            let (_, value) = members
                .iter()
                .find(|(member, _)| *member == name.as_bytes())?;
            *list = texts(value)?;
        }
        Some(grants)
    }
}

/// A list of texts as the host gives it: a map in which each text has an empty value. A text alone is no list.
fn texts(value: &[u8]) -> Option<Vec<String>> {
    // An empty text: the host's empty list has a count.
    if value.is_empty() {
        return None;
    }
    let list = HeaderMap::parse(value.to_vec()).ok()?;
    list.iter()
        .map(|(text, nothing)| {
            let is_text = nothing.is_empty() && !text.is_empty();
            let text = std::str::from_utf8(text).ok().filter(|_| is_text)?;
            // Scopes are quoted in a challenge.
            let quotable = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            text.bytes().all(quotable).then(|| text.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use identity::CredentialKind;

    use super::*;

    fn list(texts: &[&str]) -> Vec<u8> {
        let pairs = HeaderMap::from_pairs(texts.iter().map(|text| (*text, "")));
        match pairs.as_bytes() {
            // What Envoy gives for `[]`.
            [] => vec![0; 4],
            bytes => bytes.to_vec(),
        }
    }

    fn check(parameters: &[Parameter], metadata: Option<&[u8]>) -> Result<(), Reason> {
        let caller = Identity {
            kind: CredentialKind::Jwt,
            credential_id: "main".into(),
            scopes: vec!["a".into(), "b".into()],
            groups: vec!["staff".into()],
            plan: Some("gold".into()),
            ..Identity::anonymous()
        };
        RouteGrants(parameters.to_vec())
            .check(&caller, metadata)
            .map_err(|(reason, _)| reason)
    }

    fn metadata(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        HeaderMap::from_pairs(members.iter().map(|(name, value)| (*name, value)))
            .as_bytes()
            .to_vec()
    }

    #[test]
    fn a_route_asks_for_what_it_lists() {
        use Parameter::{Groups, Plans, Scopes};
        let all = |scopes: &[&str], groups: &[&str], plans: &[&str]| {
            let metadata = metadata(&[
                ("scopes", list(scopes)),
                ("groups", list(groups)),
                ("plans", list(plans)),
            ]);
            check(&[Scopes, Groups, Plans], Some(&metadata))
        };
        assert_eq!(all(&["a", "b"], &["x", "staff"], &["gold"]), Ok(()));
        assert_eq!(all(&[], &[], &[]), Ok(()));
        assert_eq!(all(&["a", "c"], &[], &[]), Err(Reason::ScopeMissing));
        assert_eq!(all(&[], &["x"], &[]), Err(Reason::GroupMissing));
        assert_eq!(all(&[], &[], &["free"]), Err(Reason::PlanMissing));
    }

    // A route that an operator forgot must not be one that asks for nothing.
    #[test]
    fn what_cannot_be_read_refuses() {
        use Parameter::{Groups, Scopes};
        let missing = Err(Reason::RouteMetadataMissing);
        let good = metadata(&[("scopes", list(&["a"]))]);
        assert_eq!(check(&[Scopes], Some(&good)), Ok(()));
        assert_eq!(check(&[], None), Ok(()));
        assert_eq!(check(&[Scopes], None), missing);
        assert_eq!(check(&[Scopes], Some(b"")), missing);
        assert_eq!(check(&[Scopes], Some(b"a")), missing);
        assert_eq!(check(&[Scopes, Groups], Some(&good)), missing);
        for value in [
            b"a b".to_vec(),
            list(&[""]),
            list(&["a\"b"]),
            list(&["a b"]),
            vec![],
            good,
        ] {
            let metadata = metadata(&[("scopes", value)]);
            assert_eq!(check(&[Scopes], Some(&metadata)), missing, "{metadata:?}");
        }
    }
}
