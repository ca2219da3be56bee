//! A serialized `google.protobuf.Struct` as a tree of JSON values.
//!
//! Stricter than protobuf, where the last of several wins: one value a field, each name once, no unknown fields.

use serde_json::{Map, Number, Value};

use crate::error::ConfigError;
use crate::number;
use crate::path::FieldPath;
use crate::place::Place;

/// `Struct.fields`, `FieldsEntry.key` and `ListValue.values`: field 1, length-delimited.
const FIELD_1: u8 = 0x0a;
/// `FieldsEntry.value`: field 2, length-delimited.
const ENTRY_VALUE: u8 = 0x12;
/// The fields of `Value`, of which one is set.
const NULL_VALUE: u8 = 0x08;
const NUMBER_VALUE: u8 = 0x11;
const STRING_VALUE: u8 = 0x1a;
const BOOL_VALUE: u8 = 0x20;
const STRUCT_VALUE: u8 = 0x2a;
const LIST_VALUE: u8 = 0x32;

/// Whether the bytes can be a `Struct` and cannot be JSON.
///
/// A `Struct` that is not empty starts with the tag 0x0a, which in JSON is a line feed, and holds the tag 0x12, which
/// JSON allows nowhere, not even in a string.
pub(crate) fn is_likely(bytes: &[u8]) -> bool {
    bytes.first() == Some(&FIELD_1) && bytes.contains(&ENTRY_VALUE)
}

/// Reads the whole of `bytes` as a `Struct`. Whole numbers that a double holds exactly become integers.
pub(crate) fn decode(bytes: &[u8], max_depth: usize) -> Result<Value, ConfigError> {
    object(bytes, &Place::Root, max_depth)
}

fn object(bytes: &[u8], place: &Place<'_>, depth_left: usize) -> Result<Value, ConfigError> {
    let depth_left = deeper(depth_left)?;
    let mut fields = Wire { rest: bytes };
    let mut members = Map::new();
    while !fields.is_empty() {
        fields.tag(FIELD_1, place)?;
        let mut entry = Wire {
            rest: fields.bytes(place)?,
        };
        // An encoder may leave out the default, here the empty name.
        let name = if entry.rest.first() == Some(&FIELD_1) {
            entry.tag(FIELD_1, place)?;
            entry.text(place)?
        } else {
            ""
        };
        let place = place.field(name);
        if members.contains_key(name) {
            return Err(ConfigError::new(&place.path(), "given twice"));
        }
        entry.tag(ENTRY_VALUE, &place)?;
        let value = value(entry.bytes(&place)?, &place, depth_left)?;
        entry.end(&place)?;
        members.insert(name.to_owned(), value);
    }
    Ok(Value::Object(members))
}

fn list(bytes: &[u8], place: &Place<'_>, depth_left: usize) -> Result<Value, ConfigError> {
    let depth_left = deeper(depth_left)?;
    let mut items = Wire { rest: bytes };
    let mut values = Vec::new();
    while !items.is_empty() {
        let place = place.index(values.len());
        items.tag(FIELD_1, &place)?;
        values.push(value(items.bytes(&place)?, &place, depth_left)?);
    }
    Ok(Value::Array(values))
}

fn value(bytes: &[u8], place: &Place<'_>, depth_left: usize) -> Result<Value, ConfigError> {
    let mut wire = Wire { rest: bytes };
    let value = match wire.byte(place)? {
        NULL_VALUE if wire.byte(place)? == 0 => Value::Null,
        NUMBER_VALUE => double(wire.double(place)?, place)?,
        STRING_VALUE => Value::String(wire.text(place)?.to_owned()),
        BOOL_VALUE => match wire.byte(place)? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(malformed(place)),
        },
        STRUCT_VALUE => object(wire.bytes(place)?, place, depth_left)?,
        LIST_VALUE => list(wire.bytes(place)?, place, depth_left)?,
        _ => return Err(malformed(place)),
    };
    wire.end(place)?;
    Ok(value)
}

fn double(double: f64, place: &Place<'_>) -> Result<Value, ConfigError> {
    match number::whole(double) {
        Some(whole) => Ok(Value::Number(whole.into())),
        None => Number::from_f64(double)
            .map(Value::Number)
            .ok_or_else(|| ConfigError::new(&place.path(), "number is not finite")),
    }
}

fn deeper(depth_left: usize) -> Result<usize, ConfigError> {
    depth_left.checked_sub(1).ok_or_else(|| {
        ConfigError::new(
            &FieldPath::root(),
            format!("nested deeper than {} levels", crate::MAX_DEPTH),
        )
    })
}

fn malformed(place: &Place<'_>) -> ConfigError {
    ConfigError::new(&place.path(), "not a well-formed google.protobuf.Struct")
}

/// What is left of a message.
struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn end(&self, place: &Place<'_>) -> Result<(), ConfigError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(malformed(place))
        }
    }

    fn byte(&mut self, place: &Place<'_>) -> Result<u8, ConfigError> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| malformed(place))?;
        self.rest = rest;
        Ok(*first)
    }

    fn tag(&mut self, tag: u8, place: &Place<'_>) -> Result<(), ConfigError> {
        if self.byte(place)? == tag {
            Ok(())
        } else {
            Err(malformed(place))
        }
    }

    fn double(&mut self, place: &Place<'_>) -> Result<f64, ConfigError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| malformed(place))?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self, place: &Place<'_>) -> Result<&'a [u8], ConfigError> {
        let mut length: usize = 0;
        // Four bytes of seven bits count to 256 MiB, far above the cap on a configuration.
        for shift in [0, 7, 14, 21] {
            let byte = self.byte(place)?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (bytes, rest) = self
                    .rest
                    .split_at_checked(length)
                    .ok_or_else(|| malformed(place))?;
                self.rest = rest;
                return Ok(bytes);
            }
        }
        Err(malformed(place))
    }

    fn text(&mut self, place: &Place<'_>) -> Result<&'a str, ConfigError> {
        std::str::from_utf8(self.bytes(place)?).map_err(|_| malformed(place))
    }
}

#[cfg(test)]
mod tests;
