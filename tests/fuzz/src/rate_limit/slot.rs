//! Any bytes as a slot of the shared table, and any order of requests on one slot: nobody gets more than a bucket gives.
//!
//! The first byte of an input says how many bytes of it the slot holds in the beginning; then come requests, of two bytes
//! each: who, and what or after how long.

use http_message::{HeaderMap, RequestHead};
use rate_limit_policy::{Draw, Facts, Instance, Policy, Receipt, Standings, Step};
use shared_table::{HashKey, Slot};
use std::collections::BTreeMap;
use std::time::Duration;

/// Of the limit in [`POLICY`].
const BURST: u64 = 3;
const NANOSECONDS_FOR_ONE: u64 = 1_000_000_000;

thread_local! {
    static POLICY: Policy = Policy::from_bytes(
        br#"{ "version": 1, "table": { "slots": 1 },
            "limits": [{ "name": "all", "key": { "header": "x-who" }, "rate": "1/s", "burst": 3 }] }"#,
    )
    .expect("a valid configuration");
}

/// The one slot of the table, and what became of the requests that were counted in it.
struct Run<'p> {
    policy: &'p Policy,
    instance: Instance,
    slot: Option<Vec<u8>>,
    admitted: BTreeMap<u8, u64>,
    last: Option<(u8, Receipt)>,
}

/// # Panics
/// A slot does not read as it was written, or a client is admitted more often than `burst + rate × time`.
pub fn run(input: &[u8]) {
    POLICY.with(|policy| check(policy, input));
}

fn check(policy: &Policy, input: &[u8]) {
    let Some((held, rest)) = input.split_first() else {
        return;
    };
    let (garbage, requests) = rest.split_at(usize::from(*held).min(rest.len()));
    check_form(garbage);
    let mut run = Run::new(policy);
    run.slot = (*held > 0).then(|| garbage.to_vec());
    // What was not written here may hold any state: of that only the form is checked.
    let is_fresh = run.slot.is_none();
    let mut now = 1_000 * NANOSECONDS_FOR_ONE;
    let mut start = now;
    for request in requests.chunks_exact(2) {
        let (who, what) = (request[0] % 32, request[1]);
        match what {
            0..0xc0 => now += u64::from(what) * (NANOSECONDS_FOR_ONE / 64),
            // A worker whose clock was read before another wrote.
            0xc0..0xd0 => {
                let early = now.saturating_sub(u64::from(what & 0xf) * NANOSECONDS_FOR_ONE);
                start = start.min(early);
                run.take(who, early);
                continue;
            }
            _ => {
                run.give_back(now);
                continue;
            }
        }
        run.take(who, now);
        if is_fresh {
            let most = BURST + (now - start) / NANOSECONDS_FOR_ONE + 1;
            assert!(
                run.admitted.values().all(|count| *count <= most),
                "{:?} in {}",
                run.admitted,
                now - start
            );
        }
    }
}

impl<'p> Run<'p> {
    fn new(policy: &'p Policy) -> Run<'p> {
        Run {
            policy,
            instance: policy.instance(HashKey::new([7; HashKey::BYTES]), b"fuzz"),
            slot: None,
            admitted: BTreeMap::new(),
            last: None,
        }
    }

    fn take(&mut self, who: u8, now: u64) {
        let draw = self.draw(who);
        let drawn = draw.take(self.slot.clone(), now);
        let mut standings = Standings::default();
        standings.push(&draw, &drawn, true);
        assert!(remaining(self.policy, &standings) <= BURST);
        assert_eq!(drawn.admits(), standings.violated().is_empty());
        // What is admitted costs something. A refusal costs nothing here; it may write what this rate makes of another's state.
        assert!(!drawn.admits() || drawn.write().is_some());
        if let Some(bytes) = drawn.write() {
            check_form(bytes);
            assert!(
                Slot::read(Some(bytes.to_vec()), 0).is_ok(),
                "what is written can be read"
            );
            self.slot = Some(bytes.to_vec());
            if drawn.admits() {
                *self.admitted.entry(who).or_default() += 1;
                self.last = Some((who, draw.receipt(&drawn)));
            }
        }
    }

    fn give_back(&mut self, now: u64) {
        let Some((who, receipt)) = self.last.take() else {
            return;
        };
        if let Some(slot) = receipt.give_back(self.slot.clone(), now, 1) {
            check_form(slot.as_bytes());
            self.slot = Some(slot.as_bytes().to_vec());
            *self.admitted.entry(who).or_default() -= 1;
        }
    }

    fn draw(&self, who: u8) -> Draw<'p> {
        let who = who.to_string();
        let head = RequestHead::new(HeaderMap::from_pairs([
            (":method", "GET"),
            (":path", "/"),
            ("x-who", &who),
        ]));
        let decision = self.policy.decide(&head, &Facts::default(), &self.instance);
        match decision.step {
            Step::Draw(mut draws) => draws.remove(0),
            _ => panic!("the limit is for every request"),
        }
    }
}

/// What the client is told that is left to it.
fn remaining(policy: &Policy, standings: &Standings<'_>) -> u64 {
    let headers = policy.headers(standings, Duration::ZERO);
    let told = headers
        .iter()
        .find(|(name, _)| name.as_str() == "ratelimit");
    let told = told.and_then(|(_, value)| std::str::from_utf8(value.as_bytes()).ok());
    told.and_then(|told| told.split("r=").nth(1)?.split(';').next()?.parse().ok())
        .expect("a limit is told of")
}

/// What can be read is written as it was, but for entries that say nothing any more.
fn check_form(bytes: &[u8]) {
    let Ok(slot) = Slot::read(Some(bytes.to_vec()), 0) else {
        return;
    };
    let written = slot.as_bytes();
    assert!(written.len() <= bytes.len() && written.len() <= Slot::max_bytes(Slot::MAX_STATE));
    let again = Slot::read(Some(written.to_vec()), 0).expect("what is written can be read");
    assert_eq!(
        (again.as_bytes(), again.as_of(), again.growth()),
        (written, slot.as_of(), 0)
    );
}

/// Slots that were written, slots of another form, and requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let written = POLICY.with(|policy| {
        let mut run = Run::new(policy);
        for who in 0..3 {
            run.take(who, 1_000 * NANOSECONDS_FOR_ONE);
        }
        run.slot.unwrap_or_default()
    });
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
