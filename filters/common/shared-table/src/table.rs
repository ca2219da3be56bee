//! Which slot a client is in.

use crate::fingerprint::Fingerprint;
use crate::slot::Slot;

/// The slots of one table, by their names in the shared map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    namespace: &'static str,
    slots: u32,
}

impl Table {
    /// The table `namespace` of so many slots; none are taken for one.
    pub fn new(namespace: &'static str, slots: u32) -> Table {
        Table {
            namespace,
            slots: slots.max(1),
        }
    }

    /// The key in the shared map of the slot that the client is in. There are as many keys as slots, whoever the clients are.
    pub fn slot_key(&self, client: &Fingerprint) -> String {
        let slot = client
            .number()
            .checked_rem(u128::from(self.slots))
            .unwrap_or_default();
        format!("{}/{slot}", self.namespace)
    }

    /// The most bytes that the values of all slots can take together.
    pub fn max_bytes(&self) -> u64 {
        let slot = u64::try_from(Slot::MAX_BYTES).unwrap_or(u64::MAX);
        u64::from(self.slots).saturating_mul(slot)
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
        assert!(slots.contains_key("t/0") && slots.contains_key("t/15"));
    }

    #[test]
    fn a_table_of_no_slots_has_one() {
        let client = HashKey::new([3; 16]).fingerprint([&b"a"[..]]);
        assert_eq!(Table::new("t", 0).slot_key(&client), "t/0");
    }
}
