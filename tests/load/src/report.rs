//! What was found: a table for the terminal, `report.json` and `report.svg` for everybody else.

use std::fs;
use std::io;
use std::path::PathBuf;

use anstream::println;
use anstyle::Style;
use envoy_harness::target_folder;
use serde_json::{Map, Value, json};

use crate::chart;
use crate::measure::{Sample, median, spread};
use crate::variants::{Variant, titles};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// The ratios that are told, each of two variants' added costs, with its bar where there is one.
const RATIOS: [(&str, &str, &str, Option<f64>); 13] = [
    ("chain_vs_native", "chain", "native", Some(0.40)),
    (
        "chain_vs_native_cached",
        "chain",
        "native_cached",
        Some(2.0),
    ),
    (
        "auth_vs_jwt_authn_cached",
        "auth",
        "jwt_authn_cached",
        Some(2.5),
    ),
    (
        "rs256_cold_vs_native",
        "auth_rs256_cold",
        "jwt_authn_rs256_cold",
        Some(1.1),
    ),
    (
        "es256_cold_vs_native",
        "auth_es256_cold",
        "jwt_authn_es256_cold",
        Some(1.1),
    ),
    ("auth_vs_floor", "auth", "auth_floor", Some(1.5)),
    (
        "rate_limit_vs_floor",
        "rate_limit",
        "rate_limit_floor",
        Some(1.5),
    ),
    (
        "transform_vs_floor",
        "transform",
        "transform_floor",
        Some(1.5),
    ),
    ("routing_vs_floor", "routing", "routing_floor", Some(1.5)),
    (
        "rate_limit_vs_native",
        "rate_limit",
        "local_ratelimit",
        None,
    ),
    ("transform_vs_native", "transform", "header_mutation", None),
    ("mask_1k_vs_dom", "mask_1k", "dom_1k", Some(0.5)),
    ("mask_100k_vs_dom", "mask_100k", "dom_100k", Some(0.5)),
];

/// What was found about one variant.
struct Row {
    name: String,
    cpu_us: f64,
    added_us: f64,
    spread: f64,
    rps: f64,
}

/// All of it.
pub(crate) struct Report {
    rows: Vec<Row>,
    ratios: Vec<(&'static str, f64, Option<f64>)>,
    titles: Map<String, Value>,
    rounds: usize,
}

impl Report {
    pub(crate) fn new(variants: &[Variant], rounds: &[Vec<Sample>]) -> Self {
        let place = |name: &str| variants.iter().position(|variant| variant.name == name);
        let added = |round: &[Sample], index: usize| -> f64 {
            let base = variants.get(index).and_then(|variant| place(variant.base));
            let cpu = |index: usize| round.get(index).map_or(f64::NAN, |sample| sample.cpu_us);
            cpu(index) - base.map_or(f64::NAN, cpu)
        };
        let each = |value: &dyn Fn(&[Sample]) -> f64| -> Vec<f64> {
            rounds.iter().map(|round| value(round)).collect()
        };
        let rows = variants
            .iter()
            .enumerate()
            .map(|(index, variant)| {
                let of = |pick: fn(&Sample) -> f64| {
                    median(each(&|round| round.get(index).map_or(f64::NAN, pick)))
                };
                let costs = each(&|round| added(round, index));
                Row {
                    name: variant.name.clone(),
                    cpu_us: of(|sample| sample.cpu_us),
                    added_us: median(costs.clone()),
                    spread: spread(costs),
                    rps: of(|sample| sample.rps),
                }
            })
            .collect();
        let ratios = RATIOS
            .into_iter()
            .filter_map(|(name, ours, theirs, bar)| {
                let (ours, theirs) = (place(ours)?, place(theirs)?);
                let pairs = each(&|round| added(round, ours) / added(round, theirs));
                Some((name, median(pairs), bar))
            })
            .collect();
        let titles = titles(variants)
            .into_iter()
            .map(|(name, what)| (name.to_owned(), what.into()))
            .collect();
        Self {
            rows,
            ratios,
            titles,
            rounds: rounds.len(),
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "\n{BOLD}{:<22} {:<30} {:>9} {:>9} {:>8} {:>9}{BOLD:#}",
            "variant", "what", "cpu µs", "added µs", "± µs", "req/s"
        );
        for row in &self.rows {
            let what = self.titles.get(&row.name).and_then(Value::as_str);
            println!(
                "{:<22} {DIM}{:<30}{DIM:#} {:>9.2} {:>9.2} {:>8.2} {:>9.0}",
                row.name,
                what.unwrap_or_default(),
                row.cpu_us,
                row.added_us,
                row.spread,
                row.rps
            );
        }
        println!(
            "\n{BOLD}{:<28} {:>7} {:>7}{BOLD:#}",
            "ratio of added costs", "median", "bar"
        );
        for (name, ratio, bar) in &self.ratios {
            let bar = bar.map_or(String::new(), |bar| format!("≤ {bar:.2}"));
            println!("{name:<28} {ratio:>7.2} {bar:>7}");
        }
    }

    /// Writes the files below the target folder, and says where.
    pub(crate) fn write(&self) -> io::Result<PathBuf> {
        let folder = target_folder().join("bench");
        fs::create_dir_all(&folder)?;
        let variants: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({ "name": row.name, "cpu_us": row.cpu_us, "added_us": row.added_us,
                        "spread": row.spread, "rps": row.rps })
            })
            .collect();
        let ratios: Map<String, Value> = self
            .ratios
            .iter()
            .map(|(name, ratio, _)| ((*name).to_owned(), json!(ratio)))
            .collect();
        let env = json!({
            "processors": std::thread::available_parallelism().map_or(0, usize::from),
            "rounds": self.rounds,
            "version": env!("CARGO_PKG_VERSION"),
        });
        let report = json!({ "env": env, "variants": variants, "ratios": ratios });
        fs::write(folder.join("report.json"), format!("{report:#}\n"))?;
        let bars: Vec<(String, f64, bool)> = self
            .rows
            .iter()
            .filter(|row| !row.name.starts_with("unfiltered"))
            .map(|row| {
                let what = self
                    .titles
                    .get(&row.name)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let native = ["jwt", "local", "header", "native", "lua", "dom", "empty"];
                let ours = !native.iter().any(|prefix| row.name.starts_with(prefix))
                    && !row.name.ends_with("_floor");
                (format!("{}: {what}", row.name), row.added_us, ours)
            })
            .collect();
        fs::write(folder.join("report.svg"), chart::svg(&bars))?;
        Ok(folder)
    }
}
