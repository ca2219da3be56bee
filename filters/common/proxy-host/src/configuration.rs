//! The plugin's configuration.

use crate::abi;
use crate::error::HostError;

const PLUGIN_CONFIGURATION: u32 = 7;

/// The bytes that the operator wrote, inside `on_configure` only; empty if there are none.
///
/// A `StringValue` comes as its text, a `Struct` as a serialized protobuf message.
///
/// # Errors
///
/// The host's statuses.
pub fn plugin_configuration() -> Result<Vec<u8>, HostError> {
    match abi::buffer(PLUGIN_CONFIGURATION, 0, usize::MAX) {
        Err(HostError::NotFound) => Ok(Vec::new()),
        answer => answer,
    }
}
