//! Which version of the API a request names, and where it may name it.

use std::fmt;

use http_message::{CanonicalPath, HeaderName, Occurrence, RequestHead};

use crate::accept::{self, AcceptError};
use crate::reason::Reason;

/// A version of the API: a whole number of up to four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion(u16);

/// The versions that are served, and where a request may name one.
#[derive(Debug)]
pub(crate) struct Versions {
    supported: Vec<ApiVersion>,
    default: ApiVersion,
    sources: Vec<Source>,
}

/// A place in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The first segment of the path: `/v2/users`.
    PathPrefix,
    /// The value of a header: `2` or `v2`.
    Header(HeaderName),
    /// A parameter of a media range in `Accept`, by its lower-case name: `application/json;version=2`.
    AcceptParameter(String),
}

/// The version of a request, and whether the request named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// A source named it.
    Named(ApiVersion),
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
    /// The configuration has checked that `default` is among `supported`.
    pub(crate) fn new(
        supported: Vec<ApiVersion>,
        default: ApiVersion,
        sources: Vec<Source>,
    ) -> Self {
        Versions {
            supported,
            default,
            sources,
        }
    }

    /// The versions that are served, in the order of the configuration.
    pub(crate) fn supported(&self) -> &[ApiVersion] {
        &self.supported
    }

    /// The version of a request that names none.
    pub(crate) fn default_version(&self) -> ApiVersion {
        self.default
    }

    /// Asks the sources in order; the first that names a version decides, and the others are not looked at.
    ///
    /// `path` is absent where the request has none (CONNECT).
    pub(crate) fn select(
        &self,
        head: &RequestHead,
        path: Option<&CanonicalPath>,
    ) -> Result<Selection, Reason> {
        for source in &self.sources {
            let (label, unknown) = match source {
                Source::PathPrefix => (path.and_then(in_path), Reason::UnknownVersionInPath),
                Source::Header(name) => (in_header(head, name)?, Reason::UnknownVersionInHeader),
                Source::AcceptParameter(parameter) => {
                    (in_accept(head, parameter)?, Reason::UnknownVersionInAccept)
                }
            };
            match label {
                None => {}
                Some(Label::Version(version)) if self.supported.contains(&version) => {
                    return Ok(Selection::Named(version));
                }
                Some(_) => return Err(unknown),
            }
        }
        Ok(Selection::Default(self.default))
    }
}

impl Selection {
    /// The version, named or not.
    pub(crate) fn version(self) -> ApiVersion {
        match self {
            Selection::Named(version) | Selection::Default(version) => version,
        }
    }
}

/// A first segment of `v` and one to four digits is meant as a version; `/vault`, `/v2beta1` and `/v20250101` are not.
fn in_path(path: &CanonicalPath) -> Option<Label> {
    let digits = path
        .segments()
        .next()?
        .strip_prefix("v")
        .filter(|digits| (1..=4).contains(&digits.len()))
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(ApiVersion::from_digits(digits.bytes()).map_or(Label::Unreadable, Label::Version))
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

fn in_accept(head: &RequestHead, parameter: &str) -> Result<Option<Label>, Reason> {
    accept::label(head.headers().get_all("accept"), parameter).map_err(|error| match error {
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
