//! Templates, read and filled.

use std::time::Duration;

use http_message::{HeaderMap, RequestHead};
use identity::{CredentialKind, Identity};
use proptest::prelude::*;
use request_match::{Placement, RequestMatch};
use serde_json::json;

use super::*;
use crate::direction::Direction;

fn matcher() -> RequestMatch {
    let config = json!({ "path": { "template": "/files/{bucket}/{key=**}" } });
    let config = filter_config::from_value(config).unwrap();
    let placement = Placement { identity: true };
    RequestMatch::compile(config, &FieldPath::root(), placement).unwrap()
}

fn parse(text: &str, direction: Direction) -> Result<Parsed, String> {
    let matcher = matcher();
    let captures = ["model".to_owned()];
    let scope = Scope {
        direction,
        matcher: &matcher,
        captures: &captures,
    };
    let at = FieldPath::root().field("value");
    Template::parse(text, scope, &at).map_err(|error| error.to_string())
}

fn template(text: &str) -> Template {
    match parse(text, Direction::Response).unwrap() {
        Parsed::Template(template) => template,
        Parsed::Plain(_) => panic!("{text} is no template"),
    }
}

fn caller() -> Identity {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Identity {
        kind: CredentialKind::Jwt,
        credential_id: "main".to_owned(),
        subject: Some("alice".to_owned()),
        issuer: Some("https://issuer.test/".to_owned()),
        plan: Some("gold".to_owned()),
        groups: vec!["staff".to_owned(), "a,b".to_owned()],
        labels: vec![pair("region", "eu")],
        claims: vec![
            pair("tier", "Gold"),
            pair("https://claims.test/a|b", "long"),
            pair("evil", "${header:x-secret}\r\nx-admin: 1"),
            pair("empty", ""),
        ],
        ..Identity::anonymous()
    }
}

/// The template's text for a request and response that have some of everything.
fn fill_with(template: &Template, identity: &Identity, limit: usize) -> Result<Vec<u8>, TooLong> {
    let head = RequestHead::new(HeaderMap::from_pairs([
        (":method", &b"POST"[..]),
        (":authority", b"API.gatehouse.test:8443"),
        (
            ":path",
            b"/files/photos/2026/a%20b.jpg?tag=x&q=%C3%A9%0d&tag=y+z&raw=${status}",
        ),
        ("x-a", b"one"),
        ("x-a", b"two"),
        ("x-bytes", b"\xff\x01"),
        ("x-long", &[b'a'; 60_000]),
        ("x-empty", b""),
        ("cookie", b"theme=dark; sid=\"q\""),
        ("x-request-id", b"r-17"),
    ]));
    let mut facts = Facts::default();
    facts.route = Some(b"files".to_vec());
    facts.add(Property::Address, b"192.0.2.7:443".to_vec());
    facts.add(Property::Sni, b"api.gatehouse.test".to_vec());
    let response = HeaderMap::from_pairs([(":status", "203"), ("etag", "\"v1\"")]);
    let captures = [("model", &b"large"[..])];
    template.fill(
        &Sources {
            head: &head,
            identity: Some(identity),
            facts: &facts,
            now: Duration::from_millis(1_800_000_000_900),
            response: Some(&response),
            captures: &captures,
        },
        limit,
    )
}

fn filled(text: &str) -> Vec<u8> {
    fill_with(&template(text), &caller(), Template::MAX_BYTES).unwrap()
}

#[test]
fn every_source_gives_what_it_names() {
    for (text, expected) in [
        ("${header:x-a}", &b"one, two"[..]),
        ("${header:X-A}", b"one, two"),
        ("${header:x-none}", b""),
        ("${header:x-bytes}", b"\xff\x01"),
        ("${query:tag}", b"x, y z"),
        ("${query:q}", b"\xc3\xa9\r"),
        ("${cookie:theme}", b"dark"),
        ("${cookie:sid}", b"\"q\""),
        ("${path_parameter:bucket}", b"photos"),
        ("${path_parameter:key}", b"2026/a b.jpg"),
        ("${path}", b"/files/photos/2026/a%20b.jpg"),
        ("${method}", b"POST"),
        ("${host}", b"api.gatehouse.test"),
        ("${identity:subject}", b"alice"),
        ("${identity:issuer}", b"https://issuer.test/"),
        ("${identity:consumer}", b""),
        ("${identity:plan}", b"gold"),
        ("${identity:groups}", b"staff,a%2Cb"),
        ("${identity:scopes}", b""),
        ("${identity:credential_kind}", b"jwt"),
        ("${identity:credential_id}", b"main"),
        ("${claim:tier}", b"Gold"),
        ("${claim:https://claims.test/a\\|b}", b"long"),
        ("${label:region}", b"eu"),
        ("${route}", b"files"),
        ("${request_id}", b"r-17"),
        ("${address}", b"192.0.2.7"),
        ("${address:forwarded}", b"192.0.2.7"),
        ("${tls:sni}", b"api.gatehouse.test"),
        ("${tls:subject}", b""),
        ("${time:unix}", b"1800000000"),
        ("${time:rfc3339}", b"2027-01-15T08:00:00Z"),
        ("${response_header:etag}", b"\"v1\""),
        ("${status}", b"203"),
        ("${capture:model}", b"large"),
    ] {
        assert_eq!(filled(text), expected, "{text}");
    }
}

#[test]
fn text_and_placeholders_are_one_text() {
    for (text, expected) in [
        ("crm ${claim:tier}", "crm Gold"),
        ("${claim:tier}-${label:region}!", "Gold-eu!"),
        ("$${x} ${claim:tier}", "${x} Gold"),
        ("${claim:none|default:free}", "free"),
        ("${claim:empty|default:free}", "free"),
        ("${claim:none | default:free | upper}", "FREE"),
        ("${ claim : tier | lower }", "gold"),
        ("${claim:none|default:a\\|b\\}c}", "a|b}c"),
        ("${claim:none|default:$5 {x}", "$5 {x"),
        ("${identity:groups|json}", r#"["staff","a,b"]"#),
        ("${identity:scopes|json}", "null"),
        ("${header:x-none|sha256}", ""),
        ("${header:x-empty}.", "."),
    ] {
        assert_eq!(String::from_utf8(filled(text)).unwrap(), expected, "{text}");
    }
}

// A client that writes `${…}` into a header, a query or a claim would read what it must not see.
#[test]
fn what_a_source_gives_is_no_template() {
    assert_eq!(filled("${query:raw}"), b"${status}");
    assert_eq!(filled("${claim:evil}"), b"${header:x-secret}\r\nx-admin: 1");
    assert_eq!(filled("$${${query:raw}}"), b"${${status}}");
}

#[test]
fn without_a_placeholder_it_is_plain_text() {
    for (text, plain) in [
        ("crm", "crm"),
        ("$5 {a}", "$5 {a}"),
        ("a $${b} $", "a ${b} $"),
        ("", ""),
    ] {
        match parse(text, Direction::Request).unwrap() {
            Parsed::Plain(found) => assert_eq!(found, plain, "{text}"),
            Parsed::Template(_) => panic!("{text} is no template"),
        }
    }
}

#[test]
fn faults_are_told_with_their_place() {
    let long = "${method}".repeat(33);
    let many = format!("${{method{}}}", "|lower".repeat(9));
    for (text, reason) in [
        (
            "${",
            "a ${ has no }; write $${ for the characters themselves",
        ),
        (
            "${method",
            "a ${ has no }; write $${ for the characters themselves",
        ),
        (
            "${a${method}",
            "placeholder 1: one in another is not filled; nothing is read twice",
        ),
        (
            "${metod}",
            "placeholder 1: unknown source, did you mean method?",
        ),
        (
            "${method}${heder:x-a}",
            "placeholder 2: unknown source, did you mean header?",
        ),
        (
            "${}",
            "placeholder 1: unknown source; there are header, query, cookie, path_parameter, path, method, host, \
             identity, claim, label, route, request_id, address, tls, time, response_header, status, capture",
        ),
        (
            "${header}",
            "placeholder 1: header needs a name: header:x-a",
        ),
        ("${claim:}", "placeholder 1: claim needs a name: claim:a"),
        (
            "${header::path}",
            "placeholder 1: pseudo headers (\":path\" and their like) cannot be used here",
        ),
        (
            "${method:x}",
            "placeholder 1: method takes nothing behind a colon",
        ),
        (
            "${identity:sub}",
            "placeholder 1: unknown name; there are subject, issuer, consumer, plan, groups, scopes, credential_kind, credential_id",
        ),
        (
            "${identity:subjct}",
            "placeholder 1: unknown name, did you mean subject?",
        ),
        (
            "${tls:fingerprnt}",
            "placeholder 1: unknown name, did you mean fingerprint?",
        ),
        (
            "${time:iso}",
            "placeholder 1: unknown name; there are unix, rfc3339",
        ),
        (
            "${address:x}",
            "placeholder 1: an address is address or address:forwarded",
        ),
        (
            "${cookie:a b}",
            "placeholder 1: that is no name of a cookie",
        ),
        (
            "${path_parameter:id}",
            "placeholder 1: match.path.template of this rule has no variable of this name, or more than one",
        ),
        (
            "${capture:modle}",
            "placeholder 1: no capture of this name, did you mean model?",
        ),
        (
            "${capture:x}",
            "placeholder 1: this rule captures nothing by that name",
        ),
        (
            "${status}",
            "placeholder 1: status is known in the response only",
        ),
        (
            "${response_header:etag}",
            "placeholder 1: response_header is known in the response only",
        ),
        (
            "${method|uper}",
            "placeholder 1: unknown function, did you mean upper?",
        ),
        (
            "${method|}",
            "placeholder 1: unknown function; there are default, lower, upper, trim, urlencode, base64, sha256, json",
        ),
        (&long, "at most 32 placeholders"),
        (&many, "placeholder 1: at most 8 functions"),
    ] {
        let found = parse(text, Direction::Request).err();
        assert_eq!(found, Some(format!("value: {reason}")), "{text}");
    }
    assert!(parse("${method}", Direction::Request).is_ok());
}

// Headers that Envoy lets in may have 60 KiB; one that is asked for twice must not be twice of that.
#[test]
fn what_is_filled_is_bounded() {
    let of = |text: &str, limit| fill_with(&template(text), &caller(), limit);
    assert!(of("${header:x-long}", 60_000).is_ok());
    assert_eq!(of("${header:x-long}", 59_999), Err(TooLong));
    assert_eq!(
        of("${header:x-long}${header:x-long}", usize::MAX),
        Err(TooLong)
    );
    assert_eq!(
        of("${header:x-long|json|json|json|base64}", usize::MAX),
        Err(TooLong)
    );
    assert_eq!(of("${header:x-long|sha256}", 64).unwrap().len(), 64);
}

// Without `use_remote_address` a client writes that address itself.
#[test]
fn a_forwarded_address_is_one_only_where_it_is_asked_for() {
    let head = RequestHead::new(HeaderMap::from_pairs([(":path", "/")]));
    let mut facts = Facts::default();
    facts.add(Property::Address, b"[2001:db8::1]:0".to_vec());
    let sources = Sources {
        head: &head,
        now: Duration::ZERO,
        identity: None,
        facts: &facts,
        response: None,
        captures: &[],
    };
    let fill = |text: &str| template(text).fill(&sources, 64).unwrap();
    assert_eq!(fill("${address}"), b"");
    assert_eq!(fill("${address:forwarded}"), b"2001:db8::1");
    // Nothing else is known either, and nothing breaks.
    assert_eq!(
        fill("${identity:subject}${status}${route}${claim:a}${tls:sni}${capture:model}."),
        b"."
    );
}

#[test]
fn a_template_tells_what_it_looks_at() {
    let needs = template("${header:a}${address}${tls:sni}${address}${time:unix}").needs();
    let expected = Needs {
        time: true,
        properties: vec![Property::Address, Property::Sni],
        ..Needs::default()
    };
    assert_eq!(needs, expected);
    assert_eq!(template("${header:a}${method}").needs(), Needs::default());
    for text in ["${claim:a}", "${label:a}", "${identity:plan}"] {
        assert!(template(text).needs().identity, "{text}");
    }
    assert!(template("${route}").needs().route);
    let copied = template("${header:X-A}${method}");
    assert_eq!(copied.request_headers().collect::<Vec<_>>(), ["x-a"]);
}

proptest! {
    // An operator's slip must be an error, and no end of the worker.
    #[test]
    fn any_text_is_read_or_refused(text in "[$\\{\\}a-z:|\\\\ é]{0,40}|\\PC{0,40}") {
        if let Ok(Parsed::Template(template)) = parse(&text, Direction::Response) {
            let filled = fill_with(&template, &caller(), 1000);
            prop_assert!(filled.map_or(true, |filled| filled.len() <= 1000));
        }
    }

    // A text that has no `${` stands for itself, and any text does when its `${` are written `$${`.
    #[test]
    fn any_text_can_be_written(text in "[$\\{\\}a:|\\\\]{0,20}|\\PC{0,40}") {
        // A dollar in front of `${` would stand for itself, and the one that is put there too.
        prop_assume!(!text.contains("$${"));
        let written = text.replace("${", "$${");
        match parse(&written, Direction::Request).unwrap() {
            Parsed::Plain(plain) => prop_assert_eq!(plain, text),
            Parsed::Template(_) => prop_assert!(false),
        }
    }

    // Single pass: whatever a client sends comes out as it is, once.
    #[test]
    fn any_value_comes_out_as_it_is(value in "[$\\{\\}a-z:|]{0,40}|\\PC{0,60}") {
        let identity = Identity {
            claims: vec![("any".to_owned(), value.clone())],
            ..caller()
        };
        let filled = fill_with(&template("<${claim:any}>"), &identity, Template::MAX_BYTES).unwrap();
        prop_assert_eq!(String::from_utf8(filled).unwrap(), format!("<{value}>"));
        let json = fill_with(&template("${claim:any|json}"), &identity, Template::MAX_BYTES).unwrap();
        prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), value);
    }
}
