//! The containers that are open.

use crate::operation::Program;
use crate::position_set::PositionSet;

/// An open object or array.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) is_object: bool,
    /// Something of the program applies to its children.
    pub(super) is_active: bool,
    /// Whether a child has gone out.
    pub(super) kept: bool,
    /// How many it has had.
    pub(super) children: u64,
    /// Where its own name begins in the place, and those of its members among all.
    pub(super) name: usize,
    pub(super) names: usize,
}

/// What of the program applies to the children of a container.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) positions: PositionSet,
    is_object: bool,
    /// What of it has ended at one of them.
    pub(super) seen: PositionSet,
    /// What of the program applies inside an element, or inside a member that it has no name of, if that can be told of all.
    pub(super) inside_others: Option<PositionSet>,
}

/// Those of the open containers to whose children something of the program applies.
#[derive(Debug, Default)]
pub(super) struct ActiveStack {
    /// The innermost last, and behind it those that have closed: the next of a list is nearly always like the one before.
    all: Vec<Active>,
    open: usize,
}

impl ActiveStack {
    pub(super) fn open(&mut self, positions: &PositionSet, is_object: bool, program: &Program) {
        let place = self.open;
        self.open = place.saturating_add(1);
        match self.all.get_mut(place) {
            Some(like) if like.is_object == is_object && like.positions == *positions => {
                if !like.seen.is_empty() {
                    like.seen = PositionSet::EMPTY;
                }
            }
            _ => {
                self.all.truncate(place);
                self.all.push(Active {
                    positions: *positions,
                    is_object,
                    seen: PositionSet::EMPTY,
                    inside_others: match is_object {
                        true => program.inside_others(*positions),
                        false => program.inside_elements(*positions),
                    },
                });
            }
        }
    }

    /// Closes the innermost.
    pub(super) fn close(&mut self) -> Option<&Active> {
        self.open = self.open.saturating_sub(1);
        self.all.get(self.open)
    }

    /// Closes all.
    pub(super) fn clear(&mut self) {
        self.open = 0;
    }

    /// The innermost.
    pub(super) fn last(&self) -> Option<&Active> {
        self.all.get(self.open.checked_sub(1)?)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Active> {
        self.all.get_mut(self.open.checked_sub(1)?)
    }

    /// What is held, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.all.capacity().saturating_mul(size_of::<Active>())
    }
}
