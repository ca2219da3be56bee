//! Who calls, as Envoy's own `jwt_authn` tells it.

use filter_config::{ConfigError, FieldPath, Text};
use http_message::HeaderMap;
use identity::{CredentialKind, Identity};
use request_match::{Mode, RequestMatch, Rule};
use serde::Deserialize;

use crate::attribute::{Attribute, Attributes};
use crate::key::{Key, KeyPart};
use crate::limit::Limit;
use crate::missing_key::OnMissingKey;
use crate::plans::{PlanSource, Plans};

/// Where its metadata has the claims of a token, and which of them are consumer, plan and groups.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtAuthnConfig {
    payload: Text<256>,
    consumer: Option<Text<256>>,
    plan: Option<Text<256>>,
    groups: Option<Text<256>>,
}

/// The claims that `jwt_authn` has verified, as `payload_in_metadata` names them; each is a property of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwtAuthn {
    payload: String,
    issuer: Attribute,
    subject: Attribute,
    consumer: Option<Attribute>,
    plan: Option<Attribute>,
    groups: Option<Attribute>,
    /// Those that limits look at by their name.
    claims: Vec<(String, Attribute)>,
}

const NEVER_TOLD: &str = "jwt_authn tells no scopes or labels; use a claim: { claim: <name> } as key or in plans.by, \
                          or leave identity out where auth stands in front";
const NO_CONSUMER: &str = "name its claim in identity.jwt_authn.consumer, or else there is none";
const NO_GROUPS: &str = "name their claim in identity.jwt_authn.groups, or else there are none";
const NO_PLAN: &str = "name its claim in identity.jwt_authn.plan, or else there is none";

impl JwtAuthn {
    /// Checks that these limits, which stand at `at`, ask for nothing that is not told: a condition would never hold, a key never be there.
    pub(crate) fn compile(
        config: JwtAuthnConfig,
        limits: &[Rule<Limit>],
        at: &FieldPath,
    ) -> Result<JwtAuthn, ConfigError> {
        let payload = config.payload.into_inner();
        let claim = |name: &str| {
            let namespace = "envoy.filters.http.jwt_authn";
            Attribute::of(&["metadata", "filter_metadata", namespace, &payload, name])
        };
        let named = |name: Option<Text<256>>| name.map(|name| claim(name.as_str()));
        let mut claims: Vec<(String, Attribute)> = Vec::new();
        let on = limits.iter().filter(|rule| rule.mode != Mode::Off);
        for name in on.flat_map(|rule| rule.value.claims()) {
            if claims.iter().all(|(other, _)| other != name) {
                claims.push((name.to_owned(), claim(name)));
            }
        }
        let compiled = JwtAuthn {
            issuer: claim("iss"),
            subject: claim("sub"),
            consumer: named(config.consumer),
            plan: named(config.plan),
            groups: named(config.groups),
            claims,
            payload,
        };
        for (index, rule) in limits.iter().enumerate() {
            compiled.check(rule, &at.index(index))?;
        }
        Ok(compiled)
    }

    /// The properties that it is read from.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        let claims = self.claims.iter().map(|(_, claim)| claim);
        [&self.issuer, &self.subject]
            .into_iter()
            .chain(&self.consumer)
            .chain(&self.plan)
            .chain(&self.groups)
            .chain(claims)
    }

    /// Who calls: anonymous, if none of the claims is there. Those that are no text are as if absent.
    pub(crate) fn read(&self, attributes: &Attributes<'_>) -> Identity {
        let claim = |attribute: &Attribute| text(attributes.get(attribute)?);
        let list = |attribute: &Attribute| {
            let value = attributes.get(attribute)?;
            // One text is a list of one. The host hands a list over as a map, of which the names are the elements, without values.
            let one = text(value).map(|one| vec![one]);
            one.or_else(|| {
                let list = HeaderMap::parse(value.to_vec()).ok()?;
                let elements = list.iter().filter(|(_, value)| value.is_empty());
                Some(elements.filter_map(|(name, _)| text(name)).collect())
            })
        };
        let claims = self.claims.iter();
        let caller = Identity {
            consumer: self.consumer.as_ref().and_then(claim),
            subject: claim(&self.subject),
            issuer: claim(&self.issuer),
            plan: self.plan.as_ref().and_then(claim),
            groups: self.groups.as_ref().and_then(list).unwrap_or_default(),
            claims: claims
                .filter_map(|(name, attribute)| Some((name.clone(), claim(attribute)?)))
                .collect(),
            ..Identity::anonymous()
        };
        match caller == Identity::anonymous() {
            true => caller,
            false => Identity {
                kind: CredentialKind::Jwt,
                credential_id: self.payload.clone(),
                ..caller
            },
        }
    }

    fn check(&self, rule: &Rule<Limit>, at: &FieldPath) -> Result<(), ConfigError> {
        let limit = &rule.value;
        self.check_match(&rule.matcher, &at.field("match"))?;
        let rules = at.field("cost").field("rules");
        for (index, matcher) in limit.cost.matchers().enumerate() {
            self.check_match(matcher, &rules.index(index).field("match"))?;
        }
        self.check_key(&limit.key, &at.field("key"))?;
        if let OnMissingKey::Use(key) = &limit.on_missing_key {
            self.check_key(key, &at.field("on_missing_key").field("use"))?;
        }
        let fault = match limit.plans.as_ref().map(Plans::by) {
            Some(PlanSource::Plan) => self.no_plan(),
            Some(PlanSource::Label(_)) => Some(NEVER_TOLD),
            Some(PlanSource::Claim(_)) | None => None,
        };
        refuse(fault, &at.field("plans").field("by"))
    }

    fn check_match(&self, matcher: &RequestMatch, at: &FieldPath) -> Result<(), ConfigError> {
        let at = at.field("identity");
        for field in matcher.identity_fields() {
            let fault = match field {
                "plans" => self.no_plan(),
                "groups" => self.no_groups(),
                _ => Some(NEVER_TOLD),
            };
            refuse(fault, &at.field(field))?;
        }
        Ok(())
    }

    fn check_key(&self, key: &Key, at: &FieldPath) -> Result<(), ConfigError> {
        let parts = key.parts();
        for (index, part) in parts.iter().enumerate() {
            let fault = match part {
                KeyPart::Consumer => self.consumer.is_none().then_some(NO_CONSUMER),
                KeyPart::Plan => self.no_plan(),
                KeyPart::Group(_) => self.no_groups(),
                KeyPart::Label(_) => Some(NEVER_TOLD),
                _ => None,
            };
            match parts.len() {
                1 => refuse(fault, at)?,
                _ => refuse(fault, &at.index(index))?,
            }
        }
        Ok(())
    }

    fn no_plan(&self) -> Option<&'static str> {
        self.plan.is_none().then_some(NO_PLAN)
    }

    fn no_groups(&self) -> Option<&'static str> {
        self.groups.is_none().then_some(NO_GROUPS)
    }
}

/// A claim that is a text, and not an empty one. A number is eight bytes, which may be characters by chance, and a truth is one.
fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let is_one = !text.is_empty() && !text.chars().any(char::is_control);
    is_one.then(|| text.to_owned())
}

fn refuse(fault: Option<&str>, at: &FieldPath) -> Result<(), ConfigError> {
    fault.map_or(Ok(()), |fault| Err(ConfigError::new(at, fault)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(limit: &Value, caller: &Value) -> Result<crate::Policy, String> {
        let mut all = json!({ "name": "a", "rate": "1/s" });
        let fields = all.as_object_mut().unwrap();
        fields.extend(limit.as_object().unwrap().clone());
        let config = json!({ "version": 1, "identity": { "jwt_authn": caller }, "limits": [all] });
        crate::Policy::from_bytes(config.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    /// Who calls, by the claims that are there.
    fn read(limit: &Value, caller: &Value, claims: &[(&str, &[u8])]) -> Identity {
        let policy = policy(limit, caller).unwrap();
        let asked = policy.needs().attributes;
        let values: Vec<_> = asked
            .iter()
            .map(|attribute| match attribute.path()[..] {
                [
                    "metadata",
                    "filter_metadata",
                    "envoy.filters.http.jwt_authn",
                    "jwt",
                    name,
                ] => {
                    let claim = claims.iter().find(|(claim, _)| *claim == name);
                    claim.map(|(_, value)| value.to_vec())
                }
                ref other => panic!("{other:?}"),
            })
            .collect();
        policy
            .caller
            .read(Some(b"ignored"), &Attributes::new(&asked, &values))
            .unwrap()
    }

    // Both say who calls by the same names: a limit by subject is one by subject, whoever verified the token.
    #[test]
    fn claims_of_jwt_authn_make_a_caller() {
        let caller = json!({ "payload": "jwt", "consumer": "azp", "plan": "tier" });
        let limit = json!({ "key": ["subject", { "claim": "tenant" }], "plans": { "by": { "claim": "level" }, "rates": { "gold": "2/s" } } });
        let alice = read(
            &limit,
            &caller,
            &[
                ("iss", b"https://a.test"),
                ("sub", b"alice"),
                ("azp", b"app"),
                ("tier", b"gold"),
                ("tenant", b"acme"),
                ("level", b"high"),
                ("email", b"nobody asks for it"),
            ],
        );
        assert_eq!(alice.subject.as_deref(), Some("alice"));
        assert_eq!(alice.issuer.as_deref(), Some("https://a.test"));
        assert_eq!(alice.consumer.as_deref(), Some("app"));
        assert_eq!(alice.plan.as_deref(), Some("gold"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            alice.claims,
            [pair("tenant", "acme"), pair("level", "high")]
        );
        assert_eq!(
            (alice.credential_id.as_str(), alice.check()),
            ("jwt", Ok(()))
        );
        assert!(read(&limit, &caller, &[]).is_anonymous());
    }

    // A token of a machine may have neither issuer nor subject: its client would be refused as anonymous.
    #[test]
    fn one_claim_is_enough_for_a_caller() {
        let caller = json!({ "payload": "jwt", "consumer": "client_id", "plan": "tier" });
        let limit = json!({ "key": [{ "claim": "tenant" }, "consumer"] });
        for name in ["iss", "sub", "client_id", "tier", "tenant"] {
            assert!(
                !read(&limit, &caller, &[(name, b"a")]).is_anonymous(),
                "{name}"
            );
        }
        // The bytes of a number, of which some are characters by chance, and of a truth.
        let number = 5_f64.to_le_bytes();
        for value in [&number[..], b"\x01", b"\xff", b""] {
            assert!(
                read(&limit, &caller, &[("tenant", value)]).is_anonymous(),
                "{value:?}"
            );
        }
        assert!(read(&limit, &caller, &[("email", b"a")]).is_anonymous());
    }

    #[test]
    fn groups_are_a_list_or_one_text() {
        let caller = json!({ "payload": "jwt", "groups": "roles" });
        let limit = json!({ "key": { "group": ["staff"] } });
        let groups = |value: &[u8]| read(&limit, &caller, &[("roles", value)]).groups;
        let number = 7_f64.to_le_bytes();
        let list = HeaderMap::from_pairs([(&b"staff"[..], ""), (&number, ""), (b"admin", "")]);
        assert_eq!(groups(list.as_bytes()), ["staff", "admin"]);
        assert_eq!(groups(b"staff"), ["staff"]);
        let object = HeaderMap::from_pairs([("staff", "yes")]);
        for none in [
            object.as_bytes(),
            HeaderMap::default().as_bytes(),
            &[0; 4],
            b"",
            &number,
            b"\xff",
        ] {
            assert!(
                read(&limit, &caller, &[("roles", none)]).is_anonymous(),
                "{none:?}"
            );
        }
    }

    // A condition that never holds is a limit that is for nobody; a key that is never there refuses everybody.
    #[test]
    fn what_jwt_authn_does_not_tell_is_refused_with_its_path() {
        let bare = json!({ "payload": "jwt" });
        let full =
            json!({ "payload": "jwt", "consumer": "azp", "plan": "tier", "groups": "roles" });
        let gold = json!({ "gold": "2/s" });
        let on = |identity: Value| json!({ "key": "subject", "match": { "identity": identity } });
        let cost = |identity: Value| {
            json!({ "key": "subject", "cost": { "rules": [
                { "match": { "methods": ["PUT"] }, "cost": 2 },
                { "match": { "identity": identity }, "cost": 3 },
            ] } })
        };
        for (limit, caller, says) in [
            (
                on(json!({ "groups": ["a"] })),
                &bare,
                "limits[0].match.identity.groups: name their claim in identity.jwt_authn.groups",
            ),
            (
                on(json!({ "scopes": ["a"] })),
                &full,
                "limits[0].match.identity.scopes: jwt_authn tells no scopes",
            ),
            (
                on(json!({ "plans": ["a"] })),
                &bare,
                "limits[0].match.identity.plans: name its claim in identity.jwt_authn.plan",
            ),
            (
                cost(json!({ "scopes": ["a"] })),
                &full,
                "limits[0].cost.rules[1].match.identity.scopes: ",
            ),
            (
                json!({ "key": { "group": ["a"] } }),
                &bare,
                "limits[0].key: name their claim in identity.jwt_authn.groups",
            ),
            (
                json!({ "key": ["subject", { "label": "a" }] }),
                &full,
                "limits[0].key[1]: jwt_authn tells no scopes or labels",
            ),
            (
                json!({ "key": "consumer" }),
                &bare,
                "limits[0].key: name its claim in identity.jwt_authn.consumer",
            ),
            (
                json!({ "key": "plan" }),
                &bare,
                "limits[0].key: name its claim in identity.jwt_authn.plan",
            ),
            (
                json!({ "key": "subject", "on_missing_key": { "use": "consumer" } }),
                &bare,
                "limits[0].on_missing_key.use: name its claim",
            ),
            (
                json!({ "key": "subject", "plans": { "rates": gold } }),
                &bare,
                "limits[0].plans.by: name its claim in identity.jwt_authn.plan",
            ),
            (
                json!({ "key": "subject", "plans": { "by": { "label": "t" }, "rates": gold } }),
                &full,
                "limits[0].plans.by: jwt_authn tells no",
            ),
        ] {
            let error = policy(&limit, caller).err();
            let error = error.unwrap_or_else(|| panic!("{limit} is accepted"));
            assert!(error.starts_with(says), "{says}: {error}");
        }
        for (limit, caller) in [
            (
                json!({ "key": ["subject", "credential", { "claim": "tenant" }] }),
                &bare,
            ),
            (
                json!({ "key": ["consumer", "plan"], "plans": { "rates": gold } }),
                &full,
            ),
            (
                json!({ "key": "subject", "plans": { "by": { "claim": "t" }, "rates": gold } }),
                &bare,
            ),
            (json!({ "key": { "group": ["a"] } }), &full),
            (on(json!({ "plans": ["a"], "groups": ["a"] })), &full),
            (cost(json!({ "plans": ["a"] })), &full),
        ] {
            assert_eq!(policy(&limit, caller).err(), None);
        }
    }
}
