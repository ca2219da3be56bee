//! nst/JSONTestSuite through a real Envoy, plain and in gzip, cut at random: what is JSON goes on edited, what is not never goes on as if it were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envoy_harness::{Gateway, skipped};
use http::HeaderValue;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::codings::{gunzip, gzip};
use super::peer::{Answered, frames};
use super::single;
use crate::server::{Pieces, Received, Server};

/// A file of the suite.
struct Vector {
    name: String,
    expect: Expect,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Accept,
    Reject,
    Either,
}

/// What the upstream answers and what it was sent, by path.
#[derive(Default)]
struct Desk {
    answers: BTreeMap<String, Vec<Bytes>>,
    received: BTreeMap<String, Received>,
}

/// The suite, if it is here.
fn vectors() -> Option<Vec<Vector>> {
    let Ok(folder) = std::env::var("GATEHOUSE_VECTORS") else {
        skipped(&envoy_harness::Missing::new("GATEHOUSE_VECTORS is not set"));
        return None;
    };
    let file = std::path::Path::new(&folder).join("jsontestsuite/jsontestsuite.json");
    let text = std::fs::read(file).expect("GATEHOUSE_VECTORS has the suite");
    let list: Value = serde_json::from_slice(&text).expect("the suite is JSON");
    let list = list.as_array().expect("the suite is a list").iter();
    let member = |vector: &Value, name: &str| vector[name].as_str().expect("a text").to_owned();
    let vectors = list.map(|vector| Vector {
        name: member(vector, "name"),
        expect: match member(vector, "expect").as_str() {
            "accept" => Expect::Accept,
            "reject" => Expect::Reject,
            _ => Expect::Either,
        },
        text: STANDARD.decode(member(vector, "b64")).expect("base64"),
    });
    Some(vectors.collect())
}

/// What the rule of this test makes of a document.
fn edited(text: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(text).expect("a document");
    match &mut value {
        Value::Object(members) => {
            members.remove("0");
            members.entry("a").and_modify(|value| *value = "***".into());
        }
        Value::Array(items) if !items.is_empty() => drop(items.remove(0)),
        _ => {}
    }
    let children: Vec<&mut Value> = match &mut value {
        Value::Object(members) => members.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        if let Some(masked) = child.get_mut("b") {
            *masked = "***".into();
        }
    }
    value
}

/// The text in pieces of chance, of which some are a single byte.
fn cut(text: &[u8], chance: &mut fastrand::Rng) -> Vec<Bytes> {
    let most = if text.len() > 4096 { 16 * 1024 } else { 12 };
    let mut rest = Bytes::copy_from_slice(text);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = chance.usize(1..=most).min(rest.len());
        pieces.push(rest.split_to(length));
    }
    pieces
}

/// What is wrong about a message that was delivered, or was not.
fn fault(vector: &Vector, delivered: Option<&[u8]>) -> Option<String> {
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes);
    match (vector.expect, delivered) {
        (Expect::Accept, None) => Some("was not delivered".into()),
        (Expect::Reject, Some(_)) => Some("was delivered as if it were whole".into()),
        // What another parser refuses (half a pair, a number out of range) has no edits to compare with.
        (Expect::Accept | Expect::Either, Some(bytes)) => match value(&vector.text) {
            Ok(_) if value(bytes).ok() == Some(edited(&vector.text)) => None,
            Err(_) if vector.expect == Expect::Either => None,
            _ => Some(format!("became {:.200}", String::from_utf8_lossy(bytes))),
        },
        (Expect::Reject | Expect::Either, None) => None,
    }
}

// Where this filter takes for whole what a client or an upstream reads otherwise, a masked member gets out.
#[test]
fn every_text_is_edited_or_never_delivered_whole() {
    every_text(false);
}

// The same of what is inflated, edited and compressed again: a text that is cut there is cut once more.
#[test]
fn every_text_is_so_in_gzip_too() {
    every_text(true);
}

fn every_text(coded: bool) {
    let wire = |text: &[u8]| match coded {
        true => gzip(text),
        false => text.to_vec(),
    };
    // What the other side reads; what cannot be inflated is no delivery of a whole text.
    let read = |bytes: &[u8]| match coded {
        true => gunzip(bytes),
        false => Some(bytes.to_vec()),
    };
    let Some(vectors) = vectors() else { return };
    let seed = std::env::var("GATEHOUSE_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    });
    eprintln!("cut by GATEHOUSE_SEED={seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let desk = Arc::new(Mutex::new(Desk::default()));
    let server = Server::start({
        let desk = Arc::clone(&desk);
        move |request: Received| {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            let pieces = desk.answers.remove(&request.path).unwrap_or_default();
            desk.received.insert(request.path.clone(), request);
            let mut response = http::Response::new(Pieces::of(pieces, None));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert("content-type", json);
            if coded {
                let gzip = HeaderValue::from_static("gzip");
                response.headers_mut().insert("content-encoding", gzip);
            }
            std::future::ready(response)
        }
    });
    let mut bootstrap = single(server.load_assignment("users"), true);
    let body = json!([{ "mask": "/a" }, { "remove": "/0" }, { "mask": "/*/b" }]);
    // The suite has a name twice, and takes it for JSON.
    let limits = json!({ "duplicate_members": "allow" });
    bootstrap.set_filter_config(
        "gatehouse.transform",
        json!({ "version": 1, "rules": [
            { "name": "answers", "match": { "path": { "prefix": "/answers" } }, "response": { "body": body, "limits": limits } },
            { "name": "requests", "match": { "path": { "prefix": "/requests" } }, "request": { "body": body, "limits": limits } },
        ] }),
    );
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let address = gateway.h2().address();
    let send = |path: &str, pieces: Vec<Bytes>| -> Result<Answered, String> {
        let mut request = http::Request::post(format!("http://{address}{path}"))
            .header("content-type", "application/json");
        if coded && !pieces.is_empty() {
            request = request.header("content-encoding", "gzip");
        }
        frames(address, request, pieces, None)
    };
    let mut faults = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for (index, vector) in vectors.iter().enumerate() {
        let path = format!("/answers/{index}");
        let pieces = cut(&wire(&vector.text), &mut chance);
        desk.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answers
            .insert(path.clone(), pieces);
        let answer = send(&path, Vec::new());
        let delivered = answer.as_ref().ok().filter(|answer| answer.status == 200);
        // An answer without a byte is no document: there is nothing in it to hide.
        let is_empty = vector.text.is_empty();
        let wrong = match is_empty {
            true => None,
            false => {
                let delivered = delivered.and_then(|answer| read(&answer.body));
                fault(vector, delivered.as_deref())
            }
        };
        faults.extend(wrong.map(|wrong| format!("answer {}: {wrong}", vector.name)));

        let path = format!("/requests/{index}");
        let answer = send(&path, cut(&wire(&vector.text), &mut chance));
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        let right = match vector.expect {
            Expect::Accept => status == 200,
            // An upstream that has begun to answer nothing yet: the refusal is seen as such, or the stream breaks.
            Expect::Reject => is_empty || matches!(status, 0 | 400 | 413),
            Expect::Either => matches!(status, 0 | 200 | 400 | 413),
        };
        if !right {
            faults.push(format!("request {}: {answer:?}", vector.name));
        }
        accepted += usize::from(vector.expect == Expect::Accept);
        refused += usize::from(vector.expect == Expect::Reject);
    }
    let desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
    for (index, vector) in vectors.iter().enumerate() {
        let received = desk.received.get(&format!("/requests/{index}"));
        let whole = received.filter(|received| received.complete && !vector.text.is_empty());
        let whole = whole.and_then(|received| read(&received.body));
        let wrong = fault(vector, whole.as_deref());
        faults.extend(wrong.map(|wrong| format!("at the upstream, {}: {wrong}", vector.name)));
    }
    drop(desk);
    assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
    assert!(accepted >= 90 && refused >= 180, "{accepted} {refused}");
    gateway.assert_filters_alive();
}
