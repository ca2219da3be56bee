//! Presets, as they are written and checked.

use filter_config::{BoundedList, ConfigError, FieldPath};
use serde::Deserialize;

use crate::head_edits::{HeadEdit, HeadEdits};
use crate::presets::{OF_SERVERS, RequestPresets};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RequestPreset {
    RequestId,
    Traceparent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ResponsePreset {
    SecurityHeaders,
    HideServer,
}

pub(super) type RequestPresetsConfig = BoundedList<RequestPreset, 1, 8>;
pub(super) type ResponsePresetsConfig = BoundedList<ResponsePreset, 1, 8>;

pub(super) fn compile_request_presets(
    presets: Option<&RequestPresetsConfig>,
    at: &FieldPath,
) -> Result<RequestPresets, ConfigError> {
    let presets: &[_] = presets.map_or(&[], |presets| presets);
    check(presets, at)?;
    Ok(RequestPresets {
        request_id: presets.contains(&RequestPreset::RequestId),
        traceparent: presets.contains(&RequestPreset::Traceparent),
    })
}

/// Puts what presets remove in front of the edits, so that these may still say something else, and tells whether the answer is
/// to have security headers.
pub(super) fn compile_response_presets(
    presets: Option<&ResponsePresetsConfig>,
    edits: &mut HeadEdits,
    at: &FieldPath,
) -> Result<bool, ConfigError> {
    let presets: &[_] = presets.map_or(&[], |presets| presets);
    check(presets, at)?;
    if presets.contains(&ResponsePreset::HideServer) {
        let removals = OF_SERVERS.map(HeadEdit::Remove);
        edits.prepend(removals);
    }
    Ok(presets.contains(&ResponsePreset::SecurityHeaders))
}

fn check<T: PartialEq>(presets: &[T], at: &FieldPath) -> Result<(), ConfigError> {
    for (index, preset) in presets.iter().enumerate() {
        if presets.iter().take(index).any(|other| other == preset) {
            return Err(ConfigError::new(&at.index(index), "is there already"));
        }
    }
    Ok(())
}
