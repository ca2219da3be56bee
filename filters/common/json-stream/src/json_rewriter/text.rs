//! Strings and keys under way.

use super::string::InString;
use super::{Cut, Fault, JsonRewriter, Key, State, length_of, plain_string, scan};
use crate::operation::Child;

impl JsonRewriter {
    pub(super) fn begin_string(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        cut.skip(1);
        if self.value.is_none()
            && !self.captures.are_reading()
            && let Some(text) = plain_string(cut.rest())
            && length_of(text.len()) <= self.program.limits().max_string
        {
            cut.skip(text.len().saturating_add(1));
            return self.value_ended(cut);
        }
        self.enter_string(false, cut);
        Ok(())
    }

    pub(super) fn enter_string(&mut self, is_key: bool, cut: &Cut<'_, '_>) {
        let most = self.program.limits().max_string;
        self.string_end = self.offset(cut).saturating_add(most);
        self.state = State::String {
            is_key,
            inner: InString::Text,
        };
    }

    pub(super) fn in_string(
        &mut self,
        byte: u8,
        is_key: bool,
        inner: InString,
        cut: &mut Cut<'_, '_>,
    ) -> Result<(), Fault> {
        if inner != InString::Text {
            return self.in_string_byte(byte, is_key, inner, cut);
        }
        let rest = cut.rest();
        let left = self.string_end.saturating_sub(self.offset(cut));
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let rest = rest.get(..most).unwrap_or(rest);
        let length = scan::ascii_text(rest);
        if let Some(text @ [_, ..]) = rest.get(..length) {
            self.string_text(text, cut)?;
            cut.skip(length);
        }
        let is_read = self.key.is_some() || self.value.is_some() || self.captures.are_reading();
        match cut.rest().first() {
            None => Ok(()),
            Some(b'"') => {
                cut.skip(1);
                self.end_string(is_key, cut)
            }
            Some(byte) if byte.is_ascii() || is_read => {
                self.in_string_byte(*byte, is_key, inner, cut)
            }
            Some(byte) => {
                let rest = rest.get(length..).unwrap_or_default();
                let text = rest.get(..scan::text(rest)).unwrap_or_default();
                let valid = match std::str::from_utf8(text) {
                    Ok(text) => text.len(),
                    Err(error) => error.valid_up_to(),
                };
                cut.skip(valid);
                if valid == 0 {
                    // Broken, or cut in the middle of a character.
                    return self.in_string_byte(*byte, is_key, inner, cut);
                }
                Ok(())
            }
        }
    }

    /// Text of a string, for what reads it.
    fn string_text(&mut self, text: &[u8], cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        if let Some(key) = &mut self.key {
            key.push(text)?;
            self.judge_long_key(cut)?;
        } else if self.reads_string() {
            if let Some(value) = &mut self.value {
                value.1.text(text);
            }
            self.judge_long_value(cut);
        } else {
            self.captures.text(text);
        }
        Ok(())
    }

    /// One byte of a string, which does not end it.
    fn in_string_byte(
        &mut self,
        byte: u8,
        is_key: bool,
        inner: InString,
        cut: &mut Cut<'_, '_>,
    ) -> Result<(), Fault> {
        if self.offset(cut) >= self.string_end {
            return Err(Fault::TooLongString);
        }
        let next = inner.next(byte)?;
        self.state = State::String {
            is_key,
            inner: next,
        };
        cut.skip(1);
        if let Some(key) = &mut self.key {
            key.push_byte(byte, inner)?;
            self.judge_long_key(cut)?;
        } else if self.reads_string() {
            if let Some(value) = &mut self.value {
                value.1.byte(byte, inner);
            }
            self.judge_long_value(cut);
        } else {
            self.captures.byte(byte, inner);
        }
        Ok(())
    }

    fn end_string(&mut self, is_key: bool, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        if !is_key {
            if self.reads_string() {
                if let Some(value) = &mut self.value {
                    value.1.end();
                }
                self.convert(cut)?;
            }
            return self.value_ended(cut);
        }
        self.state = State::Colon;
        if let Some(mut key) = self.key.take() {
            key.end()?;
            self.place.member(key.text());
            if let (Some(names), Some(frame), Some(name)) =
                (&mut self.names, self.open.last(), key.fingerprint())
            {
                names.add(name, frame.names)?;
            }
            if key.is_open {
                self.judge(Child::Member(key.text()), cut)?;
            }
        }
        Ok(())
    }

    /// Whether the string at hand is the value that is read, and not one inside it.
    fn reads_string(&self) -> bool {
        self.value.is_some() && self.raw_from.is_none()
    }

    /// Once a key is longer than every name it is decided that it is none.
    fn judge_long_key(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let longest = self.program.longest_name();
        let is_long = |key: &mut Box<Key>| key.is_open && key.len() > longest;
        match self.key.take_if(is_long) {
            Some(mut key) => {
                key.is_open = false;
                let judged = self.judge(Child::Member(key.text()), cut);
                self.key = Some(key);
                judged
            }
            None => Ok(()),
        }
    }

    /// Once a string is too long to become something else it is decided that it stays.
    fn judge_long_value(&mut self, cut: &mut Cut<'_, '_>) {
        if self.value.take_if(|value| value.1.is_beyond()).is_some() {
            cut.release(&mut self.held, false);
        }
    }

    /// A string is over that may become something else.
    fn convert(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        if self.muted.is_some() {
            return Ok(());
        }
        match self.finish_value() {
            Some(text) => {
                self.touched = true;
                self.count_written(text.len(), cut)?;
                cut.drop_held(&mut self.held);
                cut.resume_with(&text);
            }
            None => cut.release(&mut self.held, false),
        }
        Ok(())
    }
}
