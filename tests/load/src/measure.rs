//! Rounds of all variants, one after another.

use std::time::{Duration, Instant};

use envoy_harness::Envoy;

use crate::check::check;
use crate::client::Client;
use crate::processors::Processors;
use crate::progress::Progress;
use crate::variant::Variant;
use crate::worker::Workers;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// How long each variant is asked in a round.
    pub(crate) slice: Duration,
    /// How long it is asked before: V8 compiles better what has run for a while.
    pub(crate) warm_up: Duration,
}

/// One variant in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// CPU time of the workers for a request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Requests a second as one thread sends them.
    pub(crate) rps: f64,
}

/// The fewest requests of a variant in a round.
const MIN_REQUESTS: usize = 32;

/// Requests that are not measured, in front of those of each slice that are: the first find the processor's caches full of the
/// variant before, as no gateway's requests do.
const RUN_IN: usize = 32;

/// How often what is subtracted from others is measured in a round.
const BASE_REPEATS: usize = 3;

/// A variant with what asks it.
struct Asked<'v> {
    variant: &'v Variant,
    client: Client,
    requests: Vec<Vec<u8>>,
    next: usize,
    /// Requests in a round.
    count: usize,
}

/// For each round, a sample of each variant in their order.
pub(crate) fn run(
    plan: &Plan,
    envoy: &Envoy,
    concurrency: usize,
    processors: &Processors,
    variants: &[Variant],
) -> Result<Vec<Vec<Sample>>, String> {
    let workers = Workers::of(envoy.process_id(), concurrency)?;
    processors.share(&workers)?;
    let mut asked = Vec::with_capacity(variants.len());
    let mut progress = Progress::new("checking", variants.len());
    for variant in variants {
        asked.push(
            Asked::new(envoy, variant).map_err(|error| format!("{}: {error}", variant.name))?,
        );
        progress.step();
    }
    let mut progress = Progress::new("warming up", variants.len());
    for one in &mut asked {
        one.warm_up(plan)?;
        progress.step();
    }
    let order = order(variants);
    let mut random = fastrand::Rng::with_seed(0);
    let mut rounds = Vec::with_capacity(plan.rounds);
    let mut progress = Progress::new("measuring, round", plan.rounds);
    for _ in 0..plan.rounds {
        let mut order = order.clone();
        random.shuffle(&mut order);
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); variants.len()];
        for index in order {
            if let (Some(one), Some(samples)) = (asked.get_mut(index), samples.get_mut(index)) {
                samples.push(one.measure(&workers)?);
            }
        }
        rounds.push(samples.iter().map(|samples| mean(samples)).collect());
        progress.step();
    }
    Ok(rounds)
}

/// Which variants a round measures: all, and those that are subtracted from others several times.
fn order(variants: &[Variant]) -> Vec<usize> {
    let is_base = |variant: &Variant| variants.iter().any(|other| other.base == variant.name);
    variants
        .iter()
        .enumerate()
        .flat_map(|(index, variant)| vec![index; if is_base(variant) { BASE_REPEATS } else { 1 }])
        .collect()
}

fn mean(samples: &[Sample]) -> Sample {
    let count = samples.len() as f64;
    Sample {
        cpu_us: samples.iter().map(|sample| sample.cpu_us).sum::<f64>() / count,
        rps: samples.iter().map(|sample| sample.rps).sum::<f64>() / count,
    }
}

impl<'v> Asked<'v> {
    fn new(envoy: &Envoy, variant: &'v Variant) -> Result<Self, String> {
        let address = envoy
            .listener(&variant.name)
            .ok_or("Envoy has no such listener")?;
        let mut client = Client::connect(address)?;
        check(variant, &mut client)?;
        Ok(Self {
            variant,
            client,
            requests: variant.requests.all(),
            next: 0,
            count: MIN_REQUESTS,
        })
    }

    fn warm_up(&mut self, plan: &Plan) -> Result<(), String> {
        let begun = Instant::now();
        // All of them at least once, so that what they make is made.
        let mut sent = 0;
        while sent < self.requests.len() || begun.elapsed() < plan.warm_up {
            self.send(MIN_REQUESTS)?;
            sent += MIN_REQUESTS;
        }
        // What came first was slow.
        let begun = Instant::now();
        self.send(MIN_REQUESTS)?;
        let each = begun.elapsed().as_secs_f64() / MIN_REQUESTS as f64;
        self.count = ((plan.slice.as_secs_f64() / each) as usize).max(MIN_REQUESTS);
        Ok(())
    }

    fn measure(&mut self, workers: &Workers) -> Result<Sample, String> {
        self.send(RUN_IN)?;
        let (before, begun) = (workers.cpu()?, Instant::now());
        self.send(self.count)?;
        let wall = begun.elapsed();
        let cpu = workers.cpu()? - before;
        Ok(Sample {
            cpu_us: cpu.as_secs_f64() * 1e6 / self.count as f64,
            rps: self.count as f64 / wall.as_secs_f64(),
        })
    }

    fn send(&mut self, count: usize) -> Result<(), String> {
        let Self {
            variant,
            client,
            requests,
            next,
            ..
        } = self;
        let choose = || {
            *next = (*next + 1) % requests.len();
            requests.get(*next).map(Vec::as_slice).unwrap_or_default()
        };
        client
            .send(choose, count, variant.status)
            .map_err(|error| format!("{}: {error}", variant.name))
    }
}
