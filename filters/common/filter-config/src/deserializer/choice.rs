//! One of several: `mode: shadow` or `path: { exact: /a }`.

use serde::de::{DeserializeSeed, EnumAccess, Error, VariantAccess, Visitor};
use serde_json::Value;

use super::Node;
use super::key::Key;
use crate::fault::Fault;
use crate::place::Place;

/// A variant by its name, with its value if it is written as an object of one member.
pub(super) struct Choice<'p> {
    name: String,
    value: Option<Value>,
    place: &'p Place<'p>,
}

impl<'p> Choice<'p> {
    pub(super) fn new(
        value: Value,
        place: &'p Place<'p>,
        variants: &[&str],
    ) -> Result<Self, Fault> {
        match value {
            Value::String(name) => Ok(Choice {
                name,
                value: None,
                place,
            }),
            Value::Object(members) => {
                let count = members.len();
                let mut members = members.into_iter();
                match (members.next(), count) {
                    (Some((name, value)), 1) => Ok(Choice {
                        name,
                        value: Some(value),
                        place,
                    }),
                    _ => Err(Fault::new(format!(
                        "expected exactly one of {}, found {count}",
                        variants.join(", ")
                    ))),
                }
            }
            other => Err(Fault::invalid_type(
                super::unexpected(&other),
                &OneOf(variants),
            )),
        }
    }
}

/// The names to choose from.
struct OneOf<'a>(&'a [&'a str]);

impl serde::de::Expected for OneOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "one of {}", self.0.join(", "))
    }
}

impl<'de, 'p> EnumAccess<'de> for Choice<'p> {
    type Error = Fault;
    type Variant = Chosen<'p>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Chosen<'p>), Fault> {
        let variant = seed
            .deserialize(Key(&self.name))
            .map_err(|fault| match self.value {
                // The name may be a value in the wrong place, so the path ends before it.
                None => fault.at(self.place),
                Some(_) => fault.at(&self.place.field(&self.name)),
            })?;
        Ok((variant, Chosen(self)))
    }
}

/// The variant is known; what it holds is still to be read.
pub(super) struct Chosen<'p>(Choice<'p>);

impl Chosen<'_> {
    fn read<T>(self, read: impl FnOnce(Node<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let Choice { name, value, place } = self.0;
        let Some(value) = value else {
            return Err(Fault::new(
                "this variant needs a value, write it as an object with one member",
            )
            .at(place));
        };
        let place = place.field(&name);
        read(Node::new(value, &place)).map_err(|fault| fault.at(&place))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.0.value {
            None => Ok(()),
            Some(_) => Err(
                Fault::new("this variant has no value, write it as a string")
                    .at(&self.0.place.field(&self.0.name)),
            ),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.read(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.read(|node| serde::Deserializer::deserialize_seq(node, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(|node| serde::Deserializer::deserialize_struct(node, "", fields, visitor))
    }
}

/// A member's name as a variant: nothing can follow it.
pub(super) struct NoValue;

impl<'de> VariantAccess<'de> for NoValue {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(needs_a_value())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(needs_a_value())
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(needs_a_value())
    }
}

fn needs_a_value() -> Fault {
    Fault::new("a name cannot hold a variant with a value")
}
