//! What was measured, as it is kept in JSON; tables and charts are made of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalogue::{Figure, GOALS, Goal, WORKLOADS};

pub(crate) const HUB: &str = "tidings";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) mode: String,
    pub(crate) machine: BTreeMap<String, String>,
    pub(crate) measured: Vec<Measured>,
}

/// One workload, with everyone who was measured in turns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) workload: String,
    pub(crate) command: String,
    pub(crate) at: String,
    pub(crate) load_before: String,
    pub(crate) load_after: String,
    pub(crate) stolen_s: f64,
    /// How long a sync of the disk took just before: the middle and the 99th of a hundred.
    #[serde(default)]
    pub(crate) sync_ms: Option<(f64, f64)>,
    pub(crate) peers: Vec<Runs>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Runs {
    pub(crate) peer: String,
    pub(crate) version: Option<String>,
    /// Why there is no run.
    pub(crate) missing: Option<String>,
    /// What the load tool said, run by run; an error as text.
    pub(crate) runs: Vec<Value>,
}

/// The middle of some runs, and their range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Results {
    /// What is already in the file, if it is of this mode.
    pub(crate) fn read(path: &Path, mode: &str) -> Result<Self, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| format!("read {}: {error}", path.display())),
            Err(_) => Ok(Self {
                mode: mode.to_owned(),
                ..Self::default()
            }),
        }
    }

    /// Replaces what was measured of this workload before.
    pub(crate) fn add(&mut self, measured: Measured) {
        self.measured
            .retain(|known| known.workload != measured.workload);
        self.measured.push(measured);
        let place = |of: &Measured| WORKLOADS.iter().position(|w| w.name == of.workload);
        self.measured.sort_by_key(place);
    }

    pub(crate) fn spread(&self, workload: &str, peer: &str, figure: Figure) -> Option<Spread> {
        let measured = self.measured.iter().find(|m| m.workload == workload)?;
        measured.of(peer)?.spread(figure.path)
    }

    pub(crate) fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        GOALS.iter().map(|goal| self.judge(goal))
    }

    fn judge(&self, goal: &'static Goal) -> Verdict {
        let hub = self.spread(goal.workload, HUB, goal.figure);
        let peer = goal
            .against
            .map(|peer| self.spread(goal.workload, peer, goal.figure));
        let value = match (hub, peer) {
            (Some(hub), None) => Some(hub.median),
            (Some(hub), Some(Some(peer))) => Some(hub.median / peer.median),
            _ => None,
        };
        let holds = |bound: f64| {
            value.map(|value| {
                if goal.figure.more_is_better {
                    value >= bound
                } else {
                    value <= bound
                }
            })
        };
        Verdict {
            goal,
            value,
            must: holds(goal.must),
            aim: goal.aim.and_then(holds),
        }
    }
}

/// Whether a goal was reached; none where it was not measured.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) goal: &'static Goal,
    pub(crate) value: Option<f64>,
    pub(crate) must: Option<bool>,
    pub(crate) aim: Option<bool>,
}

impl Measured {
    pub(crate) fn of(&self, peer: &str) -> Option<&Runs> {
        self.peers.iter().find(|runs| runs.peer == peer)
    }
}

impl Runs {
    /// Of the runs that have this figure and no fault.
    pub(crate) fn spread(&self, path: &str) -> Option<Spread> {
        let mut values: Vec<f64> = self
            .runs
            .iter()
            .filter(|run| run["good"] == true)
            .filter_map(|run| {
                path.split('.')
                    .try_fold(&run["figures"], |value, name| value.get(name))?
                    .as_f64()
            })
            .collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => return None,
            length if length % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Spread {
            median,
            min: values[0],
            max: values[values.len() - 1],
        })
    }

    /// Runs that lost, doubled or disordered something, or did not end well.
    pub(crate) fn bad(&self) -> usize {
        self.runs.iter().filter(|run| run["good"] != true).count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn runs(peer: &str, rates: &[f64]) -> Runs {
        let run = |rate: &f64| json!({ "good": true, "figures": { "deliveries_per_s": rate } });
        Runs {
            peer: peer.to_owned(),
            version: None,
            missing: None,
            runs: rates.iter().map(run).collect(),
        }
    }

    fn results(peers: Vec<Runs>) -> Results {
        let mut results = Results::default();
        results.add(Measured {
            workload: "fan1k-w64".to_owned(),
            command: String::new(),
            at: String::new(),
            load_before: String::new(),
            load_after: String::new(),
            stolen_s: 0.0,
            sync_ms: None,
            peers,
        });
        results
    }

    fn verdict(results: &Results, against: &str) -> Verdict {
        results
            .verdicts()
            .find(|v| v.goal.workload == "fan1k-w64" && v.goal.against == Some(against))
            .unwrap()
    }

    #[test]
    fn a_goal_is_judged_by_the_medians() {
        let results = results(vec![
            runs(HUB, &[900.0, 1600.0, 1500.0]),
            runs("nchan", &[90.0, 100.0, 400.0]),
            runs("axum", &[800.0, 1000.0]),
        ]);
        let nchan = verdict(&results, "nchan");
        assert_eq!(
            (nchan.value, nchan.must, nchan.aim),
            (Some(15.0), Some(true), Some(true))
        );
        let axum = verdict(&results, "axum");
        assert_eq!((axum.must, axum.aim), (Some(true), Some(false)));
    }

    #[test]
    fn a_goal_without_its_peer_is_not_judged() {
        let verdict = verdict(&results(vec![runs(HUB, &[1.0])]), "nchan");
        assert_eq!((verdict.value, verdict.must), (None, None));
    }

    #[test]
    fn a_run_with_a_fault_has_no_figures() {
        let mut lossy = runs(HUB, &[1.0, 2.0]);
        lossy.runs[1]["good"] = false.into();
        assert_eq!(lossy.bad(), 1);
        assert_eq!(lossy.spread("deliveries_per_s").unwrap().max, 1.0);
    }
}
