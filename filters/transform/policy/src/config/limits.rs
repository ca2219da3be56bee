//! What a document may have, as it is written and checked.

use filter_config::{Bounded, ByteSize, ConfigError, FieldPath};
use json_stream::{DuplicateMembers, Limits};
use serde::Deserialize;

/// As many members as an object may have, where nothing else is written.
const MAX_MEMBERS: u64 = 16 * 1024;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsConfig {
    max_bytes: Option<ByteSize>,
    max_depth: Option<Bounded<1, { Limits::MOST_DEPTH as u64 }>>,
    max_members: Option<Bounded<1, { u32::MAX as u64 }>>,
    max_elements: Option<Bounded<1, { u32::MAX as u64 }>>,
    max_string: Option<ByteSize>,
    #[serde(default)]
    duplicate_members: Duplicates,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Duplicates {
    #[default]
    Refuse,
    Allow,
}

/// The limits; `key` is what names are told apart under.
pub(super) fn compile_limits(
    config: Option<LimitsConfig>,
    key: [u8; 16],
    at: &FieldPath,
) -> Result<Limits, ConfigError> {
    let config = config.unwrap_or_default();
    let default = Limits::default();
    let bytes = |field: &str, size: Option<ByteSize>| match size.map(ByteSize::get) {
        Some(0) => Err(ConfigError::new(
            &at.field(field),
            "no document is so short",
        )),
        size => Ok(size.unwrap_or(u64::MAX)),
    };
    let depth = config.max_depth.map(Bounded::get);
    Ok(Limits {
        max_bytes: bytes("max_bytes", config.max_bytes)?,
        max_depth: depth
            .and_then(|depth| usize::try_from(depth).ok())
            .unwrap_or(default.max_depth),
        max_members: config.max_members.map_or(MAX_MEMBERS, Bounded::get),
        max_elements: config.max_elements.map_or(u64::MAX, Bounded::get),
        max_string: bytes("max_string", config.max_string)?,
        duplicate_members: match config.duplicate_members {
            Duplicates::Refuse => DuplicateMembers::Refuse { key },
            Duplicates::Allow => DuplicateMembers::Allow,
        },
    })
}
