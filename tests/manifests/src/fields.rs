//! The names of all fields of a configuration, asked of its types.
//!
//! A derived `Deserialize` tells its deserializer the names of its fields. The one here writes them down and goes on into
//! one field at a time, until no type has a struct inside that it has not seen. So the list cannot differ from what is
//! read, as a list that somebody writes could.

use std::collections::VecDeque;
use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

/// Every field, at any depth: `api_keys`, `api_keys.keys`, `api_keys.keys[].id`. The members of a list are its `[]`, the
/// values of a map with free keys its `.*`. A struct that is inside itself is listed once on each way to it.
pub fn of<'de, T: Deserialize<'de>>() -> Vec<String> {
    let mut found = Vec::new();
    let mut ways = VecDeque::from([(Vec::new(), Vec::new())]);
    while let Some((way, mut structs)) = ways.pop_front() {
        let mut next = Next::Nothing;
        let probe = Probe {
            way: &way,
            next: &mut next,
        };
        // It always fails: it stops where there is something new, or where it has no value to give.
        let _ = T::deserialize(probe);
        let steps: Vec<Step> = match next {
            Next::Nothing => Vec::new(),
            // A struct inside itself has the same fields again, without end.
            Next::Fields(names) if structs.contains(&names.as_ptr()) => Vec::new(),
            Next::Fields(names) => {
                structs.push(names.as_ptr());
                names.iter().copied().map(Step::Field).collect()
            }
            Next::Items => vec![Step::Item],
            Next::Values => vec![Step::Value],
        };
        for step in steps {
            let mut way = way.clone();
            way.push(step);
            if matches!(step, Step::Field(_)) {
                found.push(display(&way));
            }
            ways.push_back((way, structs.clone()));
        }
    }
    found.sort();
    found
}

#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Item,
    Value,
}

fn display(way: &[Step]) -> String {
    let mut text = String::new();
    for step in way {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => {
                text.push('.');
                text.push_str(name);
            }
            Step::Item => text.push_str("[]"),
            Step::Value => text.push_str(".*"),
        }
    }
    text
}

/// What was found at the end of the way.
enum Next {
    Nothing,
    Fields(&'static [&'static str]),
    Items,
    Values,
}

/// A value that is asked for what it is, at the end of the way, and leads there before.
struct Probe<'p> {
    way: &'p [Step],
    next: &'p mut Next,
}

impl<'p> Probe<'p> {
    fn rest(self) -> Option<(Step, Probe<'p>)> {
        let (step, way) = self.way.split_first()?;
        Some((
            *step,
            Probe {
                way,
                next: self.next,
            },
        ))
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if self.way.is_empty() {
            *self.next = Next::Fields(fields);
            return Err(Stop);
        }
        match self.rest() {
            Some((Step::Field(name), probe)) => visitor.visit_map(One(Some((name, probe)))),
            _ => Err(Stop),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.way.is_empty() {
            *self.next = Next::Values;
            return Err(Stop);
        }
        match self.rest() {
            Some((Step::Value, probe)) => visitor.visit_map(One(Some(("key", probe)))),
            _ => Err(Stop),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.way.is_empty() {
            *self.next = Next::Items;
            return Err(Stop);
        }
        match self.rest() {
            Some((Step::Item, probe)) => visitor.visit_seq(One(Some(("", probe)))),
            _ => Err(Stop),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    // Everything else is a leaf.
    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

/// A map or list of the one member that the way leads through.
struct One<'p>(Option<(&'static str, Probe<'p>)>);

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        let Some((name, _)) = &self.0 else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Stop> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let (_, probe) = self.0.take().ok_or(Stop)?;
        seed.deserialize(probe)
    }
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        match self.0.take() {
            Some((_, probe)) => seed.deserialize(probe).map(Some),
            None => Ok(None),
        }
    }
}

/// The end of an attempt.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stop")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Stop
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use filter_config::{BoundedList, Text};

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Config {
        name: Text<8>,
        #[serde(rename = "type")]
        kind: Option<String>,
        rules: BoundedList<Rule, 0, 8>,
        labels: BTreeMap<String, Rule>,
        nested: Option<Nested>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Rule {
        path: String,
        inner: Option<Vec<Nested>>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Nested {
        leaf: u8,
        more: Option<Vec<Nested>>,
    }

    // A field that is not found here could be missing from a README.
    #[test]
    fn every_field_is_found_at_every_depth() {
        assert_eq!(
            of::<Config>(),
            [
                "labels",
                "labels.*.inner",
                "labels.*.inner[].leaf",
                "labels.*.inner[].more",
                "labels.*.path",
                "name",
                "nested",
                "nested.leaf",
                "nested.more",
                "rules",
                "rules[].inner",
                "rules[].inner[].leaf",
                "rules[].inner[].more",
                "rules[].path",
                "type",
            ]
        );
    }
}
