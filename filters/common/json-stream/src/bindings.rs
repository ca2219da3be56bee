//! What of a program depends on the message that it is run on.

use serde_json::Value;

/// The place of a value in [`Bindings`]: an operation that names one writes what the message has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub usize);

/// What an operation writes: JSON text, or the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// The same in every message.
    Json(Vec<u8>),
    /// What the message has in this slot.
    Slot(Slot),
}

/// The values of a message, and those of the operations that are not for it. The default is no value, and every operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    texts: Vec<Vec<u8>>,
    /// A bit for each operation that is left out.
    left_out: u64,
}

impl Bindings {
    /// The value of each slot, in order. A slot without one is `null`.
    pub fn new(values: impl IntoIterator<Item = Value>) -> Bindings {
        let texts = values.into_iter().map(|value| json(&value));
        Bindings {
            texts: texts.collect(),
            left_out: 0,
        }
    }

    /// Leaves out an operation, by its place in the program's list: it is as if it were not there.
    pub fn leave_out(&mut self, operation: usize) {
        self.left_out |= bit(operation);
    }

    pub(crate) fn leaves_out(&self, operation: usize) -> bool {
        self.left_out & bit(operation) != 0
    }

    /// What the values take, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let texts = self.texts.iter().map(Vec::capacity);
        texts.fold(0, usize::saturating_add)
    }

    /// The JSON text that an operation writes in this message.
    pub(crate) fn text<'a>(&'a self, text: &'a Text) -> &'a [u8] {
        match text {
            Text::Json(text) => text,
            Text::Slot(Slot(slot)) => self.texts.get(*slot).map_or(b"null", Vec::as_slice),
        }
    }
}

/// A program has 64 operations at most.
fn bit(operation: usize) -> u64 {
    let shift = u32::try_from(operation).unwrap_or(u32::MAX);
    1_u64.checked_shl(shift).unwrap_or_default()
}

pub(crate) fn json(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

impl From<&Value> for Text {
    fn from(value: &Value) -> Text {
        Text::Json(json(value))
    }
}

/// A JSON string.
impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::from(&Value::from(text))
    }
}

impl From<Slot> for Text {
    fn from(slot: Slot) -> Text {
        Text::Slot(slot)
    }
}
