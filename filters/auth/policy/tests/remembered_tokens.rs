//! What the tokens that a worker remembers take, and the callers of API keys.

mod support;

use auth_policy::{Evidence, Facts, Policy, Step, TokenCache};
use http_message::RequestHead;
use serde_json::{Value, json};
use support::{NOW, config, policy, request, secret_token, sha256, summary};

/// A request whose token lists as many short texts as are read.
fn head(number: usize) -> RequestHead {
    let texts =
        |kind: char| -> Vec<String> { (0..256).map(|n| format!("{kind}{n:02x}")).collect() };
    let token = secret_token(json!({
        "sub": format!("user-{number}"), "groups": texts('g'), "scope": null, "scp": texts('s'),
    }));
    request("/tokens", &[("authorization", &format!("Bearer {token}"))])
}

fn pass(policy: &Policy, head: &RequestHead, tokens: &mut TokenCache) {
    let mut evidence = Evidence::new();
    loop {
        match policy.decide(head, &Facts::default(), &evidence, tokens, NOW) {
            Step::Verify(check) => {
                let holds = check.verify();
                evidence.add(check, holds);
            }
            Step::Forward(forward) => {
                // As the adapter does: made once, and kept with the token.
                forward.caller.record(&forward.original).unwrap();
                forward.caller.display();
                return;
            }
            step => panic!("refused: {}", summary(&step)),
        }
    }
}

// The bound is on memory, which a VM never gives back: a list of short texts takes several times what its texts do.
#[test]
fn remembered_tokens_take_no_more_than_is_counted() {
    let policy = policy(&config());
    let mut tokens = policy.token_cache([1, 2, 3, 4]);
    let heads: Vec<RequestHead> = (0..50).map(head).collect();
    let reading = allocation_counter::measure(|| {
        for head in &heads {
            pass(&policy, head, &mut tokens);
        }
    });
    let kept = usize::try_from(reading.bytes_current).unwrap();
    assert_eq!(tokens.len(), heads.len());
    assert!(
        kept <= tokens.bytes(),
        "{kept} bytes kept, {} counted",
        tokens.bytes()
    );
    assert!(
        kept > tokens.bytes() / 4,
        "{kept} bytes kept, {} counted",
        tokens.bytes()
    );
}

// The callers of API keys are kept too, without being counted: only so many, and none that is large.
#[test]
fn kept_callers_of_keys_are_bounded() {
    let key = |number: usize| format!("key-{number}");
    for length in [2, 100] {
        let texts: Vec<String> = (0..32).map(|n| format!("{n:0length$}")).collect();
        let keys: Vec<Value> = (0..300)
            .map(|number| {
                json!({ "id": format!("k{number}"), "sha256": sha256(&key(number)),
                        "groups": texts, "scopes": texts })
            })
            .collect();
        let mut config = config();
        config["api_keys"]["keys"] = json!(keys);
        let policy = policy(&config);
        let mut tokens = policy.token_cache([1, 2, 3, 4]);
        let heads = (0..300).map(|number| request("/orders", &[("x-api-key", &key(number))]));
        let heads: Vec<RequestHead> = heads.collect();
        let reading = allocation_counter::measure(|| {
            for head in &heads {
                pass(&policy, head, &mut tokens);
            }
        });
        let kept = reading.bytes_current;
        assert!(kept < 3 << 19, "{kept} bytes kept");
    }
}
