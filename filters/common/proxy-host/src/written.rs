//! What may be written into a header: the last check before the host.
//!
//! Envoy writes a CR or LF in a *response* header or local reply to the wire as it is, which splits the
//! response; in a request header it answers 503. So nothing with a control byte leaves this crate.

use crate::error::HostError;

/// `Ok` if `value` has no control byte other than the horizontal tab (RFC 9110 section 5.5).
pub(crate) fn value(value: &[u8]) -> Result<(), HostError> {
    let allowed = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..=0xff);
    if value.iter().all(allowed) {
        Ok(())
    } else {
        Err(HostError::ForbiddenByte)
    }
}

/// `Ok` if `name` is a token (RFC 9110 section 5.6.2), or one after the colon of a pseudo header.
pub(crate) fn name(name: &[u8]) -> Result<(), HostError> {
    field_name(name.strip_prefix(b":").unwrap_or(name))
}

/// `Ok` if `name` is a token: no pseudo header.
pub(crate) fn field_name(name: &[u8]) -> Result<(), HostError> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
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
