//! Heads that wait for members of their bodies: they wait no longer than needed, never for ever, and tell no one else's value.

use std::time::Duration;

use fake_host::{Chain, FilterStatus, Host, Reply, Stream, Vm, VmOptions};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
const CONNECT: (&str, &str) = ("connect-protocol-version", "1");
const MODEL: &str = "gatehouse.transform.model";

fn config() -> Value {
    json!({ "version": 1, "host_allows_stop_iteration": true, "rules": [
        {
            "name": "chat",
            "match": { "path": { "prefix": "/chat" } },
            "request": {
                "headers": [{ "set": "x-team", "value": "crm" }],
                "capture": [
                    { "member": "/model", "header": "x-model", "filter_state": "model" },
                    { "member": "/user/id", "header": "x-user-id" },
                ],
                "capture_max_bytes": "64B",
            },
        },
        {
            "name": "cleaned",
            "match": { "path": { "prefix": "/cleaned" } },
            "request": {
                "capture": [{ "member": "/model", "header": "x-model" }],
                "body": [{ "remove": "/internal" }],
            },
        },
        {
            "name": "lenient",
            "match": { "path": { "prefix": "/lenient" } },
            "request": {
                "capture": [{ "member": "/model", "header": "x-model" }],
                "on_undecodable": "pass",
            },
        },
        {
            "name": "only-state",
            "match": { "path": { "prefix": "/state" } },
            "request": { "capture": [{ "member": "/model", "filter_state": "model" }] },
        },
        {
            "name": "answers",
            "match": { "path": { "prefix": "/answers" } },
            "response": {
                "capture": [{ "member": "/usage/total", "header": "x-cost", "filter_state": "cost" }],
                "capture_max_bytes": "64B",
                "body": [{ "mask": "/secret" }],
                "headers": [{ "set": "x-seen", "value": "yes" }],
            },
        },
        {
            "name": "masked",
            "match": { "path": { "prefix": "/masked" } },
            "response": { "body": [{ "mask": "/secret" }] },
        },
        {
            "name": "made",
            "match": { "path": { "prefix": "/made" } },
            "request": {
                "capture": [{ "member": "/model", "name": "model" }],
                "headers": [{ "set": "x-size", "value": "${capture:model|upper|default:none}" }],
                "body": [{ "set": "/route", "value": "to ${capture:model}" }],
            },
            "response": {
                "capture": [{ "member": "/id", "name": "id" }],
                "headers": [{ "set": "x-told", "value": "${capture:id} of ${capture:model}" }],
            },
        },
    ] })
}

fn options(config: &Value) -> VmOptions {
    VmOptions::new("transform", gatehouse_transform::register).config(config.to_string())
}

fn start(host: &Host) -> Vm {
    host.start(options(&config()).allow_stop_iteration())
        .unwrap()
}

fn head<'a>(
    method: &'a str,
    path: &'a str,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "api.test"),
        (":path", path),
    ];
    pseudo.into_iter().chain(more.iter().copied()).collect()
}

fn post(vm: &Vm, path: &str) -> Stream {
    let mut stream = vm.request(head(
        "POST",
        path,
        &[JSON, ("x-model", "forged"), ("x_model", "forged")],
    ));
    assert_eq!(stream.request_headers(false), FilterStatus::Pause, "{path}");
    stream
}

fn get(vm: &Vm, path: &str) -> Stream {
    let mut stream = vm.request(head("GET", path, &[]));
    assert_eq!(stream.request_headers(true), FilterStatus::Continue);
    stream
}

fn reply(stream: &Stream) -> Reply {
    stream.local_reply().expect("a reply")
}

fn counter(vm: &Vm, name: &str) -> u64 {
    vm.counter(&format!("gatehouse.transform.{name}"))
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    WithData,
    EmptyChunk,
    Trailers,
}

const ENDINGS: [Ending; 3] = [Ending::WithData, Ending::EmptyChunk, Ending::Trailers];

fn send(stream: &mut Stream, body: &str, piece: usize, ending: Ending) {
    let pieces: Vec<_> = body.as_bytes().chunks(piece).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len() && ending == Ending::WithData;
        stream.request_body(piece, last);
    }
    match ending {
        Ending::WithData => {}
        Ending::EmptyChunk => drop(stream.request_body("", true)),
        Ending::Trailers => drop(stream.request_trailers([("x-model", "forged"), ("x-end", "1")])),
    }
}

fn answer(stream: &mut Stream, body: &str, piece: usize, ending: Ending) {
    stream.response_headers([(":status", "200"), JSON, ("content-length", "9")], false);
    let pieces: Vec<_> = body.as_bytes().chunks(piece).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len() && ending == Ending::WithData;
        stream.response_body(piece, last);
    }
    match ending {
        Ending::WithData => {}
        Ending::EmptyChunk => drop(stream.response_body("", true)),
        Ending::Trailers => drop(stream.response_trailers([("x-end", "1")])),
    }
}

// The route is chosen by the header: of two requests with one body both take the same, however they were cut.
#[test]
fn a_request_waits_for_its_members_and_goes_on_whole() {
    let host = Host::new();
    let vm = start(&host);
    let body = r#"{"user":{"id":7}, "model":"gpt\u002d4" , "text":"….............................................................."}"#;
    for ending in ENDINGS {
        for piece in [1, 2, 7, 30, 4096] {
            let mut stream = post(&vm, "/chat");
            send(&mut stream, body, piece, ending);
            let upstream = stream.upstream();
            assert!(upstream.complete, "{ending:?} {piece}");
            assert_eq!(upstream.text(), body);
            assert_eq!(upstream.headers.all("x-model"), [b"gpt-4"]);
            assert_eq!(upstream.headers.all("x-user-id"), [b"7"]);
            assert_eq!(upstream.headers.all("x-team"), [b"crm"]);
            assert_eq!(upstream.headers.get("x_model"), None);
            assert_eq!(upstream.trailers.get("x-model"), None);
            assert_eq!(stream.filter_state(MODEL).as_deref(), Some(&b"gpt-4"[..]));
        }
    }
    assert_eq!(
        (counter(&vm, "captured"), counter(&vm, "head_waited")),
        (15, 15)
    );
    assert_eq!(
        counter(&vm, "matched"),
        15,
        "each is counted once, though decided on twice"
    );
}

// Whoever waits for more than is needed holds bodies for nothing, and delays the first byte of each.
#[test]
fn it_waits_no_longer_than_needed() {
    let host = Host::new();
    let vm = start(&host);
    let mut stream = post(&vm, "/chat");
    assert_eq!(
        stream.request_body(r#"{"model":"a","user":{"id":"#, false),
        FilterStatus::Pause
    );
    assert!(!stream.upstream().started);
    assert_eq!(stream.request_body("1}", false), FilterStatus::Continue);
    assert_eq!(stream.upstream().text(), r#"{"model":"a","user":{"id":1}"#);
    stream.request_body(r#","rest":1}"#, true);
    assert!(stream.upstream().complete);
    // None of them is there: known where the document closes, whatever follows.
    let mut none = post(&vm, "/chat");
    assert_eq!(none.request_body("{} ", false), FilterStatus::Continue);
    assert_eq!(
        none.upstream().headers.get("x-model"),
        None,
        "nor is the client's"
    );
    assert_eq!(none.filter_state(MODEL), None);
}

// A GET, a HEAD, an empty POST: there is nothing to wait for, and nobody who would come.
#[test]
fn what_has_no_body_does_not_wait() {
    let host = Host::new();
    let vm = start(&host);
    for method in ["GET", "HEAD", "POST"] {
        let mut stream = vm.request(head(method, "/chat", &[("x-model", "forged"), JSON]));
        assert_eq!(
            stream.request_headers(true),
            FilterStatus::Continue,
            "{method}"
        );
        assert_eq!(stream.upstream().headers.get("x-model"), None);
    }
    let mut announced = vm.request(head("POST", "/chat", &[JSON, ("content-length", "0")]));
    assert_eq!(announced.request_headers(false), FilterStatus::Continue);
    for path in ["/chat", "/cleaned", "/state"] {
        let mut empty = post(&vm, path);
        assert_eq!(
            empty.request_body("", true),
            FilterStatus::Continue,
            "{path}"
        );
        assert!(empty.upstream().complete);
        assert_eq!(empty.upstream().headers.get("x-model"), None);
        let mut trailers = post(&vm, path);
        assert_eq!(
            trailers.request_trailers([("x", "y")]),
            FilterStatus::Continue
        );
        assert!(trailers.upstream().complete);
    }
    assert_eq!(vm.tick_period(), Some(Duration::from_millis(50)));
    vm.tick();
    assert_eq!(vm.tick_period(), None, "nobody waits");
}

// What the operations take out stays out, though the host has gathered it all before.
#[test]
fn what_was_gathered_goes_through_the_operations() {
    let host = Host::new();
    let vm = start(&host);
    let body = r#"{"internal":1,"model":"a","x":{"internal":2}}"#;
    for ending in ENDINGS {
        for piece in [1, 5, 4096] {
            let mut stream =
                vm.request(head("POST", "/cleaned", &[JSON, ("content-length", "46")]));
            stream.request_headers(false);
            send(&mut stream, body, piece, ending);
            let upstream = stream.upstream();
            assert!(upstream.complete, "{ending:?} {piece}");
            assert_eq!(upstream.text(), r#"{"model":"a","x":{"internal":2}}"#);
            assert_eq!(upstream.headers.get("content-length"), None);
            assert_eq!(upstream.headers.text("x-model"), Some("a"));
        }
    }
    assert_eq!(counter(&vm, "request_body_rewritten"), 9);
}

// What the body says is known before the first byte of it goes on, and still when its answer comes.
#[test]
fn templates_are_filled_with_what_was_captured() {
    let host = Host::new();
    let vm = start(&host);
    for ending in ENDINGS {
        for piece in [1, 5, 4096] {
            let mut stream = post(&vm, "/made");
            send(&mut stream, r#"{"n":1,"model":"large"}"#, piece, ending);
            let upstream = stream.upstream();
            assert!(upstream.complete, "{ending:?} {piece}");
            assert_eq!(upstream.headers.text("x-size"), Some("LARGE"));
            assert_eq!(
                upstream.text(),
                r#"{"n":1,"model":"large","route":"to large"}"#
            );
            answer(&mut stream, r#"{"id":7}"#, piece, ending);
            assert_eq!(stream.client().headers.text("x-told"), Some("7 of large"));
            assert_eq!(
                (stream.client().text(), stream.client().complete),
                (r#"{"id":7}"#, true)
            );
        }
    }
    let mut none = post(&vm, "/made");
    send(&mut none, "{}", 1, Ending::WithData);
    assert_eq!(none.upstream().headers.text("x-size"), Some("none"));
}

// A captured value is a client's text in a header: a control character splits it, and a long one fills it.
#[test]
fn a_value_that_fits_no_header_is_not_told() {
    let host = Host::new();
    let vm = start(&host);
    let long = format!("\"{}\"", "x".repeat(1025));
    let unfit = [
        r#""a\r\nx-admin: 1""#,
        r#""a\u0000""#,
        r#""\u007f""#,
        r#"" a""#,
        r#""a\t""#,
        &long,
    ];
    for value in unfit {
        let mut stream = post(&vm, "/lenient");
        stream.request_body(format!("{{\"model\":{value}}}"), true);
        assert!(stream.upstream().complete, "{value}");
        assert_eq!(stream.upstream().headers.get("x-model"), None, "{value}");
    }
    assert_eq!(counter(&vm, "capture_unfit"), 6);
    for (value, told) in [
        ("\"\"", Some("")),
        ("true", Some("true")),
        ("null", Some("null")),
        ("-1.50e+3", Some("-1.50e+3")),
        ("\"é\"", Some("é")),
        ("[1]", None),
        ("{}", None),
    ] {
        let mut stream = post(&vm, "/lenient");
        stream.request_body(format!("{{\"model\":{value}}}"), true);
        assert_eq!(stream.upstream().headers.text("x-model"), told, "{value}");
    }
    assert_eq!(counter(&vm, "capture_unfit"), 6);
}

// The first chooses the route; an upstream that takes the last one serves what the route was chosen to keep from it.
#[test]
fn a_member_that_comes_twice_is_refused_also_after_the_head_has_left() {
    let host = Host::new();
    let vm = start(&host);
    for (first, rest) in [
        (r#"{"model":"a","model":"b"}"#, ""),
        (r#"{"model":"a""#, r#","\u006dodel":"b"}"#),
        (r#"{"model":"a""#, r#","x":{"y":1,"y":2}}"#),
    ] {
        for path in ["/cleaned", "/lenient"] {
            let mut stream = post(&vm, path);
            stream.request_body(first, rest.is_empty());
            stream.request_body(rest, true);
            let reply = reply(&stream);
            assert_eq!(reply.details, "gatehouse_transform_broken_request");
            assert!(!stream.upstream().complete);
            let problem: Value = serde_json::from_slice(&reply.body).unwrap();
            assert!(problem["offset"].as_u64() > Some(1), "{problem}");
            assert_ne!(problem["pointer"], Value::Null);
        }
    }
    // More than the rule allows is no way round it either.
    let mut deep = post(&vm, "/lenient");
    deep.request_body("[".repeat(65), true);
    assert_eq!(reply(&deep).details, "gatehouse_transform_over_limit");
    assert!(!deep.upstream().started);
}

#[test]
fn a_body_that_cannot_be_read_is_refused_or_passed() {
    let host = Host::new();
    let vm = start(&host);
    for ending in ENDINGS {
        for body in ["<a/>", r#"{"model":"#, r#"{"x":1}}"#, r#"{"model":"a",}"#] {
            let mut stream = post(&vm, "/chat");
            send(&mut stream, body, 4096, ending);
            assert_eq!(reply(&stream).status, 400, "{body} {ending:?}");
            assert!(!stream.upstream().started, "{body}");
            let mut lenient = post(&vm, "/lenient");
            send(&mut lenient, body, 4096, ending);
            assert!(lenient.upstream().complete, "{body} {ending:?}");
            assert_eq!(lenient.upstream().text(), body);
            assert_eq!(lenient.upstream().headers.get("x-model"), None, "{body}");
        }
    }
    let mut text = vm.request(head("POST", "/chat", &[("content-type", "text/plain")]));
    text.request_headers(false);
    assert_eq!(reply(&text).status, 415);
    let mut passed = vm.request(head("POST", "/lenient", &[("content-type", "text/plain")]));
    assert_eq!(passed.request_headers(false), FilterStatus::Continue);
    // Whoever writes `pass` finds out by the counter how much goes by.
    assert_eq!(counter(&vm, "request_body_passed"), 13);
    assert!(vm.is_alive());
}

// Envoy holds the body meanwhile; how much of it is not the client's choice, nor does it depend on how it comes.
#[test]
fn members_far_behind_are_refused_however_they_come() {
    let host = Host::new();
    let vm = start(&host);
    for spaces in 0..80 {
        let body = format!(r#"{{"user":{{"id":1}},{}"model":"a"}}"#, " ".repeat(spaces));
        let fits = body.find(r#""a""#).unwrap() + 3 <= 64;
        for piece in [1, 7, 64, 65, 4096] {
            let mut stream = post(&vm, "/chat");
            send(&mut stream, &body, piece, Ending::WithData);
            assert_eq!(stream.upstream().complete, fits, "{spaces} {piece}");
            if !fits {
                let reply = reply(&stream);
                assert_eq!(
                    (reply.status, &*reply.details),
                    (413, "gatehouse_transform_members_too_far")
                );
                assert!(!stream.upstream().started);
            }
        }
    }
}

// Nobody else would end it: the client may be waiting for an answer, with half of its body sent.
#[test]
fn a_body_that_does_not_come_ends_the_request_at_the_deadline() {
    let host = Host::new();
    let vm = start(&host);
    for sent in [None, Some(""), Some("{\"model\":\"a"), Some("{")] {
        let mut stream = post(&vm, "/chat");
        if let Some(sent) = sent {
            assert_eq!(stream.request_body(sent, false), FilterStatus::Pause);
        }
        host.clock().advance(Duration::from_millis(4999));
        vm.tick();
        assert_eq!(stream.local_reply(), None, "{sent:?}");
        host.clock().advance(Duration::from_millis(1));
        vm.tick();
        let reply = reply(&stream);
        assert_eq!(
            (reply.status, &*reply.details),
            (503, "gatehouse_transform_late_request")
        );
        assert_eq!(
            stream.client().headers.text("content-type"),
            Some("application/problem+json")
        );
        // What comes later changes nothing.
        stream.request_body("\":1}", true);
        assert!(!stream.upstream().started);
    }
    assert_eq!(counter(&vm, "late_request"), 4);
    assert_eq!(counter(&vm, "broken_request"), 0);
    assert_eq!(vm.tick_period(), None);
}

// The operator says that Envoy lets the body come, and it does not: requests end with 503 and not with a hang.
#[test]
fn a_host_that_does_not_keep_the_word_is_found_out_by_the_deadline() {
    let host = Host::new();
    let vm = host.start(options(&config())).unwrap();
    let mut stream = post(&vm, "/chat");
    assert_eq!(
        stream.request_body(r#"{"model":"a"}"#, true),
        FilterStatus::Pause
    );
    host.clock().advance(Duration::from_secs(5));
    vm.tick();
    assert_eq!(reply(&stream).status, 503);
    assert!(!stream.upstream().started);
    // A response that can do without goes on then, as it would have at once.
    let mut masked = get(&vm, "/masked");
    answer(&mut masked, r#"{"secret":1}"#, 5, Ending::WithData);
    assert!(!masked.client().started);
    host.clock().advance(Duration::from_secs(5));
    vm.tick();
    assert_eq!(masked.client().text(), r#"{"secret":"***"}"#);
    assert!(masked.client().complete);
    assert_eq!(counter(&vm, "head_released"), 1);
}

// A context that is gone and still in the list would have another request answered in its place.
#[test]
fn a_stream_that_ends_while_it_waits_is_forgotten() {
    let host = Host::new();
    let vm = start(&host);
    let mut gone = post(&vm, "/chat");
    gone.request_body("{", false);
    gone.close();
    let mut other = post(&vm, "/chat");
    host.clock().advance(Duration::from_secs(4));
    vm.tick();
    other.request_body(r#"{"model":"a","user":{"id":1}}"#, true);
    host.clock().advance(Duration::from_secs(60));
    vm.tick();
    assert!(other.upstream().complete && other.local_reply().is_none());
    assert_eq!(gone.local_reply(), None);
    assert_eq!(counter(&vm, "late_request"), 0);
    assert!(vm.is_alive());
}

// Each on its own: an answer for one must not end the wait of another.
#[test]
fn many_wait_at_once() {
    let host = Host::new();
    let vm = start(&host);
    let mut waiting: Vec<Stream> = (0..100).map(|_| post(&vm, "/chat")).collect();
    for stream in &mut waiting {
        stream.request_body("{\"model\":", false);
    }
    for (index, stream) in waiting.iter_mut().enumerate().rev() {
        if index % 2 == 0 {
            stream.request_body(format!("\"m{index}\"}}"), true);
        }
    }
    host.clock().advance(Duration::from_secs(6));
    vm.tick();
    for (index, stream) in waiting.iter().enumerate() {
        let upstream = stream.upstream();
        if index % 2 == 0 {
            assert_eq!(
                upstream.headers.text("x-model"),
                Some(&*format!("m{index}"))
            );
            assert!(upstream.complete);
        } else {
            assert_eq!(reply(stream).status, 503);
        }
    }
}

// A VM never gives memory back: how many wait is not the clients' choice.
#[test]
fn one_too_many_is_refused_at_once() {
    let host = Host::new();
    let vm = start(&host);
    let waiting: Vec<Stream> = (0..4096).map(|_| post(&vm, "/chat")).collect();
    let mut late = vm.request(head("POST", "/chat", &[JSON, CONNECT]));
    late.request_headers(false);
    let refusal = reply(&late);
    assert_eq!(refusal.details, "gatehouse_transform_crowded");
    let text = refusal.text();
    assert!(
        text.contains(r#""code":"#),
        "in the form of the call: {text}"
    );
    drop(waiting);
    post(&vm, "/chat");
}

// Filter state alone does not make Envoy look for the route again.
#[test]
fn filter_state_alone_has_the_route_chosen_anew() {
    let host = Host::new();
    let vm = start(&host);
    let chain = Chain::new().filter(&vm);
    let mut stream = chain.request(head("POST", "/state", &[JSON]));
    stream.request_headers(false);
    stream.request_body(r#"{"model":"a"}"#, true);
    assert_eq!(stream.filter_state(MODEL).as_deref(), Some(&b"a"[..]));
    let calls = stream.host_calls("proxy_on_request_body");
    assert!(
        calls
            .iter()
            .any(|call| call.function == "proxy_call_foreign_function"),
        "{calls:?}"
    );
}

#[test]
fn a_response_waits_for_its_members() {
    let host = Host::new();
    let vm = start(&host);
    let body = r#"{"secret":1,"usage":{"total":12},"x":1}"#;
    for ending in ENDINGS {
        for piece in [1, 7, 4096] {
            let mut stream = get(&vm, "/answers");
            answer(&mut stream, body, piece, ending);
            let client = stream.client();
            assert!(client.complete, "{ending:?} {piece}");
            assert_eq!(
                client.text(),
                r#"{"secret":"***","usage":{"total":12},"x":1}"#
            );
            assert_eq!(client.headers.text("x-cost"), Some("12"));
            assert_eq!(client.headers.text("x-seen"), Some("yes"));
            assert_eq!(client.headers.get("content-length"), None);
            let state = stream.filter_state("gatehouse.transform.cost");
            assert_eq!(state.as_deref(), Some(&b"12"[..]));
            // Broken while the head is still here: the client is told so.
            let mut broken = get(&vm, "/answers");
            answer(&mut broken, r#"{"usage":]"#, piece, ending);
            assert_eq!(broken.client().status(), Some(502));
            assert!(broken.client().complete);
        }
    }
    // Too far behind: nothing was decided by it, so the answer goes on without.
    let mut far = get(&vm, "/answers");
    let body = format!(
        r#"{{"a":"{}","secret":1,"usage":{{"total":12}}}}"#,
        "x".repeat(80)
    );
    answer(&mut far, &body, 9, Ending::EmptyChunk);
    assert!(far.client().complete);
    assert!(far.client().text().contains(r#""secret":"***""#));
    assert_eq!(far.client().headers.get("x-cost"), None);
    let mut late = get(&vm, "/answers");
    late.response_headers([(":status", "200"), JSON], false);
    late.response_body("{", false);
    host.clock().advance(Duration::from_secs(5));
    vm.tick();
    assert_eq!(late.client().status(), Some(504));
    assert!(late.client().text().contains("in time"));
    // Once each: what has waited for members does not wait for a first chunk that is there.
    assert_eq!(counter(&vm, "head_waited"), 20);
}

// A status is a better answer than a connection that breaks.
#[test]
fn a_masked_response_that_breaks_at_once_is_a_502() {
    let host = Host::new();
    let vm = start(&host);
    for ending in ENDINGS {
        let mut broken = get(&vm, "/masked");
        answer(&mut broken, "<html>", 4096, ending);
        assert_eq!(broken.client().status(), Some(502), "{ending:?}");
        assert!(broken.client().complete);
        let mut whole = get(&vm, "/masked");
        answer(&mut whole, r#"{"secret":1}"#, 3, ending);
        assert_eq!(whole.client().text(), r#"{"secret":"***"}"#, "{ending:?}");
        assert!(whole.client().complete);
        let mut empty = get(&vm, "/masked");
        answer(&mut empty, "", 3, ending);
        if ending != Ending::WithData {
            assert!(empty.client().complete, "{ending:?}");
        }
    }
    // Broken later: the head has left.
    let mut cut = get(&vm, "/masked");
    answer(&mut cut, r#"{"secret":1]"#, 4, Ending::WithData);
    assert!(!cut.client().complete);
    assert!(vm.is_alive());
    // One that has gone on waits no more.
    let mut gone_on = get(&vm, "/masked");
    answer(&mut gone_on, r#"{"secret":1}"#, 4096, Ending::WithData);
    assert!(gone_on.client().complete);
    host.clock().advance(Duration::from_secs(60));
    vm.tick();
    assert_eq!(counter(&vm, "head_released"), 0);
}

// The form of a reply is that of the call, which only the head tells; while it waits it is kept elsewhere.
#[test]
fn a_call_that_waited_is_refused_in_its_form() {
    let host = Host::new();
    let vm = start(&host);
    let mut broken = vm.request(head("POST", "/chat", &[JSON, CONNECT]));
    assert_eq!(broken.request_headers(false), FilterStatus::Pause);
    broken.request_body("{]", false);
    let reply = reply(&broken);
    assert_eq!(reply.details, "gatehouse_transform_broken_request");
    assert!(reply.text().contains(r#""code":"#), "{}", reply.text());
}

// Without leave for heads to wait, what the body says is known when its head is gone: for those who read it at the end.
#[test]
fn a_response_tells_filter_state_without_a_wait() {
    let host = Host::new();
    let rule = json!({ "name": "a", "response": { "capture": [
        { "member": "/usage/total", "filter_state": "cost" },
        { "member": "/none", "filter_state": "none" },
    ] } });
    let vm = host
        .start(options(&json!({ "version": 1, "rules": [rule] })))
        .unwrap();
    for ending in ENDINGS {
        let mut stream = get(&vm, "/");
        answer(&mut stream, r#"{"usage":{"total":12}}"#, 4, ending);
        assert!(stream.client().complete);
        assert_eq!(
            stream.client().headers.text("content-length"),
            Some("9"),
            "no byte is changed"
        );
        let state = stream.filter_state("gatehouse.transform.cost");
        assert_eq!(state.as_deref(), Some(&b"12"[..]), "{ending:?}");
        assert_eq!(stream.filter_state("gatehouse.transform.none"), None);
    }
    assert_eq!(counter(&vm, "captured"), 3);
    assert_eq!(counter(&vm, "head_waited"), 0);
}

// A rule on trial shows in counters what it would do; it changes, delays and refuses nothing.
#[test]
fn a_rule_on_trial_is_worked_through_and_nothing_of_it_is_sent() {
    let host = Host::new();
    let mut config = config();
    let rules = config["rules"].as_array_mut().unwrap();
    let trial = json!({
        "name": "trial", "mode": "shadow",
        "request": {
            "capture": [{ "member": "/model", "header": "x-trial" }],
            "body": [{ "remove": "/internal" }],
        },
        "response": { "body": [{ "mask": "/secret" }], "headers": [{ "set": "x-trial", "value": "1" }] },
    });
    rules.insert(0, trial);
    let vm = host.start(options(&config).allow_stop_iteration()).unwrap();
    let (sent, got) = (r#"{"model":"a","internal":1}"#, r#"{"secret":1}"#);
    for ending in ENDINGS {
        let mut stream = vm.request(head("POST", "/other", &[JSON]));
        assert_eq!(stream.request_headers(false), FilterStatus::Continue);
        send(&mut stream, sent, 5, ending);
        assert_eq!(stream.upstream().text(), sent);
        assert_eq!(stream.upstream().headers.get("x-trial"), None);
        answer(&mut stream, got, 5, ending);
        assert_eq!(
            (stream.client().text(), stream.client().complete),
            (got, true)
        );
        assert_eq!(stream.client().headers.get("x-trial"), None);
    }
    assert_eq!(
        (
            counter(&vm, "shadow_rewritten"),
            counter(&vm, "shadow_refused")
        ),
        (6, 0)
    );
    assert_eq!(counter(&vm, "request_body_rewritten"), 0);
    // The next rule is in force meanwhile, and reads the same bytes.
    let mut both = post(&vm, "/cleaned");
    send(&mut both, sent, 5, Ending::WithData);
    assert_eq!(both.upstream().text(), r#"{"model":"a"}"#);
    assert_eq!(counter(&vm, "shadow_rewritten"), 7);
    // What it would refuse goes on, and is counted once.
    let mut html = vm.request(head("POST", "/other", &[("content-type", "text/html")]));
    html.request_headers(false);
    send(&mut html, "<a>", 1, Ending::WithData);
    assert!(html.upstream().complete);
    let mut broken = vm.request(head("POST", "/other", &[JSON]));
    broken.request_headers(false);
    send(&mut broken, "{]]]]", 1, Ending::Trailers);
    assert!(broken.upstream().complete);
    answer(&mut broken, "{\"secret\":", 3, Ending::EmptyChunk);
    assert_eq!(
        (broken.client().text(), broken.client().complete),
        ("{\"secret\":", true)
    );
    assert_eq!(counter(&vm, "shadow_refused"), 3);
}

// What a body holds is held by every worker together; a gauge that only grows is an alarm for nothing.
#[test]
fn what_is_held_is_in_the_gauge_and_leaves_it() {
    let host = Host::new();
    let many: Vec<Value> = (0..16)
        .map(|index| json!({ "member": format!("/m{index}"), "name": format!("m{index}") }))
        .collect();
    let config = json!({ "version": 1, "host_allows_stop_iteration": true, "rules": [
        { "name": "a", "request": { "capture": many } },
    ] });
    let start = || host.start(options(&config).allow_stop_iteration()).unwrap();
    let (one, other) = (start(), start());
    let gauge = || host.counter("gatehouse.transform.held_bytes");
    let body: String = (0..10)
        .map(|index| format!("\"m{index}\":\"{}\",", "x".repeat(1000)))
        .collect();
    let mut streams: Vec<Stream> = [&one, &other].map(|vm| post(vm, "/")).into();
    for stream in &mut streams {
        stream.request_body(format!("{{{body}"), false);
    }
    assert!((19_000..=23_000).contains(&gauge()), "{}", gauge());
    streams.pop();
    assert!((9_500..=11_500).contains(&gauge()), "{}", gauge());
    for stream in &mut streams {
        stream.request_body("\"z\":1}", true);
        assert!(stream.upstream().complete);
    }
    assert_eq!(gauge(), 0);
}

#[test]
fn a_faulty_capture_is_refused_with_its_path() {
    let refusal = |edit: &dyn Fn(&mut Value)| {
        let mut config = config();
        edit(&mut config);
        let refused = Host::new().start(options(&config)).unwrap_err();
        refused.to_string()
    };
    let capture = "rules[0].request.capture";
    let set = |at: &'static str, value: Value| {
        refusal(&move |config| *config.pointer_mut(at).unwrap() = value.clone())
    };
    let first = "/rules/0/request/capture/0";
    for (found, path, reason) in [
        (
            set("/host_allows_stop_iteration", json!(false)),
            format!("{capture}[0]"),
            "allow_on_headers_stop_iteration",
        ),
        (
            set("/rules/0/request/capture/0/member", json!("model")),
            format!("{capture}[0].member"),
            "begins with /",
        ),
        (
            set("/rules/0/request/capture/0/member", json!("/*/a")),
            format!("{capture}[0].member"),
            "one member",
        ),
        (
            set("/rules/0/request/capture/0/header", json!("content-length")),
            format!("{capture}[0].header"),
            "not for filters",
        ),
        (
            set(
                "/rules/0/request/capture/0/header",
                json!("x-envoy-retry-on"),
            ),
            format!("{capture}[0].header"),
            "client",
        ),
        (
            set("/rules/0/request/capture/0/header", json!("x-user-id")),
            format!("{capture}[1].header"),
            "another member",
        ),
        (
            set("/rules/0/request/capture/0/header", json!("x-team")),
            capture.to_owned(),
            "x-team",
        ),
        (
            set(first, json!({ "member": "/a" })),
            format!("{capture}[0]"),
            "header, filter_state or name",
        ),
        (
            set("/rules/0/request/capture_max_bytes", json!("1MiB")),
            "rules[0].request.capture_max_bytes".to_owned(),
            "512KiB",
        ),
        (
            refusal(&|config| config["rules"][0]["request"]["capture_deadline"] = "2h".into()),
            "rules[0].request.capture_deadline".to_owned(),
            "1m",
        ),
        (
            refusal(&|config| config["rules"][5]["response"]["capture_deadline"] = "2s".into()),
            "rules[5].response.capture_deadline".to_owned(),
            "no capture",
        ),
        (
            refusal(&|config| {
                config["host_allows_stop_iteration"] = false.into();
                for rule in config["rules"].as_array_mut().unwrap() {
                    rule["request"] = json!({ "headers": [{ "remove": "x" }] });
                }
            }),
            "rules[4].response.capture[0].header".to_owned(),
            "allow_on_headers_stop_iteration",
        ),
    ] {
        assert!(
            found.contains(&path) && found.contains(reason),
            "{path} {reason}: {found}"
        );
    }
    assert!(Host::new().start(options(&config())).is_ok());
}
