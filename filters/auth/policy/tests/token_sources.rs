//! Where tokens may be, that one is one, and that none goes on to the upstream.

mod support;

use auth_policy::Policy;
use http_message::HeaderWrite::{Add, Remove, Replace};
use http_message::{HeaderMap, RequestHead};
use serde_json::{Value, json};
use support::{NOW, config, decide, policy, request, secret_token, summary};

/// The sample configuration with tokens from all kinds of places.
fn everywhere() -> Policy {
    let mut config = config();
    config["jwt"]["sources"] = json!([
        { "header": "authorization", "prefix": "Bearer " },
        { "header": "x-token", "prefix": "Token " },
        { "header": "x-assertion" },
        { "query": "access_token" },
        { "cookie": "session" },
    ]);
    config["api_keys"]["sources"] = json!([{ "header": "x-api-key" }, { "cookie": "key" }]);
    policy(&config)
}

fn token() -> String {
    secret_token(json!({}))
}

fn outcome(policy: &Policy, path: &str, headers: &[(&str, &str)]) -> String {
    summary(&decide(policy, &request(path, headers), NOW))
}

/// What of the request the upstream gets: its target, and its headers by name.
fn upstream(policy: &Policy, path: &str, headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let head = request(path, headers);
    let step = decide(policy, &head, NOW);
    let auth_policy::Step::Forward(forward) = &step else {
        panic!("refused: {}", summary(&step));
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut left: Vec<(String, String)> = head
        .headers()
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    for write in forward.edits.writes(head.headers()) {
        let (name, value) = match write {
            Remove(name) => (text(name), None),
            Replace(name, value) | Add(name, value) => (text(name), Some(text(value))),
        };
        left.retain(|(other, _)| *other != name);
        left.extend(value.map(|value| (name, value)));
    }
    left
}

fn get<'a>(left: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = left.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_token_is_found_in_each_place() {
    let (policy, token) = (everywhere(), token());
    for (path, header) in [
        ("/tokens", ("authorization", format!("bEARER {token}"))),
        ("/tokens", ("x-token", format!("Token {token}"))),
        ("/tokens", ("x-assertion", token.clone())),
        ("/tokens", ("cookie", format!("a=1; session={token}; b=2"))),
    ] {
        let headers = [(header.0, header.1.as_str())];
        let answer = outcome(&policy, path, &headers);
        assert_eq!(answer, "allow jwt:alice by tokens", "{}", header.0);
    }
    let path = format!("/tokens?a=1&access_token={token}");
    assert_eq!(outcome(&policy, &path, &[]), "allow jwt:alice by tokens");
}

// A query parameter ends up in logs and histories: nobody gets it who did not ask for it.
#[test]
fn without_sources_only_authorization_counts() {
    let (policy, token) = (policy(&config()), token());
    let path = format!("/tokens?access_token={token}");
    let cookie = format!("session={token}");
    for (path, headers) in [
        (path.as_str(), vec![]),
        ("/tokens", vec![("cookie", cookie.as_str())]),
        ("/tokens", vec![("x-token", token.as_str())]),
    ] {
        let answer = outcome(&policy, path, &headers);
        assert_eq!(answer, "401 credential_missing by tokens");
    }
}

// What is no source is not read, and what is not read is not taken out: it may be a token of somebody else's, for the upstream.
#[test]
fn where_tokens_come_from_elsewhere_authorization_is_left_alone() {
    let mut config = config();
    config["jwt"]["sources"] = json!([{ "cookie": "session" }]);
    let (policy, cookie) = (policy(&config), format!("session={}", token()));
    let headers = [("cookie", cookie.as_str()), ("authorization", "Bearer x")];
    let left = upstream(&policy, "/tokens", &headers);
    assert_eq!(get(&left, "authorization"), Some("Bearer x"));
    assert_eq!(get(&left, "cookie"), None);
}

// The upstream would log the token, or hand it on to whoever it calls.
#[test]
fn a_token_is_taken_out_of_its_place() {
    let (policy, token) = (everywhere(), token());
    let cookie = format!("a=1; session={token}; b=2");
    let left = upstream(&policy, "/tokens?x=1", &[("cookie", &cookie)]);
    assert_eq!(get(&left, "cookie"), Some("a=1; b=2"));
    assert_eq!(get(&left, "cache-control"), Some("no-store"));
    let alone = format!("session={token}");
    let left = upstream(&policy, "/tokens", &[("cookie", &alone)]);
    assert_eq!(get(&left, "cookie"), None);
    let path = format!("/tokens?x=1&access%5Ftoken={token}&y=2");
    let left = upstream(&policy, &path, &[]);
    assert_eq!(get(&left, ":path"), Some("/tokens?x=1&y=2"));
    let left = upstream(
        &policy,
        "/tokens",
        &[("x-assertion", &token), ("x_assertion", "other")],
    );
    assert!(get(&left, "x-assertion").is_none() && get(&left, "x_assertion").is_none());
    let left = upstream(
        &policy,
        "/cached",
        &[("cookie", "key=acme-key-0123456789; a=1")],
    );
    assert_eq!(get(&left, "cookie"), Some("a=1"));
}

// Which of them counts would be for each reader to guess, the same one twice included: the places are read by others too.
#[test]
fn two_tokens_are_one_too_many() {
    let (policy, one) = (everywhere(), token());
    let other = secret_token(json!({ "sub": "bob" }));
    for token in [&one, &other] {
        let bearer = format!("Bearer {one}");
        let cookie = format!("session={token}");
        let twice = format!("session={one}; session={token}");
        let path = format!("/tokens?access_token={token}");
        let paths = format!("/tokens?access_token={one}&access_token={token}");
        for (path, headers) in [
            (
                "/tokens",
                vec![("authorization", &bearer), ("cookie", &cookie)],
            ),
            (
                "/tokens",
                vec![("authorization", &bearer), ("x-assertion", token)],
            ),
            (path.as_str(), vec![("authorization", &bearer)]),
            (path.as_str(), vec![("cookie", &cookie)]),
            ("/tokens", vec![("cookie", &twice)]),
            ("/tokens", vec![("cookie", &cookie), ("cookie", &cookie)]),
            (paths.as_str(), vec![]),
        ] {
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = outcome(&policy, path, &headers);
            assert_eq!(answer, "401 credential_repeated by tokens", "{headers:?}");
        }
    }
    let bearer = format!("Bearer {one}");
    let answer = outcome(&policy, "/tokens", &[("authorization", &bearer)]);
    assert_eq!(answer, "allow jwt:alice by tokens");
}

// Overlooked, it would pass an anonymous rule unchecked and reach an upstream that reads it more kindly.
#[test]
fn what_is_nearly_a_token_is_refused() {
    let (policy, token) = (everywhere(), token());
    let (lower, comma) = (format!("token {token}"), format!("{token},{token}"));
    let quoted = format!("session=\"{token}\"");
    for headers in [
        [("x-token", lower.as_str())],
        [("x-token", token.as_str())],
        [("x-token", "Token ")],
        [("x-assertion", comma.as_str())],
        [("x-assertion", "")],
        [("cookie", "session=")],
        [("cookie", quoted.as_str())],
    ] {
        let answer = outcome(&policy, "/healthz", &headers);
        assert_eq!(answer, "401 token_malformed by health", "{headers:?}");
    }
    let answer = outcome(&policy, "/healthz?access_token=a%20b", &[]);
    assert_eq!(answer, "401 token_malformed by health");
    let answer = outcome(&policy, "/healthz", &[("cookie", "sessions=1; Session=2")]);
    assert_eq!(answer, "allow anonymous by health");
}

// Other readers trim more than blanks: Python and JavaScript take a no-break space away. An upstream that does would find a
// credential that nobody has looked at.
#[test]
fn what_other_readers_trim_hides_no_credential() {
    let outcome = |name: &'static str, value: &[u8]| {
        let head = RequestHead::new(HeaderMap::from_pairs([
            (":method", &b"GET"[..]),
            (":authority", b"api"),
            (":path", b"/healthz"),
            (name, value),
        ]));
        summary(&decide(&everywhere(), &head, NOW))
    };
    for (name, value) in [
        ("authorization", &b"\xa0Bearer a.b.c"[..]),
        ("authorization", b"\xc2\xa0 bearer a.b.c"),
        ("authorization", b"Basic YTpi,\xa0Bearer a.b.c"),
        ("cookie", b"a=1;\xa0session=a.b.c"),
        ("cookie", b"session\xc2\xa0=a.b.c"),
        ("cookie", b"\xa0key=guess"),
    ] {
        let answer = outcome(name, value);
        assert!(answer.starts_with("401 "), "{answer} {value:?}");
    }
    for (name, value) in [
        ("authorization", &b"\xa0Basic YTpi"[..]),
        ("cookie", b"a=\xa0session"),
        ("cookie", b"\xa0"),
    ] {
        let answer = outcome(name, value);
        assert_eq!(answer, "allow anonymous by health", "{value:?}");
    }
}

#[test]
fn trailers_lose_cookies_too() {
    let trailers = HeaderMap::from_pairs([("cookie", "session=x; a=1")]);
    let edits = everywhere().clean_trailers(&trailers);
    assert_eq!(edits.iter().count(), 1);
}

#[test]
fn faults_are_refused_with_their_path() {
    let refusal = |sources: Value| {
        let mut config = config();
        let sources_of_keys = &mut config["api_keys"]["sources"];
        *sources_of_keys = json!([{ "header": "x-api-key" }, { "query": "api_key" }, { "cookie": "key" },
            { "header": "authorization", "prefix": "ApiKey " }]);
        config["jwt"]["sources"] = sources;
        match Policy::from_bytes(config.to_string().as_bytes()) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    let bearer = json!({ "header": "authorization", "prefix": "Bearer " });
    for (sources, expected) in [
        (
            json!([{}]),
            "[0]: expected exactly one of header, query, cookie",
        ),
        (
            json!([{ "header": "x-token", "query": "t" }]),
            "[0]: expected exactly one of header, query, cookie",
        ),
        (
            json!([bearer, bearer]),
            "[1].prefix: another source has a scheme in authorization",
        ),
        (
            json!([{ "header": "authorization", "prefix": "apikey " }]),
            "[0].prefix: another source has the same scheme",
        ),
        (
            json!([{ "header": "authorization", "prefix": "Bearer" }]),
            "[0].prefix: in authorization a prefix is a scheme and a space: \"ApiKey \"",
        ),
        (
            json!([{ "query": "t", "prefix": "x" }]),
            "[0].prefix: only a header has a prefix",
        ),
        (
            json!([{ "header": "authorization" }]),
            "[0].header: this header has a meaning of its own: choose another",
        ),
        (
            json!([{ "header": "x_api_key" }]),
            "[0].header: another source has the same header",
        ),
        (
            json!([{ "query": "api_key" }]),
            "[0].query: another source has the same parameter",
        ),
        (
            json!([{ "query": "t" }, { "query": "t" }]),
            "[1].query: another source has the same parameter",
        ),
        (
            json!([{ "cookie": "key" }]),
            "[0].cookie: another source has the same cookie",
        ),
        (
            json!([{ "cookie": "a" }, { "cookie": "a" }]),
            "[1].cookie: another source has the same cookie",
        ),
        (
            json!([{ "cookie": "a;b" }]),
            "[0].cookie: the name of a cookie is visible ASCII without separators (RFC 6265 section 4.1.1)",
        ),
    ] {
        assert_eq!(refusal(sources), format!("jwt.sources{expected}"));
    }
    assert_eq!(refusal(json!([bearer, { "cookie": "a" }])), "accepted");
}
