//! Values that are made of a real exchange: over TLS, behind auth.

use std::time::{SystemTime, UNIX_EPOCH};

use envoy_harness::{Bootstrap, Gateway, Request};
use serde_json::{Value, json};

use super::Ending;

const AUTH: &str = "gatehouse.auth";
const TRANSFORM: &str = "gatehouse.transform";

/// auth and transform of the chain, and of the others only Envoy's own.
fn bootstrap(rule: Value) -> Bootstrap {
    let mut bootstrap = Bootstrap::chain();
    bootstrap.http_filters_mut().retain(|filter| {
        let name = filter["name"].as_str().unwrap_or_default();
        !name.starts_with("gatehouse.") || [AUTH, TRANSFORM].contains(&name)
    });
    bootstrap.edit_filter_config(AUTH, |config| {
        config["jwt"]["selected_claims"] = json!({ "tier": ["tier"] });
    });
    let mut rule = rule;
    rule["name"] = "orders".into();
    rule["match"] = json!({ "path": { "template": "/orders/{id}" } });
    bootstrap.set_filter_config(TRANSFORM, json!({ "version": 1, "rules": [rule] }));
    bootstrap
}

fn get(gateway: &Gateway, path: &str, tier: &str, groups: &[&str]) -> Request {
    let token = gateway
        .token("alice")
        .scope("orders:read orders:write")
        .groups(groups);
    Request::get(path).bearer(token.claim("tier", tier).sign())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}

// What the caller is, and what the connection is, as only the host and auth can say.
#[test]
fn values_are_those_of_the_exchange() {
    let Some(gateway) = Gateway::start(&bootstrap(json!({
        "request": { "headers": [
            { "set": "x-who", "value": "${identity:subject}/${claim:tier|default:none}/${identity:groups}" },
            { "set": "x-id", "value": "${path_parameter:id}" },
            { "set": "x-tls", "value": "${tls:version}" },
            { "set": "x-from", "value": "${address}" },
            { "set": "x-at", "value": "${time:unix}" },
            { "set": "x-copy", "value": "${header:x-a}" },
            { "set": "x-a", "value": "after" },
        ] },
        "response": { "headers": [
            { "set": "x-seen", "value": "${status} for ${identity:subject} by ${tls:version}, ${header:x-a}" },
        ] },
    }))) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let before = now();
        let request = get(&gateway, "/orders/7?x=1", "gold", &["staff", "a,b"])
            .header("x-who", "mallory")
            .header("x-a", "before ${identity:subject}");
        let response = client.send(&request);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(
            response.header("x-seen"),
            Some("200 for alice by TLSv1.3, before ${identity:subject}")
        );
        let echo = response.echo();
        assert_eq!(echo.header("x-who"), ["alice/gold/staff,a%2Cb"]);
        assert_eq!(echo.header("x-id"), ["7"]);
        assert_eq!(echo.header("x-tls"), ["TLSv1.3"]);
        assert_eq!(echo.header("x-from"), ["127.0.0.1"]);
        assert_eq!(echo.header("x-copy"), ["before ${identity:subject}"]);
        assert_eq!(echo.header("x-a"), ["after"]);
        let at: u64 = echo.header("x-at")[0].parse().expect("seconds");
        assert!((before..=now()).contains(&at), "{at}");
    }
    gateway.assert_filters_alive();
}

// A claim, a query or a header with more in it than a value must not become a header, nor make one disappear.
#[test]
fn what_cannot_be_a_value_ends_the_exchange() {
    let Some(gateway) = Gateway::start(&bootstrap(json!({
        "request": { "headers": [
            { "set": "x-tier", "value": "${claim:tier}" },
            { "set": "x-q", "value": "${query:q}" },
            { "set": "x-copy", "value": "${header:x-a}" },
        ] },
        "response": { "headers": [{ "set": "x-twice", "value": "${header:x-a}${header:x-a}" }] },
    }))) else {
        return;
    };
    let long = vec![b'a'; 40 * 1024];
    for client in [gateway.h1(), gateway.h2()] {
        let plain = |path: &str, tier: &str| get(&gateway, path, tier, &[]);
        for (request, status) in [
            (plain("/orders/7", "gold\r\nx-admin: 1"), 400),
            (plain("/orders/7", "gold\nx-admin: 1"), 400),
            (plain("/orders/7", "a\u{0}b"), 400),
            (plain("/orders/7?q=a%0d%0ax-admin:%201", "gold"), 400),
            (plain("/orders/7?q=%01", "gold"), 400),
            (plain("/orders/7?q=%7f", "gold"), 400),
            (plain("/orders/7", "gold").header("x-a", &long), 400),
            (plain("/orders/7", "gold").header("x-a", &long[..8193]), 400),
            // The request is fine, and its answer would be too long.
            (plain("/orders/7", "gold").header("x-a", &long[..5000]), 502),
        ] {
            let response = client.send(&request);
            assert_eq!(response.status, status, "{}", request.path);
            assert_eq!(response.header("x-replica"), None);
            assert_eq!(response.header("x-admin"), None);
            assert_eq!(
                response.header("content-type"),
                Some("application/problem+json")
            );
        }
        let bytes = plain("/orders/7?q=%C3%A9", "gold").header("x-a", b"a\xffb");
        let response = client.send(&bytes);
        assert_eq!(response.status, 200);
        assert_eq!(response.echo().header("x-tier"), ["gold"]);
    }
    let counter = |name: &str| {
        let name = format!("wasmcustom.gatehouse.transform.{name}");
        gateway.envoy().counter(&name)
    };
    assert_eq!(counter("invalid_request_value"), 16);
    assert_eq!(counter("invalid_response_value"), 2);
    gateway.assert_filters_alive();
}

// "Only support sees it", in one rule; and a body for which nothing is to be done is not touched.
#[test]
fn a_mask_is_for_those_who_may_not_see() {
    let Some(gateway) = Gateway::start(&bootstrap(json!({
        "response": { "body": [
            { "mask": "/path", "with": "hidden from ${identity:subject}", "unless": { "groups": ["support"] } },
            { "set": "/tier", "value": { "of": "${claim:tier}" }, "when": { "status": ["2xx"] }, "unless": { "groups": ["support"] } },
        ] },
    }))) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        let send = |groups: &[&str], path: &str| {
            client.send(&get(&gateway, path, "a\",\"admin\":\"yes", groups))
        };
        let hidden = send(&["staff"], "/orders/7");
        assert_eq!(hidden.json()["path"], "hidden from alice");
        assert_eq!(
            hidden.json()["tier"],
            json!({ "of": "a\",\"admin\":\"yes" })
        );
        assert_eq!(hidden.json().get("admin"), None);
        assert_eq!(hidden.header("content-length"), None);
        let seen = send(&["support"], "/orders/7");
        assert_eq!(seen.json()["path"], "/orders/7");
        assert_eq!(seen.json().get("tier"), None);
        assert_eq!(send(&[], "/orders/8").json()["path"], "hidden from alice");
    }
    gateway.assert_filters_alive();
}

// A text that is made at the end of a body, however that ends, is in it whole.
#[test]
fn values_are_in_a_body_however_it_ends() {
    let Some(gateway) = Gateway::start(&bootstrap(json!({
        "request": { "body": [
            { "set": "/by", "value": "${identity:subject}" },
            { "set": "/of", "value": { "tier": ["${claim:tier}", "${path_parameter:id}"] } },
            { "mask": "/card", "with": "${identity:subject|upper}", "keep_last": 4 },
        ] },
        "response": { "body": [
            { "set": "/path", "value": "${method} ${status}" },
            { "add": "/at_the_end", "value": "${header:x-a}" },
        ] },
    }))) else {
        return;
    };
    for client in [gateway.h1(), gateway.h2()] {
        for ending in Ending::ALL {
            let mut post = get(&gateway, "/orders/7", "a\"b", &["staff"])
                .header("content-type", "application/json")
                .header("x-a", "x".repeat(3000))
                .body(r#"{"card":"4111111111111111","by":"mallory"}"#);
            post.method = "POST".into();
            let response = client.send(&ending.of(post));
            assert_eq!(response.status, 200, "{ending:?}: {}", response.text());
            let answered = response.json();
            assert_eq!(answered["path"], "POST 200", "{ending:?}");
            assert_eq!(answered["at_the_end"], "x".repeat(3000), "{ending:?}");
            assert_eq!(
                response.echo().body,
                r#"{"card":"ALICE1111","by":"alice","of":{"tier":["a\"b","7"]}}"#,
                "{ending:?}"
            );
        }
    }
    gateway.assert_filters_alive();
}

/// What would do something if it were read once more: by this filter's templates, by Envoy's formats, by C's, by a pattern.
const LOOKS_LIKE_MORE: [&str; 12] = [
    "${identity:subject}",
    "${${header:x-b}}",
    "$${path}",
    "${header:x-b|default:${path}}",
    "${claim:tier}}|upper",
    "\\${path\\}",
    "%s%n%x%p%1$s",
    "%REQ(authorization)%",
    "%DOWNSTREAM_REMOTE_ADDRESS% %PROTOCOL% %%",
    "\\1 \\0 $1 $&",
    "{{7*7}} #{7*7} <%= 7*7 %>",
    "\",\"admin\":true,\"x\":\"",
];

// Whoever can have his own text read as a template reads what he may not: another's claims, credentials, the configuration.
#[test]
fn row_36_what_a_user_says_is_never_a_template() {
    const ALL: &str = "<${header:x-a}|${query:q}|${claim:tier}>";
    let rule = json!({
        "request": {
            "headers": [{ "set": "x-all", "value": ALL }],
            "query": [{ "set": "copy", "value": "${header:x-a}" }],
            "body": [
                { "set": "/all", "value": ALL },
                { "mask": "/card", "with": "${header:x-a}" },
            ],
        },
        "response": {
            "headers": [{ "set": "x-seen", "value": ALL }],
            "body": [{ "set": "/seen", "value": [ALL] }],
        },
    });
    for formats_replies in [false, true] {
        let mut bootstrap = bootstrap(rule.clone());
        if formats_replies {
            // Envoy writes our replies into another text of its own.
            bootstrap.connection_manager_mut()["local_reply_config"] = json!({
                "body_format": { "json_format": { "reply": "%LOCAL_REPLY_BODY%", "status": "%RESPONSE_CODE%" } },
            });
        }
        let Some(gateway) = Gateway::start(&bootstrap) else {
            return;
        };
        for client in [gateway.h1(), gateway.h2()] {
            for text in LOOKS_LIKE_MORE {
                let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
                let path = format!("/orders/7?q={encoded}");
                let mut post = get(&gateway, &path, text, &["staff"])
                    .header("x-a", text)
                    .header("x-b", "path")
                    .header("content-type", "application/json");
                post.method = "POST".into();
                let response = client.send(&post.clone().body(r#"{"card":1}"#));
                assert_eq!(response.status, 200, "{text}: {}", response.text());
                let all = format!("<{text}|{text}|{text}>");
                assert_eq!(response.header("x-seen"), Some(all.as_str()));
                assert_eq!(response.json()["seen"], json!([all]), "{text}");
                let echo = response.echo();
                assert_eq!(echo.header("x-all"), [all.as_str()]);
                let sent: Value = serde_json::from_str(&echo.body).expect("JSON");
                assert_eq!(sent, json!({ "card": text, "all": all }), "{text}");
                let (_, copy) = echo.path.split_once("&copy=").expect("it is set");
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
                assert!(copy.bytes().all(is_plain), "{copy}");
                assert_eq!(percent_decoded(copy), text);

                // The name of a member that is refused is in the reply.
                let name = serde_json::to_string(text).expect("a string");
                let twice = format!("{{{name}:1,{name}:2}}");
                let refused = client.send(&post.body(twice));
                assert_eq!(refused.status, 400, "{text}: {}", refused.text());
                let problem = if formats_replies {
                    let told = refused.json();
                    serde_json::from_str(told["reply"].as_str().expect("a text")).expect("JSON")
                } else {
                    refused.json()
                };
                let pointer = format!("/{}", text.replace('~', "~0").replace('/', "~1"));
                assert_eq!(problem["pointer"], pointer);
                assert_eq!(problem["title"], "Bad Request");
            }
        }
        gateway.assert_filters_alive();
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = String::from_utf8_lossy(&[*high, *low]).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).expect("two digits"));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
