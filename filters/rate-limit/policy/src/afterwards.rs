//! What the response changes of what its request has cost.

use filter_config::{Bounded, BoundedList, ConfigError, FieldPath};
use http_message::HeaderName;
use serde::Deserialize;

use crate::cost::number;
use crate::rate::MAX_REQUESTS;

/// Where the response says what the request has cost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActualCostConfig {
    header: HeaderName,
    max: Bounded<1, MAX_REQUESTS>,
}

/// The statuses of responses that count.
pub(crate) type StatusList = BoundedList<Bounded<100, 599>, 1, 32>;

/// What the response changes of what its request has cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Afterwards {
    count_only: Vec<u64>,
    actual: Option<ActualCost>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ActualCost {
    header: HeaderName,
    max: u64,
}

/// What is to be done about a request that has been paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Nothing: it has cost what was taken.
    Even,
    /// So much is given back.
    GiveBack(u64),
    /// So much more is taken.
    Charge(u64),
    /// The response does not say what it has cost, so it has cost what was taken.
    Untold,
}

impl Afterwards {
    pub(crate) fn compile(
        count_only: Option<StatusList>,
        actual: Option<ActualCostConfig>,
        at: &FieldPath,
    ) -> Result<Option<Afterwards>, ConfigError> {
        let count_only = count_only.map(BoundedList::into_inner).unwrap_or_default();
        let count_only: Vec<u64> = count_only.into_iter().map(Bounded::get).collect();
        if count_only.is_empty() && actual.is_none() {
            return Ok(None);
        }
        let repeated = |(index, status): (usize, &u64)| {
            count_only
                .iter()
                .take(index)
                .any(|other| other == status)
                .then_some(index)
        };
        if let Some(index) = count_only.iter().enumerate().find_map(repeated) {
            let at = at.field("count_only").index(index);
            return Err(ConfigError::new(&at, "the status is in the list already"));
        }
        Ok(Some(Afterwards {
            actual: actual.map(|actual| ActualCost {
                header: actual.header,
                max: actual.max.get(),
            }),
            count_only,
        }))
    }

    /// The most that a response can say.
    pub(crate) fn most(&self) -> u64 {
        self.actual.as_ref().map_or(0, |actual| actual.max)
    }

    /// The header of the response that says what the request has cost.
    pub fn header(&self) -> Option<&HeaderName> {
        self.actual.as_ref().map(|actual| &actual.header)
    }

    /// What is to be done about a request for which `taken` has been taken, now that its response has this status, and this value in
    /// the [`header`](Afterwards::header).
    pub fn settle(&self, taken: u64, status: Option<u16>, told: Option<&[u8]>) -> Settlement {
        let counts = |status: u16| self.count_only.contains(&u64::from(status));
        // A status that cannot be read may be one that counts.
        if !self.count_only.is_empty() && !status.is_none_or(counts) {
            return Settlement::GiveBack(taken);
        }
        let Some(actual) = &self.actual else {
            return Settlement::Even;
        };
        let Some(cost) = told.and_then(number) else {
            return Settlement::Untold;
        };
        let cost = cost.min(actual.max);
        match (taken.checked_sub(cost), cost.checked_sub(taken)) {
            (Some(0), _) => Settlement::Even,
            (Some(back), _) => Settlement::GiveBack(back),
            (None, more) => Settlement::Charge(more.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn afterwards(count_only: serde_json::Value, actual: bool) -> Result<Afterwards, String> {
        let list = filter_config::from_value(count_only).map_err(|error| error.to_string())?;
        let actual = actual.then(|| {
            filter_config::from_value(json!({ "header": "x-tokens", "max": 500 })).unwrap()
        });
        let made = Afterwards::compile(Some(list), actual, &FieldPath::root());
        made.map(Option::unwrap).map_err(|error| error.to_string())
    }

    // A login guard that counts successes locks out those who know their password.
    #[test]
    fn only_chosen_statuses_count() {
        let guard = afterwards(json!([401, 403]), false).unwrap();
        assert_eq!(guard.settle(1, Some(401), None), Settlement::Even);
        assert_eq!(guard.settle(1, Some(200), None), Settlement::GiveBack(1));
        assert_eq!(guard.settle(3, None, None), Settlement::Even);
    }

    #[test]
    fn what_was_taken_becomes_what_it_has_cost() {
        let actual = afterwards(json!([200]), true).unwrap();
        let told = |told: &str| actual.settle(10, Some(200), Some(told.as_bytes()));
        assert_eq!(told("10"), Settlement::Even);
        assert_eq!(told("4"), Settlement::GiveBack(6));
        assert_eq!(told("0"), Settlement::GiveBack(10));
        assert_eq!(told("14"), Settlement::Charge(4));
        assert_eq!(told("99999999999999999999999"), Settlement::Charge(490));
        for text in ["", "-4", "4.0", "many"] {
            assert_eq!(told(text), Settlement::Untold, "{text}");
        }
        assert_eq!(actual.settle(10, Some(200), None), Settlement::Untold);
        assert_eq!(
            actual.settle(10, Some(500), Some(b"99")),
            Settlement::GiveBack(10)
        );
    }

    #[test]
    fn a_status_is_named_once() {
        let error = afterwards(json!([401, 403, 401]), false).unwrap_err();
        assert!(error.starts_with("count_only[2]: "), "{error}");
        assert!(afterwards(json!([99]), false).is_err());
        assert!(afterwards(json!([]), false).is_err());
    }
}
