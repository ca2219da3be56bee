//! The data of an event stream (HTML, section 9.2), as it streams by.

/// An event stream under way. It holds no byte of it.
#[derive(Clone, Copy, Debug)]
pub struct EventStream {
    place: Place,
    /// The last byte was a carriage return, which a line feed may belong to.
    after_return: bool,
}

/// What the first bytes of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Data of the event that is under way. The blank that may follow a field's name is its first byte.
    Data,
    /// What ends a line of its data.
    LineEnd,
    /// What ends the event: an empty line.
    EventEnd,
    /// A byte order mark, the name of a field, a line feed behind a carriage return.
    Framing,
    /// Of a line that is no data.
    Other,
}

/// Where in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So many bytes into the byte order mark that it may begin with.
    Mark(usize),
    /// So many bytes into a line, all of which are of the field's name.
    Name(usize),
    /// In the value of the field.
    Data,
    /// In a line that is no data.
    Other,
}

const MARK: &[u8] = b"\xef\xbb\xbf";
const NAME: &[u8] = b"data:";

impl EventStream {
    /// Nothing read yet.
    pub fn new() -> EventStream {
        EventStream {
            place: Place::Mark(0),
            after_return: false,
        }
    }

    /// What the next bytes are, and how many of them are that; of no bytes, none.
    pub fn read(&mut self, bytes: &[u8]) -> (Piece, usize) {
        let Some(byte) = bytes.first() else {
            return (Piece::Framing, 0);
        };
        if std::mem::take(&mut self.after_return) && *byte == b'\n' {
            return (Piece::Framing, 1);
        }
        match self.place {
            Place::Mark(read) if MARK.get(read) == Some(byte) => {
                self.place = match read.saturating_add(1) {
                    read if read < MARK.len() => Place::Mark(read),
                    _ => Place::Name(0),
                };
                (Piece::Framing, 1)
            }
            // What has begun as a mark and is none is a line of some name.
            Place::Mark(read) => {
                self.place = if read == 0 {
                    Place::Name(0)
                } else {
                    Place::Other
                };
                self.read(bytes)
            }
            Place::Name(read) if is_line_end(*byte) => {
                self.line_ended(*byte);
                let is_empty = read == 0;
                (
                    if is_empty {
                        Piece::EventEnd
                    } else {
                        Piece::Framing
                    },
                    1,
                )
            }
            Place::Name(read) => {
                let name = NAME.get(read..).unwrap_or_default();
                let same = name
                    .iter()
                    .zip(bytes)
                    .take_while(|(name, byte)| name == byte);
                let same = same.count();
                self.place = match read.saturating_add(same) {
                    read if read == NAME.len() => Place::Data,
                    read if same == bytes.len()
                        || bytes.get(same).is_some_and(|byte| is_line_end(*byte)) =>
                    {
                        Place::Name(read)
                    }
                    _ => Place::Other,
                };
                match same {
                    0 => self.read(bytes),
                    same => (Piece::Framing, same),
                }
            }
            Place::Data | Place::Other => {
                let is_data = self.place == Place::Data;
                match bytes.iter().position(|byte| is_line_end(*byte)) {
                    Some(0) => {
                        self.line_ended(*byte);
                        (
                            if is_data {
                                Piece::LineEnd
                            } else {
                                Piece::Framing
                            },
                            1,
                        )
                    }
                    end => (
                        if is_data { Piece::Data } else { Piece::Other },
                        end.unwrap_or(bytes.len()),
                    ),
                }
            }
        }
    }

    fn line_ended(&mut self, byte: u8) {
        self.after_return = byte == b'\r';
        self.place = Place::Name(0);
    }
}

impl Default for EventStream {
    fn default() -> EventStream {
        EventStream::new()
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of each event that has ended.
    fn events(text: &[u8], size: usize) -> Vec<String> {
        let (mut events, mut data) = (Vec::new(), Vec::new());
        let mut stream = EventStream::new();
        for chunk in text.chunks(size) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let (piece, length) = stream.read(rest);
                match piece {
                    Piece::Data => data.extend_from_slice(&rest[..length]),
                    Piece::LineEnd => data.push(b'\n'),
                    Piece::EventEnd => {
                        events.push(String::from_utf8(std::mem::take(&mut data)).unwrap());
                    }
                    Piece::Framing | Piece::Other => {}
                }
                rest = &rest[length..];
            }
        }
        events
    }

    // Where an event ends decides which document a number is of; the three line ends may be mixed, and cut in two.
    #[test]
    fn data_is_found_wherever_the_stream_is_cut() {
        for (text, expected) in [
            (&b"data: a\n\n"[..], &[" a\n"][..]),
            (
                b"data:a\r\n\r\ndata:b\r\rdata:c\n\r\n",
                &["a\n", "b\n", "c\n"],
            ),
            (b"data: a\ndata: b\n\n", &[" a\n b\n"]),
            (b"\xef\xbb\xbfdata: a\n\n", &[" a\n"]),
            (b"\xef\xbbdata: a\n\ndata: b\n\n", &["", " b\n"]),
            (
                b"event: x\nid: 7\ndata: a\nretry: 1\n: data: b\n\n",
                &[" a\n"],
            ),
            (b"data\ndatum: a\n data: b\nxdata: c\nDATA: d\n\n", &[""]),
            (b"\n\n\r\r\ndata:\n\n", &["", "", "", "", "\n"]),
            (b"data: a: b \n\n", &[" a: b \n"]),
            (b"data: a\n", &[]),
            (b"", &[]),
        ] {
            for size in 1..=text.len().max(1) {
                assert_eq!(
                    events(text, size),
                    expected,
                    "{} by {size}",
                    text.escape_ascii()
                );
            }
        }
    }
}
