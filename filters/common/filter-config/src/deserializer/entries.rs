//! The members of an object.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, MapAccess};

use super::Node;
use super::key::Key;
use crate::fault::Fault;
use crate::json_text::JsonText;

/// A name and its value.
type Member<'t> = (Cow<'t, str>, JsonText<'t>);

pub(super) struct Entries<'t> {
    members: std::vec::IntoIter<Member<'t>>,
    /// Of the member that is read. It stays here: the module has a copy of what moves it for each type of a field.
    name: Cow<'t, str>,
    value: Option<JsonText<'t>>,
}

impl<'t> Entries<'t> {
    #[inline(never)]
    pub(super) fn new(object: JsonText<'t>) -> Self {
        Entries {
            members: object.members().into_iter(),
            name: Cow::Borrowed(""),
            value: None,
        }
    }

    /// A visitor that stops early must not leave members unread.
    #[inline(never)]
    pub(super) fn end(mut self) -> Result<(), Fault> {
        match self.value.is_some() || self.advance() {
            false => Ok(()),
            true => Err(self.fault(Fault::new("unknown field"))),
        }
    }

    #[inline(never)]
    fn advance(&mut self) -> bool {
        let Some((name, value)) = self.members.next() else {
            return false;
        };
        self.name = name;
        self.value = Some(value);
        true
    }

    #[inline(never)]
    fn take(&mut self) -> Result<JsonText<'t>, Fault> {
        // serde asks for a key first; a visitor that does not is at fault, not the configuration.
        self.value
            .take()
            .ok_or_else(|| Fault::new("value read before its name"))
    }

    #[cold]
    #[inline(never)]
    fn fault(&self, fault: Fault) -> Fault {
        fault.in_field(&self.name)
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        if !self.advance() {
            return Ok(None);
        }
        match seed.deserialize(Key(&self.name)) {
            Ok(key) => Ok(Some(key)),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    #[inline(never)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match seed.deserialize(Node(self.take()?)) {
            Ok(value) => Ok(value),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}
