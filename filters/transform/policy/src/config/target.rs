//! Another host or method, as it is written and checked.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::{HeaderValue, is_token};

use crate::host_rewrite::{HostRewrite, is_host};
use crate::method_override::MethodOverride;
use crate::template::Scope;
use crate::value::Value;

pub(super) type HostConfig = Text<256>;
pub(super) type AllowedHostsConfig = BoundedList<Text<256>, 1, 64>;
pub(super) type MethodConfig = Text<32>;

/// `host` and `allowed_hosts` of the request that is at `at`.
pub(super) fn compile_host(
    host: Option<&HostConfig>,
    allowed: Option<&AllowedHostsConfig>,
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<Option<HostRewrite>, ConfigError> {
    let (host_at, allowed_at) = (at.field("host"), at.field("allowed_hosts"));
    let check = |text: &Text<256>, at: &FieldPath| match is_host(text.as_str()) {
        true => Ok(text.as_str().to_owned()),
        false => Err(ConfigError::new(
            at,
            "expected a host, as in api.internal or api.internal:8080",
        )),
    };
    let Some(host) = host else {
        return match allowed {
            Some(_) => Err(ConfigError::new(
                &allowed_at,
                "says where host may lead, and there is no host here",
            )),
            None => Ok(None),
        };
    };
    let value = Value::compile(host.as_str(), scope, &host_at)?;
    let fixed = match value {
        Value::Fixed(_) => Some(check(host, &host_at)?),
        Value::Template(_) => None,
    };
    let allowed = match (allowed, fixed) {
        // A host that is always the same says itself where it leads.
        (None, Some(fixed)) => vec![fixed],
        (None, None) => {
            let reason = "a host that is made of the request needs allowed_hosts beside it";
            return Err(ConfigError::new(&host_at, reason));
        }
        (Some(allowed), fixed) => {
            let allowed = allowed.iter().enumerate();
            let allowed = allowed
                .map(|(index, host)| check(host, &allowed_at.index(index)))
                .collect::<Result<Vec<_>, _>>()?;
            let is_allowed =
                |fixed: &String| allowed.iter().any(|host| host.eq_ignore_ascii_case(fixed));
            if !fixed.as_ref().is_none_or(is_allowed) {
                return Err(ConfigError::new(&host_at, "is none of allowed_hosts"));
            }
            allowed
        }
    };
    Ok(Some(HostRewrite { value, allowed }))
}

pub(super) fn compile_method(
    method: &MethodConfig,
    at: &FieldPath,
) -> Result<MethodOverride, ConfigError> {
    let text = method.as_str();
    if !is_token(text) || text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(ConfigError::new(
            at,
            "expected a method in capitals, as in GET",
        ));
    }
    if MethodOverride::NEVER.contains(&text) {
        let never = MethodOverride::NEVER.join(", ");
        let reason = format!("no request can be made one of {never}");
        return Err(ConfigError::new(at, reason));
    }
    HeaderValue::try_from(text)
        .map(MethodOverride)
        .map_err(|error| ConfigError::new(at, error.to_string()))
}
