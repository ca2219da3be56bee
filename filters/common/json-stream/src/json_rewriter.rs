//! Changes a JSON document as it streams by.
//!
//! Bytes go in as they come and out as soon as it is known what becomes of them. Held back are at most one separator, the
//! part of a key that could still be a name of the program's, and a string of up to 64 bytes that may become a number;
//! nothing once the document has closed. What no operation touches goes out byte by byte as it came in.
//!
//! The grammar is that of RFC 8259, strictly: UTF-8 without a byte order mark, no trailing commas, one value. A key has its
//! escapes read, so that `"\u0061"` is the name `a`; a key that occurs twice is treated so twice, or refused.

use std::rc::Rc;

use crate::bindings::Bindings;
use crate::broken::{Broken, Fault};
use crate::limits::DuplicateMembers;
use crate::operation::{Change, Child, Kind, Program};
use crate::position_set::PositionSet;

mod captures;
mod cut;
mod decision;
mod frame;
mod key;
mod members;
mod names;
mod number;
mod place;
mod scan;
mod string;
mod text;
mod unescape;
mod value;

pub use captures::Captured;
use captures::Captures;
pub(crate) use captures::{Capture, Keep};
pub(crate) use cut::Cut;
use frame::{ActiveStack, Frame};
use key::Key;
use names::Names;
use number::Number;
use place::{KEPT_NAME, Place};
use string::InString;
use value::{Shape, ValueText};

/// A document under way.
#[derive(Debug)]
pub struct JsonRewriter {
    program: Rc<Program>,
    bindings: Bindings,
    state: State,
    open: Vec<Frame>,
    active: ActiveStack,
    /// What becomes of the value that comes next.
    next: Next,
    /// What of the program applies to what is inside the value that comes next, if that says so.
    inside: PositionSet,
    /// The level at which a value ends that is left out.
    muted: Option<usize>,
    /// Of earlier chunks: the separator, and the key or value as far as it is not decided.
    held: Vec<u8>,
    /// The key that is being read, where it matters and is not in one plain piece.
    key: Option<Box<Key>>,
    /// The value that is being read, and the operation that it is read for.
    value: Option<Box<(usize, ValueText)>>,
    /// From here on in the chunk, the value has not been read.
    raw_from: Option<usize>,
    /// A quote goes in behind the value that is being read.
    quotes: bool,
    captures: Captures,
    place: Place,
    names: Option<Names>,
    /// Where a string or key may end at the latest.
    string_end: u64,
    /// Bytes of earlier chunks, and where among all the document begins.
    read: u64,
    began: u64,
    /// Bytes that operations have put in.
    written: u64,
    /// An operation has changed something of the document.
    touched: bool,
    broken: Option<Broken>,
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
    /// It goes out.
    Keep,
    /// It goes out, and something of the program applies to what is inside it.
    Open,
    /// This operation decides.
    Change(usize),
    /// It goes out as another kind of value by this operation, or like [`Next::Open`].
    Convert(usize),
    /// It goes out, and this operation keeps it; it is like [`Next::Open`] beside that.
    Capture(usize),
}

impl JsonRewriter {
    /// The most blanks that stay between two members of an object, or elements of an array, that an operation may reach;
    /// further ones are left out, so that none need be held back.
    pub const MAX_BLANKS: usize = 4096;
    /// What operations may put into a document, in bytes, beside 16 for each byte that came in. Two bytes of a client's,
    /// `0,`, can make 64 KiB of them.
    pub const MAX_WRITTEN: u64 = 1 << 20;
    /// Nothing read yet of a message with these bindings.
    pub fn new(program: Rc<Program>, bindings: Bindings) -> JsonRewriter {
        let names = match program.limits().duplicate_members {
            DuplicateMembers::Allow => None,
            DuplicateMembers::Refuse { key } => Some(Names::new(key)),
        };
        let mut rewriter = JsonRewriter {
            program,
            bindings,
            state: State::Value { or_end: false },
            open: Vec::new(),
            active: ActiveStack::default(),
            next: Next::Keep,
            inside: PositionSet::EMPTY,
            muted: None,
            held: Vec::new(),
            key: None,
            value: None,
            raw_from: None,
            quotes: false,
            captures: Captures::default(),
            place: Place::default(),
            names,
            string_end: 0,
            read: 0,
            began: 0,
            written: 0,
            touched: false,
            broken: None,
        };
        rewriter.start();
        rewriter
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
        self.check()?;
        let mut cut = self.begin_chunk(chunk, out);
        match self.read_until(chunk.len(), &mut cut) {
            Ok(()) => Ok(self.end_chunk(cut)),
            Err(fault) => Err(self.fail(fault, &cut)),
        }
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

    /// What is held beyond a chunk, in bytes: never more than 1 KiB and what the [`Limits`](crate::Limits) say: half a KiB a
    /// level, and the names that are told apart; and the values of the bindings.
    pub fn held_bytes(&self) -> usize {
        let frames = self.open.capacity().saturating_mul(size_of::<Frame>());
        let more = [
            self.active.held_bytes(),
            self.held.capacity(),
            self.bindings.held_bytes(),
            self.place.held_bytes(),
            self.captures.held_bytes(),
            self.names.as_ref().map_or(0, Names::held_bytes),
            self.key.as_ref().map_or(0, |key| key.held_bytes()),
            self.value.as_ref().map_or(0, |value| value.1.held_bytes()),
        ];
        more.into_iter().fold(frames, usize::saturating_add)
    }

    /// The body is over.
    ///
    /// # Errors
    /// The document has not closed, or could not be read.
    pub fn finish(&mut self) -> Result<(), Broken> {
        self.check()?;
        match self.is_complete() {
            true => Ok(()),
            false => Err(self.incomplete()),
        }
    }

    /// # Errors
    /// The document could not be read.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// What is wrong with a document that ends here.
    pub(crate) fn incomplete(&self) -> Broken {
        let pointer = self.pointer(&[]);
        Broken::new(Fault::Incomplete, self.read, pointer)
    }

    /// A chunk comes.
    pub(crate) fn begin_chunk<'c, 'o>(
        &mut self,
        chunk: &'c [u8],
        out: &'o mut Vec<u8>,
    ) -> Cut<'c, 'o> {
        self.raw_from = self.raw_from.map(|_| 0);
        Cut::new(chunk, out, !self.held.is_empty())
    }

    /// Reads the chunk up to a place.
    ///
    /// # Errors
    /// The document cannot be read; nothing more may be.
    pub(crate) fn read_until(&mut self, end: usize, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let most = self.began.saturating_add(self.program.limits().max_bytes);
        let most = usize::try_from(most.saturating_sub(self.read)).unwrap_or(usize::MAX);
        cut.until(end.min(most));
        while let Some(byte) = cut.rest().first() {
            self.step(*byte, cut)?;
        }
        match most < end {
            true => Err(Fault::TooLarge),
            false => Ok(()),
        }
    }

    /// The chunk is over. `false` if all of it goes out as it came.
    pub(crate) fn end_chunk(&mut self, cut: Cut<'_, '_>) -> bool {
        self.feed_raw(&cut);
        self.place.keep(cut.chunk());
        self.read = self.read.saturating_add(length_of(cut.chunk().len()));
        cut.finish(self.muted.is_some(), &mut self.held)
    }

    /// Nothing more is read.
    pub(crate) fn fail(&mut self, fault: Fault, cut: &Cut<'_, '_>) -> Broken {
        let pointer = self.pointer(cut.chunk());
        let broken = Broken::new(fault, self.offset(cut), pointer);
        self.broken = Some(broken.clone());
        broken
    }

    /// Forgets the document, for another behind it.
    pub(crate) fn restart(&mut self, cut: &Cut<'_, '_>) {
        self.open.clear();
        self.active.clear();
        self.muted = None;
        self.key = None;
        self.value = None;
        self.raw_from = None;
        self.quotes = false;
        self.captures.end();
        self.place.close(0);
        if let Some(names) = &mut self.names {
            names.clear();
        }
        self.began = self.offset(cut);
        self.touched = false;
        self.start();
    }

    /// Goes by bytes that are not the document's, like a blank.
    pub(crate) fn pass_by(&mut self, length: usize, cut: &mut Cut<'_, '_>) {
        self.feed_raw(cut);
        cut.skip(length);
        self.raw_from = self.raw_from.map(|_| cut.at);
        if self.is_fresh() {
            self.began = self.offset(cut);
        }
    }

    /// Whether only blanks have come.
    pub(crate) fn is_fresh(&self) -> bool {
        self.open.is_empty() && self.state == State::Value { or_end: false }
    }

    /// Whether the document is an array that has just opened.
    pub(crate) fn is_open_array(&self) -> bool {
        self.open.len() == 1 && self.state == State::Value { or_end: true }
    }

    /// Whether bytes are left out here, or it is not decided if they are.
    pub(crate) fn is_undecided(&self, cut: &Cut<'_, '_>) -> bool {
        self.muted.is_some() || cut.is_holding()
    }

    /// Whether all that came of the document has gone out as it came.
    pub(crate) fn is_as_it_came(&self) -> bool {
        !self.touched && self.held.is_empty()
    }

    /// Lets out what is held back, if nothing of the document has been changed: it can go on unread then.
    pub(crate) fn give_up(&mut self, cut: &mut Cut<'_, '_>) -> bool {
        if !self.touched {
            cut.release(&mut self.held, false);
        }
        !self.touched
    }

    fn start(&mut self) {
        self.state = State::Value { or_end: false };
        self.inside = self.program.start(&self.bindings);
        self.next = Next::Open;
    }

    /// Reads on from the byte at hand, as far as one rule of the grammar goes.
    fn step(&mut self, byte: u8, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
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
                    return Err(Fault::Syntax);
                }
                Ok(())
            }
            State::After => self.after_value(byte, cut),
            State::String { is_key, inner } => self.in_string(byte, is_key, inner, cut),
            State::Number(number) => self.in_number(number, cut),
            State::Literal(left) => match left.split_first() {
                Some((expected, left)) if *expected == byte => {
                    cut.skip(1);
                    self.state = State::Literal(left);
                    match left.is_empty() {
                        true => self.value_ended(cut),
                        false => Ok(()),
                    }
                }
                _ => Err(Fault::Syntax),
            },
        }
    }

    fn before_value(&mut self, byte: u8, or_end: bool, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        match byte {
            b'{' | b'[' if self.open.len() >= self.program.limits().max_depth => {
                return Err(Fault::TooDeep);
            }
            b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'{' | b'[' => {}
            b']' if or_end => return self.close(cut),
            _ if is_blank(byte) => {
                // The blank between a name and its value is no part of a separator.
                let is_of_member = self.open.last().is_some_and(|frame| frame.is_object);
                self.blanks(is_of_member, cut);
                return Ok(());
            }
            _ => return Err(Fault::Syntax),
        }
        if let Some(frame) = self.open.last_mut().filter(|frame| !frame.is_object) {
            let index = frame.children;
            if index >= self.program.limits().max_elements {
                return Err(Fault::TooManyElements);
            }
            frame.children = index.saturating_add(1);
            self.state = State::After;
            if frame.is_active {
                self.judge(Child::Element(index), cut)?;
            }
        }
        let next = std::mem::replace(&mut self.next, Next::Keep);
        if next != Next::Keep {
            self.begin_value(next, byte, cut)?;
        }
        match byte {
            b'{' => {
                self.open(true, next, cut);
                Ok(())
            }
            b'[' => {
                self.open(false, next, cut);
                Ok(())
            }
            b'"' => self.begin_string(cut),
            b't' => self.begin_literal(b"true", cut),
            b'f' => self.begin_literal(b"false", cut),
            b'n' => self.begin_literal(b"null", cut),
            _ => self.in_number(Number::Start, cut),
        }
    }

    /// What is done to a value before its first byte is read.
    fn begin_value(&mut self, next: Next, byte: u8, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let operation = match next {
            Next::Keep | Next::Open => return Ok(()),
            Next::Capture(operation) => {
                return match self.program.change(operation) {
                    Some(Change::Capture(capture)) => {
                        self.captures.begin(operation, *capture, byte)
                    }
                    _ => Ok(()),
                };
            }
            Next::Change(operation) | Next::Convert(operation) => operation,
        };
        let program = Rc::clone(&self.program);
        let Some(change) = program.change(operation) else {
            return Ok(());
        };
        let shape = Shape::of(byte);
        match change {
            Change::Replace(text) | Change::Set(text) => {
                self.touched = true;
                self.count_written(self.bindings.text(text).len(), cut)?;
                cut.insert(self.bindings.text(text));
                self.mute();
            }
            Change::KeepLast { .. } | Change::Hash(_) => {
                self.touched = true;
                cut.insert(b"");
                self.mute();
                self.value =
                    ValueText::new(change, shape).map(|value| Box::new((operation, value)));
                self.raw_from = (shape != Shape::String).then_some(cut.at);
            }
            Change::Convert(Kind::String) => {
                if shape == Shape::Number || matches!(byte, b't' | b'f') {
                    self.touched = true;
                    self.count_written(2, cut)?;
                    cut.insert(b"\"");
                    self.quotes = true;
                }
            }
            Change::Convert(_) => {
                if shape == Shape::String {
                    cut.hold();
                    self.value =
                        ValueText::new(change, shape).map(|value| Box::new((operation, value)));
                }
            }
            Change::Remove | Change::Add(_) | Change::Rename { .. } | Change::Capture(_) => {}
        }
        Ok(())
    }

    fn open(&mut self, is_object: bool, next: Next, cut: &mut Cut<'_, '_>) {
        let is_active = matches!(next, Next::Open | Next::Convert(_) | Next::Capture(_))
            && self.muted.is_none()
            && !self.inside.is_empty();
        if is_active {
            self.active.open(&self.inside, is_object, &self.program);
        }
        self.open.push(Frame {
            is_object,
            is_active,
            kept: false,
            children: 0,
            name: self.place.open(cut.chunk()),
            names: self.names.as_ref().map_or(0, Names::open),
        });
        cut.skip(1);
        self.state = if is_object {
            State::Key { or_end: true }
        } else {
            State::Value { or_end: true }
        };
    }

    fn begin_literal(
        &mut self,
        literal: &'static [u8],
        cut: &mut Cut<'_, '_>,
    ) -> Result<(), Fault> {
        if cut.rest().starts_with(literal) {
            cut.skip(literal.len());
            return self.value_ended(cut);
        }
        cut.skip(1);
        self.state = State::Literal(literal.get(1..).unwrap_or_default());
        Ok(())
    }

    fn in_number(&mut self, number: Number, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let rest = cut.rest();
        let (number, length) = number.advance(rest);
        if self.captures.are_reading() {
            self.captures.text(rest.get(..length).unwrap_or_default());
        }
        cut.skip(length);
        if cut.rest().is_empty() {
            self.state = State::Number(number);
            Ok(())
        } else if number.may_end() {
            self.value_ended(cut)
        } else {
            Err(Fault::Syntax)
        }
    }

    fn before_key(&mut self, byte: u8, or_end: bool, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        match byte {
            b'"' => self.members(cut),
            b'}' if or_end => self.close(cut),
            _ if is_blank(byte) => {
                self.blanks(false, cut);
                Ok(())
            }
            _ => Err(Fault::Syntax),
        }
    }

    /// Nearly all keys are in one piece, and written plainly.
    fn begin_key(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let limits = self.program.limits();
        if let Some(frame) = self.open.last_mut() {
            frame.children = frame.children.saturating_add(1);
            if frame.children > limits.max_members {
                return Err(Fault::TooManyMembers);
            }
        }
        let holds = self.holds();
        if holds {
            cut.hold();
        }
        cut.skip(1);
        let from = cut.at;
        if let Some(name) = plain_string(cut.rest())
            && length_of(name.len()) <= limits.max_string
        {
            let to = from.saturating_add(name.len());
            cut.skip(name.len().saturating_add(1));
            self.place.member_at(from, to);
            if let (Some(names), Some(frame)) = (&mut self.names, self.open.last()) {
                names.add(names.fingerprint(name), frame.names)?;
            }
            self.state = State::Colon;
            if holds {
                self.judge(Child::Member(name), cut)?;
            }
            if cut.rest().first() != Some(&b':') {
                return Ok(());
            }
            cut.skip(1);
            self.state = State::Value { or_end: false };
            if cut.rest().first() == Some(&b' ') {
                cut.skip(1);
            }
            return match cut.rest().first() {
                Some(_) if self.replace_plain(cut)? => Ok(()),
                Some(byte) => self.before_value(*byte, false, cut),
                None => Ok(()),
            };
        }
        self.place.no_member();
        let most = self.program.longest_name().saturating_add(1).max(KEPT_NAME);
        self.key = Some(Box::new(Key::new(holds, most, self.names.as_ref())));
        self.enter_string(true, cut);
        Ok(())
    }

    fn after_value(&mut self, byte: u8, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let is_object = self.open.last().map(|frame| frame.is_object);
        match (byte, is_object) {
            (b',', Some(is_object)) => {
                if self.holds() {
                    cut.hold();
                }
                cut.skip(1);
                // Nearly always more of the same follows at once.
                let next = cut.rest().first();
                if is_object {
                    self.place.no_member();
                    self.state = State::Key { or_end: false };
                    match next {
                        Some(b'"') => self.members(cut),
                        _ => Ok(()),
                    }
                } else {
                    self.state = State::Value { or_end: false };
                    next.map_or(Ok(()), |byte| self.before_value(*byte, false, cut))
                }
            }
            (b'}', Some(true)) | (b']', Some(false)) => self.close(cut),
            _ if is_blank(byte) => {
                cut.skip(scan::blanks(cut.rest()));
                Ok(())
            }
            (_, None) => Err(Fault::TrailingData),
            _ => Err(Fault::Syntax),
        }
    }

    fn close(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        cut.release(&mut self.held, false);
        if let Some(frame) = self.open.pop() {
            if frame.is_active {
                self.close_active(&frame, cut)?;
            }
            self.place.close(frame.name);
            if let Some(names) = self.names.as_mut().filter(|_| frame.is_object) {
                names.close(frame.names);
            }
        }
        cut.skip(1);
        self.value_ended(cut)
    }

    fn value_ended(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        self.state = State::After;
        if self.captures.are_reading() {
            self.captures.end();
        }
        if self.muted == Some(self.open.len()) {
            self.feed_raw(cut);
            self.raw_from = None;
            self.muted = None;
            let text = self.finish_value();
            self.count_written(text.as_ref().map_or(0, Vec::len), cut)?;
            cut.resume_with(&text.unwrap_or_default());
        } else if std::mem::take(&mut self.quotes) {
            cut.insert(b"\"");
        }
        Ok(())
    }

    /// What goes out in place of the value that has been read.
    fn finish_value(&mut self) -> Option<Vec<u8>> {
        let value = self.value.take()?;
        let (operation, value) = &*value;
        value.finish(self.program.change(*operation), &self.bindings)
    }

    /// Hands on what the chunk has of a value that is read as it is written.
    fn feed_raw(&mut self, cut: &Cut<'_, '_>) {
        if let (Some(from), Some(value)) = (&mut self.raw_from, &mut self.value) {
            let bytes = cut.chunk().get(*from..cut.at).unwrap_or_default();
            value.1.raw(bytes);
            *from = cut.at;
        }
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
            self.touched = true;
            cut.leave_out(length.saturating_sub(stay), &mut self.held);
        }
    }

    /// Counts what an operation is about to put in. It depends on the bytes so far alone, not on how they were cut.
    fn count_written(&mut self, length: usize, cut: &Cut<'_, '_>) -> Result<(), Fault> {
        self.written = self.written.saturating_add(length_of(length));
        let read = self.offset(cut).saturating_add(1);
        if self.written > Self::MAX_WRITTEN.saturating_add(read.saturating_mul(16)) {
            return Err(Fault::TooLong);
        }
        Ok(())
    }

    /// Where in the document the byte at hand is.
    fn pointer(&self, chunk: &[u8]) -> String {
        let awaits_value = matches!(self.state, State::Value { .. });
        self.place.pointer(&self.open, awaits_value, chunk)
    }

    /// How many bytes are in front of the one at hand.
    fn offset(&self, cut: &Cut<'_, '_>) -> u64 {
        self.read.saturating_add(length_of(cut.at))
    }
}

/// The text of a string that begins here and is all in one piece, with no escape.
fn plain_string(rest: &[u8]) -> Option<&[u8]> {
    let ascii = scan::ascii_text(rest);
    match rest.get(ascii)? {
        b'"' => rest.get(..ascii),
        byte if byte.is_ascii() => None,
        _ => {
            let behind = rest.get(ascii..)?;
            let length = ascii.saturating_add(scan::text(behind));
            let text = rest.get(..length)?;
            let is_text = rest.get(length) == Some(&b'"') && std::str::from_utf8(text).is_ok();
            is_text.then_some(text)
        }
    }
}

fn length_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
