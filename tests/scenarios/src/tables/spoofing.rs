//! Headers that only the gateway may write.

use crate::gateway::PARTNER_KEY;
use crate::request::{Credential, Request};
use crate::scenario::Scenario;

use super::{passes, scenario, token};

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario(
            "identity headers on an open route",
            "an anonymous caller must not become somebody",
            Request::get("/public")
                .header("x-user", "root")
                .header("x-consumer", "acme")
                .header("x-groups", "admins")
                .header("x-scopes", "admin")
                .header("x-plan", "gold")
                .header("x-credential", "jwt:main"),
            passes()
                .absent("x-user")
                .absent("x-consumer")
                .absent("x-groups")
                .absent("x-scopes")
                .absent("x-plan")
                .absent("x-credential"),
        ),
        scenario(
            "identity headers spelt with underscores",
            "a CGI or WSGI upstream reads x_user as x-user",
            Request::get("/public")
                .header("x_user", "root")
                .header("x_authenticated_as", "root"),
            passes().absent("x_user").absent("x_authenticated_as"),
        ),
        scenario(
            "identity headers spelt with other characters",
            "a CGI or WSGI upstream reads x.user as x-user",
            Request::get("/public")
                .header("x.user", "root")
                .header("x~user", "root"),
            passes().absent("x.user").absent("x~user"),
        ),
        scenario(
            "an identity header twice",
            "removing the first would leave the second",
            Request::get("/public")
                .header("x-user", "root")
                .header("x-user", "admin"),
            passes().absent("x-user"),
        ),
        scenario(
            "an empty identity header",
            "an upstream may take presence for meaning",
            Request::get("/public").header("x-user", ""),
            passes().absent("x-user"),
        ),
        scenario(
            "an identity header that is not text",
            "one byte that is not UTF-8 must not cost the filter its VM, nor get past it",
            Request::get("/public").header("x-user", b"\xffroot"),
            passes().absent("x-user"),
        ),
        scenario(
            "a caller's own identity header",
            "the upstream sees what the gateway found out, once",
            Request::get("/users")
                .header("x-user", "root")
                .bearer(token()),
            passes().is("x-user", "alice"),
        ),
        scenario(
            "an identity header that the caller's credential does not fill",
            "a key has no subject, so nobody may claim one",
            Request::get("/users")
                .header("x-user", "root")
                .header("x_user", "root")
                .with(Credential::ApiKey(PARTNER_KEY)),
            passes()
                .absent("x-user")
                .absent("x_user")
                .is("x-consumer", "acme"),
        ),
        scenario(
            "headers of the configured pattern",
            "what the operator lists goes as well",
            Request::get("/public")
                .header("x-authenticated-user", "root")
                .header("x-authenticated-", "root"),
            passes()
                .absent("x-authenticated-user")
                .absent("x-authenticated-"),
        ),
        scenario(
            "names that only begin alike",
            "a client's own headers are the client's",
            Request::get("/public")
                .header("x-user-agent", "a")
                .header("x-users", "b")
                .header("x-authenticated", "c"),
            passes()
                .is("x-user-agent", "a")
                .is("x-users", "b")
                .is("x-authenticated", "c"),
        ),
        scenario(
            "routing headers",
            "a client must not choose the route",
            Request::get("/public")
                .header("x-gatehouse-api-version", "2")
                .header("x_gatehouse_api_version", "2")
                .header("x-gatehouse-grpc-service", "inventory.v1.Admin")
                .header("x_gatehouse_grpc_method", "Drop"),
            passes()
                .is("x-gatehouse-api-version", "1")
                .absent("x_gatehouse_api_version")
                .absent("x-gatehouse-grpc-service")
                .absent("x_gatehouse_grpc_method"),
        ),
        scenario(
            "a routing header twice, one of them right",
            "removing the first would leave the second",
            Request::get("/public")
                .header("x-gatehouse-api-version", "1")
                .header("x-gatehouse-api-version", "2"),
            passes().is("x-gatehouse-api-version", "1"),
        ),
        scenario(
            "bytes that are not text elsewhere",
            "a header that is none of ours passes as it is",
            Request::get("/public")
                .header("x-note", b"caf\xe9")
                .header("x-plain", "yes"),
            passes().is("x-plain", "yes"),
        ),
    ]
}
