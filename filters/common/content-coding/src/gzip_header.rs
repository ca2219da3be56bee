//! The header of a gzip member (RFC 1952 section 2.3), a byte at a time.

use flate2::Crc;

use crate::fault::Fault;

/// Flags: a checksum of the header, an extra field, a file name, a comment. The others are reserved.
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0b1110_0000;

/// A header under way. Its texts are passed over; nothing of them is held.
#[derive(Debug)]
pub(crate) struct GzipHeader {
    place: Place,
    flags: u8,
    checksum: Crc,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Magic1,
    Magic2,
    Method,
    Flags,
    /// Time, extra flags, system: so many bytes are left.
    Fixed(u8),
    ExtraLength1,
    ExtraLength2(u8),
    Extra(u16),
    Name,
    Comment,
    Checksum1,
    Checksum2(u8),
    End,
}

impl GzipHeader {
    pub(crate) fn new() -> GzipHeader {
        GzipHeader {
            place: Place::Magic1,
            flags: 0,
            checksum: Crc::new(),
        }
    }

    /// The next bytes: how many of them are the header's, and whether it is over.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<(usize, bool), Fault> {
        for (index, byte) in input.iter().enumerate() {
            self.place = self.step(*byte)?;
            if matches!(self.place, Place::End) {
                return Ok((index.saturating_add(1), true));
            }
        }
        Ok((input.len(), false))
    }

    fn step(&mut self, byte: u8) -> Result<Place, Fault> {
        let expected = |expected: u8, next: Place| match byte == expected {
            true => Ok(next),
            false => Err(Fault::Corrupt),
        };
        let next = match self.place {
            Place::Magic1 => expected(0x1f, Place::Magic2)?,
            Place::Magic2 => expected(0x8b, Place::Method)?,
            // 8 is deflate, the only one there is.
            Place::Method => expected(8, Place::Flags)?,
            Place::Flags => {
                if byte & RESERVED != 0 {
                    return Err(Fault::Corrupt);
                }
                self.flags = byte;
                Place::Fixed(6)
            }
            Place::Fixed(1) => self.part(FEXTRA),
            Place::Fixed(left) => Place::Fixed(left.saturating_sub(1)),
            Place::ExtraLength1 => Place::ExtraLength2(byte),
            Place::ExtraLength2(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.part(FNAME),
                length => Place::Extra(length),
            },
            Place::Extra(1) => self.part(FNAME),
            Place::Extra(left) => Place::Extra(left.saturating_sub(1)),
            Place::Name if byte == 0 => self.part(FCOMMENT),
            Place::Comment if byte == 0 => self.part(FHCRC),
            Place::Name | Place::Comment => self.place,
            Place::Checksum1 => return Ok(Place::Checksum2(byte)),
            Place::Checksum2(low) => {
                let [first, second, ..] = self.checksum.sum().to_le_bytes();
                return match [low, byte] == [first, second] {
                    true => Ok(Place::End),
                    false => Err(Fault::Corrupt),
                };
            }
            Place::End => Place::End,
        };
        self.checksum.update(&[byte]);
        Ok(next)
    }

    /// Where this part begins, or the next one that there is.
    fn part(&self, first: u8) -> Place {
        let parts = [
            (FEXTRA, Place::ExtraLength1),
            (FNAME, Place::Name),
            (FCOMMENT, Place::Comment),
            (FHCRC, Place::Checksum1),
        ];
        parts
            .into_iter()
            .skip_while(|(flag, _)| *flag != first)
            .find(|(flag, _)| self.flags & flag != 0)
            .map_or(Place::End, |(_, place)| place)
    }
}
