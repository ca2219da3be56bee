//! The callers behind API keys, as they were made for earlier requests.

use std::sync::Arc;

use crate::api_keys::ApiKey;
use crate::caller::Caller;

/// The most that are kept.
const MOST: usize = 256;

/// The largest that is kept, in bytes as [`Caller::bytes`] counts them.
const MAX_BYTES: usize = 4 * 1024;

/// The callers behind the keys that were used last, each in the one place that its key has: what is told of a caller is made
/// once as long as no other takes the place. They belong to one configuration.
#[derive(Debug, Default)]
pub(crate) struct KeyCallers(Vec<Option<(usize, Arc<Caller>)>>);

impl KeyCallers {
    /// Whose key this is, the one at this place of the configuration.
    pub(crate) fn of(&mut self, place: usize, key: &ApiKey) -> Option<Arc<Caller>> {
        let own = place.checked_rem(MOST)?;
        match self.0.get(own) {
            Some(Some((known, caller))) if *known == place => Some(Arc::clone(caller)),
            _ => self.make(place, own, key),
        }
    }

    #[inline(never)]
    fn make(&mut self, place: usize, own: usize, key: &ApiKey) -> Option<Arc<Caller>> {
        let caller = key.caller()?;
        if self.0.is_empty() {
            self.0.resize_with(MOST, || None);
        }
        if caller.bytes() <= MAX_BYTES
            && let Some(kept) = self.0.get_mut(own)
        {
            *kept = Some((place, Arc::clone(&caller)));
        }
        Some(caller)
    }
}
