//! Tokens through Envoy's own `jwt_authn` and through auth, in one Envoy: who reads the same standards should come to the same
//! verdict. Each difference is listed here with its reason, and a difference that has gone is a failure too.
//!
//! One listener: `/native` is protected by `jwt_authn` alone, `/ours` by auth alone.

mod signer;

use std::time::{SystemTime, UNIX_EPOCH};

use envoy_harness::{Bootstrap, Client, Gateway, Options, Request};
use serde_json::{Value, json};
use signer::{ALGORITHMS, ISSUER, SECRET_ISSUER, SIGNER, encode, is_secret};

const PLUGIN: &str = "gatehouse.auth";

/// The most time from `iat` to `exp`, in both.
const MAX_LIFETIME: u64 = 3600;

/// What is done to a good token.
enum Change {
    Header(fn(&mut Value)),
    Claims(fn(&mut Value, u64)),
    /// The header as it is written, of the header that it would be.
    HeaderText(fn(&Value) -> String),
    ClaimsText(fn(&Value) -> String),
    Signature(fn(&mut Vec<u8>)),
    /// The token as it is sent.
    Token(fn(String) -> String),
}

use Change::{Claims, ClaimsText, Header, HeaderText, Signature, Token};

/// What each algorithm's token is changed by.
const CHANGES: &[(&str, Change)] = &[
    ("nothing", Header(|_| {})),
    ("no kid", Header(|header| remove(header, "kid"))),
    (
        "an unknown kid",
        Header(|header| header["kid"] = json!("other")),
    ),
    (
        "a kid that is a number",
        Header(|header| header["kid"] = json!(7)),
    ),
    ("no typ", Header(|header| remove(header, "typ"))),
    ("typ jwt", Header(|header| header["typ"] = json!("jwt"))),
    (
        "typ at+jwt",
        Header(|header| header["typ"] = json!("at+jwt")),
    ),
    (
        "typ of a logout token",
        Header(|header| header["typ"] = json!("logout+jwt")),
    ),
    ("cty JWT", Header(|header| header["cty"] = json!("JWT"))),
    ("crit", Header(|header| header["crit"] = json!(["exp"]))),
    ("b64 false", Header(|header| header["b64"] = json!(false))),
    ("zip", Header(|header| header["zip"] = json!("DEF"))),
    (
        "jku",
        Header(|header| header["jku"] = json!("https://evil.test/keys")),
    ),
    ("alg none", Header(|header| header["alg"] = json!("none"))),
    ("no alg", Header(|header| remove(header, "alg"))),
    (
        "alg in lower case",
        Header(|header| {
            header["alg"] = json!(header["alg"].as_str().unwrap_or_default().to_lowercase());
        }),
    ),
    (
        "another algorithm of the type",
        Header(|header| {
            header["alg"] = json!(sibling(header["alg"].as_str().unwrap_or_default()));
        }),
    ),
    (
        "another algorithm and its kid",
        Header(|header| {
            let other = sibling(header["alg"].as_str().unwrap_or_default());
            header["alg"] = json!(other);
            header["kid"] = json!(other);
        }),
    ),
    (
        "alg twice",
        HeaderText(|header| header.to_string().replacen('{', r#"{"alg":"none","#, 1)),
    ),
    (
        "a header that is a list",
        HeaderText(|header| format!("[{header}]")),
    ),
    (
        "a header with something behind it",
        HeaderText(|header| format!("{header} x")),
    ),
    ("a header that is empty", HeaderText(|_| String::new())),
    ("no iss", Claims(|claims, _| remove(claims, "iss"))),
    (
        "iss with a slash",
        Claims(|claims, _| {
            claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap_or_default()));
        }),
    ),
    (
        "iss of another",
        Claims(|claims, _| claims["iss"] = json!("https://other.test")),
    ),
    (
        "iss of the other provider",
        Claims(|claims, _| {
            let other = [ISSUER, SECRET_ISSUER]
                .into_iter()
                .find(|name| claims["iss"] != *name);
            claims["iss"] = json!(other);
        }),
    ),
    (
        "iss that is a list",
        Claims(|claims, _| claims["iss"] = json!([claims["iss"]])),
    ),
    (
        "aud a list with ours",
        Claims(|claims, _| claims["aud"] = json!(["web", "api"])),
    ),
    (
        "aud a list without ours",
        Claims(|claims, _| claims["aud"] = json!(["web"])),
    ),
    (
        "aud an empty list",
        Claims(|claims, _| claims["aud"] = json!([])),
    ),
    (
        "aud in upper case",
        Claims(|claims, _| claims["aud"] = json!("API")),
    ),
    (
        "aud as an address",
        Claims(|claims, _| claims["aud"] = json!("https://api/")),
    ),
    ("aud a number", Claims(|claims, _| claims["aud"] = json!(7))),
    (
        "aud a list with a number",
        Claims(|claims, _| claims["aud"] = json!(["api", 7])),
    ),
    ("no aud", Claims(|claims, _| remove(claims, "aud"))),
    (
        "exp within the skew",
        Claims(|claims, now| claims["exp"] = json!(now - 30)),
    ),
    (
        "exp past the skew",
        Claims(|claims, now| claims["exp"] = json!(now - 90)),
    ),
    ("no exp", Claims(|claims, _| remove(claims, "exp"))),
    (
        "exp a text",
        Claims(|claims, now| claims["exp"] = json!((now + 600).to_string())),
    ),
    ("exp null", Claims(|claims, _| claims["exp"] = json!(null))),
    (
        "exp with a fraction",
        Claims(|claims, now| claims["exp"] = json!(now as f64 + 600.5)),
    ),
    (
        "exp negative",
        Claims(|claims, _| claims["exp"] = json!(-1)),
    ),
    (
        "exp past 2^63",
        Claims(|claims, _| claims["exp"] = json!(1e19)),
    ),
    (
        "nbf within the skew",
        Claims(|claims, now| claims["nbf"] = json!(now + 30)),
    ),
    (
        "nbf past the skew",
        Claims(|claims, now| claims["nbf"] = json!(now + 90)),
    ),
    (
        "nbf a text",
        Claims(|claims, now| claims["nbf"] = json!(now.to_string())),
    ),
    (
        "nbf negative",
        Claims(|claims, _| claims["nbf"] = json!(-1)),
    ),
    (
        "nbf at exp",
        Claims(|claims, now| {
            claims["nbf"] = json!(now - 30);
            claims["exp"] = json!(now - 30);
        }),
    ),
    (
        "iat within the skew",
        Claims(|claims, now| claims["iat"] = json!(now + 30)),
    ),
    (
        "iat past the skew",
        Claims(|claims, now| claims["iat"] = json!(now + 90)),
    ),
    (
        "iat a text",
        Claims(|claims, now| claims["iat"] = json!(now.to_string())),
    ),
    ("no iat", Claims(|claims, _| remove(claims, "iat"))),
    (
        "a lifetime over the bound",
        Claims(|claims, now| {
            claims["exp"] = json!(now + MAX_LIFETIME + 600);
        }),
    ),
    ("no sub", Claims(|claims, _| remove(claims, "sub"))),
    ("sub a number", Claims(|claims, _| claims["sub"] = json!(7))),
    ("sub empty", Claims(|claims, _| claims["sub"] = json!(""))),
    ("jti a number", Claims(|claims, _| claims["jti"] = json!(7))),
    (
        "scope a number",
        Claims(|claims, _| claims["scope"] = json!(7)),
    ),
    (
        "sub twice",
        ClaimsText(|claims| claims.to_string().replacen('{', r#"{"sub":"bob","#, 1)),
    ),
    (
        "claims that are a list",
        ClaimsText(|claims| format!("[{claims}]")),
    ),
    (
        "claims with something behind them",
        ClaimsText(|claims| format!("{claims} x")),
    ),
    (
        "claims with spaces around",
        ClaimsText(|claims| format!(" \n{claims}\t")),
    ),
    (
        "claims behind a byte order mark",
        ClaimsText(|claims| format!("\u{feff}{claims}")),
    ),
    (
        "claims 40 levels deep",
        ClaimsText(|claims| {
            let deep = format!("{{\"x\":{}{},", "[".repeat(40), "]".repeat(40));
            claims.to_string().replacen('{', &deep, 1)
        }),
    ),
    ("a bit of the signature", Signature(|bytes| bytes[0] ^= 1)),
    (
        "the last bit of the signature",
        Signature(|bytes| {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        }),
    ),
    (
        "a signature without its last byte",
        Signature(|bytes| bytes.truncate(bytes.len() - 1)),
    ),
    (
        "a signature with one byte more",
        Signature(|bytes| bytes.push(0)),
    ),
    ("a signature of zeros", Signature(|bytes| bytes.fill(0))),
    ("no signature", Signature(Vec::clear)),
    ("a padded signature", Token(|token| token + "=")),
    (
        "another alphabet",
        Token(|token| {
            let (input, signature) = token.rsplit_once('.').unwrap_or_default();
            format!("{input}.{}", signature.replace('-', "+").replace('_', "/"))
        }),
    ),
    ("a fourth part", Token(|token| token + ".e30")),
    (
        "the form of an encrypted token",
        Token(|token| token + ".e30.e30"),
    ),
    (
        "two parts",
        Token(|token| {
            token
                .rsplit_once('.')
                .map(|(input, _)| input.to_owned())
                .unwrap_or_default()
        }),
    ),
];

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}

/// Another algorithm, of the same keys where there is one.
fn sibling(algorithm: &str) -> &'static str {
    match algorithm {
        "HS256" => "HS384",
        "HS384" => "HS512",
        "HS512" => "HS256",
        "RS256" => "PS256",
        "RS384" => "PS384",
        "RS512" => "PS512",
        "PS256" => "RS256",
        "PS384" => "RS384",
        "PS512" => "RS512",
        "ES256" => "ES256K",
        "ES256K" => "ES256",
        "ES384" => "ES512",
        "ES512" => "ES384",
        _ => "HS256",
    }
}

/// Both filters in one chain, each with the whole key sets, the same audiences, issuers and bounds.
fn bootstrap() -> Bootstrap {
    let sets = [
        ("main", ISSUER, SIGNER.key_set()),
        ("secret", SECRET_ISSUER, SIGNER.secret_set()),
    ];
    let mut bootstrap = Bootstrap::file("envoy/single/auth.yaml");
    let ours = sets.iter().map(|(name, issuer, set)| {
        json!({ "name": name, "issuer": issuer, "audiences": ["api"], "clock_skew": "60s", "max_lifetime": format!("{MAX_LIFETIME}s"), "jwks": set })
    });
    bootstrap.set_filter_config(
        PLUGIN,
        json!({
            "version": 1,
            "api_keys": { "sources": [{ "header": "x-api-key" }], "keys": [{ "id": "beside-1", "sha256": "0".repeat(64) }] },
            "jwt": {
                "sources": [
                    { "header": "authorization", "prefix": "Bearer " },
                    { "header": "x-token", "prefix": "Token " },
                    { "query": "access_token" },
                    { "cookie": "session" },
                ],
                "providers": ours.collect::<Vec<_>>(),
            },
            "rules": [
                { "name": "ours", "match": { "path": { "prefix": "/ours" } }, "any": [{ "credential": "jwt" }] },
                { "name": "native", "allow_anonymous": true, "ignore_invalid": true },
            ],
        }),
    );
    let native = sets.iter().map(|(name, issuer, set)| {
        let provider = json!({
            "issuer": issuer,
            "audiences": ["api"],
            "local_jwks": { "inline_string": set.to_string() },
            "clock_skew_seconds": 60,
            "max_lifetime": format!("{MAX_LIFETIME}s"),
            "require_expiration": true,
            "forward": true,
            "from_headers": [{ "name": "Authorization", "value_prefix": "Bearer " }, { "name": "x-token", "value_prefix": "Token " }],
            "from_params": ["access_token"],
            "from_cookies": ["session"],
        });
        ((*name).to_owned(), provider)
    });
    let any = json!([{ "provider_name": "main" }, { "provider_name": "secret" }]);
    bootstrap.http_filters_mut().insert(
        0,
        json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": native.collect::<serde_json::Map<_, _>>(),
                "rules": [{ "match": { "prefix": "/native" }, "requires": { "requires_any": { "requirements": any } } }],
            },
        }),
    );
    bootstrap
}

fn gateway() -> Option<Gateway> {
    let options = Options {
        counted: false,
        ..Options::default()
    };
    Gateway::start_with(&bootstrap(), &options)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock past 1970").as_secs()
}

/// A token of this algorithm, with this change.
fn token(algorithm: &str, change: &Change) -> String {
    let now = now();
    let issuer = if is_secret(algorithm) {
        SECRET_ISSUER
    } else {
        ISSUER
    };
    let mut header = json!({ "alg": algorithm, "kid": algorithm, "typ": "JWT" });
    let mut claims =
        json!({ "iss": issuer, "aud": "api", "sub": "alice", "iat": now, "exp": now + 600 });
    match change {
        Header(edit) => edit(&mut header),
        Claims(edit) => edit(&mut claims, now),
        _ => {}
    }
    let header = match change {
        HeaderText(write) => write(&header),
        _ => header.to_string(),
    };
    let claims = match change {
        ClaimsText(write) => write(&claims),
        _ => claims.to_string(),
    };
    let input = format!("{}.{}", encode(header), encode(claims));
    let mut signature = SIGNER.sign(algorithm, input.as_bytes());
    if let Signature(edit) = change {
        edit(&mut signature);
    }
    let token = format!("{input}.{}", encode(signature));
    match change {
        Token(edit) => edit(token),
        _ => token,
    }
}

/// Whether a request gets through. Each has a connection of its own, so that all workers answer some.
fn passes(client: &Client, request: &Request) -> bool {
    match client.send(request).status {
        200 => true,
        401 | 403 => false,
        status => panic!("status {status}"),
    }
}

/// A change whose tokens the two judge in two ways.
struct Difference {
    change: &'static str,
    /// Of these algorithms; of all where there are none.
    algorithms: &'static [&'static str],
    /// Whether it is `jwt_authn` that lets it in. If not, it is auth.
    native: bool,
    /// Why auth does it in its way.
    reason: &'static str,
}

impl Difference {
    fn is_of(&self, change: &str, algorithm: &str) -> bool {
        self.change == change
            && (self.algorithms.is_empty() || self.algorithms.contains(&algorithm))
    }
}

/// The one algorithm that `jwt_authn` does not know: it lets no token of it in, and auth judges it as it does ES256.
const UNKNOWN_TO_NATIVE: &str = "ES256K";

const fn laxer(change: &'static str, reason: &'static str) -> Difference {
    Difference {
        change,
        algorithms: &[],
        native: true,
        reason,
    }
}

const DIFFERENCES: &[Difference] = &[
    laxer(
        "typ of a logout token",
        "RFC 8725 section 3.11: one kind of token must not pass for another",
    ),
    laxer(
        "cty JWT",
        "a token in a token: the inner one would be nobody's to check",
    ),
    laxer(
        "crit",
        "RFC 7515 section 4.1.11: who does not know an extension must refuse it",
    ),
    laxer(
        "b64 false",
        "RFC 7797: the payload would be other bytes than those that were read",
    ),
    laxer(
        "zip",
        "no header of a signed token: whoever inflates it reads another payload",
    ),
    laxer(
        "aud as an address",
        "audiences are compared as they are; jwt_authn drops the scheme and the last slash",
    ),
    laxer("exp past 2^63", "past 2^53 a JSON number is not exact"),
    laxer(
        "nbf at exp",
        "there is no time at which it is valid but for the leeway, which is for clocks",
    ),
    laxer(
        "iat past the skew",
        "a token of the future: its issuer's clock, or its issuer, is wrong",
    ),
    laxer(
        "no iat",
        "with max_lifetime: nobody can tell how long it lives",
    ),
    laxer(
        "scope a number",
        "rules read it, so it is of its type or the token is refused",
    ),
    laxer("claims 40 levels deep", "bounded to 32"),
    Difference {
        algorithms: &["HS256"],
        ..laxer(
            "a padded signature",
            "RFC 7515 section 2: base64url has no padding; of the others, one sign is not the right number",
        )
    },
    Difference {
        algorithms: &["ES256", "ES384", "ES512"],
        ..laxer(
            "a signature with one byte more",
            "RFC 7518 section 3.4: two numbers of one length; a second spelling passes a list of revoked tokens",
        )
    },
    Difference {
        native: false,
        ..laxer("jti a number", "nothing here reads it")
    },
];

// Whoever changes from `jwt_authn` to auth has to know which tokens are judged in another way, and that no others are.
#[test]
fn verdicts_are_the_same_but_for_what_is_listed() {
    let Some(gateway) = gateway() else { return };
    let client = gateway.h1();
    let verdicts = |algorithm: &str, change: &Change| {
        let token = token(algorithm, change);
        let at = |path: &str| passes(&client, &Request::get(path).bearer(&token));
        (at("/native/1"), at("/ours/1"))
    };
    let (mut let_in, mut seen, mut wrong) = (0, 0, Vec::new());
    for (name, change) in CHANGES {
        let mut of_es256 = false;
        for algorithm in ALGORITHMS {
            let (native, ours) = verdicts(algorithm, change);
            seen += 1;
            let_in += usize::from(native && ours);
            if algorithm == "ES256" {
                of_es256 = ours;
            }
            let listed = DIFFERENCES
                .iter()
                .find(|known| known.is_of(name, algorithm));
            let is_expected = match listed {
                _ if algorithm == UNKNOWN_TO_NATIVE => !native && ours == of_es256,
                Some(known) => (native, ours) == (known.native, !known.native),
                None => native == ours,
            };
            if !is_expected {
                let reason = listed.map_or("not listed", |known| known.reason);
                wrong.push(format!(
                    "{algorithm}, {name}: native {native}, ours {ours} ({reason})"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {seen}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(seen >= 300 && let_in >= 100, "{let_in} of {seen}");
    println!("{seen} tokens, {let_in} let in by both");
}

// A place that one reads and the other does not lets a token by one of them.
#[test]
fn tokens_are_found_in_the_same_places() {
    let Some(gateway) = gateway() else { return };
    let client = gateway.h1();
    let (one, other) = (token("ES256", &CHANGES[0].1), token("EdDSA", &CHANGES[0].1));
    let bearer = format!("Bearer {one}");
    let token_prefix = format!("Token {one}");
    let cookie = format!("a=1; session={one}; b=2");
    /// What it is, the query, the headers, and whom each lets in.
    type Case<'a> = (&'a str, String, Vec<(&'a str, String)>, (bool, bool));
    let cases: Vec<Case<'_>> = vec![
        (
            "authorization",
            String::new(),
            vec![("authorization", bearer.clone())],
            (true, true),
        ),
        (
            "header",
            String::new(),
            vec![("x-token", token_prefix.clone())],
            (true, true),
        ),
        (
            "query",
            format!("?a=1&access_token={one}"),
            vec![],
            (true, true),
        ),
        (
            "cookie",
            String::new(),
            vec![("cookie", cookie.clone())],
            (true, true),
        ),
        (
            "nowhere",
            String::new(),
            vec![("x-other", bearer.clone())],
            (false, false),
        ),
        (
            "another parameter",
            format!("?token={one}"),
            vec![],
            (false, false),
        ),
        (
            "another cookie",
            String::new(),
            vec![("cookie", format!("sessions={one}"))],
            (false, false),
        ),
        (
            "another scheme",
            String::new(),
            vec![("authorization", format!("Token {one}"))],
            (false, false),
        ),
        (
            "no prefix",
            String::new(),
            vec![("x-token", one.clone())],
            (false, false),
        ),
        (
            "two tokens",
            format!("?access_token={other}"),
            vec![("authorization", bearer.clone())],
            (true, false),
        ),
        (
            "one twice",
            format!("?access_token={one}"),
            vec![("authorization", bearer.clone())],
            (true, false),
        ),
        (
            "a good one and a bad one",
            "?access_token=x".to_owned(),
            vec![("authorization", bearer.clone())],
            (false, false),
        ),
    ];
    for (what, query, headers, expected) in cases {
        let at = |path: &str| {
            let request = Request::get(format!("{path}{query}"));
            let request = headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, value)
            });
            passes(&client, &request)
        };
        assert_eq!((at("/native/1"), at("/ours/1")), expected, "{what}");
    }
}
