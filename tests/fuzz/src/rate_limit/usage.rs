//! Any body of a response, cut anywhere: what its request has cost by it.
//!
//! An input is a byte that says whether it is a document or an event stream, one that says where to cut, and the body.

use http_message::{HeaderMap, RequestHead};
use rate_limit_policy::{Facts, Policy, Settled, Settlement, Step};
use serde_json::Value;
use shared_table::HashKey;

/// What is taken in advance, and the most that a body is believed.
const TAKEN: u64 = 10;
const MAX: u64 = 500;

/// # Panics
/// The body says another thing when it is cut otherwise, or another than a reader of the whole document finds.
pub fn run(input: &[u8]) {
    let [kind, cut, body @ ..] = input else {
        return;
    };
    let is_document = kind % 2 == 0;
    let whole = settle(is_document, body, body.len());
    let cut = settle(is_document, body, usize::from(*cut));
    assert_eq!(cut, whole, "it depends on the cuts");
    if is_document
        && let Ok(document) = serde_json::from_slice::<Value>(body)
        && !may_be_read_in_two_ways(body)
    {
        let told = document.pointer("/usage/total_tokens");
        let number = told.and_then(Value::as_f64);
        let cost = number.filter(|number| *number >= 0.0);
        let cost = cost.map(|number| (number.ceil() as u64).min(MAX));
        let expected = match cost {
            None => Settlement::Untold,
            Some(TAKEN) => Settlement::Even,
            Some(less @ 0..TAKEN) => Settlement::GiveBack(TAKEN - less),
            Some(more) => Settlement::Charge(more - TAKEN),
        };
        assert_eq!(whole, expected);
    }
}

/// Whether a name may occur twice, of which a tree keeps one, a number is longer than is read, or there are more levels than are.
fn may_be_read_in_two_ways(body: &[u8]) -> bool {
    let count = |text: &[u8]| {
        body.windows(text.len())
            .filter(|part| *part == text)
            .count()
    };
    let levels = body
        .iter()
        .filter(|byte| matches!(byte, b'{' | b'['))
        .count();
    let digits = body.split(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let longest = digits.map(<[u8]>::len).max().unwrap_or(0);
    count(b"usage") > 1
        || count(b"total_tokens") > 1
        || body.contains(&b'\\')
        || levels > 64
        || longest > 60
}

fn settle(is_document: bool, body: &[u8], size: usize) -> Settlement {
    let config = format!(
        r#"{{ "version": 1, "limits": [{{ "name": "a", "key": "method", "rate": "1000/s", "cost": {TAKEN},
            "actual_cost": {{ "json": "/usage/total_tokens", "max": {MAX} }} }}] }}"#
    );
    let policy = Policy::from_bytes(config.as_bytes()).expect("a good configuration");
    let head = RequestHead::new(HeaderMap::from_pairs([(":method", "GET"), (":path", "/")]));
    let instance = policy.instance(HashKey::new([7; HashKey::BYTES]), b"fuzz");
    let Step::Draw(draws) = policy.decide(&head, &Facts::default(), &instance).step else {
        panic!("a limit for all")
    };
    let kind = match is_document {
        true => "application/json",
        false => "text/event-stream",
    };
    let response = HeaderMap::from_pairs([(":status", "200"), ("content-type", kind)]);
    let afterwards = draws.first().and_then(|draw| draw.afterwards());
    let settled = afterwards.map(|afterwards| afterwards.settle(TAKEN, Some(&response), true));
    let Some(Settled::AtTheEnd(mut reading)) = settled else {
        panic!("a body that can be read")
    };
    for chunk in body.chunks(size.max(1)) {
        reading.chunk(chunk);
    }
    reading.end()
}

/// Documents and event streams as they are seen.
pub fn seeds() -> Vec<Vec<u8>> {
    let usage = r#"{"id":"a","choices":[{"text":"\"usage\""}],"usage":{"prompt_tokens":9,"total_tokens":1.4e1}}"#;
    let events =
        format!("event: a\ndata: {{\"usage\":null}}\n\ndata: {usage}\r\n\r\n: x\ndata: [DONE]\n\n");
    let documents = [
        usage,
        r#"{"usage":{"total_tokens":12}}"#,
        r#"{"usage":{"total_tokens":-0}}"#,
        "[]",
        "{",
    ];
    let documents = documents.map(|text| [&[0, 3], text.as_bytes()].concat());
    let events = [&[1, 5], events.as_bytes()].concat();
    documents.into_iter().chain([events]).collect()
}
