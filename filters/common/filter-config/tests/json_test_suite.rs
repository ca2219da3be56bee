//! nst/JSONTestSuite, a public collection of texts that JSON parsers disagree on.
//!
//! `GATEHOUSE_VECTORS` names a folder with `jsontestsuite/jsontestsuite.json`: a list of `{name, expect, b64}`, each a
//! file of the suite in base64, with `expect` one of `accept`, `reject`, `either`, `transform`.
#![allow(clippy::disallowed_methods)] // The vectors are files, and an environment variable says where.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filter_config::strict_json::{self, Limits, StrictJsonError};
use serde::Deserialize;
use serde_json::Value;

const LIMITS: Limits = Limits {
    max_depth: 64,
    max_bytes: 1 << 20,
};

#[derive(Deserialize)]
struct Vector {
    name: String,
    expect: String,
    b64: String,
}

// What is refused here and read there, or the other way round, is where attacks on tokens and configurations begin.
#[test]
fn agrees_with_the_json_test_suite() {
    let Ok(folder) = std::env::var("GATEHOUSE_VECTORS") else {
        let required = std::env::var("GATEHOUSE_REQUIRE_ALL").is_ok_and(|value| value == "1");
        assert!(!required, "GATEHOUSE_VECTORS is not set");
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a test");
        let line = format!("SKIPPED {name}: GATEHOUSE_VECTORS is not set\n");
        // Past the test runner's capture, which would keep it to itself.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        return;
    };
    let file = std::path::Path::new(&folder).join("jsontestsuite/jsontestsuite.json");
    let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for Vector { name, expect, b64 } in vectors {
        let text = STANDARD.decode(b64).unwrap();
        let read = strict_json::from_slice(&text, LIMITS);
        match (expect.as_str(), &read) {
            // RFC 8259 leaves duplicates open; this project refuses them.
            ("accept", Err(StrictJsonError::Duplicate { .. })) => {
                assert!(name.contains("duplicated_key"), "{name}")
            }
            ("accept", _) => {
                assert_eq!(
                    read.ok(),
                    serde_json::from_slice::<Value>(&text).ok(),
                    "{name}"
                );
                accepted += 1;
            }
            ("reject", _) => {
                assert!(read.is_err(), "{name}");
                refused += 1;
            }
            // Any answer will do, as long as there is one.
            _ => {}
        }
        let _ = filter_config::parse::<Value>(&text);
    }
    assert!(
        accepted >= 90 && refused >= 180,
        "the suite is incomplete: {accepted} accepted, {refused} refused"
    );
}
