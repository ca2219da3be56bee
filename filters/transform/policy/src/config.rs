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

mod body;
mod codings;
mod headers;
mod path;

pub(crate) use body::BodyRule;
use body::{OnUndecodable, OperationConfig, compile_body};
pub(crate) use codings::{CodingRule, Outgoing};
use codings::{CodingsConfig, compile_codings};
use headers::{HeadersConfig, check_against_owned, compile_headers};
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
    codings: Option<CodingsConfig>,
    #[serde(default)]
    on_undecodable: OnUndecodable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseConfig {
    headers: Option<HeadersConfig>,
    body: Option<BoundedList<OperationConfig, 1, 64>>,
    codings: Option<CodingsConfig>,
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
    pub(crate) request_codings: CodingRule,
    pub(crate) response: HeadEdits,
    pub(crate) response_body: Option<BodyRule>,
    pub(crate) response_codings: CodingRule,
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
            rules.push(Rule {
                name: rule.name,
                mode: rule.mode,
                matcher,
                value: Rc::new(Transform::compile(rule.request, rule.response, &at)?),
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
    }
    Ok(owned)
}

impl Transform {
    fn compile(
        request: Option<RequestConfig>,
        response: Option<ResponseConfig>,
        at: &FieldPath,
    ) -> Result<Transform, ConfigError> {
        let request_at = at.field("request");
        let response_at = at.field("response");
        let headers = |config, direction, at: &FieldPath| {
            compile_headers(config, direction, &at.field("headers"))
        };
        let mut transform = Transform {
            request: headers(None, Direction::Request, &request_at)?,
            path: None,
            request_body: None,
            request_codings: CodingRule::default(),
            response: headers(None, Direction::Response, &response_at)?,
            response_body: None,
            response_codings: CodingRule::default(),
        };
        if let Some(config) = request {
            transform.request = headers(config.headers, Direction::Request, &request_at)?;
            transform.path = config
                .path
                .map(|path| compile_path(&path, &request_at.field("path")))
                .transpose()?;
            transform.request_body = compile_body(config.body, config.on_undecodable, &request_at)?;
            transform.request_codings = compile_codings(
                config.codings,
                transform.request_body.is_some(),
                &request_at.field("codings"),
            )?;
        }
        if let Some(config) = response {
            transform.response = headers(config.headers, Direction::Response, &response_at)?;
            transform.response_body =
                compile_body(config.body, config.on_undecodable, &response_at)?;
            transform.response_codings = compile_codings(
                config.codings,
                transform.response_body.is_some(),
                &response_at.field("codings"),
            )?;
        }
        Ok(transform)
    }
}
