//! What the upstream and the filters behind are told of a caller.

mod support;

use auth_policy::{Policy, Step};
use http_message::HeaderWrite;
use identity::Identity;
use serde_json::{Value, json};
use support::{API_KEY, KEYS, NOW, claims_with, config, decide, policy, request, summary};

fn telling() -> Value {
    let mut config = config();
    config["jwt"]["selected_claims"] =
        json!({ "tenant": ["org", "tenant"], "roles": ["org", "roles"] });
    config["upstream_headers"]["payload"] = json!("x-jwt-payload");
    config["upstream_headers"]["labels"] = json!({ "team": "x-team" });
    config["upstream_headers"]["claims"] = json!([
        { "path": ["org", "roles"], "header": "x-roles" },
        { "path": ["org"], "header": "x-org", "format": "json" },
        { "path": ["email"], "header": "x-email" },
    ]);
    config
}

/// The headers that the upstream gets and the record, or the refusal in words.
fn told(
    policy: &Policy,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(Vec<String>, Identity), String> {
    let head = request(path, headers);
    let step = decide(policy, &head, NOW);
    let said = summary(&step);
    let Step::Forward(forward) = step else {
        return Err(said);
    };
    let mut lines = Vec::new();
    for write in forward.edits.writes(head.headers()) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        if let HeaderWrite::Replace(name, value) | HeaderWrite::Add(name, value) = write {
            lines.push(format!("{}: {}", text(name), text(value)));
        }
    }
    lines.sort();
    Ok((lines, Identity::clone(&forward.caller)))
}

fn bearer(changes: Value) -> String {
    let [_, _, token] = KEYS.tokens(&claims_with(changes));
    format!("Bearer {token}")
}

fn org() -> Value {
    json!({ "org": { "tenant": "t-7", "roles": ["a,b", "c"] }, "email": "é@x" })
}

#[test]
fn claims_labels_and_payload_are_told() {
    let policy = policy(&telling());
    let token = bearer(org());
    let (lines, record) = told(&policy, "/tokens", &[("authorization", &token)]).unwrap();
    let payload = token.split('.').nth(1).unwrap();
    for line in [
        "x-roles: a%2Cb,c".to_owned(),
        r#"x-org: {"roles":["a,b","c"],"tenant":"t-7"}"#.to_owned(),
        "x-email: %C3%A9@x".to_owned(),
        format!("x-jwt-payload: {payload}"),
    ] {
        assert!(lines.contains(&line), "{line} {lines:?}");
    }
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        record.claims,
        [pair("roles", r#"["a,b","c"]"#), pair("tenant", "t-7")]
    );
    assert_eq!(Identity::decode(&record.encode()), Ok(record));

    let (lines, record) = told(&policy, "/cached", &[("x-api-key", API_KEY)]).unwrap();
    assert!(lines.contains(&"x-team: ci".to_owned()), "{lines:?}");
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("x-jwt") || line.starts_with("x-org"))
    );
    assert_eq!(
        (record.labels, record.claims),
        (vec![pair("team", "ci")], vec![])
    );
}

// A header of one credential beside the identity of another would name a caller that does not exist.
#[test]
fn only_the_credential_that_counts_is_told() {
    let mut config = telling();
    config["rules"] =
        json!([{ "name": "r", "any": [{ "credential": "api_key" }, { "credential": "jwt" }] }]);
    let token = bearer(org());
    let headers = [("x-api-key", API_KEY), ("authorization", &*token)];
    let (lines, record) = told(&policy(&config), "/", &headers).unwrap();
    assert_eq!((record.subject, record.claims), (None, vec![]));
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("x-org") || line.starts_with("x-jwt")),
        "{lines:?}"
    );
    config["rules"] =
        json!([{ "name": "r", "all": [{ "credential": "api_key" }, { "credential": "jwt" }] }]);
    let (lines, record) = told(&policy(&config), "/", &headers).unwrap();
    assert_eq!(
        (record.subject.as_deref(), record.claims.len()),
        (Some("alice"), 2)
    );
    assert!(
        lines.iter().any(|line| line.starts_with("x-org: ")),
        "{lines:?}"
    );
}

#[test]
fn what_a_client_writes_there_goes() {
    let policy = policy(&telling());
    let forged = [
        ("x-org", "{}"),
        ("x_roles", "root"),
        ("X-Jwt-Payload", "e30"),
        ("x-team", "root"),
    ];
    let head = request("/healthz", &forged);
    let Step::Forward(forward) = decide(&policy, &head, NOW) else {
        panic!("refused")
    };
    let writes = forward.edits.writes(head.headers());
    for (name, _) in forged {
        assert!(
            writes.contains(&HeaderWrite::Remove(name.as_bytes())),
            "{name}"
        );
    }
}

#[test]
fn what_does_not_fit_or_cannot_be_written_is_refused() {
    let policy = policy(&telling());
    let by = |changes: Value| {
        let token = bearer(changes);
        told(&policy, "/tokens", &[("authorization", &token)]).map(drop)
    };
    assert_eq!(by(org()), Ok(()));
    assert_eq!(
        by(json!({ "email": { "a": 1 } })),
        Err("401 token_claims by tokens".into())
    );
    assert_eq!(
        by(json!({ "org": { "roles": [["a"]] } })),
        Err("401 token_claims by tokens".into())
    );
    assert_eq!(
        by(json!({ "org": { "tenant": "x".repeat(1025) } })),
        Err("401 claim_too_long by tokens".into())
    );
    // The payload alone is over 4 KiB.
    assert_eq!(
        by(json!({ "other": "x".repeat(3500) })),
        Err("401 claim_too_long by tokens".into())
    );
}

#[test]
fn faults_are_refused_with_their_path() {
    let refused = |pointer: &str, value: Value| {
        let mut config = telling();
        *config.pointer_mut(pointer).unwrap() = value;
        Policy::from_bytes(config.to_string().as_bytes())
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    for (pointer, value, expected) in [
        (
            "/upstream_headers/payload",
            json!("x-user"),
            "upstream_headers.payload: another field has the same header",
        ),
        (
            "/upstream_headers/claims/1/header",
            json!("x_roles"),
            "upstream_headers.claims[1].header: another field",
        ),
        (
            "/upstream_headers/claims/0/header",
            json!("host"),
            "upstream_headers.claims[0].header: this header has a meaning",
        ),
        (
            "/upstream_headers/labels/team",
            json!("x-api-key"),
            "upstream_headers.labels.team: this header carries a credential",
        ),
        (
            "/upstream_headers/claims/0/path",
            json!([]),
            "upstream_headers.claims[0].path: expected 1 to 8 items",
        ),
        (
            "/upstream_headers/claims/0/path",
            json!("a"),
            "upstream_headers.claims[0].path: wrong type",
        ),
        (
            "/jwt/selected_claims/tenant",
            json!([""]),
            "jwt.selected_claims.tenant[0]: expected 1 to 128 bytes",
        ),
    ] {
        let told = refused(pointer, value);
        assert!(told.starts_with(expected), "{told}");
    }
}
