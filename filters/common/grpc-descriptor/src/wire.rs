//! The protobuf wire form, field by field (<https://protobuf.dev/programming-guides/encoding>).

use crate::descriptor::InvalidDescriptor;

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    pub(crate) value: Value<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Of four or eight bytes, which no field that is read here has.
    Fixed,
}

/// The fields of a message in order; ends after an error.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields(message)
    }

    fn read(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        let number = tag >> 3;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups, which no descriptor has, and types that there are not.
            _ => return None,
        };
        (number != 0).then_some(Field { number, value })
    }

    /// At most ten bytes, of which the last has one bit.
    fn varint(&mut self) -> Option<u64> {
        let mut number: u64 = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            number |= bits
                .checked_shl(shift)
                .filter(|high| high >> shift == bits)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, InvalidDescriptor>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(InvalidDescriptor::Malformed))
    }
}

/// A `string`.
pub(crate) fn text(value: Value<'_>) -> Result<String, InvalidDescriptor> {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| InvalidDescriptor::Malformed),
        Value::Varint(_) | Value::Fixed => Err(InvalidDescriptor::Malformed),
    }
}

/// A message inside a message.
pub(crate) fn message(value: Value<'_>) -> Result<Fields<'_>, InvalidDescriptor> {
    match value {
        Value::Bytes(bytes) => Ok(Fields::of(bytes)),
        Value::Varint(_) | Value::Fixed => Err(InvalidDescriptor::Malformed),
    }
}

/// A `bool`.
pub(crate) fn flag(value: Value<'_>) -> Result<bool, InvalidDescriptor> {
    match value {
        Value::Varint(number) => Ok(number != 0),
        Value::Bytes(_) | Value::Fixed => Err(InvalidDescriptor::Malformed),
    }
}
