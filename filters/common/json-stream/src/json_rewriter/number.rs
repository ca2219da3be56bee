//! A number under way.

/// What has been read of a number (RFC 8259 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Start,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// The number after as many of the bytes as belong to it, and how many these are.
    pub(super) fn advance(self, bytes: &[u8]) -> (Number, usize) {
        let mut number = self;
        for (length, byte) in bytes.iter().enumerate() {
            if number == Number::Integer && byte.is_ascii_digit() {
                continue;
            }
            match number.next(*byte) {
                Some(next) => number = next,
                None => return (number, length),
            }
        }
        (number, bytes.len())
    }

    /// Whether it may be over.
    pub(super) fn may_end(self) -> bool {
        matches!(
            self,
            Number::Zero | Number::Integer | Number::Fraction | Number::ExponentDigits
        )
    }

    /// Whether the text is one number.
    pub(super) fn is_all_of(text: &[u8]) -> bool {
        let (number, length) = Number::Start.advance(text);
        number.may_end() && length == text.len()
    }

    fn next(self, byte: u8) -> Option<Number> {
        Some(match (self, byte) {
            (Number::Start, b'-') => Number::Minus,
            (Number::Start | Number::Minus, b'0') => Number::Zero,
            (Number::Start | Number::Minus, b'1'..=b'9') | (Number::Integer, b'0'..=b'9') => {
                Number::Integer
            }
            (Number::Zero | Number::Integer, b'.') => Number::Point,
            (Number::Point | Number::Fraction, b'0'..=b'9') => Number::Fraction,
            (Number::Zero | Number::Integer | Number::Fraction, b'e' | b'E') => Number::Exponent,
            (Number::Exponent, b'+' | b'-') => Number::ExponentSign,
            (Number::Exponent | Number::ExponentSign | Number::ExponentDigits, b'0'..=b'9') => {
                Number::ExponentDigits
            }
            _ => return None,
        })
    }
}
