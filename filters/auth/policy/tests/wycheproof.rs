//! Project Wycheproof's vectors for JSON Web Signature and JSON Web Key.
//!
//! Their payloads are no claims, so the path of the signature alone is driven: key set, compact form, one check. A case
//! that Wycheproof calls valid and that is refused here is listed with its reason; so nothing is refused unawares.

#![allow(
    clippy::disallowed_methods,
    reason = "reads the vectors from where the environment says they are"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use auth_policy::jws::CompactJws;
use auth_policy::key_set::KeySet;
use auth_policy::{Algorithm, SignatureCheck};
use filter_config::FieldPath;
use serde_json::{Value, json};

// Why a valid case is refused.
const OTHER_ALGORITHM_NAMED: &str =
    "the key names another algorithm than the token, or one that does not exist";
const NOT_CANONICAL: &str = "base64url with characters that do not belong to it";

/// Whether a signature was accepted.
fn accepts(keys: &Value, token: &str) -> bool {
    let Ok(keys) = KeySet::from_jwks(keys, &FieldPath::root()) else {
        return false;
    };
    let Ok(jws) = CompactJws::parse(token.as_bytes()) else {
        return false;
    };
    let Some(algorithm) = Algorithm::from_name(&jws.header().algorithm) else {
        return false;
    };
    let jws = Rc::new(jws);
    let key_id = jws.header().key_id.as_deref();
    keys.candidates(algorithm, key_id)
        .filter_map(|key| SignatureCheck::new(&jws, key))
        .any(|check| check.verify())
}

/// Runs a file; `refused` are its valid cases that are refused here, `unfaulted` its invalid ones that are valid ones.
fn run(file: &str, count: usize, refused: &BTreeMap<u64, &str>, unfaulted: &[u64]) {
    let Some(folder) = std::env::var_os("GATEHOUSE_VECTORS") else {
        let required = std::env::var_os("GATEHOUSE_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!required, "GATEHOUSE_VECTORS is not set");
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a test");
        let line = format!("SKIPPED {name}: GATEHOUSE_VECTORS is not set\n");
        // Past the test runner's capture, which would keep it to itself.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        return;
    };
    let path = Path::new(&folder).join("wycheproof").join(file);
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut seen = 0;
    let mut same = Vec::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = group
            .get("public")
            .or_else(|| group.get("private"))
            .unwrap();
        let keys = match key.get("keys") {
            Some(_) => key.clone(),
            None => json!({ "keys": [key] }),
        };
        let tests = group["tests"].as_array().unwrap();
        for test in tests {
            seen += 1;
            let id = test["tcId"].as_u64().unwrap();
            let accepted = accepts(&keys, test["jws"].as_str().unwrap());
            // An invalid case that is byte for byte a valid one of its group lost its fault when the file was made.
            let is_same = |other: &Value| other["result"] == "valid" && other["jws"] == test["jws"];
            if test["result"] == "invalid" && tests.iter().any(is_same) {
                same.push(id);
                continue;
            }
            let valid = test["result"] == "valid";
            let expected = valid && !refused.contains_key(&id);
            assert_eq!(
                accepted,
                expected,
                "{file} {id}: {} ({:?})",
                test["comment"],
                refused.get(&id)
            );
            assert!(
                valid || !refused.contains_key(&id),
                "{file} {id} is listed although it is invalid"
            );
        }
    }
    assert_eq!(seen, count, "the file changed");
    assert_eq!(same, unfaulted, "the file changed");
}

fn listed(cases: &[(&'static str, &[u64])]) -> BTreeMap<u64, &'static str> {
    cases
        .iter()
        .flat_map(|(reason, ids)| ids.iter().map(|id| (*id, *reason)))
        .collect()
}

#[test]
fn signatures() {
    let refused = listed(&[
        // PS384 under a key for PS256; ES512 under a key for "ES521".
        (OTHER_ALGORITHM_NAMED, &[346, 350, 347, 351]),
        (NOT_CANONICAL, &[372, 373]),
    ]);
    run("json_web_signature_test.json", 401, &refused, &[367, 370]);
}

#[test]
fn keys() {
    run("json_web_key_test.json", 26, &BTreeMap::new(), &[]);
}
