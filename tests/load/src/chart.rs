//! What is added, as bars in SVG.

use std::fmt::Write;

use crate::report::Row;
use crate::variant::Kind;

const ROW: usize = 22;
const LABEL: usize = 330;
const BAR: usize = 480;

/// One bar for each row but the host calls and growth, in a logarithmic scale.
pub(crate) fn svg(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, colour(&row.kind)?)))
        .collect();
    let height = ROW * (rows.len() + 2);
    let most = rows.iter().map(|(row, _)| row.added_us).fold(1.0, f64::max);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"8\" y=\"16\" font-weight=\"bold\">CPU time of the worker that a request adds (µs, logarithmic): \
         blue ours, grey Envoy's own, pale floors</text>\n",
        LABEL + BAR + 90
    );
    for (index, (row, colour)) in rows.iter().enumerate() {
        let y = ROW * (index + 1) + 10;
        let width = BAR as f64 * (1.0 + row.added_us.max(0.0)).ln() / (1.0 + most).ln();
        let text = y + 13;
        let end = LABEL as f64 + width + 6.0;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}: {}</text>\
             <rect x=\"{LABEL}\" y=\"{y}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>\
             <text x=\"{end:.1}\" y=\"{text}\">{:.1}</text>",
            LABEL - 8,
            row.name,
            row.what,
            row.added_us
        );
    }
    out.push_str("</svg>\n");
    out
}

fn colour(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Ours => Some("#2f6f9f"),
        Kind::Native => Some("#8a8a8a"),
        Kind::Floor => Some("#cfdbe5"),
        Kind::Base | Kind::HostCall(_) | Kind::Growth(_) => None,
    }
}
