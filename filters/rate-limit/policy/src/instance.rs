//! Where an instance of the filter keeps its buckets.

use shared_table::{HashKey, Table};

use crate::config::{NAMESPACE, Policy};
use crate::rate_set::{Group, RateSet, RateSource};

/// The table of one instance, and the key under which its clients are hashed.
///
/// Two instances may share one Wasm VM, and with it shared data: under Istio all do. Each has a table of its own, by the name of
/// its plugin, whatever the names of their limits.
#[derive(Debug)]
pub struct Instance {
    pub(crate) hash: HashKey,
    pub(crate) table: Table,
    /// Of each limit those who have its own rates, in the order of the policy's.
    pub(crate) groups: Vec<Group>,
}

impl Policy {
    /// The instance of this policy that is the plugin of this name. `hash` is the key that all workers share.
    pub fn instance(&self, hash: HashKey, plugin: &[u8]) -> Instance {
        let name = hash.fingerprint([plugin]).to_string();
        let own = |limit| RateSet {
            limit,
            source: RateSource::Limit,
        };
        let limits = self.limits.iter();
        Instance {
            groups: limits
                .map(|rule| own(rule.name.as_str()).group(&hash))
                .collect(),
            table: self.table(&name),
            hash,
        }
    }

    /// The most bytes of memory that the table of an instance can take.
    pub fn table_bytes(&self) -> u64 {
        // All names are as long as this one.
        let name = HashKey::new([0; HashKey::BYTES]).fingerprint([]);
        self.table(&name.to_string()).max_bytes(self.max_state())
    }

    fn table(&self, instance: &str) -> Table {
        Table::new(&format!("{NAMESPACE}/{instance}"), self.slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(slots: u32) -> Policy {
        let config = format!(
            r#"{{ "version": 1, "table": {{ "slots": {slots} }},
                "limits": [{{ "name": "a", "key": "address", "rate": "1/s" }}] }}"#
        );
        Policy::from_bytes(config.as_bytes()).unwrap()
    }

    // Limits of one name in two filters of a chain would be one, and each request would count twice.
    #[test]
    fn two_plugins_have_two_tables() {
        let policy = policy(1);
        let client = HashKey::new([1; 16]).fingerprint([&b"a"[..]]);
        let slot = |plugin: &str| {
            let instance = policy.instance(HashKey::new([1; 16]), plugin.as_bytes());
            instance.table.slot_key(&client)
        };
        assert_ne!(
            slot("gatehouse.rate_limit"),
            slot("gatehouse.rate_limit_address")
        );
        assert_eq!(slot("gatehouse.rate_limit"), slot("gatehouse.rate_limit"));
        assert!(slot("").starts_with("gatehouse.rate-limit/"));
    }

    #[test]
    fn the_size_grows_with_the_slots_and_with_nothing_else() {
        let of = |slots| policy(slots).table_bytes();
        assert_eq!(of(2000), 2 * of(1000));
        assert!((1000..1500).contains(&of(1)), "{}", of(1));
    }
}
