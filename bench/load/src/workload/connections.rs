//! Workloads of connections that carry little: idle ones, and a burst of new ones.

use serde_json::json;

use crate::dialect::Wish;
use crate::measure::{Figures, Start, object};
use crate::process::refused_syns;
use crate::rig::{OPENING, Rig};
use crate::settings::Settings;

use super::TOPIC;
use super::fan::micros;

/// Time that the server gets to come to rest before its memory is read.
pub(super) const SETTLE_US: u64 = 1_000_000;

pub(super) fn idle(rig: &mut Rig, settings: &Settings, clients: usize) -> Result<Figures, String> {
    let clients = settings.clients.unwrap_or(clients);
    rig.tally.plan(clients, 1, 0..clients);
    let before = rig.server.pss();
    let wish = Wish {
        topic: TOPIC,
        heartbeat_ms: settings.heartbeat_ms,
        ..Wish::default()
    };
    let opened_us = open_all(rig, settings, clients, OPENING, &wish)?;
    rig.run_for(SETTLE_US)?;
    let start = Start::now(rig);
    rig.run_for(micros(settings.seconds))?;
    let stretch = start.end(rig);
    let after = rig.server.pss();
    let mut figures = stretch.figures(rig);
    figures.extend(object(json!({
        "pss_before_bytes": before,
        "pss_per_connection_bytes": (after as f64 - before as f64) / clients as f64,
        "connects_per_s": clients as f64 / (opened_us as f64 / 1e6),
    })));
    Ok(figures)
}

pub(super) fn burst(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    let clients = settings.clients.unwrap_or(10_000);
    rig.tally.plan(clients, 1, 0..clients);
    let (retransmitted, dropped) = refused_syns();
    let wish = Wish {
        topic: TOPIC,
        ..Wish::default()
    };
    let start = Start::now(rig);
    let opened_us = open_all(rig, settings, clients, 1024, &wish)?;
    let stretch = start.end(rig);
    let (retransmitted_after, dropped_after) = refused_syns();
    let mut figures = stretch.figures(rig);
    figures.extend(object(json!({
        "connects_per_s": clients as f64 / (opened_us as f64 / 1e6),
        "connect_ms": rig.tally.open_ms(),
        "syns_retransmitted": retransmitted_after - retransmitted,
        "syns_dropped": dropped_after - dropped,
    })));
    Ok(figures)
}

/// How long it took, in microseconds.
fn open_all(
    rig: &mut Rig,
    settings: &Settings,
    clients: usize,
    at_once: usize,
    wish: &Wish<'_>,
) -> Result<u64, String> {
    let started_us = rig.clock.us();
    let at_once = settings.at_once.unwrap_or(at_once);
    rig.open_numbered(0..clients, at_once, |_| Ok(wish.clone()))?;
    Ok(rig.clock.us() - started_us)
}
