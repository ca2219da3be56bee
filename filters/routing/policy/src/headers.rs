//! The headers that are written, and those that no client may send.

use filter_config::{ConfigError, FieldPath};
use http_message::{HeaderName, NamePatterns, is_reserved_request_header, same_spelling};
use serde::Deserialize;

use crate::call::TRACES;

/// The names, as they are configured.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadersConfig {
    api_version: Option<HeaderName>,
    grpc_service: Option<HeaderName>,
    grpc_method: Option<HeaderName>,
    grpc_package: Option<HeaderName>,
    grpc_kind: Option<HeaderName>,
    protocol: Option<HeaderName>,
    target: Option<HeaderName>,
    experiment: Option<HeaderName>,
    group: Option<HeaderName>,
}

/// The headers that are written, and the names that no client may send.
#[derive(Debug)]
pub(crate) struct Headers {
    pub(crate) api_version: HeaderName,
    pub(crate) grpc_service: HeaderName,
    pub(crate) grpc_method: HeaderName,
    /// Written where they are named only: not every upstream wants them.
    pub(crate) grpc_package: Option<HeaderName>,
    pub(crate) grpc_kind: Option<HeaderName>,
    pub(crate) protocol: Option<HeaderName>,
    pub(crate) target: HeaderName,
    pub(crate) experiment: HeaderName,
    pub(crate) group: HeaderName,
    pub(crate) patterns: NamePatterns,
    /// The lengths of these names and of those that the transcoder leaves, a bit each: most headers of a request are of another.
    lengths: u64,
}

/// Which of the names below are written at all. A client may send those that are not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uses {
    pub(crate) targets: bool,
    pub(crate) splits: bool,
    /// What tells Envoy's router how long to wait and what to try again.
    pub(crate) router: bool,
}

/// How long Envoy's router waits.
pub(crate) const ROUTER_TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";
/// On which gRPC statuses it tries again.
pub(crate) const ROUTER_RETRY_ON: &str = "x-envoy-retry-grpc-on";
/// How often.
pub(crate) const ROUTER_MAX_RETRIES: &str = "x-envoy-max-retries";

/// By which a client could overrule what the method table says.
const ROUTER_HEADERS: [&str; 5] = [
    ROUTER_TIMEOUT,
    ROUTER_RETRY_ON,
    ROUTER_MAX_RETRIES,
    "x-envoy-retry-on",
    "x-envoy-upstream-rq-per-try-timeout-ms",
];

impl Headers {
    pub(crate) fn compile(
        config: HeadersConfig,
        uses: Uses,
        at: &FieldPath,
    ) -> Result<Headers, ConfigError> {
        let mut names = Names {
            at,
            taken: Vec::new(),
            unused: Vec::new(),
        };
        let headers = Headers {
            api_version: names.required(
                "api_version",
                config.api_version,
                "x-gatehouse-api-version",
            )?,
            grpc_service: names.required(
                "grpc_service",
                config.grpc_service,
                "x-gatehouse-grpc-service",
            )?,
            grpc_method: names.required(
                "grpc_method",
                config.grpc_method,
                "x-gatehouse-grpc-method",
            )?,
            grpc_package: names.optional("grpc_package", config.grpc_package)?,
            grpc_kind: names.optional("grpc_kind", config.grpc_kind)?,
            protocol: names.optional("protocol", config.protocol)?,
            target: names.unless(!uses.targets, "target", config.target, "x-gatehouse-target")?,
            experiment: names.unless(
                !uses.splits,
                "experiment",
                config.experiment,
                "x-gatehouse-experiment",
            )?,
            group: names.unless(!uses.splits, "group", config.group, "x-gatehouse-group")?,
            patterns: NamePatterns::default(),
            lengths: 0,
        };
        let traces = TRACES.iter().map(|name| length_bit(name.as_bytes()));
        let mut lengths = traces.fold(0, |all, bit| all | bit);
        let mut patterns = NamePatterns::default();
        // Also what nothing writes at the moment: a route may look at it still.
        for name in names.taken.iter().chain(&names.unused) {
            patterns.add_name(name);
            lengths |= length_bit(name.as_bytes());
        }
        let router = uses.router.then_some(ROUTER_HEADERS).into_iter().flatten();
        for name in router {
            patterns.add_name(&HeaderName::from_static(name));
            lengths |= length_bit(name.as_bytes());
        }
        Ok(Headers {
            patterns,
            lengths,
            ..headers
        })
    }

    /// Whether the name may be one that no client may send, in whatever spelling, or one of [`TRACES`]: each spelling is as long as
    /// the name.
    pub(crate) fn may_concern(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name) != 0
    }
}

/// The bit of a name's length; all that are long share one.
fn length_bit(name: &[u8]) -> u64 {
    1_u64.wrapping_shl(u32::try_from(name.len()).unwrap_or(u32::MAX).min(63))
}

/// The names that have been given out.
struct Names<'a> {
    at: &'a FieldPath,
    taken: Vec<HeaderName>,
    /// Names by default that nothing writes. Another header may have one of them.
    unused: Vec<HeaderName>,
}

impl Names<'_> {
    fn required(
        &mut self,
        field: &str,
        name: Option<HeaderName>,
        default: &'static str,
    ) -> Result<HeaderName, ConfigError> {
        self.take(
            field,
            name.unwrap_or_else(|| HeaderName::from_static(default)),
        )
    }

    /// As [`required`](Names::required); a name that is not configured and not written is not taken.
    fn unless(
        &mut self,
        unused: bool,
        field: &str,
        name: Option<HeaderName>,
        default: &'static str,
    ) -> Result<HeaderName, ConfigError> {
        match name {
            None if unused => {
                let name = HeaderName::from_static(default);
                self.unused.push(name.clone());
                Ok(name)
            }
            name => self.required(field, name, default),
        }
    }

    fn optional(
        &mut self,
        field: &str,
        name: Option<HeaderName>,
    ) -> Result<Option<HeaderName>, ConfigError> {
        name.map(|name| self.take(field, name)).transpose()
    }

    fn take(&mut self, field: &str, name: HeaderName) -> Result<HeaderName, ConfigError> {
        let refuse = |reason: String| Err(ConfigError::new(&self.at.field(field), reason));
        if is_reserved_request_header(&name) {
            return refuse(format!("{} is not for filters to write", name.as_str()));
        }
        if self
            .taken
            .iter()
            .any(|other| same_spelling(other.as_bytes(), name.as_bytes()))
        {
            return refuse(
                "each header needs a name of its own, that differs in more than - and _".to_owned(),
            );
        }
        self.taken.push(name.clone());
        Ok(name)
    }
}
