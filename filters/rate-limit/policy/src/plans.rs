//! Other rates for some callers, by their plan or a label.

use std::collections::BTreeMap;
use std::rc::Rc;

use filter_config::{BoundedMap, ConfigError, FieldPath, Text};
use identity::Identity;
use serde::Deserialize;

use crate::key::label;
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
enum PlanSource {
    /// The plan of the identity.
    #[default]
    Plan,
    /// A label of the credential.
    Label(Text<256>),
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
        }?;
        let (name, quota) = self.quotas.get_key_value(plan)?;
        Some((name, quota))
    }

    pub(crate) fn quotas(&self) -> impl Iterator<Item = &Quota> {
        self.quotas.values().map(|quota| &**quota)
    }
}
