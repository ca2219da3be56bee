//! API keys, where they are, and that they stay here.

use crate::expect::{Refusal, UpstreamSees};
use crate::gateway::{PARTNER_KEY, READER_KEY};
use crate::request::{Credential, Request};
use crate::scenario::Scenario;

use super::{passes, scenario, token, unauthorized};

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario(
            "a key in the header",
            "the upstream is told who calls, and never gets the key",
            Request::get("/users").with(Credential::ApiKey(PARTNER_KEY)),
            passes()
                .is("x-consumer", "acme")
                .is("x-plan", "gold")
                .is("x-groups", "partners")
                .is("x-scopes", "orders:read")
                .is("x-credential", "api_key:partner")
                .absent("x-user"),
        ),
        scenario(
            "a key without particulars",
            "what is not known is not written, and nothing of another caller's is left over",
            Request::get("/users").with(Credential::ApiKey(READER_KEY)),
            passes()
                .is("x-credential", "api_key:reader")
                .absent("x-consumer")
                .absent("x-plan")
                .absent("x-groups"),
        ),
        scenario(
            "a key in the query",
            "the key must not get into the upstream's log with the path",
            Request::get("/users?page=2&sort=a%20b").with(Credential::ApiKeyInQuery(PARTNER_KEY)),
            passes()
                .path("/users?page=2&sort=a%20b")
                .is("x-consumer", "acme"),
        ),
        scenario(
            "a key alone in the query",
            "what is left of the path is the path",
            Request::get("/users").with(Credential::ApiKeyInQuery(PARTNER_KEY)),
            passes().path("/users").is("x-consumer", "acme"),
        ),
        scenario(
            "a key in the query under an encoded name",
            "an upstream decodes api%5Fkey to api_key, so it is the credential and must go",
            Request::get(format!("/users?api%5Fkey={PARTNER_KEY}&page=2")),
            passes().path("/users?page=2").is("x-consumer", "acme"),
        ),
        scenario(
            "an unknown key",
            "a guess is refused",
            Request::get("/users").with(Credential::ApiKey("demo-key-of-nobody")),
            unauthorized(),
        ),
        scenario(
            "the beginning of a key",
            "keys are compared whole",
            Request::get("/users").with(Credential::ApiKey("demo-key-of-partne")),
            unauthorized(),
        ),
        scenario(
            "a key in upper case",
            "keys are compared byte by byte",
            Request::get("/users").with(Credential::ApiKey("DEMO-KEY-OF-PARTNER")),
            unauthorized(),
        ),
        scenario(
            "the hash of a key",
            "whoever reads the configuration must not be able to call",
            Request::get("/users").with(Credential::ApiKey(
                "abc087422d634e9740b0f585b67412bd7746cdeff376ae66625c7bdf978b06b5",
            )),
            unauthorized(),
        ),
        scenario(
            "an empty key",
            "an empty header is a credential that is not valid, not the absence of one",
            Request::get("/public").with(Credential::ApiKey("")),
            unauthorized(),
        ),
        scenario(
            "a key that is not text",
            "one byte that is not UTF-8 must not cost the filter its VM",
            Request::get("/users").header("x-api-key", b"\xff\xfe\x80"),
            unauthorized(),
        ),
        scenario(
            "two keys in headers",
            "two readers could take two different ones",
            Request::get("/users")
                .header("x-api-key", PARTNER_KEY)
                .header("x-api-key", READER_KEY),
            unauthorized(),
        ),
        scenario(
            "the same key twice",
            "a repeated credential is refused whatever it says, so that nobody relies on which one counts",
            Request::get("/users")
                .header("x-api-key", PARTNER_KEY)
                .header("x-api-key", PARTNER_KEY),
            unauthorized(),
        ),
        scenario(
            "keys in header and query",
            "two sources are two credentials",
            Request::get("/users")
                .with(Credential::ApiKey(PARTNER_KEY))
                .with(Credential::ApiKeyInQuery(READER_KEY)),
            unauthorized(),
        ),
        scenario(
            "a bad key on an open route",
            "who presents a credential wants it checked; to ignore it would hide that it was revoked",
            Request::get("/public").with(Credential::ApiKey("demo-key-of-nobody")),
            unauthorized(),
        ),
        scenario(
            "a good key on an open route",
            "open routes strip credentials and name the caller like any other",
            Request::get("/public").with(Credential::ApiKey(PARTNER_KEY)),
            passes().is("x-consumer", "acme"),
        ),
        scenario(
            "a request that lost its credential is not for caches",
            "a cache behind the gateway cannot see whom the answer was for",
            Request::get("/users").with(Credential::ApiKey(PARTNER_KEY)),
            passes().is("cache-control", "no-store"),
        ),
        scenario(
            "a cacheable rule",
            "the operator has said that answers depend on no caller",
            Request::get("/catalogue").with(Credential::ApiKey(PARTNER_KEY)),
            passes().absent("cache-control"),
        ),
        scenario(
            "a request without a credential stays cacheable",
            "nothing was removed, so the cache sees what there is to see",
            Request::get("/public"),
            passes().absent("cache-control"),
        ),
        scenario(
            "another authorization scheme is left alone",
            "Basic credentials are the upstream's business",
            Request::get("/public").header("authorization", "Basic YTpi"),
            UpstreamSees::default().is("authorization", "Basic YTpi"),
        ),
        scenario(
            "a token where only keys are taken",
            "the caller is known, but has not shown what the rule asks for",
            Request::get("/catalogue").bearer(token()),
            Refusal::http(401, "Unauthorized"),
        ),
        scenario(
            "a cookie is no credential",
            "what is not configured as a source is not read",
            Request::get("/users").header("cookie", format!("api_key={PARTNER_KEY}")),
            unauthorized(),
        ),
        scenario(
            "a good key beside a bad token",
            "a credential that fails is an attack or a mistake, and another one does not make up for it",
            Request::get("/users")
                .with(Credential::ApiKey(PARTNER_KEY))
                .with(Credential::SpoiltBearer(Box::new(token()))),
            unauthorized(),
        ),
    ]
}
