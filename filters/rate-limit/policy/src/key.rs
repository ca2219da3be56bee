//! By what a limit tells clients apart.

use std::fmt;

use filter_config::BoundedList;
use http_message::{HeaderMap, HeaderName, RequestHead, same_spelling};
use identity::Identity;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use shared_table::{Fingerprint, HashKey};

/// One thing that tells clients apart.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyPart {
    Consumer,
    Subject,
    Address,
    Route,
    Method,
    Header(HeaderName),
}

/// One part or several, which then all must be equal for two requests to count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(Vec<KeyPart>);

/// What a key is made of.
#[derive(Clone, Copy)]
pub(crate) struct KeySource<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) identity: Option<&'a Identity>,
    /// As much of the address as tells clients apart; empty for all those whose address cannot be told.
    pub(crate) network: Option<&'a [u8]>,
    pub(crate) route: Option<&'a [u8]>,
}

/// Why a request has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// A part of it is absent or empty.
    Missing,
    /// A header occurs twice, or in a spelling that some upstreams read as the same: it is open which of them counts.
    Ambiguous,
}

impl Key {
    pub(crate) fn parts(&self) -> &[KeyPart] {
        &self.0
    }

    /// The fingerprint of the client under the limit of this name. Values are hashed whole, whatever their length and bytes.
    pub(crate) fn fingerprint(
        &self,
        limit: &str,
        source: &KeySource<'_>,
        hash: &HashKey,
    ) -> Result<Fingerprint, KeyFault> {
        let mut values = vec![limit.as_bytes().to_vec()];
        for part in &self.0 {
            part.append(source, &mut values)?;
        }
        Ok(hash.fingerprint(values.iter().map(Vec::as_slice)))
    }
}

impl KeyPart {
    fn append(&self, source: &KeySource<'_>, values: &mut Vec<Vec<u8>>) -> Result<(), KeyFault> {
        let identity = source.identity;
        let value = match self {
            KeyPart::Consumer => identity
                .and_then(|identity| identity.consumer.as_deref())
                .map(str::as_bytes),
            KeyPart::Subject => {
                // Two issuers may name two users alike.
                let issuer = identity.and_then(|identity| identity.issuer.as_deref());
                values.push(issuer.unwrap_or_default().as_bytes().to_vec());
                identity
                    .and_then(|identity| identity.subject.as_deref())
                    .map(str::as_bytes)
            }
            KeyPart::Address => {
                values.push(source.network.ok_or(KeyFault::Missing)?.to_vec());
                return Ok(());
            }
            KeyPart::Route => source.route,
            KeyPart::Method => Some(source.head.method()),
            KeyPart::Header(name) => the_one(source.head.headers(), name)?,
        };
        let value = value.filter(|value| !value.is_empty());
        values.push(value.ok_or(KeyFault::Missing)?.to_vec());
        Ok(())
    }
}

/// The value of a header that is there once and in no other spelling: a client that is counted by `x-tenant` must not be another,
/// or nobody, to an upstream that reads `x_tenant` as well.
fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, KeyFault> {
    let mut found = None;
    for (other, value) in headers {
        if !same_spelling(other, name.as_bytes()) {
            continue;
        }
        if found.is_some() || !other.eq_ignore_ascii_case(name.as_bytes()) {
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
        f.write_str("consumer, subject, address, route, method, { header: x }, or a list of these")
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
    use http_message::HeaderMap;
    use identity::CredentialKind;
    use serde_json::json;

    use super::*;
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
        let head = RequestHead::new(HeaderMap::from_pairs(headers.iter().copied()));
        let source = KeySource {
            head: &head,
            identity,
            network: Some(&[192, 0, 2, 1]),
            route: None,
        };
        key.fingerprint("orders", &source, &HashKey::new([1; 16]))
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
            json!({ "cookie": "a" }),
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
        for part in ["consumer", "subject", "route"] {
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
        let one = print(&tenant, &[("X-Tenant", "a"), ("x-tenants", "b")], None);
        assert_eq!(one, print(&tenant, &[("x-tenant", "a")], None));
        assert!(one.is_ok());
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
