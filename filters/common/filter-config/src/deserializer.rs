//! serde's deserializer over a JSON text that was found good, and that knows where it is.

mod choice;
mod entries;
mod items;
mod key;

use serde::de::{Error, Expected, Unexpected, Visitor};
use serde_json::Number;

use crate::fault::Fault;
use crate::json_text::{JsonText, Kind};
use crate::number;
use choice::Choice;
use entries::Entries;
use items::Items;

/// A value. Its place is added to a fault by what holds it, as the fault passes by.
pub(crate) struct Node<'t>(pub(crate) JsonText<'t>);

impl Node<'_> {
    /// Hands the visitor what is there; a visitor refuses the types that it does not take.
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool => visitor.visit_bool(self.0.is_true()),
            Kind::Number => visit_number(&number(self.0)?, visitor),
            Kind::String => visitor.visit_string(self.0.text()),
            Kind::List => visit_items(self.0, visitor),
            Kind::Object => visit_members(self.0, visitor),
        }
    }

    /// As [`visit`](Self::visit), where a whole number is wanted: `1.0` is one.
    fn visit_whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.kind() {
            Kind::Number => visit_number(&whole(self.0)?, visitor),
            other => Err(invalid_type(other, &visitor)),
        }
    }
}

#[inline(never)]
fn number(text: JsonText<'_>) -> Result<Number, Fault> {
    text.number()
        .ok_or_else(|| Fault::new("number out of range"))
}

#[inline(never)]
fn whole(text: JsonText<'_>) -> Result<Number, Fault> {
    let number = number(text)?;
    let whole = number.as_f64().filter(|_| number.is_f64());
    Ok(match whole.and_then(number::whole) {
        Some(whole) => Number::from(whole),
        None => number,
    })
}

fn visit_items<'de, V: Visitor<'de>>(list: JsonText<'_>, visitor: V) -> Result<V::Value, Fault> {
    let mut items = Items::new(list);
    let visited = visitor.visit_seq(&mut items)?;
    items.end()?;
    Ok(visited)
}

fn visit_members<'de, V: Visitor<'de>>(
    object: JsonText<'_>,
    visitor: V,
) -> Result<V::Value, Fault> {
    let mut entries = Entries::new(object);
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

#[inline(never)]
fn invalid_type(found: Kind, expected: &dyn Expected) -> Fault {
    Fault::invalid_type(unexpected(found), expected)
}

/// The type of a value as serde names it, without the value.
fn unexpected(kind: Kind) -> Unexpected<'static> {
    match kind {
        Kind::Null => Unexpected::Unit,
        Kind::Bool => Unexpected::Bool(true),
        Kind::Number => Unexpected::Unsigned(0),
        Kind::String => Unexpected::Str(""),
        Kind::List => Unexpected::Seq,
        Kind::Object => Unexpected::Map,
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.visit_whole(visitor)
        })*
    };
}

// Each type that a visitor takes is handed over by the method for it alone. To let every visitor see every type would put
// a copy of its refusals, and of a derived struct's way of reading a list, into the modules for each type of a field.
impl<'de> serde::Deserializer<'de> for Node<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.kind() {
            Kind::Bool => visitor.visit_bool(self.0.is_true()),
            other => Err(invalid_type(other, &visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.kind() {
            Kind::String => visitor.visit_string(self.0.text()),
            other => Err(invalid_type(other, &visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.kind() {
            Kind::List => visit_items(self.0, visitor),
            other => Err(invalid_type(other, &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.kind() {
            Kind::Object => visit_members(self.0, visitor),
            other => Err(invalid_type(other, &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.kind() == Kind::Null {
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

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Choice::new(self.0, variants)?)
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char bytes byte_buf unit unit_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests;
