//! Other rates for some callers, by their plan or a label.

use std::collections::BTreeMap;
use std::rc::Rc;

use filter_config::{BoundedMap, ConfigError, FieldPath, Text};
use identity::Identity;
use serde::Deserialize;

use crate::key::{claim, label};
use crate::quota::Quota;
use crate::rate::{Rate, RateList};

/// Which plan has which rates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlansConfig {
    #[serde(default)]
    by: PlanSource,
    rates: BoundedMap<Text<256>, RateList, 1, 64>,
}

/// What says which plan a caller is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlanSource {
    /// The plan of the identity.
    #[default]
    Plan,
    /// A label of the credential.
    Label(Text<256>),
    /// A claim of the token.
    Claim(Text<256>),
}

/// The rates of each plan.
#[derive(Clone, Debug)]
pub(crate) struct Plans {
    by: PlanSource,
    quotas: BTreeMap<String, Rc<Quota>>,
}

impl Plans {
    pub(crate) fn compile(
        config: PlansConfig,
        at: &FieldPath,
        quota: impl Fn(&[Rate], &FieldPath) -> Result<Rc<Quota>, ConfigError>,
    ) -> Result<Plans, ConfigError> {
        let at = at.field("rates");
        let plans = config.rates.into_inner().into_iter();
        let quotas = plans.map(|(name, rates)| {
            let quota = quota(&rates.into_inner(), &at.field(name.as_str()))?;
            Ok::<_, ConfigError>((name.into_inner(), quota))
        });
        Ok(Plans {
            by: config.by,
            quotas: quotas.collect::<Result<_, _>>()?,
        })
    }

    /// The name and the rates of the caller's plan, if it is one of these.
    pub(crate) fn of(&self, identity: &Identity) -> Option<(&str, &Rc<Quota>)> {
        let plan = match &self.by {
            PlanSource::Plan => identity.plan.as_deref(),
            PlanSource::Label(name) => label(identity, name.as_str()),
            PlanSource::Claim(name) => claim(identity, name.as_str()),
        }?;
        let (name, quota) = self.quotas.get_key_value(plan)?;
        Some((name, quota))
    }

    /// What says who is on which.
    pub(crate) fn by(&self) -> &PlanSource {
        &self.by
    }

    pub(crate) fn quotas(&self) -> impl Iterator<Item = &Quota> {
        self.quotas.values().map(|quota| &**quota)
    }
}

#[cfg(test)]
mod tests {
    use identity::CredentialKind;
    use serde_json::{Value, json};

    use super::*;

    // A caller who is on a plan by another name than the one that the operator trusts would choose its own rates.
    #[test]
    fn a_plan_is_by_what_the_configuration_says_and_by_nothing_else() {
        let caller = Identity {
            kind: CredentialKind::Jwt,
            credential_id: "main".to_owned(),
            plan: Some("gold".to_owned()),
            labels: vec![("tier".to_owned(), "silver".to_owned())],
            claims: vec![("tier".to_owned(), "bronze".to_owned())],
            ..Identity::anonymous()
        };
        let plan = |by: Value| {
            let rates = json!({ "gold": "1/s", "silver": "1/s", "bronze": "1/s" });
            let config = filter_config::from_value(json!({ "by": by, "rates": rates })).unwrap();
            let quota = |_: &[Rate], _: &FieldPath| Ok(Rc::new(Quota::new(Vec::new())));
            let plans = Plans::compile(config, &FieldPath::root(), quota).unwrap();
            plans.of(&caller).map(|(name, _)| name.to_owned())
        };
        assert_eq!(plan(json!("plan")).as_deref(), Some("gold"));
        assert_eq!(plan(json!({ "label": "tier" })).as_deref(), Some("silver"));
        assert_eq!(plan(json!({ "claim": "tier" })).as_deref(), Some("bronze"));
        assert_eq!(plan(json!({ "claim": "plan" })), None);
        for by in [
            json!("claim"),
            json!({ "claim": "" }),
            json!({ "group": "a" }),
        ] {
            let config = json!({ "by": by, "rates": { "gold": "1/s" } });
            assert!(filter_config::from_value::<PlansConfig>(config).is_err());
        }
    }
}
