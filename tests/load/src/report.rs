//! What was found, as `report.json` and `report.svg`; `table.rs` has it for the terminal.

use std::path::PathBuf;
use std::{fs, io};

use serde_json::{Map, Value, json};

use crate::chart;
use crate::machine::Machine;
use crate::measure::Sample;
use crate::modules::folder;
use crate::ratios::{COMPARISONS, Comparison, Ratio};
use crate::statistics::{median, spread};
use crate::variant::{Kind, Variant};

/// What was found about one variant. All times are microseconds of the worker for a request.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) kind: Kind,
    pub(crate) cpu_us: f64,
    /// Over the same request without filters; for a host call, of one call.
    pub(crate) added_us: f64,
    pub(crate) spread: f64,
    pub(crate) rps: f64,
}

/// A place on a curve of growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) curve: &'static str,
    pub(crate) size: usize,
}

/// A curve of growth: sizes, the smallest first, and what each adds in microseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(usize, f64)>,
}

impl Curve {
    /// Whether between two sizes the cost has grown by more than the size has, beyond what measuring blurs.
    pub(crate) fn is_superlinear(&self) -> bool {
        self.points.windows(2).any(|pair| match pair {
            [(small, less), (large, more)] => more / less > 1.25 * (*large as f64 / *small as f64),
            _ => false,
        })
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    pub(crate) ratios: Vec<Ratio>,
    rounds: usize,
    quick: bool,
}

impl Report {
    pub(crate) fn new(machine: Machine, quick: bool) -> Self {
        Self {
            machine,
            rows: Vec::new(),
            ratios: Vec::new(),
            rounds: 0,
            quick,
        }
    }

    /// Adds what rounds of these variants have found; of those of growth without what was only subtracted.
    pub(crate) fn add(&mut self, variants: &[Variant], rounds: &[Vec<Sample>]) {
        let cpu = |round: usize, variant: usize| {
            let sample = rounds.get(round).and_then(|samples| samples.get(variant));
            sample.map_or(f64::NAN, |sample| sample.cpu_us)
        };
        let place = |name: &str| variants.iter().position(|variant| variant.name == name);
        let bases: Vec<Option<usize>> = variants
            .iter()
            .map(|variant| place(&variant.base))
            .collect();
        let added = |round: usize, variant: usize| {
            let base = bases.get(variant).copied().flatten();
            cpu(round, variant) - base.map_or(f64::NAN, |base| cpu(round, base))
        };
        let each =
            |value: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..rounds.len()).map(value).collect() };
        let grown = variants
            .iter()
            .any(|variant| matches!(variant.kind, Kind::Growth(_)));
        for (index, variant) in variants.iter().enumerate() {
            let calls = match variant.kind {
                Kind::HostCall(calls) => calls as f64,
                _ => 1.0,
            };
            let costs = each(&|round| added(round, index) / calls);
            let rps: Vec<f64> = rounds
                .iter()
                .filter_map(|samples| samples.get(index))
                .map(|sample| sample.rps)
                .collect();
            if variant.kind == Kind::Base && grown {
                continue;
            }
            self.rows.push(Row {
                name: variant.name.clone(),
                what: variant.what.clone(),
                kind: variant.kind.clone(),
                cpu_us: median(&each(&|round| cpu(round, index))),
                added_us: median(&costs),
                spread: spread(&costs),
                rps: median(&rps),
            });
        }
        let beside = variants
            .iter()
            .map(|variant| Comparison::with_before(&variant.name));
        self.ratios.extend(
            COMPARISONS
                .into_iter()
                .chain(beside)
                .filter_map(|comparison| comparison.of(variants, rounds.len(), added)),
        );
        self.rounds = self.rounds.max(rounds.len());
    }

    pub(crate) fn rows_of(&self, wanted: impl Fn(&Kind) -> bool) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| wanted(&row.kind))
    }

    /// The curves in the order in which they were measured.
    pub(crate) fn curves(&self) -> Vec<Curve> {
        let mut curves: Vec<Curve> = Vec::new();
        for row in &self.rows {
            let Kind::Growth(Point { curve, size }) = row.kind else {
                continue;
            };
            match curves.iter_mut().find(|known| known.name == curve) {
                Some(known) => known.points.push((size, row.added_us)),
                None => curves.push(Curve {
                    name: curve,
                    points: vec![(size, row.added_us)],
                }),
            }
        }
        curves
    }

    /// Writes the files, and says where.
    pub(crate) fn write(&self) -> io::Result<PathBuf> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("report.json"), format!("{:#}\n", self.json()))?;
        fs::write(folder.join("report.svg"), chart::svg(&self.rows))?;
        Ok(folder)
    }

    fn json(&self) -> Value {
        let variants: Vec<Value> = self
            .rows_of(Kind::is_compared)
            .map(|row| {
                json!({ "name": row.name, "cpu_us": row.cpu_us, "added_us": row.added_us, "spread": row.spread,
                        "rps": row.rps })
            })
            .collect();
        let ratios: Map<String, Value> = self
            .ratios
            .iter()
            .map(|ratio| (ratio.comparison.name.to_string(), json!(ratio.median)))
            .collect();
        let calls: Vec<Value> = self
            .rows_of(|kind| matches!(kind, Kind::HostCall(_)))
            .map(|row| json!({ "name": row.name, "call_us": row.added_us, "spread": row.spread }))
            .collect();
        let growth: Vec<Value> = self
            .rows
            .iter()
            .filter_map(|row| match row.kind {
                Kind::Growth(Point { curve, size }) => Some(json!({
                    "curve": curve, "size": size, "added_us": row.added_us, "spread": row.spread, "rps": row.rps,
                })),
                _ => None,
            })
            .collect();
        json!({
            "env": self.machine.json(self.rounds, self.quick),
            "variants": variants,
            "ratios": ratios,
            "host_calls": calls,
            "growth": growth,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(usize, f64)]) -> Curve {
        Curve {
            name: "",
            points: points.to_vec(),
        }
    }

    // A search that became quadratic must not hide behind a flat beginning.
    #[test]
    fn a_curve_that_bends_upwards_is_found() {
        assert!(curve(&[(1, 10.0), (10, 11.0), (100, 300.0)]).is_superlinear());
        assert!(!curve(&[(1, 10.0), (10, 11.0), (100, 20.0)]).is_superlinear());
        assert!(!curve(&[(1, 1.0), (10, 10.0), (100, 100.0)]).is_superlinear());
        assert!(!curve(&[(1, 1.0)]).is_superlinear());
    }
}
