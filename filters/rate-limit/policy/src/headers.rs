//! Which headers tell of the limits.

use serde::Deserialize;

/// The wire form.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadersConfig {
    rate_limit: Option<bool>,
    rate_limit_policy: Option<bool>,
    x_rate_limit: Option<bool>,
    #[serde(default)]
    x_rate_limit_reset: Reset,
    on_admitted: Option<bool>,
}

/// How `X-RateLimit-Reset` tells its instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reset {
    /// In seconds from now.
    #[default]
    Delta,
    /// In seconds since 1970.
    Epoch,
}

/// Which headers responses have, and on which responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Headers {
    /// `RateLimit`.
    pub(crate) rate_limit: bool,
    /// `RateLimit-Policy`.
    pub(crate) rate_limit_policy: bool,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    pub(crate) x_rate_limit: bool,
    pub(crate) x_rate_limit_reset: Reset,
    /// Whether those who are admitted are told too.
    pub(crate) on_admitted: bool,
}

impl Headers {
    /// All of them, unless the configuration says otherwise.
    pub(crate) fn new(config: Option<HeadersConfig>) -> Headers {
        let config = config.unwrap_or_default();
        let rate_limit = config.rate_limit.unwrap_or(true);
        Headers {
            rate_limit,
            rate_limit_policy: config.rate_limit_policy.unwrap_or(rate_limit),
            x_rate_limit: config.x_rate_limit.unwrap_or(true),
            x_rate_limit_reset: config.x_rate_limit_reset,
            on_admitted: config.on_admitted.unwrap_or(true),
        }
    }
}
