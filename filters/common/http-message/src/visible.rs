//! Text of visible characters.

/// Whether all of `text` is visible ASCII (`VCHAR`, RFC 5234 appendix B.1) other than `except`.
///
/// Never inlined: tokens are long, and a crate that is compiled for size would look at them slowly.
#[inline(never)]
pub fn is_visible_without(text: &[u8], except: u8) -> bool {
    // To the end in any case, which takes no branch for a byte.
    text.iter().fold(true, |all, byte| {
        all & byte.is_ascii_graphic() & (*byte != except)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // A byte that passes unseen makes two credentials of one for some reader.
    #[test]
    fn every_byte_is_looked_at() {
        for byte in 0..=u8::MAX {
            for place in 0..3 {
                let mut text = *b"abc";
                text[place] = byte;
                let is_visible = (0x21..=0x7e).contains(&byte) && byte != b',';
                assert_eq!(is_visible_without(&text, b','), is_visible, "{text:?}");
            }
        }
        assert!(is_visible_without(b"", b','));
    }
}
