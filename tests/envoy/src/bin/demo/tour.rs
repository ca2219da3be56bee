//! The requests of the tour, and what is expected of each.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use envoy_harness::{Gateway, demo_key};
use serde_json::Value;

use crate::answer::Answer;

/// Where things are that commands refer to.
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    pub(crate) origin: String,
    pub(crate) issuer: String,
}

/// One request.
pub(crate) struct Step {
    pub(crate) title: &'static str,
    /// A line for a shell: what is shown is what is run.
    pub(crate) command: String,
    /// Headers of the answer that tell something.
    pub(crate) headers: &'static [&'static str],
    /// Headers whose fate the upstream tells.
    pub(crate) upstream: &'static [&'static str],
    expect: Vec<Expect>,
}

/// One thing that must be so.
enum Expect {
    Status(u16),
    /// A header of the answer holds that text.
    Header(&'static str, &'static str),
    /// The upstream got that header with that one value.
    Sees(&'static str, &'static str),
    /// The upstream did not get that header.
    SeesNo(&'static str),
    Service(&'static str),
    Path(&'static str),
    /// The body holds that text.
    Body(&'static str),
    /// The access log has that value in that field.
    Logged(&'static str, &'static str),
}

/// What came of a step.
pub(crate) struct Outcome {
    pub(crate) answer: Option<Answer>,
    /// The access log's line.
    pub(crate) logged: Option<Value>,
    /// What was not as expected.
    pub(crate) verdict: Result<(), Vec<String>>,
}

impl Step {
    /// Runs the command and compares.
    pub(crate) fn take(&self, gateway: &Gateway) -> Outcome {
        let output = Command::new("sh")
            .args(["-c", &self.command])
            .stdin(Stdio::null())
            .output();
        let (answer, printed) = match output {
            Ok(output) => (
                Answer::parse(&output.stdout),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ),
            Err(error) => (None, error.to_string()),
        };
        let Some(answer) = answer else {
            let verdict = Err(vec![format!("no answer: {}", printed.trim())]);
            return Outcome {
                answer: None,
                logged: None,
                verdict,
            };
        };
        // Envoy gives the id of a request back, and writes it into its access log.
        let logged = answer.header("x-request-id").next().map(|id| {
            gateway
                .envoy()
                .access_log_entry(|entry| entry["request_id"] == id)
        });
        let wrong: Vec<_> = self
            .expect
            .iter()
            .filter_map(|expect| expect.difference(&answer, logged.as_ref()))
            .collect();
        let verdict = if wrong.is_empty() { Ok(()) } else { Err(wrong) };
        Outcome {
            answer: Some(answer),
            logged,
            verdict,
        }
    }
}

impl Expect {
    fn difference(&self, answer: &Answer, logged: Option<&Value>) -> Option<String> {
        let sees = |name: &str| answer.echo().map(|echo| echo.header(name).join(", "));
        let (holds, wanted) = match self {
            Self::Status(status) => (answer.status == *status, format!("status {status}")),
            Self::Header(name, part) => (
                answer.header(name).any(|value| value.contains(part)),
                format!("{name}: {part}"),
            ),
            Self::Sees(name, value) => (
                sees(name).as_deref() == Some(*value),
                format!("the upstream to see {name}: {value}"),
            ),
            Self::SeesNo(name) => (
                sees(name).as_deref() == Some(""),
                format!("the upstream to see no {name}"),
            ),
            Self::Service(name) => (
                answer.echo().is_some_and(|echo| echo.service == *name),
                format!("an answer of the service {name}"),
            ),
            Self::Path(path) => (
                answer.echo().is_some_and(|echo| echo.path == *path),
                format!("the upstream to see the path {path}"),
            ),
            Self::Body(part) => (answer.body.contains(part), format!("{part} in the body")),
            Self::Logged(field, value) => (
                logged.is_some_and(|entry| entry[*field] == *value),
                format!("{field}={value} in the access log"),
            ),
        };
        (!holds).then(|| format!("expected {wanted}"))
    }
}

/// The tour.
pub(crate) fn steps(places: &Places) -> Vec<Step> {
    use Expect::{Body, Header, Logged, Path, Sees, SeesNo, Service, Status};

    let Places { folder, origin, .. } = places;
    let folder = folder.display();
    // A proxy that the reader's shell is set up for knows nothing of this machine's loopback.
    let proxied = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let noproxy = if proxied { " --noproxy '*'" } else { "" };
    let curl = |arguments: &str, path: &str| {
        let arguments = if arguments.is_empty() {
            String::new()
        } else {
            format!("{arguments} ")
        };
        format!("curl -si{noproxy} --cacert {folder}/ca.pem {arguments}'{origin}{path}'")
    };
    let grpc = |credential: &str, call: &str| {
        let client = upstreams_program();
        let address = origin.trim_start_matches("https://");
        format!("{client} call -i --address {address} --ca {folder}/ca.pem {credential} {call}")
    };
    let key = |id: &str| format!("-H 'x-api-key: {}'", demo_key(id));
    let bearer = |file: &str| format!("-H \"authorization: Bearer $(cat {folder}/{file}.jwt)\"");

    vec![
        Step {
            title: "Health needs no credential and no upstream",
            command: curl("", "/healthz"),
            headers: &[],
            upstream: &[],
            expect: vec![
                Status(200),
                Logged("rule", "health"),
                Logged("identity", "anonymous"),
            ],
        },
        Step {
            title: "Without a credential nothing else answers; the challenges say what would be taken",
            command: curl("", "/users/17"),
            headers: &["www-authenticate", "content-type"],
            upstream: &[],
            expect: vec![
                Status(401),
                Header("content-type", "application/problem+json"),
                Header("www-authenticate", "Bearer realm=\"api\""),
                Header("www-authenticate", "ApiKey realm=\"api\""),
                Logged("reason", "credential_missing"),
            ],
        },
        Step {
            title: "A wrong key gets the same answer; only the access log knows the difference",
            command: curl("-H 'x-api-key: guess'", "/users/17"),
            headers: &["www-authenticate"],
            upstream: &[],
            expect: vec![Status(401), Logged("decision", "deny")],
        },
        Step {
            title: "A right key: the upstream is told who calls, and never sees the key",
            command: curl(&key("acme-2026"), "/users/17"),
            headers: &[],
            upstream: &["x-consumer", "x-plan", "x-groups", "x-api-key"],
            expect: vec![
                Status(200),
                Service("users"),
                Sees("x-consumer", "acme"),
                Sees("x-plan", "gold"),
                SeesNo("x-api-key"),
                Logged("identity", "api_key:acme-2026"),
            ],
        },
        Step {
            title: "Nobody can say for himself who he is: a client's own identity headers are removed, on open paths too",
            command: curl(
                "-H 'x-user: root' -H 'x-authenticated-by: me'",
                "/public/prices",
            ),
            headers: &[],
            upstream: &["x-user", "x-authenticated-by"],
            expect: vec![
                Status(200),
                SeesNo("x-user"),
                SeesNo("x-authenticated-by"),
                Logged("rule", "public"),
            ],
        },
        Step {
            title: "A token (RS256) with the scope that reading orders takes",
            command: curl(&bearer("alice"), "/orders/4711"),
            headers: &[],
            upstream: &["x-user", "x-scopes", "x-groups", "authorization"],
            expect: vec![
                Status(200),
                Service("orders"),
                Sees("x-user", "alice"),
                SeesNo("authorization"),
            ],
        },
        Step {
            title: "Bob's token (ES256) is good, but lacks the scope",
            command: curl(&bearer("bob"), "/orders/4711"),
            headers: &["www-authenticate"],
            upstream: &[],
            expect: vec![
                Status(403),
                Header("www-authenticate", "insufficient_scope"),
            ],
        },
        Step {
            title: "A token of yesterday is no credential at all, not even where none is needed",
            command: curl(&bearer("expired"), "/public/prices"),
            headers: &["www-authenticate"],
            upstream: &[],
            expect: vec![Status(401), Logged("rule", "public")],
        },
        Step {
            title: "Admins prove two things at once: the machine by its key, the person by her token (EdDSA)",
            command: curl(
                &format!("{} {}", key("ops-2026"), bearer("carol")),
                "/admin/orders",
            ),
            headers: &[],
            upstream: &["x-user", "x-consumer", "x-groups"],
            expect: vec![
                Status(200),
                Sees("x-user", "carol"),
                Logged("rule", "admin"),
            ],
        },
        Step {
            title: "API version by path: the prefix is cut off, the upstream gets the version as a header; 1 is going",
            command: curl(&key("acme-2026"), "/v1/users/17"),
            headers: &["deprecation"],
            upstream: &["x-gatehouse-api-version"],
            expect: vec![
                Status(200),
                Path("/users/17"),
                Sees("x-gatehouse-api-version", "1"),
                Header("deprecation", "@"),
                Logged("route", "users-v1"),
            ],
        },
        Step {
            title: "API version by Accept",
            command: curl(
                &format!(
                    "{} -H 'accept: application/json;version=2'",
                    key("acme-2026")
                ),
                "/users/17",
            ),
            headers: &["deprecation"],
            upstream: &["x-gatehouse-api-version"],
            expect: vec![
                Status(200),
                Sees("x-gatehouse-api-version", "2"),
                Logged("route", "users-v2"),
            ],
        },
        Step {
            title: "A version that there is not",
            command: curl(
                &format!("{} -H 'x-api-version: 9'", key("acme-2026")),
                "/users/17",
            ),
            headers: &["content-type"],
            upstream: &[],
            expect: vec![
                Status(406),
                Header("content-type", "application/problem+json"),
            ],
        },
        Step {
            title: "A gRPC call, routed by service and method",
            command: format!(
                "{} --output -",
                curl(
                    &format!(
                        "{} -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @{folder}/empty.grpc",
                        key("acme-2026")
                    ),
                    "/users.v1.Users/Get"
                )
            ),
            headers: &["content-type"],
            upstream: &["x-gatehouse-grpc-service", "x-gatehouse-grpc-method"],
            expect: vec![
                Status(200),
                Sees("x-gatehouse-grpc-service", "users.v1.Users"),
                Sees("x-gatehouse-grpc-method", "Get"),
                Logged("route", "users-grpc"),
            ],
        },
        Step {
            title: "A path that two parsers could read differently is refused",
            command: curl(
                &format!("--path-as-is {}", key("acme-2026")),
                "/users/..%2fadmin/orders",
            ),
            headers: &[],
            upstream: &[],
            expect: vec![Status(400)],
        },
        Step {
            title: "A rule on trial (mode: shadow) lets through what it would refuse, and says so in the log",
            command: curl("", "/reports/2026"),
            headers: &[],
            upstream: &["x-user"],
            expect: vec![
                Status(200),
                Logged("rule", "reports"),
                Logged("decision", "shadow_deny"),
            ],
        },
        Step {
            title: "A real gRPC service behind it (inventory.v1.Stock): a unary call",
            command: grpc(&key("acme-2026"), r#"Stock/Get '{"id":"7"}'"#),
            headers: &["content-type"],
            upstream: &[],
            expect: vec![
                Status(200),
                Body("\"replica\":\"inventory-"),
                Body("\"caller\":\"acme\""),
                Body("grpc-status: 0 OK"),
                Logged("rule", "stock-get"),
                Logged("route", "stock"),
            ],
        },
        Step {
            title: "A stream of messages from the service",
            command: grpc(&key("acme-2026"), r#"Stock/Watch '{"id":"7","updates":3}'"#),
            headers: &[],
            upstream: &[],
            expect: vec![
                Status(200),
                Body("\"update\":3"),
                Body("grpc-status: 0 OK"),
                Logged("rule", "stock-watch"),
            ],
        },
        Step {
            title: "Both sides stream, until there is not enough left: the service's own status arrives as it is",
            command: grpc(
                &bearer("alice"),
                r#"Stock/Reserve '[{"id":"7","quantity":1},{"id":"7","quantity":100000}]'"#,
            ),
            headers: &[],
            upstream: &[],
            expect: vec![
                Status(200),
                Body("\"reserved\":1"),
                Body("grpc-status: 8 RESOURCE_EXHAUSTED"),
                Logged("rule", "stock-reserve"),
            ],
        },
        Step {
            title: "The same method by REST: Envoy's transcoder makes a call of it, and JSON of the answer",
            command: curl(&key("acme-2026"), "/stock/7"),
            headers: &["content-type"],
            upstream: &[],
            expect: vec![
                Status(200),
                Header("content-type", "application/json"),
                Body("\"replica\":\"inventory-"),
                // The rule is that of the method.
                Logged("rule", "stock-get"),
                Logged("route", "stock"),
            ],
        },
        Step {
            title: "Refused as gRPC: bob's token is good, but lacks the scope; the client reads PERMISSION_DENIED",
            command: grpc(&bearer("bob"), r#"Stock/Get '{"id":"7"}'"#),
            headers: &["www-authenticate"],
            upstream: &[],
            expect: vec![
                Status(200),
                Body("grpc-status: 7 PERMISSION_DENIED"),
                Logged("rule", "stock-get"),
                Logged("decision", "deny"),
            ],
        },
        Step {
            title: "Refused by REST, by the same rule",
            command: curl(&bearer("bob"), "/stock/7"),
            headers: &["content-type"],
            upstream: &[],
            expect: vec![
                Status(403),
                Header("content-type", "application/problem+json"),
                Logged("rule", "stock-get"),
            ],
        },
        Step {
            title: "Refused as gRPC-Web: HTTP 200 and the status where a browser's client looks for it",
            // curl 7.88 loses the answer to a POST over HTTP/2 that is given before the body was read (RFC 9113 section 8.1).
            command: format!(
                "{} --output -",
                curl(
                    &format!(
                        "--http1.1 -H 'content-type: application/grpc-web+proto' -H 'x-grpc-web: 1' --data-binary @{folder}/empty.grpc"
                    ),
                    "/inventory.v1.Stock/Get"
                )
            ),
            headers: &["content-type", "grpc-status", "grpc-message"],
            upstream: &[],
            expect: vec![
                Status(200),
                Header("content-type", "application/grpc-web+proto"),
                Header("grpc-status", "16"),
                Logged("reason", "credential_missing"),
            ],
        },
        Step {
            title: "A version that there is not, as gRPC: routing stands behind the bridges, and answers in kind too",
            command: grpc(
                &format!("{} -H 'x-api-version: 9'", key("acme-2026")),
                r#"Stock/Get '{"id":"7"}'"#,
            ),
            headers: &["x-gatehouse-supported-versions"],
            upstream: &[],
            expect: vec![Status(200), Body("grpc-status: 12 UNIMPLEMENTED")],
        },
    ]
}

/// The program `upstreams` as a reader in this folder would call it: cargo builds it with this one.
fn upstreams_program() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    crate::shortest(&program.with_file_name("upstreams"))
        .display()
        .to_string()
}
