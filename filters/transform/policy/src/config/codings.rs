//! Which content codings are read, as they are written and checked.

use content_coding::{Caps, Coding, Codings};
use filter_config::{Bounded, BoundedList, ByteSize, ConfigError, FieldPath};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CodingsConfig {
    read: Option<BoundedList<CodingName, 0, 2>>,
    out: Outgoing,
    max_decoded_bytes: Option<ByteSize>,
    max_ratio: Option<Bounded<1, 1032>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CodingName {
    Gzip,
    Deflate,
}

/// In which coding a body that came in one goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outgoing {
    #[default]
    Same,
    Identity,
}

/// What a rule reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodingRule {
    pub(crate) read: Codings,
    pub(crate) out: Outgoing,
    pub(crate) caps: Caps,
}

impl Default for CodingRule {
    fn default() -> CodingRule {
        CodingRule {
            read: Codings::ALL,
            out: Outgoing::Same,
            caps: Caps {
                max_bytes: 256 << 20,
                // As Apache's DeflateInflateRatioLimit.
                max_ratio: 200,
            },
        }
    }
}

pub(super) fn compile_codings(
    config: Option<CodingsConfig>,
    has_body: bool,
    captures: bool,
    at: &FieldPath,
) -> Result<CodingRule, ConfigError> {
    const MAX_DECODED: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 40;
    let mut rule = CodingRule::default();
    if captures {
        // Members are read of what comes, before anything is decoded.
        rule.read = Codings::default();
    }
    let Some(config) = config else {
        return Ok(rule);
    };
    if captures {
        let reason = "a body of which members are captured is read in no coding";
        return Err(ConfigError::new(at, reason));
    }
    if !has_body {
        let reason = "says how a body is read, and there is no body rule here";
        return Err(ConfigError::new(at, reason));
    }
    rule.out = config.out;
    if let Some(read) = config.read {
        let names: Vec<CodingName> = read.into_iter().collect();
        if matches!(names[..], [first, second] if first == second) {
            return Err(ConfigError::new(
                &at.field("read").index(1),
                "is named twice",
            ));
        }
        rule.read = names
            .into_iter()
            .map(|name| match name {
                CodingName::Gzip => Coding::Gzip,
                CodingName::Deflate => Coding::Deflate,
            })
            .collect();
    }
    if let Some(size) = config.max_decoded_bytes {
        if !MAX_DECODED.contains(&size.get()) {
            let at = at.field("max_decoded_bytes");
            return Err(ConfigError::new(&at, "expected 1KiB to 1024GiB"));
        }
        rule.caps.max_bytes = size.get();
    }
    if let Some(ratio) = config.max_ratio {
        rule.caps.max_ratio = ratio.get();
    }
    Ok(rule)
}
