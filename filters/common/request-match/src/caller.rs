//! Conditions on who calls.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use identity::Identity;
use serde::Deserialize;

use crate::placement::Placement;

type Names = BoundedList<Text<256>, 1, 64>;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallerConfig {
    groups: Option<Names>,
    plans: Option<Names>,
    scopes: Option<Names>,
}

/// Any of the groups, any of the plans, all of the scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallerTest {
    groups: Option<Names>,
    plans: Option<Names>,
    scopes: Option<Names>,
}

impl CallerTest {
    pub(crate) fn compile(
        config: CallerConfig,
        at: &FieldPath,
        placement: Placement,
    ) -> Result<CallerTest, ConfigError> {
        if !placement.identity {
            return Err(ConfigError::new(at, "identity is known only behind auth"));
        }
        let CallerConfig {
            groups,
            plans,
            scopes,
        } = config;
        if groups.is_none() && plans.is_none() && scopes.is_none() {
            return Err(ConfigError::new(
                at,
                "name at least one of groups, plans, scopes",
            ));
        }
        Ok(CallerTest {
            groups,
            plans,
            scopes,
        })
    }

    /// What it looks at.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("groups", &self.groups),
            ("plans", &self.plans),
            ("scopes", &self.scopes),
        ];
        fields
            .into_iter()
            .filter_map(|(name, names)| names.as_ref().map(|_| name))
    }

    pub(crate) fn matches(&self, identity: &Identity) -> bool {
        let has =
            |list: &[String], name: &Text<256>| list.iter().any(|other| other == name.as_str());
        let groups = self
            .groups
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| has(&identity.groups, name)));
        let plans = self.plans.as_ref().is_none_or(|names| {
            identity
                .plan
                .as_deref()
                .is_some_and(|plan| names.iter().any(|name| name.as_str() == plan))
        });
        let scopes = self
            .scopes
            .as_ref()
            .is_none_or(|names| names.iter().all(|name| has(&identity.scopes, name)));
        groups && plans && scopes
    }
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use serde_json::{Value, json};

    use super::*;

    fn test(config: Value, identity: bool) -> Result<CallerTest, String> {
        let at = FieldPath::root().field("identity");
        CallerTest::compile(from_value(config).unwrap(), &at, Placement { identity })
            .map_err(|error| error.to_string())
    }

    fn caller() -> Identity {
        Identity {
            plan: Some("gold".to_owned()),
            groups: vec!["staff".to_owned(), "ops".to_owned()],
            scopes: vec!["a".to_owned(), "b".to_owned()],
            ..Identity::anonymous()
        }
    }

    #[test]
    fn any_group_any_plan_all_scopes() {
        for (config, expected) in [
            (json!({"groups": ["x", "ops"]}), true),
            (json!({"groups": ["x"]}), false),
            (json!({"groups": ["Staff"]}), false),
            (json!({"plans": ["silver", "gold"]}), true),
            (json!({"plans": ["silver"]}), false),
            (json!({"scopes": ["a", "b"]}), true),
            (json!({"scopes": ["a", "c"]}), false),
            (
                json!({"groups": ["staff"], "plans": ["gold"], "scopes": ["b"]}),
                true,
            ),
            (
                json!({"groups": ["staff"], "plans": ["silver"], "scopes": ["b"]}),
                false,
            ),
            (
                json!({"groups": ["x"], "plans": ["gold"], "scopes": ["b"]}),
                false,
            ),
        ] {
            assert_eq!(
                test(config.clone(), true).unwrap().matches(&caller()),
                expected,
                "{config}"
            );
        }
    }

    // A filter that cannot know a field refuses the condition by this.
    #[test]
    fn it_tells_what_it_looks_at() {
        let fields = |config| test(config, true).unwrap().fields().collect::<Vec<_>>();
        assert_eq!(fields(json!({"scopes": ["a"]})), ["scopes"]);
        let all = json!({"groups": ["a"], "plans": ["a"], "scopes": ["a"]});
        assert_eq!(fields(all), ["groups", "plans", "scopes"]);
    }

    #[test]
    fn an_anonymous_caller_has_nothing() {
        for config in [
            json!({"groups": ["staff"]}),
            json!({"plans": ["gold"]}),
            json!({"scopes": ["a"]}),
        ] {
            assert!(!test(config, true).unwrap().matches(&Identity::anonymous()));
        }
    }

    #[test]
    fn faults_are_told_with_their_place() {
        // In front of auth the condition could never hold, or would hold on a forged record.
        let misplaced = test(json!({"groups": ["staff"]}), false);
        assert_eq!(
            misplaced,
            Err("identity: identity is known only behind auth".to_owned())
        );
        assert_eq!(
            test(json!({}), true),
            Err("identity: name at least one of groups, plans, scopes".to_owned())
        );
        assert!(from_value::<CallerConfig>(json!({"groups": []})).is_err());
    }
}
