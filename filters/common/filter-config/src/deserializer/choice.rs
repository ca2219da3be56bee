//! One of several: `mode: shadow` or `path: { exact: /a }`.

use serde::de::{DeserializeSeed, EnumAccess, Error, VariantAccess, Visitor};

use super::Node;
use super::key::Key;
use crate::fault::Fault;
use crate::json_text::{JsonText, Kind};

/// A variant by its name, with its value if it is written as an object of one member.
pub(super) struct Choice<'t> {
    name: String,
    value: Option<JsonText<'t>>,
}

impl<'t> Choice<'t> {
    #[inline(never)]
    pub(super) fn new(value: JsonText<'t>, variants: &[&str]) -> Result<Self, Fault> {
        match value.kind() {
            Kind::String => Ok(Choice {
                name: value.text(),
                value: None,
            }),
            Kind::Object => {
                let members = value.members();
                let count = members.len();
                match (members.into_iter().next(), count) {
                    (Some((name, value)), 1) => Ok(Choice {
                        name: name.into_owned(),
                        value: Some(value),
                    }),
                    _ => Err(Fault::new(format!(
                        "expected exactly one of {}, found {count}",
                        variants.join(", ")
                    ))),
                }
            }
            other => Err(Fault::invalid_type(
                super::unexpected(other),
                &OneOf(variants),
            )),
        }
    }

    /// The value that a variant needs, and the name to report its faults under.
    #[inline(never)]
    fn needed(self) -> Result<(String, JsonText<'t>), Fault> {
        match self.value {
            Some(value) => Ok((self.name, value)),
            None => Err(Fault::new(
                "this variant needs a value, write it as an object with one member",
            )),
        }
    }

    #[inline(never)]
    fn unneeded(self) -> Result<(), Fault> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(
                Fault::new("this variant has no value, write it as a string").in_field(&self.name),
            ),
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

impl<'de, 't> EnumAccess<'de> for Choice<'t> {
    type Error = Fault;
    type Variant = Chosen<'t>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Chosen<'t>), Fault> {
        match seed.deserialize(Key(&self.name)) {
            Ok(variant) => Ok((variant, Chosen(self))),
            // A name without a value may be a value in the wrong place, so the path ends before it.
            Err(fault) if self.value.is_none() => Err(fault),
            Err(fault) => Err(fault.in_field(&self.name)),
        }
    }
}

/// The variant is known; what it holds is still to be read.
pub(super) struct Chosen<'t>(Choice<'t>);

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.0.unneeded()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let (name, value) = self.0.needed()?;
        seed.deserialize(Node(value))
            .map_err(|fault| fault.in_field(&name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        let (name, value) = self.0.needed()?;
        serde::Deserializer::deserialize_seq(Node(value), visitor)
            .map_err(|fault| fault.in_field(&name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (name, value) = self.0.needed()?;
        serde::Deserializer::deserialize_struct(Node(value), "", fields, visitor)
            .map_err(|fault| fault.in_field(&name))
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
