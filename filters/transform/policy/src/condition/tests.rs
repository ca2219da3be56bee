//! Conditions against messages.

use filter_config::FieldPath;
use http_message::RequestHead;
use identity::{CredentialKind, Identity};
use serde_json::{Value, json};

use super::*;
use crate::config::compile_condition_of;
use crate::template::Facts;

fn condition(config: Value, direction: Direction) -> Result<Condition, String> {
    let at = FieldPath::root();
    compile_condition_of(config, direction, &at).map_err(|error| error.to_string())
}

fn holds(
    config: Value,
    direction: Direction,
    response: Option<&[(&str, &str)]>,
    request: &[(&str, &str)],
    doubt: InDoubt,
) -> bool {
    let head = RequestHead::new(HeaderMap::from_pairs(request.iter().copied()));
    let caller = Identity {
        kind: CredentialKind::ApiKey,
        credential_id: "k".to_owned(),
        plan: Some("gold".to_owned()),
        groups: vec!["staff".to_owned(), "support".to_owned()],
        ..Identity::anonymous()
    };
    let response = response.map(|pairs| HeaderMap::from_pairs(pairs.iter().copied()));
    let sources = Sources {
        head: &head,
        now: std::time::Duration::ZERO,
        identity: Some(&caller),
        facts: &Facts::default(),
        response: response.as_ref(),
        captures: &[],
    };
    let condition = condition(config, direction).unwrap();
    condition.holds(&sources, direction, doubt)
}

const JSON: &[(&str, &str)] = &[
    (":status", "404"),
    ("content-type", "Application/JSON; charset=utf-8"),
];

#[test]
fn all_tests_hold_and_any_value_of_one() {
    for (config, expected) in [
        (json!({ "when": { "groups": ["x", "support"] } }), true),
        (json!({ "when": { "groups": ["x"] } }), false),
        (json!({ "when": { "groups": ["Support"] } }), false),
        (json!({ "when": { "plan": ["silver", "gold"] } }), true),
        (json!({ "when": { "plan": ["silver"] } }), false),
        (json!({ "when": { "status": [404] } }), true),
        (json!({ "when": { "status": ["2xx", "4xx"] } }), true),
        (json!({ "when": { "status": ["2xx", 403] } }), false),
        (
            json!({ "when": { "content_type": ["application/json"] } }),
            true,
        ),
        (
            json!({ "when": { "content_type": ["APPLICATION/*"] } }),
            true,
        ),
        (
            json!({ "when": { "content_type": ["text/*", "application/jso"] } }),
            false,
        ),
        (
            json!({ "when": { "groups": ["support"], "status": ["4xx"] } }),
            true,
        ),
        (
            json!({ "when": { "groups": ["support"], "status": ["5xx"] } }),
            false,
        ),
        (json!({ "unless": { "groups": ["support"] } }), false),
        (json!({ "unless": { "groups": ["x"] } }), true),
        (
            json!({ "unless": { "groups": ["support"], "plan": ["silver"] } }),
            true,
        ),
        (
            json!({ "when": { "status": ["4xx"] }, "unless": { "plan": ["gold"] } }),
            false,
        ),
        (
            json!({ "when": { "status": ["4xx"] }, "unless": { "plan": ["x"] } }),
            true,
        ),
    ] {
        for doubt in [InDoubt::Make, InDoubt::LeaveOut] {
            let found = holds(config.clone(), Direction::Response, Some(JSON), &[], doubt);
            assert_eq!(found, expected, "{config}");
        }
    }
}

// A response without a status or a type, or with two types, would get out with what a mask is for.
#[test]
fn what_cannot_be_told_is_hidden() {
    let bare = &[("x-a", "1")][..];
    let twice = &[("content-type", "a/b"), ("content-type", "c/d")][..];
    let garbled = &[(":status", "\u{fffd}")][..];
    for (config, response) in [
        (json!({ "when": { "status": ["2xx"] } }), Some(bare)),
        (json!({ "when": { "status": ["2xx"] } }), Some(garbled)),
        (json!({ "unless": { "status": ["2xx"] } }), Some(bare)),
        (json!({ "when": { "content_type": ["a/b"] } }), Some(bare)),
        (json!({ "when": { "content_type": ["a/b"] } }), Some(twice)),
        (
            json!({ "unless": { "content_type": ["a/b"] } }),
            Some(twice),
        ),
        (json!({ "when": { "status": ["2xx"] } }), None),
        (
            json!({ "when": { "groups": ["support"], "status": ["2xx"] } }),
            None,
        ),
    ] {
        let of = |doubt| holds(config.clone(), Direction::Response, response, &[], doubt);
        assert!(of(InDoubt::Make), "{config}");
        assert!(!of(InDoubt::LeaveOut), "{config}");
    }
    // Whatever the status will be.
    let settled = json!({ "when": { "groups": ["x"], "status": ["2xx"] } });
    assert!(!holds(
        settled,
        Direction::Response,
        None,
        &[],
        InDoubt::Make
    ));
}

#[test]
fn a_request_is_told_by_its_own_type() {
    let config = json!({ "when": { "content_type": ["text/plain"] } });
    let plain = &[("content-type", "text/plain")][..];
    let of = |response, request| {
        holds(
            config.clone(),
            Direction::Request,
            response,
            request,
            InDoubt::LeaveOut,
        )
    };
    assert!(of(None, plain));
    assert!(!of(Some(plain), JSON));
}

#[test]
fn faults_are_told_with_their_place() {
    for (config, reason) in [
        (
            json!({ "when": {} }),
            "when: name at least one of groups, plan, status, content_type",
        ),
        (
            json!({ "unless": { "status": [200] } }),
            "unless.status: a request has no status",
        ),
        (
            json!({ "when": { "content_type": ["json"] } }),
            "when.content_type[0]: expected a type without parameters: application/json, text/*",
        ),
        (
            json!({ "when": { "content_type": ["a/b; c=d"] } }),
            "when.content_type[0]: expected a type without parameters: application/json, text/*",
        ),
        (
            json!({ "when": { "status": ["20x"] } }),
            "when.status[0]: expected a class of statuses, \"2xx\" to \"5xx\"",
        ),
        (
            json!({ "when": { "status": [99] } }),
            "when.status[0]: out of range, expected a status from 200 to 599",
        ),
        (
            json!({ "when": { "group": ["a"] } }),
            "when.group: unknown field, did you mean groups?",
        ),
    ] {
        let found = condition(config.clone(), Direction::Request).err();
        assert_eq!(found.as_deref(), Some(reason), "{config}");
    }
    assert!(condition(json!({ "when": { "plan": ["a"] } }), Direction::Request).is_ok());
}
