//! The configuration: its wire form, and the checks that make a [`Policy`] of it.

use std::rc::Rc;

use filter_config::{BoundedList, ConfigError, FieldPath, Name, Version};
use grpc_descriptor::DescriptorSet;
use http_message::NamePatterns;
use request_match::{
    MatchConfig, Mode, Placement, RequestMatch, Rule, Rules, TwinConfig, TwinTable,
};
use serde::Deserialize;

use crate::direction::Direction;
use crate::head_edits::{HeadEdit, HeadEdits};
use crate::path_rewrite::PathRewrite;
use crate::template::{Needs, Scope, Template};

mod body;
mod condition;
mod headers;
mod path;

pub(crate) use body::BodyRule;
use body::{OnUndecodable, OperationConfig, compile_body};
#[cfg(test)]
pub(crate) use condition::compile_condition_of;
use headers::{HeadersConfig, check_against_owned, check_copies, compile_headers};
use path::{PathConfig, compile_path};

/// The wire form. README.md tells what each field means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[expect(dead_code, reason = "read to be checked")]
    version: Version,
    #[serde(default)]
    twins: BoundedList<TwinConfig, 0, 1024>,
    descriptor_set: Option<DescriptorSet>,
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
    path: Option<PathConfig>,
    body: Option<BoundedList<OperationConfig, 1, 64>>,
    #[serde(default)]
    on_undecodable: OnUndecodable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseConfig {
    headers: Option<HeadersConfig>,
    body: Option<BoundedList<OperationConfig, 1, 64>>,
    #[serde(default)]
    on_undecodable: OnUndecodable,
}

/// A configuration that has passed every check.
#[derive(Debug)]
pub struct Policy {
    pub(crate) twins: TwinTable,
    pub(crate) rules: Rules<Rc<Transform>>,
    /// The request headers that rules write: no client's copy of them goes on.
    pub(crate) owned: NamePatterns,
    pub(crate) needs_identity: bool,
    /// Whether a rule reads bodies and closes where it cannot.
    pub(crate) closes: bool,
}

/// What a rule does.
#[derive(Debug)]
pub(crate) struct Transform {
    pub(crate) request: HeadEdits,
    pub(crate) path: Option<PathRewrite>,
    pub(crate) request_body: Option<BodyRule>,
    pub(crate) response: HeadEdits,
    pub(crate) response_body: Option<BodyRule>,
    /// What its templates and conditions look at, those for the response too.
    pub(crate) needs: Needs,
    /// What those for the response look at.
    pub(crate) response_needs: Needs,
}

impl Policy {
    /// Reads what the host hands over: JSON or a serialized `google.protobuf.Struct`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Policy, ConfigError> {
        Policy::compile(filter_config::parse(bytes)?)
    }

    /// Checks what types cannot: references, duplicates, names that would harm a message.
    pub fn compile(config: Config) -> Result<Policy, ConfigError> {
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
            let value = Transform::compile(rule.request, rule.response, &matcher, &at)?;
            rules.push(Rule {
                name: rule.name,
                mode: rule.mode,
                matcher,
                value: Rc::new(value),
            });
        }
        let rules = Rules::compile(rules, &rules_at)?;
        let owned = owned(&rules, &rules_at)?;
        let closes = rules.iter().any(|rule| {
            let bodies = [&rule.value.request_body, &rule.value.response_body];
            rule.mode == Mode::Enforce && bodies.into_iter().flatten().any(|body| !body.pass)
        });
        Ok(Policy {
            twins,
            rules,
            owned,
            needs_identity,
            closes,
        })
    }
}

/// The names that rules write. To rename one of them would let a client's copy through under another name.
fn owned(rules: &Rules<Rc<Transform>>, at: &FieldPath) -> Result<NamePatterns, ConfigError> {
    let mut owned = NamePatterns::default();
    for rule in rules.iter().filter(|rule| rule.mode != Mode::Off) {
        let names = rule.value.request.edits.iter().filter_map(HeadEdit::owned);
        names.for_each(|name| owned.add_name(name));
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
        at: &FieldPath,
    ) -> Result<Transform, ConfigError> {
        let request_at = at.field("request");
        let response_at = at.field("response");
        let scope = |direction| Scope {
            direction,
            matcher,
            captures: &[],
        };
        let (of_request, of_response) = (scope(Direction::Request), scope(Direction::Response));
        let headers =
            |config, scope, at: &FieldPath| compile_headers(config, scope, &at.field("headers"));
        let mut transform = Transform {
            request: headers(None, of_request, &request_at)?,
            path: None,
            request_body: None,
            response: headers(None, of_response, &response_at)?,
            response_body: None,
            needs: Needs::default(),
            response_needs: Needs::default(),
        };
        if let Some(config) = request {
            transform.request = headers(config.headers, of_request, &request_at)?;
            transform.path = config
                .path
                .map(|path| compile_path(&path, &request_at.field("path")))
                .transpose()?;
            transform.request_body =
                compile_body(config.body, config.on_undecodable, of_request, &request_at)?;
        }
        if let Some(config) = response {
            transform.response = headers(config.headers, of_response, &response_at)?;
            transform.response_body = compile_body(
                config.body,
                config.on_undecodable,
                of_response,
                &response_at,
            )?;
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
        if let Some(body) = &self.request_body {
            body.variables.add_needs(&mut needs);
        }
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
    }
}
