//! What a provider asks of claims beside issuer, audience and dates.

mod support;

use auth_policy::{Facts, Policy, Step};
use serde_json::{Value, json};
use support::{NOW, config, decide, policy, request, secret_token, summary};

/// The sample configuration with the second provider changed.
fn with(changes: Value) -> Policy {
    let mut config = config();
    let provider = &mut config["jwt"]["providers"][1];
    for (name, value) in changes.as_object().unwrap() {
        provider[name] = value.clone();
    }
    policy(&config)
}

fn step_of(policy: &Policy, claims: Value) -> (String, Vec<String>) {
    let bearer = format!("Bearer {}", secret_token(claims));
    let step = decide(
        policy,
        &request("/tokens", &[("authorization", &bearer)]),
        NOW,
    );
    let groups = match &step {
        Step::Forward(forward) => forward.caller.groups.clone(),
        _ => Vec::new(),
    };
    (summary(&step), groups)
}

fn outcome(policy: &Policy, claims: Value) -> String {
    step_of(policy, claims).0
}

const GOOD: &str = "allow jwt:alice by tokens";

#[test]
fn a_required_claim_is_required() {
    let policy = with(json!({ "required_claims": [
        { "path": ["tenant", "id"], "equals": 7 },
        { "path": ["env"], "any_of": ["prod", "stage"] },
        { "path": ["amr"], "contains": "mfa" },
    ] }));
    let good = json!({ "tenant": { "id": 7 }, "env": "stage", "amr": ["pwd", "mfa"] });
    assert_eq!(outcome(&policy, good.clone()), GOOD);
    for (name, value) in [
        ("tenant", json!(null)),
        ("tenant", json!({ "id": "7" })),
        ("tenant", json!([{ "id": 7 }])),
        ("env", json!("Prod")),
        ("env", json!(["prod"])),
        ("amr", json!(["pwd"])),
        ("amr", json!("mfa pwd")),
    ] {
        let mut claims = good.clone();
        claims[name] = value.clone();
        let answer = outcome(&policy, claims);
        assert_eq!(answer, "401 claim_required by tokens", "{name}: {value}");
    }
}

// A remembered token would pass a provider that has become stricter only if it outlived its configuration; one that was
// refused must not be remembered at all.
#[test]
fn a_token_without_a_required_claim_is_not_remembered() {
    let policy = with(json!({ "required_claims": [{ "path": ["env"], "equals": "prod" }] }));
    let bearer = format!("Bearer {}", secret_token(json!({})));
    let head = request("/tokens", &[("authorization", &bearer)]);
    let mut tokens = policy.token_cache([1, 2, 3, 4]);
    let mut evidence = auth_policy::Evidence::new();
    while let Step::Verify(check) =
        policy.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW)
    {
        evidence.add(check, true);
    }
    assert!(tokens.is_empty());
}

#[test]
fn a_lifetime_is_bounded() {
    let policy = with(json!({ "max_lifetime": "10m" }));
    let now = NOW.as_secs();
    assert_eq!(
        outcome(&policy, json!({ "iat": now - 300, "exp": now + 300 })),
        GOOD
    );
    for claims in [
        json!({ "iat": now - 301, "exp": now + 300 }),
        json!({ "exp": now + 1 }),
        json!({ "nbf": now, "exp": now + 1 }),
    ] {
        let answer = outcome(&policy, claims.clone());
        assert_eq!(answer, "401 token_lifetime by tokens", "{claims}");
    }
}

#[test]
fn roles_are_found_by_path() {
    let policy = with(json!({ "claims": { "groups": ["realm_access", "roles"] } }));
    let roles = |claim: Value| step_of(&policy, json!({ "realm_access": claim }));
    assert_eq!(
        roles(json!({ "roles": ["a", "b", "a"] })),
        (GOOD.to_owned(), vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(
        roles(json!({ "roles": "a b" })).1,
        ["a b"],
        "one string is one group"
    );
    assert!(roles(json!({})).1.is_empty());
    let wrong = "401 token_claims by tokens";
    assert_eq!(roles(json!({ "roles": [1] })).0, wrong);
    assert_eq!(roles(json!({ "roles": {} })).0, wrong);
    // A name that holds dots and slashes is one name.
    let policy = with(json!({ "claims": { "groups": "https://a.test/roles" } }));
    let named = step_of(&policy, json!({ "https://a.test/roles": ["x"] }));
    assert_eq!(named.1, ["x"]);
}

#[test]
fn faults_are_refused_with_their_path() {
    for (pointer, value, expected) in [
        (
            "required_claims",
            json!([{ "path": ["a"] }]),
            "required_claims[0]: expected exactly one of equals, any_of, contains",
        ),
        (
            "claims",
            json!({ "groups": [] }),
            "claims.groups: expected a name of 1 to 128 bytes, or a list of 1 to 8 of them",
        ),
        (
            "claims",
            json!({ "plan": 7 }),
            "claims.plan: expected a name of 1 to 128 bytes, or a list of 1 to 8 of them",
        ),
    ] {
        let mut config = config();
        config["jwt"]["providers"][1][pointer] = value;
        let error = Policy::from_bytes(config.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("jwt.providers[1].{expected}"));
    }
}
