//! Any bytes as the configuration of transform.

use transform_policy::Policy;

use crate::configuration;

const EXAMPLE: &str = include_str!("../../../../filters/transform/config.example.yaml");

/// # Panics
/// See [`configuration::check`].
pub fn run(input: &[u8]) {
    configuration::check(input, Policy::from_bytes);
}

/// The example, whole and by parts.
pub fn seeds() -> Vec<Vec<u8>> {
    configuration::seeds(&[EXAMPLE])
}

pub(super) fn example() -> String {
    configuration::example(EXAMPLE)
}
