//! Any bytes as a slot of the shared table, and any order of requests on one slot: nobody gets more than a bucket gives.
//!
//! The first byte of an input says how many bytes of it the slot holds in the beginning; then come requests, of two bytes
//! each: who, and what or after how long.

use http_message::{HeaderMap, RequestHead};
use rate_limit_policy::{Draw, Drawn, Facts, Instance, Policy, Step};
use shared_table::{HashKey, Slot};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Of the limit in [`POLICY`].
const BURST: u64 = 3;
const NANOSECONDS_FOR_ONE: u64 = 1_000_000_000;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    Policy::from_bytes(
        br#"{ "version": 1, "table": { "slots": 1 },
            "limits": [{ "name": "all", "key": { "header": "x-who" }, "rate": "1/s", "burst": 3 }] }"#,
    )
    .expect("a valid configuration")
});

/// # Panics
/// A slot does not read as it was written, or a client is admitted more often than `burst + rate × time`.
pub fn run(input: &[u8]) {
    let Some((held, rest)) = input.split_first() else {
        return;
    };
    let (garbage, requests) = rest.split_at(usize::from(*held).min(rest.len()));
    check_form(garbage);
    let mut slot = (*held > 0).then(|| garbage.to_vec());
    // What was not written here may hold any state: of that only the form is checked.
    let is_fresh = slot.is_none();
    let mut now = 1_000 * NANOSECONDS_FOR_ONE;
    let mut start = now;
    let mut admitted: BTreeMap<u8, u64> = BTreeMap::new();
    let mut last: Option<(u8, Drawn)> = None;
    let instance = POLICY.instance(HashKey::new([7; HashKey::BYTES]), b"fuzz");
    for request in requests.chunks_exact(2) {
        let (who, what) = (request[0] % 32, request[1]);
        match what {
            0..0xc0 => now += u64::from(what) * (NANOSECONDS_FOR_ONE / 64),
            // A worker whose clock was read before another wrote.
            0xc0..0xd0 => {
                let early = now.saturating_sub(u64::from(what & 0xf) * NANOSECONDS_FOR_ONE);
                start = start.min(early);
                take(&instance, who, &mut slot, early, &mut admitted, &mut last);
                continue;
            }
            _ => {
                if let Some((who, drawn)) = last.take()
                    && let Some(bytes) = with_draw(&instance, who, |draw| {
                        draw.give_back(slot.as_deref(), now, &drawn)
                    })
                {
                    check_form(&bytes);
                    slot = Some(bytes);
                    *admitted.entry(who).or_default() -= 1;
                }
                continue;
            }
        }
        take(&instance, who, &mut slot, now, &mut admitted, &mut last);
        if is_fresh {
            let most = BURST + (now - start) / NANOSECONDS_FOR_ONE + 1;
            assert!(
                admitted.values().all(|count| *count <= most),
                "{admitted:?} in {}",
                now - start
            );
        }
    }
}

fn take(
    instance: &Instance,
    who: u8,
    slot: &mut Option<Vec<u8>>,
    now: u64,
    admitted: &mut BTreeMap<u8, u64>,
    last: &mut Option<(u8, Drawn)>,
) {
    let drawn = with_draw(instance, who, |draw| draw.take(slot.as_deref(), now));
    assert!(drawn.standing.remaining <= BURST);
    if let Some(bytes) = &drawn.write {
        check_form(bytes);
        assert!(
            Slot::read(Some(bytes), 0).is_ok(),
            "what is written can be read"
        );
        *slot = Some(bytes.clone());
        *admitted.entry(who).or_default() += 1;
        *last = Some((who, drawn));
    }
}

fn with_draw<T>(instance: &Instance, who: u8, then: impl FnOnce(&Draw<'_>) -> T) -> T {
    let who = who.to_string();
    let head = RequestHead::new(HeaderMap::from_pairs([
        (":method", "GET"),
        (":path", "/"),
        ("x-who", &who),
    ]));
    match POLICY.decide(&head, &Facts::default(), instance).step {
        Step::Draw(draws) => then(&draws[0]),
        _ => panic!("the limit is for every request"),
    }
}

/// What can be read is written as it was, but for entries that say nothing any more.
fn check_form(bytes: &[u8]) {
    let Ok(slot) = Slot::read(Some(bytes), 0) else {
        return;
    };
    let written = slot.to_bytes();
    assert!(written.len() <= bytes.len() && written.len() <= Slot::MAX_BYTES);
    assert_eq!(Slot::read(Some(&written), 0), Ok(slot));
}

/// Slots that were written, slots of another form, and requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let instance = POLICY.instance(HashKey::new([7; HashKey::BYTES]), b"fuzz");
    let mut slot = None;
    for who in 0..3 {
        take(
            &instance,
            who,
            &mut slot,
            1_000 * NANOSECONDS_FOR_ONE,
            &mut BTreeMap::new(),
            &mut None,
        );
    }
    let written = slot.unwrap_or_default();
    let length = u8::try_from(written.len()).unwrap_or(u8::MAX);
    let crowd: Vec<u8> = (0..120).flat_map(|who| [who, who % 7]).collect();
    vec![
        [&[0][..], &crowd].concat(),
        [
            &[0][..],
            &[1, 0, 1, 0, 1, 0, 1, 0, 1, 64, 1, 0xff, 1, 0, 2, 0xc3, 1, 0],
        ]
        .concat(),
        [&[length][..], &written, &crowd].concat(),
        [&[12][..], &[1; 12], &crowd].concat(),
    ]
}
