//! The header edits of one rule, for one direction.

use http_message::{HeaderEdits, HeaderMap, HeaderName, HeaderValue};

/// Made in this order: remove, rename, set, append.
#[derive(Debug, Default)]
pub(crate) struct HeadEdits {
    pub(crate) remove: Vec<HeaderName>,
    pub(crate) rename: Vec<(HeaderName, HeaderName)>,
    pub(crate) set: Vec<(HeaderName, HeaderValue)>,
    pub(crate) append: Vec<(HeaderName, HeaderValue)>,
}

impl HeadEdits {
    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty()
            && self.rename.is_empty()
            && self.set.is_empty()
            && self.append.is_empty()
    }

    /// The names that this writes whole, so that no one else's copy may stay.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &HeaderName> {
        let renamed = self.rename.iter().map(|(_, to)| to);
        renamed.chain(self.set.iter().map(|(name, _)| name))
    }

    /// Adds the edits for these headers.
    pub(crate) fn apply(&self, headers: &HeaderMap, edits: &mut HeaderEdits) {
        self.removals(edits);
        for (from, to) in &self.rename {
            let mut values = headers.get_all(from.as_str()).peekable();
            if values.peek().is_none() {
                continue;
            }
            edits.remove(from.as_bytes());
            edits.remove(to.as_bytes());
            for value in values {
                // The host has handed over a value that no header may have: it goes, and nothing comes in its place.
                if let Ok(value) = HeaderValue::try_from(value) {
                    edits.append(to.clone(), value);
                }
            }
        }
        for (name, value) in &self.set {
            edits.set(name.clone(), value.clone());
        }
        for (name, value) in &self.append {
            edits.append(name.clone(), value.clone());
        }
    }

    /// Adds the removals alone, as trailers need them.
    pub(crate) fn removals(&self, edits: &mut HeaderEdits) {
        for name in &self.remove {
            edits.remove(name.as_bytes());
        }
    }
}
