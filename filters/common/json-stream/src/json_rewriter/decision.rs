//! What becomes of the children of a container.

use std::rc::Rc;

use super::frame::Frame;
use super::{Cut, Fault, JsonRewriter, Next};
use crate::operation::{Change, Child, Verdict};

impl JsonRewriter {
    /// Decides what becomes of a child of the innermost container. A member may be any that begins so, where that is longer than
    /// every name of the program.
    pub(super) fn judge(&mut self, child: Child<'_>, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let (Some(frame), Some(active)) = (self.open.last_mut(), self.active.last()) else {
            return Ok(());
        };
        // The first of all has no comma that might have to go.
        let stays = frame.kept || frame.children <= 1;
        if let Some(inside) = active.inside_others.as_ref().filter(|_| stays)
            && !matches!(child, Child::Member(name) if self.program.may_name(name))
        {
            frame.kept = true;
            cut.release(&mut self.held, false);
            if !inside.is_empty() {
                self.inside = *inside;
                self.next = Next::Open;
            }
            return Ok(());
        }
        let verdict = self.program.judge(&active.positions, &active.seen, child);
        self.apply(&verdict, cut)
    }

    fn apply(&mut self, verdict: &Verdict, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let program = Rc::clone(&self.program);
        let change = |operation: Option<usize>| program.change(operation?);
        let is_removed = verdict.is_second || change(verdict.value) == Some(&Change::Remove);
        let Some(frame) = self.open.last_mut() else {
            return Ok(());
        };
        if let Some(active) = self.active.last_mut() {
            active.seen.extend(&verdict.here);
        }
        if is_removed {
            self.touched = true;
            cut.drop_held(&mut self.held);
            self.mute();
            return Ok(());
        }
        // The first child that goes out needs no comma.
        let without_comma = !std::mem::replace(&mut frame.kept, true);
        if let Some(Change::Rename { text, .. }) = change(verdict.name) {
            self.touched = true;
            self.count_written(text.len(), cut)?;
            cut.release_as(text, &mut self.held, without_comma);
        } else {
            cut.release(&mut self.held, without_comma);
        }
        self.next = match (verdict.value, verdict.convert) {
            (Some(operation), _) => match program.change(operation) {
                Some(Change::Capture(_)) => Next::Capture(operation),
                _ => Next::Change(operation),
            },
            (None, Some(operation)) => Next::Convert(operation),
            (None, None) if verdict.inside.is_empty() => Next::Keep,
            (None, None) => Next::Open,
        };
        self.inside = verdict.inside;
        Ok(())
    }

    /// Until the value that comes next, or is at its first byte, has ended.
    pub(super) fn mute(&mut self) {
        self.muted = self.muted.or(Some(self.open.len()));
    }

    /// Whether children of the innermost container are decided upon, and so separators are held back.
    pub(super) fn holds(&self) -> bool {
        self.muted.is_none() && self.open.last().is_some_and(|frame| frame.is_active)
    }

    pub(super) fn close_active(
        &mut self,
        frame: &Frame,
        cut: &mut Cut<'_, '_>,
    ) -> Result<(), Fault> {
        let Some(active) = self.active.close() else {
            return Ok(());
        };
        if !frame.is_object || self.muted.is_some() || !self.program.adds_any() {
            return Ok(());
        }
        let (positions, seen) = (active.positions, active.seen);
        let mut comma = frame.kept;
        let program = Rc::clone(&self.program);
        for (name, value) in program.missing(&positions, &seen) {
            self.touched = true;
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
        Ok(())
    }
}
