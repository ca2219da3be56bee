//! Whether a rule acts.

use serde::Deserialize;

/// What becomes of a rule's decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is carried out.
    #[default]
    Enforce,
    /// It is counted and logged, but not carried out.
    Shadow,
    /// The rule is as if it were absent.
    Off,
}

impl Mode {
    /// The mode as the configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        }
    }
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use serde_json::json;

    use super::*;

    #[test]
    fn modes_are_read_as_they_are_spelled() {
        for mode in [Mode::Enforce, Mode::Shadow, Mode::Off] {
            assert_eq!(from_value::<Mode>(json!(mode.as_str())), Ok(mode));
        }
        assert_eq!(Mode::default(), Mode::Enforce, "a rule without a mode acts");
        let error = from_value::<Mode>(json!("shaddow"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("shadow"), "{error}");
    }
}
