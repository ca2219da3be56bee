//! What clients are told, read by a parser that others wrote.

use std::time::Duration;

use http_message::{HeaderMap, RequestHead};
use proptest::prelude::*;
use rate_limit_policy::{Facts, Policy, Standings, Step};
use serde_json::json;
use sfv::{BareItem, List, ListEntry, Parser};
use shared_table::HashKey;

/// The members of a list: its name, and its parameters, which must be whole numbers.
fn members(value: &[u8]) -> Vec<(String, Vec<(String, i64)>)> {
    let list: List = Parser::new(value).parse().expect("a structured field");
    let member = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else {
            panic!("not an item: {entry:?}")
        };
        let BareItem::String(name) = &item.bare_item else {
            panic!("not a string: {item:?}")
        };
        let parameters = item.params.iter().map(|(key, value)| match value {
            BareItem::Integer(number) => (key.as_str().to_owned(), i64::from(*number)),
            other => panic!("not a whole number: {other:?}"),
        });
        (name.as_str().to_owned(), parameters.collect())
    };
    list.iter().map(member).collect()
}

proptest! {
    // A field that one reader cannot parse is one that it ignores, and the client knows nothing of its limits.
    #[test]
    fn the_fields_of_every_limit_are_structured(
        rates in proptest::collection::vec((1..=1_000_000_000_u64, 1..86_400_u64, "[a-z0-9][a-z0-9_.-]{0,63}"), 1..9),
        algorithm in prop::sample::select(vec!["token_bucket", "fixed_window", "sliding_window", "leaky_bucket"]),
        requests in 1..4_usize,
    ) {
        let limits: Vec<_> = rates
            .iter()
            .enumerate()
            .map(|(index, (requests, per, name))| json!({
                "name": format!("{index}{}", &name[..name.len().min(60)]), "key": "method", "algorithm": algorithm,
                "rate": { "requests": requests, "per": format!("{per}s") },
            }))
            .collect();
        let config = json!({ "version": 1, "limits": limits });
        let policy = Policy::from_bytes(config.to_string().as_bytes()).unwrap();
        let head = RequestHead::new(HeaderMap::from_pairs([(":method", "GET"), (":path", "/")]));
        let instance = policy.instance(HashKey::new([7; 16]), b"rate-limit");
        let Step::Draw(draws) = policy.decide(&head, &Facts::default(), &instance).step else { panic!() };
        let mut standings = Standings::default();
        let mut all = Vec::new();
        for draw in &draws {
            let mut slot = None;
            for _ in 0..requests {
                let drawn = draw.take(slot.clone(), 1_000_000_000);
                slot = drawn.write().map(<[u8]>::to_vec).or(slot);
                all.push((draw, drawn));
            }
        }
        for (draw, drawn) in all.iter().skip(requests - 1).step_by(requests) {
            standings.push(draw, drawn, drawn.admits());
        }
        let headers = policy.headers(&standings, Duration::ZERO);
        let field = |name: &str| {
            let (_, value) = headers.iter().find(|(other, _)| other.as_str() == name).unwrap();
            members(value.as_bytes())
        };
        let (told, policies) = (field("ratelimit"), field("ratelimit-policy"));
        prop_assert_eq!(told.len(), rates.len());
        for ((name, told), (policy, parameters)) in told.iter().zip(&policies) {
            prop_assert_eq!(name, policy);
            let keys = |list: &[(String, i64)]| list.iter().map(|(key, _)| key.clone()).collect::<String>();
            prop_assert_eq!(keys(told), "rt");
            prop_assert_eq!(keys(parameters), "qw");
            let (remaining, quota, window) = (told[0].1, parameters[0].1, parameters[1].1);
            prop_assert!((0..=quota).contains(&remaining));
            prop_assert!(told[1].1 >= 1 && window >= 1);
        }
    }
}
