//! Sizes with their unit: `512B`, `64KiB`, `1MiB`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The units, largest first, as `Display` looks for them.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

const EXPECTED: &str = "a size such as 512B, 64KiB or 1MiB";
const BARE: &str = "a size needs its unit, write 512B, 64KiB or 1MiB instead of a bare number";
const INVALID: &str = "not a size, expected one such as 512B, 64KiB or 1MiB";
const TOO_LARGE: &str = "size is too large";

/// A number of bytes, written as a whole number and one of the units `B`, `KiB`, `MiB`, `GiB`.
///
/// `KB` and the like are refused: they mean 1000 to one reader and 1024 to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes, for defaults.
    pub const fn new(bytes: u64) -> Self {
        ByteSize(bytes)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(INVALID)?;
        match (number, unit) {
            ("", _) => return Err(INVALID),
            (_, "") => return Err(BARE),
            _ => {}
        }
        let (_, bytes) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(INVALID)?;
        let number: u64 = number.parse().map_err(|_| TOO_LARGE)?;
        number.checked_mul(*bytes).map(ByteSize).ok_or(TOO_LARGE)
    }
}

impl fmt::Display for ByteSize {
    /// The form that a configuration has it in, in the largest unit that fits evenly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in UNITS {
            if self.0 > 0 && self.0.is_multiple_of(bytes) {
                return write!(f, "{}{name}", self.0.checked_div(bytes).unwrap_or(0));
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByteSizeVisitor)
    }
}

struct ByteSizeVisitor;

impl Visitor<'_> for ByteSizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ByteSize, E> {
        ByteSize::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<ByteSize, E> {
        Err(E::custom(BARE))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<ByteSize, E> {
        Err(E::custom(BARE))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<ByteSize, E> {
        Err(E::custom(BARE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::from_value;

    fn read(text: &str) -> Result<u64, String> {
        from_value::<ByteSize>(json!(text))
            .map(ByteSize::get)
            .map_err(|error| error.to_string())
    }

    // A unit taken for another makes a body cap a thousand times too large.
    #[test]
    fn reads_every_unit() {
        assert_eq!(read("512B"), Ok(512));
        assert_eq!(read("64KiB"), Ok(65_536));
        assert_eq!(read("1MiB"), Ok(1_048_576));
        assert_eq!(read("2GiB"), Ok(2_147_483_648));
        assert_eq!(read("0B"), Ok(0));
        assert_eq!(read("18446744073709551615B"), Ok(u64::MAX));
    }

    // A bare number is the commonest slip: the message must say how to mend it.
    #[test]
    fn a_bare_number_is_refused_with_the_fix() {
        for value in [json!(60), json!(-1), json!(0.5), json!("60")] {
            let refusal = from_value::<ByteSize>(value).unwrap_err().to_string();
            assert_eq!(
                refusal,
                "a size needs its unit, write 512B, 64KiB or 1MiB instead of a bare number"
            );
        }
    }

    // `1KB` is 1000 or 1024 bytes, depending on who reads it.
    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", "B", "KiB", "1KB", "1kb", "1kib", "1 KiB", "1.5KiB", "-1B", "+1B", "1KiB1B", "1K",
            "١B",
        ] {
            assert_eq!(read(text), Err(INVALID.to_owned()), "{text:?}");
        }
        for text in ["18446744073709551616B", "18014398509481984KiB"] {
            assert_eq!(read(text), Err(TOO_LARGE.to_owned()), "{text}");
        }
    }

    proptest! {
        // What is shown must be a text that a configuration may hold.
        #[test]
        fn displays_as_it_is_written(bytes in prop_oneof![any::<u64>(), (0_u64..5000).prop_map(|kib| kib << 10)]) {
            let size = ByteSize::new(bytes);
            prop_assert_eq!(ByteSize::parse(&size.to_string()), Ok(size));
        }
    }
}
