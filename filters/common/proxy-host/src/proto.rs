//! As much of the protobuf wire form as the host's foreign functions need.

/// Field by field, a serialized message. Fields with their default value are left out, as proto3 does.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    pub(crate) fn new() -> Message {
        Message::default()
    }

    /// A `bytes` or `string` field.
    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        if !value.is_empty() {
            self.varint(tag(field, BYTES));
            self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
            self.0.extend_from_slice(value);
        }
        self
    }

    /// A `bool`, `enum` or unsigned integer field.
    pub(crate) fn number(mut self, field: u32, value: u64) -> Message {
        if value != 0 {
            self.varint(tag(field, VARINT));
            self.varint(value);
        }
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

fn tag(field: u32, wire_type: u64) -> u64 {
    u64::from(field) << 3 | wire_type
}

/// The last value of the varint field `wanted`, zero if the message has none; `None` if it is no message.
pub(crate) fn number(mut message: &[u8], wanted: u32) -> Option<u64> {
    let mut found = 0;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            VARINT => {
                let value = take_varint(&mut message)?;
                if key >> 3 == u64::from(wanted) {
                    found = value;
                }
            }
            FIXED64 => message = message.get(8..)?,
            BYTES => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            FIXED32 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // The bytes that protoc makes of { 1: "SHA256", 2: true, 5: 1, 4: 300 bytes }.
    #[test]
    fn messages_are_as_protoc_writes_them() {
        let message = Message::new()
            .bytes(1, b"SHA256")
            .number(2, 1)
            .number(3, 0)
            .bytes(4, &[0xab; 300])
            .number(5, 1);
        let mut expected = b"\x0a\x06SHA256\x10\x01\x22\xac\x02".to_vec();
        expected.extend_from_slice(&[0xab; 300]);
        expected.extend_from_slice(b"\x28\x01");
        assert_eq!(message.as_bytes(), expected);
    }

    // The result must be found behind fields of every wire type, and be the last of several.
    #[test]
    fn a_number_is_found_among_other_fields() {
        let message =
            b"\x12\x03abc\x19\x00\x00\x00\x00\x00\x00\x00\x00\x25\x00\x00\x00\x00\x08\x00\x08\x01";
        assert_eq!(number(message, 1), Some(1));
        assert_eq!(number(message, 7), Some(0));
        assert_eq!(number(b"", 1), Some(0));
    }

    // A host that answers garbage must not be read as "verified".
    #[test]
    fn garbage_is_no_message() {
        for garbage in [
            &b"\x08"[..],
            b"\x12\x05ab",
            b"\x0f",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x08\x01\x19\x00",
        ] {
            assert_eq!(number(garbage, 1), None, "{garbage:?}");
        }
    }
}
