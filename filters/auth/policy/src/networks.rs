//! Where a caller may come from.

use client_address::{IpNet, Source};
use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use serde::Deserialize;

/// Networks as an operator writes them.
pub(crate) type NetworksConfig = BoundedList<Text<64>, 1, 256>;

/// Whose word is taken for an address.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressConfig {
    /// Whether an address counts that Envoy took from `x-forwarded-for`.
    #[serde(default)]
    pub(crate) x_forwarded_for: bool,
}

/// Networks, one of which a caller has to be in.
#[derive(Clone, Debug)]
pub(crate) struct Networks(Vec<IpNet>);

impl AddressConfig {
    /// The address in the host's `source.address`, if it can be believed.
    pub(crate) fn believed(self, property: Option<&[u8]>) -> Option<Source> {
        Source::parse(property?).filter(|source| source.connected || self.x_forwarded_for)
    }
}

impl Networks {
    pub(crate) fn compile(config: &NetworksConfig, at: &FieldPath) -> Result<Self, ConfigError> {
        let mut networks = Vec::with_capacity(config.len());
        for (index, text) in config.iter().enumerate() {
            let network = client_address::network(text.as_str())
                .map_err(|reason| ConfigError::new(&at.index(index), reason))?;
            networks.push(network);
        }
        Ok(Self(networks))
    }

    pub(crate) fn have(&self, source: &Source) -> bool {
        self.0
            .iter()
            .any(|network| network.contains(&source.address))
    }
}
