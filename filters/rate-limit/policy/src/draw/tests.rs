use shared_table::HashKey;

use super::*;
use crate::algorithm::Algorithm;
use crate::meter::Meter;
use crate::rate::Rate;

const SECOND: u64 = 1_000_000_000;

const ALL: [Algorithm; 5] = [
    Algorithm::TokenBucket,
    Algorithm::FixedWindow,
    Algorithm::SlidingWindow,
    Algorithm::SlidingLog,
    Algorithm::LeakyBucket,
];

fn quota_of(algorithm: Algorithm, rates: &[(u64, u64, u64)]) -> Quota {
    let meter = |(requests, per, burst): &(u64, u64, u64)| {
        let rate = Rate {
            requests: *requests,
            per: *per,
            burst: Some(*burst),
        };
        Meter::new(format!("orders.{per}"), algorithm, &rate, 0)
    };
    Quota::new(rates.iter().map(meter).collect())
}

/// A bucket of `burst` tokens, one of which comes in `per`.
fn bucket(per: u64, burst: u64) -> Quota {
    quota_of(Algorithm::TokenBucket, &[(1, per, burst)])
}

fn draw(quota: &Quota, client: &str) -> Draw<'static> {
    let hash = HashKey::new([7; 16]);
    Draw {
        name: "orders",
        quota: Rc::new(quota.clone()),
        effect: Effect::Reject,
        cost: 1,
        penalty: 0,
        afterwards: None,
        slot: "t/0".to_owned(),
        client: hash.fingerprint([&b"orders"[..], client.as_bytes()]),
        group: hash.fingerprint([&b"orders"[..]]),
    }
}

/// How many of so many requests in a row are admitted.
fn admitted(draw: &Draw<'_>, slot: &mut Option<Vec<u8>>, now: u64, requests: usize) -> usize {
    (0..requests)
        .filter(|_| {
            let drawn = draw.take(slot.clone(), now);
            if let Some(bytes) = drawn.write() {
                *slot = Some(bytes.to_vec());
            }
            drawn.admits()
        })
        .count()
}

fn bytes(slot: Option<Slot>) -> Option<Vec<u8>> {
    slot.map(|slot| slot.as_bytes().to_vec())
}

#[test]
fn clients_of_one_slot_have_buckets_of_their_own() {
    let quota = bucket(SECOND, 3);
    let mut slot = None;
    assert_eq!(admitted(&draw(&quota, "a"), &mut slot, SECOND, 5), 3);
    assert_eq!(admitted(&draw(&quota, "b"), &mut slot, SECOND, 5), 3);
    assert_eq!(admitted(&draw(&quota, "a"), &mut slot, 2 * SECOND, 5), 1);
}

// A client must not get a fresh state by having others fill the slot, nor by waiting for a place in it.
#[test]
fn a_crowd_mints_nothing() {
    for algorithm in ALL {
        let quota = quota_of(algorithm, &[(3, 3 * SECOND, 3)]);
        let burst = usize::try_from(quota.meters()[0].quota()).unwrap();
        let mut slot = None;
        let total: usize = (0..50)
            .map(|client| admitted(&draw(&quota, &client.to_string()), &mut slot, SECOND, 5))
            .sum();
        // All those with a place, and one state for the rest.
        assert_eq!(total, (Slot::ENTRIES + 1) * burst, "{algorithm:?}");
        assert!(draw(&quota, "49").take(slot.clone(), SECOND).overflow());
        assert_eq!(admitted(&draw(&quota, "0"), &mut slot, SECOND, 5), 0);
        // Full again, all of them: everybody is as new.
        assert_eq!(
            admitted(&draw(&quota, "49"), &mut slot, 8 * SECOND, 5),
            burst,
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_newcomer_that_gets_a_place_takes_its_debt_along() {
    let (quick, slow) = (bucket(SECOND, 3), bucket(10 * SECOND, 3));
    let mut slot = None;
    for client in 0..Slot::ENTRIES {
        admitted(&draw(&quick, &client.to_string()), &mut slot, SECOND, 1);
    }
    let newcomer = draw(&slow, "newcomer");
    assert_eq!(admitted(&newcomer, &mut slot, SECOND, 5), 3);
    // By then the others are gone and there are places; a tenth of a token has come.
    let drawn = newcomer.take(slot, 2 * SECOND);
    assert!(!drawn.admits() && !drawn.overflow());
}

#[test]
fn what_is_given_back_was_never_taken() {
    for algorithm in ALL {
        let quota = quota_of(algorithm, &[(3, 3 * SECOND, 3)]);
        let draw = draw(&quota, "a");
        let first = draw.take(None, SECOND);
        let receipt = draw.receipt(&first);
        let slot = receipt.give_back(first.write().map(<[u8]>::to_vec), SECOND, 1);
        let empty = Slot::empty(SECOND);
        assert_eq!(slot.unwrap().as_bytes(), empty.as_bytes(), "{algorithm:?}");
    }
    let draw = draw(&bucket(SECOND, 3), "a");
    let first = draw.take(None, SECOND);
    let second = draw.take(first.write().map(<[u8]>::to_vec), SECOND);
    let slot = draw
        .receipt(&second)
        .give_back(second.write().map(<[u8]>::to_vec), SECOND + 7, 1);
    let at = |slot: Option<Vec<u8>>| Slot::read(slot, SECOND + 7).unwrap();
    assert_eq!(
        at(bytes(slot)).as_bytes(),
        at(first.write().map(<[u8]>::to_vec)).as_bytes()
    );
}

// A worker reads the clock, is held up, and takes after others have seen the bucket full and gone: it must not take from
// a full bucket as of the time at which it was empty, and leave it full for the next.
#[test]
fn a_worker_that_comes_late_mints_nothing() {
    for algorithm in ALL {
        let quota = quota_of(algorithm, &[(3, 3 * SECOND, 3)]);
        let burst = usize::try_from(quota.meters()[0].quota()).unwrap();
        let mut slot = None;
        let (client, neighbour) = (draw(&quota, "a"), draw(&quota, "b"));
        assert_eq!(admitted(&client, &mut slot, SECOND, 5), burst);
        let later = 8 * SECOND;
        assert!(admitted(&neighbour, &mut slot, later, 1) == 1);
        let late = admitted(&client, &mut slot, SECOND, 5);
        let all = late + admitted(&client, &mut slot, later, 5);
        assert_eq!(all, burst, "{algorithm:?}");
    }
}

// Others of the same client ask in between all the time where it matters: what is kept then is lost to it.
#[test]
fn what_is_given_back_is_not_lost_to_those_who_asked_in_between() {
    let draw = draw(&bucket(SECOND, 3), "a");
    let mut slot = None;
    assert_eq!(admitted(&draw, &mut slot, SECOND, 1), 1);
    let mine = draw.take(slot, SECOND);
    slot = mine.write().map(<[u8]>::to_vec);
    assert_eq!(admitted(&draw, &mut slot, SECOND, 5), 1);
    let receipt = draw.receipt(&mine);
    slot = bytes(receipt.give_back(slot.clone(), SECOND, 1)).or(slot);
    assert_eq!(admitted(&draw, &mut slot, SECOND, 5), 1);
}

// Bucket full again, used by another, and then the token on top: more than the limit allows.
#[test]
fn nothing_is_given_back_into_a_bucket_that_others_have_used() {
    let draw = draw(&bucket(SECOND, 3), "a");
    let mine = draw.take(None, SECOND);
    let theirs = draw.take(mine.write().map(<[u8]>::to_vec), 10 * SECOND);
    let receipt = draw.receipt(&mine);
    let held = theirs.write().map(<[u8]>::to_vec);
    assert_eq!(receipt.give_back(held, 10 * SECOND, 1), None);
    assert_eq!(receipt.give_back(None, SECOND, 1), None);
}

#[test]
fn another_form_counts_as_absent_and_is_said() {
    let drawn = draw(&bucket(SECOND, 3), "a").take(Some(b"\x09something newer".to_vec()), SECOND);
    assert!(drawn.unknown_form() && drawn.admits());
    assert_eq!(drawn.standings(true).next().unwrap().remaining, 2);
}

// A minute's rate that refuses must not use up the day's, nor the other way round.
#[test]
fn all_rates_of_a_limit_are_taken_together_or_none_is() {
    for algorithm in [
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingLog,
    ] {
        let quota = quota_of(algorithm, &[(2, SECOND, 2), (5, 3600 * SECOND, 5)]);
        let draw = draw(&quota, "a");
        let mut slot = None;
        assert_eq!(admitted(&draw, &mut slot, SECOND, 9), 2);
        let refused = draw.take(slot.clone(), SECOND);
        let left: Vec<_> = refused.standings(false).map(|one| one.remaining).collect();
        assert_eq!(left, [0, 3], "{algorithm:?}");
        assert_eq!(refused.write(), None);
        assert_eq!(admitted(&draw, &mut slot, 3 * SECOND, 9), 2);
        assert_eq!(admitted(&draw, &mut slot, 5 * SECOND, 9), 1);
        let refused = draw.take(slot, 5 * SECOND);
        let waits: Vec<_> = refused
            .standings(false)
            .map(|one| one.wait > SECOND)
            .collect();
        assert_eq!(waits, [false, true], "{algorithm:?}");
    }
}

// An operator adds a rate, and the day's quota of everybody must not begin afresh.
#[test]
fn a_rate_is_found_again_where_others_come_and_go() {
    let day = (5, 86_400 * SECOND, 5);
    let old = quota_of(Algorithm::FixedWindow, &[day]);
    let new = quota_of(Algorithm::FixedWindow, &[(2, SECOND, 2), day]);
    let mut slot = None;
    assert_eq!(admitted(&draw(&old, "a"), &mut slot, SECOND, 4), 4);
    assert_eq!(admitted(&draw(&new, "a"), &mut slot, SECOND, 9), 1);
    assert_eq!(admitted(&draw(&old, "a"), &mut slot, SECOND, 9), 0);
    // Of another length, in its place: the window goes on since it began.
    let week = quota_of(Algorithm::FixedWindow, &[(7, 7 * 86_400 * SECOND, 7)]);
    assert_eq!(admitted(&draw(&old, "b"), &mut slot, SECOND, 4), 4);
    assert_eq!(admitted(&draw(&week, "b"), &mut slot, 2 * SECOND, 9), 3);
    // Of another algorithm: begins afresh, as README.md says.
    let other = quota_of(Algorithm::SlidingLog, &[day]);
    assert_eq!(admitted(&draw(&other, "b"), &mut slot, 2 * SECOND, 9), 5);
}

// A client that a refusal told to come back in a second must not be refused then for what is left of a day of the old rate, nor be
// let in at once since the old rate's state has ended.
#[test]
fn what_a_refusal_says_after_a_change_of_the_rates_is_true() {
    const DAY: u64 = 86_400 * SECOND;
    let kinds: [&[(u64, u64, u64)]; 8] = [
        &[(200, DAY, 200)],
        &[(10, SECOND, 10)],
        &[(5, 3600 * SECOND, 5)],
        &[(100, SECOND, 30)],
        &[(10, DAY, 1)],
        &[(3, DAY, 3)],
        &[(2, SECOND, 2), (50, DAY, 50)],
        &[(20, SECOND, 20), (30, DAY, 9)],
    ];
    for (algorithm, old, new) in ALL
        .into_iter()
        .flat_map(|algorithm| kinds.map(|old| kinds.map(|new| (algorithm, old, new))))
        .flatten()
    {
        let said = format!("{algorithm:?} {old:?} {new:?}");
        let mut slot = None;
        admitted(
            &draw(&quota_of(algorithm, old), "a"),
            &mut slot,
            SECOND,
            300,
        );
        let quota = quota_of(algorithm, new);
        let client = draw(&quota, "a");
        let ask = |slot: &mut Option<Vec<u8>>, now: u64| {
            let drawn = client.take(slot.clone(), now);
            if let Some(bytes) = drawn.write() {
                *slot = Some(bytes.to_vec());
            }
            let waits = drawn.standings(false).map(|standing| standing.wait);
            (
                drawn.admits(),
                waits.max().unwrap(),
                drawn.write().is_some(),
            )
        };
        let now = SECOND + SECOND / 100;
        let (admits, wait, _) = ask(&mut slot, now);
        if admits {
            continue;
        }
        // The refusal has brought the state up to date: those behind it write nothing.
        let half = wait / 2;
        assert_eq!(
            ask(&mut slot, now + half),
            (false, wait - half, false),
            "{said}"
        );
        assert_eq!(ask(&mut slot, now + wait - 1), (false, 1, false), "{said}");
        assert!(ask(&mut slot, now + wait).0, "{said}");
    }
}

// What a refusal costs must be bounded: a client that never stops is let in again when it does.
#[test]
fn a_refusal_costs_what_the_penalty_says() {
    let rate = Rate {
        requests: 1,
        per: SECOND,
        burst: Some(3),
    };
    for (algorithm, penalty, after) in [
        (Algorithm::TokenBucket, 0, 1),
        (Algorithm::TokenBucket, 1, 4),
        (Algorithm::FixedWindow, 1, 1),
        (Algorithm::SlidingLog, 1, 1),
    ] {
        let meter = Meter::new("a".to_owned(), algorithm, &rate, 3);
        let mut draw = draw(&Quota::new(vec![meter]), "a");
        draw.penalty = penalty;
        let mut slot = None;
        admitted(&draw, &mut slot, SECOND, 1000);
        let drawn = draw.take(slot.clone(), SECOND);
        assert!(!drawn.admits());
        assert_eq!(drawn.write().is_some(), penalty > 0);
        let wait = drawn.standings(false).next().unwrap().wait;
        assert_eq!(wait.div_ceil(SECOND), after, "{algorithm:?} {penalty}");
    }
}

// The price of a request is known when it is over: what it was admitted for is made what it has cost.
#[test]
fn more_can_be_taken_afterwards_than_there_is() {
    for algorithm in ALL {
        let rate = Rate {
            requests: 10,
            per: 10 * SECOND,
            burst: None,
        };
        let meter = Meter::new("a".to_owned(), algorithm, &rate, 100);
        let draw = draw(&Quota::new(vec![meter]), "a");
        let first = draw.take(None, SECOND);
        let receipt = draw.receipt(&first);
        let slot = receipt
            .charge(first.write().map(<[u8]>::to_vec), SECOND, 14)
            .unwrap();
        let next = draw.take(Some(slot.as_bytes().to_vec()), SECOND);
        assert!(!next.admits(), "{algorithm:?}");
        let wait = next.standings(false).next().unwrap().wait;
        assert!(wait > 5 * SECOND, "{algorithm:?} {wait}");
    }
}
