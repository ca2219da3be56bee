//! Whose word is taken for who calls: auth's, or that of Envoy's own `jwt_authn`.

use filter_config::{ConfigError, FieldPath};
use identity::Identity;
use request_match::Rule;
use serde::Deserialize;

use crate::attribute::{Attribute, Attributes};
use crate::jwt_authn::{JwtAuthn, JwtAuthnConfig};
use crate::limit::Limit;
use crate::reason::Reason;

/// Where the caller is read from, where it is not the record of auth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallerConfig {
    jwt_authn: JwtAuthnConfig,
}

/// Where the caller is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The record that auth writes.
    Auth,
    /// What `jwt_authn` has verified.
    JwtAuthn(JwtAuthn),
}

impl Caller {
    /// Checks that these limits, which stand at `at`, ask for nothing that is not told there.
    pub(crate) fn compile(
        config: Option<CallerConfig>,
        limits: &[Rule<Limit>],
        at: &FieldPath,
    ) -> Result<Caller, ConfigError> {
        Ok(match config {
            None => Caller::Auth,
            Some(CallerConfig { jwt_authn }) => {
                Caller::JwtAuthn(JwtAuthn::compile(jwt_authn, limits, at)?)
            }
        })
    }

    pub(crate) fn is_of_auth(&self) -> bool {
        *self == Caller::Auth
    }

    /// The properties that it is read from.
    pub(crate) fn attributes(&self) -> Vec<&Attribute> {
        match self {
            Caller::Auth => Vec::new(),
            Caller::JwtAuthn(claims) => claims.attributes().collect(),
        }
    }

    /// Who calls. Absent is anonymous.
    pub(crate) fn read(
        &self,
        record: Option<&[u8]>,
        attributes: &Attributes<'_>,
    ) -> Result<Identity, Reason> {
        match self {
            Caller::Auth => Identity::read(record).map_err(|_| Reason::MalformedIdentity),
            Caller::JwtAuthn(claims) => Ok(claims.read(attributes)),
        }
    }
}
