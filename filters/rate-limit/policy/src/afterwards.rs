//! What the response changes of what its request has cost.

use filter_config::{Bounded, BoundedList, ConfigError, FieldPath};
use http_message::{HeaderMap, Occurrence};

use crate::actual_cost::{ActualCost, ActualCostConfig, Teller};
use crate::cost::number;
use crate::reading::Reading;
use crate::settlement::Settlement;

/// The statuses of responses that count.
pub(crate) type StatusList = BoundedList<Bounded<100, 599>, 1, 32>;

/// What the response changes of what its request has cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Afterwards {
    count_only: Vec<u64>,
    actual: Option<ActualCost>,
}

/// When it is known what is to be done about a request that has been paid for.
#[derive(Debug)]
pub enum Settled {
    /// With the head of its response.
    Now(Settlement),
    /// With the end of the body.
    AtTheEnd(Box<Reading>),
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
        let actual = actual
            .map(|actual| ActualCost::compile(actual, &at.field("actual_cost")))
            .transpose()?;
        Ok(Some(Afterwards { count_only, actual }))
    }

    /// The most that a response can say.
    pub(crate) fn most(&self) -> u64 {
        self.actual.as_ref().map_or(0, |actual| actual.max)
    }

    /// What is to be done about a request for which `taken` has been taken, now that its response has this head; `None` if the host
    /// does not give it.
    pub fn settle(&self, taken: u64, response: Option<&HeaderMap>, has_body: bool) -> Settled {
        let header = |name: &str| match response?.occurrence(name) {
            Occurrence::Once(value) => Some(value),
            Occurrence::Absent | Occurrence::Repeated => None,
        };
        let status: Option<u64> =
            header(":status").and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        // A status that cannot be read may be one that counts.
        let counts = status.is_none_or(|status| self.count_only.contains(&status));
        if !self.count_only.is_empty() && !counts {
            return Settled::Now(Settlement::GiveBack(taken));
        }
        let Some(ActualCost { teller, max }) = &self.actual else {
            return Settled::Now(Settlement::Even);
        };
        match teller {
            Teller::Header(name) => Settled::Now(match header(name.as_str()).and_then(number) {
                Some(cost) => Settlement::between(taken, cost.min(*max)),
                None => Settlement::Untold,
            }),
            Teller::Member { .. } if !has_body => Settled::Now(Settlement::Untold),
            Teller::Member { place, read } => response
                .and_then(|head| Reading::new(head, place, (taken, *max), *read))
                .map_or(Settled::Now(Settlement::Unread), |reading| {
                    Settled::AtTheEnd(Box::new(reading))
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn afterwards(
        count_only: serde_json::Value,
        actual: Option<serde_json::Value>,
    ) -> Result<Afterwards, String> {
        let list = filter_config::from_value(count_only).map_err(|error| error.to_string())?;
        let actual = actual.map(|actual| filter_config::from_value(actual).unwrap());
        let made = Afterwards::compile(Some(list), actual, &FieldPath::root());
        made.map(Option::unwrap).map_err(|error| error.to_string())
    }

    fn response(status: &str, more: &[(&str, &str)]) -> HeaderMap {
        HeaderMap::from_pairs([(":status", status)].iter().chain(more).copied())
    }

    fn now(settled: Settled) -> Settlement {
        match settled {
            Settled::Now(settlement) => settlement,
            other => panic!("{other:?}"),
        }
    }

    // A login guard that counts successes locks out those who know their password.
    #[test]
    fn only_chosen_statuses_count() {
        let guard = afterwards(json!([401, 403]), None).unwrap();
        let of = |status| now(guard.settle(1, Some(&response(status, &[])), false));
        assert_eq!(of("401"), Settlement::Even);
        assert_eq!(of("200"), Settlement::GiveBack(1));
        assert_eq!(now(guard.settle(3, None, true)), Settlement::Even);
    }

    #[test]
    fn what_was_taken_becomes_what_it_has_cost() {
        let told = json!({ "header": "x-tokens", "max": 500 });
        let actual = afterwards(json!([200]), Some(told)).unwrap();
        let settle = |status, tokens: &[&str]| {
            let tokens: Vec<_> = tokens.iter().map(|told| ("x-tokens", *told)).collect();
            now(actual.settle(10, Some(&response(status, &tokens)), true))
        };
        for (told, settlement) in [
            (&["10"][..], Settlement::Even),
            (&["4"], Settlement::GiveBack(6)),
            (&["0"], Settlement::GiveBack(10)),
            (&["14"], Settlement::Charge(4)),
            (&["99999999999999999999999"], Settlement::Charge(490)),
            (&[], Settlement::Untold),
            (&[""], Settlement::Untold),
            (&["-4"], Settlement::Untold),
            (&["4.0"], Settlement::Untold),
            (&["many"], Settlement::Untold),
            (&["4", "4"], Settlement::Untold),
        ] {
            assert_eq!(settle("200", told), settlement, "{told:?}");
        }
        assert_eq!(settle("500", &["99"]), Settlement::GiveBack(10));
    }

    // What cannot be read must be told from what says nothing: the operator mends the one at the gateway, the other upstream.
    #[test]
    fn a_member_is_looked_for_where_there_may_be_one() {
        let told = json!({ "json": "/usage/total_tokens", "max": 500 });
        let actual = afterwards(json!([200]), Some(told)).unwrap();
        let json = ("content-type", "application/json");
        let settle = |status, more: &[_], has_body| {
            actual.settle(10, Some(&response(status, more)), has_body)
        };
        assert_eq!(now(settle("401", &[json], true)), Settlement::GiveBack(10));
        assert_eq!(now(settle("200", &[json], false)), Settlement::Untold);
        for more in [
            &[][..],
            &[("content-type", "text/html")],
            &[("content-type", "application/grpc")],
            &[json, ("content-encoding", "gzip")],
            &[
                ("content-type", "text/event-stream"),
                ("content-encoding", "br"),
            ],
            &[json, ("content-range", "bytes 0-1/2")],
        ] {
            assert_eq!(
                now(settle("200", more, true)),
                Settlement::Unread,
                "{more:?}"
            );
        }
        assert_eq!(now(actual.settle(10, None, true)), Settlement::Unread);
        let Settled::AtTheEnd(mut reading) = settle("200", &[json], true) else {
            panic!()
        };
        reading.chunk(br#"{"usage":{"total_tokens":14}}"#);
        assert_eq!(reading.end(), Settlement::Charge(4));
    }

    #[test]
    fn a_status_is_named_once() {
        let error = afterwards(json!([401, 403, 401]), None).unwrap_err();
        assert!(error.starts_with("count_only[2]: "), "{error}");
        assert!(afterwards(json!([99]), None).is_err());
        assert!(afterwards(json!([]), None).is_err());
    }
}
