//! Tokens: each algorithm, each claim, each way to be refused.

use serde_json::{Value, json};

use crate::expect::Header;
use crate::request::{Credential, Request};
use crate::scenario::Scenario;
use crate::token::{Key, TokenSpec};

use super::{passes, scenario, token, unauthorized};

/// The client sent a token, and it was not good. It is told no more than that (RFC 6750 section 3.1).
fn refused(name: &'static str, why: &'static str, token: TokenSpec) -> Scenario {
    scenario(
        name,
        why,
        Request::get("/users").bearer(token),
        unauthorized().and(Header::Contains(
            "www-authenticate",
            "error=\"invalid_token\"",
        )),
    )
}

fn taken(name: &'static str, why: &'static str, token: TokenSpec) -> Scenario {
    scenario(
        name,
        why,
        Request::get("/users").bearer(token),
        passes().is("x-user", "alice"),
    )
}

pub(super) fn table() -> Vec<Scenario> {
    vec![
        taken(
            "RS256",
            "one of the four algorithms",
            TokenSpec::new(Key::Rs256),
        ),
        taken(
            "ES256",
            "one of the four algorithms",
            TokenSpec::new(Key::Es256),
        ),
        taken(
            "EdDSA",
            "one of the four algorithms",
            TokenSpec::new(Key::EdDsa),
        ),
        taken(
            "HS256",
            "one of the four algorithms",
            TokenSpec::new(Key::Hs256),
        ),
        scenario(
            "a token's claims reach the upstream",
            "the upstream decides by them",
            Request::get("/users").bearer(
                token()
                    .claim("azp", "web")
                    .claim("plan", "free")
                    .claim("groups", json!(["staff", "night"]))
                    .claim("scope", "users:read users:write"),
            ),
            passes()
                .is("x-user", "alice")
                .is("x-consumer", "web")
                .is("x-plan", "free")
                .is("x-groups", "staff,night")
                .is("x-scopes", "users:read,users:write")
                .is("x-credential", "jwt:main")
                .is("cache-control", "no-store"),
        ),
        scenario(
            "a claim with line ends and other alphabets",
            "a claim must not become a header of its own, and must arrive whole",
            Request::get("/users").bearer(token().claim("sub", "a\r\nx-admin: 1, é%")),
            passes()
                .is("x-user", "a%0D%0Ax-admin:%201%2C%20%C3%A9%25")
                .absent("x-admin"),
        ),
        taken(
            "several audiences, one of them ours",
            "aud may be a list (RFC 7519 section 4.1.3)",
            token().claim("aud", json!(["other", "api"])),
        ),
        taken(
            "no kid",
            "kid is optional (RFC 7515 section 4.1.4)",
            token().header("kid", Value::Null),
        ),
        taken(
            "no typ",
            "typ is optional (RFC 7519 section 5.1)",
            token().header("typ", Value::Null),
        ),
        taken(
            "typ of an access token",
            "RFC 9068 access tokens say at+jwt",
            token().header("typ", "at+jwt"),
        ),
        taken(
            "expired within the skew",
            "clocks differ",
            token().expires_in(-20),
        ),
        taken(
            "valid soon, within the skew",
            "clocks differ",
            token().valid_in(20),
        ),
        scenario(
            "the scheme in another case",
            "schemes are compared without regard to case (RFC 9110 section 11.1)",
            Request::get("/users").with(Credential::Scheme("bEaReR", Box::new(token()))),
            passes().is("x-user", "alice"),
        ),
        refused("expired", "a token ends", token().expires_in(-120)),
        refused("not valid yet", "a token begins", token().valid_in(120)),
        refused(
            "no exp",
            "a token without an end could never be revoked",
            token().claim("exp", Value::Null),
        ),
        refused(
            "exp as text",
            "a claim of the wrong type is not a claim",
            token().claim("exp", "4102444800"),
        ),
        refused(
            "exp beyond all numbers",
            "arithmetic on a claim must not overflow",
            token().claim("exp", 1e308),
        ),
        refused(
            "exp before nbf",
            "a token that was never valid",
            token().expires_in(20).valid_in(50),
        ),
        refused(
            "another audience",
            "a token for another API is not for this one",
            token().claim("aud", "billing"),
        ),
        refused(
            "no audience",
            "a token for nobody in particular is not for this API",
            token().claim("aud", Value::Null),
        ),
        refused(
            "the beginning of the audience",
            "audiences are compared whole",
            token().claim("aud", "ap"),
        ),
        refused(
            "another issuer",
            "whoever else signs with a known key is not the issuer",
            token().claim("iss", "https://issuer.elsewhere.test"),
        ),
        refused(
            "the issuer with a slash",
            "issuers are compared byte by byte (RFC 7519 section 4.1.1)",
            token().claim("iss", "https://issuer.gatehouse.test/"),
        ),
        refused(
            "no issuer",
            "nobody vouches for it",
            token().claim("iss", Value::Null),
        ),
        refused(
            "the issuer of another provider",
            "a provider's keys sign for that provider alone",
            token().claim("iss", crate::gateway::HMAC_ISSUER),
        ),
        refused(
            "a stranger's key",
            "the signature is what makes it a token",
            TokenSpec::new(Key::Stranger),
        ),
        refused(
            "an unknown kid",
            "a key that is named must be there",
            token().header("kid", "es256-2"),
        ),
        refused(
            "the kid of a key of another algorithm",
            "a key is bound to its algorithm",
            token().header("kid", "rs256-1"),
        ),
        refused(
            "a kid that is a number",
            "a header of the wrong type is not understood",
            token().header("kid", 1),
        ),
        refused(
            "alg none",
            "a token that says it needs no signature (RFC 8725 section 3.1)",
            token().header("alg", "none"),
        ),
        refused(
            "alg of another key",
            "the key decides the algorithm, not the token (RFC 8725 section 3.1)",
            token().header("alg", "HS256"),
        ),
        refused(
            "no alg",
            "alg is required (RFC 7515 section 4.1.1)",
            token().header("alg", Value::Null),
        ),
        refused(
            "an extension that must be understood",
            "crit names what a verifier must not ignore (RFC 7515 section 4.1.11)",
            token().header("crit", json!(["exp"])),
        ),
        refused(
            "typ of an ID token",
            "a token for another purpose",
            token().header("typ", "id+jwt"),
        ),
        refused(
            "a nested token",
            "cty says that the claims are a token (RFC 7519 section 5.2)",
            token().header("cty", "JWT"),
        ),
        scenario(
            "a spoilt signature",
            "the signature is what makes it a token",
            Request::get("/users").with(Credential::SpoiltBearer(Box::new(token()))),
            unauthorized().and(Header::Contains(
                "www-authenticate",
                "error=\"invalid_token\"",
            )),
        ),
        scenario(
            "a bad token on an open route",
            "who presents a credential wants it checked",
            Request::get("/public").with(Credential::SpoiltBearer(Box::new(token()))),
            unauthorized(),
        ),
        scenario(
            "two tokens",
            "two readers could take two different ones",
            Request::get("/users").bearer(token()).bearer(token()),
            unauthorized(),
        ),
        scenario(
            "a token of no form",
            "three dots do not make a token",
            Request::get("/users").header("authorization", "Bearer ..."),
            unauthorized(),
        ),
        scenario(
            "a scheme without a token",
            "an empty credential is not the absence of one",
            Request::get("/public").header("authorization", "Bearer"),
            unauthorized(),
        ),
        scenario(
            "a token that is not text",
            "one byte that is not UTF-8 must not cost the filter its VM",
            Request::get("/users").header("authorization", b"Bearer \xff\xfe.\x80.\x80"),
            unauthorized(),
        ),
        scenario(
            "a token of another provider than the rule's",
            "a rule names whom it trusts; the caller is known, so 401 would not help",
            Request::get("/orders").bearer(
                TokenSpec::new(Key::Hs256)
                    .claim("scope", "orders:read")
                    .claim("groups", json!(["staff"])),
            ),
            super::forbidden(),
        ),
    ]
}
