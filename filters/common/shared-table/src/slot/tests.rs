use proptest::prelude::*;

use super::*;
use crate::fingerprint::HashKey;

fn print(name: &str) -> Fingerprint {
    HashKey::new([5; 16]).fingerprint([name.as_bytes()])
}

fn client(number: usize) -> Fingerprint {
    print(&format!("client {number}"))
}

/// A slot whose entries are all taken until 1000.
fn full() -> Slot {
    let mut slot = Slot::empty();
    for number in 0..Slot::ENTRIES {
        assert!(slot.put(&client(number), &print("group"), Seat::Own, [1; 16], 1000));
    }
    slot
}

fn at(slot: &Slot, now: u64) -> Slot {
    Slot::read(Some(&slot.to_bytes()), now).unwrap()
}

#[test]
fn a_state_is_found_again_until_it_expires() {
    let mut slot = Slot::empty();
    let (one, group) = (client(1), print("group"));
    slot.put(&one, &group, Seat::Own, [7; 16], 100);
    assert_eq!(at(&slot, 99).look_up(&one, &group).state, Some([7; 16]));
    assert_eq!(at(&slot, 99).look_up(&client(2), &group).state, None);
    assert_eq!(at(&slot, 100), Slot::read(None, 100).unwrap());
}

// A worker that read the clock earlier would find no entry, and think of its own time that there was none at that time.
#[test]
fn time_does_not_go_back_in_a_slot() {
    let (one, two, group) = (client(1), client(2), print("group"));
    let mut slot = Slot::read(None, 10).unwrap();
    slot.put(&one, &group, Seat::Own, [7; 16], 100);
    let mut later = at(&slot, 150);
    later.put(&two, &group, Seat::Own, [7; 16], 200);
    let late = at(&later, 50);
    assert_eq!(
        (late.as_of(), late.look_up(&one, &group).state),
        (150, None)
    );
    assert_eq!(at(&later, 160).as_of(), 160);
    assert_eq!(at(&slot, 5).as_of(), 10);
}

#[test]
fn the_state_in_a_seat_is_not_the_one_to_start_from() {
    let mut slot = full();
    let (newcomer, group) = (client(100), print("group"));
    slot.put(&newcomer, &group, Seat::Overflow, [2; 16], 5000);
    let slot = at(&slot, 1000);
    assert_eq!(slot.look_up(&newcomer, &group).state, Some([2; 16]));
    assert_eq!(slot.state(&newcomer, &group, Seat::Own), None);
    assert_eq!(slot.state(&newcomer, &group, Seat::Overflow), Some([2; 16]));
}

#[test]
fn a_state_replaces_the_one_before() {
    let mut slot = full();
    let group = print("group");
    assert!(slot.put(&client(3), &group, Seat::Own, [9; 16], 2000));
    assert_eq!(slot.look_up(&client(3), &group).state, Some([9; 16]));
    assert_eq!(slot.entries.len(), Slot::ENTRIES);
}

// The client who was limited must not come back with a fresh state because others have taken its place.
#[test]
fn no_live_entry_is_ever_evicted() {
    let mut slot = full();
    let newcomer = client(100);
    let found = slot.look_up(&newcomer, &print("group"));
    assert_eq!(found.seat, Seat::Overflow);
    assert!(!slot.put(&newcomer, &print("group"), Seat::Own, [2; 16], 5000));
    assert!(slot.put(&newcomer, &print("group"), Seat::Overflow, [2; 16], 5000));
    for number in 0..Slot::ENTRIES {
        let found = slot.look_up(&client(number), &print("group"));
        assert_eq!((found.state, found.seat), (Some([1; 16]), Seat::Own));
    }
}

#[test]
fn newcomers_of_a_group_share_and_those_of_another_do_not() {
    let mut slot = full();
    slot.put(&client(100), &print("group"), Seat::Overflow, [2; 16], 5000);
    let found = slot.look_up(&client(101), &print("group"));
    assert_eq!((found.state, found.seat), (Some([2; 16]), Seat::Overflow));
    let found = slot.look_up(&client(101), &print("another"));
    assert_eq!((found.state, found.seat), (None, Seat::Overflow));
}

// Otherwise a newcomer that was limited gets a fresh state with the first place that becomes free.
#[test]
fn a_place_of_its_own_starts_from_what_was_shared() {
    let mut slot = full();
    slot.put(&client(100), &print("group"), Seat::Overflow, [2; 16], 5000);
    let slot = at(&slot, 1000);
    let found = slot.look_up(&client(100), &print("group"));
    assert_eq!((found.state, found.seat), (Some([2; 16]), Seat::Own));
    assert_eq!(
        at(&slot, 5000).look_up(&client(100), &print("group")).state,
        None
    );
}

#[test]
fn where_everything_is_taken_there_is_no_seat_until_something_expires() {
    let mut slot = full();
    for number in 0..Slot::OVERFLOW {
        let group = print(&format!("group {number}"));
        assert!(slot.put(&client(100), &group, Seat::Overflow, [2; 16], 700));
    }
    let found = slot.look_up(&client(100), &print("one more"));
    assert_eq!((found.state, found.seat), (None, Seat::Full(700)));
    assert!(!slot.put(&client(100), &print("one more"), found.seat, [3; 16], 9000));
    assert_eq!(slot.to_bytes().len(), Slot::MAX_BYTES);
}

// Old and new code share the map while Envoy drains the old.
#[test]
fn another_form_is_told_from_an_absent_one() {
    let good = full().to_bytes();
    assert_eq!(Slot::read(None, 0), Ok(Slot::empty()));
    let mut newer = good.clone();
    newer[0] = 2;
    let mut more = good.clone();
    more[9] = 9;
    let mut longer = good.clone();
    longer.push(0);
    for bytes in [
        &newer[..],
        &more,
        &longer,
        &good[..good.len() - 1],
        &good[..10],
        &[],
    ] {
        assert_eq!(Slot::read(Some(bytes), 0), Err(UnknownForm));
    }
}

proptest! {
    // Bytes come from other code under the same vm_id; a panic would cost the VM.
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), now: u64) {
        if let Ok(slot) = Slot::read(Some(&bytes), now) {
            prop_assert_eq!(Slot::read(Some(&slot.to_bytes()), now), Ok(slot));
        }
    }

    // Against a map without bounds: as long as no more clients are live than there are entries, nothing is lost or shared.
    #[test]
    fn within_its_bounds_a_slot_is_a_map(
        steps in proptest::collection::vec((0..Slot::ENTRIES, 1..50_u64, 0..20_u64), 1..200)
    ) {
        let (mut bytes, mut model, mut now) = (None, std::collections::BTreeMap::new(), 0_u64);
        for (number, lasts, passes) in steps {
            now += passes;
            let mut slot = Slot::read(bytes.as_deref(), now).unwrap();
            let found = slot.look_up(&client(number), &print("group"));
            let known = model.get(&number).filter(|(_, expires)| *expires > now);
            prop_assert_eq!(found.state, known.map(|(state, _)| *state));
            let state = [u8::try_from(now % 251).unwrap(); 16];
            prop_assert!(slot.put(&client(number), &print("group"), found.seat, state, now + lasts));
            model.insert(number, (state, now + lasts));
            bytes = Some(slot.to_bytes());
        }
    }
}
