//! What is known when a template is filled.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use client_address::Source as Address;
use http_message::{HeaderMap, cookies};
use identity::Identity;
use request_match::Subject;

use super::moment::rfc3339;
use super::property::Property;
use super::source::{Source, TimeForm};
use super::value::Value;

/// What the host has told about a request beside its head.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    properties: Vec<(Property, Vec<u8>)>,
    now: Duration,
}

/// Everything that templates of one message can look at, as it was before any edit.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The request, with its route and identity where templates look at them.
    pub subject: &'a Subject<'a>,
    /// What else the host has told.
    pub facts: &'a Facts,
    /// The head of the response, if there is one yet.
    pub response: Option<&'a HeaderMap>,
    /// What was captured, by name.
    pub captures: &'a [(String, Vec<u8>)],
}

impl Facts {
    /// What is known at `now`, the time since the Unix epoch.
    pub fn at(now: Duration) -> Facts {
        Facts {
            properties: Vec::new(),
            now,
        }
    }

    /// The value of a property, in the host's bytes.
    pub fn add(&mut self, property: Property, value: Vec<u8>) {
        self.properties.push((property, value));
    }

    fn get(&self, property: Property) -> Option<&[u8]> {
        let mut found = self.properties.iter().filter(|(is, _)| *is == property);
        found.next().map(|(_, value)| value.as_slice())
    }
}

impl<'a> Sources<'a> {
    /// What a source gives, if anything.
    pub(super) fn get<'v>(&self, source: &'v Source) -> Option<Value<'v>>
    where
        'a: 'v,
    {
        let Sources {
            subject,
            facts,
            response,
            captures,
        } = *self;
        let head = subject.head();
        let owned = |text: String| Value::Text(Cow::Owned(text.into_bytes()));
        match source {
            Source::Header(name) => Value::joined(head.headers().get_all(name.as_str())),
            Source::Query(name) => Value::joined(head.query().values(name)),
            Source::Cookie(name) => Value::joined(cookies(head.headers(), name)),
            Source::PathParameter(parameter) => {
                let value = parameter.value(subject.path());
                value.map(|value| Value::of(value.as_bytes()))
            }
            Source::Path => Some(owned(subject.path().encode())),
            Source::Method => Some(Value::of(head.method())),
            Source::Host => {
                let host = subject.host();
                host.map(|host| Value::Text(Cow::Owned(host.to_ascii_lowercase())))
            }
            Source::Identity(field) => subject.identity().and_then(|identity| field.of(identity)),
            Source::Claim(name) => named(subject, name, |identity| &identity.claims),
            Source::Label(name) => named(subject, name, |identity| &identity.labels),
            Source::Route => subject.route().map(Value::of),
            Source::RequestId => head.request_id().map(|id| Value::of(id.as_bytes())),
            Source::Address { forwarded } => {
                let address = address(facts.get(Property::Address)?, *forwarded);
                address.map(|address| owned(address.to_string()))
            }
            Source::Tls(property) => facts.get(*property).map(Value::of),
            Source::Time(TimeForm::Unix) => Some(owned(facts.now.as_secs().to_string())),
            Source::Time(TimeForm::Rfc3339) => Some(owned(rfc3339(facts.now))),
            Source::ResponseHeader(name) => Value::joined(response?.get_all(name.as_str())),
            Source::Status => response?.get_all(":status").next().map(Value::of),
            Source::Capture(name) => {
                let found = captures.iter().find(|(other, _)| other == name);
                found.map(|(_, value)| Value::of(value))
            }
        }
    }
}

fn named<'a>(
    subject: &'a Subject<'a>,
    name: &str,
    pairs: impl Fn(&'a Identity) -> &'a [(String, String)],
) -> Option<Value<'a>> {
    let found = pairs(subject.identity()?)
        .iter()
        .find(|(other, _)| other == name);
    found.map(|(_, value)| Value::of(value.as_bytes()))
}

/// Envoy writes port 0 behind an address that it has from `x-forwarded-for`, which without `use_remote_address` the client
/// has written.
fn address(property: &[u8], forwarded: bool) -> Option<IpAddr> {
    let source = Address::parse(property)?;
    (source.connected || forwarded).then_some(source.address)
}
