//! What becomes of headers, paths and bodies.

use crate::expect::{Refusal, UpstreamSees};
use crate::request::{Credential, Request};
use crate::scenario::Scenario;

use super::{ambiguous_path, forbidden, passes, scenario};

const BODY: &str = r#"{"name": "A", "internal": {"vip": true}, "card": 4111}"#;
const SENT_ON: &str = r#"{"name": "A", "card": "***","source":"api"}"#;
const ANSWER: &str = r#"{"id": 7, "owner": {"email": "a@b.test"}, "notes": [1, 2]}"#;
const MASKED: &str = r#"{"id": 7, "owner": {"email": "***"}}"#;

fn form() -> Request {
    Request::get("/public/form")
}

fn post(kind: &'static str, body: &'static str) -> Request {
    Request::new("POST", "/public/form")
        .header("content-type", kind)
        .body(body)
}

fn unsupported(name: &'static str, why: &'static str, request: Request) -> Scenario {
    scenario(
        name,
        why,
        request,
        Refusal::http(415, "Unsupported Media Type"),
    )
}

fn moved(name: &'static str, why: &'static str, path: &'static str, to: &'static str) -> Scenario {
    scenario(name, why, Request::get(path), passes().path(to))
}

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario(
            "a header that a rule sets",
            "the upstream is told",
            form(),
            passes().is("x-team", "crm").is("x-tags", "external"),
        ),
        scenario(
            "a client that sends what a rule sets",
            "the upstream takes the header for the gateway's",
            form()
                .header("x-team", "mine")
                .header("x-team", "mine too")
                .header("x_team", "mine")
                .header("x.team", "mine"),
            passes()
                .is("x-team", "crm")
                .absent("x_team")
                .absent("x.team"),
        ),
        scenario(
            "a client that sends it where no rule is",
            "an upstream trusts a header on every path",
            Request::get("/public")
                .header("x-team", "mine")
                .header("x_client_name", "mine"),
            passes().absent("x-team").absent("x_client_name"),
        ),
        scenario(
            "a header that a rule renames",
            "the value moves, and takes the place of what the new name had",
            form()
                .header("x-client", "cli")
                .header("x-client-name", "forged"),
            passes().is("x-client-name", "cli").absent("x-client"),
        ),
        scenario(
            "a header that a rule removes",
            "an upstream that acts on it does not see it",
            form().header("x-debug", "1").header("x-debug", "2"),
            passes().absent("x-debug"),
        ),
        scenario(
            "a rule for a group",
            "the first rule that matches wins, and identity is what auth says",
            form()
                .with(Credential::ApiKey("demo-key-of-partner"))
                .answered_with(ANSWER),
            passes().is("x-team", "partners").answered(ANSWER),
        ),
        scenario(
            "an answer with members to hide",
            "a masked member does not reach the client, nor does a rule on trial change anything",
            form().answered_with(ANSWER),
            UpstreamSees::default().answered(MASKED),
        ),
        scenario(
            "a client that asks for another form of the answer",
            "what is compressed or cut cannot be masked",
            form()
                // Not gzip, in which the chain's compressor would answer.
                .header("accept-encoding", "br")
                .header("range", "bytes=10-")
                .header("if-range", "\"x\"")
                .answered_with(ANSWER),
            UpstreamSees::default()
                .is("accept-encoding", "identity")
                .absent("range")
                .absent("if-range")
                .answered(MASKED),
        ),
        scenario(
            "a body with members to remove",
            "a client does not say this",
            post("application/json", BODY),
            UpstreamSees::default().body(SENT_ON),
        ),
        scenario(
            "a body that spells them otherwise",
            "the upstream's parser knows them all the same",
            post(
                "application/merge-patch+json; charset=UTF-8",
                r#"{"\u0069nternal": 1, "c\u0061rd": 3, "source": "client"}"#,
            ),
            UpstreamSees::default().body(r#"{ "c\u0061rd": "***", "source": "api"}"#),
        ),
        scenario(
            "a body of another path",
            "what no rule is for stays as it is, byte for byte",
            Request::new("POST", "/public")
                .header("content-type", "application/json")
                .body(BODY),
            passes().body(BODY),
        ),
        scenario(
            "a POST without a body",
            "there is nothing to read, and nothing to refuse",
            Request::new("POST", "/public/form"),
            passes().is("x-team", "crm").body(""),
        ),
        unsupported(
            "a body that says that it is text",
            "an upstream may read it as JSON all the same",
            post("text/plain", BODY),
        ),
        unsupported(
            "a body of no type",
            "an upstream may read it as JSON all the same",
            Request::new("PUT", "/public/form").body(BODY),
        ),
        unsupported(
            "a body in another character set",
            "what is read otherwise hides what it says",
            post("application/json; charset=utf-16", BODY),
        ),
        unsupported(
            "a compressed body",
            "what is in it cannot be seen",
            post("application/json", BODY).header("content-encoding", "br"),
        ),
        unsupported(
            "a body that is compressed twice",
            "what is in it cannot be seen",
            post("application/json", BODY).header("content-encoding", "gzip, deflate"),
        ),
        unsupported(
            "a body of two types",
            "two readers may take two different ones",
            post("application/json", BODY).header("content-type", "text/plain"),
        ),
        scenario(
            "a gRPC call to a method whose answer is masked",
            "the frames of its answer cannot be read: the call is no way round the mask",
            Request::grpc("/inventory.v1.Open/Get"),
            Refusal::grpc(12, "Unsupported Media Type"),
        )
        .over_http2(),
        scenario(
            "the REST form of that method",
            "a rule for the method is for its twin",
            Request::get("/public/twin/7").answered_with(r#"{"email": "a@b.test"}"#),
            UpstreamSees::default().answered(r#"{"email": "***"}"#),
        ),
        moved(
            "a path under a prefix that moved",
            "the rest of the path and the query stay",
            "/public/moved/users/open/a%20b?x=%2e%2e",
            "/users/open/a%20b?x=%2e%2e",
        ),
        moved(
            "a path that only begins with the same letters",
            "a prefix is whole segments",
            "/public/movedx/users",
            "/public/movedx/users",
        ),
        scenario(
            "a moved path that is not allowed",
            "an open path is no door to one that is not",
            Request::get("/public/moved/admin"),
            forbidden(),
        ),
        scenario(
            "a moved path next to an allowed one",
            "an allowed prefix is whole segments",
            Request::get("/public/moved/users/opened"),
            forbidden(),
        ),
        scenario(
            "a moved path that climbs",
            "what is ambiguous is not rewritten",
            Request::get("/public/moved/users/open/..%2f..%2fadmin"),
            ambiguous_path(),
        ),
    ]
}
