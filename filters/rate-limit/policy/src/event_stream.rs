//! The data of an event stream (HTML, section 9.2), as it streams by.

/// An event stream under way. It holds no byte of it.
#[derive(Debug)]
pub(crate) struct EventStream {
    place: Place,
    /// The last byte was a carriage return, which a line feed may belong to.
    after_return: bool,
}

/// What a chunk of the stream has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Data of the event that is under way.
    Data(&'a [u8]),
    /// A line of its data has ended.
    LineEnd,
    /// The event has ended.
    EventEnd,
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
    pub(crate) fn new() -> EventStream {
        EventStream {
            place: Place::Mark(0),
            after_return: false,
        }
    }

    /// Reads the next bytes, and hands on what they are. The blank that may follow a field's name is handed on with its value.
    pub(crate) fn read<'a>(&mut self, chunk: &'a [u8], mut piece: impl FnMut(Piece<'a>)) {
        let mut rest = chunk;
        while let Some((byte, behind)) = rest.split_first() {
            if std::mem::take(&mut self.after_return) && *byte == b'\n' {
                rest = behind;
                continue;
            }
            match self.place {
                Place::Mark(read) if MARK.get(read) == Some(byte) => {
                    self.place = match read.saturating_add(1) {
                        read if read < MARK.len() => Place::Mark(read),
                        _ => Place::Name(0),
                    };
                    rest = behind;
                }
                // What has begun as a mark and is none is a line of some name.
                Place::Mark(0) => self.place = Place::Name(0),
                Place::Mark(_) => self.place = Place::Other,
                Place::Name(read) if NAME.get(read) == Some(byte) => {
                    self.place = match read.saturating_add(1) {
                        read if read < NAME.len() => Place::Name(read),
                        _ => Place::Data,
                    };
                    rest = behind;
                }
                Place::Name(read) if is_line_end(*byte) => {
                    if read == 0 {
                        piece(Piece::EventEnd);
                    }
                    rest = self.line_ended(*byte, behind);
                }
                Place::Name(_) => self.place = Place::Other,
                Place::Data | Place::Other => {
                    let is_data = self.place == Place::Data;
                    let end = rest.iter().position(|byte| is_line_end(*byte));
                    let (line, end) = rest
                        .split_at_checked(end.unwrap_or(rest.len()))
                        .unwrap_or((rest, &[]));
                    if is_data && !line.is_empty() {
                        piece(Piece::Data(line));
                    }
                    rest = match end.split_first() {
                        Some((byte, behind)) => {
                            if is_data {
                                piece(Piece::LineEnd);
                            }
                            self.line_ended(*byte, behind)
                        }
                        None => end,
                    };
                }
            }
        }
    }

    fn line_ended<'a>(&mut self, byte: u8, behind: &'a [u8]) -> &'a [u8] {
        self.after_return = byte == b'\r';
        self.place = Place::Name(0);
        behind
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
            stream.read(chunk, |piece| match piece {
                Piece::Data(bytes) => data.extend_from_slice(bytes),
                Piece::LineEnd => data.push(b'\n'),
                Piece::EventEnd => {
                    events.push(String::from_utf8(std::mem::take(&mut data)).unwrap());
                }
            });
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
