//! The key sets that were fetched, as one worker has them.

use crate::key_set::KeySet;

/// The fetched sets, by the place of their provider in the configuration.
#[derive(Clone, Debug, Default)]
pub struct FetchedKeys(Vec<Option<KeySet>>);

impl FetchedKeys {
    /// The set of a provider: `None` before the first one came, and after the last one got too old.
    pub fn get(&self, provider: usize) -> Option<&KeySet> {
        self.0.get(provider)?.as_ref()
    }

    /// Puts a set in the place of the one before.
    pub fn set(&mut self, provider: usize, keys: Option<KeySet>) {
        if self.0.len() <= provider {
            self.0.resize(provider.saturating_add(1), None);
        }
        if let Some(place) = self.0.get_mut(provider) {
            *place = keys;
        }
    }

    /// The number of all keys.
    pub fn count(&self) -> usize {
        self.0
            .iter()
            .flatten()
            .map(|keys| keys.iter().count())
            .sum()
    }
}
