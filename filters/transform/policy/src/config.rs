//! The configuration: its wire form, and the checks that make a [`Policy`] of it.

use std::rc::Rc;

use filter_config::{BoundedList, BoundedMap, ConfigError, FieldPath, Name, Text, Version};
use grpc_descriptor::DescriptorSet;
use http_message::{
    HeaderName, HeaderValue, NamePatterns, fold_name, is_reserved_request_header, same_spelling,
};
use json_stream::{Operation, Pointer, Program};
use request_match::{
    MatchConfig, Mode, Placement, RequestMatch, Rule, Rules, TwinConfig, TwinTable,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::head_edits::HeadEdits;
use crate::path_rewrite::PathRewrite;

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadersConfig {
    #[serde(default)]
    set: BoundedMap<HeaderName, Text<4096>, 0, 64>,
    #[serde(default)]
    append: BoundedMap<HeaderName, Text<4096>, 0, 64>,
    #[serde(default)]
    remove: BoundedList<HeaderName, 0, 64>,
    #[serde(default)]
    rename: BoundedMap<HeaderName, HeaderName, 0, 64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PathConfig {
    replace_prefix: ReplacePrefixConfig,
    allowed_paths: BoundedList<Text<1024>, 1, 64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplacePrefixConfig {
    from: Text<1024>,
    to: Text<1024>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationConfig {
    remove: Option<String>,
    mask: Option<String>,
    set: Option<String>,
    add: Option<String>,
    keep_only: Option<String>,
    rename: Option<String>,
    with: Option<String>,
    members: Option<BoundedList<Text<256>, 1, 64>>,
    to: Option<Text<256>>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnUndecodable {
    #[default]
    Fail,
    Pass,
}

/// `value: null` is a value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
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
}

/// What a rule does to bodies.
#[derive(Debug)]
pub(crate) struct BodyRule {
    pub(crate) program: Rc<Program>,
    /// What cannot be read goes on.
    pub(crate) pass: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
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
        rule.value
            .request
            .owned()
            .for_each(|name| owned.add_name(name));
    }
    for (index, rule) in rules.iter().enumerate() {
        let headers = at.index(index).field("request").field("headers");
        for (from, _) in &rule.value.request.rename {
            if owned.matches(from.as_bytes()) {
                return Err(ConfigError::new(
                    &headers.field("rename").field(from.as_str()),
                    "another rule writes that header, so a client cannot send it",
                ));
            }
        }
        for (name, _) in &rule.value.request.append {
            let set_here = rule.value.request.owned().any(|other| other == name);
            if owned.matches(name.as_bytes()) && !set_here {
                return Err(ConfigError::new(
                    &headers.field("append").field(name.as_str()),
                    "another rule sets that header, so a client's copy is removed; set it here too",
                ));
            }
        }
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
        let mut transform = Transform {
            request: HeadEdits::default(),
            path: None,
            request_body: None,
            response: HeadEdits::default(),
            response_body: None,
        };
        if let Some(config) = request {
            transform.request = compile_headers(
                config.headers,
                Direction::Request,
                &request_at.field("headers"),
            )?;
            transform.path = config
                .path
                .map(|path| compile_path(&path, &request_at.field("path")))
                .transpose()?;
            transform.request_body = compile_body(config.body, config.on_undecodable, &request_at)?;
        }
        if let Some(config) = response {
            transform.response = compile_headers(
                config.headers,
                Direction::Response,
                &response_at.field("headers"),
            )?;
            transform.response_body =
                compile_body(config.body, config.on_undecodable, &response_at)?;
        }
        Ok(transform)
    }
}

fn compile_path(config: &PathConfig, at: &FieldPath) -> Result<PathRewrite, ConfigError> {
    let allowed: Vec<&str> = config.allowed_paths.iter().map(Text::as_str).collect();
    let replace = &config.replace_prefix;
    PathRewrite::compile(replace.from.as_str(), replace.to.as_str(), &allowed, at)
}

fn compile_headers(
    config: Option<HeadersConfig>,
    direction: Direction,
    at: &FieldPath,
) -> Result<HeadEdits, ConfigError> {
    let Some(config) = config else {
        return Ok(HeadEdits::default());
    };
    let check = |field: &str, name: &HeaderName| {
        if is_reserved(name, direction) {
            let at = at.field(field).field(name.as_str());
            return Err(ConfigError::new(
                &at,
                "that header is not for filters to write",
            ));
        }
        Ok(name.clone())
    };
    let pairs = |field: &str, map: &BoundedMap<HeaderName, Text<4096>, 0, 64>| {
        map.iter()
            .map(|(name, value)| {
                let value = HeaderValue::try_from(value.as_str()).map_err(|error| {
                    ConfigError::new(&at.field(field).field(name.as_str()), error.to_string())
                })?;
                Ok((check(field, name)?, value))
            })
            .collect::<Result<Vec<_>, ConfigError>>()
    };
    let edits = HeadEdits {
        remove: config
            .remove
            .iter()
            .map(|name| check("remove", name))
            .collect::<Result<_, _>>()?,
        rename: config
            .rename
            .iter()
            .map(|(from, to)| Ok((check("rename", from)?, check("rename", to)?)))
            .collect::<Result<_, ConfigError>>()?,
        set: pairs("set", &config.set)?,
        append: pairs("append", &config.append)?,
    };
    if edits.is_empty() {
        return Err(ConfigError::new(
            at,
            "name at least one of set, append, remove, rename",
        ));
    }
    for (from, to) in &edits.rename {
        let at = at.field("rename").field(from.as_str());
        // All renames read the headers as they came: a chain of two would lose what went through it.
        if edits
            .owned()
            .any(|name| same_spelling(name.as_bytes(), from.as_bytes()))
        {
            return Err(ConfigError::new(
                &at,
                "this rule writes that header, so there is nothing to rename",
            ));
        }
        if direction == Direction::Request && is_read_by_proxies(to) {
            return Err(ConfigError::new(
                &at,
                "proxies act on that header, and a client would choose its value; use set",
            ));
        }
    }
    // Two writers of one header in one rule are a slip.
    let written: Vec<&HeaderName> = edits.owned().collect();
    for (index, name) in written.iter().enumerate() {
        let same = |other: &&HeaderName| same_spelling(other.as_bytes(), name.as_bytes());
        if written.iter().take(index).any(same) {
            return Err(ConfigError::new(
                at,
                format!("{} is written twice", name.as_str()),
            ));
        }
    }
    Ok(edits)
}

/// Headers by which Envoy, and proxies behind it, are told what to do with a request.
fn is_read_by_proxies(name: &HeaderName) -> bool {
    const FAMILIES: [&str; 3] = ["x-envoy-", "x-forwarded-", "x-gatehouse-"];
    let is_in = |family: &&str| {
        let letters = fold_name(name.as_bytes()).take(family.len());
        letters.eq(family.bytes())
    };
    FAMILIES.iter().any(is_in) || name.as_str() == "forwarded"
}

/// Headers that frame a message or say what its body is belong to the filter itself, and gRPC's to the call.
fn is_reserved(name: &HeaderName, direction: Direction) -> bool {
    const RESPONSE: [&str; 12] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    match direction {
        Direction::Request => is_reserved_request_header(name),
        Direction::Response => {
            let same = |other: &&str| same_spelling(other.as_bytes(), name.as_bytes());
            RESPONSE.iter().any(same) || fold_name(name.as_bytes()).take(5).eq(*b"grpc-")
        }
    }
}

fn compile_body(
    config: Option<BoundedList<OperationConfig, 1, 64>>,
    on_undecodable: OnUndecodable,
    at: &FieldPath,
) -> Result<Option<BodyRule>, ConfigError> {
    let Some(config) = config else {
        if on_undecodable == OnUndecodable::Pass {
            return Err(ConfigError::new(
                &at.field("on_undecodable"),
                "says what becomes of a body, and there is no body rule here",
            ));
        }
        return Ok(None);
    };
    let body_at = at.field("body");
    let mut operations = Vec::new();
    for (index, operation) in config.into_iter().enumerate() {
        let at = body_at.index(index);
        let operation = compile_operation(operation, &at)?;
        // Which of two comes first is the client's choice.
        if operations
            .iter()
            .any(|other: &Operation| operation.is_at_odds_with(other))
        {
            return Err(ConfigError::new(
                &at.field("rename"),
                "another rename may give a member of the same object this name, or take it",
            ));
        }
        operations.push(operation);
    }
    let program = Program::new(operations).ok_or_else(|| {
        ConfigError::new(&body_at, "the paths may have at most 256 levels together")
    })?;
    Ok(Some(BodyRule {
        program: Rc::new(program),
        pass: on_undecodable == OnUndecodable::Pass,
    }))
}

fn compile_operation(config: OperationConfig, at: &FieldPath) -> Result<Operation, ConfigError> {
    const MAX_PATH: usize = 1024;
    const MAX_VALUE: usize = 64 * 1024;
    let pointer = |field: &str, text: &str| {
        let at = at.field(field);
        if text.len() > MAX_PATH {
            return Err(ConfigError::new(&at, "a path may have at most 1024 bytes"));
        }
        Pointer::parse(text).map_err(|error| ConfigError::new(&at, error.to_string()))
    };
    let OperationConfig {
        remove,
        mask,
        set,
        add,
        keep_only,
        rename,
        with,
        value,
        members,
        to,
    } = config;
    let places = [
        ("remove", remove),
        ("mask", mask),
        ("set", set),
        ("add", add),
        ("keep_only", keep_only),
        ("rename", rename),
    ];
    let mut named = places
        .into_iter()
        .filter_map(|(name, path)| Some((name, path?)));
    let (Some((name, path)), None) = (named.next(), named.next()) else {
        return Err(ConfigError::new(
            at,
            "needs exactly one of remove, mask, set, add, keep_only, rename",
        ));
    };
    let is_for = |field: &str, is_there: bool, of: &[&str]| {
        if is_there && !of.contains(&name) {
            let reason = format!("is for {}", of.join(" and "));
            return Err(ConfigError::new(&at.field(field), reason));
        }
        Ok(())
    };
    is_for("with", with.is_some(), &["mask"])?;
    is_for("value", value.is_some(), &["set", "add"])?;
    is_for("members", members.is_some(), &["keep_only"])?;
    is_for("to", to.is_some(), &["rename"])?;
    let missing = |what: &str| ConfigError::new(at, format!("{name} needs {what}"));
    match name {
        "remove" => Ok(Operation::remove(pointer(name, &path)?)),
        "mask" => {
            let with = with.unwrap_or_else(|| "***".to_owned());
            if with.len() > MAX_VALUE {
                return Err(ConfigError::new(
                    &at.field("with"),
                    "may have at most 64 KiB",
                ));
            }
            Ok(Operation::mask(pointer(name, &path)?, &with))
        }
        "keep_only" => {
            let members = members.ok_or_else(|| missing("members"))?;
            let names = members.iter().map(|name| name.as_str().to_owned());
            let place = if path.is_empty() {
                Pointer::root()
            } else {
                pointer(name, &path)?
            };
            Ok(Operation::keep_only(place, names.collect()))
        }
        "rename" => {
            let to = to.ok_or_else(|| missing("to"))?;
            Operation::rename(pointer(name, &path)?, to.as_str())
                .ok_or_else(|| ConfigError::new(&at.field(name), "the path has to end with a name"))
        }
        _ => {
            let value = value.ok_or_else(|| missing("a value"))?;
            if value.to_string().len() > MAX_VALUE {
                return Err(ConfigError::new(
                    &at.field("value"),
                    "may have at most 64 KiB",
                ));
            }
            let place = pointer(name, &path)?;
            Ok(if name == "set" {
                Operation::set(place, &value)
            } else {
                Operation::add(place, &value)
            })
        }
    }
}
