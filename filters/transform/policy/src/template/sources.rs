//! What is known when a template is filled.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use client_address::Source as Address;
use http_message::{HeaderMap, RequestHead, cookies};
use identity::Identity;
use request_match::host_of;

use super::facts::Facts;
use super::moment::rfc3339;
use super::property::Property;
use super::source::{Source, TimeForm};
use super::value::Value;

/// Everything that templates and conditions of one message can look at, as it was before any edit.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The head of the request.
    pub head: &'a RequestHead,
    /// Who calls, where a rule looks at that.
    pub identity: Option<&'a Identity>,
    /// What else the host has told.
    pub facts: &'a Facts,
    /// The time since the Unix epoch.
    pub now: Duration,
    /// The head of the response, if there is one yet.
    pub response: Option<&'a HeaderMap>,
    /// What was captured, by name. Of two the first counts.
    pub captures: &'a [(&'a str, &'a [u8])],
}

impl<'a> Sources<'a> {
    /// What a source gives, if anything.
    pub(super) fn get<'v>(&self, source: &'v Source) -> Option<Value<'v>>
    where
        'a: 'v,
    {
        let Sources {
            head,
            identity,
            facts,
            now,
            response,
            captures,
        } = *self;
        let owned = |text: String| Value::Text(Cow::Owned(text.into_bytes()));
        match source {
            Source::Header(name) => Value::joined(head.headers().get_all(name.as_str())),
            Source::Query(name) => Value::joined(head.query().values(name)),
            Source::Cookie(name) => Value::joined(cookies(head.headers(), name)),
            Source::PathParameter(parameter) => {
                let value = parameter.value(head.path().ok()?);
                value.map(|value| Value::of(value.as_bytes()))
            }
            Source::Path => Some(owned(head.path().ok()?.encode())),
            Source::Method => Some(Value::of(head.method())),
            Source::Host => {
                let host = host_of(head.authority()).filter(|host| !host.is_empty());
                host.map(|host| Value::Text(Cow::Owned(host.to_ascii_lowercase())))
            }
            Source::Identity(field) => field.of(identity?),
            Source::Claim(name) => named(&identity?.claims, name),
            Source::Label(name) => named(&identity?.labels, name),
            Source::Route => facts.route.as_deref().map(Value::of),
            Source::RequestId => head.request_id().map(|id| Value::of(id.as_bytes())),
            Source::Address { forwarded } => {
                let address = address(facts.get(Property::Address)?, *forwarded);
                address.map(|address| owned(address.to_string()))
            }
            Source::Tls(property) => facts.get(*property).map(Value::of),
            Source::Time(TimeForm::Unix) => Some(owned(now.as_secs().to_string())),
            Source::Time(TimeForm::Rfc3339) => Some(owned(rfc3339(now))),
            Source::ResponseHeader(name) => Value::joined(response?.get_all(name.as_str())),
            Source::Status => response?.get_all(":status").next().map(Value::of),
            Source::Capture(name) => {
                let found = captures.iter().find(|(other, _)| *other == name.as_str());
                found.map(|(_, value)| Value::of(value))
            }
        }
    }
}

fn named<'a>(pairs: &'a [(String, String)], name: &str) -> Option<Value<'a>> {
    let found = pairs.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| Value::of(value.as_bytes()))
}

/// Envoy writes port 0 behind an address that it has from `x-forwarded-for`, which without `use_remote_address` the client
/// has written.
fn address(property: &[u8], forwarded: bool) -> Option<IpAddr> {
    let source = Address::parse(property)?;
    (source.connected || forwarded).then_some(source.address)
}
