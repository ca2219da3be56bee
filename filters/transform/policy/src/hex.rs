//! Bytes as hexadecimal digits.

/// Two digits, in lower case.
pub(crate) fn push(byte: u8, text: &mut String) {
    for digit in [byte >> 4, byte & 0xf] {
        text.extend(char::from_digit(u32::from(digit), 16));
    }
}
