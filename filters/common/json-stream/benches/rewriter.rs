//! The rewriter beside a round trip through serde_json's tree: `cargo bench -p json-stream`.
//!
//! A line for each document: microseconds of the rewriter and of the tree, and how many times the rewriter is as fast. The
//! figures are of this machine natively; `make bench` has those in Envoy.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use json_stream::{Bindings, JsonRewriter, Operation, Pointer, Program};
use serde_json::{Value, json};

/// How long one figure is measured, and how often: the best one counts, since what disturbs it only makes it longer.
const ROUND: Duration = Duration::from_millis(40);
const ROUNDS: usize = 15;

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

/// The shortest time of one call, in microseconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn measure(mut call: impl FnMut()) -> f64 {
    let round = || {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            call();
            calls += 1;
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    };
    std::iter::repeat_with(round)
        .take(ROUNDS)
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let program = |paths: &[&str]| {
        let pointers = paths.iter().map(|path| Pointer::parse(path));
        let masks = pointers.map(|pointer| Operation::mask(pointer.expect("a path"), "***"));
        Rc::new(Program::new(masks.collect()).expect("few operations"))
    };
    let masks = program(&["/customers/*/email"]);
    let nothing = program(&["/orders/*/email"]);
    println!(
        "{:<28}{:>9}{:>12}{:>12}{:>8}{:>10}",
        "document", "bytes", "rewriter", "tree", "times", "MB/s"
    );
    for (name, text, program) in [
        ("mask, 1 KiB", customers(4, false), &masks),
        ("mask, 100 KiB", customers(400, false), &masks),
        ("mask, 100 KiB, indented", customers(220, true), &masks),
        ("no place, 100 KiB", customers(400, false), &nothing),
    ] {
        let mut out = Vec::new();
        let rewritten = measure(|| {
            out.clear();
            let mut rewriter = JsonRewriter::new(Rc::clone(program), Bindings::default());
            rewriter
                .push(black_box(text.as_bytes()), &mut out)
                .expect("JSON");
            black_box(&out);
        });
        let tree = measure(|| {
            let mut value: Value =
                serde_json::from_slice(black_box(text.as_bytes())).expect("JSON");
            for customer in value["customers"].as_array_mut().into_iter().flatten() {
                customer["email"] = "***".into();
            }
            black_box(serde_json::to_vec(&value).expect("JSON"));
        });
        let speed = text.len() as f64 / rewritten;
        println!(
            "{name:<28}{:>9}{rewritten:>12.2}{tree:>12.2}{:>8.1}{speed:>10.0}",
            text.len(),
            tree / rewritten
        );
    }
}
