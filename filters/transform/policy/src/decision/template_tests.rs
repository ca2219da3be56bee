//! Templates and conditions, from the configuration to the message.

use std::time::Duration;

use http_message::HeaderWrite;
use identity::CredentialKind;
use serde_json::{Value, json};

use super::*;
use crate::body::Chunk;
use crate::response::Respond;
use crate::template::Property;

type Pairs<'a> = &'a [(&'a str, &'a [u8])];

fn policy(rules: Value) -> Result<Policy, String> {
    let config = json!({ "version": 1, "rules": rules });
    Policy::from_bytes(config.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// A policy of one rule.
fn rule(rule: Value) -> Policy {
    let mut rule = rule;
    rule["name"] = "one".into();
    policy(json!([rule])).unwrap()
}

fn head(headers: Pairs<'_>) -> RequestHead {
    let pseudo = [(":method", &b"POST"[..]), (":path", b"/files/a/b?q=1")];
    RequestHead::new(HeaderMap::from_pairs(
        pseudo.into_iter().chain(headers.iter().copied()),
    ))
}

fn record(groups: &[&str]) -> Vec<u8> {
    Identity {
        kind: CredentialKind::Jwt,
        credential_id: "main".to_owned(),
        subject: Some("alice".to_owned()),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        claims: vec![("tier".to_owned(), "a\r\nb".to_owned())],
        ..Identity::anonymous()
    }
    .encode()
}

fn step(policy: &Policy, head: &RequestHead, identity: Option<&[u8]>, end_of_stream: bool) -> Step {
    let mut facts = Facts::default();
    facts.route = Some(b"main".to_vec());
    facts.identity = identity.map(<[u8]>::to_vec);
    facts.add(Property::Sni, b"api.test".to_vec());
    facts.complete(Duration::from_secs(1_800_000_000));
    policy.request(head, &facts, end_of_stream, None)
}

fn forward(policy: &Policy, head: &RequestHead, identity: Option<&[u8]>) -> Forward {
    match step(policy, head, identity, false) {
        Step::Forward(forward) => forward,
        other => panic!("not forwarded: {other:?}"),
    }
}

/// What the host is told to write, as text.
fn written(edits: &HeaderEdits, headers: &HeaderMap) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let writes = edits.writes(headers).into_iter();
    let mut writes: Vec<String> = writes
        .map(|write| match write {
            HeaderWrite::Remove(name) => format!("-{}", text(name)),
            HeaderWrite::Replace(name, value) => format!("={}: {}", text(name), text(value)),
            HeaderWrite::Add(name, value) => format!("+{}: {}", text(name), text(value)),
        })
        .collect();
    writes.sort();
    writes
}

fn request_writes(edits: Value, headers: Pairs<'_>, identity: Option<&[u8]>) -> Vec<String> {
    let policy = rule(json!({ "request": { "headers": edits } }));
    let head = head(headers);
    written(&forward(&policy, &head, identity).edits, head.headers())
}

#[test]
fn values_are_made_of_the_message_before_its_edits() {
    let alice = record(&["staff"]);
    for (edits, headers, expected) in [
        (
            json!([{ "set": "x-who", "value": "${identity:subject} via ${tls:sni} at ${time:unix}" }]),
            &[][..],
            &["+x-who: alice via api.test at 1800000000"][..],
        ),
        // The value of before: not the one that the first edit writes.
        (
            json!([{ "set": "x-a", "value": "new" }, { "set": "x-b", "value": "${header:x-a}" }]),
            &[("x-a", &b"old"[..])],
            &["+x-b: old", "=x-a: new"],
        ),
        (
            json!([{ "set": "x-a", "value": "${header:x-a|lower}" }]),
            &[("x-a", b"OLD")],
            &["=x-a: old"],
        ),
        (
            json!([{ "append": "x-a", "value": "${route}" }, { "add": "x-b", "value": "${method}" }]),
            &[("x-a", b"1")],
            &["+x-a: main", "+x-b: POST"],
        ),
        (
            json!([{ "add": "x-b", "value": "${method}" }]),
            &[("x-b", b"1")],
            &[],
        ),
        // 0xFF is no control character, and headers are bytes.
        (
            json!([{ "set": "x-b", "value": "${header:x-a}" }]),
            &[("x-a", b"\xff")],
            &["+x-b: \u{fffd}"],
        ),
    ] {
        assert_eq!(
            request_writes(edits.clone(), headers, Some(&alice)),
            expected,
            "{edits}"
        );
    }
}

// A header without a value would be read as one; and a client's own must not stay in its place.
#[test]
fn what_comes_out_empty_is_not_written() {
    for (edits, headers, expected) in [
        (
            json!([{ "set": "x-a", "value": "${header:x-none}" }]),
            &[("x-a", &b"forged"[..])][..],
            &["-x-a"][..],
        ),
        (
            json!([{ "set": "x-a", "value": "${header:x-none}" }]),
            &[("x_a", b"forged")],
            &["-x_a"],
        ),
        (
            json!([{ "append": "x-b", "value": "${header:x-none}" }]),
            &[("x-b", b"1")],
            &[],
        ),
        (
            json!([{ "add": "x-b", "value": "${header:x-none}" }]),
            &[],
            &[],
        ),
        // With any text there is a value.
        (
            json!([{ "set": "x-a", "value": "a=${header:x-none}" }]),
            &[],
            &["+x-a: a="],
        ),
        (
            json!([{ "set": "x-a", "value": " ${query:q} ${header:x-none} " }]),
            &[],
            &["+x-a: 1"],
        ),
        (
            json!([{ "set": "x-a", "value": "${header:x-none|default:none}" }]),
            &[],
            &["+x-a: none"],
        ),
    ] {
        assert_eq!(
            request_writes(edits.clone(), headers, None),
            expected,
            "{edits}"
        );
    }
}

// CR LF would be a header of the client's; a header that is left out because of one would be a client's choice.
#[test]
fn a_value_that_no_header_may_have_ends_the_request() {
    let alice = record(&[]);
    let long = vec![b'a'; 8 * 1024 + 1];
    for (value, headers) in [
        ("${claim:tier}", &[][..]),
        ("x ${query:q} ${header:x-a}", &[("x-a", &b"a\x01b"[..])][..]),
        ("${header:x-a}", &[("x-a", b"a\nb")]),
        ("${header:x-a}", &[("x-a", b"\x7f")]),
        ("${header:x-a}", &[("x-a", &long)]),
        ("${header:x-a|urlencode}", &[("x-a", &[b'/'; 4_000])]),
    ] {
        for kind in ["set", "append", "add"] {
            let edit = json!({ kind: "x-b", "value": value });
            let policy = rule(json!({ "request": { "headers": [edit] } }));
            match step(&policy, &head(headers), Some(&alice), true) {
                Step::Reply(_, reason) => assert_eq!(reason, Reason::InvalidRequestValue),
                other => panic!("{value}: {other:?}"),
            }
        }
    }
    // Encoded they are values as any others.
    let edits = json!([{ "set": "x-b", "value": "${claim:tier|urlencode}" }]);
    assert_eq!(request_writes(edits, &[], Some(&alice)), ["+x-b: a%0D%0Ab"]);
}

#[test]
fn an_edit_is_made_where_its_condition_holds() {
    let edits = json!([
        { "set": "x-a", "value": "staff", "when": { "groups": ["staff"] } },
        { "append": "x-b", "value": "other", "unless": { "groups": ["staff"] } },
        { "remove": "x-c", "when": { "content_type": ["text/*"] } },
    ]);
    let plain = &[("x-c", &b"1"[..]), ("content-type", b"text/plain")][..];
    let json = &[("x-c", &b"1"[..]), ("content-type", b"application/json")][..];
    let staff = record(&["staff"]);
    assert_eq!(
        request_writes(edits.clone(), plain, Some(&staff)),
        ["+x-a: staff", "-x-c"]
    );
    assert_eq!(request_writes(edits.clone(), json, None), ["+x-b: other"]);
    // Whatever the condition says, no client writes the header.
    let forged = &[("x-a", &b"staff"[..]), ("content-type", b"a/b")][..];
    assert_eq!(request_writes(edits, forged, None), ["+x-b: other", "-x-a"]);
}

fn respond(
    policy: &Policy,
    request: Pairs<'_>,
    identity: Option<&[u8]>,
    response: Pairs<'_>,
) -> Result<(Vec<String>, Option<Body>), Reason> {
    let request = head(request);
    let plan = forward(policy, &request, identity).plan.unwrap();
    let headers = HeaderMap::from_pairs(response.iter().copied());
    let now = Duration::from_secs(1_800_000_060);
    match policy.response(&plan, &request, &headers, now, false, None) {
        Respond::Forward { edits, body, .. } => Ok((written(&edits, &headers), body)),
        Respond::Reply(_, reason) => Err(reason),
        Respond::Await(_) => panic!("waits"),
    }
}

#[test]
fn a_response_is_made_of_the_whole_exchange() {
    let policy = rule(json!({ "response": { "headers": [
        { "set": "x-seen", "value": "${status} ${response_header:x-up} ${header:x-a} ${identity:subject} ${route} ${time:rfc3339}" },
        { "set": "x-up", "value": "gone" },
        { "set": "x-error", "value": "yes", "when": { "status": ["5xx", 404] } },
        { "remove": "x-debug", "unless": { "groups": ["staff"] } },
    ] } }));
    let alice = record(&["staff"]);
    let response = |status| [(":status", status), ("x-up", &b"1"[..]), ("x-debug", b"1")];
    let (writes, _) =
        respond(&policy, &[("x-a", b"req")], Some(&alice), &response(b"404")).unwrap();
    assert_eq!(
        writes,
        [
            "+x-error: yes",
            "+x-seen: 404 1 req alice main 2027-01-15T08:01:00Z",
            "=x-up: gone"
        ]
    );
    let (writes, _) = respond(&policy, &[], None, &response(b"200")).unwrap();
    assert_eq!(
        writes,
        [
            "+x-seen: 200 1   main 2027-01-15T08:01:00Z",
            "-x-debug",
            "=x-up: gone"
        ]
    );
    let policy = rule(
        json!({ "response": { "headers": [{ "set": "x-b", "value": "${response_header:x-up}" }] } }),
    );
    let split = respond(
        &policy,
        &[],
        None,
        &[(":status", b"200"), ("x-up", b"a\r\nset-cookie: b")],
    );
    assert_eq!(split.err(), Some(Reason::InvalidResponseValue));
}

/// What becomes of the document.
fn rewritten(body: Option<Body>, document: &str) -> String {
    let Some(mut body) = body else {
        return document.to_owned();
    };
    match body.chunk(&mut document.as_bytes()).unwrap() {
        Chunk::Same => document.to_owned(),
        Chunk::Replaced(bytes) | Chunk::Part(bytes) => String::from_utf8(bytes).unwrap(),
    }
}

const JSON: Pairs<'static> = &[(":status", b"200"), ("content-type", b"application/json")];

// "Only support sees it", in one rule.
#[test]
fn a_mask_is_not_for_those_who_may_see() {
    let policy = rule(json!({ "response": { "body": [
        { "mask": "/email", "unless": { "groups": ["support"] } },
        { "remove": "/secret" },
    ] } }));
    let document = r#"{"email":"a@b.test","secret":1,"id":7}"#;
    let of = |identity: Option<&[u8]>| {
        let (_, body) = respond(&policy, &[], identity, JSON).unwrap();
        rewritten(body, document)
    };
    assert_eq!(
        of(Some(&record(&["support"]))),
        r#"{"email":"a@b.test","id":7}"#
    );
    assert_eq!(of(Some(&record(&["staff"]))), r#"{"email":"***","id":7}"#);
    assert_eq!(of(None), r#"{"email":"***","id":7}"#);
}

// For those for whom nothing is to be done a page in HTML is as good as JSON, and may come compressed.
#[test]
fn without_an_operation_the_body_is_not_read() {
    let policy = rule(json!({ "response": { "body": [
        { "mask": "/email", "unless": { "groups": ["support"] }, "when": { "status": ["2xx"] } },
    ] } }));
    let support = record(&["support"]);
    let html = &[(":status", &b"200"[..]), ("content-type", b"text/html")][..];
    let failed = &[(":status", &b"503"[..]), ("content-type", b"text/html")][..];
    let is_read = |identity, response| {
        respond(&policy, &[], identity, response).map(|(_, body)| body.is_some())
    };
    assert_eq!(is_read(Some(&support), html), Ok(false));
    assert_eq!(is_read(None, html), Err(Reason::UndecodableResponse));
    assert_eq!(is_read(None, failed), Ok(false));
    assert_eq!(is_read(None, JSON), Ok(true));
    // Nobody knows its status.
    assert_eq!(is_read(None, &JSON[1..]), Ok(true));
    let asked = |identity| {
        let head = head(&[("accept-encoding", b"br"), ("range", b"bytes=0-9")]);
        written(&forward(&policy, &head, identity).edits, head.headers())
    };
    assert!(asked(Some(&support[..])).is_empty());
    assert_eq!(asked(None), ["-range", "=accept-encoding: identity"]);
}

#[test]
fn values_in_a_document_are_made_of_the_message() {
    let policy = rule(json!({ "request": { "body": [
        { "set": "/by", "value": { "who": "${identity:subject}", "tags": ["${header:x-a}", 1] } },
        { "add": "/sni", "value": "${tls:sni}" },
        { "mask": "/token", "with": "token of ${identity:subject}" },
    ] } }));
    let alice = record(&[]);
    let json = ("content-type", &b"application/json"[..]);
    let of = |value: &[u8]| {
        let head = head(&[json, ("x-a", value)]);
        rewritten(
            forward(&policy, &head, Some(&alice)).body,
            r#"{"token":"t"}"#,
        )
    };
    assert_eq!(
        of(b"x"),
        r#"{"token":"token of alice","by":{"tags":["x",1],"who":"alice"},"sni":"api.test"}"#
    );
    assert!(of(b"\",\"admin\":true,\"").contains(r#"["\",\"admin\":true,\"",1]"#));
    let long = vec![b'a'; 70_000];
    match step(&policy, &head(&[json, ("x-a", &long)]), Some(&alice), false) {
        Step::Reply(_, reason) => assert_eq!(reason, Reason::InvalidRequestValue),
        other => panic!("{other:?}"),
    }
}

// A rule that looks at nothing of the host's costs no call.
#[test]
fn only_what_a_rule_looks_at_is_asked_for() {
    let needs = |action: Value| {
        let policy = rule(action);
        match policy.request(&head(&[]), &Facts::default(), true, None) {
            Step::Need(needs) => Some(needs),
            Step::Forward(_) => None,
            other => panic!("{other:?}"),
        }
    };
    let set = |value: &str| json!({ "headers": [{ "set": "x-a", "value": value }] });
    assert_eq!(needs(json!({ "request": set("plain") })), None);
    assert_eq!(
        needs(json!({ "request": set("${header:x-b}${method}") })),
        None
    );
    assert_eq!(
        needs(json!({ "response": set("${status} ${time:unix}") })),
        None
    );
    let found =
        needs(json!({ "request": set("${claim:a}"), "response": set("${tls:sni}${route}") }))
            .unwrap();
    assert!(found.identity && found.route && !found.time);
    assert_eq!(found.properties, [Property::Sni]);
    let mask = json!([{ "mask": "/a", "unless": { "plan": ["gold"] } }]);
    assert!(
        needs(json!({ "response": { "body": mask } }))
            .unwrap()
            .identity
    );
    let value = json!([{ "set": "/a", "value": ["${time:unix}"] }]);
    assert!(needs(json!({ "request": { "body": value } })).unwrap().time);
}

// Of a rule on trial and the one in force either may look at what the other does not.
#[test]
fn what_a_rule_on_trial_looks_at_is_asked_for_too() {
    let needs = |on_trial: &str, in_force: &str| {
        let set = |value: &str| json!({ "headers": [{ "set": "x-a", "value": value }] });
        let rules = json!([
            { "name": "trial", "mode": "shadow", "request": set(on_trial) },
            { "name": "force", "request": set(in_force) },
        ]);
        match policy(rules)
            .unwrap()
            .request(&head(&[]), &Facts::default(), true, None)
        {
            Step::Need(needs) => (needs.route, needs.time),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(needs("${route}", "plain"), (true, false));
    assert_eq!(needs("plain", "${time:unix}"), (false, true));
    assert_eq!(needs("${route}", "${time:unix}"), (true, true));
}

// A header that no client may send would come back under another name.
#[test]
fn faults_are_told_with_their_place() {
    let owner =
        json!({ "name": "owner", "request": { "headers": [{ "set": "x-team", "value": "crm" }] } });
    let one = |action: Value| {
        let mut one = action;
        one["name"] = "one".into();
        policy(json!([owner, one])).err()
    };
    let copied =
        "rules[1]: a template copies x-team, which another rule writes, so a client cannot send it";
    let set = |value: &str| json!([{ "set": "x-b", "value": value }]);
    for (action, reason) in [
        (
            json!({ "request": { "headers": set("${header:X-Team}") } }),
            copied,
        ),
        (
            json!({ "response": { "headers": set("${header:x-team}") } }),
            copied,
        ),
        (
            json!({ "request": { "body": [{ "set": "/a", "value": ["${header:x-team}"] }] } }),
            copied,
        ),
        (
            json!({ "request": { "headers": set("${metod}") } }),
            "rules[1].request.headers[0].value: placeholder 1: unknown source, did you mean method?",
        ),
        (
            json!({ "request": { "headers": set("${status}") } }),
            "rules[1].request.headers[0].value: placeholder 1: status is known in the response only",
        ),
        (
            json!({ "request": { "body": [{ "set": "/a", "value": { "b": "${status}" } }] } }),
            "rules[1].request.body[0].value.b: placeholder 1: status is known in the response only",
        ),
        (
            json!({ "response": { "body": [{ "mask": "/a", "with": "${" }] } }),
            "rules[1].response.body[0].with: a ${ has no }; write $${ for the characters themselves",
        ),
        (
            json!({ "request": { "headers": [{ "remove": "x-b", "when": { "status": [200] } }] } }),
            "rules[1].request.headers[0].when.status: a request has no status",
        ),
        (
            json!({ "request": { "headers": set("${path_parameter:id}") } }),
            "rules[1].request.headers[0].value: placeholder 1: match.path.template of this rule has no variable of this name, or more than one",
        ),
    ] {
        assert_eq!(one(action.clone()).as_deref(), Some(reason), "{action}");
    }
    let own = json!({ "request": { "headers": [{ "set": "x-team", "value": "${header:x-team|upper}" }] } });
    assert_eq!(one(own), None);
}

// What a body has told, in the head of its request and of the answer; and what it does not tell is absent.
#[test]
fn what_was_captured_is_a_source() {
    let config = json!({ "version": 1, "host_allows_stop_iteration": true, "rules": [{
        "name": "one",
        "request": {
            "capture": [{ "member": "/model", "name": "model" }],
            "headers": [{ "set": "x-model", "value": "${capture:model|upper|default:none}" }],
        },
        "response": {
            "capture": [{ "member": "/used", "name": "used" }],
            "headers": [{ "set": "x-used", "value": "${capture:used} of ${capture:model}" }],
        },
    }] });
    let policy = Policy::from_bytes(config.to_string().as_bytes()).unwrap();
    let request = head(&[("content-type", b"application/json")]);
    let response =
        HeaderMap::from_pairs([(":status", "200"), ("content-type", "application/json")]);
    let exchange = |body: &str, answer: &str| {
        let facts = match policy.request(&request, &Facts::default(), false, None) {
            Step::Need(needs) => {
                assert_eq!(
                    needs,
                    Needs {
                        captures: true,
                        ..Needs::default()
                    }
                );
                let mut facts = Facts::default();
                facts.complete(Duration::ZERO);
                facts
            }
            other => panic!("{other:?}"),
        };
        let Step::Await(mut capturing) = policy.request(&request, &facts, false, None) else {
            panic!("does not wait")
        };
        capturing.wait(body.as_bytes()).unwrap();
        let captured = capturing.captured();
        let Step::Forward(forward) = policy.request(&request, &facts, false, Some(&captured))
        else {
            panic!("not forwarded")
        };
        let asked = written(&forward.edits, request.headers());
        let plan = forward.plan.unwrap();
        let respond = |captured: Option<&Captured>| {
            policy.response(&plan, &request, &response, Duration::ZERO, false, captured)
        };
        let Respond::Await(mut capturing) = respond(None) else {
            panic!("does not wait")
        };
        capturing.wait(answer.as_bytes()).unwrap();
        let Respond::Forward { edits, .. } = respond(Some(&capturing.captured())) else {
            panic!("not forwarded")
        };
        (asked, written(&edits, &response))
    };
    let identity = "+accept-encoding: identity";
    let (asked, answered) = exchange(r#"{"model":"large"}"#, r#"{"used":17}"#);
    assert_eq!(
        (&asked[..], &answered[..]),
        (
            &[identity.to_owned(), "+x-model: LARGE".to_owned()][..],
            &["+x-used: 17 of large".to_owned()][..]
        )
    );
    let (asked, answered) = exchange("{}", "{}");
    assert_eq!(
        (&asked[..], &answered[..]),
        (
            &[identity.to_owned(), "+x-model: none".to_owned()][..],
            &["+x-used: of".to_owned()][..]
        )
    );
}

// The presets put edits in front of those that have conditions.
#[test]
fn a_condition_stays_with_its_edit() {
    let policy = rule(json!({ "response": {
        "presets": ["hide_server"],
        "headers": [{ "set": "server", "value": "ours", "when": { "status": ["5xx"] } }],
    } }));
    let of = |status: &[u8]| {
        let (writes, _) =
            respond(&policy, &[], None, &[(":status", status), ("server", b"x")]).unwrap();
        writes
    };
    assert_eq!(of(b"200"), ["-server"]);
    assert_eq!(of(b"503"), ["=server: ours"]);
}

// A claim or a header in a path, a query or a host leads where the operator says, and no further.
#[test]
fn the_target_is_made_of_the_message() {
    let target = |action: Value, headers: Pairs<'_>| {
        let policy = rule(json!({ "request": action }));
        let head = head(headers);
        match step(&policy, &head, Some(&record(&[])), true) {
            Step::Forward(forward) => {
                let of = |name: &[u8]| {
                    let values = forward.edits.values(name, head.headers());
                    let first = values.first().map(|value| value.as_bytes().to_vec());
                    String::from_utf8(first.unwrap_or_default()).unwrap()
                };
                Ok((of(b":path"), of(b":authority")))
            }
            Step::Reply(_, reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    };
    let path = |to: &str| {
        json!({ "path": {
            "template": { "from": "/files/{a}/{b}", "to": to },
            "allowed_paths": ["/t"],
        } })
    };
    let ok = |path: &str| Ok((path.to_owned(), String::new()));
    let to = "/t/${header:x-a}/${identity:subject}/{b}";
    assert_eq!(
        target(path(to), &[("x-a", b"x y%z")]),
        ok("/t/x%20y%25z/alice/b?q=1")
    );
    for value in ["a/b", "..", "", ".", "a;b", "\u{1}", "%2e%2e", "a\\b"] {
        let found = target(path(to), &[("x-a", value.as_bytes())]);
        assert_eq!(found, Err(Reason::PathNotAllowed), "{value:?}");
    }
    assert_eq!(
        target(path(to), &[("x-a", b"\xff")]),
        Err(Reason::PathNotAllowed)
    );
    let query = json!({ "query": [
        { "set": "q", "value": "${header:x-a}" }, { "add": "n", "value": "${header:x-none}" },
    ] });
    assert_eq!(
        target(query.clone(), &[("x-a", b"a&b=c#\xff")]),
        ok("/files/a/b?q=a%26b%3Dc%23%FF")
    );
    assert_eq!(target(query.clone(), &[]), ok("/files/a/b"));
    assert_eq!(
        target(query, &[("x-a", b"a\nb")]),
        Err(Reason::InvalidRequestValue)
    );
    let host = |more: Value| {
        let mut action = json!({ "host": "${header:x-a}.test" });
        action
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        action
    };
    let allowed = json!({ "allowed_hosts": ["eu.test", "us.test"] });
    let found = target(host(allowed.clone()), &[("x-a", b"eu")]).unwrap();
    assert_eq!(found.1, "eu.test");
    for value in ["x", "", "us.test@eu", "eu.test\r\n"] {
        let found = target(host(allowed.clone()), &[("x-a", value.as_bytes())]);
        assert_eq!(found, Err(Reason::HostNotAllowed), "{value:?}");
    }
    let mut open = json!({ "name": "one", "request": host(json!({})) });
    assert_eq!(
        policy(json!([open])).err().as_deref(),
        Some(
            "rules[0].request.host: a host that is made of the request needs allowed_hosts beside it"
        )
    );
    open["request"] = path("/t/${metod}/{a}/{b}");
    assert_eq!(
        policy(json!([open])).err().as_deref(),
        Some(
            "rules[0].request.path.template.to: placeholder 1: unknown source, did you mean method?"
        )
    );
}

// Limits are for everybody's bodies, whoever may see what is in them.
#[test]
fn limits_hold_where_no_operation_is_made() {
    let policy = rule(json!({ "request": {
        "body": [{ "remove": "/a", "unless": { "groups": ["support"] } }],
        "limits": { "max_depth": 2 },
    } }));
    let support = record(&["support"]);
    let head = head(&[("content-type", b"application/json")]);
    let read = |document: &str| {
        let mut body = forward(&policy, &head, Some(&support)).body.unwrap();
        body.chunk(&mut document.as_bytes()).map(drop)
    };
    assert!(read("[[[1]]]").is_err());
    assert!(read(r#"{"a":[1]}"#).is_ok());
}
