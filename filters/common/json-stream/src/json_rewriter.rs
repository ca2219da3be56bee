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

use crate::bindings::Bindings;
use crate::operation::{Change, Child, Program, Verdict};
use crate::position_set::PositionSet;

mod captures;
mod cut;
mod key;
mod number;
mod scan;
mod string;

pub use captures::Captured;
use captures::Captures;
pub(crate) use captures::{Capture, Keep};
use cut::Cut;
use key::Key;
use number::Number;
use string::InString;

/// A document under way.
#[derive(Debug)]
pub struct JsonRewriter {
    program: Rc<Program>,
    bindings: Bindings,
    state: State,
    open: Vec<Frame>,
    /// What becomes of the value that comes next.
    next: Next,
    /// The level at which a value ends that is left out.
    muted: Option<usize>,
    /// Of earlier chunks: the separator, and the key as far as it is not decided.
    held: Vec<u8>,
    /// The key that is being read, where it matters and is in more than one piece.
    key: Option<Key>,
    captures: Captures,
    /// Bytes of earlier chunks, and bytes that operations have put in.
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
    /// A second value at a place of which the first was taken.
    #[error("a member twice")]
    Repeated,
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
    /// What of the program applies to its children.
    active: PositionSet,
    /// What of it has ended at one.
    seen: PositionSet,
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
enum Next {
    /// It goes out; this of the program applies to what is inside it.
    Keep(PositionSet),
    /// The text of this operation goes out in its place.
    Replace(usize),
    /// It goes out, and this operation keeps it; this applies to what is inside it.
    Capture(usize, PositionSet),
}

impl Next {
    const NOTHING: Next = Next::Keep(PositionSet::EMPTY);
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

    /// Nothing read yet of a message with these bindings.
    pub fn new(program: Rc<Program>, bindings: Bindings) -> JsonRewriter {
        JsonRewriter {
            next: Next::Keep(program.start(&bindings)),
            program,
            bindings,
            state: State::Value { or_end: false },
            open: Vec::new(),
            muted: None,
            held: Vec::new(),
            key: None,
            captures: Captures::default(),
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
        if !self.rewrite(chunk, out)? {
            out.extend_from_slice(chunk);
        }
        Ok(())
    }

    /// Reads the next bytes. `true`: what may go on has been appended to `out`; `false`: all of them may, as they came, and
    /// nothing was appended.
    ///
    /// # Errors
    /// As for [`JsonRewriter::push`].
    pub fn rewrite(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<bool, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let mut cut = Cut::new(chunk, out, !self.held.is_empty());
        while let Some(byte) = cut.rest().first() {
            if let Err(broken) = self.step(*byte, &mut cut) {
                self.broken = Some(broken);
                return Err(broken);
            }
        }
        self.read = self.read.saturating_add(length_of(chunk.len()));
        Ok(cut.finish(self.muted.is_some(), &mut self.held))
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

    /// What an operation has captured.
    pub(crate) fn captured(&self, operation: usize) -> Option<&Captured> {
        self.captures.get(operation)
    }

    /// How many operations have captured something.
    pub(crate) fn captures(&self) -> usize {
        self.captures.count()
    }

    /// The bytes that are held of values.
    pub(crate) fn captured_bytes(&self) -> usize {
        self.captures.held_bytes()
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

    /// Reads on from the byte at hand, as far as one rule of the grammar goes.
    fn step(&mut self, byte: u8, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        match self.state {
            State::Value { or_end } => self.before_value(byte, or_end, cut),
            State::Key { or_end } => self.before_key(byte, or_end, cut),
            State::Colon => {
                if byte == b':' {
                    self.state = State::Value { or_end: false };
                    cut.skip(1);
                } else if is_blank(byte) {
                    cut.skip(scan::blanks(cut.rest()));
                } else {
                    return Err(Broken::Syntax);
                }
                Ok(())
            }
            State::After => self.after_value(byte, cut),
            State::String { is_key, inner } => self.in_string(byte, is_key, inner, cut),
            State::Number(number) => {
                let rest = cut.rest();
                let (number, length) = number.advance(rest);
                self.captures.text(rest.get(..length).unwrap_or_default());
                cut.skip(length);
                if cut.rest().is_empty() {
                    self.state = State::Number(number);
                } else if number.may_end() {
                    self.value_ended(cut);
                } else {
                    return Err(Broken::Syntax);
                }
                Ok(())
            }
            State::Literal(left) => match left.split_first() {
                Some((expected, left)) if *expected == byte => {
                    cut.skip(1);
                    self.state = State::Literal(left);
                    if left.is_empty() {
                        self.value_ended(cut);
                    }
                    Ok(())
                }
                _ => Err(Broken::Syntax),
            },
        }
    }

    fn before_value(
        &mut self,
        byte: u8,
        or_end: bool,
        cut: &mut Cut<'_, '_>,
    ) -> Result<(), Broken> {
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
            b']' if or_end => return self.close(cut),
            _ if is_blank(byte) => {
                // The blank between a name and its value is no part of a separator.
                let is_of_member = self.open.last().is_some_and(|frame| frame.is_object);
                self.blanks(is_of_member, cut);
                return Ok(());
            }
            _ => return Err(Broken::Syntax),
        };
        self.judge_element(cut)?;
        let inside = match std::mem::replace(&mut self.next, Next::NOTHING) {
            Next::Keep(inside) => inside,
            Next::Replace(operation) => {
                let program = Rc::clone(&self.program);
                if let Some(Change::Replace(text) | Change::Set(text)) = program.change(operation) {
                    self.count_written(self.bindings.text(text).len(), cut)?;
                    cut.insert(self.bindings.text(text));
                }
                self.mute();
                PositionSet::default()
            }
            Next::Capture(operation, inside) => {
                if let Some(Change::Capture(capture)) = self.program.change(operation) {
                    self.captures.begin(operation, *capture, byte)?;
                }
                inside
            }
        };
        cut.skip(1);
        match byte {
            b'{' => self.open(true, inside),
            b'[' => self.open(false, inside),
            _ => self.state = state,
        }
        Ok(())
    }

    fn open(&mut self, is_object: bool, inside: PositionSet) {
        let active = if self.muted.is_some() {
            PositionSet::default()
        } else {
            inside
        };
        self.open.push(Frame {
            is_object,
            active,
            seen: PositionSet::default(),
            elements: 0,
            kept: false,
        });
        self.state = if is_object {
            State::Key { or_end: true }
        } else {
            State::Value { or_end: true }
        };
    }

    fn before_key(&mut self, byte: u8, or_end: bool, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        match byte {
            b'"' if self.holds() => self.begin_key(cut),
            b'"' => {
                self.state = State::String {
                    is_key: true,
                    inner: InString::Text,
                };
                cut.skip(1);
                Ok(())
            }
            b'}' if or_end => self.close(cut),
            _ if is_blank(byte) => {
                self.blanks(false, cut);
                Ok(())
            }
            _ => Err(Broken::Syntax),
        }
    }

    /// A key that an operation may mean. Nearly all are in one piece, and written plainly.
    fn begin_key(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        cut.hold();
        cut.skip(1);
        let rest = cut.rest();
        let length = scan::ascii_text(rest);
        let is_whole = rest.get(length) == Some(&b'"');
        match rest.get(..length).filter(|_| is_whole) {
            Some(name) => {
                cut.skip(length.saturating_add(1));
                self.state = State::Colon;
                self.judge_member(name, cut)?;
            }
            None => {
                self.key = Some(Key::default());
                self.state = State::String {
                    is_key: true,
                    inner: InString::Text,
                };
            }
        }
        Ok(())
    }

    fn after_value(&mut self, byte: u8, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        let is_object = self.open.last().map(|frame| frame.is_object);
        match (byte, is_object) {
            (b',', Some(is_object)) => {
                self.state = if is_object {
                    State::Key { or_end: false }
                } else {
                    State::Value { or_end: false }
                };
                if self.holds() {
                    cut.hold();
                }
                cut.skip(1);
                Ok(())
            }
            (b'}', Some(true)) | (b']', Some(false)) => self.close(cut),
            _ if is_blank(byte) => {
                cut.skip(scan::blanks(cut.rest()));
                Ok(())
            }
            (_, None) => Err(Broken::TrailingData),
            _ => Err(Broken::Syntax),
        }
    }

    fn close(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        cut.release(&mut self.held, false);
        if let Some(frame) = self.open.pop()
            && frame.is_object
            && !frame.active.is_empty()
            && self.muted.is_none()
        {
            let mut comma = frame.kept;
            let program = Rc::clone(&self.program);
            for (name, value) in program.missing(frame.active, frame.seen) {
                let length = self.bindings.text(value).len();
                self.count_written(name.len().saturating_add(length), cut)?;
                if comma {
                    cut.insert(b",");
                }
                comma = true;
                cut.insert(serde_json::Value::from(name).to_string().as_bytes());
                cut.insert(b":");
                cut.insert(self.bindings.text(value));
            }
        }
        cut.skip(1);
        self.value_ended(cut);
        Ok(())
    }

    fn value_ended(&mut self, cut: &mut Cut<'_, '_>) {
        self.state = State::After;
        self.captures.end();
        if self.muted == Some(self.open.len()) {
            self.muted = None;
            cut.resume();
        }
    }

    fn in_string(
        &mut self,
        byte: u8,
        is_key: bool,
        inner: InString,
        cut: &mut Cut<'_, '_>,
    ) -> Result<(), Broken> {
        if inner != InString::Text {
            return self.in_string_byte(byte, is_key, inner, cut);
        }
        let rest = cut.rest();
        let length = scan::ascii_text(rest);
        if let Some(text @ [_, ..]) = rest.get(..length) {
            if let Some(key) = &mut self.key {
                key.push(text)?;
                self.judge_long_key(cut)?;
            } else {
                self.captures.text(text);
            }
            cut.skip(length);
        }
        match cut.rest().first() {
            None => Ok(()),
            Some(b'"') => {
                cut.skip(1);
                self.end_string(is_key, cut)
            }
            Some(byte) if byte.is_ascii() || self.key.is_some() => {
                self.in_string_byte(*byte, is_key, inner, cut)
            }
            Some(byte) => {
                let rest = cut.rest();
                let text = rest.get(..scan::text(rest)).unwrap_or_default();
                let valid = match std::str::from_utf8(text) {
                    Ok(text) => text.len(),
                    Err(error) => error.valid_up_to(),
                };
                self.captures.text(text.get(..valid).unwrap_or_default());
                cut.skip(valid);
                if valid == 0 {
                    // Broken, or cut in the middle of a character.
                    return self.in_string_byte(*byte, is_key, inner, cut);
                }
                Ok(())
            }
        }
    }

    /// One byte of a string, which does not end it.
    fn in_string_byte(
        &mut self,
        byte: u8,
        is_key: bool,
        inner: InString,
        cut: &mut Cut<'_, '_>,
    ) -> Result<(), Broken> {
        let next = inner.next(byte)?;
        self.state = State::String {
            is_key,
            inner: next,
        };
        cut.skip(1);
        if let Some(key) = &mut self.key {
            key.push_byte(byte, inner)?;
            self.judge_long_key(cut)?;
        } else {
            self.captures.byte(byte, inner);
        }
        Ok(())
    }

    fn end_string(&mut self, is_key: bool, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        if !is_key {
            self.value_ended(cut);
            return Ok(());
        }
        self.state = State::Colon;
        if let Some(key) = self.key.take() {
            self.judge_member(&key.finish()?, cut)?;
        }
        Ok(())
    }

    /// Once a key is longer than every name it is decided that it is none.
    fn judge_long_key(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        let longest = self.program.longest_name();
        match self.key.take_if(|key| key.len() > longest) {
            Some(key) => self.judge_member(key.text(), cut),
            None => Ok(()),
        }
    }

    /// Decides what becomes of a member of that name, or of any that begins so and is longer than every name of the program.
    fn judge_member(&mut self, name: &[u8], cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        match self.open.last() {
            Some(frame) => {
                let child = Child::Member(name);
                let verdict = self.program.judge(frame.active, frame.seen, child);
                self.apply(verdict, cut)
            }
            None => Ok(()),
        }
    }

    /// Decides what becomes of an element of an array, at its first byte.
    fn judge_element(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        if !self.holds() {
            return Ok(());
        }
        let Some(frame) = self.open.last_mut().filter(|frame| !frame.is_object) else {
            return Ok(());
        };
        let child = Child::Element(frame.elements);
        frame.elements = frame.elements.saturating_add(1);
        let verdict = self.program.judge(frame.active, frame.seen, child);
        self.apply(verdict, cut)
    }

    fn apply(&mut self, verdict: Verdict, cut: &mut Cut<'_, '_>) -> Result<(), Broken> {
        let program = Rc::clone(&self.program);
        let change = |operation: Option<usize>| program.change(operation?);
        let is_removed = verdict.is_second || change(verdict.value) == Some(&Change::Remove);
        let Some(frame) = self.open.last_mut() else {
            return Ok(());
        };
        frame.seen.extend(verdict.here);
        if is_removed {
            cut.drop_held(&mut self.held);
            self.mute();
            self.next = Next::NOTHING;
            return Ok(());
        }
        // The first child that goes out needs no comma.
        let without_comma = !std::mem::replace(&mut frame.kept, true);
        if let Some(Change::Rename { text, .. }) = change(verdict.name) {
            self.count_written(text.len(), cut)?;
            cut.release_as(text, &mut self.held, without_comma);
        } else {
            cut.release(&mut self.held, without_comma);
        }
        self.next = match verdict.value {
            None => Next::Keep(verdict.inside),
            Some(operation) => match program.change(operation) {
                Some(Change::Capture(_)) => Next::Capture(operation, verdict.inside),
                _ => Next::Replace(operation),
            },
        };
        Ok(())
    }

    /// Until the value that comes next, or is at its first byte, has ended.
    fn mute(&mut self) {
        self.muted = self.muted.or(Some(self.open.len()));
    }

    /// Whether children of the innermost container are decided upon, and so separators are held back.
    fn holds(&self) -> bool {
        self.muted.is_none()
            && self
                .open
                .last()
                .is_some_and(|frame| !frame.active.is_empty())
    }

    /// Blanks in front of a key or value: part of the separator, unless this is the value of a member.
    fn blanks(&mut self, is_of_member: bool, cut: &mut Cut<'_, '_>) {
        let length = scan::blanks(cut.rest());
        if is_of_member || !self.holds() {
            cut.skip(length);
            return;
        }
        cut.hold();
        let held = self.held.len().saturating_add(cut.holds());
        let stay = length.min(Self::MAX_BLANKS.saturating_sub(held));
        cut.skip(stay);
        if stay < length {
            cut.leave_out(length.saturating_sub(stay), &mut self.held);
        }
    }

    /// Counts what an operation is about to put in. It depends on the bytes so far alone, not on how they were cut.
    fn count_written(&mut self, length: usize, cut: &Cut<'_, '_>) -> Result<(), Broken> {
        let read = self
            .read
            .saturating_add(length_of(cut.at))
            .saturating_add(1);
        self.written = self.written.saturating_add(length_of(length));
        if self.written > Self::MAX_WRITTEN.saturating_add(read.saturating_mul(16)) {
            return Err(Broken::TooLong);
        }
        Ok(())
    }
}

fn length_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
