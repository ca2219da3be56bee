//! Which functions of our modules requests run, for the packager to put them side by side.

use std::collections::HashSet;
use std::fs;

use packager::{MARK, order_of, workspace};

use crate::measure::Plan;
use crate::modules::FILTERS;
use crate::processors::Processors;
use crate::variant::{Kind, Variant};
use crate::{comparison, measure};

/// What an `order.txt` begins with.
const HEAD: &str = "\
# The functions that requests run, in the order in which they do: the packager puts them side by side.
# `make order` writes this; after large changes it is worth while, and never needed.
";

/// Sends the requests of all variants of ours through the modules in `folder`, which `packager trace` has written, and
/// writes `filters/<filter>/order.txt` of what they log.
pub(crate) fn record(folder: &str, plan: &Plan, processors: &Processors) -> Result<(), String> {
    let ours = comparison::variants().into_iter();
    let traced: Vec<Variant> = ours
        .filter(|variant| variant.kind == Kind::Ours)
        .filter_map(|variant| variant.before(folder))
        .collect();
    let (envoy, _) = measure(plan, 1, processors, &traced)?;
    let log = envoy.log();
    for filter in FILTERS {
        let names = traced_by(filter, &log);
        if names.is_empty() {
            return Err(format!("the module of {filter} has logged no function"));
        }
        let path = order_of(&workspace(), filter);
        fs::write(&path, format!("{HEAD}{}\n", names.join("\n")))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        eprintln!("bench: {:>5} functions in {}", names.len(), path.display());
    }
    Ok(())
}

/// The functions that the module of a filter has logged, each once.
fn traced_by<'l>(filter: &str, log: &'l str) -> Vec<&'l str> {
    let plugin = format!(" wasm log bench.{filter} ");
    let mut known = HashSet::new();
    log.lines()
        .filter(|line| line.contains(&plugin))
        .filter_map(|line| line.split_once(MARK))
        .map(|(_, name)| name.trim_end())
        .filter(|name| known.insert(*name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A name in the list of the wrong module, or with a piece of the line before it, is one that no function has.
    #[test]
    fn the_names_of_one_module_are_read_off_the_log() {
        let log = "\
[10:00:00.000][7][error][wasm] [source/context.cc:1157] wasm log bench.auth before-\"auth\": traced: auth::decide
[10:00:00.000][7][error][wasm] [source/context.cc:1157] wasm log bench.rate-limit before-\"rate-limit\": traced: draw::draw
[10:00:00.001][7][error][wasm] [source/context.cc:1157] wasm log bench.auth before-\"auth\": traced: <a::B as c::D>::e
[10:00:00.001][7][error][wasm] [source/context.cc:1157] wasm log bench.auth before-\"auth\": auth: key set fetched
[10:00:00.002][7][error][wasm] [source/context.cc:1157] wasm log bench.auth before-\"auth\": traced: auth::decide
";
        assert_eq!(
            traced_by("auth", log),
            ["auth::decide", "<a::B as c::D>::e"]
        );
        assert_eq!(traced_by("rate-limit", log), ["draw::draw"]);
    }
}
