//! What a request costs: every filter beside Envoy's own that does the same, in one Envoy with one worker.
//!
//! The measure is CPU time of the worker thread for each request, over what the same request costs without a filter. Rounds
//! of all variants follow one another, so that whatever else the machine does falls on all of them; ratios are taken of few
//! rounds at a time. `QUICK=1` takes fewer and shorter rounds; `ONLY=auth,mask*` measures those variants alone, and
//! `BEFORE=folder` beside each of ours the same with the modules of another build, `folder/auth.wasm` and so on.
//! `TRACED=folder` measures nothing and writes the `order.txt` of each filter, with the modules of `packager trace folder`.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

mod bootstrap;
mod chart;
mod check;
mod client;
mod comparison;
mod floors;
mod growth;
mod machine;
mod measure;
mod modules;
mod native;
mod orders;
mod ours;
mod processors;
mod progress;
mod ratios;
mod report;
mod requests;
mod statistics;
mod table;
mod variant;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use envoy_harness::{Bootstrap, Envoy, Gateway, Options};

use crate::machine::Machine;
use crate::measure::{Plan, Sample};
use crate::processors::Processors;
use crate::report::Report;
use crate::variant::Variant;

const FULL: Plan = Plan {
    rounds: 120,
    slice: Duration::from_millis(15),
    warm_up: Duration::from_millis(600),
};
const QUICK: Plan = Plan {
    rounds: 40,
    slice: Duration::from_millis(10),
    warm_up: Duration::from_millis(300),
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let quick = is_set("QUICK");
    let plan = if quick { QUICK } else { FULL };
    let processors = Processors::find()?;
    let mut machine = Machine::look(&processors);
    for warning in machine.warnings() {
        eprintln!("bench: {warning}");
    }
    if let Some(folder) = folder("TRACED") {
        return orders::record(&folder, &QUICK, &processors);
    }
    modules::write_floors()?;
    let mut compared = chosen(comparison::variants());
    if let Some(folder) = folder("BEFORE") {
        let before: Vec<Variant> = compared
            .iter()
            .filter_map(|variant| variant.before(&folder))
            .collect();
        compared.extend(before);
    }
    let (envoy, rounds) = measure(&plan, 1, &processors, &compared)?;
    machine.envoy = machine::version_of(&envoy);
    drop(envoy);
    let mut report = Report::new(machine, quick);
    report.add(&compared, &rounds);
    if is_set("GROWTH") || !(quick || is_set("ONLY")) {
        // A curve shows with less than a ratio does.
        let plan = Plan {
            rounds: plan.rounds.div_ceil(3),
            ..plan
        };
        let grown = growth::variants();
        report.add(&grown, &measure(&plan, 1, &processors, &grown)?.1);
        for workers in 1..=2 {
            let shared = growth::workers(workers);
            report.add(&shared, &measure(&plan, workers, &processors, &shared)?.1);
        }
    }
    table::print(&report);
    let folder = report
        .write()
        .map_err(|error| format!("the report cannot be written: {error}"))?;
    eprintln!(
        "\nbench: report.json and report.svg in {}",
        folder.display()
    );
    Ok(())
}

fn folder(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|folder| !folder.is_empty())
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "0")
}

/// Those that `$ONLY` names, or of whose names it has the beginning and a `*`, and what is subtracted from them; all if it
/// is not set.
fn chosen(mut variants: Vec<Variant>) -> Vec<Variant> {
    let only = std::env::var("ONLY").unwrap_or_default();
    let words: Vec<&str> = only.split(',').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return variants;
    }
    let wanted = |name: &str| {
        words.iter().any(|word| match word.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *word,
        })
    };
    let bases: Vec<String> = variants
        .iter()
        .filter(|variant| wanted(&variant.name))
        .map(|variant| variant.base.clone())
        .collect();
    variants.retain(|variant| {
        wanted(&variant.name) || bases.contains(&variant.name) || variant.name == "unfiltered"
    });
    variants
}

/// Starts an Envoy with these variants and measures them: the Envoy, and what was found. The end of its log is shown if
/// that failed.
fn measure(
    plan: &Plan,
    workers: usize,
    processors: &Processors,
    variants: &[Variant],
) -> Result<(Envoy, Vec<Vec<Sample>>), String> {
    eprintln!(
        "bench: starting Envoy with {} variants, workers: {workers}",
        variants.len()
    );
    let bootstrap = Bootstrap::from_value(bootstrap::bootstrap(variants));
    let options = Options {
        concurrency: u32::try_from(workers).map_err(|error| error.to_string())?,
        counted: false,
        ..Options::default()
    };
    let envoy = Envoy::start(&bootstrap, Gateway::certificates(), &options)
        .map_err(|error| error.to_string())?;
    let measured = measure::run(plan, &envoy, workers, processors, variants);
    let log = envoy.log();
    let rounds = measured.map_err(|error| {
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = lines.into_iter().rev().collect();
        format!("{error}\nEnvoy's log ends so:\n{}", tail.join("\n"))
    })?;
    match log
        .lines()
        .find(|line| line.contains("a floor call failed"))
    {
        Some(line) => Err(format!("a floor module could not make its calls: {line}")),
        None => Ok((envoy, rounds)),
    }
}
