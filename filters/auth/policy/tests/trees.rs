//! Rules with trees: what they ask for, and what a caller who does not have it is told.

mod support;

use auth_policy::{Evidence, Facts, Policy, Step};
use http_message::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{API_KEY, ISSUER, KEYS, NOW, claims_with, config, policy, request, summary};

/// A policy with this rule alone.
fn ruled(rule: Value) -> Policy {
    let mut config = config();
    let mut rule = rule;
    rule["name"] = json!("r");
    config["rules"] = json!([rule]);
    policy(&config)
}

fn refused(rule: Value) -> String {
    let mut config = config();
    let mut rule = rule;
    rule["name"] = json!("r");
    config["rules"] = json!([rule]);
    Policy::from_bytes(config.to_string().as_bytes())
        .map(|_| "accepted".to_owned())
        .unwrap_or_else(|error| error.to_string())
}

fn step<'p>(policy: &'p Policy, headers: &[(&str, &str)], facts: &Facts) -> Step<'p> {
    let head = request("/", headers);
    let (mut evidence, mut tokens) = (Evidence::new(), policy.token_cache([1, 2, 3, 4]));
    loop {
        match policy.decide(&head, facts, &evidence, &mut tokens, NOW) {
            Step::Verify(check) => {
                let holds = check.verify();
                evidence.add(check, holds);
            }
            step => return step,
        }
    }
}

fn from(address: &str) -> Facts {
    Facts {
        address: Some(address.as_bytes().to_vec()),
        ..Facts::default()
    }
}

fn outcome(policy: &Policy, headers: &[(&str, &str)], address: &str) -> String {
    summary(&step(policy, headers, &from(address)))
}

fn token(changes: Value) -> String {
    let [_, _, token] = KEYS.tokens(&claims_with(changes));
    format!("Bearer {token}")
}

const KEY: (&str, &str) = ("x-api-key", API_KEY);
const OFFICE: &str = "192.0.2.7:50000";
const ELSEWHERE: &str = "198.51.100.7:50000";

#[test]
fn groups_nest() {
    let rule = ruled(json!({ "any": [
        { "all": [{ "credential": "jwt", "groups": ["staff"] }, { "not": { "credential": "jwt", "groups": ["banned"] } }] },
        { "all": [{ "credential": "api_key" }, { "addresses": ["192.0.2.0/24"] }] },
    ] }));
    let staff = token(json!({}));
    let banned = token(json!({ "groups": ["staff", "banned"] }));
    let guest = token(json!({ "groups": ["guest"] }));
    for (headers, address, expected) in [
        (
            vec![("authorization", &*staff)],
            ELSEWHERE,
            "allow jwt:alice by r",
        ),
        (
            vec![("authorization", &*banned)],
            ELSEWHERE,
            "401 credential_missing by r",
        ),
        (
            vec![("authorization", &*guest)],
            ELSEWHERE,
            "403 group_missing by r",
        ),
        (vec![KEY], OFFICE, "allow api_key:ci-2026 by r"),
        (vec![KEY], ELSEWHERE, "401 credential_missing by r"),
        (vec![], OFFICE, "401 credential_missing by r"),
        // Who is banned as one caller may still be another.
        (
            vec![("authorization", &*banned), KEY],
            OFFICE,
            "allow api_key:ci-2026 by r",
        ),
    ] {
        assert_eq!(outcome(&rule, &headers, address), expected, "{headers:?}");
    }
}

#[test]
fn not_refuses_who_is_named() {
    let rule = ruled(json!({ "all": [
        { "credential": "jwt" },
        { "not": { "any": [{ "credential": "jwt", "plans": ["gold"] }, { "addresses": ["192.0.2.0/24"] }] } },
    ] }));
    let (gold, free) = (token(json!({})), token(json!({ "plan": "free" })));
    let by = |token: &str, address| outcome(&rule, &[("authorization", token)], address);
    assert_eq!(by(&free, ELSEWHERE), "allow jwt:alice by r");
    assert_eq!(by(&gold, ELSEWHERE), "403 excluded by r");
    assert_eq!(by(&free, OFFICE), "403 excluded by r");
    // It is not known whether this caller is in the network: neither the test nor its opposite holds.
    assert_eq!(by(&free, "nowhere"), "403 address_unknown by r");
    assert_eq!(by(&gold, "nowhere"), "403 excluded by r");
}

#[test]
fn plans_and_claims_are_asked_for() {
    let rule = ruled(
        json!({ "any": [{ "credential": "jwt", "plans": ["gold", "silver"], "claims": [
        { "path": ["realm_access", "roles"], "contains": "editor" },
        { "path": ["email_verified"], "equals": true },
    ] }] }),
    );
    let with = |changes: Value| outcome(&rule, &[("authorization", &token(changes))], ELSEWHERE);
    let good = json!({ "realm_access": { "roles": ["reader", "editor"] }, "email_verified": true });
    assert_eq!(with(good.clone()), "allow jwt:alice by r");
    for (change, expected) in [
        (json!({ "plan": "free" }), "403 plan_missing by r"),
        (json!({ "plan": null }), "403 plan_missing by r"),
        (
            json!({ "realm_access": { "roles": ["reader"] } }),
            "403 claim_missing by r",
        ),
        (json!({ "realm_access": null }), "403 claim_missing by r"),
        (
            json!({ "email_verified": "true" }),
            "403 claim_missing by r",
        ),
    ] {
        let mut changed = good.clone();
        changed
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(with(changed), expected, "{change}");
    }
}

#[test]
fn claims_are_asked_of_a_token_that_is_known_too() {
    let rule = ruled(
        json!({ "any": [{ "credential": "jwt", "claims": [{ "path": ["tier"], "equals": 2 }] }] }),
    );
    let mut tokens = rule.token_cache([1, 2, 3, 4]);
    for (tier, expected) in [(2, "allow jwt:alice by r"), (1, "403 claim_missing by r")] {
        let token = token(json!({ "tier": tier }));
        let head = request("/", &[("authorization", &token)]);
        let mut evidence = Evidence::new();
        let mut rounds = Vec::new();
        for _ in 0..3 {
            rounds.push(
                match rule.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW) {
                    Step::Verify(check) => {
                        let holds = check.verify();
                        evidence.add(check, holds);
                        "verify".to_owned()
                    }
                    step => summary(&step),
                },
            );
            // The last round knows the token from the cache alone.
            if rounds.len() == 2 {
                evidence = Evidence::new();
            }
        }
        assert_eq!(rounds, ["verify", expected, expected]);
    }
}

#[test]
fn an_address_counts_only_if_it_can_be_believed() {
    let office = json!({ "any": [{ "addresses": ["192.0.2.0/24", "2001:db8::/32"] }] });
    let rule = ruled(office.clone());
    assert!(rule.needs().address && !policy(&config()).needs().address);
    for (address, expected) in [
        (OFFICE, "allow anonymous by r"),
        ("[::ffff:192.0.2.7]:50000", "allow anonymous by r"),
        ("[2001:db8::1%eth0]:50000", "allow anonymous by r"),
        (ELSEWHERE, "403 address_not_allowed by r"),
        // Envoy has these from a header that a client may have written.
        ("192.0.2.7:0", "403 address_unknown by r"),
        ("192.0.2.7", "403 address_unknown by r"),
        ("", "403 address_unknown by r"),
        ("/run/socket", "403 address_unknown by r"),
    ] {
        assert_eq!(outcome(&rule, &[], address), expected, "{address}");
    }
    assert_eq!(
        summary(&step(&rule, &[], &Facts::default())),
        "403 address_unknown by r"
    );
    let mut trusting = config();
    trusting["address"] = json!({ "x_forwarded_for": true });
    trusting["rules"] = json!([{ "name": "r", "any": office["any"] }]);
    assert_eq!(
        outcome(&policy(&trusting), &[], "192.0.2.7:0"),
        "allow anonymous by r"
    );
}

#[test]
fn who_needs_no_credential_may_bring_one() {
    let rule = ruled(
        json!({ "any": [{ "credential": "jwt", "scopes": ["admin"] }, { "allow_anonymous": true }] }),
    );
    let weak = token(json!({}));
    assert_eq!(outcome(&rule, &[], ELSEWHERE), "allow anonymous by r");
    assert_eq!(
        outcome(&rule, &[("authorization", &weak)], ELSEWHERE),
        "allow jwt:alice by r"
    );
    let expired = token(json!({ "exp": 1 }));
    assert_eq!(
        outcome(&rule, &[("authorization", &expired)], ELSEWHERE),
        "401 token_expired by r"
    );
    // A rule's own scopes are asked of somebody.
    let scoped = ruled(json!({ "any": [{ "allow_anonymous": true }], "scopes": ["a"] }));
    assert_eq!(
        outcome(&scoped, &[], ELSEWHERE),
        "401 credential_missing by r"
    );
}

#[test]
fn a_rule_may_ignore_what_is_not_good() {
    let rule = ruled(
        json!({ "any": [{ "credential": "jwt" }, { "allow_anonymous": true }], "ignore_invalid": true }),
    );
    let expired = token(json!({ "exp": 1 }));
    let good = token(json!({}));
    let (anonymous, alice) = ("allow anonymous by r", "allow jwt:alice by r");
    for (headers, expected) in [
        (vec![], anonymous.to_owned()),
        (vec![("authorization", &*good)], alice.to_owned()),
        (
            vec![("authorization", &*expired)],
            format!("{anonymous} for token_expired"),
        ),
        (
            vec![("authorization", "Bearer x")],
            format!("{anonymous} for token_malformed"),
        ),
        (
            vec![("authorization", &*good), ("x-api-key", "wrong")],
            format!("{alice} for api_key_unknown"),
        ),
        (
            vec![("authorization", &*good), ("authorization", &*good)],
            format!("{anonymous} for credential_repeated"),
        ),
        // A guess is a guess, whatever else is wrong.
        (
            vec![
                ("authorization", &*good),
                ("authorization", &*good),
                ("x-api-key", "wrong"),
            ],
            format!("{anonymous} for api_key_unknown"),
        ),
        (
            vec![
                ("authorization", &*expired),
                ("x-api-key", "one"),
                ("x-api-key", "two"),
            ],
            format!("{anonymous} for token_expired"),
        ),
    ] {
        let told = step(&rule, &headers, &Facts::default());
        assert_eq!(summary(&told), expected, "{headers:?}");
        // It is no credential of the caller's, but it is not the upstream's either.
        let Step::Forward(forward) = told else {
            panic!("refused")
        };
        let head = HeaderMap::from_pairs(headers.iter().copied());
        let writes = forward.edits.writes(&head);
        for (name, _) in &headers {
            let removed = http_message::HeaderWrite::Remove(name.as_bytes());
            assert!(writes.contains(&removed), "{name}");
        }
    }
    // Where a credential is asked for, one that does not count is none.
    let strict = ruled(json!({ "any": [{ "credential": "jwt" }], "ignore_invalid": true }));
    assert_eq!(
        outcome(&strict, &[("authorization", &expired)], ELSEWHERE),
        "401 credential_missing by r"
    );
}

#[test]
fn challenges_name_what_would_do() {
    let challenges = |rule: Value| {
        let rule = ruled(rule);
        let told = step(&rule, &[], &from(ELSEWHERE));
        let Step::Reply(refusal) = told else {
            panic!("passed")
        };
        let texts = refusal.problem.headers.iter();
        let schemes: Vec<String> = texts
            .map(|(_, value)| {
                String::from_utf8_lossy(value.as_bytes())
                    .split(' ')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        (refusal.problem.status, schemes)
    };
    let bearer = || vec!["Bearer".to_owned()];
    let not_a_key = json!({ "all": [{ "any": [{ "credential": "jwt" }] }, { "not": { "credential": "api_key" } }] });
    assert_eq!(challenges(not_a_key), (401, bearer()));
    let deep = json!({ "any": [{ "all": [{ "addresses": ["192.0.2.0/24"] }, { "credential": "api_key" }] }, { "credential": "jwt" }] });
    assert_eq!(
        challenges(deep),
        (401, vec!["Bearer".to_owned(), "ApiKey".to_owned()])
    );
    // No credential brings a caller into a network.
    assert_eq!(
        challenges(json!({ "any": [{ "addresses": ["192.0.2.0/24"] }] })),
        (403, vec![])
    );
}

#[test]
fn a_route_may_ask_for_more() {
    let rule = ruled(
        json!({ "any": [{ "credential": "api_key" }], "route_metadata": ["scopes", "groups"] }),
    );
    assert!(rule.needs().route_metadata && !policy(&config()).needs().route_metadata);
    let list = |texts: &[&str]| match texts {
        [] => vec![0; 4],
        texts => HeaderMap::from_pairs(texts.iter().map(|text| (*text, "")))
            .as_bytes()
            .to_vec(),
    };
    let route = |scopes: &[&str], groups: &[&str]| Facts {
        route_metadata: Some(
            HeaderMap::from_pairs([("scopes", list(scopes)), ("groups", list(groups))])
                .as_bytes()
                .to_vec(),
        ),
        ..Facts::default()
    };
    for (facts, expected) in [
        (
            route(&["orders:read"], &["partners"]),
            "allow api_key:ci-2026 by r",
        ),
        (route(&[], &[]), "allow api_key:ci-2026 by r"),
        (route(&["orders:write"], &[]), "403 scope_missing by r"),
        (route(&[], &["staff"]), "403 group_missing by r"),
        (Facts::default(), "403 route_metadata_missing by r"),
    ] {
        assert_eq!(summary(&step(&rule, &[KEY], &facts)), expected);
    }
    assert_eq!(
        summary(&step(&rule, &[], &route(&[], &[]))),
        "401 credential_missing by r"
    );
    // The scopes that the route asks for are those of the challenge.
    let tokens =
        ruled(json!({ "any": [{ "credential": "jwt" }], "route_metadata": ["scopes", "groups"] }));
    let told = step(
        &tokens,
        &[("authorization", &token(json!({})))],
        &route(&["a", "b"], &[]),
    );
    let Step::Reply(refusal) = told else {
        panic!("passed")
    };
    let challenge = String::from_utf8_lossy(refusal.problem.headers[0].1.as_bytes()).into_owned();
    assert!(
        challenge.ends_with(r#"error="insufficient_scope", scope="a b""#),
        "{challenge}"
    );
}

#[test]
fn the_metadata_of_the_resource_is_named() {
    let mut config = config();
    let url = "https://api.gatehouse.test/.well-known/oauth-protected-resource";
    config["resource_metadata"] = json!(url);
    let policy = policy(&config);
    let challenge = |headers: &[(&str, &str)]| {
        let head = request("/tokens", headers);
        let Step::Reply(refusal) = support::decide(&policy, &head, NOW) else {
            panic!("passed")
        };
        String::from_utf8_lossy(refusal.problem.headers[0].1.as_bytes()).into_owned()
    };
    let named = format!(r#"resource_metadata="{url}""#);
    assert_eq!(challenge(&[]), format!(r#"Bearer realm="api", {named}"#));
    let invalid = format!(r#"Bearer realm="api", error="invalid_token", {named}"#);
    assert_eq!(challenge(&[("authorization", "Bearer x")]), invalid);
    for url in ["http://api.test/", "https://a\"", "/relative", "https://é"] {
        config["resource_metadata"] = json!(url);
        let error = Policy::from_bytes(config.to_string().as_bytes()).unwrap_err();
        assert!(
            error.to_string().starts_with("resource_metadata: "),
            "{url}"
        );
    }
}

#[test]
fn faults_are_refused_with_their_path() {
    let key = json!({ "credential": "api_key" });
    let deep = (0..7).fold(key.clone(), |node, _| json!({ "any": [node] }));
    assert_eq!(refused(json!({ "any": [deep] })), "accepted");
    let deeper = (0..8).fold(key.clone(), |node, _| json!({ "not": node }));
    assert!(refused(json!({ "any": [deeper] })).ends_with("groups nest at most 8 deep"));
    let wide = json!({ "any": vec![key.clone(); 15] });
    assert!(
        refused(json!({ "any": vec![wide.clone(); 8] }))
            .ends_with("a rule has at most 128 conditions and groups")
    );
    assert_eq!(refused(json!({ "any": vec![wide; 7] })), "accepted");
    for (rule, expected) in [
        (
            json!({ "any": [{}] }),
            "rules[0].any[0]: expected exactly one of credential,",
        ),
        (
            json!({ "any": [{ "credential": "jwt", "any": [key] }] }),
            "rules[0].any[0]: expected exactly one of credential,",
        ),
        (
            json!({ "any": [{ "any": [key], "all": [key] }] }),
            "rules[0].any[0]: expected exactly one of credential,",
        ),
        (
            json!({ "any": [{ "groups": ["a"] }] }),
            "rules[0].any[0]: without a credential there is nobody",
        ),
        (
            json!({ "any": [{ "allow_anonymous": false }] }),
            "rules[0].any[0].allow_anonymous: only true",
        ),
        (
            json!({ "not": { "any": [] } }),
            "rules[0].not.any: expected 1 to 16 items",
        ),
        (
            json!({ "not": { "not": { "credential": "nobody" } } }),
            "rules[0].not.not.credential: ",
        ),
        (
            json!({ "any": [{ "all": [key, key] }] }),
            "rules[0].any[0].all: a request carries one credential",
        ),
        (
            json!({ "any": [{ "credential": "api_key", "claims": [{ "path": ["a"], "equals": 1 }] }] }),
            "rules[0].any[0].claims: an API key has no claims",
        ),
        (
            json!({ "any": [{ "credential": "jwt", "claims": [{ "path": ["a"] }] }] }),
            "rules[0].any[0].claims[0]: expected exactly one of equals",
        ),
        (
            json!({ "any": [{ "addresses": ["192.0.2.1/24"] }] }),
            "rules[0].any[0].addresses[0]: has bits beyond its prefix",
        ),
        (
            json!({ "any": [{ "addresses": [] }] }),
            "rules[0].any[0].addresses: expected 1 to 256 items",
        ),
        (
            json!({ "allow_anonymous": true, "route_metadata": ["scopes"] }),
            "rules[0].route_metadata: an anonymous caller",
        ),
        (
            json!({ "any": [key], "route_metadata": ["scopes", "scopes"] }),
            "rules[0].route_metadata[1]: given twice",
        ),
        (
            json!({ "any": [key], "route_metadata": ["claims"] }),
            "rules[0].route_metadata[0]: ",
        ),
    ] {
        let told = refused(rule);
        assert!(told.starts_with(expected), "{told}");
    }
    assert_eq!(
        refused(json!({ "not": { "addresses": ["192.0.2.0/24"] } })),
        "accepted"
    );
    assert!(ISSUER.starts_with("https"));
}

/// A tree over what the test knows of its caller.
#[derive(Clone, Debug)]
enum Model {
    Any(Vec<Model>),
    All(Vec<Model>),
    Not(Box<Model>),
    Anonymous,
    /// Whether the caller has it; `None` where that is not known.
    Ask(Option<bool>, Value),
}

impl Model {
    fn config(&self) -> Value {
        let list = |members: &[Model]| members.iter().map(Model::config).collect::<Vec<_>>();
        match self {
            Self::Any(members) => json!({ "any": list(members) }),
            Self::All(members) => json!({ "all": list(members) }),
            Self::Not(member) => json!({ "not": member.config() }),
            Self::Anonymous => json!({ "allow_anonymous": true }),
            Self::Ask(_, config) => config.clone(),
        }
    }

    /// Kleene's logic of three values.
    fn holds(&self) -> Option<bool> {
        let all = |values: Vec<Option<bool>>| match values {
            values if values.contains(&Some(false)) => Some(false),
            values if values.contains(&None) => None,
            _ => Some(true),
        };
        match self {
            Self::All(members) => all(members.iter().map(Model::holds).collect()),
            Self::Any(members) => {
                let opposite = |member: &Model| member.holds().map(|holds| !holds);
                all(members.iter().map(opposite).collect()).map(|none| !none)
            }
            Self::Not(member) => member.holds().map(|holds| !holds),
            Self::Anonymous => Some(true),
            Self::Ask(holds, _) => *holds,
        }
    }
}

fn models(addressed: bool) -> impl Strategy<Value = Model> {
    let key = |holds, more: Value| {
        let mut config = json!({ "credential": "api_key" });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Model::Ask(Some(holds), config)
    };
    let place = |network: &str, holds: bool| {
        let known = addressed.then_some(holds);
        Model::Ask(known, json!({ "addresses": [network] }))
    };
    let leaf = prop::sample::select(vec![
        Model::Anonymous,
        key(true, json!({ "groups": ["partners"] })),
        key(false, json!({ "groups": ["staff"] })),
        key(true, json!({ "plans": ["silver"] })),
        key(false, json!({ "scopes": ["admin"] })),
        Model::Ask(Some(false), json!({ "credential": "jwt" })),
        place("192.0.2.0/24", true),
        place("198.51.100.0/24", false),
    ]);
    // `all` takes a kind once, so each of its members stands in a group of its own.
    let wrapped = |members: Vec<Model>| {
        members
            .into_iter()
            .map(|member| Model::Any(vec![member]))
            .collect()
    };
    leaf.prop_recursive(3, 24, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Model::Any),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(move |members| Model::All(wrapped(members))),
            inner.prop_map(|member| Model::Not(Box::new(member))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    // A tree that is walked with a stack of its own must say what logic says, and nothing passes that is not known to hold.
    #[test]
    fn a_tree_holds_where_logic_says_so((addressed, model) in any::<bool>().prop_flat_map(|addressed| (Just(addressed), models(addressed)))) {
        let config = json!({
            "version": 1,
            "api_keys": {
                "sources": [{ "header": "x-api-key" }],
                "keys": [{ "id": "k", "sha256": support::sha256(API_KEY), "plan": "silver", "groups": ["partners"] }],
            },
            "jwt": { "providers": [{ "name": "main", "issuer": ISSUER, "audiences": ["api"], "jwks": KEYS.jwks() }] },
            "rules": [{ "name": "r", "any": [model.config()] }],
        });
        let policy = policy(&config);
        let facts = if addressed { from(OFFICE) } else { Facts::default() };
        let passes = matches!(step(&policy, &[KEY], &facts), Step::Forward(_));
        prop_assert_eq!(passes, model.holds() == Some(true), "{:?}", model);
    }
}
