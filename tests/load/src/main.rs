//! What a request costs: every filter beside Envoy's own that does the same, in one Envoy with one worker.
//!
//! The measure is CPU time of the worker thread for each request, over what the same request costs without a filter. Rounds
//! of all variants follow one another, so that whatever else the machine does falls on all of them; ratios are taken within
//! a round. `QUICK=1` takes fewer and smaller rounds.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

mod chart;
mod client;
mod filters;
mod measure;
mod report;
mod variants;
mod worker;

use std::process::ExitCode;

use envoy_harness::{Bootstrap, Envoy, Gateway, Options};

use crate::measure::Plan;

fn main() -> ExitCode {
    let quick = std::env::var_os("QUICK").is_some_and(|value| !value.is_empty() && value != "0");
    let plan = if quick { Plan::QUICK } else { Plan::FULL };
    match run(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> Result<(), String> {
    let variants = variants::all();
    eprintln!("bench: {} variants, one Envoy, one worker", variants.len());
    let bootstrap = Bootstrap::from_value(filters::bootstrap(&variants));
    let options = Options {
        concurrency: 1,
        counted: false,
        ..Options::default()
    };
    let envoy = Envoy::start(&bootstrap, Gateway::certificates(), &options)
        .map_err(|error| error.to_string())?;
    let rounds = measure::run(plan, &envoy, &variants)?;
    if let Some(line) = envoy.log().lines().find(|line| line.contains("floor:")) {
        return Err(format!("a floor module could not make its calls: {line}"));
    }
    let report = report::Report::new(&variants, &rounds);
    report.print();
    let folder = report.write().map_err(|error| error.to_string())?;
    eprintln!("bench: report.json and report.svg in {}", folder.display());
    Ok(())
}
