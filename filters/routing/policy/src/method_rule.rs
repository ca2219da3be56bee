//! A rule for gRPC methods: which it is for, and what holds for them.

use filter_config::{Bounded, BoundedList, ConfigError, FieldPath, Text};
use grpc_descriptor::MethodKind;
use http_message::{GrpcMethod, HeaderValue};
use identity::Identity;
use request_match::Mode;
use serde::Deserialize;

use crate::deadline::{Deadline, DeadlineConfig};
use crate::reason::Reason;
use crate::target::target_value;

type Names = BoundedList<Text<256>, 1, 64>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MethodConfig {
    service: Text<512>,
    method: Option<Text<256>>,
    #[serde(default)]
    mode: Mode,
    kind: Option<Kind>,
    scopes: Option<Names>,
    groups: Option<Names>,
    target: Option<Text<256>>,
    deadline: Option<DeadlineConfig>,
    retry: Option<RetryConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryConfig {
    on: BoundedList<RetryOn, 1, 5>,
    max: Bounded<1, 10>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Unary,
    ClientStreaming,
    ServerStreaming,
    BidiStreaming,
}

/// The conditions of Envoy's `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RetryOn {
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    Unavailable,
}

/// What holds for the methods that fit it.
#[derive(Debug)]
pub(crate) struct MethodRule {
    pub(crate) service: ServicePattern,
    pub(crate) method: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) kind: Option<MethodKind>,
    scopes: Vec<String>,
    groups: Vec<String>,
    pub(crate) target: Option<HeaderValue>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) retry: Option<Retry>,
}

/// For the headers by which Envoy's router is told to try again.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) on: HeaderValue,
    pub(crate) max: HeaderValue,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ServicePattern {
    All,
    /// Every service of the package and of those inside it; ends with a dot.
    Package(String),
    Service(String),
}

impl MethodRule {
    pub(crate) fn compile(config: MethodConfig, at: &FieldPath) -> Result<MethodRule, ConfigError> {
        let service = ServicePattern::compile(config.service.as_str(), &at.field("service"))?;
        if let Some(method) = &config.method
            && GrpcMethod::new("Service", method.as_str()).is_none()
        {
            return Err(ConfigError::new(
                &at.field("method"),
                "expected the method's name alone, as in Get",
            ));
        }
        let texts = |names: Option<Names>| -> Vec<String> {
            names.into_iter().flatten().map(Text::into_inner).collect()
        };
        Ok(MethodRule {
            service,
            method: config.method.map(Text::into_inner),
            mode: config.mode,
            kind: config.kind.map(|kind| match kind {
                Kind::Unary => MethodKind::Unary,
                Kind::ClientStreaming => MethodKind::ClientStreaming,
                Kind::ServerStreaming => MethodKind::ServerStreaming,
                Kind::BidiStreaming => MethodKind::BidiStreaming,
            }),
            scopes: texts(config.scopes),
            groups: texts(config.groups),
            target: config
                .target
                .map(|target| target_value(target.as_str(), &at.field("target")))
                .transpose()?,
            deadline: config
                .deadline
                .map(|deadline| Deadline::compile(deadline, &at.field("deadline")))
                .transpose()?,
            retry: config
                .retry
                .map(|retry| Retry::compile(&retry, &at.field("retry")))
                .transpose()?,
        })
    }

    /// Whether it asks who calls.
    pub(crate) fn needs_identity(&self) -> bool {
        !self.scopes.is_empty() || !self.groups.is_empty()
    }

    /// Whether the caller may make the call: all of the scopes, any of the groups.
    pub(crate) fn permits(&self, caller: &Identity) -> Result<(), Reason> {
        let scopes = self
            .scopes
            .iter()
            .all(|scope| caller.scopes.contains(scope));
        let groups = self.groups.is_empty()
            || self
                .groups
                .iter()
                .any(|group| caller.groups.contains(group));
        match scopes && groups {
            true => Ok(()),
            false => Err(Reason::MethodNotPermitted),
        }
    }

    pub(crate) fn fits(&self, call: &GrpcMethod<'_>) -> bool {
        self.service.fits(call.service)
            && self
                .method
                .as_ref()
                .is_none_or(|method| method == call.method)
    }
}

impl ServicePattern {
    fn compile(text: &str, at: &FieldPath) -> Result<ServicePattern, ConfigError> {
        if text == "*" {
            return Ok(ServicePattern::All);
        }
        let (name, wild) = match text.strip_suffix(".*") {
            Some(package) => (package, true),
            None => (text, false),
        };
        if GrpcMethod::new(name, "Method").is_none() {
            return Err(ConfigError::new(
                at,
                "expected a service's full name, as in inventory.v1.Stock, a package, inventory.v1.*, or *",
            ));
        }
        Ok(match wild {
            true => ServicePattern::Package(format!("{name}.")),
            false => ServicePattern::Service(name.to_owned()),
        })
    }

    pub(crate) fn fits(&self, service: &str) -> bool {
        match self {
            ServicePattern::All => true,
            ServicePattern::Package(package) => service.starts_with(package.as_str()),
            ServicePattern::Service(name) => service == name,
        }
    }
}

impl Retry {
    fn compile(config: &RetryConfig, at: &FieldPath) -> Result<Retry, ConfigError> {
        let mut on = Vec::new();
        for condition in config.on.iter() {
            let name = condition.name();
            if on.contains(&name) {
                return Err(ConfigError::new(
                    &at.field("on"),
                    "a condition is listed twice",
                ));
            }
            on.push(name);
        }
        let value = |text: String| {
            HeaderValue::try_from(text.as_str())
                .map_err(|error| ConfigError::new(at, error.to_string()))
        };
        Ok(Retry {
            on: value(on.join(","))?,
            max: value(config.max.get().to_string())?,
        })
    }
}

impl RetryOn {
    const fn name(self) -> &'static str {
        match self {
            RetryOn::Cancelled => "cancelled",
            RetryOn::DeadlineExceeded => "deadline-exceeded",
            RetryOn::Internal => "internal",
            RetryOn::ResourceExhausted => "resource-exhausted",
            RetryOn::Unavailable => "unavailable",
        }
    }
}
