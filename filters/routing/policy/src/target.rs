//! Where requests go, by whatever tells them apart.

use filter_config::{BoundedList, ConfigError, FieldPath, Name, Text};
use http_message::HeaderValue;
use request_match::{MatchConfig, Mode, Placement, RequestMatch, Rule, Rules};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetConfig {
    name: Name,
    #[serde(default)]
    mode: Mode,
    #[serde(default, rename = "match")]
    matcher: MatchConfig,
    target: Text<256>,
}

/// The rules as they are configured.
pub(crate) type TargetList = BoundedList<TargetConfig, 1, 256>;

/// The rules in order, of which the first that matches names the target.
pub(crate) fn compile(
    config: TargetList,
    at: &FieldPath,
) -> Result<Rules<HeaderValue>, ConfigError> {
    let mut rules = Vec::new();
    for (index, rule) in config.into_iter().enumerate() {
        let at = at.index(index);
        rules.push(Rule {
            name: rule.name,
            mode: rule.mode,
            matcher: matcher(rule.matcher, &at)?,
            value: target_value(rule.target.as_str(), &at.field("target"))?,
        });
    }
    Rules::compile(rules, at)
}

/// The match of a rule. This filter writes what the route is chosen by, so it cannot look at the route.
pub(crate) fn matcher(config: MatchConfig, at: &FieldPath) -> Result<RequestMatch, ConfigError> {
    let at = at.field("match");
    let matcher = RequestMatch::compile(config, &at, Placement { identity: true })?;
    match matcher.needs_route() {
        true => Err(ConfigError::new(
            &at.field("route"),
            "the route is chosen by what this filter writes; match on the request",
        )),
        false => Ok(matcher),
    }
}

/// The name of a cluster, or whatever a route is to look for.
pub(crate) fn target_value(text: &str, at: &FieldPath) -> Result<HeaderValue, ConfigError> {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
    HeaderValue::try_from(text)
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| ConfigError::new(at, "expected a name of visible ASCII without a comma"))
}
