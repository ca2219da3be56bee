use serde_json::{Value, json};

use super::*;

/// What a rewrite of a configuration makes of a target, or why the configuration is refused.
fn policy(path: &Value) -> Result<crate::Policy, String> {
    let config = json!({ "version": 1, "rules": [{ "name": "a", "request": { "path": path } }] });
    crate::Policy::from_bytes(config.to_string().as_bytes()).map_err(|error| error.to_string())
}

fn rewrite(path: &Value, target: &str) -> Result<Option<String>, Reason> {
    let policy = policy(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let headers = http_message::HeaderMap::from_pairs([(":method", "GET"), (":path", target)]);
    let head = http_message::RequestHead::new(headers);
    match policy.request(&head, &crate::Facts::default(), true, None) {
        crate::Step::Reply(_, reason) => Err(reason),
        crate::Step::Await(_) | crate::Step::Need(_) => panic!("nothing is captured"),
        crate::Step::Forward(forward) => Ok(forward
            .edits
            .values(b":path", head.headers())
            .first()
            .map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
            .filter(|path| path != target)),
    }
}

fn to(target: &str) -> Result<Option<String>, Reason> {
    Ok(Some(target.to_owned()))
}

#[test]
fn whole_segments_are_replaced_and_the_query_stays() {
    for (from, becomes, target, result) in [
        ("/api", "/v1", "/api/users?a=%20b", Some("/v1/users?a=%20b")),
        ("/api", "/v1", "/api", Some("/v1")),
        ("/api", "/v1", "/api/", Some("/v1/")),
        ("/api", "/", "/api/users", Some("/users")),
        ("/api", "/", "/api", Some("/")),
        ("/", "/v1", "/users", Some("/v1/users")),
        ("/api/", "/v1/", "/api/users", Some("/v1/users")),
        ("/api/", "/v1", "/api/users", Some("/v1/users")),
        ("/api", "/v1", "/apix", None),
        ("/api", "/v1", "/x/api", None),
        ("/api", "/v1", "/api/a%20b%C3%A9", Some("/v1/a%20b%C3%A9")),
        ("/%61pi", "/v1", "/ap%69/x", Some("/v1/x")),
    ] {
        let path =
            json!({ "replace_prefix": { "from": from, "to": becomes }, "allowed_paths": ["/"] });
        let found = rewrite(&path, target).unwrap();
        assert_eq!(found.as_deref(), result, "{from} {becomes} {target}");
    }
}

#[test]
fn variables_go_where_the_other_template_says() {
    for (from, becomes, target, result) in [
        (
            "/api/{version}/users/{id}",
            "/users/{id}",
            "/api/v2/users/7?full=1",
            Some("/users/7?full=1"),
        ),
        (
            "/api/{v}/users/{id}",
            "/{v}/users/{id}.json",
            "/api/v2/users/7",
            Some("/v2/users/7.json"),
        ),
        ("/a/{b}/{c}", "/{c}/{b}/{c}", "/a/1/2", Some("/2/1/2")),
        ("/a/{b}", "/x/{b}", "/a/b%20c%25", Some("/x/b%20c%25")),
        ("/a/{b}", "/x%20y/{b}", "/a/1", Some("/x%20y/1")),
        ("/a/{rest=**}", "/v2/{rest}", "/a/b/c", Some("/v2/b/c")),
        ("/a/{rest=**}", "/v2/{rest}", "/a/", Some("/v2/")),
        ("/a/{rest=**}", "/v2/{rest}", "/a", Some("/v2")),
        ("/a/{b}", "/x", "/a/1", Some("/x")),
        ("/a/{b}", "/x/{b}", "/a/1/2", None),
        ("/a/{b}", "/x/{b}", "/a/", None),
    ] {
        let path = json!({ "template": { "from": from, "to": becomes }, "allowed_paths": ["/"] });
        let found = rewrite(&path, target).unwrap();
        assert_eq!(found.as_deref(), result, "{from} {becomes} {target}");
    }
}

#[test]
fn the_first_match_of_a_pattern_is_replaced() {
    for (pattern, becomes, target, result) in [
        (
            "^/api/v[0-9]+/(.*)$",
            r"/\1",
            "/api/v2/users/7?a=1",
            Some("/users/7?a=1"),
        ),
        (
            "/([a-z]+)/([0-9]+)$",
            r"/\2/\1",
            "/users/7",
            Some("/7/users"),
        ),
        ("-", "_", "/a-b-c", Some("/a_b-c")),
        ("^/(?<name>[^/]+)", r"/x/\1", "/a/b", Some("/x/a/b")),
        ("b", r"[\0]", "/abc", Some("/a%5Bb%5Dc")),
        ("^/a(x)?", r"/b\1", "/a/c", Some("/b/c")),
        ("^/(.*)%", r"/\1 %", "/100%25", Some("/100%20%25")),
        ("(?i)^/API", "/v1", "/Api/x", Some("/v1/x")),
        ("^/other", "/x", "/users", None),
    ] {
        let path = json!({ "regex": { "pattern": pattern, "substitution": becomes }, "allowed_paths": ["/"] });
        let found = rewrite(&path, target).unwrap();
        assert_eq!(found.as_deref(), result, "{pattern} {becomes} {target}");
    }
}

// The route that a rewrite leads to is one that no rule in front of it has seen.
#[test]
fn only_allowed_paths_are_reached_and_only_in_canonical_form() {
    let strip = json!({ "strip_prefix": "/api", "allowed_paths": ["/users", "/orders"] });
    for target in ["/api/admin", "/api/usersx", "/api", "/api/"] {
        assert_eq!(
            rewrite(&strip, target),
            Err(Reason::PathNotAllowed),
            "{target}"
        );
    }
    assert_eq!(rewrite(&strip, "/api/users/7"), to("/users/7"));
    let rest = json!({ "template": { "from": "/t/{a}/{rest=**}", "to": "/{rest}/{a}" }, "allowed_paths": ["/users"] });
    for target in ["/t/7/admin", "/t/7/", "/t/7", "/t/admin/"] {
        assert_eq!(
            rewrite(&rest, target),
            Err(Reason::PathNotAllowed),
            "{target}"
        );
    }
    assert_eq!(rewrite(&rest, "/t/7/users"), to("/users/7"));
    // What the parts of a path are, they may not become together: each of these is written by the rewrite alone.
    let cut =
        json!({ "regex": { "pattern": "x", "substitution": r"" }, "allowed_paths": ["/users"] });
    assert!(
        policy(&cut).is_err(),
        "an empty text has to be said by a group"
    );
    let cut = json!({ "regex": { "pattern": "()x", "substitution": r"\1" }, "allowed_paths": ["/users"] });
    for target in ["/users/.x./admin", "/users/x/admin", "/users/.x", "x/admin"] {
        let expected = match target.starts_with('/') {
            true => Reason::PathNotAllowed,
            false => Reason::Ambiguous,
        };
        assert_eq!(rewrite(&cut, target), Err(expected), "{target}");
    }
    assert_eq!(rewrite(&cut, "/users/axb"), to("/users/ab"));
    let moved = json!({ "regex": { "pattern": "^/(.)(.)(.*)$", "substitution": r"/users/\1\3\2" }, "allowed_paths": ["/users"] });
    for target in ["/%252e", "/%252f"] {
        assert_eq!(rewrite(&moved, target), Err(Reason::Ambiguous), "{target}");
    }
    for target in ["/%25f2", "/%25e2%25", "/./admin", "/.b./admin"] {
        assert!(rewrite(&moved, target).is_err(), "{target}");
    }
    assert_eq!(rewrite(&moved, "/abc"), to("/users/acb"));
}

#[test]
fn faults_are_told_with_their_path() {
    let all = json!(["/"]);
    for (path, message) in [
        (
            json!({ "allowed_paths": all }),
            "path: needs exactly one of strip_prefix, replace_prefix, template, regex",
        ),
        (
            json!({ "strip_prefix": "/a", "regex": { "pattern": "a", "substitution": "b" }, "allowed_paths": all }),
            "path: needs exactly one of",
        ),
        (
            json!({ "strip_prefix": "/a" }),
            "path: missing field allowed_paths",
        ),
        (
            json!({ "strip_prefix": "a", "allowed_paths": all }),
            "path.strip_prefix: the path must start with",
        ),
        (
            json!({ "replace_prefix": { "from": "/api", "to": "/admin" }, "allowed_paths": ["/users"] }),
            "path.replace_prefix.to: leads to none of allowed_paths",
        ),
        (
            json!({ "replace_prefix": { "from": "/api?x", "to": "/" }, "allowed_paths": ["/users"] }),
            "path.replace_prefix.from: a path has no query",
        ),
        (
            json!({ "template": { "from": "/a/{b}", "to": "/admin/{b}" }, "allowed_paths": ["/users"] }),
            "path.template.to: leads to none of allowed_paths",
        ),
        (
            json!({ "template": { "from": "/a/{b}", "to": "/usersx" }, "allowed_paths": ["/users"] }),
            "path.template.to: leads to none of allowed_paths",
        ),
        (
            json!({ "template": { "from": "/a/{b}", "to": "/x/{c}" }, "allowed_paths": all }),
            "path.template.to: a variable that from does not have; it has: b",
        ),
        (
            json!({ "template": { "from": "/a/{b}", "to": "/x/{b" }, "allowed_paths": all }),
            "path.template.to: a { has no }",
        ),
        (
            json!({ "template": { "from": "/a/{b}", "to": "/x/../{b}" }, "allowed_paths": all }),
            "path.template.to: the path has a dot segment",
        ),
        (
            json!({ "template": { "from": "/a/{b}", "to": "/x%2f{b}" }, "allowed_paths": all }),
            "path.template.to: the path has an encoded separator",
        ),
        (
            json!({ "template": { "from": "/a/{b", "to": "/x" }, "allowed_paths": all }),
            "path.template.from: a variable is a whole segment",
        ),
        (
            json!({ "regex": { "pattern": "(", "substitution": "a" }, "allowed_paths": all }),
            "path.regex.pattern: ",
        ),
        (
            json!({ "regex": { "pattern": "(a)\\1", "substitution": "a" }, "allowed_paths": all }),
            "path.regex.pattern: ",
        ),
        (
            json!({ "regex": { "pattern": "((((((a{9}){9}){9}){9}){9}){9}){9}", "substitution": "a" }, "allowed_paths": all }),
            "path.regex.pattern: ",
        ),
        (
            json!({ "regex": { "pattern": "a", "substitution": "\\1" }, "allowed_paths": all }),
            "path.regex.substitution: after \\ comes the number of a group",
        ),
        (
            json!({ "regex": { "pattern": "(a)", "substitution": "$1" }, "allowed_paths": all }),
            "path.regex.substitution: the first group is \\1, not $1",
        ),
        (
            json!({ "regex": { "pattern": "^/a", "substitution": "/b/../c" }, "allowed_paths": all }),
            "path.regex.substitution: the path has a dot segment",
        ),
        (
            json!({ "regex": { "pattern": "^/a", "substitution": "/admin" }, "allowed_paths": ["/users"] }),
            "path.regex.substitution: leads to none of allowed_paths",
        ),
    ] {
        let found = policy(&path).expect_err("must be refused");
        let message = format!("rules[0].request.{message}");
        assert!(found.starts_with(&message), "{path}: {found}");
    }
    let good = json!({ "regex": { "pattern": "^/a", "substitution": "/users" }, "allowed_paths": ["/users"] });
    assert!(policy(&good).is_ok());
}

// A worker waits while a pattern is matched. An engine that tries one way after the other would not end here in a lifetime.
#[test]
fn the_worst_pattern_ends() {
    for pattern in [
        "^(/|(a*)*|(a|a?)+)*$",
        "^/(a?){150}a{150}b",
        "a[^b]{200}b",
        "(a|b|ab)*c",
    ] {
        let nested = json!({
            "regex": { "pattern": pattern, "substitution": "/users" },
            "allowed_paths": ["/users"],
        });
        let target = format!("/{}!", "a".repeat(8000));
        assert_eq!(rewrite(&nested, &target), Ok(None), "{pattern}");
    }
}
