//! The items of a list.

use serde::de::{DeserializeSeed, SeqAccess};
use serde_json::Value;

use super::Node;
use crate::fault::Fault;
use crate::place::Place;

pub(super) struct Items<'p> {
    values: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    place: &'p Place<'p>,
    count: usize,
}

impl<'p> Items<'p> {
    pub(super) fn new(values: Vec<Value>, place: &'p Place<'p>) -> Self {
        let count = values.len();
        Items {
            values: values.into_iter().enumerate(),
            place,
            count,
        }
    }

    /// A tuple's visitor stops after its last item: what follows must not pass unread.
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

impl<'de> SeqAccess<'de> for &mut Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, value)) = self.values.next() else {
            return Ok(None);
        };
        let place = self.place.index(index);
        seed.deserialize(Node::new(value, &place))
            .map(Some)
            .map_err(|fault| fault.at(&place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}
