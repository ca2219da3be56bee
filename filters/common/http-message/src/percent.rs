//! Percent encoding (RFC 3986 section 2.1).

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// All but visible ASCII, and of that `%`, so that decoding gives the text back, and `,`, so that a list stays a list.
const IN_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',');

/// All but `pchar` of RFC 3986 section 3.3 and `/`.
pub(crate) const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b';')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The text with all but visible ASCII, `%` and `,` percent-encoded: what a claim or a name becomes in a header.
pub fn percent_encode_value(text: &str) -> String {
    utf8_percent_encode(text, IN_HEADER).to_string()
}

/// The value of two hexadecimal digits.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    Some((hex_digit(high)? << 4) | hex_digit(low)?)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        b'A'..=b'F' => digit.checked_sub(b'A')?.checked_add(10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_visible_ascii_stays() {
        assert_eq!(
            percent_encode_value("alice@example.com"),
            "alice@example.com"
        );
        assert_eq!(
            percent_encode_value("a,b c%d\r\n\0\t"),
            "a%2Cb%20c%25d%0D%0A%00%09"
        );
        assert_eq!(percent_encode_value("é"), "%C3%A9");
    }

    #[test]
    fn hex_pairs() {
        assert_eq!(hex_pair(b'2', b'F'), Some(0x2f));
        assert_eq!(hex_pair(b'f', b'f'), Some(0xff));
        for (high, low) in [(b'g', b'0'), (b'0', b'G'), (b' ', b'0'), (b'0', b'+')] {
            assert_eq!(hex_pair(high, low), None);
        }
    }

    proptest! {
        // An upstream gets back exactly the text that the identity had.
        #[test]
        fn encoded_values_are_safe_and_decode(text in any::<String>()) {
            let encoded = percent_encode_value(&text);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
            prop_assert_eq!(percent_decode_str(&encoded).decode_utf8().unwrap(), text);
        }
    }
}
