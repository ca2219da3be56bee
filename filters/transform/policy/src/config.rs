//! The configuration: its wire form, and the checks that make a [`Policy`] of it.

use std::rc::Rc;

use filter_config::{BoundedList, ByteSize, ConfigDuration, ConfigError, FieldPath, Name, Version};
use grpc_descriptor::DescriptorSet;
use http_message::{HeaderName, NamePatterns, same_spelling};
use identity::Identity;
use request_match::{
    MatchConfig, Mode, Placement, RequestMatch, Rule, Rules, TwinConfig, TwinTable,
};
use serde::Deserialize;

use crate::capture::CaptureRule;
use crate::direction::Direction;
use crate::head_edits::{HeadEdit, HeadEdits};
use crate::host_rewrite::HostRewrite;
use crate::method_override::MethodOverride;
use crate::path_rewrite::PathRewrite;
use crate::presets::RequestPresets;
use crate::query_edits::QueryEdits;
use crate::surroundings::Surroundings;
use crate::template::{Facts, Needs, Scope, Template};

mod body;
mod capture;
mod codings;
mod condition;
mod hash;
mod headers;
mod limits;
mod path;
mod presets;
mod query;
mod target;

pub(crate) use body::BodyRule;
use body::{OnUndecodable, OperationConfig, compile_body};
use capture::{CaptureBounds, CaptureConfig, compile_capture, names};
pub(crate) use codings::{CodingRule, Outgoing};
use codings::{CodingsConfig, compile_codings};
#[cfg(test)]
pub(crate) use condition::compile_condition_of;
use headers::{HeadersConfig, check_against_owned, check_copies, compile_headers};
use limits::{LimitsConfig, compile_limits};
use path::{PathConfig, compile_path};
use presets::{
    RequestPresetsConfig, ResponsePresetsConfig, compile_request_presets, compile_response_presets,
};
use query::{QueryConfig, compile_query};
use target::{AllowedHostsConfig, HostConfig, MethodConfig, compile_host, compile_method};

/// The wire form. README.md tells what each field means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[expect(dead_code, reason = "read to be checked")]
    version: Version,
    #[serde(default)]
    twins: BoundedList<TwinConfig, 0, 1024>,
    descriptor_set: Option<DescriptorSet>,
    #[serde(default)]
    host_allows_stop_iteration: bool,
    rules: BoundedList<RuleConfig, 1, 256>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    name: Name,
    #[serde(default)]
    r#match: MatchConfig,
    #[serde(default)]
    mode: Mode,
    request: Option<RequestConfig>,
    response: Option<ResponseConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestConfig {
    headers: Option<HeadersConfig>,
    query: Option<QueryConfig>,
    path: Option<PathConfig>,
    host: Option<HostConfig>,
    allowed_hosts: Option<AllowedHostsConfig>,
    method: Option<MethodConfig>,
    presets: Option<RequestPresetsConfig>,
    body: Option<BoundedList<OperationConfig, 1, 64>>,
    limits: Option<LimitsConfig>,
    capture: Option<BoundedList<CaptureConfig, 1, 16>>,
    capture_max_bytes: Option<ByteSize>,
    capture_deadline: Option<ConfigDuration>,
    codings: Option<CodingsConfig>,
    #[serde(default)]
    on_undecodable: OnUndecodable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseConfig {
    headers: Option<HeadersConfig>,
    presets: Option<ResponsePresetsConfig>,
    body: Option<BoundedList<OperationConfig, 1, 64>>,
    limits: Option<LimitsConfig>,
    capture: Option<BoundedList<CaptureConfig, 1, 16>>,
    capture_max_bytes: Option<ByteSize>,
    capture_deadline: Option<ConfigDuration>,
    codings: Option<CodingsConfig>,
    #[serde(default)]
    on_undecodable: OnUndecodable,
}

/// What is written about the bodies of one direction.
struct BodiesConfig {
    body: Option<BoundedList<OperationConfig, 1, 64>>,
    limits: Option<LimitsConfig>,
    capture: Option<BoundedList<CaptureConfig, 1, 16>>,
    capture_max_bytes: Option<ByteSize>,
    capture_deadline: Option<ConfigDuration>,
    codings: Option<CodingsConfig>,
    on_undecodable: OnUndecodable,
}

/// What a rule does to the bodies of one direction.
struct Bodies {
    capture: Option<Rc<CaptureRule>>,
    body: Option<BodyRule>,
    codings: CodingRule,
}

impl BodiesConfig {
    fn compile(
        self,
        scope: Scope<'_>,
        host_allows_stop_iteration: bool,
        surroundings: &Surroundings<'_>,
        at: &FieldPath,
    ) -> Result<Bodies, ConfigError> {
        let bounds = CaptureBounds {
            max_bytes: self.capture_max_bytes,
            deadline: self.capture_deadline,
            host_allows_stop_iteration,
            pass: self.on_undecodable == OnUndecodable::Pass,
            limits: compile_limits(self.limits, surroundings.name_key, &at.field("limits"))?,
        };
        let captures = self.capture.is_some();
        let capture = compile_capture(self.capture, &bounds, scope.direction, at)?;
        let body = compile_body(
            self.body,
            self.on_undecodable,
            captures,
            scope,
            self.limits,
            surroundings,
            at,
        )?;
        let codings =
            compile_codings(self.codings, body.is_some(), captures, &at.field("codings"))?;
        Ok(Bodies {
            capture,
            body,
            codings,
        })
    }
}

/// A configuration that has passed every check.
#[derive(Debug)]
pub struct Policy {
    pub(crate) twins: TwinTable,
    pub(crate) rules: Rules<Rc<Transform>>,
    /// The request headers that rules write: no client's copy of them goes on.
    pub(crate) owned: NamePatterns,
    pub(crate) needs_route: bool,
    pub(crate) needs_identity: bool,
    /// A rule makes sure of ids or traces.
    pub(crate) has_presets: bool,
    /// Who calls where no rule asks, and what is known then.
    pub(crate) anonymous: Identity,
    pub(crate) no_facts: Facts,
    /// The operator's word that Envoy lets the body come while the head waits.
    pub(crate) host_allows_stop_iteration: bool,
    /// Whether a rule reads bodies and closes where it cannot.
    pub(crate) closes: bool,
}

/// What a rule does.
#[derive(Debug)]
pub(crate) struct Transform {
    pub(crate) request: HeadEdits,
    pub(crate) query: QueryEdits,
    pub(crate) path: Option<PathRewrite>,
    pub(crate) host: Option<HostRewrite>,
    pub(crate) method: Option<MethodOverride>,
    pub(crate) presets: RequestPresets,
    pub(crate) request_capture: Option<Rc<CaptureRule>>,
    pub(crate) request_body: Option<BodyRule>,
    pub(crate) request_codings: CodingRule,
    pub(crate) response: HeadEdits,
    pub(crate) security_headers: bool,
    pub(crate) response_capture: Option<Rc<CaptureRule>>,
    pub(crate) response_body: Option<BodyRule>,
    pub(crate) response_codings: CodingRule,
    /// What its templates and conditions look at, those for the response too.
    pub(crate) needs: Needs,
    /// That is something.
    pub(crate) asks: bool,
    /// What those for the response look at.
    pub(crate) response_needs: Needs,
}

impl Policy {
    /// Reads what the host hands over: JSON or a serialized `google.protobuf.Struct`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Policy, ConfigError> {
        Policy::from_bytes_in(bytes, &Surroundings::NONE)
    }

    /// As [`Policy::from_bytes`], in a VM with these surroundings.
    pub fn from_bytes_in(
        bytes: &[u8],
        surroundings: &Surroundings<'_>,
    ) -> Result<Policy, ConfigError> {
        Policy::compile(filter_config::parse(bytes)?, surroundings)
    }

    /// Checks what types cannot: references, duplicates, names that would harm a message.
    pub fn compile(config: Config, surroundings: &Surroundings<'_>) -> Result<Policy, ConfigError> {
        let root = FieldPath::root();
        let twins = TwinTable::of(
            config.twins.into_inner(),
            config.descriptor_set.as_ref(),
            &root,
        )?;
        let rules_at = root.field("rules");
        let mut rules = Vec::new();
        let mut needs_identity = false;
        for (index, rule) in config.rules.into_iter().enumerate() {
            let at = rules_at.index(index);
            let match_at = at.field("match");
            let matcher =
                RequestMatch::compile(rule.r#match, &match_at, Placement { identity: true })?;
            needs_identity |= matcher.needs_identity();
            let value = Transform::compile(
                rule.request,
                rule.response,
                &matcher,
                config.host_allows_stop_iteration,
                surroundings,
                &at,
            )?;
            rules.push(Rule {
                name: rule.name,
                mode: rule.mode,
                matcher,
                value: Rc::new(value),
            });
        }
        let rules = Rules::compile(rules, &rules_at)?;
        let owned = owned(&rules, &rules_at)?;
        let closes = rules
            .iter()
            .any(|rule| rule.mode == Mode::Enforce && rule.value.closes());
        Ok(Policy {
            twins,
            needs_route: rules.needs_route(),
            needs_identity,
            has_presets: rules.iter().any(|rule| rule.value.presets.any()),
            rules,
            owned,
            anonymous: Identity::anonymous(),
            no_facts: Facts::default(),
            host_allows_stop_iteration: config.host_allows_stop_iteration,
            closes,
        })
    }
}

/// The names that rules write. To rename one of them would let a client's copy through under another name.
fn owned(rules: &Rules<Rc<Transform>>, at: &FieldPath) -> Result<NamePatterns, ConfigError> {
    let mut owned = NamePatterns::default();
    for rule in rules.iter().filter(|rule| rule.mode != Mode::Off) {
        rule.value.owned().for_each(|name| owned.add_name(name));
    }
    for (index, rule) in rules.iter().enumerate() {
        let headers = at.index(index).field("request").field("headers");
        check_against_owned(&rule.value.request, &owned, &headers)?;
        check_copies(&rule.value, &owned, &at.index(index))?;
    }
    Ok(owned)
}

impl Transform {
    fn compile(
        request: Option<RequestConfig>,
        response: Option<ResponseConfig>,
        matcher: &RequestMatch,
        host_allows_stop_iteration: bool,
        surroundings: &Surroundings<'_>,
        at: &FieldPath,
    ) -> Result<Transform, ConfigError> {
        let request_at = at.field("request");
        let response_at = at.field("response");
        let of_request = names(request.as_ref().and_then(|config| config.capture.as_ref()));
        let of_both = names(response.as_ref().and_then(|config| config.capture.as_ref()));
        let of_both: Vec<String> = of_both.into_iter().chain(of_request.clone()).collect();
        let of_request = Scope {
            direction: Direction::Request,
            matcher,
            captures: &of_request,
        };
        let of_response = Scope {
            direction: Direction::Response,
            matcher,
            captures: &of_both,
        };
        let headers =
            |config, scope, at: &FieldPath| compile_headers(config, scope, &at.field("headers"));
        let mut transform = Transform {
            request: headers(None, of_request, &request_at)?,
            query: QueryEdits::default(),
            path: None,
            request_capture: None,
            host: None,
            method: None,
            presets: RequestPresets::default(),
            request_body: None,
            request_codings: CodingRule::default(),
            response: headers(None, of_response, &response_at)?,
            response_capture: None,
            security_headers: false,
            response_body: None,
            response_codings: CodingRule::default(),
            needs: Needs::default(),
            asks: false,
            response_needs: Needs::default(),
        };
        if let Some(config) = request {
            transform.request = headers(config.headers, of_request, &request_at)?;
            transform.path = config
                .path
                .map(|path| compile_path(path, of_request, &request_at.field("path")))
                .transpose()?;
            transform.query = compile_query(config.query, of_request, &request_at.field("query"))?;
            let allowed_hosts = config.allowed_hosts.as_ref();
            transform.host =
                compile_host(config.host.as_ref(), allowed_hosts, of_request, &request_at)?;
            transform.method = config
                .method
                .map(|method| compile_method(&method, &request_at.field("method")))
                .transpose()?;
            let presets_at = request_at.field("presets");
            transform.presets = compile_request_presets(config.presets.as_ref(), &presets_at)?;
            let bodies = BodiesConfig {
                body: config.body,
                limits: config.limits,
                capture: config.capture,
                capture_max_bytes: config.capture_max_bytes,
                capture_deadline: config.capture_deadline,
                codings: config.codings,
                on_undecodable: config.on_undecodable,
            };
            let bodies = bodies.compile(
                of_request,
                host_allows_stop_iteration,
                surroundings,
                &request_at,
            )?;
            transform.request_capture = bodies.capture;
            transform.request_body = bodies.body;
            transform.request_codings = bodies.codings;
            transform.check_captured_headers(&request_at)?;
        }
        if let Some(config) = response {
            transform.response = headers(config.headers, of_response, &response_at)?;
            transform.security_headers = compile_response_presets(
                config.presets.as_ref(),
                &mut transform.response,
                &response_at.field("presets"),
            )?;
            let bodies = BodiesConfig {
                body: config.body,
                limits: config.limits,
                capture: config.capture,
                capture_max_bytes: config.capture_max_bytes,
                capture_deadline: config.capture_deadline,
                codings: config.codings,
                on_undecodable: config.on_undecodable,
            };
            let bodies = bodies.compile(
                of_response,
                host_allows_stop_iteration,
                surroundings,
                &response_at,
            )?;
            transform.response_capture = bodies.capture;
            transform.response_body = bodies.body;
            transform.response_codings = bodies.codings;
        }
        transform.add_needs();
        Ok(transform)
    }

    fn add_needs(&mut self) {
        let mut needs = Needs::default();
        self.response.add_needs(&mut needs);
        if let Some(body) = &self.response_body {
            body.variables.add_needs(&mut needs);
        }
        self.response_needs = needs.clone();
        // The response has a time of its own.
        needs.time = false;
        self.request.add_needs(&mut needs);
        for template in self.target_templates() {
            needs.add(&template.needs());
        }
        if let Some(body) = &self.request_body {
            body.variables.add_needs(&mut needs);
        }
        self.asks = !needs.is_empty();
        self.needs = needs;
    }

    /// All its templates.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let heads = self.request.edits.iter().chain(&self.response.edits);
        let bodies = [&self.request_body, &self.response_body];
        let bodies = bodies.into_iter().flatten();
        heads
            .filter_map(HeadEdit::template)
            .chain(bodies.flat_map(|body| body.variables.templates()))
            .chain(self.target_templates())
    }

    fn target_templates(&self) -> impl Iterator<Item = &Template> {
        let path = self.path.iter().flat_map(PathRewrite::templates);
        let host = self.host.iter().filter_map(|host| host.value.template());
        path.chain(host).chain(self.query.templates())
    }

    /// The request headers that this writes whole.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &HeaderName> {
        self.request.owned().chain(self.captured_headers())
    }

    fn captured_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let rules = self.request_capture.iter();
        rules
            .flat_map(|rule| &rule.targets)
            .filter_map(|target| target.header.as_ref())
    }

    /// Two writers of one header in one rule are a slip.
    fn check_captured_headers(&self, at: &FieldPath) -> Result<(), ConfigError> {
        for name in self.captured_headers() {
            let same = |other: &HeaderName| same_spelling(other.as_bytes(), name.as_bytes());
            if self.request.owned().any(same) {
                let reason = format!("headers writes {} too", name.as_str());
                return Err(ConfigError::new(&at.field("capture"), reason));
            }
        }
        Ok(())
    }

    /// Whether it reads a body, and closes where it cannot.
    fn closes(&self) -> bool {
        let bodies = [&self.request_body, &self.response_body];
        let captures = [&self.request_capture, &self.response_capture];
        bodies.into_iter().flatten().any(|body| !body.pass)
            || captures.into_iter().flatten().any(|capture| !capture.pass)
    }
}
