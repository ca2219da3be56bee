//! From the bytes that the host hands over to a typed value.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::deserializer::Node;
use crate::error::ConfigError;
use crate::json_text::JsonText;
use crate::path::FieldPath;
use crate::protobuf_struct;
use crate::strict_json::{self, Limits};

/// The largest configuration in bytes: 4 MiB.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How deep objects and lists may nest.
pub const MAX_DEPTH: usize = 64;

/// Reads a configuration: JSON, or a serialized `google.protobuf.Struct`, which stock Envoy hands over where its own
/// configuration holds a `Struct`.
///
/// The two cannot be confused: a `Struct` that is not empty starts with byte 0x0a and holds a byte 0x12, which JSON
/// allows nowhere.
///
/// # Errors
///
/// Too large, too deep, not JSON, a member given twice, or what `T` refuses, with the field's path.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ConfigError> {
    let root = FieldPath::root();
    if bytes.is_empty() {
        return Err(ConfigError::new(
            &root,
            "the configuration is empty, expected an object",
        ));
    }
    if bytes.len() > MAX_BYTES {
        return Err(ConfigError::new(
            &root,
            format!("the configuration is larger than {MAX_BYTES} bytes"),
        ));
    }
    if protobuf_struct::is_likely(bytes) {
        return read(&protobuf_struct::to_json(bytes, MAX_DEPTH)?);
    }
    let limits = Limits {
        max_depth: MAX_DEPTH,
        max_bytes: MAX_BYTES,
    };
    strict_json::check(bytes, limits)?;
    read(bytes)
}

/// Reads a typed value from a tree, with the same strictness and errors as [`parse`].
///
/// The tree's depth is the caller's to bound.
///
/// # Errors
///
/// What `T` refuses, with the field's path.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ConfigError> {
    read(value.to_string().as_bytes())
}

/// Reads a text that is known to be good, in place: a tree of it would take several times its size, which a VM never gives back.
fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, ConfigError> {
    T::deserialize(Node(JsonText::new(text))).map_err(ConfigError::from)
}

#[cfg(test)]
mod tests;
