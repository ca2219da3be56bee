//! A path while it is walked: linked to its parent on the stack, so that only an error allocates.

use crate::path::FieldPath;

/// Where the reader is.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Root,
    Field {
        parent: &'a Place<'a>,
        name: &'a str,
    },
    Index {
        parent: &'a Place<'a>,
        index: usize,
    },
}

impl<'a> Place<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Place<'a> {
        Place::Field { parent: self, name }
    }

    pub(crate) fn index(&'a self, index: usize) -> Place<'a> {
        Place::Index {
            parent: self,
            index,
        }
    }

    /// The owned path. Walks are capped in depth, so the recursion is too.
    pub(crate) fn path(&self) -> FieldPath {
        match self {
            Place::Root => FieldPath::root(),
            Place::Field { parent, name } => parent.path().field(name),
            Place::Index { parent, index } => parent.path().index(*index),
        }
    }
}
