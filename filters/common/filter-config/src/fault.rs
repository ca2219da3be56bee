//! The deserializer's own error: a reason, and a place as soon as one is known.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::path::FieldPath;

/// What serde's visitors report. They do not know where they are, so what holds a value adds its place to a fault as it
/// passes by, from the inside out. A pointer, because the module has a copy of what moves it for each field.
#[derive(Debug)]
pub(crate) struct Fault(Box<Located>);

#[derive(Debug)]
struct Located {
    at: FieldPath,
    reason: String,
}

impl Fault {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Fault(Box::new(Located {
            at: FieldPath::root(),
            reason: reason.into(),
        }))
    }

    /// The same fault, in the member of this name.
    #[cold]
    #[inline(never)]
    pub(crate) fn in_field(mut self, name: &str) -> Self {
        self.0.at = FieldPath::root().field(name).join(&self.0.at);
        self
    }

    /// The same fault, in this item of a list.
    #[cold]
    #[inline(never)]
    pub(crate) fn in_item(mut self, index: usize) -> Self {
        self.0.at = FieldPath::root().index(index).join(&self.0.at);
        self
    }
}

impl Error for Fault {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Fault::new(reason.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::new(format!(
            "wrong type {}, expected {}",
            type_name(found),
            in_words(expected)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let problem = match found {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => {
                "out of range"
            }
            _ => "invalid value",
        };
        Fault::new(format!("{problem}, expected {}", in_words(expected)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Fault::new(format!(
            "expected {}, found {length} items",
            in_words(expected)
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        unknown("variant", variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        unknown("field", field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::new(format!("missing field {field}"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Fault::new(format!("field {field} is given twice"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.reason)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        ConfigError::new(&fault.0.at, fault.0.reason)
    }
}

fn unknown(what: &str, name: &str, expected: &'static [&'static str]) -> Fault {
    Fault::new(match (nearest(name, expected.iter().copied()), expected) {
        (Some(meant), _) => format!("unknown {what}, did you mean {meant}?"),
        (None, []) => format!("unknown {what}, none is allowed here"),
        (None, [only]) => format!("unknown {what}, expected {only}"),
        (None, names) => format!("unknown {what}, expected one of {}", names.join(", ")),
    })
}

/// The type in the words of a configuration's author, and nothing of the value.
fn type_name(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "list",
        Unexpected::Map => "object",
        _ => "value",
    }
}

/// What a visitor expects. The visitors of std and of derive speak of Rust types; a configuration's author does not.
fn in_words(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "u128" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        _ if text.starts_with("struct ") => "an object".to_owned(),
        _ => text,
    }
}
