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
    let mut slot = Slot::empty(0);
    for number in 0..Slot::ENTRIES {
        assert!(slot.put(&client(number), &print("group"), Seat::Own, &[1; 16], 1000));
    }
    slot
}

fn at(slot: &Slot, now: u64) -> Slot {
    Slot::read(Some(slot.as_bytes().to_vec()), now).unwrap()
}

#[test]
fn a_state_is_found_again_until_it_expires() {
    let mut slot = Slot::empty(0);
    let (one, group) = (client(1), print("group"));
    slot.put(&one, &group, Seat::Own, &[7; 16], 100);
    assert_eq!(
        at(&slot, 99).look_up(&one, &group).state,
        Some(&[7; 16][..])
    );
    assert_eq!(at(&slot, 99).look_up(&client(2), &group).state, None);
    assert_eq!(at(&slot, 100).as_bytes(), Slot::empty(100).as_bytes());
}

// A worker that read the clock earlier would find no entry, and think of its own time that there was none at that time.
#[test]
fn time_does_not_go_back_in_a_slot() {
    let (one, two, group) = (client(1), client(2), print("group"));
    let mut slot = Slot::read(None, 10).unwrap();
    slot.put(&one, &group, Seat::Own, &[7; 16], 100);
    let mut later = at(&slot, 150);
    later.put(&two, &group, Seat::Own, &[7; 16], 200);
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
    slot.put(&newcomer, &group, Seat::Overflow, &[2; 16], 5000);
    let slot = at(&slot, 1000);
    assert_eq!(slot.look_up(&newcomer, &group).state, Some(&[2; 16][..]));
    assert_eq!(slot.state(&newcomer, &group, Seat::Own), None);
    assert_eq!(
        slot.state(&newcomer, &group, Seat::Overflow),
        Some(&[2; 16][..])
    );
}

#[test]
fn a_state_replaces_the_one_before() {
    let mut slot = full();
    let group = print("group");
    assert!(slot.put(&client(3), &group, Seat::Own, &[9; 16], 2000));
    assert_eq!(slot.look_up(&client(3), &group).state, Some(&[9; 16][..]));
    assert_eq!(slot.own, Slot::ENTRIES);
}

// The client who was limited must not come back with a fresh state because others have taken its place.
#[test]
fn no_live_entry_is_ever_evicted() {
    let mut slot = full();
    let newcomer = client(100);
    let found = slot.look_up(&newcomer, &print("group"));
    assert_eq!(found.seat, Seat::Overflow);
    assert!(!slot.put(&newcomer, &print("group"), Seat::Own, &[2; 16], 5000));
    assert!(slot.put(&newcomer, &print("group"), Seat::Overflow, &[2; 16], 5000));
    for number in 0..Slot::ENTRIES {
        let found = slot.look_up(&client(number), &print("group"));
        assert_eq!((found.state, found.seat), (Some(&[1; 16][..]), Seat::Own));
    }
}

#[test]
fn newcomers_of_a_group_share_and_those_of_another_do_not() {
    let mut slot = full();
    slot.put(
        &client(100),
        &print("group"),
        Seat::Overflow,
        &[2; 16],
        5000,
    );
    let found = slot.look_up(&client(101), &print("group"));
    assert_eq!(
        (found.state, found.seat),
        (Some(&[2; 16][..]), Seat::Overflow)
    );
    let found = slot.look_up(&client(101), &print("another"));
    assert_eq!((found.state, found.seat), (None, Seat::Overflow));
}

// Otherwise a newcomer that was limited gets a fresh state with the first place that becomes free.
#[test]
fn a_place_of_its_own_starts_from_what_was_shared() {
    let mut slot = full();
    slot.put(
        &client(100),
        &print("group"),
        Seat::Overflow,
        &[2; 16],
        5000,
    );
    let slot = at(&slot, 1000);
    let found = slot.look_up(&client(100), &print("group"));
    assert_eq!((found.state, found.seat), (Some(&[2; 16][..]), Seat::Own));
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
        assert!(slot.put(&client(100), &group, Seat::Overflow, &[2; 16], 700));
    }
    let found = slot.look_up(&client(100), &print("one more"));
    assert_eq!((found.state, found.seat), (None, Seat::Full(700)));
    assert!(!slot.put(&client(100), &print("one more"), found.seat, &[3; 16], 9000));
    assert_eq!(slot.as_bytes().len(), Slot::max_bytes(16));
}

// Old and new code share the map while Envoy drains the old.
#[test]
fn another_form_is_told_from_an_absent_one() {
    let good = full().as_bytes().to_vec();
    assert_eq!(Slot::read(None, 0), Ok(Slot::empty(0)));
    assert!(Slot::read(Some(good.clone()), 0).is_ok());
    let mut older = good.clone();
    older[0] = 1;
    let mut longer = good.clone();
    longer.push(0);
    let mut ninth = full();
    let one_more = ninth.bytes[HEADER_BYTES..HEADER_BYTES + ENTRY_BYTES + 16].to_vec();
    ninth.bytes.extend(one_more);
    let mut endless = good.clone();
    endless[HEADER_BYTES + 24..HEADER_BYTES + 26].copy_from_slice(&[0xff, 0x7f]);
    for bytes in [
        &older[..],
        &longer,
        &ninth.bytes,
        &endless,
        &good[..good.len() - 1],
        &good[..10],
        &[],
    ] {
        assert_eq!(Slot::read(Some(bytes.to_vec()), 0), Err(UnknownForm));
    }
}

// States of limits with several rates are longer than others, and a changed limit's are of another length than they were.
#[test]
fn states_may_change_their_length() {
    let (one, two, group) = (client(1), client(2), print("group"));
    let mut slot = Slot::empty(0);
    for length in [3, 40, 40, 0, 1, Slot::MAX_STATE] {
        assert!(slot.put(&one, &group, Seat::Own, &vec![7; length], 100));
        assert!(slot.put(&two, &group, Seat::Own, &vec![8; length], 100));
        let read = at(&slot, 1);
        assert_eq!(
            read.state(&one, &group, Seat::Own),
            Some(&vec![7; length][..])
        );
        assert_eq!(
            read.state(&two, &group, Seat::Own),
            Some(&vec![8; length][..])
        );
        assert_eq!((read.own, read.shared), (2, 0));
    }
    let long = vec![7; Slot::MAX_STATE + 1];
    assert!(!slot.put(&one, &group, Seat::Own, &long, 100));
}

// A gauge that is told of each write must end where it began when all has expired.
#[test]
fn what_a_write_changes_is_told() {
    let mut slot = full();
    assert_eq!(slot.growth(), 8);
    slot.put(
        &client(100),
        &print("group"),
        Seat::Overflow,
        &[2; 16],
        5000,
    );
    assert_eq!(slot.growth(), 9);
    let mut same = at(&slot, 500);
    assert_eq!(same.growth(), 0);
    same.put(&client(1), &print("group"), Seat::Own, &[9; 16], 5000);
    assert_eq!(same.growth(), 0);
    let mut later = at(&same, 1000);
    assert_eq!(later.growth(), -7);
    assert!(later.remove(&client(1), &print("group"), Seat::Own));
    assert_eq!(later.growth(), -8);
    assert_eq!(at(&slot, 5000).growth(), -9);
}

proptest! {
    // Bytes come from other code under the same vm_id; a panic would cost the VM.
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), now: u64, known: bool) {
        let mut bytes = bytes;
        if known && let Some(form) = bytes.first_mut() {
            *form = Slot::FORM;
        }
        if let Ok(mut slot) = Slot::read(Some(bytes), now) {
            let again = Slot::read(Some(slot.as_bytes().to_vec()), now).unwrap();
            prop_assert_eq!(again.as_bytes(), slot.as_bytes());
            let (one, group) = (client(1), print("group"));
            let seat = slot.look_up(&one, &group).seat;
            slot.put(&one, &group, seat, &[1; 7], u64::MAX);
            prop_assert!(Slot::read(Some(slot.as_bytes().to_vec()), now).is_ok());
        }
    }

    // Entries of every length at every place, cut and joined: whatever is read is written as it was.
    #[test]
    fn entries_of_any_length_are_read_again(
        states in proptest::collection::vec((0..60_usize, 0..100_u64, any::<bool>()), 0..30), now in 0..100_u64,
    ) {
        let mut slot = Slot::empty(0);
        for (number, (length, expires_at, shared)) in states.into_iter().enumerate() {
            let seat = if shared { Seat::Overflow } else { Seat::Own };
            let group = print(&format!("group {number}"));
            slot.put(&client(number), &group, seat, &vec![3; length], expires_at);
        }
        let read = at(&slot, now);
        prop_assert!(read.entries().all(|entry| entry.expires_at > now));
        prop_assert_eq!(read.entries().count(), read.own + read.shared);
        let again = at(&read, now);
        prop_assert_eq!(again.as_bytes(), read.as_bytes());
    }

    // Against a map without bounds: as long as no more clients are live than there are entries, nothing is lost or shared.
    #[test]
    fn within_its_bounds_a_slot_is_a_map(
        steps in proptest::collection::vec((0..Slot::ENTRIES, 1..50_u64, 0..20_u64, 0..20_usize), 1..200)
    ) {
        let (mut bytes, mut model, mut now) = (None, std::collections::BTreeMap::new(), 0_u64);
        for (number, lasts, passes, length) in steps {
            now += passes;
            let mut slot = Slot::read(bytes, now).unwrap();
            let found = slot.look_up(&client(number), &print("group"));
            let known: Option<&(Vec<u8>, u64)> = model.get(&number).filter(|(_, expires)| *expires > now);
            prop_assert_eq!(found.state, known.map(|(state, _)| &state[..]));
            let state = vec![u8::try_from(now % 251).unwrap(); length];
            let seat = found.seat;
            prop_assert!(slot.put(&client(number), &print("group"), seat, &state, now + lasts));
            model.insert(number, (state, now + lasts));
            bytes = Some(slot.as_bytes().to_vec());
        }
    }
}
