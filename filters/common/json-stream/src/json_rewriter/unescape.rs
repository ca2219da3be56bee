//! What a string says.

use super::string::InString;

/// The text of a string under way, its escapes read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unescape {
    high_surrogate: Option<u16>,
    /// Half a pair has come: readers disagree on what it is. Here it is U+FFFD.
    pub(super) has_half_a_pair: bool,
}

impl Unescape {
    /// More text that stands for itself.
    pub(super) fn text(&mut self, text: &[u8], out: &mut dyn FnMut(&[u8])) {
        self.end(out);
        out(text);
    }

    /// One more byte, read at this place in the string.
    pub(super) fn byte(&mut self, byte: u8, place: InString, out: &mut dyn FnMut(&[u8])) {
        match place {
            InString::Text if byte == b'\\' => {}
            InString::Text | InString::Utf8 { .. } => self.text(&[byte], out),
            InString::Escape => {
                let letter = match byte {
                    b'u' => return,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                };
                self.text(&[letter], out);
            }
            InString::Hex { left: 1, unit } => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let unit = u32::from(unit.wrapping_shl(4)) | digit;
                self.unit(u16::try_from(unit).unwrap_or_default(), out);
            }
            InString::Hex { .. } => {}
        }
    }

    /// The string is over, or goes on with something that is no second half.
    pub(super) fn end(&mut self, out: &mut dyn FnMut(&[u8])) {
        if self.high_surrogate.take().is_some() {
            self.half_a_pair(out);
        }
    }

    /// One `\uXXXX`.
    fn unit(&mut self, unit: u16, out: &mut dyn FnMut(&[u8])) {
        if (0xd800..0xdc00).contains(&unit) {
            self.end(out);
            self.high_surrogate = Some(unit);
            return;
        }
        let is_low = (0xdc00..0xe000).contains(&unit);
        let high = self.high_surrogate.take_if(|_| is_low);
        self.end(out);
        let letter = char::decode_utf16([high, Some(unit)].into_iter().flatten()).next();
        match letter {
            Some(Ok(letter)) => out(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => self.half_a_pair(out),
        }
    }

    fn half_a_pair(&mut self, out: &mut dyn FnMut(&[u8])) {
        self.has_half_a_pair = true;
        out("\u{fffd}".as_bytes());
    }
}
