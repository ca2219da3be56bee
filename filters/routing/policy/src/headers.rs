//! The headers that are written, and those that no client may send.

use filter_config::{ConfigError, FieldPath};
use http_message::{HeaderName, NamePatterns, is_reserved_request_header, same_spelling};
use serde::Deserialize;

/// The names, as they are configured.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeadersConfig {
    api_version: Option<HeaderName>,
    grpc_service: Option<HeaderName>,
    grpc_method: Option<HeaderName>,
    grpc_package: Option<HeaderName>,
    protocol: Option<HeaderName>,
}

/// The headers that are written, and the names that no client may send.
#[derive(Debug)]
pub(crate) struct Headers {
    pub(crate) api_version: HeaderName,
    pub(crate) grpc_service: HeaderName,
    pub(crate) grpc_method: HeaderName,
    /// Written where they are named only: not every upstream wants them.
    pub(crate) grpc_package: Option<HeaderName>,
    pub(crate) protocol: Option<HeaderName>,
    pub(crate) patterns: NamePatterns,
}

impl Headers {
    pub(crate) fn compile(config: HeadersConfig, at: &FieldPath) -> Result<Headers, ConfigError> {
        let mut names = Names {
            at,
            taken: Vec::new(),
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
            protocol: names.optional("protocol", config.protocol)?,
            patterns: NamePatterns::default(),
        };
        let mut patterns = NamePatterns::default();
        for name in &names.taken {
            patterns.add_name(name);
        }
        Ok(Headers {
            patterns,
            ..headers
        })
    }
}

/// The names that have been given out.
struct Names<'a> {
    at: &'a FieldPath,
    taken: Vec<HeaderName>,
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
