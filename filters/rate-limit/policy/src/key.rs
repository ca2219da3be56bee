//! By what a limit tells clients apart.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use client_address::Masks;
use filter_config::{BoundedList, Text};
use http_message::{HeaderMap, HeaderName, cookies, same_spelling};
use identity::Identity;
use request_match::{PathParameter, Subject};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use shared_table::{Fingerprint, HashKey, Parts};

use crate::attribute::{Attribute, Attributes};
use crate::rate_set::RateSet;

/// One thing that tells clients apart.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyPart {
    Consumer,
    Subject,
    Plan,
    /// The first of these groups that the caller is in.
    Group(BoundedList<Text<256>, 1, 32>),
    Label(Text<256>),
    /// A claim of the token.
    Claim(Text<256>),
    /// The id of the API key, or the name of the token's provider.
    Credential,
    Address,
    /// The address with masks of its own.
    Network(Masks),
    Route,
    Method,
    Host,
    GrpcService,
    GrpcMethod,
    PathParameter(PathParameter),
    Header(HeaderName),
    Cookie(Text<256>),
    Query(Text<256>),
    /// A property of the host.
    Attribute(Attribute),
}

/// One part or several, which then all must be equal for two requests to count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(Vec<KeyPart>);

/// What a key is made of.
#[derive(Clone, Copy)]
pub(crate) struct KeySource<'a> {
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) identity: Option<&'a Identity>,
    /// As much of the address as tells clients apart; empty for all those whose address cannot be told.
    pub(crate) network: Option<&'a [u8]>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) route: Option<&'a [u8]>,
    pub(crate) attributes: Attributes<'a>,
}

/// Why a request has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// A part of it is absent or empty.
    Missing,
    /// A header, cookie or query parameter occurs twice, or a header in a spelling that some upstreams read as the same: it is open
    /// which of them counts.
    Ambiguous,
}

impl Key {
    pub(crate) fn parts(&self) -> &[KeyPart] {
        &self.0
    }

    /// The fingerprint of the client among those who have the same rates, of which the key begins with `group`. Values are hashed whole, whatever their length and bytes.
    pub(crate) fn fingerprint(
        &self,
        group: &Parts,
        source: &KeySource<'_>,
    ) -> Result<Fingerprint, KeyFault> {
        let mut parts = group.clone();
        for part in &self.0 {
            part.append(source, &mut parts)?;
        }
        Ok(parts.fingerprint())
    }

    /// As [`fingerprint`](Key::fingerprint), for requests that lack the key of the limit: never that of one that has it.
    #[inline(never)]
    pub(crate) fn fallback(
        &self,
        rates: &RateSet<'_>,
        source: &KeySource<'_>,
        hash: &HashKey,
    ) -> Result<Fingerprint, KeyFault> {
        let mut parts = hash.parts();
        // No other list begins with one empty part: limits have names.
        parts.push(b"");
        rates.append(&mut parts);
        for part in &self.0 {
            part.append(source, &mut parts)?;
        }
        Ok(parts.fingerprint())
    }
}

impl KeyPart {
    pub(crate) fn needs_identity(&self) -> bool {
        use KeyPart::{Claim, Consumer, Credential, Group, Label, Plan, Subject};
        matches!(
            self,
            Consumer | Subject | Plan | Group(_) | Label(_) | Claim(_) | Credential
        )
    }

    pub(crate) fn needs_address(&self) -> bool {
        matches!(self, KeyPart::Address | KeyPart::Network(_))
    }

    fn append(&self, source: &KeySource<'_>, parts: &mut Parts) -> Result<(), KeyFault> {
        let value = self.value(source, parts)?;
        let value = value.filter(|value| !value.is_empty());
        parts.push(&value.ok_or(KeyFault::Missing)?);
        Ok(())
    }

    fn value<'a>(
        &'a self,
        source: &KeySource<'a>,
        parts: &mut Parts,
    ) -> Result<Option<Cow<'a, [u8]>>, KeyFault> {
        let identity = source.identity;
        let head = source.subject.head();
        let text = |text: Option<&'a str>| text.map(|text| Cow::Borrowed(text.as_bytes()));
        let of = |get: fn(&Identity) -> Option<&str>| text(identity.and_then(get));
        Ok(match self {
            KeyPart::Consumer => of(|identity| identity.consumer.as_deref()),
            KeyPart::Plan => of(|identity| identity.plan.as_deref()),
            KeyPart::Credential => of(|identity| Some(identity.credential_id.as_str())),
            KeyPart::Subject => {
                // Two issuers may name two users alike.
                let issuer = identity.and_then(|identity| identity.issuer.as_deref());
                parts.push(issuer.unwrap_or_default().as_bytes());
                of(|identity| identity.subject.as_deref())
            }
            KeyPart::Group(groups) => {
                let caller = identity.map_or(&[][..], |identity| &identity.groups);
                let is_in = |group: &&Text<256>| caller.iter().any(|one| one == group.as_str());
                text(groups.iter().find(is_in).map(Text::as_str))
            }
            KeyPart::Label(name) => {
                text(identity.and_then(|identity| label(identity, name.as_str())))
            }
            KeyPart::Claim(name) => {
                text(identity.and_then(|identity| claim(identity, name.as_str())))
            }
            KeyPart::Address => {
                // All whose address cannot be told are one client, of no bytes.
                parts.push(source.network.ok_or(KeyFault::Missing)?);
                Some(Cow::Borrowed(b"address"))
            }
            KeyPart::Network(masks) => {
                source.network.ok_or(KeyFault::Missing)?;
                let network = source.address.map(|address| masks.network(address));
                parts.push(&network.unwrap_or_default());
                Some(Cow::Borrowed(b"network"))
            }
            KeyPart::Route => source.route.map(Cow::Borrowed),
            KeyPart::Method => Some(Cow::Borrowed(head.method())),
            KeyPart::Host => {
                let host = source.subject.host();
                host.map(|host| Cow::Owned(host.to_ascii_lowercase()))
            }
            KeyPart::GrpcService => text(source.subject.call().map(|call| call.service)),
            KeyPart::GrpcMethod => {
                let call = source.subject.call();
                parts.push(call.map_or("", |call| call.service).as_bytes());
                text(call.map(|call| call.method))
            }
            KeyPart::PathParameter(parameter) => text(parameter.value(source.subject.path())),
            KeyPart::Header(name) => the_one(head.headers(), name)?.map(Cow::Borrowed),
            KeyPart::Cookie(name) => {
                only(cookies(head.headers(), name.as_str()))?.map(Cow::Borrowed)
            }
            KeyPart::Query(name) => only(head.query().values(name.as_str()))?,
            KeyPart::Attribute(attribute) => source.attributes.get(attribute).map(Cow::Borrowed),
        })
    }
}

/// What an operator wrote beside the credential.
pub(crate) fn label<'a>(identity: &'a Identity, name: &str) -> Option<&'a str> {
    named(&identity.labels, name)
}

/// A claim of the token that the operator selected.
pub(crate) fn claim<'a>(identity: &'a Identity, name: &str) -> Option<&'a str> {
    named(&identity.claims, name)
}

fn named<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.as_str())
}

fn only<T>(mut values: impl Iterator<Item = T>) -> Result<Option<T>, KeyFault> {
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(KeyFault::Ambiguous),
    }
}

/// The value of a header that is there once and in no other spelling: a client that is counted by `x-tenant` must not be another,
/// or nobody, to an upstream that reads `x_tenant` as well.
fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, KeyFault> {
    let (mut found, name) = (None, name.as_bytes());
    for (other, value) in headers {
        // Most are told by their length, which no spelling changes.
        if other.len() != name.len() || !same_spelling(other, name) {
            continue;
        }
        if found.is_some() || !other.eq_ignore_ascii_case(name) {
            return Err(KeyFault::Ambiguous);
        }
        found = Some(value);
    }
    Ok(found)
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "consumer, subject, plan, credential, address, host, route, method, grpc_service, grpc_method, \
             one of group, label, claim, network, path_parameter, header, cookie, query, attribute with what it reads, \
             or a list of these",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
        let part = KeyPart::deserialize(StrDeserializer::new(text))?;
        // A header is written as an object; serde finds that out only where it looks for the value.
        Ok(Key(vec![part]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Key, A::Error> {
        let part = KeyPart::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Key(vec![part]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Key, A::Error> {
        BoundedList::<KeyPart, 1, 4>::deserialize(SeqAccessDeserializer::new(parts))
            .map(|parts| Key(parts.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    use http_message::RequestHead;
    use identity::CredentialKind;
    use request_match::TwinTable;
    use serde_json::json;

    use super::*;
    use crate::rate_set::RateSource;

    const ORDERS: RateSet<'_> = RateSet {
        limit: "orders",
        source: RateSource::Limit,
    };

    fn read(value: serde_json::Value) -> Result<Key, String> {
        filter_config::from_value(value).map_err(|error| error.to_string())
    }

    fn caller(subject: &str, issuer: &str) -> Identity {
        Identity {
            kind: CredentialKind::Jwt,
            credential_id: "main".to_owned(),
            subject: Some(subject.to_owned()),
            issuer: Some(issuer.to_owned()),
            ..Identity::anonymous()
        }
    }

    fn print(
        key: &Key,
        headers: &[(&str, &str)],
        identity: Option<&Identity>,
    ) -> Result<Fingerprint, KeyFault> {
        let path = [(":path", "/")];
        let path = path
            .iter()
            .filter(|_| !headers.iter().any(|(name, _)| *name == ":path"));
        let head = RequestHead::new(HeaderMap::from_pairs(path.chain(headers).copied()));
        let twins = TwinTable::default();
        let attribute = filter_config::from_value(json!(["connection", "mtls"])).unwrap();
        let values = [Some(vec![1])];
        let source = KeySource {
            subject: &Subject::new(&head, &twins).unwrap(),
            identity,
            network: Some(&[192, 0, 2, 1]),
            address: Some("192.0.2.1".parse().unwrap()),
            route: None,
            attributes: Attributes::new(std::slice::from_ref(&attribute), &values),
        };
        let group = ORDERS.group(&HashKey::new([1; 16]));
        key.fingerprint(&group.parts, &source)
    }

    #[test]
    fn one_part_or_a_list() {
        assert_eq!(read(json!("consumer")).unwrap().0, [KeyPart::Consumer]);
        assert_eq!(
            read(json!(["address", { "header": "X-Tenant" }]))
                .unwrap()
                .0,
            [
                KeyPart::Address,
                KeyPart::Header(HeaderName::from_static("x-tenant"))
            ]
        );
        assert_eq!(read(json!({ "header": "a" })).unwrap().0.len(), 1);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for value in [
            json!("consumers"),
            json!("header"),
            json!([]),
            json!(["method", "method", "method", "method", "method"]),
            json!({ "header": ":path" }),
            json!({ "header": "a", "consumer": 1 }),
            json!({ "cookie": "" }),
            json!({ "claim": "" }),
            json!("claim"),
            json!({ "group": [] }),
            json!({ "path_parameter": { "template": "/users/{id}", "name": "other" } }),
            json!({ "path_parameter": { "template": "/users/{id=**}", "name": "id" } }),
            json!({ "attribute": [] }),
            json!({ "attribute": "a.b" }),
            json!({ "network": { "ipv4_prefix": 33 } }),
            json!(7),
        ] {
            let error = read(value.clone());
            assert!(error.is_err(), "{value}");
        }
    }

    // One bucket for all requests without a key would let one anonymous client block all others.
    #[test]
    fn an_absent_or_empty_part_is_a_missing_key() {
        let tenant = read(json!({ "header": "x-tenant" })).unwrap();
        assert_eq!(print(&tenant, &[], None), Err(KeyFault::Missing));
        assert_eq!(
            print(&tenant, &[("x-tenant", "")], None),
            Err(KeyFault::Missing)
        );
        let anonymous = Identity::anonymous();
        for part in [
            json!("consumer"),
            json!("subject"),
            json!("plan"),
            json!("credential"),
            json!({ "group": ["a"] }),
            json!({ "label": "tier" }),
            json!({ "claim": "tenant" }),
            json!("route"),
            json!("host"),
            json!("grpc_service"),
            json!("grpc_method"),
            json!({ "cookie": "sid" }),
            json!({ "query": "id" }),
            json!({ "path_parameter": { "template": "/users/{id}", "name": "id" } }),
            json!({ "attribute": ["connection", "tls_version"] }),
        ] {
            let key = read(json!(["address", part])).unwrap();
            assert_eq!(
                print(&key, &[], Some(&anonymous)),
                Err(KeyFault::Missing),
                "{part}"
            );
            assert_eq!(print(&key, &[], None), Err(KeyFault::Missing), "{part}");
        }
    }

    // The upstream takes one value, the limit would count by the other.
    #[test]
    fn a_repeated_header_is_no_key() {
        let tenant = read(json!({ "header": "x-tenant" })).unwrap();
        assert_eq!(
            print(&tenant, &[("x-tenant", "a"), ("x-tenant", "b")], None),
            Err(KeyFault::Ambiguous)
        );
    }

    // To an upstream behind CGI or WSGI `x_tenant` is `x-tenant`, and a limit that skips requests without it is passed by.
    #[test]
    fn another_spelling_of_a_header_is_no_key() {
        let tenant = read(json!({ "header": "x-tenant" })).unwrap();
        for other in ["x_tenant", "x.tenant", "X_Tenant"] {
            for headers in [
                &[(other, "b")][..],
                &[("x-tenant", "a"), (other, "b")],
                &[(other, "b"), ("x-tenant", "a")],
            ] {
                assert_eq!(
                    print(&tenant, headers, None),
                    Err(KeyFault::Ambiguous),
                    "{headers:?}"
                );
            }
        }
        // Names that are longer, or as long and others.
        let others = [("X-Tenant", "a"), ("x-tenants", "b"), ("x-tenanu", "c")];
        let one = print(&tenant, &others, None);
        assert_eq!(one, print(&tenant, &[("x-tenant", "a")], None));
        assert!(one.is_ok());
    }

    // What is found at two places counts by one of them, and the client chooses which the upstream reads.
    #[test]
    fn what_occurs_twice_is_no_key() {
        let cookie = read(json!({ "cookie": "sid" })).unwrap();
        for lines in [
            &[("cookie", "sid=1; sid=2")][..],
            &[("cookie", "sid=1"), ("cookie", "a=b; sid=1")],
        ] {
            assert_eq!(print(&cookie, lines, None), Err(KeyFault::Ambiguous));
        }
        let query = read(json!({ "query": "id" })).unwrap();
        let of = |path| print(&query, &[(":path", path)], None);
        assert_eq!(of("/?id=1&%69d=2"), Err(KeyFault::Ambiguous));
        assert_eq!(of("/?id=%31"), of("/?a=b&id=1"));
        assert!(of("/?id=1").is_ok());
    }

    // Each part reads what it says, and nothing else changes it.
    #[test]
    fn every_part_tells_its_clients_apart() {
        let who = |consumer: &str, plan: &str, group: &str, tier: &str, id: &str| Identity {
            kind: CredentialKind::ApiKey,
            credential_id: id.to_owned(),
            consumer: Some(consumer.to_owned()),
            plan: Some(plan.to_owned()),
            groups: vec!["all".to_owned(), group.to_owned()],
            labels: vec![("tier".to_owned(), tier.to_owned())],
            claims: vec![
                ("tenant".to_owned(), format!("of {tier}")),
                // The label and the claim of one name are two.
                ("tier".to_owned(), format!("of {id}")),
            ],
            ..Identity::anonymous()
        };
        let base = who("c", "p", "g", "t", "i");
        for (part, other) in [
            (json!("consumer"), who("x", "p", "g", "t", "i")),
            (json!("plan"), who("c", "x", "g", "t", "i")),
            (json!({ "group": ["g", "x"] }), who("c", "p", "x", "t", "i")),
            (json!({ "label": "tier" }), who("c", "p", "g", "x", "i")),
            (json!({ "claim": "tenant" }), who("c", "p", "g", "x", "i")),
            (json!({ "claim": "tier" }), who("c", "p", "g", "t", "x")),
            (json!("credential"), who("c", "p", "g", "t", "x")),
        ] {
            let key = read(part.clone()).unwrap();
            let of = |identity| print(&key, &[], Some(identity));
            assert_eq!(of(&base), of(&base), "{part}");
            assert_ne!(of(&base), of(&other), "{part}");
        }
        let head = |part: serde_json::Value,
                    one: &[(&str, &str)],
                    same: &[(&str, &str)],
                    other: &[(&str, &str)]| {
            let key = read(part.clone()).unwrap();
            assert!(print(&key, one, None).is_ok(), "{part}");
            assert_eq!(print(&key, one, None), print(&key, same, None), "{part}");
            assert_ne!(print(&key, one, None), print(&key, other, None), "{part}");
        };
        head(
            json!("host"),
            &[(":authority", "api.test:443")],
            &[(":authority", "API.test")],
            &[(":authority", "api.test.evil")],
        );
        head(
            json!({ "cookie": "sid" }),
            &[("cookie", "a=b; sid=1")],
            &[("cookie", "sid=1;sids=2")],
            &[("cookie", "sid=2")],
        );
        head(
            json!({ "path_parameter": { "template": "/users/{id}/{rest=**}", "name": "id" } }),
            &[(":path", "/users/7")],
            &[(":path", "/users/%37/orders?x=1")],
            &[(":path", "/users/8")],
        );
        let call = |path| {
            [
                (":path", path),
                ("content-type", "application/grpc"),
                (":method", "POST"),
            ]
        };
        head(
            json!("grpc_service"),
            &call("/a.B/Get"),
            &call("/a.B/Put"),
            &call("/a.C/Get"),
        );
        head(
            json!("grpc_method"),
            &call("/a.B/Get"),
            &call("/a.B/Get"),
            &call("/a.C/Get"),
        );
        let attribute = read(json!({ "attribute": ["connection", "mtls"] })).unwrap();
        assert!(print(&attribute, &[], None).is_ok());
        let network = |bits| read(json!({ "network": { "ipv4_prefix": bits } })).unwrap();
        assert_ne!(
            print(&network(24), &[], None),
            print(&network(16), &[], None)
        );
    }

    // A client that leaves out its name must not be counted as the one that has its address for a name.
    #[test]
    fn a_fallback_is_nobody_elses_key() {
        let (tenant, address) = (
            read(json!({ "header": "x" })).unwrap(),
            read(json!("address")).unwrap(),
        );
        let head = RequestHead::new(HeaderMap::from_pairs([(":path", "/"), ("x", "a")]));
        let twins = TwinTable::default();
        let source = KeySource {
            subject: &Subject::new(&head, &twins).unwrap(),
            identity: None,
            network: Some(b"a"),
            address: None,
            route: None,
            attributes: Attributes::new(&[], &[]),
        };
        let hash = HashKey::new([1; 16]);
        let key = tenant.fingerprint(&ORDERS.group(&hash).parts, &source);
        assert_ne!(key, tenant.fallback(&ORDERS, &source, &hash));
        assert!(address.fallback(&ORDERS, &source, &hash).is_ok());
    }

    #[test]
    fn users_of_two_issuers_are_two() {
        let key = read(json!("subject")).unwrap();
        let (one, other) = (caller("7", "https://a.test"), caller("7", "https://b.test"));
        assert_eq!(print(&key, &[], Some(&one)), print(&key, &[], Some(&one)));
        assert_ne!(print(&key, &[], Some(&one)), print(&key, &[], Some(&other)));
    }

    #[test]
    fn all_parts_count() {
        let key = read(json!(["method", { "header": "x-a" }])).unwrap();
        let of = |method, a| print(&key, &[(":method", method), ("x-a", a)], None).unwrap();
        assert_eq!(of("GET", "1"), of("GET", "1"));
        assert_ne!(of("GET", "1"), of("PUT", "1"));
        assert_ne!(of("GET", "1"), of("GET", "2"));
        // A long value is not cut.
        let long = "x".repeat(60_000);
        assert_ne!(of("GET", &long), of("GET", &long[1..]));
    }
}
