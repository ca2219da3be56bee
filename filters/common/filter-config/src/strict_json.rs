//! JSON (RFC 8259), read so that no two readers can disagree: for configurations and for JOSE alike.
//!
//! Refused beside what RFC 8259 refuses: a byte order mark, a member given twice (compared after unescaping), a lone
//! surrogate, a number that overflows a double, and more depth or bytes than the caller allows. Numbers are the tree's:
//! 64-bit integers are exact, others become doubles.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::ConfigError;
use crate::path::FieldPath;
use crate::place::Place;

/// The deepest that [`Limits::max_depth`] can allow: serde_json itself refuses level 128.
const DEPTH_CEILING: usize = 126;

/// How large a text may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How deep objects and lists may nest; the outermost is level 1. More than 126 is taken as 126.
    pub max_depth: usize,
    /// How many bytes the text may have.
    pub max_bytes: usize,
}

/// Why a text is refused. Quotes nothing of it but the names of members on a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrictJsonError {
    /// More bytes than allowed.
    #[error("larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// Nested deeper than allowed.
    #[error("nested deeper than {max_depth} levels")]
    TooDeep {
        /// The limit.
        max_depth: usize,
    },
    /// An object has two members of one name.
    #[error("{path}: given twice")]
    Duplicate {
        /// The member.
        path: FieldPath,
    },
    /// Not JSON.
    #[error("not valid JSON: {reason}")]
    Syntax {
        /// What the parser expected, and the line and column where.
        reason: String,
    },
}

impl From<StrictJsonError> for ConfigError {
    fn from(error: StrictJsonError) -> Self {
        match error {
            StrictJsonError::Duplicate { path } => ConfigError::new(&path, "given twice"),
            other => ConfigError::new(&FieldPath::root(), other.to_string()),
        }
    }
}

/// Reads one JSON text and nothing behind it.
///
/// # Errors
///
/// See [`StrictJsonError`].
pub fn from_slice(bytes: &[u8], limits: Limits) -> Result<Value, StrictJsonError> {
    walk(bytes, limits, true)
}

/// As [`from_slice`], and keeps nothing of it: whether it can be read.
///
/// # Errors
///
/// See [`StrictJsonError`].
pub fn check(bytes: &[u8], limits: Limits) -> Result<(), StrictJsonError> {
    walk(bytes, limits, false).map(drop)
}

fn walk(bytes: &[u8], limits: Limits, keeps: bool) -> Result<Value, StrictJsonError> {
    if bytes.len() > limits.max_bytes {
        return Err(StrictJsonError::TooLarge {
            max_bytes: limits.max_bytes,
        });
    }
    let max_depth = limits.max_depth.min(DEPTH_CEILING);
    let refusal = Cell::new(None);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let tree = Tree {
        place: &Place::Root,
        depth_left: max_depth,
        refusal: &refusal,
        keeps,
    };
    tree.deserialize(&mut json)
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| {
            match refusal.take() {
                Some(Refusal::Duplicate(path)) => StrictJsonError::Duplicate { path },
                Some(Refusal::TooDeep) => StrictJsonError::TooDeep { max_depth },
                // serde_json's syntax errors name what was expected, the line and the column, never the text.
                None => StrictJsonError::Syntax {
                    reason: error.to_string(),
                },
            }
        })
}

/// What this module refuses, beside what serde_json does.
enum Refusal {
    Duplicate(FieldPath),
    TooDeep,
}

/// Builds one value of the tree.
///
/// serde_json's error carries text only, so a refusal of ours goes out by a cell beside it.
#[derive(Clone, Copy)]
struct Tree<'a> {
    place: &'a Place<'a>,
    depth_left: usize,
    refusal: &'a Cell<Option<Refusal>>,
    /// Whether the values are wanted; null stands for each otherwise.
    keeps: bool,
}

impl<'a> Tree<'a> {
    fn refuse<E: Error>(self, refusal: Refusal) -> E {
        self.refusal.set(Some(refusal));
        E::custom("refused")
    }

    fn deeper<E: Error>(self) -> Result<Tree<'a>, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Tree { depth_left, ..self }),
            None => Err(self.refuse(Refusal::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(match self.keeps {
            true => Value::String(value.to_owned()),
            false => Value::Null,
        })
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        for index in 0_usize.. {
            let place = self.place.index(index);
            match items.next_element_seed(Tree {
                place: &place,
                ..inner
            })? {
                Some(value) if self.keeps => values.push(value),
                Some(_) => {}
                None => break,
            }
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let place = self.place.field(&name);
            if members.contains_key(&name) {
                return Err(self.refuse(Refusal::Duplicate(place.path())));
            }
            let value = entries.next_value_seed(Tree {
                place: &place,
                ..inner
            })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
pub(crate) mod tests;
