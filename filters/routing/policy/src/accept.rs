//! The version in `Accept`: a parameter of a media range (RFC 9110 section 12.5.1), or a media type of a vendor's own.
//!
//! `application/json;version=2, text/html;q=0.5` and `application/vnd.example.v2+json` name version 2. Only what bears on the parameter is judged; the rest of
//! the header belongs to the upstream. What two parsers could read differently (a stray or open quote) is an error.

use crate::version::Label;

/// Why the header does not say one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AcceptError {
    /// A quoted string that is open at the end or stands where none may, or the parameter without a value.
    #[error("malformed media range")]
    Malformed,
    /// Two media ranges, both acceptable to the client, name two versions.
    #[error("media ranges name different versions")]
    Different,
}

/// What names the version in a media range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Naming<'a> {
    /// The value of the parameter of this name.
    Parameter(&'a str),
    /// The type and subtype, of which this is what stands in front of `.v2`: `application/vnd.example`.
    Vendor(&'a str),
}

/// Reads every value of `Accept` as one list and returns what it names, or `None` where it names no version.
///
/// Names are compared without regard to case. A range of weight zero names what the client does *not* accept, so its
/// parameter does not count. Work is linear in the length of the values.
pub(crate) fn label<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    naming: Naming<'_>,
) -> Result<Option<Label>, AcceptError> {
    let mut found = None;
    for value in values {
        for range in Parts::new(value, b',') {
            merge(&mut found, range_label(range?, naming)?)?;
        }
    }
    Ok(found)
}

fn range_label(range: &[u8], naming: Naming<'_>) -> Result<Option<Label>, AcceptError> {
    let mut found = None;
    let mut refused = false;
    for (index, part) in Parts::new(range, b';').enumerate() {
        let part = trim(part?);
        if index == 0 {
            if let Naming::Vendor(vendor) = naming {
                found = vendor_label(part, vendor.as_bytes());
            }
            continue;
        }
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (part.get(..at), part.get(at.saturating_add(1)..)),
            None => (Some(part), None),
        };
        let name = name.unwrap_or_default();
        if name.eq_ignore_ascii_case(b"q") {
            refused |= value.is_some_and(is_zero_weight);
        } else if let Naming::Parameter(parameter) = naming
            && trim(name).eq_ignore_ascii_case(parameter.as_bytes())
        {
            // `version = 2` and a bare `version` are outside the grammar: one parser takes them, another does not.
            let value = value
                .filter(|value| name == trim(name) && *value == trim(value))
                .ok_or(AcceptError::Malformed)?;
            merge(&mut found, Some(value_label(value)))?;
        }
    }
    Ok(if refused { None } else { found })
}

/// `.v2` behind the vendor's name, up to the suffix. `application/vnd.example+json` names no version.
fn vendor_label(media_type: &[u8], vendor: &[u8]) -> Option<Label> {
    let (start, rest) = media_type.split_at_checked(vendor.len())?;
    let version = rest
        .strip_prefix(b".v")
        .or_else(|| rest.strip_prefix(b".V"))
        .filter(|_| start.eq_ignore_ascii_case(vendor))?;
    let end = version.iter().position(|byte| *byte == b'+');
    let digits = end.map_or(Some(version), |end| version.get(..end))?;
    // What is no number is another type of the vendor's: `application/vnd.example.vault`.
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| Label::read(digits.iter().copied()))
}

fn merge(found: &mut Option<Label>, next: Option<Label>) -> Result<(), AcceptError> {
    match (&found, next) {
        (_, None) => Ok(()),
        (None, next) => {
            *found = next;
            Ok(())
        }
        (Some(first), Some(next)) if *first == next => Ok(()),
        (Some(_), Some(_)) => Err(AcceptError::Different),
    }
}

/// A token, or a quoted string whose quotes [`Parts`] has found to be in place.
fn value_label(value: &[u8]) -> Label {
    let Some(quoted) = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    else {
        return Label::read(value.iter().copied());
    };
    let mut escaped = false;
    Label::read(quoted.iter().copied().filter(move |byte| {
        escaped = *byte == b'\\' && !escaped;
        !escaped
    }))
}

/// A weight of zero: `0` or `0.` and zeros (RFC 9110 section 12.4.2).
fn is_zero_weight(value: &[u8]) -> bool {
    value
        .strip_prefix(b"0")
        .is_some_and(|rest| match rest.strip_prefix(b".") {
            Some(digits) => digits.iter().all(|digit| *digit == b'0'),
            None => rest.is_empty(),
        })
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Splits at a delimiter outside quoted strings.
struct Parts<'a> {
    rest: Option<&'a [u8]>,
    delimiter: u8,
}

impl<'a> Parts<'a> {
    fn new(text: &'a [u8], delimiter: u8) -> Self {
        Parts {
            rest: Some(text),
            delimiter,
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<&'a [u8], AcceptError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.take()?;
        let mut place = Place::Start;
        for (at, byte) in text.iter().enumerate() {
            if *byte == self.delimiter && !place.quoted() {
                self.rest = text.get(at.saturating_add(1)..);
                return text.get(..at).map(Ok);
            }
            place = match place.after(*byte) {
                Some(place) => place,
                None => return Some(Err(AcceptError::Malformed)),
            };
        }
        Some(if place.quoted() {
            Err(AcceptError::Malformed)
        } else {
            Ok(text)
        })
    }
}

/// Where a byte stands with regard to quoted strings.
#[derive(Clone, Copy)]
enum Place {
    Start,
    AfterEquals,
    Quoted,
    Escaped,
    /// Behind a closing quote, where only white space and delimiters may follow.
    Closed,
}

impl Place {
    fn quoted(self) -> bool {
        matches!(self, Place::Quoted | Place::Escaped)
    }

    fn after(self, byte: u8) -> Option<Place> {
        match (self, byte) {
            (Place::Escaped, _) => Some(Place::Quoted),
            (Place::Quoted, b'\\') => Some(Place::Escaped),
            (Place::Quoted, b'"') => Some(Place::Closed),
            (Place::Quoted, _) => Some(Place::Quoted),
            (Place::AfterEquals, b'"') => Some(Place::Quoted),
            (_, b'"') => None,
            (Place::Closed, b' ' | b'\t') => Some(Place::Closed),
            (Place::Closed, b',' | b';') => Some(Place::Start),
            (Place::Closed, _) => None,
            (_, b'=') => Some(Place::AfterEquals),
            (_, _) => Some(Place::Start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::ApiVersion;

    fn read(values: &[&str]) -> Result<Option<Label>, AcceptError> {
        let values = values.iter().map(|value| value.as_bytes());
        label(values, Naming::Parameter("version"))
    }

    #[test]
    fn a_media_type_of_the_vendors_own_names_the_version() {
        let read = |value: &str| {
            label(
                [value.as_bytes()].into_iter(),
                Naming::Vendor("application/vnd.example"),
            )
        };
        assert_eq!(read("application/vnd.example.v2+json"), named(2));
        assert_eq!(
            read("text/html, Application/VND.Example.V2 ; q=0.5"),
            named(2)
        );
        assert_eq!(
            read("application/vnd.example.v1;q=0, application/vnd.example.v2"),
            named(2)
        );
        assert_eq!(
            read("application/vnd.example.v02+json"),
            Ok(Some(Label::Unreadable))
        );
        for value in [
            "application/vnd.example+json",
            "application/vnd.example.vault+json",
            "application/vnd.example.v",
            "application/vnd.example.v2beta1+json",
            "application/vnd.examples.v2+json",
            "application/json;version=2",
            "*/*",
            "",
        ] {
            assert_eq!(read(value), Ok(None), "{value}");
        }
        assert_eq!(
            read("application/vnd.example.v1, application/vnd.example.v2"),
            Err(AcceptError::Different)
        );
    }

    fn named(number: u16) -> Result<Option<Label>, AcceptError> {
        Ok(Some(Label::Version(
            ApiVersion::from_digits(number.to_string().bytes()).unwrap(),
        )))
    }

    #[test]
    fn a_parameter_of_any_range_names_the_version() {
        assert_eq!(read(&["application/json;version=2"]), named(2));
        assert_eq!(
            read(&["text/html, application/json ; Version=v3 ; q=0.5"]),
            named(3)
        );
        // Several header lines are one list (RFC 9110 section 5.3).
        assert_eq!(read(&["text/html", "application/json;VERSION=4"]), named(4));
        // The weight may come first (RFC 9110 section 12.5.1).
        assert_eq!(read(&["application/json;q=1;version=2"]), named(2));
    }

    #[test]
    fn other_parameters_and_everyday_headers_name_nothing() {
        for value in [
            "",
            ",",
            "*/*",
            "application/json;charset=utf-8",
            // What java.net.HttpURLConnection sends: `*` is no media range, `.2` no weight.
            "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
            "application/json;xversion=2;versio=3;versions=4",
            "version=2",
        ] {
            assert_eq!(read(&[value]), Ok(None), "{value}");
        }
    }

    #[test]
    fn quoted_strings_hide_delimiters_and_are_unescaped() {
        assert_eq!(read(&[r#"application/json;version="2""#]), named(2));
        assert_eq!(read(&[r#"application/json;version="v\2""#]), named(2));
        assert_eq!(
            read(&[r#"a/b;note=",c/d;version=9;x=";version=2"#]),
            named(2)
        );
        assert_eq!(
            read(&[r#"a/b;note="\",c/d;version=9";version=2"#]),
            named(2)
        );
    }

    #[test]
    fn what_parsers_read_differently_is_malformed() {
        for value in [
            r#"a/b;version="2"#,
            r#"a/b;version="2\"#,
            r#"a/b;version="2"3"#,
            r#"a/b;note="x"y;version=2"#,
            r#"a/b"c;version=2"#,
            r#"a/b;note= "x;version=2""#,
            "a/b;version",
            "a/b;version =2",
            "a/b;version= 2",
        ] {
            assert_eq!(read(&[value]), Err(AcceptError::Malformed), "{value}");
        }
    }

    #[test]
    fn ranges_must_agree() {
        assert_eq!(read(&["a/b;version=2, c/d;version=v2"]), named(2));
        for values in [
            &["a/b;version=2, c/d;version=3"][..],
            &["a/b;version=2", "a/b;version=3"],
            &["a/b;version=2;version=3"],
            &["a/b;version=2, c/d;version=latest"],
        ] {
            assert_eq!(read(values), Err(AcceptError::Different), "{values:?}");
        }
    }

    #[test]
    fn a_range_that_the_client_refuses_does_not_count() {
        assert_eq!(
            read(&["a/b;version=1;q=0, a/b;version=2;q=0.001"]),
            named(2)
        );
        assert_eq!(read(&["a/b;Q=0.000;version=1"]), Ok(None));
        // No weight, so nothing is refused.
        assert_eq!(read(&["a/b;version=1;q=0x"]), named(1));
    }

    #[test]
    fn a_value_that_is_no_version_is_kept_as_such() {
        for value in ["a/b;version=", "a/b;version=latest", "a/b;version=\"\""] {
            assert_eq!(read(&[value]), Ok(Some(Label::Unreadable)), "{value}");
        }
    }
}
