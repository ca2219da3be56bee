//! What may be written into a header: the last check before the host.
//!
//! Envoy writes a CR or LF in a *response* header or local reply to the wire as it is, which splits the
//! response; in a request header it answers 503. So nothing with a control byte leaves this crate.

use crate::error::HostError;

/// `Ok` if `value` has no control byte other than the horizontal tab (RFC 9110 section 5.5).
pub(crate) fn value(value: &[u8]) -> Result<(), HostError> {
    let allowed = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..=0xff);
    let (words, rest) = value.as_chunks();
    let clean = |word: &[u8; 8]| !may_have_control(u64::from_le_bytes(*word));
    if words
        .iter()
        .all(|word| clean(word) || word.iter().all(allowed))
        && rest.iter().all(allowed)
    {
        Ok(())
    } else {
        Err(HostError::ForbiddenByte)
    }
}

/// Whether there is a NUL in the text.
pub(crate) fn has_nul(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    words.iter().any(|word| has_zero(u64::from_le_bytes(*word))) || rest.contains(&0)
}

/// Whether one of eight bytes is below 0x20 or 0x7f.
fn may_have_control(word: u64) -> bool {
    has_zero(word & in_each_byte(0xe0)) || has_zero(word ^ in_each_byte(0x7f))
}

/// Whether one of eight bytes is zero: taking one from each sets the highest bit of the first that is, and of no byte in front of
/// it unless it was set.
fn has_zero(word: u64) -> bool {
    word.wrapping_sub(in_each_byte(1)) & !word & in_each_byte(0x80) != 0
}

const fn in_each_byte(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// `Ok` if `name` is a token (RFC 9110 section 5.6.2), or one after the colon of a pseudo header.
pub(crate) fn name(name: &[u8]) -> Result<(), HostError> {
    field_name(name.strip_prefix(b":").unwrap_or(name))
}

/// `Ok` if `name` is a token: no pseudo header.
pub(crate) fn field_name(name: &[u8]) -> Result<(), HostError> {
    let allowed = |byte: &u8| {
        matches!(
            byte,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
                | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
    };
    if !name.is_empty() && name.iter().all(allowed) {
        Ok(())
    } else {
        Err(HostError::ForbiddenByte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Response splitting: Envoy would write these bytes to the client as they are.
    #[test]
    fn control_bytes_are_refused() {
        for byte in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
            assert_eq!(
                value(&[b'a', byte]),
                Err(HostError::ForbiddenByte),
                "{byte}"
            );
        }
        assert_eq!(value(b"a\tb c\xff"), Ok(()));
    }

    // Eight bytes are looked at at once: none may hide another.
    #[test]
    fn every_byte_is_looked_at() {
        for byte in 0..=u8::MAX {
            for place in 0..18 {
                let mut text = *b"ab\tc\xff \x80~!ABCDEFG\tz";
                text[place] = byte;
                let allowed = byte == b'\t' || byte >= 0x20 && byte != 0x7f;
                assert_eq!(value(&text).is_ok(), allowed, "{text:?}");
                assert_eq!(has_nul(&text), byte == 0, "{text:?}");
            }
        }
    }

    // A name with a space or a line end would make a second header of it.
    #[test]
    fn only_tokens_are_names() {
        for refused in [&b""[..], b":", b"a b", b"a:b", b"a\r\n", b"\xff", b"::path"] {
            assert_eq!(name(refused), Err(HostError::ForbiddenByte), "{refused:?}");
        }
        assert_eq!(name(b":path"), Ok(()));
        assert_eq!(name(b"x-a_b"), Ok(()));
        assert_eq!(field_name(b":status"), Err(HostError::ForbiddenByte));
    }
}
