//! serde's deserializer over a tree of JSON values that knows where it is.

mod choice;
mod entries;
mod items;
mod key;

use serde::de::{Error, Unexpected, Visitor};
use serde_json::{Map, Number, Value};

use crate::fault::Fault;
use crate::number;
use crate::place::Place;
use choice::Choice;
use entries::Entries;
use items::Items;

/// A value and its place.
pub(crate) struct Node<'p> {
    value: Value,
    place: &'p Place<'p>,
}

impl<'p> Node<'p> {
    pub(crate) fn new(value: Value, place: &'p Place<'p>) -> Self {
        Node { value, place }
    }

    /// Hands the visitor what is there; a visitor refuses the types that it does not take.
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => visit_number(&number, visitor),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(values) => {
                let mut items = Items::new(values, self.place);
                let visited = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(visited)
            }
            Value::Object(members) => visit_members(members, self.place, visitor),
        }
    }

    /// As [`visit`](Self::visit), where a whole number is wanted: `1.0` is one.
    fn visit_whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let whole = match &self.value {
            Value::Number(number) if number.is_f64() => number.as_f64().and_then(number::whole),
            _ => None,
        };
        match whole {
            Some(whole) => visit_number(&Number::from(whole), visitor),
            None => self.visit(visitor),
        }
    }

    fn is_null(&self) -> bool {
        self.value.is_null()
    }
}

fn visit_members<'de, V: Visitor<'de>>(
    members: Map<String, Value>,
    place: &Place<'_>,
    visitor: V,
) -> Result<V::Value, Fault> {
    let mut entries = Entries::new(members, place);
    let visited = visitor.visit_map(&mut entries)?;
    entries.end()?;
    Ok(visited)
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Fault> {
    if let Some(unsigned) = number.as_u64() {
        visitor.visit_u64(unsigned)
    } else if let Some(signed) = number.as_i64() {
        visitor.visit_i64(signed)
    } else if let Some(double) = number.as_f64() {
        visitor.visit_f64(double)
    } else {
        Err(Fault::new("number out of range"))
    }
}

/// The type of a value as serde names it, without the value.
fn unexpected(value: &Value) -> Unexpected<'static> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(_) => Unexpected::Unsigned(0),
        Value::String(_) => Unexpected::Str(""),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.visit_whole(visitor)
        })*
    };
}

impl<'de> serde::Deserializer<'de> for Node<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() {
            return Err(Fault::new("null is not a value, leave the field out"));
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        // A derived struct would take a list too, its fields by position. Not to name that way of reading it here keeps
        // it out of the modules, a second copy of every struct's code.
        match self.value {
            Value::Object(members) => visit_members(members, self.place, visitor),
            other => Err(Fault::invalid_type(unexpected(&other), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Choice::new(self.value, self.place, variants)?)
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests;
