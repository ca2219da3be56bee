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
    current: Option<Member<'t>>,
}

impl<'t> Entries<'t> {
    #[inline(never)]
    pub(super) fn new(object: JsonText<'t>) -> Self {
        Entries {
            members: object.members().into_iter(),
            current: None,
        }
    }

    /// A visitor that stops early must not leave members unread.
    #[inline(never)]
    pub(super) fn end(mut self) -> Result<(), Fault> {
        match self.current.take().or_else(|| self.members.next()) {
            None => Ok(()),
            Some((name, _)) => Err(Fault::new("unknown field").in_field(&name)),
        }
    }

    #[inline(never)]
    fn advance(&mut self) -> bool {
        self.current = self.members.next();
        self.current.is_some()
    }

    #[inline(never)]
    fn take(&mut self) -> Result<Member<'t>, Fault> {
        // serde asks for a key first; a visitor that does not is at fault, not the configuration.
        self.current
            .take()
            .ok_or_else(|| Fault::new("value read before its name"))
    }

    fn name(&self) -> &str {
        self.current.as_ref().map_or("", |(name, _)| name)
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
        match seed.deserialize(Key(self.name())) {
            Ok(key) => Ok(Some(key)),
            Err(fault) => Err(fault.in_field(self.name())),
        }
    }

    #[inline(never)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.take()?;
        seed.deserialize(Node(value))
            .map_err(|fault| fault.in_field(&name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}
