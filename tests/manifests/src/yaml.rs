//! YAML files of one document or several.

use serde::Deserialize;
use serde_json::Value;

/// The documents of a text; empty ones are left out.
///
/// # Panics
///
/// If it is not YAML.
pub fn documents(yaml: &str) -> Vec<Value> {
    serde_norway::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|document| !document.is_null())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A second document that is overlooked is not checked.
    #[test]
    fn a_file_may_hold_several_documents() {
        assert_eq!(documents("# one\na: 1\n---\nb: 2\n---\n# none\n").len(), 2);
    }
}
