//! The workloads, by name.

mod connections;
mod fan;
mod lag;
mod memory;

use crate::dialect::Dialect;
use crate::ledger::Faults;
use crate::measure::Figures;
use crate::process::Processes;
use crate::rig::Rig;
use crate::settings::Settings;
use crate::setup;

/// The topic that everyone listens to.
const TOPIC: &str = "bench";

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    pub(crate) faults: Faults,
    pub(crate) complaints: Vec<String>,
}

pub(crate) fn run(settings: &Settings) -> Result<Outcome, String> {
    let dialect = Dialect::of(&settings.peer)?;
    for request in &dialect.setup {
        setup::request(settings.address, request, |text| {
            text.replace("{topic}", TOPIC)
        })?;
    }
    let server = Processes::with_children(&settings.pids);
    let mut rig = Rig::new(
        settings.address,
        dialect,
        server,
        fan::micros(settings.patience),
    )?;
    let figures = match settings.workload.as_str() {
        "fan1k-o1" => fan::fan(&mut rig, settings, 1_000, fan::Load::one_at_a_time()),
        "fan1k-w16" => fan::fan(&mut rig, settings, 1_000, fan::Load::new(4, 1, 16)),
        "fan1k-w64" => fan::fan(&mut rig, settings, 1_000, fan::Load::new(4, 8, 64)),
        "fan10k-o1" => fan::fan(&mut rig, settings, 10_000, fan::Load::one_at_a_time()),
        "fan10k-w8" => fan::fan(&mut rig, settings, 10_000, fan::Load::new(4, 1, 8)),
        "rate50" => fan::rate(&mut rig, settings),
        "unicast" => fan::unicast(&mut rig, settings),
        "publish-single" => fan::publish(&mut rig, settings, 256, 1),
        "publish-batch" => fan::publish(&mut rig, settings, 16, 100),
        "idle10k" => connections::idle(&mut rig, settings, 10_000),
        "idle18k" => connections::idle(&mut rig, settings, 18_000),
        "connect10k" => connections::burst(&mut rig, settings),
        "reconnect" => lag::reconnect(&mut rig, settings),
        "slow-tenth" => lag::slow_tenth(&mut rig, settings),
        "catch-up" => lag::catch_up(&mut rig, settings),
        "after-load" => memory::after_load(&mut rig, settings),
        "memory-twice" => memory::twice(&mut rig, settings),
        other => Err(format!("no such workload: {other}; see load --help")),
    }?;
    Ok(Outcome {
        figures,
        faults: rig.tally.faults(),
        complaints: std::mem::take(&mut rig.tally.complaints),
    })
}
