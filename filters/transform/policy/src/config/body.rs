//! The operations on a body, as they are written and checked.

use std::rc::Rc;

use filter_config::{Bounded, BoundedList, ConfigError, FieldPath, Text};
use json_stream::{Kind, Operation, Pointer, Program};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::condition::{TestsConfig, compile_condition};
use super::hash::{HashConfig, compile_hash};
use super::limits::{LimitsConfig, compile_limits};
use crate::condition::InDoubt;
use crate::surroundings::Surroundings;
use crate::template::Scope;
use crate::variables::Variables;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperationConfig {
    remove: Option<String>,
    mask: Option<String>,
    set: Option<String>,
    add: Option<String>,
    keep_only: Option<String>,
    rename: Option<String>,
    convert: Option<String>,
    with: Option<String>,
    keep_last: Option<Bounded<1, { Operation::MAX_SHOWN as u64 }>>,
    hash: Option<HashConfig>,
    members: Option<BoundedList<Text<256>, 1, 64>>,
    to: Option<Text<256>>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    when: Option<TestsConfig>,
    unless: Option<TestsConfig>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnUndecodable {
    #[default]
    Fail,
    Pass,
}

/// `value: null` is a value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What a rule does to bodies.
#[derive(Debug)]
pub(crate) struct BodyRule {
    pub(crate) program: Rc<Program>,
    pub(crate) variables: Variables,
    /// What cannot be read goes on.
    pub(crate) pass: bool,
}

pub(super) fn compile_body(
    config: Option<BoundedList<OperationConfig, 1, 64>>,
    on_undecodable: OnUndecodable,
    captures: bool,
    scope: Scope<'_>,
    limits: Option<LimitsConfig>,
    surroundings: &Surroundings<'_>,
    at: &FieldPath,
) -> Result<Option<BodyRule>, ConfigError> {
    let Some(config) = config else {
        if on_undecodable == OnUndecodable::Pass && !captures {
            return Err(ConfigError::new(
                &at.field("on_undecodable"),
                "says what becomes of a body, and there is no body rule here",
            ));
        }
        if limits.is_some() && !captures {
            return Err(ConfigError::new(
                &at.field("limits"),
                "says what a body may have, and there is no body rule here",
            ));
        }
        return Ok(None);
    };
    let has_limits = limits.is_some();
    let limits = compile_limits(limits, surroundings.name_key, &at.field("limits"))?;
    let body_at = at.field("body");
    let mut operations = Vec::new();
    let mut variables = Variables::new(scope.direction, has_limits);
    for (index, mut operation) in config.into_iter().enumerate() {
        let at = body_at.index(index);
        let (when, unless) = (operation.when.take(), operation.unless.take());
        let condition = compile_condition(when, unless, scope.direction, &at)?;
        variables.add_operation(condition, operation.in_doubt());
        let operation = compile_operation(operation, surroundings, scope, &mut variables, &at)?;
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
        program: Rc::new(program.with_limits(limits)),
        variables,
        pass: on_undecodable == OnUndecodable::Pass,
    }))
}

impl OperationConfig {
    /// What hides a value hides it in doubt too.
    fn in_doubt(&self) -> InDoubt {
        let hiding = [&self.remove, &self.mask, &self.keep_only, &self.set];
        match hiding.into_iter().any(Option::is_some) {
            true => InDoubt::Make,
            false => InDoubt::LeaveOut,
        }
    }
}

fn compile_operation(
    config: OperationConfig,
    surroundings: &Surroundings<'_>,
    scope: Scope<'_>,
    variables: &mut Variables,
    at: &FieldPath,
) -> Result<Operation, ConfigError> {
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
        convert,
        with,
        keep_last,
        hash,
        value,
        members,
        to,
        when: _,
        unless: _,
    } = config;
    let places = [
        ("remove", remove),
        ("mask", mask),
        ("set", set),
        ("add", add),
        ("keep_only", keep_only),
        ("rename", rename),
        ("convert", convert),
    ];
    let mut named = places
        .into_iter()
        .filter_map(|(name, path)| Some((name, path?)));
    let (Some((name, path)), None) = (named.next(), named.next()) else {
        return Err(ConfigError::new(
            at,
            "needs exactly one of remove, mask, set, add, keep_only, rename, convert",
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
    is_for("keep_last", keep_last.is_some(), &["mask"])?;
    is_for("hash", hash.is_some(), &["mask"])?;
    is_for("value", value.is_some(), &["set", "add"])?;
    is_for("members", members.is_some(), &["keep_only"])?;
    is_for("to", to.is_some(), &["rename", "convert"])?;
    let missing = |what: &str| ConfigError::new(at, format!("{name} needs {what}"));
    match name {
        "remove" => Ok(Operation::remove(pointer(name, &path)?)),
        "mask" => {
            if let Some(hash) = hash {
                if with.is_some() || keep_last.is_some() {
                    let reason = "the hash is all that goes out: leave out with and keep_last";
                    return Err(ConfigError::new(&at.field("hash"), reason));
                }
                let key = compile_hash(&hash, surroundings, &at.field("hash"))?;
                return Ok(Operation::hash(pointer(name, &path)?, key));
            }
            let with = with.unwrap_or_else(|| "***".to_owned());
            if with.len() > MAX_VALUE {
                return Err(ConfigError::new(
                    &at.field("with"),
                    "may have at most 64 KiB",
                ));
            }
            let place = pointer(name, &path)?;
            let with = variables.text(with.into(), scope, &at.field("with"))?;
            let shown = keep_last.and_then(|shown| usize::try_from(shown.get()).ok());
            let shows = shown
                .and_then(|shown| Operation::mask_but_last(place.clone(), with.clone(), shown));
            Ok(shows.unwrap_or_else(|| Operation::mask(place, with)))
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
        "convert" => {
            let to = to.ok_or_else(|| missing("to"))?;
            let kind = match to.as_str() {
                "string" => Kind::String,
                "number" => Kind::Number,
                "boolean" => Kind::Boolean,
                _ => {
                    let reason = "expected string, number or boolean";
                    return Err(ConfigError::new(&at.field("to"), reason));
                }
            };
            Ok(Operation::convert(pointer(name, &path)?, kind))
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
            let value = variables.text(value, scope, &at.field("value"))?;
            let place = pointer(name, &path)?;
            Ok(if name == "set" {
                Operation::set(place, value)
            } else {
                Operation::add(place, value)
            })
        }
    }
}
