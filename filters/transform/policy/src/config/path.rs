//! Another path, as it is written and checked.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use serde::Deserialize;

use crate::path_rewrite::PathRewrite;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathConfig {
    replace_prefix: ReplacePrefixConfig,
    allowed_paths: BoundedList<Text<1024>, 1, 64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplacePrefixConfig {
    from: Text<1024>,
    to: Text<1024>,
}

pub(super) fn compile_path(
    config: &PathConfig,
    at: &FieldPath,
) -> Result<PathRewrite, ConfigError> {
    let allowed: Vec<&str> = config.allowed_paths.iter().map(Text::as_str).collect();
    let replace = &config.replace_prefix;
    PathRewrite::compile(replace.from.as_str(), replace.to.as_str(), &allowed, at)
}
