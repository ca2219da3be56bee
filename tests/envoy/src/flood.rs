//! More requests than a library sends in reasonable time: HTTP/2 frames by hand (RFC 9113), headers without compression
//! (RFC 7541).

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Client;
use crate::client::DEADLINE;

/// The statuses of many answers, and how often each came.
pub type Statuses = BTreeMap<u16, u64>;

/// Requests under way at a time on one connection.
const AT_ONCE: usize = 100;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// No table of headers that came before: each answer can be read by itself.
const NO_DYNAMIC_TABLE: [u8; 6] = [0, 1, 0, 0, 0, 0];
/// Bodies of all answers together, which nobody reads.
const WINDOW: u32 = 0x7fff_0000;

impl Client {
    /// Sends `GET /` many times over one HTTP/2 connection in the clear, a hundred at a time, each with one value of the header
    /// `name`, and counts the statuses of the answers.
    ///
    /// # Panics
    /// If a request gets no answer.
    pub fn flood(&self, name: &str, values: impl IntoIterator<Item = String>) -> Statuses {
        self.try_flood(name, values.into_iter())
            .unwrap_or_else(|error| panic!("a flood of requests: {error}"))
    }

    fn try_flood(
        &self,
        name: &str,
        mut values: impl Iterator<Item = String>,
    ) -> io::Result<Statuses> {
        let mut output = TcpStream::connect(self.address())?;
        output.set_nodelay(true)?;
        output.set_read_timeout(Some(DEADLINE))?;
        let mut input = BufReader::with_capacity(64 * 1024, output.try_clone()?);
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        push_frame(&mut sent, SETTINGS, 0, 0, &NO_DYNAMIC_TABLE);
        push_frame(&mut sent, WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes());
        let (mut stream, mut under_way) = (1, 0);
        let mut statuses = Statuses::new();
        loop {
            // Half of them at a time: a write for each would cost more than the request.
            if under_way <= AT_ONCE / 2 {
                for value in values.by_ref().take(AT_ONCE - under_way) {
                    let head = head(name, &value);
                    push_frame(&mut sent, HEADERS, END_STREAM | END_HEADERS, stream, &head);
                    stream += 2;
                    under_way += 1;
                }
            }
            output.write_all(&sent)?;
            sent.clear();
            if under_way == 0 {
                return Ok(statuses);
            }
            let frame = Frame::read(&mut input)?;
            match frame.kind {
                HEADERS => *statuses.entry(status(&frame.payload)?).or_default() += 1,
                SETTINGS if frame.flags & ACK == 0 => push_frame(&mut sent, SETTINGS, ACK, 0, &[]),
                PING if frame.flags & ACK == 0 => {
                    push_frame(&mut sent, PING, ACK, 0, &frame.payload);
                }
                DATA | SETTINGS | PING | WINDOW_UPDATE => {}
                kind => return Err(io::Error::other(format!("a frame of type {kind}"))),
            }
            if [HEADERS, DATA].contains(&frame.kind) && frame.flags & END_STREAM != 0 {
                under_way -= 1;
            }
        }
    }
}

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Frame {
    fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 9];
        input.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        input.read_exact(&mut payload)?;
        Ok(Self {
            kind: head[3],
            flags: head[4],
            payload,
        })
    }
}

fn push_frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a frame of ours is small");
    bytes.extend_from_slice(&length.to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// `GET`, `http`, `/` by their numbers in the static table, the rest as literals.
fn head(name: &str, value: &str) -> Vec<u8> {
    let mut head = vec![0x82, 0x86, 0x84, 0x01];
    for text in ["a.test", name, value] {
        if text == name {
            head.push(0);
        }
        // A length of up to 126 is one byte.
        head.push(u8::try_from(text.len()).expect("short texts"));
        head.extend_from_slice(text.as_bytes());
    }
    head
}

/// `:status`, which comes first: by its number in the static table, or as a literal with the name's number.
fn status(block: &[u8]) -> io::Result<u16> {
    // The change of the table's size comes once, before everything else.
    let block = block.strip_prefix(&[0x20]).unwrap_or(block);
    let number = match block {
        [indexed @ 0x88..=0x8e, ..] => {
            let known = [200, 204, 206, 304, 400, 404, 500];
            known.get(usize::from(indexed - 0x88)).copied()
        }
        [0x08 | 0x18 | 0x48, length, text @ ..] => {
            let text = text.get(..usize::from(length & 0x7f)).unwrap_or_default();
            match length & 0x80 {
                0 => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok()),
                _ => digits(text),
            }
        }
        _ => None,
    };
    number.ok_or_else(|| io::Error::other(format!("no status in {}", block.escape_ascii())))
}

/// Digits in the Huffman code of RFC 7541: 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> Option<u16> {
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |place| u16::from(byte >> place & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let five = (0..5).try_fold(0, |sum, _| Some(sum << 1 | bits.next()?))?;
        let digit = match five {
            0..=2 => five,
            _ => (five << 1 | bits.next()?).checked_sub(22)?,
        };
        number = number * 10 + digit;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A status that is read as another makes a flood that was refused one that was let in.
    #[test]
    fn statuses_are_read_in_each_form() {
        for (block, expected) in [
            (&[0x88][..], 200),
            (&[0x20, 0x8d, 0x00], 404),
            (b"\x48\x03429", 429),
            (b"\x08\x03503", 503),
            // RFC 7541 appendix C.6.1: 302; and 429 by the table of appendix B.
            (&[0x48, 0x82, 0x64, 0x02], 302),
            (&[0x48, 0x83, 0b0110_1000, 0b0100_1111, 0b1111_1111], 429),
        ] {
            assert_eq!(status(block).unwrap(), expected, "{}", block.escape_ascii());
        }
        for block in [&[][..], &[0x40], &[0x48, 0x82]] {
            assert!(status(block).is_err());
        }
    }

    #[test]
    fn a_head_is_what_it_says() {
        let head = head("x-a", "bc");
        assert_eq!(head, b"\x82\x86\x84\x01\x06a.test\x00\x03x-a\x02bc");
    }
}
