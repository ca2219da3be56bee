//! Properties of the host that a limit reads.

use filter_config::{BoundedList, Text};
use serde::Deserialize;

/// The path of a property: `[connection, tls_version]`, `[metadata, filter_metadata, envoy.filters.http.jwt_authn, jwt_payload, sub]`.
/// A part may have dots in it, so it is a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "BoundedList<Text<256>, 1, 16>")]
pub struct Attribute(Vec<String>);

/// The values of properties, asked of the host for one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    asked: &'a [Attribute],
    values: &'a [Option<Vec<u8>>],
}

impl From<BoundedList<Text<256>, 1, 16>> for Attribute {
    fn from(path: BoundedList<Text<256>, 1, 16>) -> Attribute {
        let path = path.into_inner().into_iter();
        Attribute(path.map(Text::into_inner).collect())
    }
}

impl Attribute {
    /// The property of this path.
    pub(crate) fn of(path: &[&str]) -> Attribute {
        Attribute(path.iter().map(|part| (*part).to_owned()).collect())
    }

    /// The parts of the path.
    pub fn path(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

impl<'a> Attributes<'a> {
    /// Values in the order in which they were asked for.
    pub(crate) fn new(asked: &'a [Attribute], values: &'a [Option<Vec<u8>>]) -> Attributes<'a> {
        Attributes { asked, values }
    }

    pub(crate) fn get(&self, attribute: &Attribute) -> Option<&'a [u8]> {
        let index = self.asked.iter().position(|asked| asked == attribute)?;
        self.values.get(index)?.as_deref()
    }
}
