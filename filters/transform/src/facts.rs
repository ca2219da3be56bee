//! What a request is decided by beside its head.

use transform_policy::DRAW_BYTES;

/// Attributes of a request, read once.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) route: Option<Vec<u8>>,
    pub(crate) identity: Option<Vec<u8>>,
    /// Random bytes, where something is made of them.
    pub(crate) draw: Option<[u8; DRAW_BYTES]>,
}

impl Facts {
    /// What they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let all = [&self.route, &self.identity];
        all.into_iter().flatten().map(Vec::len).sum()
    }
}
