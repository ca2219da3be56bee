//! A serialized `google.protobuf.Struct` as a tree of JSON values.
//!
//! Stricter than protobuf, where the last of several wins: one value a field, each name once, no unknown fields.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Number;

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
pub(crate) fn to_json(bytes: &[u8], max_depth: usize) -> Result<Vec<u8>, ConfigError> {
    let mut text = Vec::with_capacity(bytes.len());
    object(bytes, &Place::Root, max_depth, &mut text)?;
    Ok(text)
}

fn object(
    bytes: &[u8],
    place: &Place<'_>,
    depth_left: usize,
    text: &mut Vec<u8>,
) -> Result<(), ConfigError> {
    let depth_left = deeper(depth_left)?;
    let mut fields = Wire { rest: bytes };
    let mut names = BTreeSet::new();
    text.push(b'{');
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
        if !names.is_empty() {
            text.push(b',');
        }
        if !names.insert(name) {
            return Err(ConfigError::new(&place.path(), "given twice"));
        }
        write(text, name, &place)?;
        text.push(b':');
        entry.tag(ENTRY_VALUE, &place)?;
        value(entry.bytes(&place)?, &place, depth_left, text)?;
        entry.end(&place)?;
    }
    text.push(b'}');
    Ok(())
}

fn list(
    bytes: &[u8],
    place: &Place<'_>,
    depth_left: usize,
    text: &mut Vec<u8>,
) -> Result<(), ConfigError> {
    let depth_left = deeper(depth_left)?;
    let mut items = Wire { rest: bytes };
    let mut count = 0_usize;
    text.push(b'[');
    while !items.is_empty() {
        let place = place.index(count);
        if count > 0 {
            text.push(b',');
        }
        items.tag(FIELD_1, &place)?;
        value(items.bytes(&place)?, &place, depth_left, text)?;
        count = count.saturating_add(1);
    }
    text.push(b']');
    Ok(())
}

fn value(
    bytes: &[u8],
    place: &Place<'_>,
    depth_left: usize,
    text: &mut Vec<u8>,
) -> Result<(), ConfigError> {
    let mut wire = Wire { rest: bytes };
    match wire.byte(place)? {
        NULL_VALUE if wire.byte(place)? == 0 => write(text, (), place)?,
        NUMBER_VALUE => write(text, double(wire.double(place)?, place)?, place)?,
        STRING_VALUE => write(text, wire.text(place)?, place)?,
        BOOL_VALUE => match wire.byte(place)? {
            0 => write(text, false, place)?,
            1 => write(text, true, place)?,
            _ => return Err(malformed(place)),
        },
        STRUCT_VALUE => object(wire.bytes(place)?, place, depth_left, text)?,
        LIST_VALUE => list(wire.bytes(place)?, place, depth_left, text)?,
        _ => return Err(malformed(place)),
    };
    wire.end(place)
}

fn write(text: &mut Vec<u8>, value: impl Serialize, place: &Place<'_>) -> Result<(), ConfigError> {
    serde_json::to_writer(text, &value).map_err(|_| malformed(place))
}

fn double(double: f64, place: &Place<'_>) -> Result<Number, ConfigError> {
    match number::whole(double) {
        Some(whole) => Ok(whole.into()),
        None => Number::from_f64(double)
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
