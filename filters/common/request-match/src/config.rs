//! The conditions of a match as they are configured.

use filter_config::{BoundedList, Text};
use serde::{Deserialize, Deserializer};

use crate::caller::CallerConfig;
use crate::grpc::GrpcConfig;
use crate::header::HeaderConfig;
use crate::path::PathConfig;
use crate::query::QueryConfig;

/// The `match` of a rule. The default stands for an absent member and matches every request; an empty object is refused by
/// [`RequestMatch::compile`](crate::RequestMatch::compile), because it is a slip more often than it is meant.
#[derive(Clone, Debug, Default)]
pub struct MatchConfig(pub(crate) Option<Conditions>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conditions {
    pub(crate) route: Option<Text<256>>,
    pub(crate) hosts: Option<BoundedList<Text<255>, 1, 64>>,
    pub(crate) path: Option<PathConfig>,
    pub(crate) methods: Option<BoundedList<Text<32>, 1, 32>>,
    pub(crate) headers: Option<BoundedList<HeaderConfig, 1, 16>>,
    pub(crate) query: Option<BoundedList<QueryConfig, 1, 16>>,
    pub(crate) grpc: Option<GrpcConfig>,
    pub(crate) identity: Option<CallerConfig>,
}

impl<'de> Deserialize<'de> for MatchConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MatchConfig, D::Error> {
        Conditions::deserialize(deserializer).map(|conditions| MatchConfig(Some(conditions)))
    }
}
