//! What is written of a decision: headers for the router and the upstream, filter state, and what the client is told.

use http_message::{GrpcMethod, HeaderName, HeaderValue, RequestHead};
use request_match::Rule;

use crate::call::{Call, Spoken, TRACES};
use crate::config::Policy;
use crate::counters::Counter;
use crate::deadline::timeout_header;
use crate::decision::{Forward, Watch};
use crate::filter_state::{
    STATE_API_VERSION, STATE_EXPERIMENT, STATE_GROUP, STATE_GRPC_KIND, STATE_GRPC_METHOD,
    STATE_GRPC_PACKAGE, STATE_GRPC_SERVICE, STATE_PROTOCOL, STATE_TARGET,
};
use crate::findings::{Findings, Handling};
use crate::headers::{ROUTER_MAX_RETRIES, ROUTER_RETRY_ON, ROUTER_TIMEOUT};
use crate::split::{Member, Split};
use crate::version::{ApiVersion, Selection};

impl Policy {
    /// `traced` says which of [`TRACES`] the request has.
    pub(crate) fn label(
        &self,
        findings: &Findings<'_>,
        traced: [bool; TRACES.len()],
        head: &RequestHead,
        forward: &mut Forward,
    ) {
        if forward.shadowed.is_some() {
            forward.counters.push(Counter::ShadowRefused);
        }
        for _ in 0..findings.trials {
            forward.counters.push(Counter::ShadowLabelled);
        }
        if findings.bad_override {
            forward.counters.push(Counter::BadOverride);
        }
        if let Some(selection) = findings.selection {
            forward.counters.push(match selection {
                Selection::Named(_) => Counter::Versioned,
                Selection::Older { .. } => Counter::FellBack,
                Selection::Default(_) => Counter::Defaulted,
            });
            self.tell(selection, forward);
            let versions = self.versions.as_ref();
            // A version that is selected is one that is served.
            if let Some(digits) = versions.and_then(|all| all.digits(selection.version())) {
                let header = &self.headers.api_version;
                forward.write_value(header, STATE_API_VERSION, digits.clone());
            }
        }
        if let Some(target) = &findings.rewritten {
            forward.edits.set_path(target.clone());
        }
        match &findings.call {
            Call::NotGrpc => {}
            Call::Unnamed => forward.counters.push(Counter::GrpcUnnamed),
            Call::Method(call) => self.name(call, forward),
        }
        if let Some(rule) = findings.target {
            forward.counters.push(Counter::Targeted);
            forward.write_value(&self.headers.target, STATE_TARGET, rule.value.clone());
        }
        if let Some((rule, member)) = &findings.member {
            self.join(rule, member, forward);
        }
        // The later edit counts: a target of the method's own is the closer one.
        if let Some(handling) = &findings.handling {
            self.handle(head, handling, forward);
        }
        if let Some(header) = &self.headers.protocol {
            forward.write(header, STATE_PROTOCOL, findings.spoken.name());
        }
        // Behind the transcoder, which alone writes them, they would pass for a REST request.
        if findings.spoken != Spoken::Transcoded {
            for (trace, _) in TRACES.iter().zip(traced).filter(|(_, found)| *found) {
                forward.edits.remove(trace.as_bytes());
            }
        }
    }

    /// The group of the caller, for the route, the upstream, the log and the client.
    #[inline(never)]
    fn join(&self, rule: &Rule<Split>, member: &Member, forward: &mut Forward) {
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

    /// The method of a call.
    #[inline(never)]
    fn name(&self, call: &GrpcMethod<'_>, forward: &mut Forward) {
        forward.counters.push(Counter::Grpc);
        forward.write(&self.headers.grpc_service, STATE_GRPC_SERVICE, call.service);
        forward.write(&self.headers.grpc_method, STATE_GRPC_METHOD, call.method);
        if let Some(header) = &self.headers.grpc_package
            && !call.package().is_empty()
        {
            forward.write(header, STATE_GRPC_PACKAGE, call.package());
        }
    }

    /// What the client learns of its version.
    fn tell(&self, selection: Selection, forward: &mut Forward) {
        if let Selection::Older { asked, served } = selection {
            self.warn(asked, served, forward);
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

    #[cold]
    #[inline(never)]
    fn warn(&self, asked: ApiVersion, served: ApiVersion, forward: &mut Forward) {
        let warning = format!("version {asked} is not served, this is version {served}");
        // Digits and letters: they fit in a header value.
        if let Ok(warning) = HeaderValue::try_from(warning.as_str()) {
            let name = HeaderName::from_static("x-gatehouse-version-warning");
            forward.answer.push((name, warning));
            forward.answer.extend(self.supported.clone());
        }
    }

    #[inline(never)]
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
