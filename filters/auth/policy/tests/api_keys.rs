//! API keys: where they are sent, when they are good, what they are hashed with.

mod support;

use std::time::Duration;

use auth_policy::{Evidence, Facts, Policy, Step};
use http_message::{HeaderMap, HeaderName, HeaderValue, HeaderWrite};
use serde_json::{Value, json};
use support::{API_KEY, NOW, config, decide, request, sha256, summary};

const PEPPER: &str = "a pepper of at least thirty-two bytes";

fn environment(name: &str) -> Option<String> {
    match name {
        "PEPPER" => Some(PEPPER.to_owned()),
        "SHORT" => Some("x".repeat(31)),
        _ => None,
    }
}

fn keys(sources: Value, pepper: Option<&str>, keys: Value) -> Value {
    let mut config = config();
    config["api_keys"] = json!({ "sources": sources, "keys": keys });
    if let Some(name) = pepper {
        config["api_keys"]["pepper_variable"] = json!(name);
    }
    config["rules"] = json!([
        { "name": "open", "match": { "path": { "prefix": "/open" } }, "allow_anonymous": true },
        { "name": "keys", "any": [{ "credential": "api_key" }] },
    ]);
    config
}

fn compile(config: &Value) -> Result<Policy, String> {
    Policy::from_bytes_in(config.to_string().as_bytes(), &environment)
        .map_err(|error| error.to_string())
}

fn one_key(more: Value) -> Value {
    let mut key = json!({ "id": "k", "sha256": sha256(API_KEY) });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => key.as_object_mut().unwrap().remove(name),
            value => key
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    json!([key])
}

fn hmac(key: &str) -> String {
    let mac = hmac_sha256::HMAC::mac(key, PEPPER);
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header() -> Value {
    json!([{ "header": "x-api-key" }])
}

#[test]
fn a_key_is_good_from_not_before_to_expires() {
    // 2027-01-15T08:00:00Z is NOW.
    let policy = compile(&keys(
        header(),
        None,
        one_key(json!({ "not_before": "2027-01-15T08:00:00Z", "expires": "2027-01-15T08:00:10Z" })),
    ))
    .unwrap();
    let at = |seconds: i64| {
        let now = Duration::from_secs(NOW.as_secs().checked_add_signed(seconds).unwrap());
        summary(&decide(
            &policy,
            &request("/", &[("x-api-key", API_KEY)]),
            now,
        ))
    };
    assert_eq!(at(-1), "401 api_key_not_yet_valid by keys");
    assert_eq!(at(0), "allow api_key:k by keys");
    assert_eq!(at(9), "allow api_key:k by keys");
    assert_eq!(at(10), "401 api_key_expired by keys");
}

// Callers are kept for the next request in fewer places than there are keys: one key's would be told of another, or of a key that
// has expired since.
#[test]
fn a_kept_caller_is_that_of_its_key_alone() {
    let many: Vec<Value> = (0..600)
        .map(|number| {
            json!({ "id": format!("k{number}"), "sha256": sha256(&format!("key-{number}")),
                    "labels": { "team": format!("t{number}") }, "expires": "2027-01-15T08:00:10Z" })
        })
        .collect();
    let mut config = keys(header(), None, json!(many));
    config["upstream_headers"]["labels"] = json!({ "team": "x-team" });
    let policy = compile(&config).unwrap();
    let mut kept = policy.token_cache([1, 2, 3, 4]);
    let team = HeaderName::from_static("x-team");
    for number in (0..600).chain((0..600).rev()).chain(0..600) {
        let head = request("/", &[("x-api-key", &format!("key-{number}"))]);
        let (facts, evidence) = (Facts::default(), Evidence::new());
        let step = policy.decide(&head, &facts, &evidence, &mut kept, NOW);
        let caller = format!("allow api_key:k{number} by keys");
        assert_eq!(summary(&step), caller);
        let Step::Forward(forward) = step else {
            panic!("{caller}")
        };
        let told = forward.edits.values(team.as_bytes(), head.headers());
        assert_eq!(
            told,
            [HeaderValue::try_from(format!("t{number}").as_str()).unwrap()]
        );
        let late = NOW + Duration::from_secs(10);
        let step = policy.decide(&head, &facts, &evidence, &mut kept, late);
        assert_eq!(summary(&step), "401 api_key_expired by keys");
    }
}

// While clients change over, both keys are good, and only who uses the old one is told.
#[test]
fn an_old_key_says_that_it_is_old() {
    let both = json!([
        { "id": "new", "sha256": sha256("new-key"), "consumer": "acme" },
        { "id": "old", "sha256": sha256("old-key"), "consumer": "acme", "deprecated": "2023-06-30T23:59:59Z" },
    ]);
    let policy = compile(&keys(header(), None, both)).unwrap();
    let told = |path: &str, key: &str| {
        let head = request(path, &[("x-api-key", key)]);
        let Step::Forward(forward) = decide(&policy, &head, NOW) else {
            panic!("refused")
        };
        assert_eq!(forward.caller.consumer.as_deref(), Some("acme"));
        let text = |value: http_message::HeaderValue| String::from_utf8(value.as_bytes().to_vec());
        forward.deprecation.map(|value| text(value).unwrap())
    };
    // The example of RFC 9745 section 2.1.
    assert_eq!(told("/", "old-key").as_deref(), Some("@1688169599"));
    assert_eq!(told("/open", "old-key").as_deref(), Some("@1688169599"));
    assert_eq!(told("/", "new-key"), None);
}

#[test]
fn a_hash_may_be_made_with_a_pepper() {
    let both = json!([
        { "id": "plain", "sha256": sha256("plain-key") },
        { "id": "peppered", "hmac_sha256": hmac("peppered-key") },
        // A hash of the one kind in the place of the other is no key.
        { "id": "crossed", "sha256": hmac("crossed-key") },
    ]);
    let policy = compile(&keys(header(), Some("PEPPER"), both)).unwrap();
    let by = |key: &str| summary(&decide(&policy, &request("/", &[("x-api-key", key)]), NOW));
    assert_eq!(by("plain-key"), "allow api_key:plain by keys");
    assert_eq!(by("peppered-key"), "allow api_key:peppered by keys");
    assert_eq!(by("crossed-key"), "401 api_key_unknown by keys");
    assert_eq!(by(&hmac("peppered-key")), "401 api_key_unknown by keys");
    assert!(!format!("{policy:?}").contains(PEPPER));
}

#[test]
fn faults_are_refused_with_their_path() {
    let peppered = || one_key(json!({ "sha256": null, "hmac_sha256": hmac(API_KEY) }));
    let missing = "api_keys.pepper_variable: the VM has no such environment variable";
    for (config, expected) in [
        (keys(header(), Some("NONE"), peppered()), missing),
        (
            keys(header(), Some("SHORT"), peppered()),
            "api_keys.pepper_variable: the environment variable has to hold",
        ),
        (
            keys(header(), None, peppered()),
            "api_keys.keys[0].hmac_sha256: name the pepper",
        ),
        (
            keys(header(), Some("PEPPER"), one_key(json!({ "sha256": null }))),
            "api_keys.keys[0]: expected exactly one of",
        ),
        (
            keys(
                header(),
                Some("PEPPER"),
                one_key(json!({ "hmac_sha256": hmac(API_KEY) })),
            ),
            "api_keys.keys[0]: expected exactly one of",
        ),
        (
            keys(
                header(),
                Some("PEPPER"),
                one_key(json!({ "sha256": null, "hmac_sha256": hmac("") })),
            ),
            "api_keys.keys[0].hmac_sha256: this is the hash of the empty string",
        ),
        (
            keys(header(), None, one_key(json!({ "expires": "tomorrow" }))),
            "api_keys.keys[0].expires: expected a moment in UTC",
        ),
        (
            keys(
                header(),
                None,
                one_key(
                    json!({ "not_before": "2027-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00Z" }),
                ),
            ),
            "api_keys.keys[0]: a key expires after",
        ),
        (
            keys(
                json!([{ "header": "authorization" }]),
                None,
                one_key(json!({})),
            ),
            "api_keys.sources[0].header: this header has a meaning",
        ),
        (
            keys(
                json!([{ "header": "authorization", "prefix": "ApiKey" }]),
                None,
                one_key(json!({})),
            ),
            "api_keys.sources[0].prefix: in authorization",
        ),
        (
            keys(
                json!([{ "header": "authorization", "prefix": "bearer " }]),
                None,
                one_key(json!({})),
            ),
            "api_keys.sources[0].prefix: this scheme is for tokens",
        ),
        (
            keys(
                json!([{ "query": "key", "prefix": "x" }]),
                None,
                one_key(json!({})),
            ),
            "api_keys.sources[0].prefix: only a header",
        ),
        (
            keys(json!([{ "cookie": "a b" }]), None, one_key(json!({}))),
            "api_keys.sources[0].cookie: the name of a cookie",
        ),
        (
            keys(
                json!([{ "cookie": "a" }, { "cookie": "a" }]),
                None,
                one_key(json!({})),
            ),
            "api_keys.sources[1].cookie: another source",
        ),
    ] {
        let told = compile(&config).map(drop).unwrap_err();
        assert!(told.starts_with(expected), "{told}");
    }
    compile(&keys(header(), Some("PEPPER"), peppered())).unwrap();
}

/// What the upstream gets of the headers, but for those that auth sets.
fn upstream(policy: &Policy, headers: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    let head = request("/open", headers);
    let step = decide(policy, &head, NOW);
    let said = summary(&step);
    let Step::Forward(forward) = step else {
        return (said, Vec::new());
    };
    let mut left: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    for write in forward.edits.writes(head.headers()) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match write {
            HeaderWrite::Remove(name) => left.retain(|(other, _)| *other != text(name)),
            HeaderWrite::Replace(name, value) | HeaderWrite::Add(name, value)
                if name == b"cookie" =>
            {
                left.retain(|(other, _)| other != "cookie");
                left.push(("cookie".to_owned(), text(value)));
            }
            HeaderWrite::Replace(..) | HeaderWrite::Add(..) => {}
        }
    }
    (said, left)
}

#[test]
fn keys_come_by_every_source_and_go_no_further() {
    let sources = json!([
        { "header": "authorization", "prefix": "ApiKey " },
        { "header": "x-key", "prefix": "Key=" },
        { "cookie": "session_key" },
    ]);
    let policy = compile(&keys(sources, None, one_key(json!({})))).unwrap();
    let (good, none) = ("allow api_key:k by open", "allow anonymous by open");
    let cookie = format!("a=1; session_key={API_KEY}; b=2");
    let own = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    for (headers, expected, left) in [
        (
            vec![("authorization", format!("ApiKey {API_KEY}"))],
            good,
            vec![],
        ),
        (
            vec![("authorization", format!("aPIkEY   {API_KEY}"))],
            good,
            vec![],
        ),
        (
            vec![("authorization", "Basic YTpi".to_owned())],
            none,
            own("authorization", "Basic YTpi"),
        ),
        (
            vec![("authorization", format!("ApiKeys {API_KEY}"))],
            none,
            own("authorization", &format!("ApiKeys {API_KEY}")),
        ),
        (vec![("x-key", format!("Key={API_KEY}"))], good, vec![]),
        (
            vec![("cookie", cookie.clone())],
            good,
            own("cookie", "a=1; b=2"),
        ),
        (
            vec![("cookie", format!("session_key={API_KEY}"))],
            good,
            vec![],
        ),
        (
            vec![
                ("cookie", "a=1".to_owned()),
                ("cookie", format!("session_key={API_KEY}")),
                ("cookie", "b=2".to_owned()),
            ],
            good,
            own("cookie", "a=1; b=2"),
        ),
        (
            vec![("cookie", "xsession_key=1; Session_Key=2".to_owned())],
            none,
            own("cookie", "xsession_key=1; Session_Key=2"),
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(
            upstream(&policy, &headers),
            (expected.to_owned(), left),
            "{headers:?}"
        );
    }
    for (headers, expected) in [
        (
            vec![("x-key", API_KEY.to_owned())],
            "401 api_key_malformed by open",
        ),
        (
            vec![("authorization", "ApiKey".to_owned())],
            "401 api_key_malformed by open",
        ),
        (
            vec![("authorization", format!("ApiKey {API_KEY}, x"))],
            "401 api_key_malformed by open",
        ),
        (
            vec![("authorization", format!("Basic YTpi,ApiKey {API_KEY}"))],
            "401 credential_repeated by open",
        ),
        (
            vec![
                ("cookie", cookie.clone()),
                ("x-key", format!("Key={API_KEY}")),
            ],
            "401 credential_repeated by open",
        ),
        (
            vec![(
                "cookie",
                format!("session_key={API_KEY}; session_key={API_KEY}"),
            )],
            "401 credential_repeated by open",
        ),
        (
            vec![("cookie", "session_key".to_owned())],
            "401 api_key_malformed by open",
        ),
        (
            vec![("cookie", "session_key=\"x\"".to_owned())],
            "401 api_key_unknown by open",
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(upstream(&policy, &headers).0, expected, "{headers:?}");
    }
    // Trailers are cleaned of the same.
    let trailers = HeaderMap::from_pairs([
        ("cookie", cookie.as_str()),
        ("authorization", "ApiKey x"),
        ("x", "y"),
    ]);
    let edits = policy.clean_trailers(&trailers);
    let names: Vec<&[u8]> = edits.iter().map(|edit| edit.name()).collect();
    assert_eq!(names, [&b"authorization"[..], b"cookie"]);
}

// A client that is asked for `ApiKey` and has to send `Token` has been told nothing.
#[test]
fn keys_are_asked_for_by_the_scheme_that_they_are_sent_under() {
    let challenge = |sources: Value| {
        let policy = compile(&keys(sources, None, one_key(json!({})))).unwrap();
        let Step::Reply(refusal) = decide(&policy, &request("/", &[]), NOW) else {
            panic!("passed")
        };
        let [(_, value)] = &refusal.problem.headers[..] else {
            panic!("one challenge: {:?}", refusal.problem.headers)
        };
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    let token = json!([{ "header": "authorization", "prefix": "Token " }]);
    assert_eq!(challenge(token), "Token realm=\"api\"");
    assert_eq!(challenge(header()), "ApiKey realm=\"api\"");
}
