use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn timing() -> Timing {
    Timing::new(2 * SECOND, 600 * SECOND, 3600 * SECOND, 30 * SECOND)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

/// A record whose first fetch was led by 7, from 0 to 1 s.
fn fetched() -> Record {
    let led = Record::default()
        .lead(&timing(), Need::Scheduled, 7, at(0))
        .unwrap();
    led.succeed(&timing(), 7, 1, 0, at(1)).unwrap()
}

#[test]
fn one_leads_and_the_others_do_not() {
    let led = Record::default()
        .lead(&timing(), Need::Scheduled, 7, at(0))
        .unwrap();
    for need in [Need::Scheduled, Need::Missing] {
        assert_eq!(led.lead(&timing(), need, 8, at(0)), None);
        assert_eq!(
            led.lead(&timing(), need, 7, at(1)),
            None,
            "not even itself again"
        );
    }
    let done = led.succeed(&timing(), 7, 1, 0, at(1)).unwrap();
    assert_eq!(done.generation(), 1);
    assert_eq!(done.age(at(3)), Some(2 * SECOND));
    assert_eq!(done.lead(&timing(), Need::Scheduled, 8, at(2)), None);
}

// A leader whose VM is lost says nothing. Were the lease to outlive it, no worker would ever fetch again.
#[test]
fn a_lost_leader_is_followed_by_another() {
    let led = Record::default()
        .lead(&timing(), Need::Scheduled, 7, at(0))
        .unwrap();
    let lease = 2 * SECOND + crate::LEASE_GRACE;
    assert_eq!(
        led.lead(
            &timing(),
            Need::Scheduled,
            8,
            at(0) + lease - Duration::from_nanos(1)
        ),
        None
    );
    let next = led
        .lead(&timing(), Need::Scheduled, 8, at(0) + lease)
        .expect("another leads");
    assert!(next.is_held_by(8));
    // Its late answer is nobody's any more.
    assert_eq!(next.succeed(&timing(), 7, 9, 0, at(3)), None);
    assert_eq!(next.fail(&timing(), 7, 0, at(3)), None);
    assert!(next.succeed(&timing(), 8, 1, 0, at(3)).is_some());
    // What traps every leader is not tried without end at the pace of leases.
    let third = at(0) + lease + lease;
    assert_eq!(next.lead(&timing(), Need::Missing, 9, third), None);
    assert!(
        next.lead(&timing(), Need::Scheduled, 9, third + SECOND)
            .is_some()
    );
}

#[test]
fn what_is_fetched_is_refreshed_before_it_is_too_old() {
    let record = fetched();
    assert_eq!(record.lead(&timing(), Need::Scheduled, 8, at(600)), None);
    assert!(
        record
            .lead(&timing(), Need::Scheduled, 8, at(601))
            .is_some()
    );
    let led = Record::default()
        .lead(&timing(), Need::Scheduled, 7, at(0))
        .unwrap();
    let early = led.succeed(&timing(), 7, 1, u64::MAX, at(1)).unwrap();
    assert!(early.lead(&timing(), Need::Scheduled, 8, at(542)).is_some());
    // A new configuration that asks more often is not held to the old one's date.
    let often = Timing::new(2 * SECOND, 10 * SECOND, 3600 * SECOND, 30 * SECOND);
    assert!(record.lead(&often, Need::Scheduled, 8, at(11)).is_some());
}

#[test]
fn failures_keep_the_last_good_up_to_max_stale() {
    let mut record = fetched();
    let mut now = at(601);
    for _ in 0..20 {
        record = record.lead(&timing(), Need::Scheduled, 8, now).unwrap();
        record = record.fail(&timing(), 8, 0, now).unwrap();
        assert_eq!(record.lead(&timing(), Need::Scheduled, 8, now), None);
        assert_eq!(record.generation(), 1);
        now += 60 * SECOND;
    }
    assert!(record.is_usable(&timing(), at(1) + 3600 * SECOND));
    assert!(!record.is_usable(&timing(), at(2) + 3600 * SECOND));
    assert!(!Record::default().is_usable(&timing(), Duration::ZERO));
}

// A client that makes up key ids would otherwise call the issuer as often as it calls the gateway.
#[test]
fn what_is_missing_is_asked_for_once_a_cool_down() {
    let record = fetched();
    assert_eq!(record.outlook(&timing(), at(2), at(2)), Outlook::Wanted);
    let led = record.lead(&timing(), Need::Missing, 8, at(2)).unwrap();
    assert_eq!(led.outlook(&timing(), at(2), at(2)), Outlook::Coming);
    let done = led.succeed(&timing(), 8, 1, 0, at(3)).unwrap();
    assert_eq!(done.generation(), 1, "the same document");
    let until = at(32);
    assert_eq!(
        done.outlook(&timing(), at(2), at(3)),
        Outlook::Absent { until }
    );
    for second in 4..32 {
        let now = at(second);
        // Somebody who asks later is told when, not that there is no such thing.
        assert_eq!(
            done.outlook(&timing(), now, now),
            Outlook::Later { at: at(32) }
        );
        assert_eq!(done.lead(&timing(), Need::Missing, 8, now), None);
    }
    assert_eq!(done.outlook(&timing(), at(32), at(32)), Outlook::Wanted);
    assert!(done.lead(&timing(), Need::Missing, 8, at(32)).is_some());
}

// A fetch that began before a key was published cannot prove that there is no such key: a good token would get a 401.
#[test]
fn a_fetch_under_way_proves_nothing_about_later_questions() {
    let led = fetched()
        .lead(&timing(), Need::Scheduled, 8, at(601))
        .unwrap();
    let asked = at(602);
    assert_eq!(led.outlook(&timing(), asked, asked), Outlook::Coming);
    let done = led.succeed(&timing(), 8, 1, 0, at(603)).unwrap();
    assert_eq!(done.outlook(&timing(), asked, at(603)), Outlook::Wanted);
}

#[test]
fn a_failed_fetch_proves_nothing() {
    let led = fetched().lead(&timing(), Need::Missing, 8, at(5)).unwrap();
    let failed = led.fail(&timing(), 8, 0, at(6)).unwrap();
    // The next try, and no sooner for anybody's asking.
    let later = Outlook::Later { at: at(7) };
    assert_eq!(failed.outlook(&timing(), at(5), at(6)), later);
    assert_eq!(failed.outlook(&timing(), at(5), at(7)), Outlook::Coming);
    let led = failed.lead(&timing(), Need::Scheduled, 8, at(7)).unwrap();
    let done = led.succeed(&timing(), 8, 1, 0, at(8)).unwrap();
    let until = at(37);
    assert_eq!(
        done.outlook(&timing(), at(5), at(8)),
        Outlook::Absent { until }
    );
}

#[test]
fn what_cannot_be_read_is_no_record() {
    let bytes = fetched().encode();
    assert_eq!(Record::decode(&bytes), fetched());
    let mut other = bytes.clone();
    other[0] = 2;
    for broken in [&[][..], &bytes[1..], &bytes[..bytes.len() - 1], &other] {
        assert_eq!(Record::decode(broken), Record::default());
    }
}

/// What a worker tries at some time.
#[derive(Clone, Copy, Debug)]
enum Try {
    Lead(Need),
    Succeed,
    Fail,
    Nothing,
}

fn tries() -> impl Strategy<Value = Vec<(u64, u64, Try)>> {
    let kind = prop_oneof![
        Just(Try::Lead(Need::Scheduled)),
        Just(Try::Lead(Need::Missing)),
        Just(Try::Succeed),
        Just(Try::Fail),
        Just(Try::Nothing),
    ];
    proptest::collection::vec((1..4_u64, 0..20_u64, kind), 1..200)
}

proptest! {
    // Whatever workers do, in whatever order, there is one lease at a time, and fetches for what is missing keep their distance.
    #[test]
    fn one_lease_at_a_time(tries in tries()) {
        let timing = timing();
        let (mut record, mut now) = (Record::default(), at(0));
        let mut held: Option<(u64, Duration)> = None;
        let mut asked: Option<u64> = None;
        for (worker, wait, what) in tries {
            now += Duration::from_secs(wait);
            match what {
                Try::Lead(need) => if let Some(next) = record.lead(&timing, need, worker, now) {
                    if let Some((_, since)) = held {
                        prop_assert!(now >= since + 2 * SECOND + crate::LEASE_GRACE);
                    }
                    if next.asked != record.asked {
                        prop_assert!(asked.is_none_or(|before| next.asked >= before + timing.cool_down()));
                        asked = Some(next.asked);
                    }
                    held = Some((worker, now));
                    record = next;
                },
                Try::Succeed => if let Some(next) = record.succeed(&timing, worker, 1, 0, now) {
                    prop_assert_eq!(held.map(|(holder, _)| holder), Some(worker));
                    held = None;
                    record = next;
                },
                Try::Fail => if let Some(next) = record.fail(&timing, worker, 0, now) {
                    prop_assert_eq!(held.map(|(holder, _)| holder), Some(worker));
                    held = None;
                    record = next;
                },
                Try::Nothing => {}
            }
            prop_assert_eq!(Record::decode(&record.encode()), record);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..100), now in any::<u64>()) {
        let (record, now) = (Record::decode(&bytes), Duration::from_nanos(now));
        let _ = record.outlook(&timing(), now, now);
        let _ = record.is_usable(&timing(), now);
        let _ = record.lead(&timing(), Need::Missing, 1, now);
    }
}
