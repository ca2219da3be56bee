//! Failed attempts, of which an address has so many and no more, whatever it tries.
//!
//! An attempt is a request with a credential that has to be looked at: a token that this worker has not verified before, or an API
//! key. Whoever has failed too often is told to wait before anything of the next credential is looked at, be it a good one. The count is
//! that of all workers: the state of an address is one time, in a [table](shared_table) of fixed size.

use std::time::Duration;

use client_address::Masks;
use filter_config::{Bounded, BoundedDuration, ConfigError, FieldPath};
use serde::Deserialize;
use shared_table::{Fingerprint, HashKey, Seat, Slot, Table};

use crate::networks::{AddressConfig, Networks, NetworksConfig};

/// What the keys of all tables begin with.
pub const NAMESPACE: &str = "gatehouse.auth.attempts";

const DEFAULT_SLOTS: u64 = 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailedAttemptsConfig {
    most: Bounded<1, 1_000_000>,
    per: BoundedDuration<1_000, 86_400_000>,
    ipv4_prefix: Option<Bounded<8, 32>>,
    ipv6_prefix: Option<Bounded<16, 128>>,
    exempt: Option<NetworksConfig>,
    slots: Option<Bounded<1, 65_536>>,
}

/// How often an address may fail: so many times at once, and again as fast as that number comes back in a time.
#[derive(Clone, Debug)]
pub struct FailedAttempts {
    /// What one failure takes, in nanoseconds; and what all that are allowed at once take.
    one: u64,
    all: u64,
    masks: Masks,
    exempt: Option<Networks>,
    address: AddressConfig,
    slots: u32,
}

/// Where the workers of an Envoy keep the failures that one instance of the filter has seen.
#[derive(Debug)]
pub struct AttemptTable {
    hash: HashKey,
    table: Table,
}

/// Whoever makes an attempt, by the address: one who has it, or all whose address is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempter {
    slot: String,
    client: Fingerprint,
    group: Fingerprint,
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It may.
    Given,
    /// Not before this time has passed.
    After(Duration),
}

/// A slot with one failure more in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    slot: Slot,
    shared: bool,
}

impl FailedAttempts {
    pub(crate) fn compile(
        config: &FailedAttemptsConfig,
        address: AddressConfig,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let exempt = config.exempt.as_ref();
        let exempt = exempt.map(|list| Networks::compile(list, &at.field("exempt")));
        let most = config.most.get();
        let per = u64::try_from(config.per.get().as_nanos()).unwrap_or(u64::MAX);
        let one = per.checked_div(most).unwrap_or(per).max(1);
        let slots = config.slots.map_or(DEFAULT_SLOTS, Bounded::get);
        Ok(Self {
            one,
            all: one.saturating_mul(most),
            masks: Masks::compile(config.ipv4_prefix, config.ipv6_prefix),
            exempt: exempt.transpose()?,
            address,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
        })
    }

    /// The table of the instance that is the plugin of this name. `hash` is the key that all workers share.
    pub fn table(&self, hash: HashKey, plugin: &[u8]) -> AttemptTable {
        let name = hash.fingerprint([plugin]);
        AttemptTable {
            table: Table::new(&format!("{NAMESPACE}/{name}"), self.slots),
            hash,
        }
    }

    /// The most bytes of memory that a table can take.
    pub fn table_bytes(&self) -> u64 {
        let any = self.table(HashKey::new([0; HashKey::BYTES]), b"");
        any.table.max_bytes(size_of::<u64>())
    }

    /// Who makes an attempt, by the host's `source.address`; nothing for somebody who may fail as often as he likes.
    pub fn attempter(&self, table: &AttemptTable, property: Option<&[u8]>) -> Option<Attempter> {
        let source = self.address.believed(property);
        let is_exempt = |source| self.exempt.as_ref().is_some_and(|list| list.have(source));
        if source.as_ref().is_some_and(is_exempt) {
            return None;
        }
        // Nothing but a name of a length that no network has: were each a client of its own, whoever hides would never fail.
        let network = source.map_or_else(Vec::new, |source| self.masks.network(source.address));
        let client = table.hash.fingerprint([&network[..]]);
        Some(Attempter {
            slot: table.table.slot_key(&client),
            group: table.hash.fingerprint([]),
            client,
        })
    }

    /// Whether an attempt may be made, by what is stored. `now` is the time of the monotonic clock.
    pub fn leave(&self, who: &Attempter, stored: Option<Vec<u8>>, now: Duration) -> Leave {
        let slot = read(stored, now);
        let over = self
            .taken(slot.look_up(&who.client, &who.group).state, slot.as_of())
            .saturating_add(self.one)
            .saturating_sub(self.all);
        match over {
            0 => Leave::Given,
            wait => Leave::After(Duration::from_nanos(wait)),
        }
    }

    /// What is to be stored after an attempt has failed.
    pub fn fail(&self, who: &Attempter, stored: Option<Vec<u8>>, now: Duration) -> Failure {
        let mut slot = read(stored, now);
        let found = slot.look_up(&who.client, &who.group);
        let taken = self.taken(found.state, slot.as_of());
        // No more than all: workers that fail at once must not make anybody wait longer than one whose limit is used up.
        let taken = taken.saturating_add(self.one).min(self.all);
        let until = slot.as_of().saturating_add(taken);
        let seat = found.seat;
        slot.put(&who.client, &who.group, seat, &until.to_le_bytes(), until);
        Failure {
            slot,
            shared: seat == Seat::Overflow,
        }
    }

    /// What is used up, in nanoseconds until it has all come back.
    fn taken(&self, state: Option<&[u8]>, now: u64) -> u64 {
        let until = state.and_then(|state| state.try_into().ok());
        let until = until.map_or(now, u64::from_le_bytes);
        // Of a configuration that allowed more.
        until.saturating_sub(now).min(self.all)
    }
}

impl Attempter {
    /// The key in shared data of what is stored.
    pub fn slot(&self) -> &str {
        &self.slot
    }
}

impl Failure {
    /// What is to be stored.
    pub fn bytes(&self) -> &[u8] {
        self.slot.as_bytes()
    }

    /// Whether it counts for others too, because the table is full where this address belongs.
    pub fn is_shared(&self) -> bool {
        self.shared
    }
}

/// The key names the form, so that bytes of another are a stranger's.
fn read(stored: Option<Vec<u8>>, now: Duration) -> Slot {
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    Slot::read(stored, now).unwrap_or_else(|_| Slot::empty(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NOW: Duration = Duration::from_secs(1_000);

    fn attempts(config: Value) -> FailedAttempts {
        let config = filter_config::from_value(config).unwrap();
        FailedAttempts::compile(&config, AddressConfig::default(), &FieldPath::root()).unwrap()
    }

    fn table(attempts: &FailedAttempts) -> AttemptTable {
        attempts.table(HashKey::new([7; 16]), b"gatehouse.auth")
    }

    fn who(attempts: &FailedAttempts, address: &str) -> Attempter {
        attempts
            .attempter(&table(attempts), Some(address.as_bytes()))
            .unwrap()
    }

    // A limit that lets one more through, or none back, is not the one that was chosen.
    #[test]
    fn so_many_at_once_and_then_as_fast_as_they_come_back() {
        let attempts = attempts(json!({ "most": 4, "per": "1m" }));
        let who = who(&attempts, "192.0.2.1:80");
        let mut stored = None;
        for _ in 0..4 {
            assert_eq!(attempts.leave(&who, stored.clone(), NOW), Leave::Given);
            stored = Some(attempts.fail(&who, stored, NOW).bytes().to_vec());
        }
        let leave = |after| attempts.leave(&who, stored.clone(), NOW + after);
        assert_eq!(leave(Duration::ZERO), Leave::After(15 * SECOND));
        assert_eq!(leave(14 * SECOND), Leave::After(SECOND));
        assert_eq!(leave(15 * SECOND), Leave::Given);
        let once = Some(
            attempts
                .fail(&who, stored.clone(), NOW + 15 * SECOND)
                .bytes()
                .to_vec(),
        );
        assert_eq!(
            attempts.leave(&who, once, NOW + 15 * SECOND),
            Leave::After(15 * SECOND)
        );
        assert_eq!(leave(3600 * SECOND), Leave::Given);
    }

    // Who has an IPv6 network would otherwise have 2^64 times as many attempts; who hides the address, all there are.
    #[test]
    fn a_network_is_one_and_so_are_all_who_are_not_known() {
        let attempts = attempts(json!({ "most": 1, "per": "1m" }));
        let table = table(&attempts);
        let of = |address: &str| {
            attempts
                .attempter(&table, Some(address.as_bytes()))
                .unwrap()
        };
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff]:2"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
        assert_eq!(of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:2"));
        assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
        // Port 0: of a header that a client may have written.
        assert_eq!(of("198.51.100.1:0"), of("198.51.100.2:0"));
        assert_eq!(Some(of("198.51.100.1:0")), attempts.attempter(&table, None));
        assert_ne!(of("198.51.100.1:0"), of("198.51.100.1:1"));
    }

    #[test]
    fn some_may_fail_as_they_like() {
        let attempts = attempts(json!({ "most": 1, "per": "1m", "exempt": ["10.0.0.0/8"] }));
        let table = table(&attempts);
        assert_eq!(attempts.attempter(&table, Some(b"10.1.2.3:80")), None);
        assert!(attempts.attempter(&table, Some(b"11.1.2.3:80")).is_some());
        // Only a header says so.
        assert!(attempts.attempter(&table, Some(b"10.1.2.3:0")).is_some());
    }

    // A table that grew with the addresses would be the attack's; one that forgot would let each start anew.
    #[test]
    fn a_full_slot_is_shared_by_newcomers() {
        let attempts = attempts(json!({ "most": 2, "per": "1h", "slots": 1 }));
        let mut stored = None;
        for number in 0..8 {
            let who = who(&attempts, &format!("192.0.2.{number}:1"));
            let failed = attempts.fail(&who, stored, NOW);
            assert!(!failed.is_shared());
            stored = Some(failed.bytes().to_vec());
        }
        for number in 8..10 {
            let who = who(&attempts, &format!("192.0.2.{number}:1"));
            assert_eq!(attempts.leave(&who, stored.clone(), NOW), Leave::Given);
            let failed = attempts.fail(&who, stored, NOW);
            assert!(failed.is_shared());
            stored = Some(failed.bytes().to_vec());
        }
        let late = who(&attempts, "192.0.2.99:1");
        assert!(matches!(
            attempts.leave(&late, stored.clone(), NOW),
            Leave::After(_)
        ));
        let first = who(&attempts, "192.0.2.0:1");
        assert_eq!(attempts.leave(&first, stored.clone(), NOW), Leave::Given);
        assert!(stored.unwrap().len() < 500);
        assert!((1000..1500).contains(&attempts.table_bytes()));
    }

    #[test]
    fn two_instances_have_two_tables() {
        let attempts = attempts(json!({ "most": 1, "per": "1m" }));
        let slot = |plugin: &[u8]| {
            let table = attempts.table(HashKey::new([7; 16]), plugin);
            attempts
                .attempter(&table, Some(b"192.0.2.1:1"))
                .unwrap()
                .slot()
                .to_owned()
        };
        assert_ne!(slot(b"one"), slot(b"two"));
        assert_eq!(slot(b"one"), slot(b"one"));
        assert!(slot(b"one").starts_with(NAMESPACE));
    }

    #[test]
    fn faults_of_the_configuration_have_their_place() {
        let refusal = |config: Value| {
            let config = filter_config::from_value(config)?;
            FailedAttempts::compile(&config, AddressConfig::default(), &FieldPath::root())
        };
        for (config, says) in [
            (json!({ "per": "1m" }), "missing field most"),
            (json!({ "most": 0, "per": "1m" }), "most: out of range"),
            (json!({ "most": 1, "per": "10ms" }), "per: out of range"),
            (
                json!({ "most": 1, "per": "1m", "exempt": [] }),
                "exempt: expected 1 to 256 items",
            ),
            (
                json!({ "most": 1, "per": "1m", "exempt": ["10.0.0.1/8"] }),
                "exempt[0]: has bits beyond",
            ),
            (
                json!({ "most": 1, "per": "1m", "slots": 0 }),
                "slots: out of range",
            ),
            (
                json!({ "most": 1, "per": "1m", "burst": 2 }),
                "burst: unknown field",
            ),
        ] {
            let fault = refusal(config).unwrap_err().to_string();
            assert!(fault.starts_with(says), "{fault}");
        }
        assert!(refusal(json!({ "most": 1, "per": "1m" })).is_ok());
    }

    proptest! {
        // Whatever the times and whatever strangers have stored: never more failures than `most` and what has come back since. Bytes
        // of this form are no stranger's; made up, they may be of a time that never comes.
        #[test]
        fn no_more_than_most_and_what_comes_back(
            most in 1_u64..20,
            steps in proptest::collection::vec(0_u64..20_000, 1..200),
            rubbish in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let attempts = attempts(json!({ "most": most, "per": "60s" }));
            let who = who(&attempts, "192.0.2.1:80");
            let (mut now, mut failures, mut stored) = (NOW, 0, Some(rubbish).filter(|bytes| bytes.first().is_some_and(|form| *form != Slot::FORM)));
            for step in steps {
                now += Duration::from_millis(step);
                match attempts.leave(&who, stored.clone(), now) {
                    Leave::Given => {
                        failures += 1;
                        stored = Some(attempts.fail(&who, stored, now).bytes().to_vec());
                    }
                    Leave::After(wait) => {
                        prop_assert!(wait <= 60 * SECOND);
                        prop_assert_eq!(attempts.leave(&who, stored.clone(), now + wait), Leave::Given);
                    }
                }
                let passed = u64::try_from((now - NOW).as_millis()).unwrap();
                prop_assert!(failures <= most + passed * most / 60_000);
            }
        }
    }
}
