//! Rules with trees, what they leave out of account, and what they tell.

use serde_json::json;

use crate::expect::Header;
use crate::gateway::{PARTNER_KEY, READER_KEY, RETIRED_KEY};
use crate::request::{Credential, Request};
use crate::scenario::Scenario;
use crate::token::{Key, TokenSpec};

use super::{forbidden, passes, scenario, token, unauthorized};

pub(super) fn table() -> Vec<Scenario> {
    let editor = || token().claim("realm_access", json!({ "roles": ["reader", "editor"] }));
    let expired = || token().expires_in(-300);
    vec![
        scenario(
            "a tree: the token's claim is the one",
            "a condition on a nested claim is met",
            Request::get("/editors").bearer(editor()),
            passes()
                .is("x-user", "alice")
                .is("x-roles", "reader,editor"),
        ),
        scenario(
            "a tree: the claim is another",
            "a role that nobody asked for is no key to the door",
            Request::get("/editors")
                .bearer(token().claim("realm_access", json!({ "roles": ["reader"] }))),
            forbidden().and(Header::Contains("www-authenticate", "insufficient_scope")),
        ),
        scenario(
            "a tree: no claim",
            "a token that says nothing of roles has none",
            Request::get("/editors").bearer(token()),
            forbidden(),
        ),
        scenario(
            "a tree: not",
            "who is banned stays out, whatever the role",
            Request::get("/editors").bearer(editor().claim("groups", json!(["banned"]))),
            unauthorized().and(Header::Contains("www-authenticate", "ApiKey")),
        ),
        scenario(
            "a tree: the other branch",
            "a key on the plan is enough",
            Request::get("/editors").with(Credential::ApiKey(PARTNER_KEY)),
            passes()
                .is("x-consumer", "acme")
                .is("x-label-team", "crm")
                .absent("x-roles"),
        ),
        scenario(
            "a tree: a key without the plan",
            "a plan that is asked for is asked of every key",
            Request::get("/editors").with(Credential::ApiKey(READER_KEY)),
            forbidden(),
        ),
        scenario(
            "a tree: nobody",
            "a client that sends nothing is told everything that would do",
            Request::get("/editors"),
            unauthorized()
                .and(Header::Contains("www-authenticate", "Bearer realm"))
                .and(Header::Contains("www-authenticate", "ApiKey realm")),
        ),
        scenario(
            "claims in headers are ours to write",
            "a client that wrote roles would have them",
            Request::get("/public/roles")
                .header("x-roles", "admin")
                .header("x_label_team", "admin"),
            passes().absent("x-roles").absent("x_label_team"),
        ),
        scenario(
            "an expired token where rules ignore what is not good",
            "the caller is nobody, and the token goes no further",
            Request::get("/lenient").bearer(expired()),
            passes().absent("x-user").is("cache-control", "no-store"),
        ),
        scenario(
            "a forged token where rules ignore what is not good",
            "ignored is not believed",
            Request::get("/lenient").bearer(TokenSpec::new(Key::Stranger)),
            passes().absent("x-user"),
        ),
        scenario(
            "a good token where rules ignore what is not good",
            "a good credential counts",
            Request::get("/lenient").bearer(token()),
            passes().is("x-user", "alice"),
        ),
        scenario(
            "an expired token elsewhere",
            "one rule's leniency is no other's",
            Request::get("/public/news").bearer(expired()),
            unauthorized().and(Header::Contains("www-authenticate", "invalid_token")),
        ),
        scenario(
            "an expired API key",
            "a key that was to end has ended",
            Request::get("/users").with(Credential::ApiKey(RETIRED_KEY)),
            unauthorized(),
        ),
        scenario(
            "an API key in a cookie",
            "a page's requests carry their key by themselves, and the upstream gets the other cookies alone",
            Request::get("/users").header("cookie", format!("a=1; session_key={PARTNER_KEY}; b=2")),
            passes().is("x-consumer", "acme").is("cookie", "a=1; b=2"),
        ),
        scenario(
            "an API key in a cookie and in a header",
            "which of them counts would be for each reader to guess",
            Request::get("/users")
                .header("cookie", format!("session_key={PARTNER_KEY}"))
                .with(Credential::ApiKey(PARTNER_KEY)),
            unauthorized(),
        ),
    ]
}
