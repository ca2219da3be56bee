//! Rounds of all variants, one after another.

use std::time::Instant;

use envoy_harness::Envoy;

use crate::client::Client;
use crate::variants::Variant;
use crate::worker::Worker;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    rounds: usize,
    /// Requests of a variant in a round.
    requests: usize,
}

impl Plan {
    pub(crate) const FULL: Self = Self {
        rounds: 15,
        requests: 2_000,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 5,
        requests: 400,
    };
}

/// One variant in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// CPU time of the worker for a request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Requests a second as one thread sends them.
    pub(crate) rps: f64,
}

/// For each round, a sample of each variant in their order.
pub(crate) fn run(
    plan: &Plan,
    envoy: &Envoy,
    variants: &[Variant],
) -> Result<Vec<Vec<Sample>>, String> {
    let worker = Worker::of(envoy.process_id())?;
    let mut clients = variants
        .iter()
        .map(|variant| {
            let address = envoy
                .listener(&variant.name)
                .ok_or_else(|| format!("{}: no such listener", variant.name))?;
            Ok((Client::connect(address)?, variant.heads()))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let mut rounds = Vec::with_capacity(plan.rounds);
    // The first round warms caches, connections and code up.
    for round in 0..=plan.rounds {
        let started = Instant::now();
        let mut samples = Vec::with_capacity(variants.len());
        for (variant, (client, heads)) in variants.iter().zip(&mut clients) {
            let requests = (plan.requests / variant.weight).max(32);
            let (before, begun) = (worker.cpu()?, Instant::now());
            let sent = client
                .send(heads, requests, variant.status)
                .map_err(|error| format!("{}: {error}", variant.name))?;
            let (cpu, wall) = (worker.cpu()? - before, begun.elapsed());
            samples.push(Sample {
                cpu_us: cpu.as_secs_f64() * 1e6 / sent as f64,
                rps: sent as f64 / wall.as_secs_f64(),
            });
        }
        if round > 0 {
            rounds.push(samples);
        }
        let seconds = started.elapsed().as_secs_f64();
        let name = if round == 0 {
            "warm-up".into()
        } else {
            format!("round {round}/{}", plan.rounds)
        };
        eprintln!("bench: {name:<12} {seconds:5.1} s");
    }
    Ok(rounds)
}

/// The middle of the values; between the two in the middle of an even number of them.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    let lower = values.len().saturating_sub(1) / 2;
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => (lower + upper) / 2.0,
        _ => f64::NAN,
    }
}

/// Half of what lies between the first and the third quarter.
pub(crate) fn spread(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at =
        |part: usize| values.get((values.len() * part / 4).min(values.len().saturating_sub(1)));
    match (at(1), at(3)) {
        (Some(first), Some(third)) => (third - first) / 2.0,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A mean would follow the one round in which the machine did something else.
    #[test]
    fn one_bad_round_moves_neither_median_nor_spread() {
        let mut values = vec![5.0, 4.0, 6.0, 5.0, 1_000.0];
        assert_eq!(median(values.clone()), 5.0);
        assert!(spread(values.clone()) <= 1.0);
        values.pop();
        assert_eq!(median(values), 5.0);
    }
}
