//! Workloads that ask what a server keeps in memory once the load is gone.

use serde_json::json;

use crate::dialect::Wish;
use crate::measure::{Figures, Start, object};
use crate::rig::Rig;
use crate::settings::Settings;

use super::TOPIC;
use super::connections::SETTLE_US;
use super::fan::{Load, live, micros, saturate, template};

/// Saturated with 1,000 streams, then with 10,000; what each of the then idle connections holds.
pub(super) fn after_load(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    let few = 1_000;
    let many = settings.clients.unwrap_or(10_000);
    let before = rig.server.pss();
    let streams = 4;
    rig.tally.plan(many, streams, 0..few);
    rig.open(few, &live())?;
    rig.connect_publishers(streams)?;
    saturate(rig, settings, Load::new(streams, 8, 64))?;
    rig.run_for(SETTLE_US)?;
    let with_few = rig.server.pss();

    for stream in 0..streams {
        rig.tally.listen(stream as u16, 0..many);
    }
    rig.open(many - few, &live())?;
    let mut figures = saturate(rig, settings, Load::new(streams, 1, 8))?;
    rig.run_for(SETTLE_US)?;
    let with_many = rig.server.pss();
    let start = Start::now(rig);
    rig.run_for(micros(settings.seconds))?;
    let idle = start.end(rig);
    figures.extend(object(json!({
        "pss_before_bytes": before,
        "pss_with_few_bytes": with_few,
        "pss_with_many_bytes": with_many,
        "pss_per_connection_bytes": (with_many as f64 - before as f64) / many as f64,
        "pss_per_connection_of_few_bytes": (with_few as f64 - before as f64) / few as f64,
        "idle_cpu_percent": idle.server_us as f64 / idle.seconds / 1e4,
    })));
    Ok(figures)
}

/// The same work twice: a million messages to a few readers, and ten thousand streams that come and go.
pub(super) fn twice(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    const READERS: usize = 10;
    const MESSAGES: usize = 1_000_000;
    const AT_ONCE: usize = 1_000;
    let comings = settings.clients.unwrap_or(10_000);
    let batch = settings.batch.unwrap_or(100);
    rig.tally.plan(READERS + AT_ONCE, 1, 0..READERS);
    rig.open(READERS, &live())?;
    rig.connect_publishers(1)?;
    let mut template = template(rig, settings, batch)?;
    let mut sizes = vec![rig.server.pss()];
    let start = Start::now(rig);
    for _ in 0..2 {
        for _ in 0..MESSAGES / batch {
            let now_us = rig.clock.us();
            rig.publish(0, &mut template, now_us)?;
            while rig.publishers[0].waiting.len() >= 4 || rig.tally.outstanding > 100 * batch {
                rig.turn(SETTLE_US)?;
            }
        }
        rig.drain()?;
        for _ in 0..comings / AT_ONCE {
            let wish = Wish {
                topic: TOPIC,
                ..Wish::default()
            };
            rig.open_numbered(READERS..READERS + AT_ONCE, 256, |_| Ok(wish.clone()))?;
            for subscriber in &mut rig.subscribers[READERS..] {
                subscriber.close();
            }
        }
        rig.run_for(3 * SETTLE_US)?;
        sizes.push(rig.server.pss());
    }
    let mut figures = start.end(rig).figures(rig);
    figures.extend(object(json!({
        "pss_before_bytes": sizes[0],
        "pss_after_first_bytes": sizes[1],
        "pss_after_second_bytes": sizes[2],
        "pss_ratio": sizes[2] as f64 / sizes[1] as f64,
    })));
    Ok(figures)
}
