//! The results as one SVG: a bar for each server, its range as a line, one group for each workload.

use std::fmt::Write as _;

use crate::catalogue::WORKLOADS;
use crate::results::{HUB, Measured, Results};
use crate::table::number;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 130.0;
const BAR: f64 = 430.0;
const ROW: f64 = 20.0;
const GAP: f64 = 34.0;

pub(crate) fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for measured in &results.measured {
        y += group(&mut body, measured, y);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// The height it takes.
fn group(out: &mut String, measured: &Measured, top: f64) -> f64 {
    let Some(known) = WORKLOADS.iter().find(|w| w.name == measured.workload) else {
        return 0.0;
    };
    let rows: Vec<_> = measured
        .peers
        .iter()
        .filter_map(|runs| Some((runs.peer.as_str(), runs.spread(known.figure.path)?)))
        .collect();
    if rows.is_empty() {
        return 0.0;
    }
    let better = if known.figure.more_is_better {
        "more"
    } else {
        "less"
    };
    let _ = writeln!(
        out,
        "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}: {} ({}; {better} is better)</text>",
        top + 14.0,
        known.name,
        known.what,
        known.figure.unit
    );
    let most = rows
        .iter()
        .map(|(_, spread)| spread.max)
        .fold(0.0, f64::max);
    let long = |value: f64| (value / most * BAR).max(1.0);
    for (at, (peer, spread)) in rows.iter().enumerate() {
        let y = top + 22.0 + at as f64 * ROW;
        let colour = if *peer == HUB { "#0b6bcb" } else { "#9aa5b1" };
        let (middle, low, high) = (y + 8.0, LEFT + long(spread.min), LEFT + long(spread.max));
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{peer}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"13\" fill=\"{colour}\"/>\
             <line x1=\"{low:.1}\" y1=\"{middle}\" x2=\"{high:.1}\" y2=\"{middle}\" stroke=\"#1f2933\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LEFT - 8.0,
            y + 12.0,
            y + 2.0,
            long(spread.median),
            high + 6.0,
            y + 12.0,
            number(spread.median)
        );
    }
    22.0 + rows.len() as f64 * ROW + GAP - 14.0
}
