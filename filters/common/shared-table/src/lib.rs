//! A bounded table of small states in a map that many workers share and that never frees a key.
//!
//! The table is a fixed number of slots, each a value of the map. A slot holds a few entries: the keyed fingerprint of a
//! client, a state that only the owner of the table understands, and the time from which the entry says no more than an
//! absent one. Entries past that time make room without loss. Where a slot is full of others, a newcomer shares an
//! overflow entry with all newcomers of its group, and whoever gets a place of its own later starts from there: **nobody
//! gets a fresh state because the table is full.**
//!
//! Everything here is a pure step on one slot's bytes; the caller reads them, and writes them by compare-and-swap.
//!
//! ```
//! use shared_table::{HashKey, Slot, Table};
//!
//! let key = HashKey::new([7; HashKey::BYTES]);
//! let table = Table::new("gatehouse.example", 64);
//! let (group, client) = (key.fingerprint([&b"logins"[..]]), key.fingerprint([&b"logins"[..], b"alice"]));
//! assert!(table.slot_key(&client).starts_with("gatehouse.example/"));
//!
//! let mut slot = Slot::read(None, 1_000).unwrap();
//! let found = slot.look_up(&client, &group);
//! assert_eq!(found.state, None);
//! let seat = found.seat;
//! assert!(slot.put(&client, &group, seat, b"one attempt", 2_000));
//!
//! let later = Slot::read(Some(slot.as_bytes().to_vec()), 1_500).unwrap();
//! assert_eq!(later.look_up(&client, &group).state, Some(&b"one attempt"[..]));
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod fingerprint;
mod slot;
mod table;

pub use fingerprint::{Fingerprint, HashKey, Parts};
pub use slot::{Found, Seat, Slot, UnknownForm};
pub use table::Table;
