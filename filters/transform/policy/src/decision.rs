//! What becomes of a request and of its response.

use std::rc::Rc;

use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderValue, PathError, Problem, Protocol, RequestHead,
    content,
};
use identity::Identity;
use request_match::{Ambiguity, Mode, Subject};

use crate::body::{Body, Ended};
use crate::config::{BodyRule, Policy, Transform};
use crate::counters::Counter;
use crate::reason::Reason;

/// What the adapter does with a request.
#[derive(Debug)]
pub enum Step {
    /// Sends it on.
    Forward(Forward),
    /// Answers it.
    Reply(Problem, Reason),
}

/// How a request goes on.
#[derive(Debug, Default)]
pub struct Forward {
    /// The edits of its headers.
    pub edits: HeaderEdits,
    /// What its body goes through.
    pub body: Option<Body>,
    /// What is to be done to its response.
    pub plan: Option<Plan>,
    /// What to count.
    pub counters: Vec<Counter>,
}

/// What is to be done to a response, and to the trailers of both messages.
#[derive(Debug)]
pub struct Plan {
    transform: Rc<Transform>,
    /// A response to HEAD has no body, whatever its headers say.
    is_head: bool,
}

/// What the adapter does with a response.
#[derive(Debug)]
pub enum Respond {
    /// Sends it on with these edits, its body through this.
    Forward {
        /// The edits of its headers.
        edits: HeaderEdits,
        /// What its body goes through.
        body: Option<Body>,
        /// What to count.
        counter: Option<Counter>,
    },
    /// Answers in its place.
    Reply(Problem, Reason),
}

/// Headers that would be wrong about a body that has been changed.
const ABOUT_THE_BODY: [&str; 7] = [
    "content-length",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "etag",
    "accept-ranges",
];

/// Headers by which a client asks for a part of a document.
const ASKING_FOR_A_PART: [&str; 2] = ["range", "if-range"];

/// Where this header is absent, any coding will do (RFC 9110 section 12.5.3).
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("accept-encoding");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

impl Policy {
    /// Whether a rule looks at the route, so that the filter has to ask the host for it.
    pub fn needs_route(&self) -> bool {
        self.rules.needs_route()
    }

    /// Whether a rule looks at the caller.
    pub fn needs_identity(&self) -> bool {
        self.needs_identity
    }

    /// Decides one request. Pure: the same arguments, the same step.
    ///
    /// `identity` is the record that auth has left, as the host hands it over; absent if there is none or no rule needs it.
    /// `end_of_stream`: nothing follows the headers.
    pub fn request(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
        identity: Option<&[u8]>,
        end_of_stream: bool,
    ) -> Step {
        self.try_request(head, route, identity, end_of_stream)
            .map_or_else(
                |reason| Step::Reply(reason.problem(), reason),
                Step::Forward,
            )
    }

    fn try_request(
        &self,
        head: &RequestHead,
        route: Option<&[u8]>,
        identity: Option<&[u8]>,
        end_of_stream: bool,
    ) -> Result<Forward, Reason> {
        let mut forward = Forward {
            edits: self.without_copies(head.headers()),
            ..Forward::default()
        };
        let identity = Identity::read(identity).map_err(|_| Reason::MalformedIdentity)?;
        let subject = match Subject::new(head, &self.twins) {
            Ok(subject) => subject.with_route(route).with_identity(&identity),
            // CONNECT: no path for a rule to match, and a tunnel that no rule could read.
            Err(Ambiguity::Path(PathError::Missing)) if !self.closes => {
                forward.counters.push(Counter::Unmatched);
                return Ok(forward);
            }
            Err(_) => return Err(Reason::Ambiguous),
        };
        let mut rules = self.rules.iter().filter(|rule| rule.mode != Mode::Off);
        let mut next = || rules.find(|rule| rule.matcher.matches(&subject));
        let mut rule = next();
        // A rule on trial takes nothing from those behind it: a mask among them must hold.
        if rule.is_some_and(|rule| rule.mode == Mode::Shadow) {
            forward.counters.push(Counter::Shadowed);
            while rule.is_some_and(|rule| rule.mode == Mode::Shadow) {
                rule = next();
            }
            if rule.is_none() {
                return Ok(forward);
            }
        }
        let Some(rule) = rule else {
            forward.counters.push(Counter::Unmatched);
            return Ok(forward);
        };
        forward.counters.push(Counter::Matched);
        rule.value
            .edit_request(&subject, end_of_stream, &mut forward)?;
        if rule.value.touches_response() || !rule.value.request.remove.is_empty() {
            forward.plan = Some(Plan {
                transform: Rc::clone(&rule.value),
                is_head: head.method() == b"HEAD",
            });
        }
        Ok(forward)
    }

    /// Decides the response to a request that went on with this plan. `end_of_stream`: nothing follows the headers.
    pub fn response(&self, plan: &Plan, headers: &HeaderMap, end_of_stream: bool) -> Respond {
        let mut edits = HeaderEdits::new();
        plan.transform.response.apply(headers, &mut edits);
        let mut body = None;
        let mut counter = None;
        if let Some(rule) = &plan.transform.response_body {
            let status = headers.get_all(":status").next().unwrap_or_default();
            // 101: what follows is another protocol's. 206: a part of a document.
            let readable = !matches!(status, b"101" | b"206") && content::is_json_document(headers);
            let is_unchanged = status == b"304";
            let bodiless = plan.is_head || is_unchanged || status == b"204";
            if end_of_stream || bodiless || content::is_empty(headers) {
                // These describe the answer to a GET, which would have been rewritten.
                if is_unchanged || (plan.is_head && (readable || !rule.pass)) {
                    remove_what_is_about_the_body(&mut edits);
                }
                body = (!end_of_stream).then(Body::absent);
            } else if readable {
                body = Some(rule.begin(&mut edits));
            } else if rule.pass {
                counter = Some(Counter::ResponseBodyPassed);
            } else {
                let reason = Reason::UndecodableResponse;
                return Respond::Reply(reason.problem(), reason);
            }
        }
        Respond::Forward {
            edits,
            body,
            counter,
        }
    }

    /// The edits of a request's trailers: what rules write, no client may send, and what was removed with the headers does
    /// not come back here. `body`: what became of the body that ends with them.
    pub fn request_trailers(
        &self,
        trailers: &HeaderMap,
        plan: Option<&Plan>,
        body: Option<Ended>,
    ) -> HeaderEdits {
        let mut edits = self.without_copies(trailers);
        if let Some(plan) = plan {
            plan.transform.request.removals(&mut edits);
        }
        if body == Some(Ended::Rewritten) {
            remove_what_is_about_the_body(&mut edits);
        }
        edits
    }

    /// The edits that remove a client's copies of what rules write.
    fn without_copies(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        for name in self.owned.matching(headers) {
            edits.remove(name);
        }
        edits
    }
}

impl Plan {
    /// Whether the response is looked at at all.
    pub fn touches_response(&self) -> bool {
        self.transform.touches_response()
    }

    /// The edits of a response's trailers: what was removed with the headers does not come back here. `body`: what became of
    /// the body that ends with them.
    pub fn response_trailers(&self, body: Option<Ended>) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        self.transform.response.removals(&mut edits);
        if body == Some(Ended::Rewritten) {
            remove_what_is_about_the_body(&mut edits);
        }
        edits
    }
}

fn remove_what_is_about_the_body(edits: &mut HeaderEdits) {
    for name in ABOUT_THE_BODY {
        edits.remove(name.as_bytes());
    }
}

impl Transform {
    fn touches_response(&self) -> bool {
        !self.response.is_empty() || self.response_body.is_some()
    }

    fn edit_request(
        &self,
        subject: &Subject<'_>,
        end_of_stream: bool,
        forward: &mut Forward,
    ) -> Result<(), Reason> {
        let head = subject.head();
        self.request.apply(head.headers(), &mut forward.edits);
        if let Some(rewrite) = &self.path
            && let Some(target) = rewrite.apply(subject.path(), head.query())?
        {
            forward.edits.set_path(target);
            forward.counters.push(Counter::PathRewritten);
        }
        if let Some(rule) = &self.request_body
            && !end_of_stream
        {
            if content::is_empty(head.headers()) {
                forward.body = Some(Body::absent());
            } else if content::is_json_document(head.headers()) {
                forward.body = Some(rule.begin(&mut forward.edits));
            } else if rule.pass {
                forward.counters.push(Counter::RequestBodyPassed);
            } else {
                return Err(Reason::UndecodableRequest);
            }
        }
        if let Some(rule) = &self.response_body {
            // The answer to frames is frames: a call whose answer would be withheld had better not be made.
            let framed = Protocol::of_content_type(head.content_type()) != Protocol::Http;
            if framed && !rule.pass {
                return Err(Reason::UndecodableRequest);
            }
            for name in ASKING_FOR_A_PART {
                forward.edits.remove(name.as_bytes());
            }
            forward.edits.set(ACCEPT_ENCODING, IDENTITY);
        }
        Ok(())
    }
}

impl BodyRule {
    fn begin(&self, edits: &mut HeaderEdits) -> Body {
        remove_what_is_about_the_body(edits);
        Body::new(Rc::clone(&self.program), self.pass)
    }
}

#[cfg(test)]
mod tests {
    use http_message::HeaderWrite;

    use super::*;

    const CONFIG: &str = r#"{
        "version": 1,
        "rules": [
            {
                "name": "customers",
                "match": { "path": { "prefix": "/customers" } },
                "request": {
                    "headers": { "set": { "x-team": "crm" }, "append": { "x-via": "gatehouse" },
                                 "remove": ["x-debug"], "rename": { "x-old": "x-new" } },
                    "body": [ { "remove": "/internal" } ]
                },
                "response": {
                    "headers": { "set": { "x-frame-options": "DENY" }, "remove": ["server"] },
                    "body": [ { "mask": "/customers/*/email" } ]
                }
            },
            {
                "name": "lenient",
                "match": { "path": { "prefix": "/lenient" } },
                "request": { "body": [ { "set": "/a", "value": null } ], "on_undecodable": "pass" },
                "response": { "body": [ { "mask": "/a" } ], "on_undecodable": "pass" }
            },
            {
                "name": "moved",
                "match": { "path": { "prefix": "/api" } },
                "request": { "path": { "replace_prefix": { "from": "/api", "to": "/" }, "allowed_paths": ["/users"] } }
            },
            {
                "name": "staff",
                "match": { "identity": { "groups": ["staff"] } },
                "mode": "shadow",
                "response": { "headers": { "remove": ["x-internal"] } }
            }
        ]
    }"#;

    fn policy() -> Policy {
        Policy::from_bytes(CONFIG.as_bytes()).unwrap()
    }

    fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> RequestHead {
        let pseudo = [(":method", method), (":path", path)];
        RequestHead::new(HeaderMap::from_pairs(
            pseudo.into_iter().chain(headers.iter().copied()),
        ))
    }

    fn forward(head: &RequestHead, end_of_stream: bool) -> Forward {
        match policy().request(head, None, None, end_of_stream) {
            Step::Forward(forward) => forward,
            Step::Reply(_, reason) => panic!("refused: {reason:?}"),
        }
    }

    fn refusal(head: &RequestHead, identity: Option<&[u8]>) -> Reason {
        match policy().request(head, None, identity, false) {
            Step::Reply(_, reason) => reason,
            Step::Forward(forward) => panic!("forwarded: {forward:?}"),
        }
    }

    fn writes(edits: &HeaderEdits, headers: &HeaderMap) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        edits
            .writes(headers)
            .into_iter()
            .map(|write| match write {
                HeaderWrite::Remove(name) => format!("-{}", text(name)),
                HeaderWrite::Replace(name, value) => format!("{}={}", text(name), text(value)),
                HeaderWrite::Add(name, value) => format!("{}+{}", text(name), text(value)),
            })
            .collect()
    }

    #[test]
    fn a_rule_edits_the_head() {
        let head = head(
            "GET",
            "/customers",
            &[
                ("x_team", "mine"),
                ("x-team", "mine"),
                ("x-new", "mine"),
                ("x-old", "a"),
                ("x-old", "b"),
                ("x-via", "cdn"),
                ("x-debug", "1"),
                ("accept-encoding", "gzip"),
                ("range", "bytes=0-1"),
            ],
        );
        let forward = forward(&head, true);
        let mut found = writes(&forward.edits, head.headers());
        found.sort();
        assert_eq!(
            found,
            [
                "-range",
                "-x-debug",
                "-x-old",
                "-x_team",
                "accept-encoding=identity",
                "x-new+b",
                "x-new=a",
                "x-team=crm",
                "x-via+gatehouse",
            ]
        );
        assert!(forward.body.is_none());
        assert_eq!(forward.counters, [Counter::Matched]);
    }

    // Where a rule writes a header on one path, an upstream trusts it on every path.
    #[test]
    fn a_clients_copies_are_removed_where_no_rule_matches_too() {
        let other = head(
            "GET",
            "/other",
            &[("x-team", "mine"), ("x_new", "mine"), ("x-old", "a")],
        );
        let mut found = writes(&forward(&other, true).edits, other.headers());
        found.sort();
        assert_eq!(found, ["-x-team", "-x_new"]);
        let trailers = HeaderMap::from_pairs([("x.team", "a"), ("x-debug", "b"), ("x", "c")]);
        let here = forward(&head("GET", "/customers", &[]), true);
        let edits = policy().request_trailers(&trailers, here.plan.as_ref(), None);
        assert_eq!(writes(&edits, &trailers), ["-x.team", "-x-debug"]);
    }

    #[test]
    fn a_request_that_cannot_be_read_is_refused_unless_it_may_pass() {
        for headers in [
            &[("content-type", "text/plain")][..],
            &[],
            &[
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
            ],
            &[("content-type", "application/grpc+json")],
        ] {
            let strict = head("POST", "/customers", headers);
            assert_eq!(
                refusal(&strict, None),
                Reason::UndecodableRequest,
                "{headers:?}"
            );
            let lenient = forward(&head("POST", "/lenient", headers), false);
            assert!(lenient.body.is_none());
            assert_eq!(
                lenient.counters,
                [Counter::Matched, Counter::RequestBodyPassed]
            );
        }
        let json = [
            ("content-type", "application/json"),
            ("content-length", "7"),
            ("digest", "x"),
        ];
        let json = head("POST", "/customers", &json);
        let read = forward(&json, false);
        assert!(read.body.is_some());
        let found = writes(&read.edits, json.headers());
        for name in ["-content-length", "-digest"] {
            assert!(found.iter().any(|write| write == name), "{found:?}");
        }
    }

    #[test]
    fn a_rewritten_path_is_one_of_those_allowed() {
        let users = head("GET", "/api/users?x=1", &[]);
        let forward = forward(&users, true);
        assert_eq!(
            writes(&forward.edits, users.headers()),
            [":path=/users?x=1"]
        );
        assert_eq!(forward.counters, [Counter::Matched, Counter::PathRewritten]);
        assert_eq!(
            refusal(&head("GET", "/api/admin", &[]), None),
            Reason::PathNotAllowed
        );
        assert_eq!(
            refusal(&head("GET", "/api/users/..%2fadmin", &[]), None),
            Reason::Ambiguous
        );
    }

    #[test]
    fn what_is_ambiguous_is_refused_whatever_the_rules_are() {
        for path in ["//customers", "/a/../customers", "/customers%00", "*"] {
            assert_eq!(
                refusal(&head("GET", path, &[]), None),
                Reason::Ambiguous,
                "{path}"
            );
        }
        let connect = RequestHead::new(HeaderMap::from_pairs([
            (":method", "CONNECT"),
            (":authority", "a:1"),
        ]));
        assert_eq!(refusal(&connect, None), Reason::Ambiguous);
        assert_eq!(
            refusal(&head("GET", "/other", &[]), Some(b"\xff")),
            Reason::MalformedIdentity
        );
    }

    #[test]
    fn shadow_edits_nothing_and_counts() {
        let staff = Identity {
            kind: identity::CredentialKind::ApiKey,
            credential_id: "ci".to_owned(),
            groups: vec!["staff".to_owned()],
            ..Identity::anonymous()
        };
        let head = head("GET", "/other", &[]);
        let Step::Forward(forward) = policy().request(&head, None, Some(&staff.encode()), true)
        else {
            panic!("refused")
        };
        assert!(forward.edits.is_empty() && forward.plan.is_none());
        assert_eq!(forward.counters, [Counter::Shadowed]);
        // A rule on trial in front of one that masks must not switch it off.
        let config = r#"{"version":1,"rules":[
            {"name":"trial","mode":"shadow","response":{"headers":{"remove":["x"]}}},
            {"name":"second","mode":"shadow","response":{"headers":{"remove":["x"]}}},
            {"name":"mask","response":{"body":[{"mask":"/a"}]}}]}"#;
        let both = Policy::from_bytes(config.as_bytes()).unwrap();
        let Step::Forward(forward) = both.request(&head, None, None, true) else {
            panic!("refused")
        };
        assert!(
            forward
                .plan
                .is_some_and(|plan| plan.transform.response_body.is_some())
        );
        assert_eq!(forward.counters, [Counter::Shadowed, Counter::Matched]);
        assert!(policy().needs_identity() && !policy().needs_route());
    }

    fn respond(method: &str, path: &str, headers: &[(&str, &str)], end_of_stream: bool) -> Respond {
        let forward = forward(&head(method, path, &[]), true);
        let headers = HeaderMap::from_pairs(headers.iter().copied());
        policy().response(&forward.plan.unwrap(), &headers, end_of_stream)
    }

    // An error page, a range or a compressed answer holds what would have been masked.
    #[test]
    fn a_response_that_cannot_be_read_is_replaced_unless_it_may_pass() {
        let json = ("content-type", "application/json");
        for headers in [
            &[(":status", "200"), ("content-type", "text/html")][..],
            &[(":status", "500")],
            &[(":status", "200"), json, ("content-encoding", "br")],
            &[(":status", "206"), json],
            &[(":status", "200"), json, ("content-range", "bytes 0-1/2")],
            &[(":status", "101")],
            &[(":status", "200"), ("content-type", "text/event-stream")],
            &[(":status", "200"), ("content-type", "application/grpc")],
        ] {
            assert!(
                matches!(
                    respond("GET", "/customers", headers, false),
                    Respond::Reply(_, Reason::UndecodableResponse)
                ),
                "{headers:?}"
            );
            let passed = respond("GET", "/lenient", headers, false);
            assert!(
                matches!(
                    passed,
                    Respond::Forward {
                        body: None,
                        counter: Some(Counter::ResponseBodyPassed),
                        ..
                    }
                ),
                "{headers:?}"
            );
        }
    }

    // What it says is of the answer to a GET. Where that one is rewritten, its length and its digests tell what was hidden.
    #[test]
    fn a_response_without_a_body_says_nothing_of_the_one_that_is_hidden() {
        let not_json = [
            (":status", "200"),
            ("content-type", "text/html"),
            ("content-length", "9"),
            ("etag", "x"),
        ];
        let strict = "/customers";
        for (method, path, status, end_of_stream, kept) in [
            ("HEAD", strict, "200", false, false),
            ("HEAD", strict, "200", true, false),
            ("GET", strict, "304", false, false),
            ("GET", "/lenient", "304", true, false),
            ("GET", strict, "204", false, true),
            ("GET", strict, "200", true, true),
            // A GET would pass as it is.
            ("HEAD", "/lenient", "200", true, true),
        ] {
            let mut headers = not_json;
            headers[0].1 = status;
            let Respond::Forward {
                edits,
                body,
                counter: None,
            } = respond(method, path, &headers, end_of_stream)
            else {
                panic!("{method} {status}")
            };
            assert_eq!(body.is_none(), end_of_stream, "{method} {status}");
            let mut found = writes(&edits, &HeaderMap::from_pairs(headers));
            found.retain(|write| write != "x-frame-options+DENY");
            let removed: &[&str] = match kept {
                true => &[],
                false => &["-content-length", "-etag"],
            };
            assert_eq!(found, removed, "{method} {path} {status}");
        }
    }

    #[test]
    fn a_changed_body_loses_what_was_said_of_it() {
        let headers = [
            (":status", "200"),
            ("content-type", "application/problem+json"),
            ("content-length", "9"),
            ("etag", "\"x\""),
            ("accept-ranges", "bytes"),
            ("server", "x"),
        ];
        let Respond::Forward {
            edits,
            body: Some(mut body),
            ..
        } = respond("GET", "/customers", &headers, false)
        else {
            panic!()
        };
        let mut found = writes(&edits, &HeaderMap::from_pairs(headers));
        found.sort();
        assert_eq!(
            found,
            [
                "-accept-ranges",
                "-content-length",
                "-etag",
                "-server",
                "x-frame-options+DENY"
            ]
        );
        let crate::Chunk::Replaced(out) = body.chunk(br#"{"customers":[{"email":"a"}]}"#).unwrap()
        else {
            panic!()
        };
        assert_eq!(out, br#"{"customers":[{"email":"***"}]}"#);
    }

    fn refused(rule: &str) -> String {
        let config = format!(r#"{{"version":1,"rules":[{{"name":"a",{rule}}}]}}"#);
        Policy::from_bytes(config.as_bytes())
            .expect_err("must be refused")
            .to_string()
    }

    // Each fault is told with its path, so that an operator need not search.
    #[test]
    fn faults_are_told_with_their_path() {
        for (rule, message) in [
            (
                r#""request":{"headers":{"set":{"content-length":"1"}}}"#,
                "rules[0].request.headers.set.content-length: that header is not for filters to write",
            ),
            (
                r#""response":{"headers":{"remove":["Transfer-Encoding"]}}"#,
                "rules[0].response.headers.remove",
            ),
            (
                r#""response":{"headers":{"set":{"grpc-status":"0"}}}"#,
                "rules[0].response.headers.set.grpc-status: that header is not for filters to write",
            ),
            (
                r#""request":{"headers":{}}"#,
                "rules[0].request.headers: name at least one of set, append, remove, rename",
            ),
            (
                r#""request":{"body":[{}]}"#,
                "rules[0].request.body[0]: needs exactly one of remove, mask, set",
            ),
            (
                r#""request":{"body":[{"remove":"/a","set":"/b"}]}"#,
                "rules[0].request.body[0]: needs exactly one of remove, mask, set",
            ),
            (
                r#""request":{"body":[{"set":"/a"}]}"#,
                "rules[0].request.body[0]: set needs a value",
            ),
            (
                r#""request":{"body":[{"mask":"/a","value":1}]}"#,
                "rules[0].request.body[0].value: is for set and add",
            ),
            (
                r#""request":{"body":[{"remove":"/a","with":"x"}]}"#,
                "rules[0].request.body[0].with: is for mask",
            ),
            (
                r#""response":{"body":[{"mask":"email"}]}"#,
                "rules[0].response.body[0].mask: a path begins with /, as in /user/email",
            ),
            (
                r#""response":{"on_undecodable":"pass"}"#,
                "rules[0].response.on_undecodable: says what becomes of a body, and there is no body rule here",
            ),
            (
                r#""request":{"path":{"replace_prefix":{"from":"/a","to":"/admin"},"allowed_paths":["/b"]}}"#,
                "rules[0].request.path.replace_prefix.to: leads to none of allowed_paths",
            ),
            (
                r#""request":{"headers":{"set":{"x-a":"1"},"rename":{"x_a":"x-b"}}}"#,
                "rules[0].request.headers.rename.x_a: this rule writes that header, so there is nothing to rename",
            ),
            (
                r#""response":{"headers":{"rename":{"x-a":"x-b","x-b":"x-c"}}}"#,
                "rules[0].response.headers.rename.x-b: this rule writes that header, so there is nothing to rename",
            ),
            (
                r#""response":{"headers":{"rename":{"x-a":"X-A"}}}"#,
                "rules[0].response.headers.rename.x-a: this rule writes that header",
            ),
            // A client would tell Envoy where to go, and a filter behind this one who it is.
            (
                r#""request":{"headers":{"rename":{"x-a":"x-envoy-original-dst-host"}}}"#,
                "rules[0].request.headers.rename.x-a: proxies act on that header",
            ),
            (
                r#""request":{"headers":{"rename":{"x-a":"X_Forwarded-Host"}}}"#,
                "rules[0].request.headers.rename.x-a: proxies act on that header",
            ),
            (
                r#""request":{"headers":{"set":{":path":"/admin"}}}"#,
                "rules[0].request.headers.set",
            ),
            (
                r#""request":{"headers":{"set":{"x-a":"b\r\nx-user: root"}}}"#,
                "rules[0].request.headers.set.x-a",
            ),
            (
                r#""response":{"headers":{"append":{"x-a":"b\u0000"}}}"#,
                "rules[0].response.headers.append.x-a",
            ),
            (
                r#""request":{"headers":{"set":{"Host":"admin"}}}"#,
                "rules[0].request.headers.set.host: that header is not for filters to write",
            ),
            (
                r#""request":{"headers":{"rename":{"x-a":"transfer_encoding"}}}"#,
                "rules[0].request.headers.rename.transfer_encoding: that header is not for filters to write",
            ),
            (
                r#""request":{"headers":{"set":{"x-a":"1","x_a":"2"}}}"#,
                "rules[0].request.headers: x_a is written twice",
            ),
            (
                r#""request":{"query":{}}"#,
                "rules[0].request.query: unknown field",
            ),
            (
                r#""response":{"body":[{"convert":"/a"}]}"#,
                "rules[0].response.body[0].convert: unknown field",
            ),
            (
                r#""response":{"body":[{"rename":"/a"}]}"#,
                "rules[0].response.body[0]: rename needs to",
            ),
            (
                r#""response":{"body":[{"rename":"/a/*","to":"b"}]}"#,
                "rules[0].response.body[0].rename: the path has to end with a name",
            ),
            (
                r#""response":{"body":[{"rename":"/a","to":"b"},{"rename":"/c","to":"b"}]}"#,
                "rules[0].response.body[1].rename: another rename may give",
            ),
            (
                r#""response":{"body":[{"keep_only":""}]}"#,
                "rules[0].response.body[0]: keep_only needs members",
            ),
            (
                r#""response":{"body":[{"keep_only":"/a","members":[]}]}"#,
                "rules[0].response.body[0].members: expected",
            ),
            (
                r#""response":{"body":[{"add":"/a"}]}"#,
                "rules[0].response.body[0]: add needs a value",
            ),
            (
                r#""response":{"body":[{"remove":"/a/**"}]}"#,
                "rules[0].response.body[0].remove: after ** comes",
            ),
        ] {
            let found = refused(rule);
            assert!(found.starts_with(message), "{rule}: {found}");
        }
    }
}
