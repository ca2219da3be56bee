//! Conditions of edits, as they are written and checked.

use std::fmt;

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::is_token;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::condition::{Condition, StatusTest, Tests};
use crate::direction::Direction;

/// `when` or `unless` of an edit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestsConfig {
    groups: Option<BoundedList<Text<256>, 1, 64>>,
    plan: Option<BoundedList<Text<256>, 1, 64>>,
    status: Option<BoundedList<StatusTest, 1, 64>>,
    content_type: Option<BoundedList<Text<256>, 1, 64>>,
}

/// The condition of one edit; `None` if it is always made.
pub(super) fn compile_condition(
    when: Option<TestsConfig>,
    unless: Option<TestsConfig>,
    direction: Direction,
    at: &FieldPath,
) -> Result<Option<Condition>, ConfigError> {
    if when.is_none() && unless.is_none() {
        return Ok(None);
    }
    let compile = |config: Option<TestsConfig>, field: &str| {
        config
            .map(|config| compile_tests(config, direction, &at.field(field)))
            .transpose()
    };
    Ok(Some(Condition {
        when: compile(when, "when")?,
        unless: compile(unless, "unless")?,
    }))
}

fn compile_tests(
    config: TestsConfig,
    direction: Direction,
    at: &FieldPath,
) -> Result<Tests, ConfigError> {
    let TestsConfig {
        groups,
        plan,
        status,
        content_type,
    } = config;
    if groups.is_none() && plan.is_none() && status.is_none() && content_type.is_none() {
        let reason = "name at least one of groups, plan, status, content_type";
        return Err(ConfigError::new(at, reason));
    }
    if status.is_some() && direction == Direction::Request {
        let reason = "a request has no status";
        return Err(ConfigError::new(&at.field("status"), reason));
    }
    let texts = |list: Option<BoundedList<Text<256>, 1, 64>>| -> Vec<String> {
        let list = list.into_iter().flatten();
        list.map(Text::into_inner).collect()
    };
    let types_at = at.field("content_type");
    let types = texts(content_type).into_iter().enumerate();
    let types = types.map(|(index, text)| {
        let (kind, subtype) = text.split_once('/').unwrap_or((&text, ""));
        // A star in another place would be a letter.
        let is_type = is_token(kind)
            && is_token(subtype)
            && !kind.contains('*')
            && (subtype == "*" || !subtype.contains('*'));
        match is_type {
            true => Ok(text.to_ascii_lowercase()),
            false => Err(ConfigError::new(
                &types_at.index(index),
                "expected a type without parameters: application/json, text/*",
            )),
        }
    });
    Ok(Tests {
        groups: texts(groups),
        plans: texts(plan),
        statuses: status.into_iter().flatten().collect(),
        content_types: types.collect::<Result<_, _>>()?,
    })
}

impl<'de> Deserialize<'de> for StatusTest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusTest, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct StatusVisitor;

impl Visitor<'_> for StatusVisitor {
    type Value = StatusTest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status from 200 to 599, or a class of them, \"2xx\" to \"5xx\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatusTest, E> {
        let status = u16::try_from(number).ok();
        let status = status.filter(|status| (200..600).contains(status));
        status
            .map(StatusTest::Exact)
            .ok_or_else(|| E::custom("out of range, expected a status from 200 to 599"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusTest, E> {
        let class = match text {
            "2xx" => 2,
            "3xx" => 3,
            "4xx" => 4,
            "5xx" => 5,
            _ => {
                return Err(E::custom(
                    "expected a class of statuses, \"2xx\" to \"5xx\"",
                ));
            }
        };
        Ok(StatusTest::Class(class))
    }
}

/// A condition alone, for tests of what it means.
#[cfg(test)]
pub(crate) fn compile_condition_of(
    config: serde_json::Value,
    direction: Direction,
    at: &FieldPath,
) -> Result<Condition, ConfigError> {
    #[derive(Deserialize)]
    struct Edit {
        when: Option<TestsConfig>,
        unless: Option<TestsConfig>,
    }
    let edit: Edit = filter_config::from_value(config)?;
    compile_condition(edit.when, edit.unless, direction, at).map(Option::unwrap_or_default)
}
