//! The items of a list.

use serde::de::{DeserializeSeed, SeqAccess};

use super::Node;
use crate::fault::Fault;
use crate::json_text::{JsonText, Parts};

pub(super) struct Items<'t> {
    values: Parts<'t>,
    count: usize,
    /// How many are read.
    read: usize,
}

impl<'t> Items<'t> {
    #[inline(never)]
    pub(super) fn new(list: JsonText<'t>) -> Self {
        Items {
            values: list.parts(),
            count: list.parts().count(),
            read: 0,
        }
    }

    /// A tuple's visitor stops after its last item: what follows must not pass unread.
    #[inline(never)]
    pub(super) fn end(self) -> Result<(), Fault> {
        match self.read == self.count {
            true => Ok(()),
            false => Err(Fault::new(format!(
                "expected {} items, found {}",
                self.read, self.count
            ))),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_> {
    type Error = Fault;

    #[inline(never)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(value) = self.values.next() else {
            return Ok(None);
        };
        let index = self.read;
        self.read = index.saturating_add(1);
        match seed.deserialize(Node(value)) {
            Ok(item) => Ok(Some(item)),
            Err(fault) => Err(fault.in_item(index)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count.saturating_sub(self.read))
    }
}
