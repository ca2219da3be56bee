//! What users of other gateways know of edits of headers and queries, of paths, hosts and methods, case by case.

use http_message::{HeaderMap, RequestHead};
use transform_policy::{Facts, Policy, Step};

/// What is done, the rule's `request`, what comes, and what goes on or why it does not. A message is its method and target,
/// then its headers, parted by bars.
const CASES: [(&str, &str, &str, &str); 71] = [
    // Headers.
    (
        "set replaces every value",
        r#""headers":[{"set":"x-a","value":"9"}]"#,
        "GET /|x-b: 1",
        "GET /|x-a: 9|x-b: 1",
    ),
    (
        "what a rule sets, a client cannot say",
        r#""headers":[{"set":"x-a","value":"9"}]"#,
        "GET /|x-a: 1|x-a: 2|x_a: 3",
        "GET /|x-a: 9",
    ),
    (
        "add makes what is missing",
        r#""headers":[{"add":"x-a","value":"9"}]"#,
        "GET /",
        "GET /|x-a: 9",
    ),
    (
        "add never changes",
        r#""headers":[{"add":"x-a","value":"9"}]"#,
        "GET /|x-a: 1|x-a: 2",
        "GET /|x-a: 1|x-a: 2",
    ),
    (
        "add leaves an empty value",
        r#""headers":[{"add":"x-a","value":"9"}]"#,
        "GET /|x-a: ",
        "GET /|x-a: ",
    ),
    (
        "append to a missing header makes it",
        r#""headers":[{"append":"x-a","value":"9"}]"#,
        "GET /",
        "GET /|x-a: 9",
    ),
    (
        "append is one more value",
        r#""headers":[{"append":"x-a","value":"9"}]"#,
        "GET /|x-a: 1",
        "GET /|x-a: 1|x-a: 9",
    ),
    (
        "append appends what is there already",
        r#""headers":[{"append":"x-a","value":"1"}]"#,
        "GET /|x-a: 1",
        "GET /|x-a: 1|x-a: 1",
    ),
    (
        "remove takes every value",
        r#""headers":[{"remove":"X-A"}]"#,
        "GET /|x-a: 1|x-b: 2|x-a: 3",
        "GET /|x-b: 2",
    ),
    (
        "remove takes every spelling",
        r#""headers":[{"remove":"x-a"}]"#,
        "GET /|x_a: 1|x.a: 1|x-ab: 1",
        "GET /|x-ab: 1",
    ),
    (
        "remove of a missing header is no fault",
        r#""headers":[{"remove":"x-a"}]"#,
        "GET /|x-b: 2",
        "GET /|x-b: 2",
    ),
    (
        "a prefix takes its family",
        r#""headers":[{"remove_prefix":"x-internal-"}]"#,
        "GET /|x-internal-a: 1|x_internal_b: 1|x-internal: 1",
        "GET /|x-internal: 1",
    ),
    (
        "a prefix leaves what frames a message",
        r#""headers":[{"remove_prefix":"c"}]"#,
        "POST /|content-type: a/b|content-length: 0|content-language: x|cookie: c",
        "POST /|content-length: 0|content-type: a/b|cookie: c",
    ),
    (
        "rename moves every value",
        r#""headers":[{"rename":"x-a","to":"x-b"}]"#,
        "GET /|x-a: 1|x-a: 2",
        "GET /|x-b: 1|x-b: 2",
    ),
    (
        "rename onto an existing name replaces",
        r#""headers":[{"rename":"x-a","to":"x-b"}]"#,
        "GET /|x-b: 3|x-a: 1",
        "GET /|x-b: 1",
    ),
    (
        "rename of a missing header does nothing",
        r#""headers":[{"rename":"x-a","to":"x-b"}]"#,
        "GET /|x-c: 1",
        "GET /|x-c: 1",
    ),
    (
        "rename that changes only capitals does nothing",
        r#""headers":[{"rename":"X-A","to":"x-a"}]"#,
        "GET /|x-a: 1",
        "GET /|x-a: 1",
    ),
    (
        "renames follow one another",
        r#""headers":[{"rename":"x-a","to":"x-b"},{"rename":"x-b","to":"x-c"}]"#,
        "GET /|x-a: 1",
        "GET /|x-c: 1",
    ),
    (
        "a value that is set can be renamed",
        r#""headers":[{"set":"x-a","value":"9"},{"rename":"x-a","to":"x-b"}]"#,
        "GET /|x-a: 1",
        "GET /|x-b: 9",
    ),
    (
        "a default, and a rename over it",
        r#""headers":[{"set":"x-b","value":"9"},{"rename":"x-a","to":"x-b"}]"#,
        "GET /|x-a: 1",
        "GET /|x-b: 1",
    ),
    (
        "a default that stays",
        r#""headers":[{"set":"x-b","value":"9"},{"rename":"x-a","to":"x-b"}]"#,
        "GET /",
        "GET /|x-b: 9",
    ),
    (
        "copy leaves the old name",
        r#""headers":[{"copy":"x-a","to":"x-b"}]"#,
        "GET /|x-a: 1",
        "GET /|x-a: 1|x-b: 1",
    ),
    (
        "copy replaces",
        r#""headers":[{"copy":"x-request-id","to":"x-b"}]"#,
        "GET /|x-b: 2|x-request-id: 7",
        "GET /|x-b: 7|x-request-id: 7",
    ),
    (
        "remove, then add",
        r#""headers":[{"remove":"x-a"},{"add":"x-a","value":"9"}]"#,
        "GET /|x-a: 1",
        "GET /|x-a: 9",
    ),
    (
        "add, then remove",
        r#""headers":[{"add":"x-a","value":"9"},{"remove":"x-a"}]"#,
        "GET /|x-b: 1",
        "GET /|x-b: 1",
    ),
    (
        "append, then dedupe",
        r#""headers":[{"append":"x-a","value":"1"},{"dedupe":"x-a","keep":"unique"}]"#,
        "GET /|x-a: 1|x-a: 2",
        "GET /|x-a: 1|x-a: 2",
    ),
    (
        "dedupe keeps the first",
        r#""headers":[{"dedupe":"x-a","keep":"first"}]"#,
        "GET /|x-a: 1|x-a: 2|x-a: 1",
        "GET /|x-a: 1",
    ),
    (
        "dedupe keeps the last",
        r#""headers":[{"dedupe":"x-a","keep":"last"}]"#,
        "GET /|x-a: 1|x-a: 2|x-a: 3",
        "GET /|x-a: 3",
    ),
    (
        "dedupe keeps one of each",
        r#""headers":[{"dedupe":"x-a","keep":"unique"}]"#,
        "GET /|x-a: 2|x-a: 1|x-a: 2",
        "GET /|x-a: 2|x-a: 1",
    ),
    (
        "keep_only drops the rest",
        r#""headers":[{"keep_only":["x-a","x-app-*"]}]"#,
        "GET /|x-a: 1|x_a: 1|x-b: 1|x-app-c: 1|user-agent: u",
        "GET /|x-a: 1|x-app-c: 1",
    ),
    (
        "keep_only leaves what a message needs",
        r#""headers":[{"keep_only":["x-a"]}]"#,
        "POST /|accept: j|authorization: b|content-type: a/b|content-length: 2|te: trailers|grpc-timeout: 1S|traceparent: t|x-request-id: 7|x-forwarded-proto: https|x-gatehouse-version: 1|x-envoy-a: 1|sec-websocket-key: k|x-drop: 1",
        "POST /|accept: j|authorization: b|content-length: 2|content-type: a/b|grpc-timeout: 1S|sec-websocket-key: k|te: trailers|traceparent: t|x-envoy-a: 1|x-forwarded-proto: https|x-gatehouse-version: 1|x-request-id: 7",
    ),
    // Queries.
    (
        "set replaces a parameter in its place",
        r#""query":[{"set":"a","value":"9"}]"#,
        "GET /?x=1&a=2&y=3&a=4",
        "GET /?x=1&a=9&y=3",
    ),
    (
        "set adds one that is missing",
        r#""query":[{"set":"a","value":"9"}]"#,
        "GET /",
        "GET /?a=9",
    ),
    (
        "set behind others",
        r#""query":[{"set":"a","value":"9"}]"#,
        "GET /?b=%7e",
        "GET /?b=%7e&a=9",
    ),
    (
        "set takes every spelling",
        r#""query":[{"set":"user_id","value":"9"}]"#,
        "GET /?user%5Fid=1&USER-ID=2&user.id[]=3&%2575ser_id=4&+user_id=5&user_id%5B%5D=6",
        "GET /?user_id=9",
    ),
    (
        "set takes a copy behind a semicolon",
        r#""query":[{"set":"a","value":"9"}]"#,
        "GET /?x=1;a=2;y=3",
        "GET /?x=1;y=3&a=9",
    ),
    (
        "set takes what hangs on a copy",
        r#""query":[{"set":"a","value":"9"}]"#,
        "GET /?a=2;x=1",
        "GET /?a=9",
    ),
    (
        "what is put in is encoded",
        r#""query":[{"set":"a b","value":"1&c=2 é+%"}]"#,
        "GET /",
        "GET /?a%20b=1%26c%3D2%20%C3%A9%2B%25",
    ),
    (
        "untouched bytes stay",
        r#""query":[{"remove":"a"}]"#,
        "GET /?&&b=+%20%zz&a=1&c&d==&",
        "GET /?&&b=+%20%zz&c&d==&",
    ),
    (
        "add makes what is missing",
        r#""query":[{"add":"a","value":"9"}]"#,
        "GET /?b=1",
        "GET /?b=1&a=9",
    ),
    (
        "add never changes",
        r#""query":[{"add":"a","value":"9"}]"#,
        "GET /?%61=1&a=2",
        "GET /?%61=1&a=2",
    ),
    (
        "add leaves an empty value",
        r#""query":[{"add":"a","value":"9"}]"#,
        "GET /?a",
        "GET /?a",
    ),
    (
        "remove takes every copy",
        r#""query":[{"remove":"a"}]"#,
        "GET /?a=1&b=2&%61=3&A=4",
        "GET /?b=2",
    ),
    (
        "remove of the last takes the mark",
        r#""query":[{"remove":"a"}]"#,
        "GET /p?a=1",
        "GET /p",
    ),
    (
        "remove of a missing one changes nothing",
        r#""query":[{"remove":"a"}]"#,
        "GET /p?",
        "GET /p?",
    ),
    (
        "rename keeps the bytes of the value",
        r#""query":[{"rename":"q","to":"query"}]"#,
        "GET /?q=a+b%2f&x=1&q=2",
        "GET /?query=a+b%2f&x=1&query=2",
    ),
    (
        "rename onto an existing name replaces",
        r#""query":[{"rename":"q","to":"query"}]"#,
        "GET /?query=1&q=2&QUERY=3",
        "GET /?query=2",
    ),
    (
        "rename of a missing one does nothing",
        r#""query":[{"rename":"q","to":"query"}]"#,
        "GET /?query=1",
        "GET /?query=1",
    ),
    (
        "rename to other capitals",
        r#""query":[{"rename":"Page","to":"page"}]"#,
        "GET /?Page=1",
        "GET /?page=1",
    ),
    (
        "keep_only drops the rest",
        r#""query":[{"keep_only":["a","b"]}]"#,
        "GET /?a=1&c=2&b=3&d&%61=4",
        "GET /?a=1&b=3&%61=4",
    ),
    (
        "keep_only drops other spellings",
        r#""query":[{"keep_only":["a"]}]"#,
        "GET /?A=1&a[]=2&a=3;admin=1",
        "GET /?a=3",
    ),
    (
        "query edits follow one another",
        r#""query":[{"rename":"q","to":"query"},{"set":"query","value":"9"},{"add":"query","value":"8"}]"#,
        "GET /?q=1",
        "GET /?query=9",
    ),
    // Paths.
    (
        "a prefix is stripped by whole segments",
        r#""path":{"strip_prefix":"/api","allowed_paths":["/"]}"#,
        "GET /api/users?a=%41",
        "GET /users?a=%41",
    ),
    (
        "a path that only begins alike stays",
        r#""path":{"strip_prefix":"/api","allowed_paths":["/"]}"#,
        "GET /apis/users",
        "GET /apis/users",
    ),
    (
        "nothing is left of a path",
        r#""path":{"strip_prefix":"/api","allowed_paths":["/"]}"#,
        "GET /api",
        "GET /",
    ),
    (
        "a path that stays keeps its spelling",
        r#""path":{"strip_prefix":"/api","allowed_paths":["/"]},"query":[{"set":"a","value":"9"}]"#,
        "GET /%75sers",
        "GET /%75sers?a=9",
    ),
    (
        "path and query together",
        r#""path":{"strip_prefix":"/api","allowed_paths":["/"]},"query":[{"remove":"a"}]"#,
        "GET /api/x?a=1&b=2",
        "GET /x?b=2",
    ),
    (
        "what is not allowed is refused",
        r#""path":{"strip_prefix":"/api","allowed_paths":["/users"]}"#,
        "GET /api/admin",
        "gatehouse_transform_path_not_allowed",
    ),
    (
        "a template",
        r#""path":{"template":{"from":"/api/{version}/users/{id}","to":"/users/{id}"},"allowed_paths":["/users"]}"#,
        "GET /api/v1/users/7",
        "GET /users/7",
    ),
    (
        "a pattern",
        r#""path":{"regex":{"pattern":"^/v[0-9]+/(.*)","substitution":"/\\1"},"allowed_paths":["/users"]}"#,
        "GET /v2/users/7",
        "GET /users/7",
    ),
    // Host and method.
    (
        "another host",
        r#""host":"api.internal""#,
        "GET /|:authority: api.test",
        "GET /|:authority: api.internal",
    ),
    (
        "another method",
        r#""method":"PATCH""#,
        "POST /|content-length: 2",
        "PATCH /|content-length: 2",
    ),
    ("HEAD stays", r#""method":"POST""#, "HEAD /", "HEAD /"),
    (
        "GET without a body",
        r#""method":"GET""#,
        "POST /|content-length: 0",
        "GET /|content-length: 0",
    ),
    (
        "GET with a body",
        r#""method":"GET""#,
        "POST /|content-length: 2",
        "gatehouse_transform_method_unfit",
    ),
    (
        "a call is POST",
        r#""method":"PUT""#,
        "POST /|content-type: application/grpc",
        "gatehouse_transform_method_unfit",
    ),
    // Presets.
    (
        "an id that can be trusted stays",
        r#""presets":["request_id"]"#,
        "GET /|x-request-id: 7",
        "GET /|x-request-id: 7",
    ),
    (
        "an id is made",
        r#""presets":["request_id"]"#,
        "GET /",
        "GET /|x-request-id: 07070707-0707-4707-8707-070707070707",
    ),
    (
        "an id that comes twice is replaced",
        r#""presets":["request_id"]"#,
        "GET /|x-request-id: 1|x-request-id: 2",
        "GET /|x-request-id: 07070707-0707-4707-8707-070707070707",
    ),
    (
        "a trace is made",
        r#""presets":["traceparent"]"#,
        "GET /|tracestate: a=1",
        "GET /|traceparent: 00-07070707070707070707070707070707-0707070707070707-01",
    ),
    (
        "a trace that is removed is made anew",
        r#""presets":["traceparent"],"headers":[{"remove":"traceparent"}]"#,
        "GET /|traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "GET /|traceparent: 00-07070707070707070707070707070707-0707070707070707-01",
    ),
];

fn head(text: &str) -> RequestHead {
    let mut lines = text.split('|');
    let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
    let pseudo = [(":method", method), (":path", path)];
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    RequestHead::new(HeaderMap::from_pairs(pseudo.into_iter().chain(headers)))
}

#[test]
fn requests_become_what_users_of_other_gateways_expect() {
    for (name, request, comes, expected) in CASES {
        let config = format!(r#"{{"version":1,"rules":[{{"name":"a","request":{{{request}}}}}]}}"#);
        let policy =
            Policy::from_bytes(config.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let head = head(comes);
        let draw = policy
            .needs_draw(&head)
            .then_some([7; transform_policy::DRAW_BYTES]);
        let has_body = comes.contains("content-length: 2");
        let mut facts = Facts::default();
        facts.draw = draw;
        let found = match policy.request(&head, &facts, !has_body, None) {
            Step::Reply(_, reason) => reason.code_details().to_owned(),
            Step::Await(_) | Step::Need(_) => "waits".to_owned(),
            Step::Forward(forward) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let mut names: Vec<String> = head
                    .headers()
                    .iter()
                    .map(|(name, _)| text(name))
                    .chain(forward.edits.iter().map(|edit| text(edit.name())))
                    .filter(|name| ![":method", ":path"].contains(&name.as_str()))
                    .collect();
                names.sort();
                names.dedup();
                let values = |name: &str| forward.edits.values(name.as_bytes(), head.headers());
                let one = |name: &str| {
                    values(name)
                        .iter()
                        .map(|value| text(value.as_bytes()))
                        .collect::<String>()
                };
                let mut lines = vec![format!("{} {}", one(":method"), one(":path"))];
                for name in names {
                    let of = values(&name);
                    lines.extend(
                        of.iter()
                            .map(|value| format!("{name}: {}", text(value.as_bytes()))),
                    );
                }
                lines.join("|")
            }
        };
        assert_eq!(found, expected, "{name}");
    }
}
