//! Any configuration and any request: a rewrite leads where it may, and no header of the client's speaks for a rule.

use std::time::Duration;

use http_message::{CanonicalPath, HeaderEdit, HeaderValue, RequestHead};
use serde_json::{Value, json};
use transform_policy::{Facts, Policy, Step};

use crate::json::{at, items};
use crate::request::{self, after, folded};
use crate::{join, parts, transform};

/// # Panics
/// A path is written that no rule allows, a request waits twice, or a header of the client's is left under a name that a rule sets.
pub fn run(input: &[u8]) {
    let Some((config, text)) = parts(input) else {
        return;
    };
    let Ok(policy) = Policy::from_bytes(config) else {
        return;
    };
    let Ok(config) = serde_json::from_slice::<Value>(config) else {
        return;
    };
    let head = request::read(text);
    let mut facts = Facts::default();
    facts.draw = Some([7; transform_policy::DRAW_BYTES]);
    facts.complete(Duration::ZERO);
    let mut step = policy.request(&head, &facts, false, None);
    if let Step::Await(mut capturing) = step {
        // What its body says is anything too.
        let _ = capturing.wait(text);
        let captured = capturing.captured();
        step = policy.request(&head, &facts, false, Some(&captured));
    }
    let forward = match step {
        Step::Forward(forward) => forward,
        Step::Await(_) => panic!("it waits for what it has"),
        Step::Reply(problem, reason) => {
            assert!((400..600).contains(&problem.status));
            assert_eq!(problem.code_details, reason.code_details());
            return;
        }
        Step::Need(_) => panic!("what it needs is there"),
    };
    for edit in forward.edits.iter() {
        match edit {
            HeaderEdit::SetPath { value } => {
                assert!(is_allowed(&config, &head, value), "{value:?}");
            }
            HeaderEdit::SetAuthority { value } => {
                let hosts = requests(&config)
                    .flat_map(|request| items(request, "allowed_hosts").chain(request.get("host")));
                assert!(
                    hosts
                        .filter_map(Value::as_str)
                        .any(|host| value.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
                );
            }
            HeaderEdit::SetMethod { value } => {
                assert!(![&b"CONNECT"[..], b"HEAD", b"TRACE"].contains(&value.as_bytes()));
                assert!(![&b"CONNECT"[..], b"HEAD"].contains(&head.method()));
            }
            _ => {}
        }
    }
    let left = after(&head, &forward.edits);
    for rule in items(&config, "rules") {
        let edits = at(rule, &["request"])
            .into_iter()
            .flat_map(|request| items(request, "headers"));
        for name in edits.filter_map(|edit| edit.get("set")?.as_str()) {
            let same = left
                .iter()
                .filter(|(is, _)| folded(is) == folded(name.as_bytes()));
            for (is, value) in same {
                let written = forward.edits.iter().any(|edit| match edit {
                    HeaderEdit::Set { name, value: set }
                    | HeaderEdit::Append { name, value: set } => {
                        name.as_bytes() == is.as_slice() && set.as_bytes() == value.as_slice()
                    }
                    _ => false,
                });
                assert!(written, "{is:?} of the client's");
            }
        }
    }
}

fn requests(config: &Value) -> impl Iterator<Item = &Value> {
    items(config, "rules").filter_map(|rule| rule.get("request"))
}

/// Whether a path that was written is that of the request, or under what some rule with a rewrite allows, by whole segments.
fn is_allowed(config: &Value, head: &RequestHead, target: &HeaderValue) -> bool {
    let Ok(path) = CanonicalPath::parse(target.as_bytes()) else {
        return false;
    };
    // The query alone was edited.
    if head.path() == Ok(&path) && requests(config).any(|request| request.get("query").is_some()) {
        return true;
    }
    let path: Vec<&str> = path.as_str().split('/').collect();
    items(config, "rules")
        .filter_map(|rule| at(rule, &["request", "path"]))
        .flat_map(|rewrite| items(rewrite, "allowed_paths"))
        .filter_map(|allowed| CanonicalPath::parse(allowed.as_str()?.as_bytes()).ok())
        .any(|allowed| {
            let allowed = allowed
                .as_str()
                .trim_end_matches('/')
                .split('/')
                .collect::<Vec<_>>();
            path.starts_with(&allowed)
        })
}

/// The example with requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let example = transform::configuration::example();
    let requests = [
        "GET /customers/17\nX_Team: mine\nx-client: a\nx-debug: 1",
        "POST /customers\ncontent-type: application/json\ncontent-length: 2",
        "POST /customers\ncontent-type: text/html",
        "GET /api/users?a=b",
        "GET /api/admin",
        "GET /api",
        "GET /other\nx-team: mine",
        "DELETE /edited/v1/users/7?a=1&TEAM=x;b=2\ntraceparent: 00-1\nx-request-id: 1",
        "POST /customers\ncontent-type: application/grpc",
    ];
    let edits = json!({ "version": 1, "rules": [{
        "name": "edited",
        "request": {
            "headers": [
                { "add": "x-a", "value": "1" }, { "copy": "x-a", "to": "x-b" }, { "dedupe": "x-b", "keep": "unique" },
                { "remove_prefix": "x-i" }, { "keep_only": ["x-b", "x-app-*"] },
            ],
            "query": [
                { "set": "team", "value": "c r m" }, { "add": "b", "value": "1" }, { "remove": "c" },
                { "rename": "a", "to": "d" }, { "keep_only": ["team", "d"] },
            ],
            "path": {
                "regex": { "pattern": "^/edited/v[0-9]+/(.*)$", "substitution": "/\\1" },
                "allowed_paths": ["/users"],
            },
            "host": "users.internal",
            "method": "PUT",
            "presets": ["request_id", "traceparent"],
        },
    }] })
    .to_string();
    let configs = [&example, &edits];
    configs
        .into_iter()
        .flat_map(|config| requests.iter().map(|request| join(config, request)))
        .collect()
}
