//! A key that is read because an operation may mean it.

use super::Broken;
use super::string::InString;

/// A key, decoded as far as it can be a name.
#[derive(Debug, Default)]
pub(super) struct Key {
    text: Vec<u8>,
    high_surrogate: Option<u16>,
}

impl Key {
    /// Adds text that stands for itself.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), Broken> {
        // Only the other half may follow a first half.
        if self.high_surrogate.is_some() {
            return Err(Broken::LoneSurrogate);
        }
        self.text.extend_from_slice(text);
        Ok(())
    }

    /// Adds what a byte of the string means, which was read at this place in it.
    pub(super) fn push_byte(&mut self, byte: u8, place: InString) -> Result<(), Broken> {
        match place {
            InString::Text if byte == b'\\' => Ok(()),
            InString::Text | InString::Utf8 { .. } => self.push(&[byte]),
            InString::Escape => {
                let letter = match byte {
                    b'u' => return Ok(()),
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                };
                self.push(&[letter])
            }
            InString::Hex { left: 1, unit } => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let unit = u32::from(unit.wrapping_shl(4)) | digit;
                self.push_unit(u16::try_from(unit).unwrap_or_default())
            }
            InString::Hex { .. } => Ok(()),
        }
    }

    /// How long it is so far, decoded.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// What is there of it.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The whole key.
    pub(super) fn finish(self) -> Result<Vec<u8>, Broken> {
        match self.high_surrogate {
            None => Ok(self.text),
            Some(_) => Err(Broken::LoneSurrogate),
        }
    }

    /// One `\uXXXX`.
    fn push_unit(&mut self, unit: u16) -> Result<(), Broken> {
        let units = match self.high_surrogate.take() {
            Some(high) => [Some(high), Some(unit)],
            None if (0xd800..0xdc00).contains(&unit) => {
                self.high_surrogate = Some(unit);
                return Ok(());
            }
            None => [Some(unit), None],
        };
        let mut letter = char::decode_utf16(units.into_iter().flatten());
        let (Some(Ok(letter)), None) = (letter.next(), letter.next()) else {
            return Err(Broken::LoneSurrogate);
        };
        let mut bytes = [0; 4];
        self.push(letter.encode_utf8(&mut bytes).as_bytes())
    }
}
