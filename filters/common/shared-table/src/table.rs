//! Which slot a client is in.

use std::num::NonZeroU32;

use crate::fingerprint::Fingerprint;
use crate::slot::Slot;

/// The slots of one table, by their names in the shared map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What all keys start with.
    prefix: String,
    slots: NonZeroU32,
}

/// What a map of the host needs for one key and its value besides their bytes: its node, its bucket, what the allocator adds.
const HOST_BYTES: u64 = 192;

impl Table {
    /// The table `namespace` of so many slots; none are taken for one.
    pub fn new(namespace: &str, slots: u32) -> Table {
        Table {
            prefix: format!("{namespace}/{}/", Slot::FORM),
            slots: NonZeroU32::new(slots).unwrap_or(NonZeroU32::MIN),
        }
    }

    /// The key in the shared map of the slot that the client is in. There are as many keys as slots, whoever the clients are.
    ///
    /// The form of the slots is part of it: builds that write two forms would take each other's slots for empty while they run
    /// side by side, again and again.
    pub fn slot_key(&self, client: &Fingerprint) -> String {
        self.key(client.modulo(self.slots))
    }

    /// The most bytes that all slots can take together in the host's memory, with states of at most so many bytes: keys, values,
    /// and what the host adds to each.
    pub fn max_bytes(&self, state: usize) -> u64 {
        let key = self.key(u64::from(self.slots.get())).len();
        let slot = Slot::max_bytes(state).saturating_add(key);
        let slot = u64::try_from(slot).unwrap_or(u64::MAX);
        u64::from(self.slots.get()).saturating_mul(slot.saturating_add(HOST_BYTES))
    }

    fn key(&self, slot: u64) -> String {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(slot);
        let mut key = String::with_capacity(self.prefix.len().saturating_add(digits.len()));
        key.push_str(&self.prefix);
        key.push_str(digits);
        key
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fingerprint::HashKey;

    // The host never frees a key: a million clients must not become a million keys, nor crowd in a few of them.
    #[test]
    fn clients_are_spread_over_the_slots_and_no_further() {
        let (table, key) = (Table::new("t", 16), HashKey::new([3; 16]));
        let mut slots = BTreeMap::<String, u32>::new();
        for client in 0..16_000_u32 {
            let client = key.fingerprint([&client.to_le_bytes()[..]]);
            *slots.entry(table.slot_key(&client)).or_default() += 1;
        }
        assert_eq!(slots.len(), 16);
        assert!(
            slots.values().all(|count| (800..1200).contains(count)),
            "{slots:?}"
        );
        assert!(slots.contains_key("t/2/0") && slots.contains_key("t/2/15"));
    }

    // A build that looked elsewhere would find no state, and every client would begin afresh while the one before it drains.
    #[test]
    fn the_slot_is_what_is_left_of_the_number() {
        let key = HashKey::new([3; 16]);
        for slots in [1, 2, 3, 16, 1000, 65_535, 65_536, 1 << 31, u32::MAX] {
            let table = Table::new("t", slots);
            for client in 0..100_u32 {
                let client = key.fingerprint([&client.to_le_bytes()[..]]);
                let slot = client.number() % u128::from(slots);
                assert_eq!(table.slot_key(&client), format!("t/2/{slot}"), "{slots}");
            }
        }
    }

    #[test]
    fn a_table_of_no_slots_has_one() {
        let client = HashKey::new([3; 16]).fingerprint([&b"a"[..]]);
        assert_eq!(Table::new("t", 0).slot_key(&client), "t/2/0");
    }
}
