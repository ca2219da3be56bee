//! Any configuration and any request: a rewrite leads where it may, and no header of the client's speaks for a rule.

use http_message::{CanonicalPath, HeaderEdit, HeaderValue};
use serde_json::Value;
use transform_policy::{Policy, Step};

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
    let draw = Some([7; transform_policy::DRAW_BYTES]);
    let mut step = policy.request(&head, None, None, false, draw, None);
    if let Step::Await(mut capturing) = step {
        // What its body says is anything too.
        let _ = capturing.wait(text);
        let captured = capturing.captured();
        step = policy.request(&head, None, None, false, draw, Some(&captured));
    }
    let forward = match step {
        Step::Forward(forward) => forward,
        Step::Await(_) => panic!("it waits for what it has"),
        Step::Reply(problem, reason) => {
            assert!((400..600).contains(&problem.status));
            assert_eq!(problem.code_details, reason.code_details());
            return;
        }
    };
    for edit in forward.edits.iter() {
        if let HeaderEdit::SetPath { value } = edit {
            assert!(is_allowed(&config, value), "{value:?}");
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

/// Whether a path that was written is under what some rule with a rewrite allows, by whole segments.
fn is_allowed(config: &Value, target: &HeaderValue) -> bool {
    let Ok(path) = CanonicalPath::parse(target.as_bytes()) else {
        return false;
    };
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
        "POST /customers\ncontent-type: application/grpc",
    ];
    requests
        .iter()
        .map(|request| join(&example, request))
        .collect()
}
