//! Members that stay as they are.

use std::rc::Rc;

use super::number::Number;
use super::{Cut, Fault, JsonRewriter, Next, State, length_of, scan};
use crate::operation::Change;

impl JsonRewriter {
    /// Reads on from a key: over as many members in a row as stay and are written as nearly all are, the value plain, nothing
    /// blank but one space behind a colon. Anything else is read step by step.
    pub(super) fn members(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let holds = self.holds();
        let inside = self.active.last().filter(|_| holds);
        let inside = inside.map(|active| active.inside_others.as_ref());
        let is_read = self.value.is_some() || self.captures.are_reading();
        // A separator of an earlier chunk is not in this one.
        if inside == Some(None) || is_read || !self.held.is_empty() {
            return self.begin_key(cut);
        }
        let inside = inside.flatten().filter(|inside| !inside.is_empty());
        let Some(frame) = self.open.last_mut() else {
            return self.begin_key(cut);
        };
        let limits = *self.program.limits();
        let bytes = cut.bytes();
        // The key, if what is in front of it is decided upon.
        let mut key = cut.at;
        let mut is_next = false;
        loop {
            let open = key.saturating_add(1);
            let close = scan::ascii_end(bytes, open);
            let name = bytes.get(open..close).unwrap_or_default();
            let is_plain = bytes.get(close) == Some(&b'"');
            let may_stay =
                !holds || (frame.kept || frame.children == 0) && !self.program.may_name(name);
            let fits =
                length_of(name.len()) <= limits.max_string && frame.children < limits.max_members;
            if !(is_plain && may_stay && fits) {
                if is_next {
                    self.place.no_member();
                    cut.at = key.saturating_sub(1);
                    if holds {
                        cut.hold();
                    }
                    cut.at = key;
                }
                return self.begin_key(cut);
            }
            frame.children = frame.children.saturating_add(1);
            frame.kept |= holds;
            cut.decide();
            self.place.member_at(open, close);
            let mut at = close.saturating_add(1);
            if let Some(names) = &mut self.names
                && let Err(fault) = names.add(names.fingerprint(name), frame.names)
            {
                cut.at = at;
                return Err(fault);
            }
            let has_colon = bytes.get(at) == Some(&b':');
            let mut end = None;
            if has_colon {
                at = at.saturating_add(1);
                at = at.saturating_add(usize::from(bytes.get(at) == Some(&b' ')));
                end = plain_value(bytes, at, limits.max_string);
            }
            let Some(end) = end else {
                cut.at = at;
                if let Some(inside) = inside {
                    self.inside = *inside;
                    self.next = Next::Open;
                }
                self.state = match has_colon {
                    true => State::Value { or_end: false },
                    false => State::Colon,
                };
                return match bytes.get(at).filter(|_| has_colon) {
                    Some(byte) => self.before_value(*byte, false, cut),
                    None => Ok(()),
                };
            };
            let behind = bytes.get(end);
            if behind == Some(&b',') && bytes.get(end.saturating_add(1)) == Some(&b'"') {
                key = end.saturating_add(1);
                is_next = true;
                continue;
            }
            cut.at = end;
            if behind == Some(&b'}') {
                return self.close(cut);
            }
            self.state = State::After;
            return Ok(());
        }
    }
}

impl JsonRewriter {
    /// Whether the value at hand has been replaced by what an operation says: one that is plain, and need not be read.
    pub(super) fn replace_plain(&mut self, cut: &mut Cut<'_, '_>) -> Result<bool, Fault> {
        let Next::Change(operation) = self.next else {
            return Ok(false);
        };
        let program = Rc::clone(&self.program);
        let (Some(Change::Replace(text) | Change::Set(text)), Some(end)) = (
            program.change(operation),
            plain_value(cut.bytes(), cut.at, program.limits().max_string),
        ) else {
            return Ok(false);
        };
        self.next = Next::Keep;
        self.touched = true;
        self.count_written(self.bindings.text(text).len(), cut)?;
        cut.insert(self.bindings.text(text));
        cut.at = end;
        cut.resume();
        self.state = State::After;
        Ok(true)
    }
}

/// Where the value ends that begins there, if it is no container and all in one plain piece.
fn plain_value(bytes: &[u8], at: usize, max_string: u64) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let length = match rest.first()? {
        b'"' => {
            let open = at.saturating_add(1);
            let close = scan::ascii_end(bytes, open);
            let fits = length_of(close.saturating_sub(open)) <= max_string;
            return match bytes.get(close) {
                Some(b'"') if fits => Some(close.saturating_add(1)),
                _ => None,
            };
        }
        b't' if rest.starts_with(b"true") => 4,
        b'f' if rest.starts_with(b"false") => 5,
        b'n' if rest.starts_with(b"null") => 4,
        b'-' | b'0'..=b'9' => {
            let (number, length) = Number::Start.advance(rest);
            if !number.may_end() || length == rest.len() {
                return None;
            }
            length
        }
        _ => return None,
    };
    Some(at.saturating_add(length))
}
