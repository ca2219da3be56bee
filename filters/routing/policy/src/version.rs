//! Which version of the API a request names, and where it may name it.

use std::fmt;

use http_message::{CanonicalPath, HeaderName, HeaderValue, Occurrence, RequestHead};

use crate::accept::{self, AcceptError, Naming};
use crate::call::Call;
use crate::reason::Reason;
use crate::upstream_path::UpstreamPath;

/// A version of the API: a whole number of up to four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion(u16);

/// The versions that are served, and where a request may name one.
#[derive(Debug)]
pub(crate) struct Versions {
    pub(crate) supported: Vec<ApiVersion>,
    /// The digits of these, in their order, as they are written for each request.
    pub(crate) written: Vec<HeaderValue>,
    /// Once served: their callers are told so.
    pub(crate) retired: Vec<ApiVersion>,
    /// Among `supported`.
    pub(crate) default: ApiVersion,
    pub(crate) sources: Vec<Source>,
    /// Whether a route may name another default.
    pub(crate) route_override: bool,
    /// Whether a version that is not served becomes the nearest older one that is.
    pub(crate) falls_back: bool,
    /// What the responses of a version on its way out tell.
    pub(crate) deprecated: Vec<(ApiVersion, Vec<(HeaderName, HeaderValue)>)>,
    pub(crate) upstream_path: Option<UpstreamPath>,
    /// The status where a version is unknown; by default it depends on where the version was named.
    pub(crate) unknown: Option<UnknownStatus>,
}

/// The status of a refusal where a version is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnknownStatus {
    /// 404.
    NotFound,
    /// 406.
    NotAcceptable,
}

/// A place in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The first segment of the path: `/v2/users`.
    PathPrefix,
    /// The value of a header: `2` or `v2`.
    Header(HeaderName),
    /// The value of a member of the query: `?api-version=2`.
    Query(String),
    /// A parameter of a media range in `Accept`, by its lower-case name: `application/json;version=2`.
    AcceptParameter(String),
    /// A media type in `Accept`, by what stands in front of `.v2`: `application/vnd.example.v2+json`.
    AcceptVendor(String),
    /// The last part of the package of a gRPC service: `inventory.v2.Stock`.
    GrpcPackage,
}

/// The version of a request, and whether the request named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// A source named it.
    Named(ApiVersion),
    /// A source named another, which is not served; this is the nearest older one.
    Older {
        asked: ApiVersion,
        served: ApiVersion,
    },
    /// No source named one.
    Default(ApiVersion),
}

/// What a source that names a version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Version(ApiVersion),
    /// Meant as a version, but none that could be served.
    Unreadable,
}

impl ApiVersion {
    /// The highest version.
    pub(crate) const MAX: u16 = 9999;

    /// Reads one to four decimal digits. No leading zero: `02` is not another spelling of `2`.
    pub(crate) fn from_digits(digits: impl IntoIterator<Item = u8>) -> Option<Self> {
        let mut number: Option<u16> = None;
        for byte in digits {
            let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
            number = match number {
                None => Some(u16::from(digit)),
                Some(0) => return None,
                Some(number) => Some(
                    number
                        .checked_mul(10)?
                        .checked_add(u16::from(digit))
                        .filter(|number| *number <= Self::MAX)?,
                ),
            };
        }
        number.map(ApiVersion)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Label {
    /// Reads `2` or `v2`.
    pub(crate) fn read(text: impl Iterator<Item = u8>) -> Label {
        let mut text = text.peekable();
        text.next_if_eq(&b'v');
        ApiVersion::from_digits(text).map_or(Label::Unreadable, Label::Version)
    }
}

impl Versions {
    /// Asks the sources in order; the first that names a version decides, and the others are not looked at. `None` if none does.
    ///
    /// `path` is absent where the request has none (CONNECT).
    pub(crate) fn select(
        &self,
        head: &RequestHead,
        path: Option<&CanonicalPath>,
        call: &Call<'_>,
    ) -> Result<Option<Selection>, Reason> {
        for source in &self.sources {
            let (label, unknown) = match source {
                Source::PathPrefix => (path.and_then(in_path), Reason::UnknownVersionInPath),
                Source::Header(name) => (in_header(head, name)?, Reason::UnknownVersionInHeader),
                Source::Query(name) => (in_query(head, name)?, Reason::UnknownVersionInQuery),
                Source::AcceptParameter(parameter) => {
                    let naming = Naming::Parameter(parameter);
                    (in_accept(head, naming)?, Reason::UnknownVersionInAccept)
                }
                Source::AcceptVendor(vendor) => {
                    let naming = Naming::Vendor(vendor);
                    (in_accept(head, naming)?, Reason::UnknownVersionInAccept)
                }
                Source::GrpcPackage => (in_package(call), Reason::UnknownVersionInPath),
            };
            if let Some(label) = label {
                return self.judge(label, unknown).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether the first segment of the path is a version, which the upstream is not to see. One that is not served is refused also
    /// where another source has decided: nobody has looked at what stands behind it.
    pub(crate) fn stands_in(&self, path: &CanonicalPath) -> Result<bool, Reason> {
        if !self.sources.contains(&Source::PathPrefix) {
            return Ok(false);
        }
        match in_path(path) {
            Some(label) => self
                .judge(label, Reason::UnknownVersionInPath)
                .map(|_| true),
            None => Ok(false),
        }
    }

    /// The digits of a version that is served, as a header's value.
    pub(crate) fn digits(&self, version: ApiVersion) -> Option<&HeaderValue> {
        let place = self.supported.iter().position(|known| *known == version)?;
        self.written.get(place)
    }

    /// What the response to a request for the version tells.
    pub(crate) fn notices(&self, version: ApiVersion) -> &[(HeaderName, HeaderValue)] {
        let found = self.deprecated.iter().find(|(known, _)| *known == version);
        found.map_or(&[], |(_, headers)| headers)
    }

    fn judge(&self, label: Label, unknown: Reason) -> Result<Selection, Reason> {
        let Label::Version(asked) = label else {
            return Err(unknown);
        };
        if self.supported.contains(&asked) {
            return Ok(Selection::Named(asked));
        }
        if self.retired.contains(&asked) {
            return Err(Reason::RetiredVersion);
        }
        let older = self.supported.iter().filter(|version| **version < asked);
        match older.max() {
            Some(served) if self.falls_back => Ok(Selection::Older {
                asked,
                served: *served,
            }),
            _ => Err(unknown),
        }
    }
}

impl Selection {
    /// The version, named or not.
    pub(crate) fn version(self) -> ApiVersion {
        match self {
            Selection::Named(version) | Selection::Default(version) => version,
            Selection::Older { served, .. } => served,
        }
    }
}

/// A first segment of `v` and one to four digits is meant as a version; `/vault`, `/v2beta1` and `/v20250101` are not.
fn in_path(path: &CanonicalPath) -> Option<Label> {
    let [b'/', b'v', rest @ ..] = path.as_bytes() else {
        return None;
    };
    let most = rest.get(..5).unwrap_or(rest).iter();
    let end = most.take_while(|byte| **byte != b'/').count();
    in_digits(rest.get(..end)?)
}

/// The same holds for the last part of a package: `inventory.v2`.
fn in_package(call: &Call<'_>) -> Option<Label> {
    let Call::Method(call) = call else {
        return None;
    };
    in_segment(call.package().rsplit('.').next()?)
}

fn in_segment(segment: &str) -> Option<Label> {
    in_digits(segment.strip_prefix("v")?.as_bytes())
}

fn in_digits(digits: &[u8]) -> Option<Label> {
    if !(1..=4).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let version = ApiVersion::from_digits(digits.iter().copied());
    Some(version.map_or(Label::Unreadable, Label::Version))
}

fn in_header(head: &RequestHead, name: &HeaderName) -> Result<Option<Label>, Reason> {
    match head.headers().occurrence(name.as_str()) {
        Occurrence::Absent => Ok(None),
        // A proxy may have joined two headers into one list (RFC 9110 section 5.3).
        Occurrence::Once(value) if value.contains(&b',') => Err(Reason::RepeatedVersionHeader),
        Occurrence::Once(value) => Ok(Some(Label::read(value.trim_ascii().iter().copied()))),
        Occurrence::Repeated => Err(Reason::RepeatedVersionHeader),
    }
}

/// The value as it is once decoded; the one that counts must be the only one.
fn in_query(head: &RequestHead, name: &str) -> Result<Option<Label>, Reason> {
    let mut values = head.query().values(name);
    let first = values.next();
    match values.next() {
        Some(_) => Err(Reason::RepeatedVersionQuery),
        None => Ok(first.map(|value| Label::read(value.iter().copied()))),
    }
}

fn in_accept(head: &RequestHead, naming: Naming<'_>) -> Result<Option<Label>, Reason> {
    accept::label(head.headers().get_all("accept"), naming).map_err(|error| match error {
        AcceptError::Malformed => Reason::MalformedAccept,
        AcceptError::Different => Reason::ConflictingAccept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<u16> {
        ApiVersion::from_digits(text.bytes()).map(|version| version.0)
    }

    // Two spellings of one version would be two routes to an upstream that compares text.
    #[test]
    fn a_version_has_one_spelling() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("10"), Some(10));
        assert_eq!(number("9999"), Some(9999));
        for text in [
            "",
            "00",
            "02",
            "10000",
            "99999",
            "65536",
            "4294967297",
            "+2",
            "-2",
            "2.0",
            " 2",
            "2 ",
            "2a",
            "\u{662}",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_label_may_have_its_letter() {
        let read = |text: &str| Label::read(text.bytes());
        assert_eq!(read("2"), Label::Version(ApiVersion(2)));
        assert_eq!(read("v2"), Label::Version(ApiVersion(2)));
        for text in ["", "v", "vv2", "V2", "v02", "2v"] {
            assert_eq!(read(text), Label::Unreadable, "{text:?}");
        }
    }
}
