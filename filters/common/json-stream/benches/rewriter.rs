//! The rewriter beside a round trip through serde_json's tree: `cargo bench -p json-stream`.
//!
//! A line for each document: microseconds of the rewriter and of the tree, and how many times the rewriter is as fast. The
//! figures are of this machine natively; `make bench` has those in Envoy.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use json_stream::{Bindings, DuplicateMembers, JsonRewriter, Limits, Operation, Pointer, Program};
use serde_json::{Value, json};

/// How long one figure is measured, and how often, by turns with the other: the best one counts, since what disturbs it only
/// makes it longer.
const ROUND: Duration = Duration::from_millis(5);
const ROUNDS: usize = 100;

fn customers(count: usize, pretty: bool) -> String {
    let customer = |id: usize| {
        json!({
            "id": id, "name": "Ada Example", "email": format!("ada.{id}@example.test"), "active": true,
            "address": { "street": "1 Example Road", "city": "Zürich", "zip": "8001", "at": [47.37, 8.54] },
            "tags": ["retail", "newsletter"], "notes": "Called about an order; \"will call back\"."
        })
    };
    let value = json!({ "customers": (0..count).map(customer).collect::<Vec<_>>() });
    if pretty {
        serde_json::to_string_pretty(&value).unwrap_or_default()
    } else {
        value.to_string()
    }
}

/// The time of one call, in microseconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn round(call: &mut dyn FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        call();
        calls += 1;
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

/// The shortest time of one call of each, in microseconds.
fn measure(mut one: impl FnMut(), mut other: impl FnMut()) -> (f64, f64) {
    let shortest = |(one_best, other_best): (f64, f64), _| {
        (
            one_best.min(round(&mut one)),
            other_best.min(round(&mut other)),
        )
    };
    (0..ROUNDS).fold((f64::INFINITY, f64::INFINITY), shortest)
}

fn main() {
    let program = |paths: &[&str]| {
        let pointers = paths.iter().map(|path| Pointer::parse(path));
        let masks = pointers.map(|pointer| Operation::mask(pointer.expect("a path"), "***"));
        // As a configuration has it.
        let limits = Limits {
            duplicate_members: DuplicateMembers::Refuse { key: [7; 16] },
            ..Limits::default()
        };
        let program = Program::new(masks.collect()).expect("few operations");
        Rc::new(program.with_limits(limits))
    };
    let masks = program(&["/customers/*/email"]);
    let any_depth = program(&["/**/email"]);
    let nothing = program(&["/orders/*/email"]);
    println!(
        "{:<28}{:>9}{:>12}{:>12}{:>8}{:>10}",
        "document", "bytes", "rewriter", "tree", "times", "MB/s"
    );
    for (name, text, program) in [
        ("mask, 1 KiB", customers(4, false), &masks),
        ("mask, 100 KiB", customers(400, false), &masks),
        ("mask, 100 KiB, indented", customers(220, true), &masks),
        (
            "mask at any depth, 100 KiB",
            customers(400, false),
            &any_depth,
        ),
        ("no place, 100 KiB", customers(400, false), &nothing),
    ] {
        let mut out = Vec::new();
        let rewrite = || {
            out.clear();
            let mut rewriter = JsonRewriter::new(Rc::clone(program), Bindings::default());
            rewriter
                .push(black_box(text.as_bytes()), &mut out)
                .expect("JSON");
            black_box(&out);
        };
        let parse = || {
            let mut value: Value =
                serde_json::from_slice(black_box(text.as_bytes())).expect("JSON");
            for customer in value["customers"].as_array_mut().into_iter().flatten() {
                customer["email"] = "***".into();
            }
            black_box(serde_json::to_vec(&value).expect("JSON"));
        };
        let (rewritten, tree) = measure(rewrite, parse);
        let speed = text.len() as f64 / rewritten;
        println!(
            "{name:<28}{:>9}{rewritten:>12.2}{tree:>12.2}{:>8.1}{speed:>10.0}",
            text.len(),
            tree / rewritten
        );
    }
}
