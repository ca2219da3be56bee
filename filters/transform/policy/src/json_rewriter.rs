//! Changes a JSON document as it streams by.
//!
//! Bytes go in as they come and out as soon as it is known what becomes of them. Held back are at most one separator and
//! the part of a key that could still be a name of the program's; never a value, and nothing once the document has closed.
//! What no operation touches goes out byte by byte as it came in.
//!
//! The grammar is that of RFC 8259, strictly: UTF-8 without a byte order mark, no trailing commas, one value. A key that an
//! operation may apply to has its escapes read, so that `"\u0061"` is the name `a`; a key that occurs twice is treated so
//! twice.

use std::rc::Rc;

use thiserror::Error;

use crate::operation::{Change, Program, Set};

/// A document under way.
#[derive(Debug)]
pub struct JsonRewriter {
    program: Rc<Program>,
    state: State,
    open: Vec<Frame>,
    /// What becomes of the value that comes next.
    next: Next,
    /// The level at which a value ends that is left out.
    muted: Option<usize>,
    /// The separator, and the key as far as it is not decided.
    held: Vec<u8>,
    /// The key that is being read, where it matters.
    key: Option<Key>,
    /// Bytes that came in, and bytes that operations have put in.
    read: u64,
    written: u64,
    broken: Option<Broken>,
}

/// Why a document cannot be read. It says nothing of the document's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// A byte that the grammar does not have at this place.
    #[error("not JSON")]
    Syntax,
    /// More levels than [`JsonRewriter::MAX_DEPTH`].
    #[error("too many levels")]
    TooDeep,
    /// Bytes in a string that are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Half of a surrogate pair in a key that could be a name of the program's: readers disagree on what it is.
    #[error("half a surrogate pair in a key")]
    LoneSurrogate,
    /// Something other than blanks after the document.
    #[error("data after the document")]
    TrailingData,
    /// The operations would put in more than [`JsonRewriter::MAX_WRITTEN`] bytes and 16 for each that came.
    #[error("operations write too much")]
    TooLong,
    /// The message says that it has no body.
    #[error("a body where none was announced")]
    Unannounced,
    /// The body is over and the document is not.
    #[error("incomplete")]
    Incomplete,
}

#[derive(Debug)]
struct Frame {
    is_object: bool,
    /// The operations that may reach a child.
    active: Set,
    /// The operations that have reached one.
    seen: Set,
    /// How many elements an array has had.
    elements: u64,
    /// Whether a child has gone out.
    kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a value; `or_end` in an array that may still be empty.
    Value {
        or_end: bool,
    },
    /// Before a key; `or_end` in an object that may still be empty.
    Key {
        or_end: bool,
    },
    Colon,
    /// After a value.
    After,
    String {
        is_key: bool,
        inner: InString,
    },
    Number(Number),
    /// What is left of `true`, `false` or `null`.
    Literal(&'static [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InString {
    Text,
    Escape,
    /// Hexadecimal digits that are left, and the value so far.
    Hex {
        left: u8,
        unit: u16,
    },
    /// Bytes of a character that are left, and the bounds of the next.
    Utf8 {
        left: u8,
        low: u8,
        high: u8,
    },
}

/// What has been read of a number (RFC 8259 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It goes out; these operations may reach inside it.
    Keep(Set),
    /// The text of this operation goes out in its place.
    Replace(usize),
}

/// A key, decoded as far as it can be a name.
#[derive(Debug, Default)]
struct Key {
    text: Vec<u8>,
    high_surrogate: Option<u16>,
}

impl JsonRewriter {
    /// The most levels of arrays and objects.
    pub const MAX_DEPTH: usize = 64;
    /// The most blanks that stay between two members of an object, or elements of an array, that an operation may reach;
    /// further ones are left out, so that none need be held back.
    pub const MAX_BLANKS: usize = 4096;
    /// What operations may put into a document, in bytes, beside 16 for each byte that came in. Two bytes of a client's,
    /// `0,`, can make 64 KiB of them.
    pub const MAX_WRITTEN: u64 = 1 << 20;

    /// Nothing read yet.
    pub fn new(program: Rc<Program>) -> JsonRewriter {
        JsonRewriter {
            next: Next::Keep(program.all()),
            program,
            state: State::Value { or_end: false },
            open: Vec::new(),
            muted: None,
            held: Vec::new(),
            key: None,
            read: 0,
            written: 0,
            broken: None,
        }
    }

    /// Reads the next bytes and appends to `out` what may go on.
    ///
    /// # Errors
    /// The document cannot be read, now or at an earlier call. What has been appended must not go on then.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            let text = self.plain_text(rest);
            let length = u64::try_from(text.len().max(1)).unwrap_or(u64::MAX);
            self.read = self.read.saturating_add(length);
            let read = if text.is_empty() {
                rest = after;
                self.step(byte, out)
            } else {
                rest = rest.get(text.len()..).unwrap_or_default();
                self.text(text, out)
            };
            if let Err(broken) = read {
                self.broken = Some(broken);
                return Err(broken);
            }
        }
        Ok(())
    }

    /// Whether the document has closed. A number at the root closes wherever it could.
    pub fn is_complete(&self) -> bool {
        self.broken.is_none()
            && self.open.is_empty()
            && match self.state {
                State::After => true,
                State::Number(number) => number.may_end(),
                _ => false,
            }
    }

    /// The body is over.
    ///
    /// # Errors
    /// The document has not closed, or could not be read.
    pub fn finish(&mut self) -> Result<(), Broken> {
        match self.broken {
            Some(broken) => Err(broken),
            None if self.is_complete() => Ok(()),
            None => Err(Broken::Incomplete),
        }
    }

    /// The ASCII text at the start of `rest`, if a string is open: by far most of what a document consists of.
    fn plain_text<'a>(&self, rest: &'a [u8]) -> &'a [u8] {
        if !matches!(
            self.state,
            State::String {
                inner: InString::Text,
                ..
            }
        ) {
            return &[];
        }
        let is_plain = |byte: &u8| matches!(byte, 0x20..=0x7f if *byte != b'"' && *byte != b'\\');
        let length = rest.iter().position(|byte| !is_plain(byte));
        rest.get(..length.unwrap_or(rest.len())).unwrap_or_default()
    }

    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let mut rest = text;
        while self.key.is_some()
            && let Some((byte, after)) = rest.split_first()
        {
            rest = after;
            self.write(*byte, out);
            self.decoded(&[*byte], out)?;
        }
        self.emit(rest, out);
        Ok(())
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Broken> {
        match self.state {
            State::Value { or_end } => self.before_value(byte, or_end, out),
            State::Key { or_end } => self.before_key(byte, or_end, out),
            State::Colon => {
                if byte == b':' {
                    self.state = State::Value { or_end: false };
                } else if !is_blank(byte) {
                    return Err(Broken::Syntax);
                }
                self.write(byte, out);
                Ok(())
            }
            State::After => self.after_value(byte, out),
            State::String { is_key, inner } => self.in_string(byte, is_key, inner, out),
            State::Number(number) => match number.next(byte) {
                Some(number) => {
                    self.state = State::Number(number);
                    self.write(byte, out);
                    Ok(())
                }
                None if number.may_end() => {
                    self.value_ended();
                    self.after_value(byte, out)
                }
                None => Err(Broken::Syntax),
            },
            State::Literal(left) => match left.split_first() {
                Some((expected, left)) if *expected == byte => {
                    self.write(byte, out);
                    if left.is_empty() {
                        self.value_ended();
                    } else {
                        self.state = State::Literal(left);
                    }
                    Ok(())
                }
                _ => Err(Broken::Syntax),
            },
        }
    }

    fn before_value(&mut self, byte: u8, or_end: bool, out: &mut Vec<u8>) -> Result<(), Broken> {
        if is_blank(byte) {
            self.write_blank(byte, out);
            return Ok(());
        }
        if or_end && byte == b']' {
            return self.close(byte, out);
        }
        let state = match byte {
            b'{' | b'[' => {
                if self.open.len() >= Self::MAX_DEPTH {
                    return Err(Broken::TooDeep);
                }
                State::After
            }
            b'"' => State::String {
                is_key: false,
                inner: InString::Text,
            },
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => return Err(Broken::Syntax),
        };
        self.judge_element(out);
        let inside = match std::mem::replace(&mut self.next, Next::Keep(0)) {
            Next::Keep(inside) => inside,
            Next::Replace(operation) => {
                let program = Rc::clone(&self.program);
                if let Some(Change::Replace(text) | Change::Set(text)) = program.change(operation) {
                    self.count_written(text)?;
                    self.emit(text, out);
                }
                self.mute();
                0
            }
        };
        self.write(byte, out);
        match byte {
            b'{' => self.open(true, inside),
            b'[' => self.open(false, inside),
            _ => self.state = state,
        }
        Ok(())
    }

    fn open(&mut self, is_object: bool, active: Set) {
        self.open.push(Frame {
            is_object,
            active: if self.muted.is_some() { 0 } else { active },
            seen: 0,
            elements: 0,
            kept: false,
        });
        self.state = if is_object {
            State::Key { or_end: true }
        } else {
            State::Value { or_end: true }
        };
    }

    fn before_key(&mut self, byte: u8, or_end: bool, out: &mut Vec<u8>) -> Result<(), Broken> {
        match byte {
            _ if is_blank(byte) => {
                self.write_blank(byte, out);
                Ok(())
            }
            b'"' => {
                self.state = State::String {
                    is_key: true,
                    inner: InString::Text,
                };
                if self.holds() {
                    self.key = Some(Key::default());
                }
                self.write(byte, out);
                Ok(())
            }
            b'}' if or_end => self.close(byte, out),
            _ => Err(Broken::Syntax),
        }
    }

    fn after_value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Broken> {
        let is_object = self.open.last().map(|frame| frame.is_object);
        match (byte, is_object) {
            _ if is_blank(byte) => {
                self.write(byte, out);
                Ok(())
            }
            (_, None) => Err(Broken::TrailingData),
            (b',', Some(is_object)) => {
                self.state = if is_object {
                    State::Key { or_end: false }
                } else {
                    State::Value { or_end: false }
                };
                if self.holds() {
                    self.held.push(byte);
                } else {
                    self.write(byte, out);
                }
                Ok(())
            }
            (b'}', Some(true)) | (b']', Some(false)) => self.close(byte, out),
            _ => Err(Broken::Syntax),
        }
    }

    fn close(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Broken> {
        let blanks = std::mem::take(&mut self.held);
        self.emit(&blanks, out);
        let level = self.open.len().saturating_sub(1);
        if let Some(frame) = self.open.pop()
            && frame.is_object
            && self.muted.is_none()
        {
            let mut comma = frame.kept;
            let program = Rc::clone(&self.program);
            for (name, value) in program.missing(frame.active, frame.seen, level) {
                self.count_written(name.as_bytes())?;
                self.count_written(value)?;
                if comma {
                    out.push(b',');
                }
                comma = true;
                out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
                out.push(b':');
                out.extend_from_slice(value);
            }
        }
        self.write(byte, out);
        self.value_ended();
        Ok(())
    }

    fn value_ended(&mut self) {
        self.state = State::After;
        if self.muted == Some(self.open.len()) {
            self.muted = None;
        }
    }

    fn in_string(
        &mut self,
        byte: u8,
        is_key: bool,
        part: InString,
        out: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        if part == InString::Text && byte == b'"' {
            self.write(byte, out);
            if is_key {
                self.state = State::Colon;
                if let Some(key) = self.key.take() {
                    if key.high_surrogate.is_some() {
                        return Err(Broken::LoneSurrogate);
                    }
                    self.judge_member(std::str::from_utf8(&key.text).ok(), out);
                }
            } else {
                self.value_ended();
            }
            return Ok(());
        }
        let inner = match part {
            InString::Text => match byte {
                b'\\' => InString::Escape,
                0..=0x1f => return Err(Broken::Syntax),
                _ => InString::lead(byte).ok_or(Broken::NotUtf8)?,
            },
            InString::Utf8 { left, low, high } if (low..=high).contains(&byte) => {
                match left.saturating_sub(1) {
                    0 => InString::Text,
                    left => InString::Utf8 {
                        left,
                        low: 0x80,
                        high: 0xbf,
                    },
                }
            }
            InString::Utf8 { .. } => return Err(Broken::NotUtf8),
            InString::Escape => match byte {
                b'u' => InString::Hex { left: 4, unit: 0 },
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => InString::Text,
                _ => return Err(Broken::Syntax),
            },
            InString::Hex { left, unit } => {
                let digit = char::from(byte).to_digit(16).ok_or(Broken::Syntax)?;
                let digit = u16::try_from(digit).map_err(|_| Broken::Syntax)?;
                let unit = unit.wrapping_shl(4) | digit;
                match left.saturating_sub(1) {
                    0 => InString::Text,
                    left => InString::Hex { left, unit },
                }
            }
        };
        self.state = State::String { is_key, inner };
        self.write(byte, out);
        if self.key.is_some() {
            self.decode(byte, part, out)?;
        }
        Ok(())
    }

    /// What the byte at hand adds to the key.
    fn decode(&mut self, byte: u8, part: InString, out: &mut Vec<u8>) -> Result<(), Broken> {
        match part {
            InString::Text if byte == b'\\' => Ok(()),
            InString::Text | InString::Utf8 { .. } => self.decoded(&[byte], out),
            InString::Escape => {
                let letter = match byte {
                    b'u' => return Ok(()),
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                };
                self.decoded(&[letter], out)
            }
            InString::Hex { left: 1, unit } => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let unit = u32::from(unit.wrapping_shl(4)) | digit;
                self.decoded_unit(u16::try_from(unit).unwrap_or_default(), out)
            }
            InString::Hex { .. } => Ok(()),
        }
    }

    /// One `\uXXXX` of the key.
    fn decoded_unit(&mut self, unit: u16, out: &mut Vec<u8>) -> Result<(), Broken> {
        let Some(key) = &mut self.key else {
            return Ok(());
        };
        let units = match key.high_surrogate.take() {
            Some(high) => [Some(high), Some(unit)],
            None if (0xd800..0xdc00).contains(&unit) => {
                key.high_surrogate = Some(unit);
                return Ok(());
            }
            None => [Some(unit), None],
        };
        let mut letter = char::decode_utf16(units.into_iter().flatten());
        let (Some(Ok(letter)), None) = (letter.next(), letter.next()) else {
            return Err(Broken::LoneSurrogate);
        };
        let mut bytes = [0; 4];
        self.decoded(letter.encode_utf8(&mut bytes).as_bytes(), out)
    }

    /// More of the key. Once it is longer than every name it is decided that it is none.
    fn decoded(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let longest = self.program.longest_name();
        let Some(key) = &mut self.key else {
            return Ok(());
        };
        // Only the other half may follow a first half.
        if key.high_surrogate.is_some() {
            return Err(Broken::LoneSurrogate);
        }
        key.text.extend_from_slice(bytes);
        if key.text.len() > longest {
            self.key = None;
            self.judge_member(None, out);
        }
        Ok(())
    }

    /// Decides what becomes of a member. `name` is absent if the key is longer than every name.
    fn judge_member(&mut self, name: Option<&str>, out: &mut Vec<u8>) {
        let Some((active, level)) = self.place() else {
            return;
        };
        let verdict = self
            .program
            .judge(active, level, |segment| segment.is_member(name));
        self.apply(verdict.operation, verdict.inside, verdict.here, out);
    }

    /// Decides what becomes of an element of an array, at its first byte.
    fn judge_element(&mut self, out: &mut Vec<u8>) {
        let Some((active, level)) = self.place().filter(|_| self.holds()) else {
            return;
        };
        let Some(frame) = self.open.last_mut().filter(|frame| !frame.is_object) else {
            return;
        };
        let position = frame.elements;
        frame.elements = position.saturating_add(1);
        let verdict = self
            .program
            .judge(active, level, |segment| segment.is_element(position));
        self.apply(verdict.operation, verdict.inside, verdict.here, out);
    }

    fn apply(&mut self, operation: Option<usize>, inside: Set, here: Set, out: &mut Vec<u8>) {
        if let Some(frame) = self.open.last_mut() {
            frame.seen |= here;
        }
        let change = operation.and_then(|operation| self.program.change(operation));
        self.next = match (operation, change) {
            (Some(_), Some(Change::Remove)) => {
                self.held.clear();
                self.mute();
                Next::Keep(0)
            }
            (Some(operation), Some(_)) => {
                self.release(out);
                Next::Replace(operation)
            }
            _ => {
                self.release(out);
                Next::Keep(inside)
            }
        };
    }

    /// Lets out the separator, and what is held of the key. The first child that goes out needs no comma.
    fn release(&mut self, out: &mut Vec<u8>) {
        let Some(frame) = self.open.last_mut() else {
            return;
        };
        let held = match self.held.split_first() {
            Some((b',', rest)) if !frame.kept => rest,
            _ => self.held.as_slice(),
        };
        out.extend_from_slice(held);
        frame.kept = true;
        self.held.clear();
    }

    /// Until the value that comes next, or is at its first byte, has ended.
    fn mute(&mut self) {
        self.muted = self.muted.or(Some(self.open.len()));
    }

    /// The operations that may reach a child of the innermost container, and how deep it is.
    fn place(&self) -> Option<(Set, usize)> {
        let frame = self.open.last()?;
        Some((frame.active, self.open.len().saturating_sub(1)))
    }

    /// Whether children of the innermost container are decided upon, and so separators are held back.
    fn holds(&self) -> bool {
        self.muted.is_none() && self.open.last().is_some_and(|frame| frame.active != 0)
    }

    /// A blank in front of a key or value: part of the separator, unless this is the value of a member.
    fn write_blank(&mut self, byte: u8, out: &mut Vec<u8>) {
        let in_object = self.open.last().is_some_and(|frame| frame.is_object);
        let of_member = in_object && matches!(self.state, State::Value { .. });
        if of_member || !self.holds() {
            self.write(byte, out);
        } else if self.held.len() < Self::MAX_BLANKS {
            self.held.push(byte);
        }
    }

    /// One byte: out, held with its key, or left out.
    fn write(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.key.is_some() {
            self.held.push(byte);
        } else if self.muted.is_none() {
            out.push(byte);
        }
    }

    /// Counts what an operation is about to put in. It depends on the bytes so far alone, not on how they were cut.
    fn count_written(&mut self, text: &[u8]) -> Result<(), Broken> {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.written = self.written.saturating_add(length);
        if self.written > Self::MAX_WRITTEN.saturating_add(self.read.saturating_mul(16)) {
            return Err(Broken::TooLong);
        }
        Ok(())
    }

    fn emit(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.muted.is_none() {
            out.extend_from_slice(bytes);
        }
    }
}

impl InString {
    /// What follows the first byte of a character (RFC 3629 section 4).
    fn lead(byte: u8) -> Option<InString> {
        let (left, low, high) = match byte {
            0x20..=0x7f => return Some(InString::Text),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xe1..=0xec | 0xee..=0xef => (2, 0x80, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return None,
        };
        Some(InString::Utf8 { left, low, high })
    }
}

impl Number {
    fn next(self, byte: u8) -> Option<Number> {
        Some(match (self, byte) {
            (Number::Minus, b'0') => Number::Zero,
            (Number::Minus, b'1'..=b'9') | (Number::Integer, b'0'..=b'9') => Number::Integer,
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

    fn may_end(self) -> bool {
        matches!(
            self,
            Number::Zero | Number::Integer | Number::Fraction | Number::ExponentDigits
        )
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
