//! Decoding and encoding a chunk at a time: `cargo bench -p content-coding`. The figures are of this machine natively.

use std::hint::black_box;
use std::time::{Duration, Instant};

use content_coding::{Caps, Coding, Decoder, Encoder, Form, Step};

/// How long one figure is measured, and how often: the best one counts, since what disturbs it only makes it longer.
const ROUND: Duration = Duration::from_millis(40);
const ROUNDS: usize = 15;
const CHUNK: usize = 16 * 1024;

fn customers(count: usize) -> String {
    let customer = |id: usize| {
        format!(
            r#"{{"id":{id},"name":"Ada Example {}","email":"ada.{id}@example.test","active":{},"tags":["retail","newsletter"],"zip":"{}"}}"#,
            id * 7919 % 1000,
            id.is_multiple_of(3),
            id * 104_729 % 100_000
        )
    };
    let customers: Vec<String> = (0..count).map(customer).collect();
    format!(r#"{{"customers":[{}]}}"#, customers.join(","))
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

fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(Form::Gzip);
    for chunk in text.chunks(CHUNK) {
        encoder.push(chunk, out).expect("encodes");
    }
    encoder.end(out).expect("encodes");
}

fn decode(coded: &[u8]) {
    let caps = Caps {
        max_bytes: u64::MAX,
        max_ratio: 1032,
    };
    let mut decoder = Decoder::new(Coding::Gzip, caps);
    for mut chunk in coded.chunks(CHUNK) {
        while let Step::Decoded(bytes, _) = decoder.next(&mut chunk).expect("whole") {
            black_box(bytes);
        }
    }
}

fn main() {
    println!(
        "{:<12}{:>9}{:>9}{:>12}{:>7}{:>12}{:>7}",
        "document", "bytes", "gzip", "decode us", "MB/s", "encode us", "MB/s"
    );
    for count in [8, 800] {
        let text = customers(count);
        let mut coded = Vec::new();
        encode(text.as_bytes(), &mut coded);
        let decoded = measure(|| decode(black_box(&coded)));
        let mut out = Vec::new();
        let encoded = measure(|| {
            out.clear();
            encode(black_box(text.as_bytes()), &mut out);
        });
        let length = text.len() as f64;
        println!(
            "{:<12}{:>9}{:>9}{decoded:>12.1}{:>7.0}{encoded:>12.1}{:>7.0}",
            format!("{count} rows"),
            text.len(),
            coded.len(),
            length / decoded,
            length / encoded
        );
    }
}
