//! Hostile tokens. Each is refused with the same 401 as no token at all; each list ends with a token that must pass, so that a
//! gateway that refuses everything fails too.

use serde_json::{Value, json};

use super::{Gate, Header, gate};
use crate::forge::{ES256, FORGE, ISSUER, Sign, encode, now};

/// Sends each token to a protected path and wants the constant 401; then wants an honest one let in.
fn all_refused(gate: &Gate, cases: impl IntoIterator<Item = (String, String)>) {
    let constant = gate.constant_401();
    let mut seen = 0;
    for (what, token) in cases {
        let answer = gate.get(
            "/orders/1",
            &[("authorization", format!("Bearer {token}").as_bytes())],
        );
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(
            answer.problem(),
            constant,
            "{what}: the body of a 401 must tell nothing"
        );
        assert!(
            answer.header("www-authenticate").is_some(),
            "{what}: no challenge"
        );
        seen += 1;
    }
    assert!(seen > 0, "the table is empty");
    gate.assert_lets_in(&FORGE.good(Sign::Es256));
}

fn named<'a>(cases: impl IntoIterator<Item = (&'a str, String)>) -> Vec<(String, String)> {
    cases
        .into_iter()
        .map(|(what, token)| (what.to_owned(), token))
        .collect()
}

/// Without this test a gateway that refuses honest tokens would pass every other test here.
#[test]
fn each_algorithm_lets_an_honest_token_in() {
    let Some(gate) = gate() else { return };
    for sign in [Sign::Rs256, Sign::Es256, Sign::EdDsa, Sign::Hs256] {
        gate.assert_lets_in(&FORGE.good(sign));
    }
}

/// Row 1: an unsigned token must not pass because it says that it is unsigned.
#[test]
fn row_1_the_token_does_not_choose_the_algorithm() {
    let Some(gate) = gate() else { return };
    let claims = FORGE.claims().to_string();
    let mut cases = Vec::new();
    for alg in [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""""#,
        "null",
        "true",
        "256",
        r#"["ES256"]"#,
        r#"{"a":1}"#,
        r#""es256""#,
        r#""ES256 ""#,
        r#""HS256""#,
        r#""RS256""#,
        r#""RS512""#,
        r#""ES384""#,
        r#""PS256""#,
    ] {
        let header = format!(r#"{{"alg":{alg},"kid":"p256"}}"#);
        let unsigned = format!("{}.{}.", encode(&header), encode(&claims));
        cases.push((format!("alg {alg}, no signature"), unsigned));
        cases.push((
            format!("alg {alg}, signed as ES256"),
            FORGE.token(Sign::Es256, header.as_bytes(), claims.as_bytes()),
        ));
    }
    cases.push((
        "alg missing".into(),
        FORGE.token(Sign::Es256, br#"{"kid":"p256"}"#, claims.as_bytes()),
    ));
    all_refused(&gate, cases);
}

/// Row 2: the public key is public; a token authenticated with it as an HMAC secret is anybody's.
#[test]
fn row_2_a_public_key_is_no_hmac_secret() {
    let Some(gate) = gate() else { return };
    let claims = FORGE.claims().to_string();
    let cases = FORGE
        .rsa_public_forms()
        .into_iter()
        .flat_map(|(what, secret)| {
            [
                r#"{"alg":"HS256","kid":"rsa"}"#,
                r#"{"alg":"HS256"}"#,
                r#"{"alg":"HS256","kid":"hmac"}"#,
            ]
            .map(|header| {
                (
                    format!("{what}, header {header}"),
                    FORGE.hmac_token(header.as_bytes(), claims.as_bytes(), &secret),
                )
            })
        });
    all_refused(&gate, cases.collect::<Vec<_>>());
}

/// Row 3: signatures of another curve, another encoding, another length, or of numbers out of range.
#[test]
fn row_3_only_an_exact_signature_counts() {
    let Some(gate) = gate() else { return };
    let claims = FORGE.claims().to_string();
    let input = format!("{}.{}", encode(ES256), encode(&claims));
    let good = FORGE.signature(Sign::Es256, input.as_bytes());
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let with = |signature: &[u8]| format!("{input}.{}", encode(signature));
    let (r, s) = good.split_at(32);
    let cases = named([
        (
            "a P-384 signature",
            with(&FORGE.signature(Sign::P384, input.as_bytes())),
        ),
        ("DER in place of r and s", with(&der_signature(r, s))),
        ("r and s zero", with(&[0; 64])),
        ("r zero", with(&[&[0; 32], s].concat())),
        ("s zero", with(&[r, &[0; 32]].concat())),
        ("r the order", with(&[&order[..], s].concat())),
        ("s the order", with(&[r, &order[..]].concat())),
        ("all ones", with(&[0xff; 64])),
        ("a byte short", with(&good[..63])),
        ("a byte long", with(&[&good[..], &[0]].concat())),
        ("padded in front", with(&[&[0], &good[..]].concat())),
        ("r and s swapped", with(&[s, r].concat())),
        ("empty", with(&[])),
        (
            "a bit changed",
            with(&[&[good[0] ^ 1], &good[1..]].concat()),
        ),
        (
            "an RSA signature",
            with(&FORGE.signature(Sign::Rs256, input.as_bytes())),
        ),
        (
            "an Ed25519 signature under ES256",
            with(&FORGE.signature(Sign::EdDsa, input.as_bytes())),
        ),
    ]);
    all_refused(&gate, cases);
}

/// Row 6: a token that brings or names its own key must not be verified with it, and must not be refused for it either.
#[test]
fn row_6_a_key_in_the_token_is_never_trusted() {
    let Some(gate) = gate() else { return };
    let claims = FORGE.claims().to_string();
    // The attacker's own key: signed with P-384 and, for the same curve, with a key that the set does not hold.
    let attacker = jwt_simple::algorithms::ES256KeyPair::generate();
    let point = jwt_simple::prelude::ECDSAP256KeyPairLike::key_pair(&attacker)
        .public_key()
        .to_bytes_uncompressed();
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..65]) });
    let sign = |header: Value| {
        let input = format!("{}.{}", encode(header.to_string()), encode(&claims));
        let key = attacker.to_der().unwrap();
        let rng = ring::rand::SystemRandom::new();
        let key = ring::signature::EcdsaKeyPair::from_pkcs8(
            &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &key,
            &rng,
        )
        .unwrap();
        format!(
            "{input}.{}",
            encode(key.sign(&rng, input.as_bytes()).unwrap().as_ref())
        )
    };
    all_refused(
        &gate,
        named([
            ("jwk", sign(json!({ "alg": "ES256", "jwk": jwk }))),
            (
                "jwk with a known kid",
                sign(json!({ "alg": "ES256", "kid": "p256", "jwk": jwk })),
            ),
            (
                "jku",
                sign(
                    json!({ "alg": "ES256", "kid": "mine", "jku": "https://attacker.test/jwks.json" }),
                ),
            ),
            (
                "x5u",
                sign(json!({ "alg": "ES256", "x5u": "https://attacker.test/cert.pem" })),
            ),
            ("x5c", sign(json!({ "alg": "ES256", "x5c": ["MIIB"] }))),
        ]),
    );
    for (member, value) in [
        ("jku", json!("https://attacker.test/")),
        ("x5u", json!("https://attacker.test/")),
        ("jwk", jwk),
    ] {
        gate.assert_lets_in(
            &FORGE.with_header(&json!({ "alg": "ES256", "kid": "p256", member: value })),
        );
    }
}

/// Row 7: what a verifier does not understand it must not accept.
#[test]
fn row_7_only_a_plain_compact_signed_token_counts() {
    let Some(gate) = gate() else { return };
    let claims = FORGE.claims().to_string();
    let good = FORGE.good(Sign::Es256);
    let parts: Vec<&str> = good.split('.').collect();
    let header = |header: Value| FORGE.with_header(&header);
    all_refused(
        &gate,
        named([
            (
                "crit names an unknown extension",
                header(json!({ "alg": "ES256", "kid": "p256", "crit": ["x"], "x": 1 })),
            ),
            (
                "crit empty",
                header(json!({ "alg": "ES256", "kid": "p256", "crit": [] })),
            ),
            (
                "crit names exp",
                header(json!({ "alg": "ES256", "kid": "p256", "crit": ["exp"], "exp": 1 })),
            ),
            (
                "b64 false",
                header(json!({ "alg": "ES256", "kid": "p256", "b64": false, "crit": ["b64"] })),
            ),
            (
                "b64 false without crit",
                header(json!({ "alg": "ES256", "kid": "p256", "b64": false })),
            ),
            (
                "zip",
                header(json!({ "alg": "ES256", "kid": "p256", "zip": "DEF" })),
            ),
            (
                "nested",
                FORGE.token(
                    Sign::Es256,
                    br#"{"alg":"ES256","kid":"p256","cty":"JWT"}"#,
                    good.as_bytes(),
                ),
            ),
            (
                "five parts",
                format!(
                    "{}.{}.{}.{}.{}",
                    parts[0], parts[1], parts[2], parts[1], parts[2]
                ),
            ),
            ("four parts", format!("{good}.")),
            ("two parts", format!("{}.{}", parts[0], parts[1])),
            ("one part", parts[0].to_owned()),
            (
                "JSON serialisation",
                json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] })
                    .to_string(),
            ),
            ("detached payload", format!("{}..{}", parts[0], parts[2])),
            ("no header", format!(".{}.{}", parts[1], parts[2])),
            (
                "the header is an array",
                FORGE.token(Sign::Es256, br#"["alg","ES256"]"#, claims.as_bytes()),
            ),
            (
                "the claims are a string",
                FORGE.token(Sign::Es256, ES256, br#""claims""#),
            ),
            (
                "the claims are an array",
                FORGE.token(Sign::Es256, ES256, br#"[]"#),
            ),
            (
                "kid is a number",
                header(json!({ "alg": "ES256", "kid": 1 })),
            ),
            (
                "kid is a path",
                header(json!({ "alg": "ES256", "kid": "../../p256" })),
            ),
            (
                "kid with a line end",
                header(json!({ "alg": "ES256", "kid": "p256\r\n" })),
            ),
            (
                "kid very long",
                header(json!({ "alg": "ES256", "kid": "k".repeat(3000) })),
            ),
            (
                "kid unknown",
                header(json!({ "alg": "ES256", "kid": "P256" })),
            ),
        ]),
    );
}

/// Row 8: a token made for something else, by the same issuer and key, is not an access token.
#[test]
fn row_8_another_kind_of_token_is_refused() {
    let Some(gate) = gate() else { return };
    all_refused(
        &gate,
        named(
            [
                "dpop+jwt",
                "logout+jwt",
                "secevent+jwt",
                "JWE",
                "id_token",
                "",
            ]
            .map(|typ| {
                (
                    typ,
                    FORGE.with_header(&json!({ "alg": "ES256", "kid": "p256", "typ": typ })),
                )
            }),
        ),
    );
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        gate.assert_lets_in(
            &FORGE.with_header(&json!({ "alg": "ES256", "kid": "p256", "typ": typ })),
        );
    }
}

/// Row 9: one token must have one spelling, or a revoked token comes back in another.
#[test]
fn row_9_base64url_has_one_spelling() {
    let Some(gate) = gate() else { return };
    let good = FORGE.good(Sign::Es256);
    let parts: Vec<&str> = good.split('.').collect();
    // 64 signature bytes end in a character of which four bits are unused.
    let last = parts[2].chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = alphabet.find(last).unwrap();
    let noncanonical = alphabet.as_bytes()[index | 1] as char;
    assert_ne!(
        last, noncanonical,
        "the last character of a canonical signature has its low bits clear"
    );
    let mut trailing = parts[2].to_owned();
    trailing.pop();
    trailing.push(noncanonical);
    all_refused(
        &gate,
        named(
            [
                ("padding", format!("{good}==")),
                (
                    "padding in the header",
                    format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
                ),
                (
                    "trailing bits",
                    format!("{}.{}.{trailing}", parts[0], parts[1]),
                ),
                ("the other alphabet", good.replace(['-', '_'], "+")),
                (
                    "a space inside",
                    format!("{}. {}.{}", parts[0], parts[1], parts[2]),
                ),
                (
                    "a tab inside",
                    format!("{}.{}\t.{}", parts[0], parts[1], parts[2]),
                ),
                ("a comma behind", format!("{good},")),
                ("a percent escape", good.replacen('.', "%2E", 1)),
                ("one character too many", format!("{good}A")),
                ("quoted", format!("\"{good}\"")),
            ]
            .into_iter()
            .filter(|(_, token)| *token != good),
        ),
    );
}

/// Row 10: JSON that two parsers read differently, or that exhausts one.
#[test]
fn row_10_ambiguous_or_hostile_json_is_refused() {
    let Some(gate) = gate() else { return };
    let (issuer, exp) = (ISSUER, now() + 600);
    let base = format!(r#""iss":"{issuer}","aud":"api","sub":"alice","exp":{exp}"#);
    let sign = |claims: &[u8]| FORGE.token(Sign::Es256, ES256, claims);
    let text = |claims: String| sign(claims.as_bytes());
    all_refused(
        &gate,
        named([
            (
                "duplicate claim",
                text(format!(r#"{{{base},"sub":"bob"}}"#)),
            ),
            (
                "duplicate exp",
                text(format!(r#"{{{base},"exp":{}}}"#, exp + 1)),
            ),
            (
                "duplicate nested member",
                text(format!(r#"{{{base},"x":{{"a":1,"a":2}}}}"#)),
            ),
            (
                "duplicate by escape",
                text(format!(r#"{{{base},"su\u0062":"bob"}}"#)),
            ),
            (
                "duplicate alg",
                FORGE.token(
                    Sign::Es256,
                    br#"{"alg":"none","alg":"ES256","kid":"p256"}"#,
                    format!("{{{base}}}").as_bytes(),
                ),
            ),
            (
                "byte order mark",
                sign(&[b"\xef\xbb\xbf", format!("{{{base}}}").as_bytes()].concat()),
            ),
            (
                "invalid UTF-8",
                sign(&[b"{\"x\":\"\xff\",", base.as_bytes(), b"}"].concat()),
            ),
            (
                "lone surrogate",
                text(format!(r#"{{{base},"x":"\ud800"}}"#)),
            ),
            ("trailing data", text(format!(r#"{{{base}}}{{}}"#))),
            ("trailing comma", text(format!(r#"{{{base},}}"#))),
            (
                "nested 2,000 deep",
                text(format!(
                    r#"{{{base},"x":{}{}}}"#,
                    "[".repeat(2000),
                    "]".repeat(2000)
                )),
            ),
            (
                "unclosed 2,000 deep",
                text(format!(r#"{{{base},"x":{}"#, "[".repeat(2000))),
            ),
            (
                "a number past all doubles",
                text(format!(r#"{{{base},"x":1e400}}"#)),
            ),
            (
                "a token of 20 KB",
                text(format!(r#"{{{base},"x":"{}"}}"#, "a".repeat(20_000))),
            ),
            (
                "single quotes",
                text(format!("{{{}}}", base.replace('"', "'"))),
            ),
            (
                "a NUL behind",
                sign(&[format!("{{{base}}}").as_bytes(), b"\0"].concat()),
            ),
        ]),
    );
}

/// Row 11: times that are no times, or that wrap around.
#[test]
fn row_11_times_are_numbers_in_range() {
    let Some(gate) = gate() else { return };
    let now = now();
    let exp = |value: Value| FORGE.with_claims(|claims| claims["exp"] = value);
    let nbf = |value: Value| FORGE.with_claims(|claims| claims["nbf"] = value);
    let raw = |exp: &str| {
        let claims = format!(r#"{{"iss":"{ISSUER}","aud":"api","sub":"alice","exp":{exp}}}"#);
        FORGE.token(Sign::Es256, ES256, claims.as_bytes())
    };
    all_refused(
        &gate,
        named([
            (
                "no exp",
                FORGE.with_claims(|claims| {
                    claims.as_object_mut().unwrap().remove("exp");
                }),
            ),
            ("exp a string", exp(json!((now + 600).to_string()))),
            ("exp null", exp(Value::Null)),
            ("exp true", exp(json!(true))),
            ("exp an array", exp(json!([now + 600]))),
            ("exp negative", exp(json!(-1))),
            ("exp zero", exp(json!(0))),
            ("exp past, beyond the skew", exp(json!(now - 120))),
            ("exp 2^63", raw("9223372036854775808")),
            ("exp 2^64", raw("18446744073709551616")),
            ("exp 1e308", raw("1e308")),
            ("exp -1e308", raw("-1e308")),
            ("exp 1e400", raw("1e400")),
            ("nbf ahead, beyond the skew", nbf(json!(now + 120))),
            ("nbf a string", nbf(json!("0"))),
            ("nbf negative", nbf(json!(-5))),
            (
                "iat far ahead",
                FORGE.with_claims(|claims| claims["iat"] = json!(now + 3600)),
            ),
            (
                "iat a string",
                FORGE.with_claims(|claims| claims["iat"] = json!("yesterday")),
            ),
            (
                "exp before nbf",
                FORGE.with_claims(|claims| {
                    claims["nbf"] = json!(now + 30);
                    claims["exp"] = json!(now - 30);
                }),
            ),
        ]),
    );
    for token in [
        exp(json!(now - 20)),
        nbf(json!(now + 20)),
        exp(json!(now as f64 + 600.5)),
    ] {
        gate.assert_lets_in(&token);
    }
}

/// Row 12: a token for another audience or from another issuer, by however little.
#[test]
fn row_12_audience_and_issuer_are_exact() {
    let Some(gate) = gate() else { return };
    let aud = |value: Value| FORGE.with_claims(|claims| claims["aud"] = value);
    let iss = |value: Value| FORGE.with_claims(|claims| claims["iss"] = value);
    all_refused(
        &gate,
        named([
            ("aud of another", aud(json!("billing"))),
            ("aud in upper case", aud(json!("API"))),
            ("aud with a slash", aud(json!("api/"))),
            ("aud empty", aud(json!(""))),
            ("aud an empty array", aud(json!([]))),
            ("aud an array of others", aud(json!(["a", "b"]))),
            ("aud an object", aud(json!({ "api": true }))),
            ("aud a number", aud(json!(1))),
            ("aud an array with a number", aud(json!(["api", 1]))),
            (
                "no aud",
                FORGE.with_claims(|claims| {
                    claims.as_object_mut().unwrap().remove("aud");
                }),
            ),
            ("iss with a slash", iss(json!(format!("{ISSUER}/")))),
            ("iss in upper case", iss(json!(ISSUER.to_uppercase()))),
            ("iss of another", iss(json!("https://attacker.test"))),
            ("iss an array", iss(json!([ISSUER]))),
            ("iss null", iss(Value::Null)),
            (
                "no iss",
                FORGE.with_claims(|claims| {
                    claims.as_object_mut().unwrap().remove("iss");
                }),
            ),
            (
                "iss of the HMAC provider",
                iss(json!(crate::forge::HMAC_ISSUER)),
            ),
            (
                "sub a number",
                FORGE.with_claims(|claims| claims["sub"] = json!(7)),
            ),
        ]),
    );
    gate.assert_lets_in(&aud(json!(["billing", "api"])));
}

/// Row 13: with two credentials the gateway and the upstream may each believe another one.
#[test]
fn row_13_one_credential_of_a_kind() {
    let Some(gate) = gate() else { return };
    let token = FORGE.good(Sign::Es256);
    let bearer = format!("Bearer {token}");
    let bearer = bearer.as_bytes();
    let constant = gate.constant_401();
    let refused: Vec<(&str, &str, Vec<Header>)> = vec![
        (
            "two Authorization headers",
            "/orders/1",
            vec![("authorization", bearer), ("Authorization", bearer)],
        ),
        (
            "a good and a basic one",
            "/orders/1",
            vec![("authorization", bearer), ("authorization", b"Basic eDp5")],
        ),
        (
            "a basic and a good one",
            "/orders/1",
            vec![("authorization", b"Basic eDp5"), ("authorization", bearer)],
        ),
        (
            "a basic one and a token where none is needed",
            "/open/1",
            vec![("authorization", b"Basic eDp5"), ("authorization", bearer)],
        ),
        (
            "Bearer without a token",
            "/orders/1",
            vec![("authorization", b"Bearer")],
        ),
        (
            "Bearer and a space",
            "/orders/1",
            vec![("authorization", b"Bearer ")],
        ),
        (
            "Authorization empty",
            "/orders/1",
            vec![("authorization", b"")],
        ),
        (
            "a key twice",
            "/orders/1",
            vec![("x-api-key", super::KEY), ("x-api-key", super::KEY)],
        ),
        (
            "a key in header and query",
            "/orders/1?api_key=demo-key-of-attack-1",
            vec![("x-api-key", super::KEY)],
        ),
        (
            "a key twice in the query",
            "/orders/1?api_key=demo-key-of-attack-1&api_key=demo-key-of-attack-1",
            vec![],
        ),
        (
            "a key twice in the query, once escaped",
            "/orders/1?api_key=demo-key-of-attack-1&api%5Fkey=demo-key-of-attack-1",
            vec![],
        ),
        (
            "a good key and a bad token",
            "/orders/1",
            vec![("x-api-key", super::KEY), ("authorization", b"Bearer x")],
        ),
        (
            "a bad key and a good token",
            "/orders/1",
            vec![("x-api-key", b"nope"), ("authorization", bearer)],
        ),
        (
            "a bad token where none is needed",
            "/open/1",
            vec![("authorization", b"Bearer x")],
        ),
        ("a token in the query", "/orders/1?access_token=x", vec![]),
    ];
    for (what, path, headers) in refused {
        let answer = gate.get(path, &headers);
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.problem(), constant, "{what}");
    }
    for twice in [
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer  {token} x"),
    ] {
        assert_eq!(
            gate.get("/orders/1", &[("authorization", twice.as_bytes())])
                .status,
            401,
            "two tokens in one header"
        );
    }
    for scheme in ["bEaReR", "BEARER", "bearer"] {
        let answer = gate.get(
            "/orders/1",
            &[("authorization", format!("{scheme} {token}").as_bytes())],
        );
        assert_eq!(
            answer.status, 200,
            "the scheme's case is free (RFC 9110 section 11.1): {scheme}"
        );
    }
}

/// A raw (r, s) pair as DER: what a verifier of X.509 signatures would take.
fn der_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        let pad: &[u8] = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            &[0]
        } else {
            &[]
        };
        [&[2, (bytes.len() + pad.len()) as u8], pad, bytes].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}
