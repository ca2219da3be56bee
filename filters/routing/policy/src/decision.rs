//! What is done with a request.

use grpc_descriptor::MethodKind;
use http_message::{
    CanonicalPath, HeaderEdits, HeaderMap, HeaderName, HeaderValue, PathError, Problem,
    ProblemType, RequestHead,
};
use identity::Identity;
use request_match::{Mode, Rule, Subject};

use crate::call::{Call, Spoken};
use crate::config::Policy;
use crate::counters::Counter;
use crate::deadline::{Allowed, timeout_header};
use crate::headers::{ROUTER_MAX_RETRIES, ROUTER_RETRY_ON, ROUTER_TIMEOUT};
use crate::method_table::{MethodRule, MethodTable};
use crate::reason::Reason;
use crate::split::{Caller, Member, Split};
use crate::version::{ApiVersion, Selection, UnknownStatus, Versions};

/// What the adapter does next.
#[derive(Debug)]
pub enum Step {
    /// Hand the request on, changed like this.
    Forward(Forward),
    /// Answer it here. The client gets the problem; the reason is for counters and the log.
    Reply(Problem, Reason),
}

/// A request that goes on.
#[derive(Debug)]
pub struct Forward {
    /// What to do to its headers.
    pub edits: HeaderEdits,
    /// What to write to filter state: names without the `wasm.` that the host puts in front, and values.
    pub state: Vec<(&'static str, HeaderValue)>,
    /// What to count.
    pub counters: Vec<Counter>,
    /// Why it would have been refused, were the mode `enforce`.
    pub shadowed: Option<Reason>,
    /// What the response is to tell besides.
    pub answer: Vec<(HeaderName, HeaderValue)>,
    /// What to look for in the response.
    pub watch: Option<Watch>,
}

/// What the response of a call is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Where its status and its time are counted: a place in [`Policy::statistics`].
    pub statistic: Option<usize>,
    /// Whether the router waits no longer than the filter has told it.
    pub deadline: bool,
}

/// What the transcoder writes for those who read the request behind it.
const ORIGINAL_PATH: &str = "x-envoy-original-path";

/// Filter state that carries the version.
pub const STATE_API_VERSION: &str = "gatehouse.api_version";
/// Filter state that carries the full name of the gRPC service.
pub const STATE_GRPC_SERVICE: &str = "gatehouse.grpc_service";
/// Filter state that carries the name of the gRPC method.
pub const STATE_GRPC_METHOD: &str = "gatehouse.grpc_method";

/// Filter state that carries the package of the gRPC service.
pub const STATE_GRPC_PACKAGE: &str = "gatehouse.grpc_package";
/// Filter state that carries which sides of the gRPC method stream.
pub const STATE_GRPC_KIND: &str = "gatehouse.grpc_kind";
/// Filter state that carries the target.
pub const STATE_TARGET: &str = "gatehouse.target";
/// Filter state that carries the name of the experiment.
pub const STATE_EXPERIMENT: &str = "gatehouse.experiment";
/// Filter state that carries the group of the caller in it.
pub const STATE_GROUP: &str = "gatehouse.group";
/// Filter state that carries the protocol of the client.
pub const STATE_PROTOCOL: &str = "gatehouse.protocol";

/// What is known of a request besides its head. What [`Policy::needs`] does not name may be left out.
#[derive(Debug, Default)]
pub struct Facts {
    /// The record of the caller, as filter state has it.
    pub identity: Option<Vec<u8>>,
    /// The host's `source.address`.
    pub address: Option<Vec<u8>>,
    /// Random bytes, if [`Policy::needs_draw`] asks for them.
    pub draw: Option<[u8; 16]>,
}

/// What was found out about a request. Nothing, where a doubt remains.
struct Findings<'a> {
    selection: Option<Selection>,
    /// The request target without its version, or with another.
    rewritten: Option<HeaderValue>,
    call: Call<'a>,
    spoken: Option<Spoken>,
    handling: Option<Handling<'a>>,
    target: Option<&'a Rule<HeaderValue>>,
    member: Option<(&'a Rule<Split>, Member)>,
    doubt: Option<Reason>,
    /// What a rule in mode `shadow` would have refused.
    shadowed: Option<Reason>,
}

/// What the method table says of a call.
struct Handling<'a> {
    kind: Option<MethodKind>,
    /// In mode `enforce`.
    rule: Option<&'a MethodRule>,
    allowed: Option<Allowed>,
    statistic: Option<usize>,
}

impl Policy {
    /// Decides one request. Pure: the same head, the same step.
    pub fn decide(&self, head: &RequestHead, facts: &Facts) -> Step {
        let mut forward = self.without_claims(head);
        if self.mode == Mode::Off {
            return Step::Forward(forward);
        }
        let findings = self.findings(head, facts);
        match findings.doubt {
            Some(reason) if self.mode == Mode::Enforce => {
                return Step::Reply(self.problem(reason), reason);
            }
            doubt => forward.shadowed = doubt.or(findings.shadowed),
        }
        self.label(head, &findings, &mut forward);
        Step::Forward(forward)
    }

    /// The edits that a request's headers need, and its trailers, in every mode: what only this filter may write is taken out.
    /// Some upstreams take trailers for headers.
    pub fn without_copies(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        for name in self.headers.patterns.matching(headers) {
            edits.remove(name);
        }
        edits
    }

    fn without_claims(&self, head: &RequestHead) -> Forward {
        Forward {
            edits: self.without_copies(head.headers()),
            state: Vec::new(),
            counters: Vec::new(),
            shadowed: None,
            answer: Vec::new(),
            watch: None,
        }
    }

    fn findings<'a>(&'a self, head: &'a RequestHead, facts: &Facts) -> Findings<'a> {
        let (path, mut doubt) = match head.path() {
            Ok(path) => (Some(path), None),
            // CONNECT has none: no version in it, and no method.
            Err(PathError::Missing) => (None, None),
            Err(_) => (None, Some(Reason::AmbiguousPath)),
        };
        let call = Call::of(head, path);
        let selection = self.versions.as_ref().map(|versions| {
            versions.select(head, path, &call).unwrap_or_else(|reason| {
                doubt = doubt.or(Some(reason));
                Selection::Default(versions.default)
            })
        });
        let rewritten = match (&self.versions, selection, path, doubt) {
            (Some(versions), Some(selection), Some(path), None) => {
                rewrite(versions, selection, head, path).unwrap_or_else(|reason| {
                    doubt = Some(reason);
                    None
                })
            }
            _ => None,
        };
        let identity = match self.needs().identity {
            true => Identity::read(facts.identity.as_deref()).unwrap_or_else(|_| {
                doubt = doubt.or(Some(Reason::MalformedIdentity));
                Identity::anonymous()
            }),
            false => Identity::anonymous(),
        };
        let mut findings = Findings {
            selection,
            rewritten,
            call,
            spoken: self
                .headers
                .protocol
                .as_ref()
                .map(|_| Spoken::of(head, &identity)),
            handling: None,
            target: None,
            member: None,
            doubt,
            shadowed: None,
        };
        if path.is_some() && findings.doubt.is_none() && self.looks_closer() {
            let looked = self.look(head, facts, &identity, &mut findings);
            findings.doubt = looked.err();
        }
        findings
    }

    /// Whether more than versions and names is asked for.
    fn looks_closer(&self) -> bool {
        self.grpc.is_some()
            || self.targets.iter().next().is_some()
            || self.splits.iter().next().is_some()
    }

    fn look<'a>(
        &'a self,
        head: &'a RequestHead,
        facts: &Facts,
        identity: &Identity,
        findings: &mut Findings<'a>,
    ) -> Result<(), Reason> {
        let subject = Subject::new(head, self.twins()).map_err(|_| Reason::AmbiguousRequest)?;
        if let Some(table) = &self.grpc {
            handle(table, &subject, identity, findings)?;
        }
        let subject = subject.with_identity(identity);
        findings.target = self.targets.first_match(&subject);
        let caller = Caller {
            head,
            identity,
            address: facts.address.as_deref(),
            draw: facts.draw,
        };
        findings.member = self
            .splits
            .first_match(&subject)
            .and_then(|rule| Some((rule, rule.value.member(&caller)?)));
        Ok(())
    }

    fn label(&self, head: &RequestHead, findings: &Findings<'_>, forward: &mut Forward) {
        if forward.shadowed.is_some() {
            forward.counters.push(Counter::ShadowRefused);
        }
        if let Some(selection) = findings.selection {
            forward.counters.push(match selection {
                Selection::Named(_) => Counter::Versioned,
                Selection::Older { .. } => Counter::FellBack,
                Selection::Default(_) => Counter::Defaulted,
            });
            self.tell(selection, forward);
            let version = selection.version().to_string();
            forward.write(&self.headers.api_version, STATE_API_VERSION, &version);
        }
        if let Some(target) = &findings.rewritten {
            forward.edits.set_path(target.clone());
        }
        match &findings.call {
            Call::NotGrpc => {}
            Call::Unnamed => forward.counters.push(Counter::GrpcUnnamed),
            Call::Method(call) => {
                forward.counters.push(Counter::Grpc);
                forward.write(&self.headers.grpc_service, STATE_GRPC_SERVICE, call.service);
                forward.write(&self.headers.grpc_method, STATE_GRPC_METHOD, call.method);
                if let Some(header) = &self.headers.grpc_package
                    && !call.package().is_empty()
                {
                    forward.write(header, STATE_GRPC_PACKAGE, call.package());
                }
            }
        }
        if let Some(rule) = findings.target {
            if rule.mode == Mode::Enforce {
                forward.counters.push(Counter::Targeted);
                forward.write_value(&self.headers.target, STATE_TARGET, rule.value.clone());
            } else {
                forward.counters.push(Counter::ShadowLabelled);
            }
        }
        if let Some((rule, member)) = &findings.member {
            self.join(rule, member, forward);
        }
        // The later edit counts: a target of the method's own is the closer one.
        if let Some(handling) = &findings.handling {
            self.handle(head, handling, forward);
        }
        if let (Some(header), Some(spoken)) = (&self.headers.protocol, findings.spoken) {
            forward.write(header, STATE_PROTOCOL, spoken.name());
            // Behind the transcoder, which alone writes it, it would pass for the path of a REST request.
            if spoken != Spoken::Transcoded
                && head.headers().get_all(ORIGINAL_PATH).next().is_some()
            {
                forward.edits.remove(ORIGINAL_PATH.as_bytes());
            }
        }
    }

    /// The group of the caller, for the route, the upstream, the log and the client.
    fn join(&self, rule: &Rule<Split>, member: &Member, forward: &mut Forward) {
        if rule.mode != Mode::Enforce {
            forward.counters.push(Counter::ShadowLabelled);
            return;
        }
        forward.counters.push(match member.unknown {
            true => Counter::GroupedUnknown,
            false => Counter::Grouped,
        });
        forward.write(
            &self.headers.experiment,
            STATE_EXPERIMENT,
            rule.name.as_str(),
        );
        forward.write_value(&self.headers.group, STATE_GROUP, member.group.clone());
        let name = self.headers.group.clone();
        forward.answer.push((name, member.group.clone()));
        if let Some(cookie) = &member.cookie {
            let name = HeaderName::from_static("set-cookie");
            forward.answer.push((name, cookie.clone()));
        }
    }

    /// What the client learns of its version.
    fn tell(&self, selection: Selection, forward: &mut Forward) {
        if let Selection::Older { asked, served } = selection {
            let warning = format!("version {asked} is not served, this is version {served}");
            // Digits and letters: they fit in a header value.
            if let Ok(warning) = HeaderValue::try_from(warning.as_str()) {
                let name = HeaderName::from_static("x-gatehouse-version-warning");
                forward.answer.push((name, warning));
                forward.answer.extend(self.supported.clone());
            }
        }
        let notices = self
            .versions
            .as_ref()
            .map(|versions| versions.notices(selection.version()))
            .unwrap_or_default();
        if !notices.is_empty() {
            forward.counters.push(Counter::Deprecated);
            forward.answer.extend_from_slice(notices);
        }
    }

    fn handle(&self, head: &RequestHead, handling: &Handling<'_>, forward: &mut Forward) {
        if let (Some(header), Some(kind)) = (&self.headers.grpc_kind, handling.kind) {
            forward.write(header, STATE_GRPC_KIND, kind.name());
        }
        if let Some(target) = handling.rule.and_then(|rule| rule.target.as_ref()) {
            forward.write_value(&self.headers.target, STATE_TARGET, target.clone());
        }
        let mut set = |name: &'static str, value: HeaderValue| {
            forward.edits.set(HeaderName::from_static(name), value);
        };
        if let Some(retry) = handling.rule.and_then(|rule| rule.retry.as_ref()) {
            set(ROUTER_RETRY_ON, retry.on.clone());
            set(ROUTER_MAX_RETRIES, retry.max.clone());
        }
        if let Some(allowed) = handling.allowed {
            let protocol = head.protocol();
            if let (true, Some(value)) = (allowed.changed, allowed.header_value(protocol)) {
                set(timeout_header(protocol), value);
            }
            // Of digits only.
            if let Ok(millis) = HeaderValue::try_from(allowed.millis().to_string().as_str()) {
                set(ROUTER_TIMEOUT, millis);
            }
        }
        if handling.statistic.is_some() || handling.allowed.is_some() {
            forward.watch = Some(Watch {
                statistic: handling.statistic,
                deadline: handling.allowed.is_some(),
            });
        }
    }

    fn problem(&self, reason: Reason) -> Problem {
        let about_version = is_about_version(reason);
        let headers = self.supported.iter().filter(|_| about_version);
        let unknown = self.versions.as_ref().and_then(|versions| versions.unknown);
        let status = match (reason.counter(), unknown) {
            (Counter::UnknownVersion, Some(UnknownStatus::NotFound)) => 404,
            (Counter::UnknownVersion, Some(UnknownStatus::NotAcceptable)) => 406,
            _ => reason.status(),
        };
        reason.problem_of(status, headers.cloned().collect())
    }

    /// What kind of problem a refusal tells: where a version is not served, those that are.
    pub fn problem_type(&self, reason: Reason) -> ProblemType {
        let versions = self.versions.iter().filter(|_| is_about_version(reason));
        let supported = versions.flat_map(|versions| &versions.supported);
        ProblemType {
            supported_versions: supported.map(ApiVersion::to_string).collect(),
            ..ProblemType::default()
        }
    }
}

fn is_about_version(reason: Reason) -> bool {
    matches!(
        reason.counter(),
        Counter::UnknownVersion | Counter::RetiredVersion
    )
}

/// The new request target, if it changes. That of a call is its method, and stays.
fn rewrite(
    versions: &Versions,
    selection: Selection,
    head: &RequestHead,
    path: &CanonicalPath,
) -> Result<Option<HeaderValue>, Reason> {
    match &versions.upstream_path {
        Some(upstream) if !head.protocol().has_methods() => {
            upstream.apply(head.raw_path(), path, selection.version())
        }
        _ => Ok(None),
    }
}

impl Forward {
    /// The same value as header and as filter state, so that a route, a log line and the upstream cannot disagree.
    fn write(&mut self, header: &HeaderName, state: &'static str, value: &str) {
        // Digits, or the letters of a service: they fit in a header value, as a path that is longer is refused.
        if let Ok(value) = HeaderValue::try_from(value) {
            self.write_value(header, state, value);
        }
    }

    fn write_value(&mut self, header: &HeaderName, state: &'static str, value: HeaderValue) {
        self.edits.set(header.clone(), value.clone());
        self.state.retain(|(name, _)| *name != state);
        self.state.push((state, value));
    }
}

/// What the table says of a request, if it is a call or may become one.
fn handle<'a>(
    table: &'a MethodTable,
    subject: &Subject<'a>,
    caller: &Identity,
    findings: &mut Findings<'a>,
) -> Result<(), Reason> {
    if let (Call::NotGrpc, Some(twin)) = (&findings.call, subject.call()) {
        findings.call = Call::Method(twin);
    }
    let call = match &findings.call {
        Call::Method(call) => Some(*call),
        Call::Unnamed => None,
        // A Connect server takes a plain POST too, without a header that says so.
        Call::NotGrpc => match subject.possible_call() {
            Some(call) if table.knows(call.service) => Some(call),
            _ => return Ok(()),
        },
    };
    if !table.admits(call.as_ref()) {
        return Err(Reason::UndeclaredMethod);
    }
    let found = call.map(|call| table.find(&call));
    let rule = found.as_ref().and_then(|found| found.rule);
    let mut handling = Handling {
        kind: found.as_ref().and_then(|found| found.kind),
        rule: None,
        allowed: None,
        statistic: table.statistic(call.as_ref()),
    };
    let judged = rule.map_or(Ok(None), |rule| {
        rule.permits(caller)?;
        rule.deadline
            .map_or(Ok(None), |deadline| deadline.allow(subject.head()))
    });
    match (rule.map(|rule| rule.mode), judged) {
        (Some(Mode::Shadow), judged) => findings.shadowed = judged.err(),
        (_, judged) => {
            handling.allowed = judged?;
            handling.rule = rule;
        }
    }
    findings.handling = Some(handling);
    Ok(())
}

#[cfg(test)]
mod tests {

    use super::*;

    const CONFIG: &str = r#"{
        "version": 1,
        "api_version": {
            "supported": ["1", "2"],
            "default": "1",
            "sources": [{ "path_prefix": true }, { "header": "x-api-version" }, { "accept_parameter": "version" }]
        }
    }"#;

    fn policy(mode: &str) -> Policy {
        let config = CONFIG.replacen('{', &format!(r#"{{"mode":"{mode}","#), 1);
        Policy::from_bytes(config.as_bytes()).unwrap()
    }

    fn head(path: &str, headers: &[(&str, &str)]) -> RequestHead {
        let pseudo = [(":method", "GET"), (":path", path)];
        RequestHead::new(HeaderMap::from_pairs(
            pseudo.into_iter().chain(headers.iter().copied()),
        ))
    }

    fn forward(policy: &Policy, head: &RequestHead) -> Forward {
        match policy.decide(head, &Facts::default()) {
            Step::Forward(forward) => forward,
            Step::Reply(_, reason) => panic!("refused: {reason:?}"),
        }
    }

    fn refusal(path: &str, headers: &[(&str, &str)]) -> (Problem, Reason) {
        match policy("enforce").decide(&head(path, headers), &Facts::default()) {
            Step::Reply(problem, reason) => (problem, reason),
            Step::Forward(forward) => panic!("forwarded: {forward:?}"),
        }
    }

    fn state(forward: &Forward) -> Vec<(&str, &str)> {
        let text = |value| std::str::from_utf8(value).unwrap();
        forward
            .state
            .iter()
            .map(|(name, value)| (*name, text(value.as_bytes())))
            .collect()
    }

    #[test]
    fn each_source_names_a_version_and_the_first_that_does_wins() {
        for (path, headers, version, counter) in [
            ("/users", &[][..], "1", Counter::Defaulted),
            ("/v2/users", &[], "2", Counter::Versioned),
            ("/v2", &[], "2", Counter::Versioned),
            // The router may see the raw path, the upstream the decoded one; the version is that of both.
            ("/%76%32/users", &[], "2", Counter::Versioned),
            (
                "/users",
                &[("x-api-version", " v2 ")],
                "2",
                Counter::Versioned,
            ),
            (
                "/users",
                &[("accept", "a/b;version=2")],
                "2",
                Counter::Versioned,
            ),
            (
                "/v2/users",
                &[("x-api-version", "9")],
                "2",
                Counter::Versioned,
            ),
            (
                "/users",
                &[("x-api-version", "2"), ("accept", "a/b;version=1")],
                "2",
                Counter::Versioned,
            ),
            // Not meant as versions.
            ("/vault", &[], "1", Counter::Defaulted),
            ("/v", &[], "1", Counter::Defaulted),
            ("/V9/users", &[], "1", Counter::Defaulted),
            ("/v9beta1/users", &[], "1", Counter::Defaulted),
            ("/v20250101/users", &[], "1", Counter::Defaulted),
            ("/users/v9", &[], "1", Counter::Defaulted),
        ] {
            let forward = forward(&policy("enforce"), &head(path, headers));
            assert_eq!(
                state(&forward),
                [(STATE_API_VERSION, version)],
                "{path} {headers:?}"
            );
            assert_eq!(forward.counters, [counter], "{path} {headers:?}");
            assert_eq!(forward.shadowed, None);
        }
    }

    #[test]
    fn what_names_no_version_that_is_served_is_refused() {
        for (path, headers, reason) in [
            ("/v9/users", &[][..], Reason::UnknownVersionInPath),
            ("/v02/users", &[], Reason::UnknownVersionInPath),
            (
                "/users",
                &[("x-api-version", "9")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "02")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "+2")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "V2")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "vv2")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "65538")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("accept", "a/b;version=9")],
                Reason::UnknownVersionInAccept,
            ),
            (
                "/users",
                &[("x-api-version", "2,2")],
                Reason::RepeatedVersionHeader,
            ),
            (
                "/users",
                &[("x-api-version", "2"), ("x-api-version", "2")],
                Reason::RepeatedVersionHeader,
            ),
            (
                "/users",
                &[("accept", "a/b;version=1,c/d;version=2")],
                Reason::ConflictingAccept,
            ),
            (
                "/users",
                &[("accept", "a/b;version=\"1")],
                Reason::MalformedAccept,
            ),
            (
                "/users//x",
                &[("x-api-version", "9")],
                Reason::AmbiguousPath,
            ),
            ("*", &[], Reason::AmbiguousPath),
        ] {
            let (problem, found) = refusal(path, headers);
            assert_eq!(found, reason, "{path} {headers:?}");
            assert_eq!(problem.status, reason.status());
        }
    }

    // A client that is told what is served can repair its request by itself.
    #[test]
    fn a_refusal_of_an_unknown_version_lists_the_known_ones() {
        let (problem, _) = refusal("/v9/users", &[]);
        let [(name, value)] = problem.headers.as_slice() else {
            panic!("{:?}", problem.headers)
        };
        assert_eq!(name.as_str(), "x-gatehouse-supported-versions");
        assert_eq!(value.as_bytes(), b"1, 2");
        assert!(refusal("/users//x", &[]).0.headers.is_empty());
    }

    #[test]
    fn a_grpc_call_is_labelled_with_service_and_method() {
        let grpc = [("content-type", "application/grpc")];
        let labelled = forward(&policy("enforce"), &head("/inventory.v1.Stock/Get", &grpc));
        assert_eq!(
            state(&labelled),
            [
                (STATE_API_VERSION, "1"),
                (STATE_GRPC_SERVICE, "inventory.v1.Stock"),
                (STATE_GRPC_METHOD, "Get")
            ]
        );
        assert_eq!(labelled.counters, [Counter::Defaulted, Counter::Grpc]);
        for path in ["/a", "/a/b/c", "/", "/a-b/c"] {
            let unnamed = forward(&policy("enforce"), &head(path, &grpc));
            assert_eq!(state(&unnamed), [(STATE_API_VERSION, "1")], "{path}");
            assert_eq!(
                unnamed.counters,
                [Counter::Defaulted, Counter::GrpcUnnamed],
                "{path}"
            );
        }
        let rest = forward(&policy("enforce"), &head("/inventory.v1.Stock/Get", &[]));
        assert_eq!(rest.counters, [Counter::Defaulted]);
    }

    // Envoy's ext_authz once crashed on a CONNECT without a path.
    #[test]
    fn a_request_without_pseudo_headers_gets_the_default() {
        for headers in [
            &[(":method", "CONNECT"), (":authority", "db.test:5432")][..],
            &[("content-type", "application/grpc")],
        ] {
            let head = RequestHead::new(HeaderMap::from_pairs(headers.iter().copied()));
            let forward = forward(&policy("enforce"), &head);
            assert_eq!(state(&forward), [(STATE_API_VERSION, "1")], "{headers:?}");
        }
    }

    #[test]
    fn a_clients_own_copies_are_removed_in_every_mode() {
        let spoofed = head(
            "/users",
            &[
                ("x_gatehouse_api_version", "2"),
                ("x-gatehouse-grpc-service", "a"),
                ("x.gatehouse.grpc-method", "b"),
                ("x-gatehouse", "mine"),
            ],
        );
        for mode in ["enforce", "shadow", "off"] {
            let forward = forward(&policy(mode), &spoofed);
            let removed: Vec<_> = forward
                .edits
                .iter()
                .filter(|edit| matches!(edit, http_message::HeaderEdit::Remove { .. }))
                .map(|edit| edit.name().to_vec())
                .collect();
            assert_eq!(
                removed,
                [
                    &b"x_gatehouse_api_version"[..],
                    b"x-gatehouse-grpc-service",
                    b"x.gatehouse.grpc-method"
                ],
                "{mode}"
            );
        }
    }

    #[test]
    fn shadow_counts_what_it_would_refuse_and_forwards_the_default() {
        for (path, reason) in [
            ("/v9/users", Reason::UnknownVersionInPath),
            ("/users//x", Reason::AmbiguousPath),
        ] {
            let forward = forward(&policy("shadow"), &head(path, &[]));
            assert_eq!(forward.shadowed, Some(reason));
            assert_eq!(state(&forward), [(STATE_API_VERSION, "1")]);
            assert_eq!(
                forward.counters,
                [Counter::ShadowRefused, Counter::Defaulted]
            );
        }
        let fine = forward(&policy("shadow"), &head("/v2/users", &[]));
        assert_eq!(fine.counters, [Counter::Versioned]);
    }

    #[test]
    fn off_writes_and_refuses_nothing() {
        let forward = forward(&policy("off"), &head("/v9//users", &[]));
        assert!(
            forward.edits.is_empty() && forward.state.is_empty() && forward.counters.is_empty()
        );
    }

    #[test]
    fn without_api_version_only_grpc_is_labelled() {
        let policy = Policy::from_bytes(br#"{"version":1}"#).unwrap();
        let grpc = [("content-type", "application/grpc"), ("x-api-version", "9")];
        let forward = forward(&policy, &head("/a.B/C", &grpc));
        assert_eq!(
            state(&forward),
            [(STATE_GRPC_SERVICE, "a.B"), (STATE_GRPC_METHOD, "C")]
        );
        assert_eq!(forward.counters, [Counter::Grpc]);
    }

    // What a client spoke is not what reaches this filter, and a client can forge the traces of a bridge.
    #[test]
    fn package_and_protocol_are_written_where_they_are_asked_for() {
        let policy = Policy::from_bytes(
            br#"{"version":1,"headers":{"grpc_package":"x-package","protocol":"x-protocol"}}"#,
        )
        .unwrap();
        assert!(policy.needs().identity);
        let record = |protocol| {
            let mut identity = Identity::anonymous();
            identity.original.path = b"/a".to_vec();
            identity.original.protocol = protocol;
            Facts {
                identity: Some(identity.encode()),
                ..Facts::default()
            }
        };
        let call = head(
            "/inventory.v1.Stock/Get",
            &[
                ("content-type", "application/grpc"),
                ("x-envoy-original-path", "/stock/7"),
                ("x-protocol", "rest"),
                ("x_package", "admin"),
            ],
        );
        let decide = |head: &RequestHead, facts: &Facts| match policy.decide(head, facts) {
            Step::Forward(forward) => forward,
            Step::Reply(_, reason) => panic!("refused: {reason:?}"),
        };
        let original = |forward: &Forward| {
            forward
                .edits
                .iter()
                .any(|edit| edit.name() == ORIGINAL_PATH.as_bytes())
        };
        let native = decide(&call, &record(identity::RecordedProtocol::Grpc));
        assert!(state(&native).contains(&(STATE_GRPC_PACKAGE, "inventory.v1")));
        assert!(state(&native).contains(&(STATE_PROTOCOL, "grpc")));
        assert!(original(&native), "a forged trace goes");
        let transcoded = decide(&call, &record(identity::RecordedProtocol::Http));
        assert!(state(&transcoded).contains(&(STATE_PROTOCOL, "transcoded")));
        assert!(!original(&transcoded), "the transcoder's own trace stays");
        let rest = decide(&head("/a", &[]), &Facts::default());
        assert_eq!(state(&rest), [(STATE_PROTOCOL, "rest")]);
        let bare = decide(
            &head("/Stock/Get", &[("content-type", "application/grpc")]),
            &Facts::default(),
        );
        assert!(
            !state(&bare)
                .iter()
                .any(|(name, _)| *name == STATE_GRPC_PACKAGE)
        );
        let malformed = Facts {
            identity: Some(b"no record".to_vec()),
            ..Facts::default()
        };
        assert!(matches!(
            policy.decide(&call, &malformed),
            Step::Reply(_, Reason::MalformedIdentity)
        ));
    }

    fn grpc_policy(grpc: &str) -> Policy {
        Policy::from_bytes(
            format!(r#"{{"version":1,"grpc":{grpc},"headers":{{"grpc_kind":"x-kind"}}}}"#)
                .as_bytes(),
        )
        .unwrap()
    }

    fn grpc(path: &str, more: &[(&str, &str)]) -> RequestHead {
        let mut headers = vec![("content-type", "application/grpc")];
        headers.extend_from_slice(more);
        head(path, &headers)
    }

    /// What the upstream finds under these names.
    fn written(forward: &Forward, head: &RequestHead) -> Vec<String> {
        let writes = forward.edits.writes(head.headers());
        writes
            .iter()
            .map(|write| match write {
                http_message::HeaderWrite::Remove(name) => {
                    format!("-{}", String::from_utf8_lossy(name))
                }
                http_message::HeaderWrite::Replace(name, value)
                | http_message::HeaderWrite::Add(name, value) => {
                    format!(
                        "{}={}",
                        String::from_utf8_lossy(name),
                        String::from_utf8_lossy(value)
                    )
                }
            })
            .collect()
    }

    // The router obeys these headers: a client's own would overrule the table.
    #[test]
    fn a_call_gets_its_kind_target_retries_and_deadline() {
        let policy = grpc_policy(
            r#"{"statistics":true,"methods":[{"service":"a.B","method":"C","kind":"server_streaming","target":"blue",
                "deadline":{"default":"2s","max":"5s"},"retry":{"on":["unavailable","cancelled"],"max":3}}]}"#,
        );
        let call = grpc(
            "/a.B/C",
            &[
                ("grpc-timeout", "1H"),
                ("x-envoy-upstream-rq-timeout-ms", "9000000"),
                ("x-envoy-max-retries", "99"),
                ("x_envoy_retry_on", "5xx"),
                ("x-gatehouse-target", "admin"),
            ],
        );
        let found = forward(&policy, &call);
        let mut written = written(&found, &call);
        written.sort();
        assert_eq!(
            written,
            [
                "-x_envoy_retry_on",
                "grpc-timeout=5000m",
                "x-envoy-max-retries=3",
                "x-envoy-retry-grpc-on=unavailable,cancelled",
                "x-envoy-upstream-rq-timeout-ms=5000",
                "x-gatehouse-grpc-method=C",
                "x-gatehouse-grpc-service=a.B",
                "x-gatehouse-target=blue",
                "x-kind=server_streaming",
            ]
        );
        assert!(state(&found).contains(&(STATE_TARGET, "blue")));
        assert!(state(&found).contains(&(STATE_GRPC_KIND, "server_streaming")));
        assert_eq!(
            found.watch,
            Some(Watch {
                statistic: Some(0),
                deadline: true
            })
        );
        // Another method, and no call at all: the client's copies go all the same.
        for other in ["/a.B/D", "/users"] {
            let call = grpc(
                other,
                &[
                    ("x-envoy-max-retries", "99"),
                    ("x-gatehouse-target", "admin"),
                ],
            );
            let found = forward(&policy, &call);
            let mut gone = self::written(&found, &call);
            gone.retain(|write| write.starts_with('-'));
            assert_eq!(
                gone,
                ["-x-envoy-max-retries", "-x-gatehouse-target"],
                "{other}"
            );
        }
    }

    #[test]
    fn what_the_table_does_not_allow_is_refused() {
        let policy = grpc_policy(
            r#"{"undeclared":"refuse","reflection":"closed","methods":[
                {"service":"a.B","method":"Put","scopes":["write"]},
                {"service":"a.B","deadline":{"max":"5s"}},
                {"service":"a.Trial","mode":"shadow","scopes":["write"],"target":"blue"}]}"#,
        );
        assert!(policy.needs().identity);
        let caller = |scope: &str| {
            let identity = Identity {
                kind: identity::CredentialKind::ApiKey,
                credential_id: "k".to_owned(),
                scopes: vec![scope.to_owned()],
                ..Identity::anonymous()
            };
            Facts {
                identity: Some(identity.encode()),
                ..Facts::default()
            }
        };
        let anyone = Facts::default();
        let post = |path, headers: &[(&str, &str)]| {
            let pseudo = [(":method", "POST"), (":path", path)];
            RequestHead::new(HeaderMap::from_pairs(
                pseudo.into_iter().chain(headers.iter().copied()),
            ))
        };
        for (head, facts, expected) in [
            (grpc("/x.Y/Z", &[]), &anyone, Some(Reason::UndeclaredMethod)),
            (
                grpc("/no/method/here", &[]),
                &anyone,
                Some(Reason::UndeclaredMethod),
            ),
            (
                grpc(
                    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                    &[],
                ),
                &anyone,
                Some(Reason::UndeclaredMethod),
            ),
            (
                grpc("/a.B/Put", &[]),
                &anyone,
                Some(Reason::MethodNotPermitted),
            ),
            (
                grpc("/a.B/Put", &[]),
                &caller("read"),
                Some(Reason::MethodNotPermitted),
            ),
            // A Connect server takes these for calls.
            (
                post("/a.B/Put", &[("content-type", "application/json")]),
                &caller("read"),
                Some(Reason::MethodNotPermitted),
            ),
            (
                post(
                    "/a.B/Put",
                    &[
                        ("content-type", "application/proto"),
                        ("connect-protocol-version", "1"),
                    ],
                ),
                &caller("read"),
                Some(Reason::MethodNotPermitted),
            ),
            (
                post("/a.B/Put", &[("content-type", "application/grpc-web")]),
                &caller("read"),
                Some(Reason::MethodNotPermitted),
            ),
            (
                grpc("/a.B/Get", &[("grpc-timeout", "0m")]),
                &anyone,
                Some(Reason::Expired),
            ),
            (
                grpc("/a.B/Get", &[("grpc-timeout", "x")]),
                &anyone,
                Some(Reason::MalformedTimeout),
            ),
            (grpc("/a.B/Put", &[]), &caller("write"), None),
            (grpc("/a.B/Get", &[]), &anyone, None),
            (
                post("/users/seven", &[("content-type", "application/json")]),
                &anyone,
                None,
            ),
            (post("/users", &[]), &anyone, None),
        ] {
            let found = match policy.decide(&head, facts) {
                Step::Reply(_, reason) => Some(reason),
                Step::Forward(_) => None,
            };
            assert_eq!(
                found,
                expected,
                "{:?}",
                String::from_utf8_lossy(head.raw_path())
            );
        }
        // A rule on trial says what it would do, and does nothing.
        let trial = forward(&policy, &grpc("/a.Trial/Do", &[]));
        assert_eq!(trial.shadowed, Some(Reason::MethodNotPermitted));
        assert!(trial.counters.contains(&Counter::ShadowRefused));
        assert!(!state(&trial).iter().any(|(name, _)| *name == STATE_TARGET));
    }

    #[test]
    fn the_kind_needs_a_table() {
        let error =
            Policy::from_bytes(br#"{"version":1,"headers":{"grpc_kind":"x-kind"}}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "headers.grpc_kind: the kind of a method is known from grpc.methods or grpc.descriptor_set"
        );
    }

    fn versions(more: &str) -> Policy {
        let config = format!(
            r#"{{"version":1,"api_version":{{"supported":["2","4"],"default":"4","sources":[
                {{"path_prefix":true}},{{"header":"x-v"}},{{"query":"api-version"}},
                {{"accept_vendor":"application/vnd.Example"}},{{"grpc_package":true}}]{more}}}}}"#
        );
        Policy::from_bytes(config.as_bytes()).unwrap()
    }

    fn refused(policy: &Policy, head: &RequestHead) -> (Problem, Reason) {
        match policy.decide(head, &Facts::default()) {
            Step::Reply(problem, reason) => (problem, reason),
            Step::Forward(forward) => panic!("forwarded: {forward:?}"),
        }
    }

    #[test]
    fn query_vendor_type_and_package_name_versions_too() {
        let policy = versions("");
        let vendor = [("accept", "application/vnd.example.v2+json")];
        for (request, version) in [
            (head("/users?api-version=2", &[]), "2"),
            (head("/users?api%2Dversion=v2", &[]), "2"),
            (head("/users", &vendor), "2"),
            (grpc("/inventory.v2.Stock/Get", &[]), "2"),
            (grpc("/inventory.v2beta1.Stock/Get", &[]), "4"),
            (grpc("/v2.Stock/Get", &[]), "2"),
            (grpc("/Stock/Get", &[]), "4"),
            // Not a call, so not its package.
            (head("/inventory.v2.Stock/Get", &[]), "4"),
        ] {
            let forward = forward(&policy, &request);
            assert_eq!(
                state(&forward)[0],
                (STATE_API_VERSION, version),
                "{request:?}"
            );
        }
        for (request, reason, status) in [
            (
                head("/users?api-version=9", &[]),
                Reason::UnknownVersionInQuery,
                404,
            ),
            (
                head("/users?api-version=2&api-version=2", &[]),
                Reason::RepeatedVersionQuery,
                400,
            ),
            (
                grpc("/inventory.v9.Stock/Get", &[]),
                Reason::UnknownVersionInPath,
                404,
            ),
        ] {
            let (problem, found) = refused(&policy, &request);
            assert_eq!((found, problem.status), (reason, status), "{request:?}");
        }
    }

    #[test]
    fn the_status_of_an_unknown_version_is_configurable() {
        for (unknown, status, title) in [
            ("not_found", 404, "Not Found"),
            ("not_acceptable", 406, "Not Acceptable"),
        ] {
            let policy = versions(&format!(r#","unknown":"{unknown}""#));
            for request in [head("/v9/users", &[]), head("/users", &[("x-v", "9")])] {
                let (problem, reason) = refused(&policy, &request);
                assert_eq!((problem.status, problem.title), (status, title));
                assert_eq!(policy.problem_type(reason).supported_versions, ["2", "4"]);
            }
            assert_eq!(refused(&policy, &head("/a//b", &[])).0.status, 400);
        }
    }

    #[test]
    fn a_newer_version_falls_back_to_the_nearest_older_one() {
        let policy = versions(r#","fallback":"older","retired":["1"]"#);
        for (asked, served) in [("3", "2"), ("5", "4"), ("9999", "4")] {
            let forward = forward(&policy, &head("/users", &[("x-v", asked)]));
            assert_eq!(state(&forward), [(STATE_API_VERSION, served)]);
            assert_eq!(forward.counters, [Counter::FellBack]);
            let (name, value) = &forward.answer[0];
            assert_eq!(name.as_str(), "x-gatehouse-version-warning");
            let text = format!("version {asked} is not served, this is version {served}");
            assert_eq!(value.as_bytes(), text.as_bytes());
        }
        // There is no older one; what is no number has none; and what is retired does not come back as another.
        for (asked, reason) in [
            ("0", Reason::UnknownVersionInHeader),
            ("latest", Reason::UnknownVersionInHeader),
            ("1", Reason::RetiredVersion),
        ] {
            let (problem, found) = refused(&policy, &head("/users", &[("x-v", asked)]));
            assert_eq!(found, reason, "{asked}");
            assert_eq!(problem.headers.len(), 1, "{asked}");
        }
        let exact = forward(&policy, &head("/users", &[("x-v", "2")]));
        assert!(exact.answer.is_empty());
    }

    // Wrong forms abound: `Deprecation: true`, HTTP dates in it, a sunset before it.
    #[test]
    fn a_version_on_its_way_out_says_so() {
        let policy = versions(
            r#","deprecated":[{"version":"2","since":"2023-06-30T23:59:59Z","sunset":"2026-12-31T23:59:59Z",
                "successor":"/v4/users","information":"https://api.test/changes"}]"#,
        );
        let old = forward(&policy, &head("/v2/users", &[]));
        let told: Vec<_> = old
            .answer
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str(),
                    std::str::from_utf8(value.as_bytes()).unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("deprecation", "@1688169599"),
                ("sunset", "Thu, 31 Dec 2026 23:59:59 GMT"),
                ("link", "</v4/users>; rel=\"successor-version\""),
                ("link", "<https://api.test/changes>; rel=\"deprecation\""),
            ]
        );
        assert!(old.counters.contains(&Counter::Deprecated));
        assert!(forward(&policy, &head("/v4/users", &[])).answer.is_empty());
    }

    #[test]
    fn the_upstream_gets_the_path_as_configured() {
        let target = |policy: &Policy, request: &RequestHead| {
            let forward = forward(policy, request);
            written(&forward, request)
                .into_iter()
                .find(|write| write.starts_with(":path="))
        };
        let strip = versions(r#","upstream_path":{"version":"strip","allowed_paths":["/users"]}"#);
        assert_eq!(
            target(&strip, &head("/v2/users?a=1", &[])).as_deref(),
            Some(":path=/users?a=1")
        );
        assert_eq!(target(&strip, &head("/users", &[])), None);
        assert_eq!(
            refused(&strip, &head("/v2/admin", &[])).1,
            Reason::PathNotAllowed
        );
        let write = versions(
            r#","fallback":"older","upstream_path":{"version":"write","allowed_paths":["/v2","/v4/users"]}"#,
        );
        assert_eq!(
            target(&write, &head("/v3/users", &[])).as_deref(),
            Some(":path=/v2/users")
        );
        assert_eq!(
            target(&write, &head("/users", &[("x-v", "2")])).as_deref(),
            Some(":path=/v2/users")
        );
        assert_eq!(target(&write, &grpc("/inventory.v3.Stock/Get", &[])), None);
        assert_eq!(
            refused(&write, &head("/admin", &[])).1,
            Reason::PathNotAllowed
        );
    }
}
