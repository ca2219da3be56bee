//! Bytes that the program spells, or that are kept once however often they are handed on.

use std::ops::Deref;
use std::sync::Arc;

/// Bytes whose copies cost no allocation: names and values are made at configure or once for a credential, and written for
/// each request.
#[derive(Clone)]
pub(crate) enum Shared {
    Static(&'static [u8]),
    Kept(Arc<[u8]>),
}

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Shared::Static(bytes) => bytes,
            Shared::Kept(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Shared {
    fn from(bytes: &[u8]) -> Shared {
        Shared::Kept(bytes.into())
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Shared) -> bool {
        **self == **other
    }
}

impl Eq for Shared {}
