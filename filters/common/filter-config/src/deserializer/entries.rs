//! The members of an object.

use serde::de::{DeserializeSeed, MapAccess};
use serde_json::{Map, Value};

use super::Node;
use super::key::Key;
use crate::fault::Fault;
use crate::place::Place;

pub(super) struct Entries<'p> {
    members: serde_json::map::IntoIter,
    current: Option<(String, Value)>,
    place: &'p Place<'p>,
}

impl<'p> Entries<'p> {
    pub(super) fn new(members: Map<String, Value>, place: &'p Place<'p>) -> Self {
        Entries {
            members: members.into_iter(),
            current: None,
            place,
        }
    }

    /// A visitor that stops early must not leave members unread.
    pub(super) fn end(mut self) -> Result<(), Fault> {
        match self.current.or_else(|| self.members.next()) {
            None => Ok(()),
            Some((name, _)) => Err(Fault::new("unknown field").at(&self.place.field(&name))),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.current = self.members.next();
        let Some((name, _)) = &self.current else {
            return Ok(None);
        };
        seed.deserialize(Key(name))
            .map(Some)
            .map_err(|fault| fault.at(&self.place.field(name)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        // serde asks for a key first; a visitor that does not is at fault, not the configuration.
        let (name, value) = self
            .current
            .take()
            .ok_or_else(|| Fault::new("value read before its name"))?;
        let place = self.place.field(&name);
        seed.deserialize(Node::new(value, &place))
            .map_err(|fault| fault.at(&place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}
