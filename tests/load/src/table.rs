//! What was found, for the terminal.

use anstream::println;
use anstyle::{AnsiColor, Color, Style};

use crate::ratios::Bar;
use crate::report::{Report, Row};
use crate::variant::Kind;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// Prints it.
pub(crate) fn print(report: &Report) {
    println!("{}", report.machine.line());
    println!(
        "\n{BOLD}{:<22} {:<32} {:>9} {:>9} {:>7} {:>8}{BOLD:#}",
        "a request of", "", "cpu µs", "added µs", "±", "req/s"
    );
    report.rows_of(Kind::is_compared).for_each(print_row);
    print_calls(report);
    print_ratios(report);
    print_growth(report);
}

fn print_calls(report: &Report) {
    let calls: Vec<&Row> = report
        .rows_of(|kind| matches!(kind, Kind::HostCall(_)))
        .collect();
    if calls.is_empty() {
        return;
    }
    println!(
        "\n{BOLD}{:<22} {:<32} {:>9} {:>9} {:>7}{BOLD:#}",
        "a host call", "", "", "µs", "±"
    );
    for Row {
        name,
        what,
        added_us,
        spread,
        ..
    } in calls
    {
        println!(
            "{name:<22} {DIM}{what:<32}{DIM:#} {:>9} {added_us:>9.3} {spread:>7.3}",
            ""
        );
    }
}

fn print_growth(report: &Report) {
    let curves = report.curves();
    if curves.is_empty() {
        return;
    }
    println!("\n{BOLD}{:<22} size: added µs{BOLD:#}", "growth with");
    for curve in curves {
        let points: Vec<String> = curve
            .points
            .iter()
            .map(|(size, added)| format!("{size}: {added:.1}"))
            .collect();
        let (style, word) = if curve.is_superlinear() {
            (BAD, "superlinear")
        } else {
            (GOOD, "")
        };
        println!(
            "{:<22} {:<64} {style}{word}{style:#}",
            curve.name,
            points.join("   ")
        );
    }
}

fn print_row(row: &Row) {
    let Row {
        name,
        what,
        kind,
        cpu_us,
        added_us,
        spread,
        rps,
    } = row;
    let style = if *kind == Kind::Ours {
        BOLD
    } else {
        Style::new()
    };
    println!(
        "{style}{name:<22}{style:#} {DIM}{what:<32}{DIM:#} {cpu_us:>9.2} {style}{added_us:>9.2}{style:#} {spread:>7.2} {rps:>8.0}"
    );
}

fn print_ratios(report: &Report) {
    println!(
        "\n{BOLD}{:<28} {:>7} {:>7}  {:<8}{BOLD:#}",
        "ratio of what is added", "median", "±", "bar"
    );
    for ratio in &report.ratios {
        let name = &ratio.comparison.name;
        let (median, spread) = (ratio.median, ratio.spread);
        let Some(bar) = ratio.comparison.bar else {
            println!("{name:<28} {median:>7.2} {spread:>7.2}");
            continue;
        };
        let bound = match bar {
            Bar::AtMost(bound) => format!("≤ {bound:.2}"),
            Bar::AtLeast(bound) => format!("≥ {bound:.2}"),
        };
        let (style, word) = if bar.is_met(median) {
            (GOOD, "met")
        } else {
            (BAD, "missed")
        };
        println!("{name:<28} {median:>7.2} {spread:>7.2}  {bound:<8} {style}{word}{style:#}");
    }
}
