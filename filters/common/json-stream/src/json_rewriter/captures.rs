//! The members that are kept of a document.

use super::Fault;
use super::string::InString;
use super::unescape::Unescape;

/// How a member is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) keep: Keep,
    /// The longest that is kept, in bytes.
    pub(crate) most: usize,
}

/// Which value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The first. That the document has another at the same place is a fault: it goes on under a value that its reader may not take.
    First,
    /// The last that is a number.
    LastNumber,
}

/// What stood at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// A string without its escapes; the text of a number, of `true`, `false` or `null`.
    Text(Vec<u8>),
    /// An object or an array.
    Container,
    /// A string or a number that is longer than what is kept, or a string that no text can be: it has half a surrogate pair.
    Unfit,
}

/// The members that are kept, by the operation that asks for them, and the one that is being read.
#[derive(Debug, Default)]
pub(super) struct Captures {
    done: Vec<(usize, Captured)>,
    reading: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    operation: usize,
    most: usize,
    unescape: Unescape,
    /// `None`: it is longer than what is kept.
    text: Option<Vec<u8>>,
}

impl Captures {
    /// What the operation has kept.
    pub(super) fn get(&self, operation: usize) -> Option<&Captured> {
        let found = self.done.iter().find(|(of, _)| *of == operation);
        found.map(|(_, captured)| captured)
    }

    /// How many operations have met their member.
    pub(super) fn count(&self) -> usize {
        self.done.len()
    }

    /// The bytes that are kept.
    pub(super) fn held_bytes(&self) -> usize {
        let done = self.done.iter().map(|(_, captured)| match captured {
            Captured::Text(text) => text.len(),
            Captured::Container | Captured::Unfit => 0,
        });
        let reading = self.reading.as_ref().and_then(|one| one.text.as_ref());
        done.sum::<usize>()
            .saturating_add(reading.map_or(0, Vec::len))
    }

    /// A value begins with this byte.
    pub(super) fn begin(
        &mut self,
        operation: usize,
        capture: Capture,
        byte: u8,
    ) -> Result<(), Fault> {
        let is_number = matches!(byte, b'-' | b'0'..=b'9');
        match capture.keep {
            Keep::First if self.get(operation).is_some() => return Err(Fault::DuplicateMember),
            Keep::LastNumber if !is_number => return Ok(()),
            Keep::First | Keep::LastNumber => {}
        }
        if matches!(byte, b'{' | b'[') {
            self.done.push((operation, Captured::Container));
            return Ok(());
        }
        self.reading = Some(Reading {
            operation,
            most: capture.most,
            unescape: Unescape::default(),
            text: Some(Vec::new()),
        });
        match byte {
            b't' => self.text(b"true"),
            b'f' => self.text(b"false"),
            b'n' => self.text(b"null"),
            _ => {}
        }
        Ok(())
    }

    /// Whether a value is being read.
    pub(super) fn are_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Text of the value that stands for itself.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.read(|unescape, out| unescape.text(text, out));
    }

    /// A byte of the string that is the value, read at this place in it.
    pub(super) fn byte(&mut self, byte: u8, place: InString) {
        self.read(|unescape, out| unescape.byte(byte, place, out));
    }

    fn read(&mut self, read: impl FnOnce(&mut Unescape, &mut dyn FnMut(&[u8]))) {
        if let Some(reading) = &mut self.reading {
            let (text, most) = (&mut reading.text, reading.most);
            read(&mut reading.unescape, &mut |bytes: &[u8]| {
                let fits = |text: &Vec<u8>| text.len().saturating_add(bytes.len()) <= most;
                *text = text.take().filter(fits);
                if let Some(text) = text {
                    text.extend_from_slice(bytes);
                }
            });
        }
    }

    /// The value has ended.
    pub(super) fn end(&mut self) {
        self.read(Unescape::end);
        let Some(Reading {
            operation,
            unescape,
            text,
            ..
        }) = self.reading.take()
        else {
            return;
        };
        let captured = match text.filter(|_| !unescape.has_half_a_pair) {
            Some(text) => Captured::Text(text),
            None => Captured::Unfit,
        };
        match self.done.iter_mut().find(|(of, _)| *of == operation) {
            // A number that is not kept does not stand for the one before it.
            Some((_, earlier)) if captured != Captured::Unfit => *earlier = captured,
            Some(_) => {}
            None => self.done.push((operation, captured)),
        }
    }
}
