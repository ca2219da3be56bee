//! What is compared with what, and how it should come out.

use std::borrow::Cow;

use crate::statistics::{median, spread};
use crate::variant::Variant;

/// A comparison of what two variants add.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) name: Cow<'static, str>,
    above: Cow<'static, str>,
    below: Cow<'static, str>,
    pub(crate) bar: Option<Bar>,
}

/// How a ratio should come out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

/// How it came out.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    pub(crate) comparison: Comparison,
    pub(crate) median: f64,
    pub(crate) spread: f64,
}

impl Bar {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bar) => value <= bar,
            Self::AtLeast(bar) => value >= bar,
        }
    }
}

const fn comparison(
    name: &'static str,
    above: &'static str,
    below: &'static str,
    bar: Option<Bar>,
) -> Comparison {
    Comparison {
        name: Cow::Borrowed(name),
        above: Cow::Borrowed(above),
        below: Cow::Borrowed(below),
        bar,
    }
}

const fn at_most(
    name: &'static str,
    above: &'static str,
    below: &'static str,
    bar: f64,
) -> Comparison {
    comparison(name, above, below, Some(Bar::AtMost(bar)))
}

const fn told(name: &'static str, above: &'static str, below: &'static str) -> Comparison {
    comparison(name, above, below, None)
}

/// How many times as much a serde_json tree costs: the throughput of masking over that of the tree.
const fn times(name: &'static str, tree: &'static str, mask: &'static str) -> Comparison {
    comparison(name, tree, mask, Some(Bar::AtLeast(2.0)))
}

/// Rounds in a row whose medians are compared: few, so that the machine is the same for both, and enough that what little
/// a native filter adds is not lost in one round's noise.
const BLOCK: usize = 8;

/// All of them.
pub(crate) const COMPARISONS: [Comparison; 23] = [
    at_most("chain_vs_native", "chain", "native", 0.40),
    at_most("chain_vs_native_cached", "chain", "native_cached", 2.0),
    at_most("auth_warm_vs_native", "auth", "jwt_authn_cached", 2.5),
    at_most(
        "jwt_cold_vs_native",
        "auth_rs256_cold",
        "jwt_authn_rs256_cold",
        1.1,
    ),
    at_most(
        "jwt_cold_es256_vs_native",
        "auth_es256_cold",
        "jwt_authn_es256_cold",
        1.1,
    ),
    at_most("auth_vs_floor", "auth", "auth_floor", 1.5),
    at_most("rate_limit_vs_floor", "rate_limit", "rate_limit_floor", 1.5),
    at_most("transform_vs_floor", "transform", "transform_floor", 1.5),
    at_most("routing_vs_floor", "routing", "routing_floor", 1.5),
    times("mask_vs_dom_1k", "dom_1k", "mask_1k"),
    times("mask_vs_dom_100k", "dom_100k", "mask_100k"),
    times("rewriter_vs_dom_1k", "dom_1k", "rewriter_1k"),
    times("rewriter_vs_dom_100k", "dom_100k", "rewriter_100k"),
    told("rate_limit_vs_native", "rate_limit", "local_ratelimit"),
    told("transform_vs_native", "transform", "header_mutation"),
    told("transform_vs_lua", "transform", "lua"),
    told("garbage_vs_native", "garbage", "jwt_authn_garbage"),
    told("api_key_vs_jwt", "api_key", "auth"),
    told("chain_vs_floor", "chain", "chain_floor"),
    told("chain_floor_vs_native", "chain_floor", "native"),
    told("joined_floor_vs_native", "joined_floor", "native"),
    told("four_empty_vs_one", "empty_4", "empty"),
    told("chain_vs_four_empty", "chain", "empty_4"),
];

impl Comparison {
    /// What a variant costs now over what it cost with other modules.
    pub(crate) fn with_before(name: &str) -> Self {
        Self {
            name: format!("{name}_vs_before").into(),
            above: name.to_owned().into(),
            below: before(name).into(),
            bar: None,
        }
    }

    /// What is found in rounds of these variants; none if one of the two is not among them. `added` is what a variant adds
    /// in a round.
    pub(crate) fn of(
        self,
        variants: &[Variant],
        rounds: usize,
        added: impl Fn(usize, usize) -> f64,
    ) -> Option<Ratio> {
        let place = |name: &str| variants.iter().position(|variant| variant.name == name);
        let (above, below) = (place(&self.above)?, place(&self.below)?);
        let rounds: Vec<usize> = (0..rounds).collect();
        let pairs: Vec<f64> = rounds
            .chunks(BLOCK)
            .map(|block| {
                let of = |variant| {
                    let costs: Vec<f64> =
                        block.iter().map(|round| added(*round, variant)).collect();
                    median(&costs)
                };
                of(above) / of(below)
            })
            .collect();
        Some(Ratio {
            comparison: self,
            median: median(&pairs),
            spread: spread(&pairs),
        })
    }
}

/// What a variant is called that has other modules.
pub(crate) fn before(name: &str) -> String {
    format!("before_{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::Kind;

    // A ratio of all rounds' medians would compare a native filter at one time with a filter of ours at another.
    #[test]
    fn ratios_are_taken_of_rounds_that_follow_one_another() {
        let variants = [
            Variant::new(Kind::Ours, "chain", ""),
            Variant::new(Kind::Native, "native", ""),
        ];
        // A machine that gets slower by the block, and one round in each that was disturbed.
        let added = |round: usize, variant: usize| match round % BLOCK {
            3 => [1_000.0, 1.0][variant],
            _ => [1.0, 2.0][variant] * (1 + round / BLOCK) as f64,
        };
        let ratio = COMPARISONS[0]
            .clone()
            .of(&variants, 5 * BLOCK, added)
            .unwrap();
        assert_eq!(ratio.median, 0.5);
        assert_eq!(ratio.spread, 0.0);
        assert!(
            COMPARISONS[1]
                .clone()
                .of(&variants, 3, |_, _| 0.0)
                .is_none()
        );
    }

    #[test]
    fn a_bar_is_met_from_its_own_side() {
        assert!(Bar::AtMost(2.0).is_met(2.0) && !Bar::AtMost(2.0).is_met(2.01));
        assert!(Bar::AtLeast(2.0).is_met(2.0) && !Bar::AtLeast(2.0).is_met(1.99));
        // What could not be measured is not met.
        assert!(!Bar::AtMost(2.0).is_met(f64::NAN) && !Bar::AtLeast(2.0).is_met(f64::NAN));
    }

    // A bar whose variant was renamed would never be looked at again.
    #[test]
    fn every_comparison_is_made() {
        let variants = crate::comparison::variants();
        for comparison in COMPARISONS {
            let name = comparison.name.clone();
            assert!(comparison.of(&variants, 1, |_, _| 1.0).is_some(), "{name}");
        }
    }
}
