//! One limit: its wire form, and what it asks for.

use std::rc::Rc;

use filter_config::{Bounded, ConfigError, FieldPath, Name};
use request_match::{MatchConfig, Mode, Placement, RequestMatch, Rule};
use serde::Deserialize;

use crate::actual_cost::ActualCostConfig;
use crate::afterwards::{Afterwards, StatusList};
use crate::algorithm::Algorithm;
use crate::attribute::Attribute;
use crate::cost::{Cost, CostConfig, CostNumber};
use crate::key::{Key, KeyPart};
use crate::meter::Meter;
use crate::missing_key::OnMissingKey;
use crate::plans::{PlanSource, Plans, PlansConfig};
use crate::quota::Quota;
use crate::quota_compiler::QuotaCompiler;
use crate::rate::{MAX_REQUESTS, Rate, RateList};

/// The wire form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitConfig {
    name: Name,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    action: Action,
    #[serde(default)]
    r#match: MatchConfig,
    key: Key,
    #[serde(default)]
    algorithm: Algorithm,
    rate: Option<Rate>,
    burst: Option<Bounded<1, MAX_REQUESTS>>,
    rates: Option<RateList>,
    plans: Option<PlansConfig>,
    #[serde(default)]
    route_override: bool,
    cost: Option<CostConfig>,
    penalty: Option<CostNumber>,
    count_only: Option<StatusList>,
    actual_cost: Option<ActualCostConfig>,
    #[serde(default)]
    on_missing_key: OnMissingKey,
}

/// What becomes of a request for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// It is refused.
    #[default]
    Reject,
    /// It goes on, and client and upstream are told.
    Soft,
    /// It waits for its turn: not built yet, and refused.
    Delay,
}

/// What a limit asks for.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) key: Key,
    pub(crate) action: Action,
    pub(crate) algorithm: Algorithm,
    pub(crate) quota: Rc<Quota>,
    pub(crate) plans: Option<Plans>,
    /// Where a route says that another rate is for it.
    pub(crate) override_at: Option<Attribute>,
    pub(crate) debt: u64,
    pub(crate) cost: Cost,
    pub(crate) penalty: u64,
    pub(crate) afterwards: Option<Afterwards>,
    pub(crate) on_missing_key: OnMissingKey,
}

impl Limit {
    /// The limit that stands at `at`, if all that it asks for can be had.
    pub(crate) fn compile(config: LimitConfig, at: &FieldPath) -> Result<Rule<Limit>, ConfigError> {
        let refuse = |field: &str, reason: &str| Err(ConfigError::new(&at.field(field), reason));
        let placement = Placement { identity: true };
        let matcher = RequestMatch::compile(config.r#match, &at.field("match"), placement)?;
        match (config.action, config.algorithm) {
            (Action::Delay, _) => {
                return refuse("action", "delay is not built yet, expected reject or soft");
            }
            (_, Algorithm::Concurrency) => {
                return refuse(
                    "algorithm",
                    "concurrency is not built yet, expected one that counts requests over time",
                );
            }
            _ => {}
        }
        let cost = Cost::compile(config.cost, placement, &at.field("cost"))?;
        let afterwards = Afterwards::compile(config.count_only, config.actual_cost, at)?;
        let penalty = config.penalty.map_or(0, Bounded::get);
        let actual = afterwards.as_ref().map_or(0, Afterwards::most);
        // A cost that is the same for all requests is checked against the burst instead; a leaky bucket holds one, and owes the rest.
        let dearest = match (cost.is_number(), config.algorithm) {
            (true, Algorithm::LeakyBucket) => cost.most().saturating_sub(1),
            (true, _) => 0,
            (false, _) => cost.most(),
        };
        let compiler = QuotaCompiler {
            name: config.name.as_str(),
            algorithm: config.algorithm,
            cost: &cost,
            debt: dearest.max(penalty).max(actual),
        };
        let (rates, rates_at) = match (config.rate, config.rates) {
            (Some(mut rate), None) => {
                if let Some(burst) = config.burst {
                    if rate.burst.is_some() {
                        return refuse("burst", "the rate has its burst already");
                    }
                    rate.burst = Some(burst.get());
                }
                let field = match config.burst {
                    Some(_) => "burst",
                    None => "rate",
                };
                (vec![rate], at.field(field))
            }
            (None, Some(rates)) => {
                if config.burst.is_some() {
                    return refuse(
                        "burst",
                        "write the burst of each rate beside it: 100/s burst 200",
                    );
                }
                (rates.into_inner(), at.field("rates"))
            }
            (None, None) => return refuse("rate", "missing: rate, or rates for several"),
            (Some(_), Some(_)) => {
                return refuse("rates", "there is a rate already; use one of the two");
            }
        };
        let quota = compiler.quota(&rates, &rates_at)?;
        let plans = config
            .plans
            .map(|plans| {
                Plans::compile(plans, &at.field("plans"), |rates, at| {
                    compiler.quota(rates, at)
                })
            })
            .transpose()?;
        if config.route_override && quota.meters().len() > 1 {
            return refuse(
                "route_override",
                "a limit of several rates cannot be overridden by one",
            );
        }
        let metadata = ["xds", "route_metadata", "filter_metadata"];
        let override_at = config.route_override.then(|| {
            let more = ["gatehouse.rate_limit", config.name.as_str()];
            Attribute::of(&[&metadata[..], &more].concat())
        });
        let debt = compiler.debt;
        Ok(Rule {
            mode: config.mode,
            matcher,
            value: Limit {
                key: config.key,
                action: config.action,
                algorithm: config.algorithm,
                quota,
                plans,
                override_at,
                debt,
                cost,
                penalty,
                afterwards,
                on_missing_key: config.on_missing_key,
            },
            name: config.name,
        })
    }

    /// The parts of its key, and of the one that stands in for it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyPart> {
        let fallback = match &self.on_missing_key {
            OnMissingKey::Use(key) => key.parts(),
            OnMissingKey::Skip | OnMissingKey::Deny => &[],
        };
        self.key.parts().iter().chain(fallback)
    }

    /// The claims that it looks at by their names.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &str> {
        let plan = self.plans.as_ref().map(Plans::by);
        let plan = plan.and_then(|by| match by {
            PlanSource::Claim(name) => Some(name.as_str()),
            PlanSource::Plan | PlanSource::Label(_) => None,
        });
        let keys = self.keys().filter_map(|part| match part {
            KeyPart::Claim(name) => Some(name.as_str()),
            _ => None,
        });
        keys.chain(plan)
    }

    fn quotas(&self) -> impl Iterator<Item = &Quota> {
        let plans = self.plans.iter().flat_map(Plans::quotas);
        std::iter::once(&*self.quota).chain(plans)
    }

    pub(crate) fn max_state(&self) -> usize {
        let of_routes = self.override_at.as_ref();
        let of_routes = of_routes.map(|_| Meter::most_bytes(self.algorithm));
        let all = self.quotas().map(Quota::max_bytes).chain(of_routes);
        all.max().unwrap_or_default()
    }

    pub(crate) fn most_rates(&self) -> usize {
        let rates = self.quotas().map(|quota| quota.meters().len());
        rates.max().unwrap_or_default()
    }
}
