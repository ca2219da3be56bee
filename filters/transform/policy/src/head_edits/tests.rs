//! Ordered edits against the simplest head there is.

use http_message::{HeaderWrite, RequestHead};
use proptest::prelude::*;

use super::*;
use crate::template::Facts;

type Head = Vec<(String, String)>;

/// What the edits mean, one after the other, on a head that is a list of pairs.
fn model(edits: &[HeadEdit], mut head: Head) -> Head {
    for edit in edits {
        let values = |head: &Head, name: &HeaderName| -> Vec<String> {
            let of = head.iter().filter(|(other, _)| other == name.as_str());
            of.map(|(_, value)| value.clone()).collect()
        };
        let put = |head: &mut Head, name: &HeaderName, values: Vec<String>| {
            head.retain(|(other, _)| other != name.as_str());
            head.extend(
                values
                    .into_iter()
                    .map(|value| (name.as_str().to_owned(), value)),
            );
        };
        let text = |value: &Value| match value {
            Value::Fixed(text) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
            Value::Template(_) => unreachable!("none is made here"),
        };
        match edit {
            HeadEdit::Set(name, value) => put(&mut head, name, vec![text(value)]),
            HeadEdit::Add(name, value) => {
                if values(&head, name).is_empty() {
                    put(&mut head, name, vec![text(value)]);
                }
            }
            HeadEdit::Append(name, value) => head.push((name.as_str().to_owned(), text(value))),
            HeadEdit::Remove(name) => head.retain(|(other, _)| {
                other.replace(['_', '.'], "-") != name.as_str().replace(['_', '.'], "-")
            }),
            HeadEdit::RemovePrefix(_) => head.retain(|(other, _)| {
                !(other.starts_with("x-a") || other.starts_with("x_a")) || other == "x-request-id"
            }),
            HeadEdit::Rename { from, to } | HeadEdit::Copy { from, to } => {
                let moved = values(&head, from);
                if !moved.is_empty() {
                    if matches!(edit, HeadEdit::Rename { .. }) {
                        put(&mut head, from, Vec::new());
                    }
                    put(&mut head, to, moved);
                }
            }
            HeadEdit::KeepOnly(kept) => head.retain(|(other, _)| {
                [":path", "content-type", "x-request-id"].contains(&other.as_str())
                    || kept.iter().any(|kept| kept.name == *other)
            }),
            HeadEdit::Dedupe(name, keep) => {
                let mut left = values(&head, name);
                match keep {
                    Keep::First => left.truncate(1),
                    Keep::Last => left = left.last().cloned().into_iter().collect(),
                    Keep::Unique => {
                        let all = std::mem::take(&mut left);
                        for value in all {
                            if !left.contains(&value) {
                                left.push(value);
                            }
                        }
                    }
                }
                put(&mut head, name, left);
            }
        }
    }
    head
}

/// What a host makes of the writes; `Replace` as carelessly as Envoy, which changes the first copy only.
fn carry_out(mut head: Head, writes: &[HeaderWrite<'_>]) -> Head {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for write in writes {
        match write {
            HeaderWrite::Remove(name) => head.retain(|(other, _)| other.as_bytes() != *name),
            HeaderWrite::Add(name, value) => head.push((text(name), text(value))),
            HeaderWrite::Replace(name, value) => {
                let first = head
                    .iter_mut()
                    .find(|(other, _)| other.as_bytes() == *name)
                    .expect("there is one");
                first.1 = text(value);
            }
        }
    }
    head
}

fn sorted(mut head: Head) -> Head {
    head.sort_by(|(a, _), (b, _)| a.cmp(b));
    head
}

const NAMES: [&str; 5] = ["x-a", "x-b", "x-ab", "x_a", "x-c"];

fn name() -> impl Strategy<Value = HeaderName> {
    prop::sample::select(&NAMES[..]).prop_map(|name| HeaderName::try_from(name).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    "[12]".prop_map(|text| Value::Fixed(HeaderValue::try_from(text).unwrap()))
}

fn edit() -> impl Strategy<Value = HeadEdit> {
    let keep = prop::sample::select(vec![Keep::First, Keep::Last, Keep::Unique]);
    let kept = |name: HeaderName| KeptName {
        name: name.as_str().to_owned(),
        prefix: false,
    };
    prop_oneof![
        (name(), value()).prop_map(|(name, value)| HeadEdit::Set(name, value)),
        (name(), value()).prop_map(|(name, value)| HeadEdit::Add(name, value)),
        (name(), value()).prop_map(|(name, value)| HeadEdit::Append(name, value)),
        name().prop_map(HeadEdit::Remove),
        Just(()).prop_map(|()| HeadEdit::RemovePrefix("x-a*".try_into().unwrap())),
        (name(), name()).prop_map(|(from, to)| HeadEdit::Rename { from, to }),
        (name(), name()).prop_map(|(from, to)| HeadEdit::Copy { from, to }),
        prop::collection::vec(name().prop_map(kept), 1..3).prop_map(HeadEdit::KeepOnly),
        (name(), keep).prop_map(|(name, keep)| HeadEdit::Dedupe(name, keep)),
    ]
}

proptest! {
    // The host is told once for each header, and yet the head is what the edits, one after the other, make of it.
    #[test]
    fn edits_mean_what_they_mean_one_by_one(
        pairs in prop::collection::vec((prop::sample::select(&NAMES[..]), "[123]"), 0..8),
        edits in prop::collection::vec(edit(), 0..8),
    ) {
        let fixed = [(":path", "/"), ("content-type", "a/b"), ("x-request-id", "1")];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
        let head: Head = fixed.into_iter().chain(pairs).collect();
        let headers = HeaderMap::from_pairs(head.iter().map(|(name, value)| (name, value)));
        let rule = HeadEdits { direction: Direction::Request, edits, conditions: Vec::new() };
        let request = RequestHead::new(headers.clone());
        let sources = Sources {
            head: &request,
            now: std::time::Duration::ZERO,
            identity: None,
            facts: &Facts::default(),
            response: None,
            captures: &[],
        };
        let mut all = HeaderEdits::new();
        prop_assert!(rule.apply(&headers, &sources, &mut all).is_ok());
        let writes = all.writes(&headers);
        let expected = sorted(model(&rule.edits, head.clone()));
        prop_assert_eq!(&sorted(carry_out(head.clone(), &writes)), &expected);
        // Nothing is written of a header that is as it was.
        for name in NAMES {
            let of = |head: &Head| -> Vec<String> {
                head.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone()).collect()
            };
            let touched = writes.iter().any(|write| match write {
                HeaderWrite::Remove(other) | HeaderWrite::Replace(other, _) | HeaderWrite::Add(other, _) => *other == name.as_bytes(),
            });
            prop_assert_eq!(touched, of(&head) != of(&expected), "{}", name);
        }
    }
}
