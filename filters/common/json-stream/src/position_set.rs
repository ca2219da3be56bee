//! Sets of positions in a program.

/// Positions, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PositionSet([u64; 4]);

impl PositionSet {
    /// The most positions: those from here on are in no set.
    pub(crate) const MAX: usize = 256;

    /// None.
    pub(crate) const EMPTY: PositionSet = PositionSet([0; 4]);

    pub(crate) fn insert(&mut self, position: usize) {
        if let Some(word) = self.0.get_mut(position >> 6) {
            *word |= bit(position);
        }
    }

    pub(crate) fn contains(&self, position: usize) -> bool {
        let word = self.0.get(position >> 6);
        word.is_some_and(|word| word & bit(position) != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Whether one is in both.
    pub(crate) fn meets(&self, other: PositionSet) -> bool {
        let mut words = self.0.iter().zip(other.0);
        words.any(|(word, other)| word & other != 0)
    }

    pub(crate) fn extend(&mut self, other: &PositionSet) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    /// The positions in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let mut words = self.0.iter();
        let (mut left, mut next) = (0_u64, 0_usize);
        std::iter::from_fn(move || {
            while left == 0 {
                left = *words.next()?;
                next = next.saturating_add(64);
            }
            let place = usize::try_from(left.trailing_zeros()).ok()?;
            left &= left.wrapping_sub(1);
            Some(next.saturating_sub(64).saturating_add(place))
        })
    }
}

fn bit(position: usize) -> u64 {
    u32::try_from(position & 63)
        .ok()
        .and_then(|shift| 1_u64.checked_shl(shift))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = PositionSet::default();
        assert!(set.is_empty());
        for position in [255, 0, 63, 64, 200, 256, 10_000] {
            set.insert(position);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 200, 255]);
        assert!(set.contains(64) && !set.contains(65) && !set.contains(256));
        let mut other = PositionSet::default();
        other.extend(&set);
        assert_eq!(other, set);
        let mut one = PositionSet::default();
        one.insert(64);
        assert!(one.meets(set) && !one.meets(PositionSet::EMPTY));
    }
}
