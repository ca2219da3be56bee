//! What becomes of a request that cannot be counted.

use serde::Deserialize;

/// What becomes of a request when other workers were faster too often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnContention {
    /// It is refused.
    #[default]
    Reject,
    /// It goes on, and nothing is taken for it.
    Admit,
}
