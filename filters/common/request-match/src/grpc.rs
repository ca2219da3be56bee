//! Conditions on the gRPC method.

use filter_config::{ConfigError, FieldPath, Text};
use http_message::GrpcMethod;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcConfig {
    service: Text<512>,
    method: Option<Text<256>>,
}

/// A service, or one of its methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrpcPattern {
    service: Text<512>,
    method: Option<Text<256>>,
}

impl GrpcPattern {
    pub(crate) fn compile(config: GrpcConfig, at: &FieldPath) -> Result<GrpcPattern, ConfigError> {
        check_service(config.service.as_str(), &at.field("service"))?;
        if let Some(method) = &config.method {
            check_rpc(method.as_str(), &at.field("method"))?;
        }
        Ok(GrpcPattern {
            service: config.service,
            method: config.method,
        })
    }

    pub(crate) fn matches(&self, call: &GrpcMethod<'_>) -> bool {
        call.service == self.service.as_str()
            && self
                .method
                .as_ref()
                .is_none_or(|method| call.method == method.as_str())
    }
}

/// Checks the full name of a service in a configuration.
pub(crate) fn check_service(service: &str, at: &FieldPath) -> Result<(), ConfigError> {
    match GrpcMethod::new(service, "Method") {
        Some(_) => Ok(()),
        None => Err(ConfigError::new(
            at,
            "expected the service's full name, as in inventory.v1.Stock",
        )),
    }
}

/// Checks the name of a service's method in a configuration.
pub(crate) fn check_rpc(method: &str, at: &FieldPath) -> Result<(), ConfigError> {
    match GrpcMethod::new("Service", method) {
        Some(_) => Ok(()),
        None => Err(ConfigError::new(
            at,
            "expected the method's name alone, as in Get",
        )),
    }
}
