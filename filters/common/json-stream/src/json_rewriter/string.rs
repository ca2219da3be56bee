//! A string under way.

use super::Fault;

/// Where in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InString {
    Text,
    Escape,
    /// Hexadecimal digits that are left, and the value so far.
    Hex {
        left: u8,
        unit: u16,
    },
    /// Bytes of a character that are left, and the bounds of the next.
    Utf8 {
        left: u8,
        low: u8,
        high: u8,
    },
}

impl InString {
    /// The place after one more byte, which does not end the string.
    pub(super) fn next(self, byte: u8) -> Result<InString, Fault> {
        Ok(match self {
            InString::Text => match byte {
                b'\\' => InString::Escape,
                0..=0x1f => return Err(Fault::Syntax),
                _ => InString::lead(byte).ok_or(Fault::NotUtf8)?,
            },
            InString::Utf8 { left, low, high } if (low..=high).contains(&byte) => {
                match left.saturating_sub(1) {
                    0 => InString::Text,
                    left => InString::Utf8 {
                        left,
                        low: 0x80,
                        high: 0xbf,
                    },
                }
            }
            InString::Utf8 { .. } => return Err(Fault::NotUtf8),
            InString::Escape => match byte {
                b'u' => InString::Hex { left: 4, unit: 0 },
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => InString::Text,
                _ => return Err(Fault::Syntax),
            },
            InString::Hex { left, unit } => {
                let digit = char::from(byte).to_digit(16).ok_or(Fault::Syntax)?;
                let digit = u16::try_from(digit).map_err(|_| Fault::Syntax)?;
                let unit = unit.wrapping_shl(4) | digit;
                match left.saturating_sub(1) {
                    0 => InString::Text,
                    left => InString::Hex { left, unit },
                }
            }
        })
    }

    /// What follows the first byte of a character (RFC 3629 section 4).
    fn lead(byte: u8) -> Option<InString> {
        let (left, low, high) = match byte {
            0x20..=0x7f => return Some(InString::Text),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xe1..=0xec | 0xee..=0xef => (2, 0x80, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return None,
        };
        Some(InString::Utf8 { left, low, high })
    }
}
