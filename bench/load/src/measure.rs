//! A stretch of time under load, and its rates.

use serde_json::{Map, Value, json};

use crate::process::Processes;
use crate::rig::Rig;

pub(crate) type Figures = Map<String, Value>;

/// What had been counted when the stretch began.
#[derive(Debug)]
pub(crate) struct Start {
    us: u64,
    server_us: u64,
    tool_us: u64,
    arrived: u64,
    answers: u64,
    published: u64,
    reads: u64,
}

/// What was counted in the stretch.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) seconds: f64,
    pub(crate) server_us: u64,
    pub(crate) deliveries: u64,
    pub(crate) published: u64,
    tool_us: u64,
    answers: u64,
    reads: u64,
}

impl Start {
    pub(crate) fn now(rig: &Rig) -> Self {
        Self {
            us: rig.clock.us(),
            server_us: rig.server.cpu_us(),
            tool_us: Processes::own().cpu_us(),
            arrived: rig.tally.arrived,
            answers: rig.tally.answers,
            published: rig.tally.published(),
            reads: rig.tally.reads,
        }
    }

    pub(crate) fn end(&self, rig: &Rig) -> Stretch {
        let end = Self::now(rig);
        Stretch {
            seconds: (end.us - self.us) as f64 / 1e6,
            server_us: end.server_us - self.server_us,
            deliveries: end.arrived - self.arrived,
            tool_us: end.tool_us - self.tool_us,
            answers: end.answers - self.answers,
            published: end.published - self.published,
            reads: end.reads - self.reads,
        }
    }
}

impl Stretch {
    pub(crate) fn us_per_delivery(&self) -> f64 {
        ratio(self.server_us, self.deliveries)
    }

    pub(crate) fn figures(&self, rig: &Rig) -> Figures {
        let mut figures = object(json!({
            "seconds": self.seconds,
            "clients": rig.subscribers.len(),
            "published_per_s": self.published as f64 / self.seconds,
            "answers_per_s": self.answers as f64 / self.seconds,
            "server_cpu_percent": self.server_us as f64 / self.seconds / 1e4,
            "tool_cpu_percent": self.tool_us as f64 / self.seconds / 1e4,
            "answer_ms": rig.tally.answer_ms(),
            "pss_bytes": rig.server.pss(),
            "peak_bytes": rig.server.peak(),
        }));
        if self.deliveries > 0 {
            figures.extend(object(json!({
                "deliveries_per_s": self.deliveries as f64 / self.seconds,
                "server_us_per_delivery": self.us_per_delivery(),
                "events_per_read": ratio(self.deliveries, self.reads),
                "latency_ms": rig.tally.latency_ms(),
            })));
        } else if self.published > 0 {
            let us = ratio(self.server_us, self.published);
            figures.insert("server_us_per_message".into(), us.into());
        }
        figures
    }
}

pub(crate) fn object(value: Value) -> Figures {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(crate) fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / (b as f64).max(1.0)
}
