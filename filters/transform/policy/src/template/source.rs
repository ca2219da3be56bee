//! Where a value comes from.

use filter_config::nearest;
use http_message::{HeaderName, is_token};
use request_match::PathParameter;

use super::identity_field::IdentityField;
use super::needs::Needs;
use super::property::Property;
use super::scope::Scope;
use crate::direction::Direction;

/// A source, as a placeholder names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Header(HeaderName),
    Query(String),
    Cookie(String),
    PathParameter(PathParameter),
    Path,
    Method,
    Host,
    Identity(IdentityField),
    Claim(String),
    Label(String),
    Route,
    RequestId,
    /// The address of the client; `forwarded`: also one that the connection does not vouch for.
    Address {
        forwarded: bool,
    },
    Tls(Property),
    Time(TimeForm),
    ResponseHeader(HeaderName),
    Status,
    Capture(String),
}

/// How a moment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// Seconds since 1970.
    Unix,
    Rfc3339,
}

const NAMES: [&str; 18] = [
    "header",
    "query",
    "cookie",
    "path_parameter",
    "path",
    "method",
    "host",
    "identity",
    "claim",
    "label",
    "route",
    "request_id",
    "address",
    "tls",
    "time",
    "response_header",
    "status",
    "capture",
];

const TLS: [(&str, Property); 6] = [
    ("sni", Property::Sni),
    ("version", Property::TlsVersion),
    ("subject", Property::PeerSubject),
    ("uri_san", Property::PeerUriSan),
    ("dns_san", Property::PeerDnsSan),
    ("fingerprint", Property::PeerFingerprint),
];

const TIME: [(&str, TimeForm); 2] = [("unix", TimeForm::Unix), ("rfc3339", TimeForm::Rfc3339)];

/// The longest name of a claim, a cookie and the like, in bytes.
const MAX_NAME: usize = 256;

impl Source {
    /// Reads `name` or `name:argument`. The error is a reason.
    pub(super) fn parse(text: &str, scope: Scope<'_>) -> Result<Source, String> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name.trim_end(), Some(argument.trim_start())),
            None => (text, None),
        };
        let source = match (name, argument) {
            ("path", None) => Source::Path,
            ("method", None) => Source::Method,
            ("host", None) => Source::Host,
            ("route", None) => Source::Route,
            ("request_id", None) => Source::RequestId,
            ("status", None) => Source::Status,
            ("address", None) => Source::Address { forwarded: false },
            ("address", Some("forwarded")) => Source::Address { forwarded: true },
            ("address", Some(_)) => {
                return Err("an address is address or address:forwarded".to_owned());
            }
            ("path" | "method" | "host" | "route" | "request_id" | "status", Some(_)) => {
                return Err(format!("{name} takes nothing behind a colon"));
            }
            (name, None | Some("")) if NAMES.contains(&name) => {
                return Err(format!("{name} needs a name: {name}:{}", example(name)));
            }
            ("header", Some(argument)) => Source::Header(header(argument)?),
            ("response_header", Some(argument)) => Source::ResponseHeader(header(argument)?),
            ("query", Some(argument)) => Source::Query(bounded(argument)?),
            ("cookie", Some(argument)) if is_token(argument) => Source::Cookie(bounded(argument)?),
            ("cookie", Some(_)) => return Err("that is no name of a cookie".to_owned()),
            ("path_parameter", Some(argument)) => {
                let parameter = scope.matcher.path_parameter(argument);
                Source::PathParameter(parameter.ok_or(
                    "match.path.template of this rule has no variable of this name, or more than one",
                )?)
            }
            ("identity", Some(argument)) => {
                Source::Identity(one_of(argument, &IdentityField::NAMES)?)
            }
            ("claim", Some(argument)) => Source::Claim(bounded(argument)?),
            ("label", Some(argument)) => Source::Label(bounded(argument)?),
            ("tls", Some(argument)) => Source::Tls(one_of(argument, &TLS)?),
            ("time", Some(argument)) => Source::Time(one_of(argument, &TIME)?),
            ("capture", Some(argument)) => Source::Capture(capture(argument, scope)?),
            _ => {
                return Err(match nearest(name, NAMES.into_iter()) {
                    Some(name) => format!("unknown source, did you mean {name}?"),
                    None => format!("unknown source; there are {}", NAMES.join(", ")),
                });
            }
        };
        let is_of_response = matches!(source, Source::Status | Source::ResponseHeader(_));
        if is_of_response && scope.direction == Direction::Request {
            return Err(format!("{name} is known in the response only"));
        }
        Ok(source)
    }

    pub(super) fn add_needs(&self, needs: &mut Needs) {
        match self {
            Source::Identity(_) | Source::Claim(_) | Source::Label(_) => needs.identity = true,
            Source::Route => needs.route = true,
            Source::Time(_) => needs.time = true,
            Source::Capture(_) => needs.captures = true,
            Source::Address { .. } => needs.add_property(Property::Address),
            Source::Tls(property) => needs.add_property(*property),
            Source::Header(_)
            | Source::Query(_)
            | Source::Cookie(_)
            | Source::PathParameter(_)
            | Source::Path
            | Source::Method
            | Source::Host
            | Source::RequestId
            | Source::ResponseHeader(_)
            | Source::Status => {}
        }
    }

    pub(super) fn request_header(&self) -> Option<&str> {
        match self {
            Source::Header(name) => Some(name.as_str()),
            _ => None,
        }
    }
}

fn example(name: &str) -> &'static str {
    match name {
        "header" | "response_header" => "x-a",
        "identity" => "subject",
        "tls" => "sni",
        "time" => "unix",
        _ => "a",
    }
}

fn header(name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name).map_err(|error| error.to_string())
}

fn bounded(name: &str) -> Result<String, String> {
    if name.len() > MAX_NAME {
        return Err("a name may have at most 256 bytes".to_owned());
    }
    Ok(name.to_owned())
}

fn one_of<T: Copy>(name: &str, names: &[(&'static str, T)]) -> Result<T, String> {
    if let Some((_, found)) = names.iter().find(|(other, _)| *other == name) {
        return Ok(*found);
    }
    let mut all = names.iter().map(|(name, _)| *name);
    Err(match nearest(name, all.clone()) {
        Some(name) => format!("unknown name, did you mean {name}?"),
        None => {
            let first = all.next().unwrap_or_default().to_owned();
            let list = all.fold(first, |list, name| list + ", " + name);
            format!("unknown name; there are {list}")
        }
    })
}

fn capture(name: &str, scope: Scope<'_>) -> Result<String, String> {
    if scope.captures.iter().any(|other| other == name) {
        return Ok(name.to_owned());
    }
    let names = scope.captures.iter().map(String::as_str);
    Err(match nearest(name, names) {
        Some(name) => format!("no capture of this name, did you mean {name}?"),
        None => "this rule captures nothing by that name".to_owned(),
    })
}
