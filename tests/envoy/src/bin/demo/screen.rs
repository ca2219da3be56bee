//! What the reader sees; colours on a terminal only.

use anstream::println;
use anstyle::{AnsiColor, Style};

use std::time::Duration;

use crate::places::Places;
use crate::step::{Outcome, Step};

const BOLD: Style = Style::new().bold();
const TITLE: Style = Style::new().bold().underline();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();

/// Characters of a body that are shown.
const MAX_BODY: usize = 400;

/// Fields of the access log that tell what was decided, in the order in which it was.
const LOGGED: [&str; 8] = [
    "identity",
    "rule",
    "decision",
    "reason",
    "limits_violated",
    "api_version",
    "route",
    "details",
];

pub(crate) fn say(text: &str) {
    println!("{DIM}demo:{DIM:#} {text}");
}

pub(crate) fn group(title: &str) {
    println!("\n{TITLE}{title}{TITLE:#}");
}

pub(crate) fn step(number: usize, count: usize, step: &Step) {
    println!("\n{BOLD}{number:2}/{count}  {}{BOLD:#}", step.title);
    println!("  {COMMAND}$ {}{COMMAND:#}", step.command);
}

pub(crate) fn outcome(step: &Step, outcome: &Outcome) {
    if let Some(answer) = &outcome.answer {
        println!("  {}", answer.status_line);
        for name in step.headers {
            for value in answer.header(name) {
                println!("  {name}: {value}");
            }
        }
        match answer.echo() {
            Some(echo) => {
                println!("  {} saw {} {}", echo.replica, echo.method, echo.path);
                for name in step.upstream {
                    match echo.header(name) {
                        [] => println!("    {DIM}no {name}{DIM:#}"),
                        values => println!("    {name}: {}", values.join(", ")),
                    }
                }
                if !echo.body.is_empty() && !echo.body.contains(char::is_control) {
                    println!("    body: {}", echo.body);
                }
            }
            None => text(&answer.body),
        }
    } else {
        text(&outcome.printed);
    }
    if let Some(entry) = &outcome.logged {
        let fields = LOGGED
            .iter()
            .filter_map(|name| Some(format!("{name}={}", entry[*name].as_str()?)));
        println!(
            "  {DIM}log: {}{DIM:#}",
            fields.collect::<Vec<_>>().join(" ")
        );
    }
    match &outcome.verdict {
        Ok(()) => println!("  {GOOD}✔ as expected{GOOD:#}"),
        Err(wrong) => println!("  {BAD}✘ {}{BAD:#}", wrong.join("; ")),
    }
}

/// The beginning of a text.
fn text(text: &str) {
    let text = text.trim_end();
    let shown: String = text.chars().take(MAX_BODY).collect();
    for line in shown.lines() {
        println!("  {}", line.trim_end());
    }
    if shown.len() < text.len() {
        println!("  …");
    }
}

pub(crate) fn summary(good: usize, count: usize, took: Duration) {
    let style = if good == count { GOOD } else { BAD };
    let took = took.as_secs_f64();
    println!("\n{style}{good} of {count} as expected{style:#}, {took:.1} s in all");
}

pub(crate) fn staying(places: &Places) {
    let Places {
        folder,
        issuer,
        admin,
        ..
    } = places;
    let origin = places.origin();
    let folder = folder.display();
    println!();
    println!(
        "The gateway stays up until Ctrl-C. In another terminal, paste a command from above, or try:"
    );
    println!("  gateway     {origin}  (authority: {folder}/ca.pem, tokens: {folder}/*.jwt)");
    println!("  a token     curl -s '{issuer}/token?alg=ES256&sub=dave&scope=orders:read&ttl=600'");
    println!("  counters    curl -s '{admin}/stats?filter=wasmcustom'");
}
