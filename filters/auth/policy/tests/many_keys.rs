//! Ten thousand API keys: what they take. How long they take, and in what VM, is for a real Envoy to show (`tests/envoy`).

use std::fmt::Write as _;

use auth_policy::Policy;

/// A configuration with so many keys, as an operator's tool would write it.
fn config(count: u32) -> String {
    let mut keys = String::new();
    for number in 0..count {
        let _ = write!(
            keys,
            r#"{}{{"id":"key-{number}","sha256":"{:064x}","consumer":"consumer-{number}","plan":"gold","groups":["partners"]}}"#,
            if number == 0 { "" } else { "," },
            // Spread over the hashes.
            u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1,
        );
    }
    format!(
        r#"{{"version":1,"api_keys":{{"sources":[{{"header":"x-api-key"}}],"keys":[{keys}]}},
            "rules":[{{"name":"all","any":[{{"credential":"api_key"}}]}}]}}"#
    )
}

// A VM never gives memory back: what reading takes at its worst is what every worker pays for good.
#[test]
fn ten_thousand_keys_are_read_in_little_memory() {
    let text = config(10_000);
    let mut policy = None;
    let reading = allocation_counter::measure(|| policy = Policy::from_bytes(text.as_bytes()).ok());
    let policy = policy.expect("a good configuration");
    drop(policy.token_cache([0; 4]));
    let (peak, kept) = (reading.bytes_max, reading.bytes_current);
    eprintln!("peak {peak}, kept {kept}");
    assert!(peak < 3 << 20, "{peak} bytes at the worst");
    assert!(kept < 2 << 20, "{kept} bytes kept");
}
