//! A value that is read for what goes out in its place.

use hmac_sha256::HMAC;

use super::number::Number;
use super::string::InString;
use super::unescape::Unescape;
use crate::bindings::Bindings;
use crate::operation::{Change, Kind};

/// A value under way, as much of it as its operation needs.
pub(super) struct ValueText {
    shape: Shape,
    unescape: Unescape,
    need: Need,
}

/// What an operation needs of a value.
enum Need {
    /// The last characters, of which so many may be shown.
    Tail {
        shown: usize,
        length: usize,
        last: Vec<u8>,
    },
    /// A hash of all of it.
    Hash(Box<HMAC>),
    /// All of it, if it is short. What it is to become.
    Whole { text: Vec<u8>, to: Kind },
}

/// What the value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// An object or array.
    Container,
    String,
    Number,
    /// `true`, `false`, `null`.
    Literal,
}

impl Shape {
    /// That of the value with this first byte.
    pub(super) fn of(byte: u8) -> Shape {
        match byte {
            b'{' | b'[' => Shape::Container,
            b'"' => Shape::String,
            b't' | b'f' | b'n' => Shape::Literal,
            _ => Shape::Number,
        }
    }
}

impl ValueText {
    /// The longest string that becomes something else, its escapes read, in bytes.
    pub(super) const MAX_WHOLE: usize = 64;

    /// What the change needs, if it needs anything of the value.
    pub(super) fn new(change: &Change, shape: Shape) -> Option<ValueText> {
        let need = match change {
            Change::KeepLast { shown, .. } => Need::Tail {
                shown: *shown,
                length: 0,
                last: Vec::new(),
            },
            Change::Hash(key) => Need::Hash(Box::new(HMAC::new(key.bytes()))),
            Change::Convert(to) => Need::Whole {
                text: Vec::new(),
                to: *to,
            },
            _ => return None,
        };
        Some(ValueText {
            shape,
            unescape: Unescape::default(),
            need,
        })
    }

    /// More text of a string that stands for itself.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.read(|unescape, out| unescape.text(text, out));
    }

    /// A byte of a string, which was read at this place in it.
    pub(super) fn byte(&mut self, byte: u8, place: InString) {
        self.read(|unescape, out| unescape.byte(byte, place, out));
    }

    /// The string is over.
    pub(super) fn end(&mut self) {
        self.read(Unescape::end);
    }

    /// More of a value that is no string, as it is written.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        let is_number = self.shape == Shape::Number;
        match &mut self.need {
            Need::Tail { .. } if is_number => {
                for digit in bytes.iter().filter(|byte| byte.is_ascii_digit()) {
                    self.need.push(&[*digit]);
                }
            }
            // Nothing of it is shown.
            Need::Tail { .. } => {}
            need => need.push(bytes),
        }
    }

    /// Whether it has turned out to be none that can be converted.
    pub(super) fn is_beyond(&self) -> bool {
        match &self.need {
            Need::Whole { text, .. } => {
                text.len() > Self::MAX_WHOLE || self.unescape.has_half_a_pair
            }
            _ => false,
        }
    }

    /// What goes out in its place; nothing, if it stays.
    pub(super) fn finish(&self, change: Option<&Change>, bindings: &Bindings) -> Option<Vec<u8>> {
        match &self.need {
            Need::Tail {
                shown,
                length,
                last,
            } => {
                let Some(Change::KeepLast { with, .. }) = change else {
                    return None;
                };
                let with = bindings.text(with);
                // Of a value that is shorter than twice what is shown, most would be.
                let shown = if *length >= shown.saturating_mul(2) {
                    *shown
                } else {
                    0
                };
                Some(with_tail(with, last, shown))
            }
            Need::Hash(hash) => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digit = |digit: u8| DIGITS.get(usize::from(digit)).copied();
                let bytes = HMAC::clone(hash).finalize();
                let hex = bytes
                    .iter()
                    .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
                let quote = || std::iter::once(Some(b'"'));
                Some(quote().chain(hex).chain(quote()).flatten().collect())
            }
            Need::Whole { text, to } => {
                let fits = match to {
                    Kind::String => false,
                    Kind::Number => Number::is_all_of(text),
                    Kind::Boolean => matches!(text.as_slice(), b"true" | b"false"),
                };
                (fits && !self.is_beyond()).then(|| text.clone())
            }
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        size_of::<ValueText>().saturating_add(match &self.need {
            Need::Tail { last, .. } => last.capacity(),
            Need::Hash(_) => size_of::<HMAC>(),
            Need::Whole { text, .. } => text.capacity(),
        })
    }

    fn read(&mut self, read: impl FnOnce(&mut Unescape, &mut dyn FnMut(&[u8]))) {
        let need = &mut self.need;
        read(&mut self.unescape, &mut |bytes: &[u8]| need.push(bytes));
    }
}

impl Need {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Need::Hash(hash) => hash.update(bytes),
            Need::Whole { text, .. } => {
                let left = ValueText::MAX_WHOLE
                    .saturating_add(1)
                    .saturating_sub(text.len());
                text.extend_from_slice(bytes.get(..left).unwrap_or(bytes));
            }
            Need::Tail {
                shown,
                length,
                last,
            } => {
                let first_bytes = bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80);
                *length = length.saturating_add(first_bytes.count());
                // A character has four bytes at most.
                let most = shown.saturating_mul(4);
                let tail = bytes.get(bytes.len().saturating_sub(most)..);
                last.extend_from_slice(tail.unwrap_or(bytes));
                if last.len() > most.saturating_mul(4) {
                    last.drain(..last.len().saturating_sub(most));
                }
            }
        }
    }
}

/// A JSON string with that many of the last characters behind it.
fn with_tail(with: &[u8], last: &[u8], shown: usize) -> Vec<u8> {
    let Some((b'"', open)) = with.split_last().filter(|_| with.first() == Some(&b'"')) else {
        return with.to_vec();
    };
    // It may begin in the middle of a character, which is none of the last.
    let last = String::from_utf8_lossy(last);
    let from = last.char_indices().rev().take(shown).last();
    let tail = from
        .and_then(|(from, _)| last.get(from..))
        .unwrap_or_default();
    let tail = serde_json::Value::from(tail).to_string();
    let mut text = open.to_vec();
    text.extend_from_slice(tail.strip_prefix('"').unwrap_or("\"").as_bytes());
    text
}

impl std::fmt::Debug for ValueText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ValueText(..)")
    }
}
