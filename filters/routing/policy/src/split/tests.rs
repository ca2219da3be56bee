use std::collections::BTreeMap;

use filter_config::Version;
use http_message::HeaderMap;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    #[expect(dead_code, reason = "read to be checked")]
    version: Version,
    splits: SplitList,
}

fn splits(split: &str) -> Result<Rules<Split>, String> {
    let text = format!(r#"{{"version":1,"splits":[{{"name":"checkout",{split}}}]}}"#);
    filter_config::parse::<Outer>(text.as_bytes())
        .and_then(|outer| compile(outer.splits, &FieldPath::root().field("splits")))
        .map_err(|error| error.to_string())
}

fn weighted(salt: &str, weights: &[(&str, u32)]) -> Split {
    let group = |(name, weight): &(&str, u32)| Group {
        name: HeaderValue::try_from(*name).unwrap(),
        weight: *weight,
    };
    Split {
        by: vec![By::Identity],
        salt: salt.to_owned(),
        groups: weights.iter().map(group).collect(),
        choice: None,
    }
}

fn group(split: &Split, user: usize) -> &[u8] {
    let key = format!("user-{user}");
    split.group(0, key.as_bytes()).unwrap().as_bytes()
}

const USERS: usize = 100_000;

// A canary of one in ten that is one in five is an incident.
#[test]
fn each_share_is_within_half_a_percentage_point() {
    for (salt, groups) in [
        ("a", &[("stable", 90), ("canary", 10)][..]),
        ("b", &[("stable", 99), ("canary", 1)]),
        ("2026-06", &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]),
        ("c", &[("a", 50), ("b", 30), ("c", 20), ("off", 0)]),
    ] {
        let split = weighted(salt, groups);
        let mut counts: BTreeMap<&[u8], u32> = BTreeMap::new();
        for user in 0..USERS {
            *counts.entry(group(&split, user)).or_default() += 1;
        }
        let total: u32 = groups.iter().map(|(_, weight)| weight).sum();
        for (name, weight) in groups {
            let count = counts.get(name.as_bytes()).copied().unwrap_or(0);
            let share = f64::from(count) / USERS as f64;
            let wanted = f64::from(*weight) / f64::from(total);
            assert!(
                (share - wanted).abs() < 0.005,
                "{salt} {name}: {share} for {wanted}"
            );
        }
    }
}

// Whoever moves without need sees two versions of one page.
#[test]
fn a_changed_weight_moves_only_the_share_it_must() {
    let before = weighted("s", &[("a", 50), ("b", 40), ("c", 10)]);
    let after = weighted("s", &[("a", 50), ("b", 40), ("c", 30)]);
    let mut moved = 0;
    for user in 0..USERS {
        let (old, new) = (group(&before, user), group(&after, user));
        if old != new {
            moved += 1;
            assert_eq!(new, b"c", "nobody moves between the others");
        }
    }
    // c grows from 10 in 100 to 30 in 120.
    let share = f64::from(moved) / USERS as f64;
    assert!((share - 0.15).abs() < 0.005, "{share}");
}

// The same users in the same group of every experiment would be tried out twice, and their results mixed.
#[test]
fn experiments_are_independent() {
    let one = weighted("one", &[("a", 1), ("b", 1)]);
    let other = weighted("two", &[("a", 1), ("b", 1)]);
    let same = (0..USERS).filter(|user| group(&one, *user) == group(&other, *user));
    let share = same.count() as f64 / USERS as f64;
    assert!((share - 0.5).abs() < 0.005, "{share}");
}

proptest! {
    // Whatever the weights: only to or from the group whose weight changed.
    #[test]
    fn moves_have_one_end(
        weights in proptest::collection::vec(1u32..1000, 2..6),
        place in 0usize..6,
        weight in 0u32..1000,
    ) {
        let before: Vec<_> = ["a", "b", "c", "d", "e", "f"].into_iter().zip(weights).collect();
        let place = place % before.len();
        let mut after = before.clone();
        after[place].1 = weight;
        let (one, other) = (weighted("s", &before), weighted("s", &after));
        for user in 0..200 {
            let (old, new) = (group(&one, user), group(&other, user));
            let changed = before[place].0.as_bytes();
            prop_assert!(old == new || old == changed || new == changed);
        }
    }
}

fn member(
    split: &str,
    headers: &[(&str, &str)],
    identity: &Identity,
    address: Option<&str>,
    draw: Option<[u8; 16]>,
) -> Member {
    let head = RequestHead::new(HeaderMap::from_pairs(headers.iter().copied()));
    let rules = splits(split).unwrap();
    let rule = rules.iter().next().unwrap();
    let caller = Caller {
        head: &head,
        identity,
        address: address.map(str::as_bytes),
        draw,
    };
    rule.value.member(&caller).unwrap()
}

const GROUPS: &str = r#""groups":[{"name":"stable","weight":1},{"name":"canary","weight":1}]"#;

fn user(name: &str) -> Identity {
    Identity {
        kind: identity::CredentialKind::Jwt,
        credential_id: "main".to_owned(),
        subject: Some(name.to_owned()),
        ..Identity::anonymous()
    }
}

#[test]
fn callers_are_told_by_the_first_thing_there_is() {
    let by = format!(
        r#""by":[{{"identity":true}},{{"header":"x-device"}},{{"cookie":{{"name":"g","max_age":"60s"}}}},{{"address":true}}],{GROUPS}"#
    );
    let nobody = Identity::anonymous();
    let draw = Some([7; 16]);
    // The same user stays, whatever else it sends, and by whatever protocol.
    let alice = member(&by, &[], &user("alice"), None, None).group;
    for headers in [
        &[("x-device", "1")][..],
        &[("cookie", "g=abc")],
        &[("content-type", "application/grpc")],
    ] {
        let again = member(&by, headers, &user("alice"), Some("192.0.2.1:99"), draw);
        assert_eq!(again.group, alice);
        assert!(again.cookie.is_none());
    }
    // A new cookie keeps the group that it was given with.
    let new = member(&by, &[], &nobody, None, draw);
    let cookie = new.cookie.unwrap();
    let cookie = std::str::from_utf8(cookie.as_bytes()).unwrap();
    let pair = cookie.split_once(';').unwrap().0;
    let again = member(&by, &[("cookie", pair)], &nobody, None, Some([9; 16]));
    assert_eq!((again.group, again.cookie), (new.group, None));
    // One address, two connections.
    let address = |text| member(&by, &[], &nobody, Some(text), None).group;
    assert_eq!(address("192.0.2.1:1"), address("[::ffff:192.0.2.1]:2"));
    let unknown = member(&by, &[], &nobody, None, None);
    assert!(unknown.unknown);
    assert_eq!(unknown.group.as_bytes(), b"stable");
}

#[test]
fn only_chosen_groups_can_be_chosen() {
    let split = format!(
        r#""by":[{{"identity":true}}],"override":{{"header":"x-try","groups":["canary"]}},{GROUPS}"#
    );
    for name in ["a", "b", "c", "d", "e"] {
        let caller = user(name);
        let own = member(&split, &[], &caller, None, None).group;
        let chosen = member(&split, &[("x-try", "canary")], &caller, None, None);
        assert_eq!(chosen.group.as_bytes(), b"canary");
        for headers in [
            &[("x-try", "stable")][..],
            &[("x-try", "root")],
            &[("x-try", "canary"), ("x-try", "canary")],
        ] {
            assert_eq!(member(&split, headers, &caller, None, None).group, own);
        }
    }
}

#[test]
fn faults_are_told_with_their_path() {
    let by = r#""by":[{"identity":true}]"#;
    for (split, message) in [
        (
            format!(r#""by":[{{}}],{GROUPS}"#),
            "splits[0].by[0]: needs exactly one",
        ),
        (
            format!(r#""by":[{{"identity":false}}],{GROUPS}"#),
            "splits[0].by[0].identity: can only be true",
        ),
        (
            format!(r#""by":[{{"cookie":{{"name":"a b"}}}}],{GROUPS}"#),
            "splits[0].by[0].cookie.name: ",
        ),
        (
            format!(r#""by":[{{"address":true}},{{"address":true}}],{GROUPS}"#),
            "splits[0].by[1]: listed twice",
        ),
        (
            format!(r#"{by},"groups":[{{"name":"a","weight":0}},{{"name":"b","weight":0}}]"#),
            "splits[0].groups: one group",
        ),
        (
            format!(r#"{by},"groups":[{{"name":"a","weight":1}},{{"name":"a","weight":1}}]"#),
            "splits[0].groups[1].name: another",
        ),
        (
            format!(r#"{by},{GROUPS},"override":{{"header":"x","groups":["beta"]}}"#),
            "splits[0].override.groups[0]: not among",
        ),
        (
            format!(r#"{by},{GROUPS},"match":{{"route":"r"}}"#),
            "splits[0].match.route: the route is chosen",
        ),
    ] {
        let error = splits(&split).unwrap_err();
        assert!(error.starts_with(message), "{split}: {error}");
    }
    assert!(splits(&format!("{by},{GROUPS}")).is_ok());
}
