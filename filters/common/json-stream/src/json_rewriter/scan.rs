//! How far the bytes at hand are of one kind, eight at a time.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

/// How many bytes are text of a string that stands for itself: neither `"` nor `\`, no control character; all of ASCII.
#[inline(always)]
pub(super) fn ascii_text(bytes: &[u8]) -> usize {
    scan(
        bytes,
        |word| (marks(word) | word) & HIGH,
        |byte| is_text(byte) && byte.is_ascii(),
    )
}

/// Where the text ends that begins there.
#[inline(always)]
pub(super) fn ascii_end(bytes: &[u8], from: usize) -> usize {
    from.saturating_add(ascii_text(bytes.get(from..).unwrap_or_default()))
}

/// The same as [`ascii_text`], bytes of characters beyond ASCII included.
pub(super) fn text(bytes: &[u8]) -> usize {
    scan(bytes, |word| marks(word) & HIGH, is_text)
}

/// How many bytes are blanks.
pub(super) fn blanks(bytes: &[u8]) -> usize {
    // What is indented has a line end and many spaces in a row, anything else a blank or none.
    let is_line_end = |byte: &&u8| matches!(**byte, b'\n' | b'\r');
    let line_ends = bytes.iter().take_while(is_line_end).count();
    let spaces = scan(
        bytes.get(line_ends..).unwrap_or_default(),
        |word| word ^ SPACES,
        |byte| byte == b' ',
    );
    let length = line_ends.saturating_add(spaces);
    let rest = bytes.get(length..).unwrap_or_default();
    let more = rest.iter().take_while(|byte| super::is_blank(**byte));
    length.saturating_add(more.count())
}

/// A high bit for each byte that ends the text. Above one that does there may be others that do not.
fn marks(word: u64) -> u64 {
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let is_control = word.wrapping_sub(SPACES) & !word;
    is_zero(word ^ QUOTES) | is_zero(word ^ BACKSLASHES) | is_control
}

fn is_text(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

#[inline(always)]
fn scan(bytes: &[u8], ends: impl Fn(u64) -> u64, is_inside: impl Fn(u8) -> bool) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut length = 0_usize;
    for word in words {
        let ends = ends(u64::from_le_bytes(*word));
        if ends != 0 {
            let place = usize::try_from(ends.trailing_zeros() >> 3).unwrap_or_default();
            return length.saturating_add(place);
        }
        length = length.saturating_add(8);
    }
    let inside = tail.iter().position(|byte| !is_inside(*byte));
    length.saturating_add(inside.unwrap_or(tail.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // A word in which one byte hides another: a quote that is overlooked ends a string elsewhere.
    #[test]
    fn every_byte_is_seen_at_every_place_beside_every_other() {
        for byte in 0..=255_u8 {
            for beside in [
                0, 0x1f, b' ', b'!', b'"', b'#', b'\\', b']', b'a', 0x7f, 0x80, 0xff,
            ] {
                for place in 0..19 {
                    let mut bytes = [beside; 19];
                    bytes[place] = byte;
                    let by_byte = |is_inside: fn(u8) -> bool| {
                        bytes
                            .iter()
                            .position(|byte| !is_inside(*byte))
                            .unwrap_or(19)
                    };
                    assert_eq!(text(&bytes), by_byte(is_text), "{bytes:x?}");
                    assert_eq!(
                        ascii_text(&bytes),
                        by_byte(|byte| is_text(byte) && byte < 0x80),
                        "{bytes:x?}"
                    );
                    assert_eq!(
                        blanks(&bytes),
                        by_byte(super::super::is_blank),
                        "{bytes:x?}"
                    );
                }
            }
        }
    }
}
