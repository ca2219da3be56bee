//! Whose word is taken for who calls: auth's, or that of Envoy's own `jwt_authn`.

use filter_config::Text;
use http_message::HeaderMap;
use identity::{CredentialKind, Identity};
use serde::Deserialize;

use crate::attribute::{Attribute, Attributes};
use crate::reason::Reason;

/// Where the caller is read from, where it is not the record of auth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallerConfig {
    jwt_authn: JwtAuthnConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtAuthnConfig {
    payload: Text<256>,
    consumer: Option<Text<256>>,
    plan: Option<Text<256>>,
    groups: Option<Text<256>>,
}

/// Where the caller is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The record that auth writes.
    Auth,
    /// The claims that `jwt_authn` has verified, as `payload_in_metadata` names them.
    Claims(Claims),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    payload: String,
    issuer: Attribute,
    subject: Attribute,
    consumer: Option<Attribute>,
    plan: Option<Attribute>,
    groups: Option<Attribute>,
    /// The claims that keys name.
    named: Vec<(String, Attribute)>,
}

impl Caller {
    /// `named` are the claims that keys name.
    pub(crate) fn compile<'a>(
        config: Option<CallerConfig>,
        named: impl Iterator<Item = &'a str>,
    ) -> Caller {
        let Some(CallerConfig { jwt_authn }) = config else {
            return Caller::Auth;
        };
        let payload = jwt_authn.payload.into_inner();
        let claim = |name: &str| {
            let namespace = "envoy.filters.http.jwt_authn";
            Attribute::of(&["metadata", "filter_metadata", namespace, &payload, name])
        };
        let chosen = |name: Option<Text<256>>| name.map(|name| claim(name.as_str()));
        Caller::Claims(Claims {
            issuer: claim("iss"),
            subject: claim("sub"),
            consumer: chosen(jwt_authn.consumer),
            plan: chosen(jwt_authn.plan),
            groups: chosen(jwt_authn.groups),
            named: named.map(|name| (name.to_owned(), claim(name))).collect(),
            payload,
        })
    }

    pub(crate) fn is_of_auth(&self) -> bool {
        *self == Caller::Auth
    }

    /// The properties that it is read from.
    pub(crate) fn attributes(&self) -> Vec<&Attribute> {
        match self {
            Caller::Auth => Vec::new(),
            Caller::Claims(claims) => [&claims.issuer, &claims.subject]
                .into_iter()
                .chain(&claims.consumer)
                .chain(&claims.plan)
                .chain(&claims.groups)
                .chain(claims.named.iter().map(|(_, attribute)| attribute))
                .collect(),
        }
    }

    /// Who calls. Absent is anonymous; claims that are no text are as if absent.
    pub(crate) fn read(
        &self,
        record: Option<&[u8]>,
        attributes: &Attributes<'_>,
    ) -> Result<Identity, Reason> {
        let claims = match self {
            Caller::Auth => return Identity::read(record).map_err(|_| Reason::MalformedIdentity),
            Caller::Claims(claims) => claims,
        };
        let claim = |attribute: &Attribute| {
            let value = attributes.get(attribute)?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        };
        let (issuer, subject) = (claim(&claims.issuer), claim(&claims.subject));
        // The host hands a list over as a map, of which the names are the elements.
        let list = |attribute: &Attribute| {
            let value = attributes.get(attribute)?;
            let list = HeaderMap::parse(value.to_vec()).ok()?;
            let texts = list.iter().map(|(name, _)| std::str::from_utf8(name).ok());
            texts.map(|text| text.map(str::to_owned)).collect()
        };
        if issuer.is_none() && subject.is_none() {
            return Ok(Identity::anonymous());
        }
        Ok(Identity {
            kind: CredentialKind::Jwt,
            credential_id: claims.payload.clone(),
            consumer: claims.consumer.as_ref().and_then(claim),
            subject,
            issuer,
            plan: claims.plan.as_ref().and_then(claim),
            groups: claims.groups.as_ref().and_then(list).unwrap_or_default(),
            claims: claims
                .named
                .iter()
                .filter_map(|(name, attribute)| Some((name.clone(), claim(attribute)?)))
                .collect(),
            ..Identity::anonymous()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Both say who calls by the same names: a limit by subject is one by subject, whoever verified the token.
    #[test]
    fn claims_of_jwt_authn_make_a_caller() {
        let config = json!({ "jwt_authn": { "payload": "jwt", "consumer": "azp", "plan": "tier", "groups": "roles" } });
        let config = Some(filter_config::from_value(config).unwrap());
        let caller = Caller::compile(config, ["org"].into_iter());
        let asked: Vec<Attribute> = caller.attributes().into_iter().cloned().collect();
        assert_eq!(
            asked[1].path(),
            [
                "metadata",
                "filter_metadata",
                "envoy.filters.http.jwt_authn",
                "jwt",
                "sub"
            ]
        );
        let roles = HeaderMap::from_pairs([("staff", ""), ("admin", "")]);
        let read = |values: [Option<&str>; 4]| {
            let values = values.map(|value| value.map(|value| value.as_bytes().to_vec()));
            let more = [Some(roles.as_bytes().to_vec()), Some(b"acme".to_vec())];
            let values = [&values[..], &more].concat();
            caller
                .read(Some(b"ignored"), &Attributes::new(&asked, &values))
                .unwrap()
        };
        let alice = read([
            Some("https://a.test"),
            Some("alice"),
            Some("app"),
            Some("gold"),
        ]);
        assert_eq!(alice.subject.as_deref(), Some("alice"));
        assert_eq!(alice.issuer.as_deref(), Some("https://a.test"));
        assert_eq!(alice.consumer.as_deref(), Some("app"));
        assert_eq!(alice.plan.as_deref(), Some("gold"));
        assert_eq!(alice.groups, ["staff", "admin"]);
        assert_eq!(alice.claims, [("org".to_owned(), "acme".to_owned())]);
        assert!(read([None; 4]).is_anonymous());
        assert!(!read([None, Some("bob"), None, None]).is_anonymous());
    }
}
