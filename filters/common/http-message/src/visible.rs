//! Text of visible characters.

/// The highest bit of each byte.
const HIGH: u64 = in_each_byte(0x80);

/// Whether all of `text` is visible ASCII (`VCHAR`, RFC 5234 appendix B.1) other than `except`.
///
/// Never inlined: tokens are long, and a crate that is compiled for size would look at them slowly.
#[inline(never)]
pub fn is_visible_without(text: &[u8], except: u8) -> bool {
    let (words, rest) = text.as_chunks();
    words
        .iter()
        .all(|word| is_word_visible_without(u64::from_le_bytes(*word), except))
        && rest
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != except)
}

/// The same of eight bytes at once. Where none has its highest bit, no sum carries into the next byte: each sets that bit for the
/// bytes from some number on.
fn is_word_visible_without(word: u64, except: u8) -> bool {
    // What is not ASCII is refused in any case, as 0x7f is.
    let other = word ^ in_each_byte(except.min(0x7f));
    let from_0x21 = word.wrapping_add(in_each_byte(0x80 - 0x21));
    let from_0x7f = word.wrapping_add(in_each_byte(1));
    let is_other = other.wrapping_add(in_each_byte(0x7f));
    (word | from_0x7f | !from_0x21 | !is_other) & HIGH == 0
}

const fn in_each_byte(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    // A byte that passes unseen makes two credentials of one for some reader.
    #[test]
    fn every_byte_is_looked_at() {
        for byte in 0..=u8::MAX {
            for place in 0..19 {
                let mut text = *b"abcdefgh!~-.ABCDxyz";
                text[place] = byte;
                let is_visible = (0x21..=0x7e).contains(&byte) && byte != b',';
                assert_eq!(is_visible_without(&text, b','), is_visible, "{text:?}");
            }
        }
        assert!(is_visible_without(b"", b','));
        // What is not visible anyway takes no other byte along: 0xac is a comma with its highest bit set.
        for except in (0..=u8::MAX).filter(|byte| !byte.is_ascii_graphic()) {
            assert!(is_visible_without(b"a,~!b,c", except), "{except}");
            assert!(is_visible_without(b"a,~!b,cd,", except), "{except}");
        }
    }
}
