//! Rules in order, of which the first that matches wins.

use filter_config::{ConfigError, FieldPath, Name};

use crate::mode::Mode;
use crate::request_match::RequestMatch;
use crate::subject::Subject;

/// A rule: for which requests, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    /// The name in counters, logs and filter state; unique in its list.
    pub name: Name,
    /// Whether it acts.
    pub mode: Mode,
    /// For which requests it is.
    pub matcher: RequestMatch,
    /// What it asks for.
    pub value: T,
}

/// Rules in order. The first that matches wins; those whose mode is `off` are as if absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules<T>(Vec<Rule<T>>);

impl<T> Rules<T> {
    /// Checks the list of rules that stands at `at`.
    ///
    /// # Errors
    /// A name that an earlier rule has, be it `off` or not.
    pub fn compile(rules: Vec<Rule<T>>, at: &FieldPath) -> Result<Rules<T>, ConfigError> {
        for (index, rule) in rules.iter().enumerate() {
            if let Some(first) = rules
                .iter()
                .take(index)
                .position(|earlier| earlier.name == rule.name)
            {
                let at = at.index(index).field("name");
                return Err(ConfigError::new(
                    &at,
                    format!("the rule at index {first} has the same name"),
                ));
            }
        }
        Ok(Rules(rules))
    }

    /// The rule for the request: the first that matches and is not off.
    pub fn first_match(&self, subject: &Subject<'_>) -> Option<&Rule<T>> {
        self.active().find(|rule| rule.matcher.matches(subject))
    }

    /// The rule that is in force for the request: the first that matches and is neither off nor on trial.
    pub fn first_enforced(&self, subject: &Subject<'_>) -> Option<&Rule<T>> {
        self.active()
            .filter(|rule| rule.mode == Mode::Enforce)
            .find(|rule| rule.matcher.matches(subject))
    }

    /// All rules in order, those that are off too.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule<T>> {
        self.0.iter()
    }

    /// Whether a rule that is not off looks at the route, so that the filter has to ask the host for it.
    pub fn needs_route(&self) -> bool {
        self.active().any(|rule| rule.matcher.needs_route())
    }

    fn active(&self) -> impl Iterator<Item = &Rule<T>> {
        self.0.iter().filter(|rule| rule.mode != Mode::Off)
    }
}

impl<T> Default for Rules<T> {
    fn default() -> Rules<T> {
        Rules(Vec::new())
    }
}

impl<'a, T> IntoIterator for &'a Rules<T> {
    type Item = &'a Rule<T>;
    type IntoIter = std::slice::Iter<'a, Rule<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use http_message::{HeaderMap, RequestHead};
    use serde_json::{Value, json};

    use super::*;
    use crate::config::MatchConfig;
    use crate::placement::Placement;
    use crate::twin::TwinTable;

    fn rule(name: &str, mode: Mode, config: Value) -> Rule<usize> {
        let config = from_value::<MatchConfig>(config).unwrap();
        let matcher =
            RequestMatch::compile(config, &FieldPath::root(), Placement { identity: false })
                .unwrap();
        Rule {
            name: Name::try_from(name).unwrap(),
            mode,
            matcher,
            value: name.len(),
        }
    }

    fn first(rules: &Rules<usize>, path: &str) -> Option<String> {
        let head = RequestHead::new(HeaderMap::from_pairs([(":path", path)]));
        let twins = TwinTable::default();
        let subject = Subject::new(&head, &twins).unwrap();
        rules
            .first_match(&subject)
            .map(|rule| rule.name.to_string())
    }

    // A rule on trial must not switch off the one behind it.
    #[test]
    fn a_rule_on_trial_leaves_the_next_in_force() {
        let rules = Rules::compile(
            vec![
                rule("off", Mode::Off, json!({"path": {"prefix": "/a"}})),
                rule("trial", Mode::Shadow, json!({"path": {"prefix": "/a"}})),
                rule("wide", Mode::Enforce, json!({"path": {"prefix": "/a"}})),
            ],
            &FieldPath::root(),
        )
        .unwrap();
        assert_eq!(first(&rules, "/a").as_deref(), Some("trial"));
        let head = RequestHead::new(HeaderMap::from_pairs([(":path", "/a")]));
        let twins = TwinTable::default();
        let subject = Subject::new(&head, &twins).unwrap();
        let found = rules.first_enforced(&subject).map(|rule| &rule.name);
        assert_eq!(found.map(Name::as_str), Some("wide"));
    }

    #[test]
    fn the_first_that_matches_wins() {
        let rules = Rules::compile(
            vec![
                rule("exact", Mode::Enforce, json!({"path": {"exact": "/a/b"}})),
                rule("wide", Mode::Enforce, json!({"path": {"prefix": "/a"}})),
                rule("never", Mode::Enforce, json!({"path": {"exact": "/a"}})),
            ],
            &FieldPath::root(),
        )
        .unwrap();
        assert_eq!(first(&rules, "/a/b").as_deref(), Some("exact"));
        assert_eq!(first(&rules, "/a").as_deref(), Some("wide"));
        assert_eq!(first(&rules, "/b"), None);
    }

    #[test]
    fn a_rule_that_is_off_is_as_if_absent() {
        let rules = Rules::compile(
            vec![
                rule(
                    "off",
                    Mode::Off,
                    json!({"path": {"prefix": "/a"}, "route": "r"}),
                ),
                rule("shadow", Mode::Shadow, json!({"path": {"prefix": "/a"}})),
                rule("on", Mode::Enforce, json!({"path": {"prefix": "/a"}})),
            ],
            &FieldPath::root(),
        )
        .unwrap();
        assert_eq!(first(&rules, "/a").as_deref(), Some("shadow"));
        assert!(!rules.needs_route(), "nobody asks for the route");
        assert_eq!(rules.iter().count(), 3);
        assert_eq!(rules.into_iter().count(), 3);
    }

    #[test]
    fn the_route_is_needed_where_a_rule_looks_at_it() {
        let rules = Rules::compile(
            vec![rule("a", Mode::Shadow, json!({"route": "r"}))],
            &FieldPath::root(),
        );
        assert!(rules.unwrap().needs_route());
    }

    #[test]
    fn no_two_rules_have_one_name() {
        // Counters and logs of the two could not be told apart; switching one on must not be what shows it.
        let root = FieldPath::root().field("rules");
        let any = || json!({"path": {"prefix": "/"}});
        let error = Rules::compile(
            vec![
                rule("a", Mode::Off, any()),
                rule("b", Mode::Enforce, any()),
                rule("a", Mode::Enforce, any()),
            ],
            &root,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "rules[2].name: the rule at index 0 has the same name"
        );
    }

    #[test]
    fn no_rules_match_nothing() {
        assert_eq!(first(&Rules::default(), "/"), None);
        assert!(!Rules::<usize>::default().needs_route());
    }
}
