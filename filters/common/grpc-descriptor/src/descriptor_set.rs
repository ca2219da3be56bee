//! A descriptor set in a configuration.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filter_config::{ConfigError, FieldPath, Text};
use serde::Deserialize;

use crate::Descriptor;

/// A serialized `google.protobuf.FileDescriptorSet` in base64 (RFC 4648 section 4), up to 2 MiB of text: what
/// `protoc --include_imports --descriptor_set_out` writes, and what Envoy's transcoder reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct DescriptorSet(Text<{ 2 * 1024 * 1024 }>);

impl DescriptorSet {
    /// What the set declares, which stands at `at`.
    ///
    /// # Errors
    /// Text that is no base64, or bytes that are no descriptor set.
    pub fn read(&self, at: &FieldPath) -> Result<Descriptor, ConfigError> {
        let bytes = STANDARD
            .decode(self.0.as_str())
            .map_err(|_| ConfigError::new(at, "not base64, as in `base64 -w0 descriptor.pb`"))?;
        Descriptor::parse(&bytes).map_err(|error| ConfigError::new(at, error.to_string()))
    }
}
