//! What is done to the members of a document.

use crate::pointer::{Pointer, Segment};

/// One change, at every place that its path stands for. A place that is not there is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub(crate) at: Pointer,
    pub(crate) change: Change,
}

/// The change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Takes out the member or element.
    Remove,
    /// Puts this JSON text in place of the value.
    Replace(Vec<u8>),
    /// Puts this JSON text in place of the value, or adds the member at the end of its object.
    Set(Vec<u8>),
}

/// Changes in order. Of several that reach one value, the first in the list is made; one that reaches a value goes before
/// those that reach inside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    operations: Vec<Operation>,
    longest_name: usize,
}

/// Operations of a program, a bit for each.
pub(crate) type Set = u64;

/// What happens to one member or element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The operation that reaches it, by its place in the program.
    pub(crate) operation: Option<usize>,
    /// The operations that may reach inside it.
    pub(crate) inside: Set,
    /// Every operation that ends here.
    pub(crate) here: Set,
}

impl Operation {
    /// Takes out the member or element.
    pub fn remove(at: Pointer) -> Operation {
        Operation {
            at,
            change: Change::Remove,
        }
    }

    /// Puts a string in place of the value, whatever it was.
    pub fn mask(at: Pointer, with: &str) -> Operation {
        Operation {
            at,
            change: Change::Replace(json(&with.into())),
        }
    }

    /// Puts a value in place of the value, or adds the member at the end of its object.
    pub fn set(at: Pointer, value: &serde_json::Value) -> Operation {
        Operation {
            at,
            change: Change::Set(json(value)),
        }
    }
}

fn json(value: &serde_json::Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

impl Program {
    /// The most operations of a program.
    pub const MAX_OPERATIONS: usize = 64;

    /// The operations in order; those past [`Program::MAX_OPERATIONS`] make it `None`.
    pub fn new(operations: Vec<Operation>) -> Option<Program> {
        if operations.len() > Self::MAX_OPERATIONS {
            return None;
        }
        let names = operations
            .iter()
            .flat_map(|operation| operation.at.segments());
        let longest_name = names
            .map(|segment| match segment {
                Segment::Any => 0,
                Segment::Name { name, .. } => name.len(),
            })
            .max()
            .unwrap_or(0);
        Some(Program {
            operations,
            longest_name,
        })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The longest name that a path has: a longer key is none of them.
    pub(crate) fn longest_name(&self) -> usize {
        self.longest_name
    }

    /// All operations.
    pub(crate) fn all(&self) -> Set {
        self.numbered().fold(0, |set, (_, bit, _)| set | bit)
    }

    /// The change of an operation.
    pub(crate) fn change(&self, operation: usize) -> Option<&Change> {
        self.operations
            .get(operation)
            .map(|operation| &operation.change)
    }

    /// What happens to a child, at `level` levels below the root, of a container that the operations of `active` reach.
    pub(crate) fn judge(
        &self,
        active: Set,
        level: usize,
        is_child: impl Fn(&Segment) -> bool,
    ) -> Verdict {
        let mut verdict = Verdict {
            operation: None,
            inside: 0,
            here: 0,
        };
        let mut left = active;
        while left != 0 {
            let number = usize::try_from(left.trailing_zeros()).unwrap_or(usize::MAX);
            let bit = left & left.wrapping_neg();
            left &= !bit;
            let Some(operation) = self.operations.get(number) else {
                break;
            };
            let segments = operation.at.segments();
            if !segments.get(level).is_some_and(&is_child) {
                continue;
            }
            if segments.len() == level.saturating_add(1) {
                verdict.operation = verdict.operation.or(Some(number));
                verdict.here |= bit;
            } else {
                verdict.inside |= bit;
            }
        }
        verdict
    }

    /// The members that are missing at the end of an object: their names and values. `seen` holds the operations that
    /// reached a member of it.
    pub(crate) fn missing(
        &self,
        active: Set,
        seen: Set,
        level: usize,
    ) -> impl Iterator<Item = (&str, &[u8])> {
        let ends =
            move |operation: &Operation| operation.at.segments().len() == level.saturating_add(1);
        self.numbered()
            .filter(move |(_, bit, operation)| active & !seen & bit != 0 && ends(operation))
            .filter_map(move |(number, _, operation)| {
                let (Change::Set(value), Some(Segment::Name { name, .. })) =
                    (&operation.change, operation.at.segments().last())
                else {
                    return None;
                };
                // An earlier operation for the same member has decided already.
                let verdict =
                    self.judge(active, level, |segment| segment.is_member(name.as_bytes()));
                (verdict.operation == Some(number)).then_some((name.as_str(), value.as_slice()))
            })
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, Set, &Operation)> {
        let bits = (0..64u32).filter_map(|shift| 1u64.checked_shl(shift));
        self.operations
            .iter()
            .enumerate()
            .zip(bits)
            .map(|((number, operation), bit)| (number, bit, operation))
    }
}
