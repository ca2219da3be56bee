//! The added costs as bars, in SVG.

use std::fmt::Write;

const ROW: usize = 22;
const LABEL: usize = 250;
const BAR: usize = 480;

/// One bar for each row: its label, its value in microseconds, and whether it is one of ours.
pub(crate) fn svg(rows: &[(String, f64, bool)]) -> String {
    let height = ROW * (rows.len() + 2);
    let most = rows.iter().map(|(_, value, _)| *value).fold(1.0, f64::max);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <text x=\"8\" y=\"16\" font-weight=\"bold\">CPU time of the worker for each request, over an unfiltered one (µs, logarithmic)</text>\n",
        LABEL + BAR + 90
    );
    for (index, (label, value, ours)) in rows.iter().enumerate() {
        let y = ROW * (index + 1) + 10;
        let width = BAR as f64 * (1.0 + value.max(0.0)).ln() / (1.0 + most).ln();
        let colour = if *ours { "#2f6f9f" } else { "#9a9a9a" };
        let text = y + 13;
        let end = LABEL as f64 + width + 6.0;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{label}</text>\
             <rect x=\"{LABEL}\" y=\"{y}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>\
             <text x=\"{end:.1}\" y=\"{text}\">{value:.1}</text>",
            LABEL - 8
        );
    }
    out.push_str("</svg>\n");
    out
}
