//! The results as Markdown.

use std::fmt::Write as _;

use crate::catalogue::{Figure, WORKLOADS};
use crate::results::{HUB, Measured, Results, Runs, Spread, Verdict};

/// Everything: goals, each workload, machine, versions, commands.
pub(crate) fn page(results: &Results) -> String {
    let mut out = format!("# Results, {}\n\n", results.mode);
    out.push_str(
        "`cargo xtask bench` writes this page; [README](../README.md) says what each workload is and how to read it.\n\
         Medians, with the range of the runs in brackets.\n\n",
    );
    let _ = writeln!(out, "![chart]({}.svg)\n", results.mode);
    if results.mode == "pinned" {
        out.push_str("## Goals\n\n");
        out.push_str(&goals(results));
        out.push('\n');
    }
    for measured in &results.measured {
        out.push_str(&workload(results, &measured.workload));
        out.push('\n');
    }
    out.push_str("## Machine\n\n");
    for (name, value) in &results.machine {
        let _ = writeln!(out, "- {name}: {value}");
    }
    out
}

pub(crate) fn goals(results: &Results) -> String {
    let mut out = String::from(
        "| workload | figure of the hub | must | aim | measured | reached |\n|---|---|---|---|---|---|\n",
    );
    for verdict in results.verdicts() {
        let goal = verdict.goal;
        let what = match goal.against {
            Some(peer) => format!("{}, x {peer}", goal.figure.unit),
            None => goal.figure.unit.to_owned(),
        };
        let sign = if goal.figure.more_is_better {
            ">="
        } else {
            "<="
        };
        let _ = writeln!(
            out,
            "| {} | {what} | {sign} {} | {} | {} | {} |",
            goal.workload,
            number(goal.must),
            goal.aim.map_or_else(String::new, number),
            verdict.value.map_or_else(|| "-".to_owned(), number),
            word(&verdict),
        );
    }
    out
}

fn word(verdict: &Verdict) -> &'static str {
    match (verdict.must, verdict.aim) {
        (None, _) => "not measured",
        (Some(false), _) => "**no**",
        (Some(true), Some(true)) => "yes, and the aim",
        (Some(true), _) => "yes",
    }
}

/// One workload and all who were measured.
pub(crate) fn workload(results: &Results, name: &str) -> String {
    let Some(measured) = results.measured.iter().find(|m| m.workload == name) else {
        return String::new();
    };
    let Some(known) = WORKLOADS.iter().find(|known| known.name == name) else {
        return String::new();
    };
    let mut out = format!("## {name}\n\n{}.\n\n", capital(known.what));
    let columns = columns(measured, known.figure);
    let _ = write!(out, "| server | {} | hub is |", known.figure.unit);
    for (title, _) in &columns {
        let _ = write!(out, " {title} |");
    }
    let _ = writeln!(
        out,
        " runs |\n|---|---|---|{}---|",
        "---|".repeat(columns.len())
    );
    let hub = results.spread(name, HUB, known.figure);
    for runs in &measured.peers {
        row(&mut out, runs, known.figure, hub, &columns);
    }
    let _ = writeln!(
        out,
        "\n`{}`, {}, load average {} before and {} after, {:.1} s of CPU stolen by the host.",
        measured.command, measured.at, measured.load_before, measured.load_after, measured.stolen_s
    );
    if let Some((middle, slow)) = measured.sync_ms {
        let (middle, slow) = (number(middle), number(slow));
        let _ = writeln!(
            out,
            "Syncing the disk took {middle} ms before (p99 {slow} ms).\n"
        );
    }
    for runs in &measured.peers {
        if let Some(version) = &runs.version {
            let _ = writeln!(out, "- {}: {version}", runs.peer);
        }
    }
    out
}

fn row(
    out: &mut String,
    runs: &Runs,
    figure: Figure,
    hub: Option<Spread>,
    columns: &[(&str, &str)],
) {
    let _ = write!(out, "| {} |", runs.peer);
    if let Some(reason) = &runs.missing {
        let reason = reason.lines().next().unwrap_or_default();
        let _ = writeln!(
            out,
            " missing: {reason} | |{} |",
            " |".repeat(columns.len())
        );
        return;
    }
    let own = runs.spread(figure.path);
    let ratio = match (hub, own) {
        (Some(hub), Some(own)) if runs.peer != HUB => {
            format!("{} x", number(hub.median / own.median))
        }
        _ => String::new(),
    };
    let value = own.map_or_else(|| failed(runs), range);
    let _ = write!(out, " {value} | {ratio} |");
    for (_, path) in columns {
        let value = runs
            .spread(path)
            .map_or_else(String::new, |s| number(s.median));
        let _ = write!(out, " {value} |");
    }
    let bad = match runs.bad() {
        0 => String::new(),
        bad => format!(", {bad} with faults"),
    };
    let _ = writeln!(out, " {}{bad} |", runs.runs.len());
}

fn failed(runs: &Runs) -> String {
    let error = runs.runs.iter().find_map(|run| run["error"].as_str());
    error
        .unwrap_or("-")
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The further figures that any of the servers has.
fn columns(measured: &Measured, first: Figure) -> Vec<(&'static str, &'static str)> {
    const ALL: [(&str, &str); 20] = [
        ("server CPU %", "server_cpu_percent"),
        ("us/delivery", "server_us_per_delivery"),
        ("us/message", "server_us_per_message"),
        ("tool CPU %", "tool_cpu_percent"),
        ("p50 ms", "latency_ms.p50"),
        ("p99 ms", "latency_ms.p99"),
        ("max ms", "latency_ms.max"),
        ("answer p50 ms", "answer_ms.p50"),
        ("answer p99 ms", "answer_ms.p99"),
        ("events/read", "events_per_read"),
        ("connects/s", "connects_per_s"),
        ("slowest connect ms", "connect_ms.max"),
        ("SYNs again", "syns_retransmitted"),
        ("replayed/s", "replayed_per_s"),
        ("history/s", "history_per_s"),
        ("x CPU", "cpu_ratio"),
        ("x p99", "p99_ratio"),
        ("growth B", "pss_growth_bytes"),
        ("idle CPU %", "idle_cpu_percent"),
        ("Pss B", "pss_bytes"),
    ];
    ALL.into_iter()
        .filter(|(_, path)| *path != first.path)
        .filter(|(_, path)| {
            measured
                .peers
                .iter()
                .any(|runs| runs.spread(path).is_some())
        })
        .collect()
}

fn range(spread: Spread) -> String {
    format!(
        "{} ({}..{})",
        number(spread.median),
        number(spread.min),
        number(spread.max)
    )
}

/// Three digits that count, large numbers in full with separators.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        return grouped(value);
    }
    let digits = match size {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_large_ones_grouped() {
        for (value, text) in [
            (1_234_567.8, "1,234,568"),
            (-4_096.0, "-4,096"),
            (512.4, "512"),
            (12.34, "12.3"),
            (1.5, "1.5"),
            (2.0, "2"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
