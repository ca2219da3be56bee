//! What is found out about a request, before anything is written.

use grpc_descriptor::MethodKind;
use http_message::{CanonicalPath, HeaderValue, PathError, Protocol, RequestHead};
use identity::Identity;
use request_match::{Mode, Rule, Rules, Subject};

use crate::call::{Call, Spoken};
use crate::config::Policy;
use crate::deadline::Allowed;
use crate::decision::Facts;
use crate::method_rule::MethodRule;
use crate::method_table::MethodTable;
use crate::reason::Reason;
use crate::route_override::RouteMetadata;
use crate::split::{Caller, Member, Split};
use crate::version::{Selection, Versions};

/// What was found out about a request. Nothing, where a doubt remains.
pub(crate) struct Findings<'a> {
    pub(crate) selection: Option<Selection>,
    /// The request target without its version, or with another.
    pub(crate) rewritten: Option<HeaderValue>,
    pub(crate) call: Call<'a>,
    pub(crate) spoken: Spoken,
    pub(crate) handling: Option<Handling<'a>>,
    pub(crate) target: Option<&'a Rule<HeaderValue>>,
    pub(crate) member: Option<(&'a Rule<Split>, Member)>,
    pub(crate) doubt: Option<Reason>,
    /// What a rule in mode `shadow` would have refused.
    pub(crate) shadowed: Option<Reason>,
    /// How many targets and groups a rule in mode `shadow` would have written.
    pub(crate) trials: usize,
    /// Whether the route says something that cannot be taken.
    pub(crate) bad_override: bool,
}

/// What the method table says of a call.
pub(crate) struct Handling<'a> {
    pub(crate) kind: Option<MethodKind>,
    /// In mode `enforce`.
    pub(crate) rule: Option<&'a MethodRule>,
    pub(crate) allowed: Option<Allowed>,
    pub(crate) statistic: Option<usize>,
}

impl Policy {
    pub(crate) fn findings<'a>(&'a self, head: &'a RequestHead, facts: &Facts) -> Findings<'a> {
        let (path, mut doubt) = match head.path() {
            Ok(path) => (Some(path), None),
            // CONNECT has none: no version in it, and no method.
            Err(PathError::Missing) => (None, None),
            Err(_) => (None, Some(Reason::AmbiguousPath)),
        };
        let protocol = head.protocol();
        let call = Call::of(protocol, path);
        let mut bad_override = false;
        let selection = self.versions.as_ref().map(|versions| {
            let found = versions.select(head, path, &call).unwrap_or_else(|reason| {
                doubt = doubt.or(Some(reason));
                None
            });
            found.unwrap_or_else(|| {
                let said = facts.route.default_version(&versions.supported);
                bad_override = said.is_err();
                Selection::Default(said.ok().flatten().unwrap_or(versions.default))
            })
        });
        let rewritten = match (&self.versions, selection, path, doubt) {
            (Some(versions), Some(selection), Some(path), None) => {
                rewrite(versions, selection, head, protocol, path).unwrap_or_else(|reason| {
                    doubt = Some(reason);
                    None
                })
            }
            _ => None,
        };
        let mut findings = Findings {
            selection,
            rewritten,
            call,
            spoken: Spoken::Rest,
            handling: None,
            target: None,
            member: None,
            doubt,
            shadowed: None,
            trials: 0,
            bad_override,
        };
        // A request of no such protocol is spoken as it is, whoever calls; a record says otherwise only where one is asked for.
        if protocol != Protocol::Http || self.needs(head).identity || self.looks_closer() {
            self.look_closer(head, path, facts, &mut findings);
        }
        findings
    }

    /// What the caller and the rules decide.
    #[inline(never)]
    fn look_closer<'a>(
        &'a self,
        head: &'a RequestHead,
        path: Option<&CanonicalPath>,
        facts: &Facts,
        findings: &mut Findings<'a>,
    ) {
        let identity = match self.needs(head).identity {
            true => Identity::read(facts.identity.as_deref()).unwrap_or_else(|_| {
                findings.doubt = findings.doubt.or(Some(Reason::MalformedIdentity));
                Identity::anonymous()
            }),
            false => Identity::anonymous(),
        };
        findings.spoken = Spoken::of(head, &identity);
        if path.is_some() && findings.doubt.is_none() && self.looks_closer() {
            let looked = self.look(head, facts, &identity, findings);
            findings.doubt = looked.err();
        }
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
            handle(table, &subject, identity, &facts.route, findings)?;
        }
        let subject = subject.with_identity(identity);
        findings.target = in_force(&self.targets, &subject, &mut findings.trials, |_| true);
        let caller = Caller {
            head,
            identity,
            address: facts.address.as_deref(),
            draw: facts.draw,
        };
        let has_member = |split: &Split| split.member(&caller).is_some();
        findings.member = in_force(&self.splits, &subject, &mut findings.trials, has_member)
            .and_then(|rule| Some((rule, rule.value.member(&caller)?)));
        Ok(())
    }
}

/// The rule that holds for a request. One on trial in front of it is counted, if it would have said something.
fn in_force<'a, T>(
    rules: &'a Rules<T>,
    subject: &Subject<'_>,
    trials: &mut usize,
    says_something: impl FnOnce(&T) -> bool,
) -> Option<&'a Rule<T>> {
    let first = rules.first_match(subject)?;
    if first.mode == Mode::Enforce {
        return Some(first);
    }
    *trials = trials.saturating_add(usize::from(says_something(&first.value)));
    rules.first_enforced(subject)
}

/// The new request target, if it changes. That of a call is its method, and stays.
fn rewrite(
    versions: &Versions,
    selection: Selection,
    head: &RequestHead,
    protocol: Protocol,
    path: &CanonicalPath,
) -> Result<Option<HeaderValue>, Reason> {
    match &versions.upstream_path {
        Some(upstream) if !protocol.has_methods() => {
            let has_version = versions.stands_in(path)?;
            upstream.apply(head.raw_path(), has_version, selection.version())
        }
        _ => Ok(None),
    }
}

/// What the table says of a request, if it is a call or may become one.
fn handle<'a>(
    table: &'a MethodTable,
    subject: &Subject<'a>,
    caller: &Identity,
    route: &RouteMetadata,
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
    let judge = |rule: &MethodRule, bad_override: &mut bool| {
        rule.permits(caller)?;
        rule.deadline.map_or(Ok(None), |deadline| {
            let here = deadline.on_route(route);
            *bad_override |= here.is_err();
            here.unwrap_or(deadline).allow(subject.head())
        })
    };
    if let Some(trial) = found.as_ref().and_then(|found| found.trial) {
        findings.shadowed = judge(trial, &mut findings.bad_override).err();
    }
    if let Some(rule) = rule {
        handling.allowed = judge(rule, &mut findings.bad_override)?;
        handling.rule = Some(rule);
    }
    findings.handling = Some(handling);
    Ok(())
}
