//! The items of a list.

use serde::de::{DeserializeSeed, SeqAccess};
use serde_json::Value;

use super::Node;
use crate::fault::Fault;

pub(super) struct Items {
    values: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    count: usize,
}

impl Items {
    pub(super) fn new(values: Vec<Value>) -> Self {
        let count = values.len();
        Items {
            values: values.into_iter().enumerate(),
            count,
        }
    }

    /// A tuple's visitor stops after its last item: what follows must not pass unread.
    #[inline(never)]
    pub(super) fn end(self) -> Result<(), Fault> {
        match self.values.len() {
            0 => Ok(()),
            left => {
                let expected = self.count.saturating_sub(left);
                Err(Fault::new(format!(
                    "expected {expected} items, found {}",
                    self.count
                )))
            }
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items {
    type Error = Fault;

    #[inline(never)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, value)) = self.values.next() else {
            return Ok(None);
        };
        match seed.deserialize(Node(value)) {
            Ok(item) => Ok(Some(item)),
            Err(fault) => Err(fault.in_item(index)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}
