//! Which rates of a limit a request is counted by.

use shared_table::{Fingerprint, HashKey, Parts};

use crate::rate::Rate;

/// The rates that a limit has for a request. Each set has states of its own: a client that comes by two of them, over routes or by
/// plans, has what each of them alone would give it. One state for both would be read by the other's rates, and written by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateSet<'a> {
    /// The name of the limit.
    pub(crate) limit: &'a str,
    pub(crate) source: RateSource<'a>,
}

/// Where the rates are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateSource<'a> {
    /// The limit itself. A configuration may change them, and the states go on.
    Limit,
    /// Its plan of this name; as the limit's own.
    Plan(&'a str),
    /// The metadata of routes: all that say the same share it, whatever the plan of the caller, and another rate begins afresh.
    Route(Rate),
}

/// The clients that have one set of rates.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// What their keys begin with.
    pub(crate) parts: Parts,
    /// What those of them share that have no place of their own.
    pub(crate) fingerprint: Fingerprint,
}

impl RateSet<'_> {
    /// Those that have it.
    pub(crate) fn group(&self, hash: &HashKey) -> Group {
        let mut parts = hash.parts();
        self.append(&mut parts);
        Group {
            fingerprint: parts.fingerprint(),
            parts,
        }
    }

    /// Appends what tells it from all others.
    pub(crate) fn append(&self, parts: &mut Parts) {
        let mut of = |plan: &str, route: &[u8]| {
            // Neither a limit's name nor a key in another's stead begins with two empty parts.
            for part in [b"", b"", plan.as_bytes(), route] {
                parts.push(part);
            }
        };
        match self.source {
            RateSource::Limit => {}
            RateSource::Plan(name) => of(name, b""),
            RateSource::Route(rate) => {
                let burst = rate.burst.unwrap_or(rate.requests);
                let [requests, per, burst] =
                    [rate.requests, rate.per, burst].map(|number| number.to_le_bytes());
                of("", [requests, per, burst].as_flattened());
            }
        }
        parts.push(self.limit.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(limit: &str, source: RateSource<'_>) -> Fingerprint {
        let group = RateSet { limit, source }.group(&HashKey::new([1; 16]));
        group.fingerprint
    }

    #[test]
    fn each_set_is_another_and_the_same_rate_of_a_route_is_the_same() {
        let route = |rate: &str| RateSource::Route(Rate::parse(rate).unwrap());
        let all = [
            print("api", RateSource::Limit),
            print("apis", RateSource::Limit),
            print("api", RateSource::Plan("gold")),
            print("api", RateSource::Plan("silver")),
            print("apis", RateSource::Plan("gold")),
            print("api", route("5/h")),
            print("api", route("5/m")),
            print("api", route("6/h")),
            print("api", route("5/h burst 6")),
            print("apis", route("5/h")),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(
                all.iter().skip(index + 1).all(|other| one != other),
                "{index}"
            );
        }
        assert_eq!(
            print("api", route("5/h")),
            print("api", route("5/h burst 5"))
        );
    }
}
