//! Workloads that are a steady load: fan-out, fixed rate, messages to one client, publishing alone.

use crate::dialect::{Template, Wish, client_name, payload};
use crate::measure::{Figures, Start};
use crate::rig::Rig;
use crate::settings::Settings;
use crate::setup;

use super::TOPIC;

/// How hard a closed loop pushes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    publishers: usize,
    /// Requests without an answer on one connection.
    pipeline: usize,
    /// Messages that have not reached everyone.
    outstanding: usize,
}

impl Load {
    pub(super) const fn new(publishers: usize, pipeline: usize, outstanding: usize) -> Self {
        Self {
            publishers,
            pipeline,
            outstanding,
        }
    }

    /// The next message goes out when the last has reached everyone, so that nothing can be merged.
    pub(super) const fn one_at_a_time() -> Self {
        Self::new(1, 1, 1)
    }

    fn or(self, settings: &Settings) -> Self {
        Self {
            publishers: settings.publishers.unwrap_or(self.publishers),
            pipeline: settings.pipeline.unwrap_or(self.pipeline),
            outstanding: settings.outstanding.unwrap_or(self.outstanding),
        }
    }
}

pub(super) fn live() -> Wish<'static> {
    Wish {
        topic: TOPIC,
        measured: true,
        ..Wish::default()
    }
}

pub(super) fn fan(
    rig: &mut Rig,
    settings: &Settings,
    clients: usize,
    load: Load,
) -> Result<Figures, String> {
    let clients = settings.clients.unwrap_or(clients);
    let load = load.or(settings);
    rig.tally.plan(clients, load.publishers, 0..clients);
    rig.open(clients, &live())?;
    rig.connect_publishers(load.publishers)?;
    saturate(rig, settings, load)
}

/// The closed loop on a rig that is set up.
pub(super) fn saturate(rig: &mut Rig, settings: &Settings, load: Load) -> Result<Figures, String> {
    let mut template = rig
        .dialect
        .one(&rig.host, TOPIC, &payload(settings.payload));
    measured(rig, settings, |rig, until_us| {
        closed_loop(rig, load, until_us, |rig, publisher| {
            let now_us = rig.clock.us();
            rig.publish(publisher, &mut template, now_us)
        })
    })
}

pub(super) fn unicast(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    let clients = settings.clients.unwrap_or(1_000);
    let load = Load::new(16, 1, 64).or(settings);
    let mut template = rig
        .dialect
        .to_client(&rig.host, &payload(settings.payload))?;
    let requests = rig
        .dialect
        .unicast
        .as_ref()
        .map(|unicast| unicast.setup.clone());
    for request in requests.unwrap_or_default() {
        for client in 0..clients {
            setup::request(settings.address, &request, |text| {
                text.replace("{client}", &client_name(client))
            })?;
        }
    }
    rig.tally.plan(clients, load.publishers, 0..0);
    let wish = Wish {
        unicast: true,
        ..live()
    };
    rig.open(clients, &wish)?;
    rig.connect_publishers(load.publishers)?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    measured(rig, settings, |rig, until_us| {
        closed_loop(rig, load, until_us, |rig, publisher| {
            let (client, now_us) = (random.below(clients), rig.clock.us());
            rig.publish_to(publisher, &mut template, client, now_us)
        })
    })
}

/// Nobody listens; only the answers count.
pub(super) fn publish(
    rig: &mut Rig,
    settings: &Settings,
    connections: usize,
    batch: usize,
) -> Result<Figures, String> {
    let load = Load::new(connections, 1, usize::MAX).or(settings);
    let batch = settings.batch.unwrap_or(batch);
    let mut template = template(rig, settings, batch)?;
    rig.tally.plan(0, load.publishers, 0..0);
    rig.connect_publishers(load.publishers)?;
    let mut figures = measured(rig, settings, |rig, until_us| {
        closed_loop(rig, load, until_us, |rig, publisher| {
            let now_us = rig.clock.us();
            rig.publish(publisher, &mut template, now_us)
        })
    })?;
    let answers = figures["answers_per_s"].as_f64().unwrap_or(0.0);
    figures.insert("messages_per_s".into(), (answers * batch as f64).into());
    Ok(figures)
}

pub(super) fn template(rig: &Rig, settings: &Settings, batch: usize) -> Result<Template, String> {
    let payload = payload(settings.payload);
    if batch == 1 {
        Ok(rig.dialect.one(&rig.host, TOPIC, &payload))
    } else {
        rig.dialect.many(&rig.host, TOPIC, &payload, batch)
    }
}

/// An open loop: each message is due at its time, whether the server keeps up or not.
pub(super) fn rate(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    let clients = settings.clients.unwrap_or(1_000);
    let publishers = settings.publishers.unwrap_or(4);
    rig.tally.plan(clients, publishers, 0..clients);
    rig.open(clients, &live())?;
    rig.connect_publishers(publishers)?;
    let mut paced = Paced::new(rig, settings, 0..publishers, settings.rate.unwrap_or(50.0));
    measured(rig, settings, |rig, until_us| paced.run(rig, until_us))
}

/// Sends at a steady rate, taking the publishers in turn.
#[derive(Debug)]
pub(super) struct Paced {
    template: Template,
    publishers: std::ops::Range<usize>,
    period_us: f64,
    started_us: u64,
    sent: u64,
}

impl Paced {
    pub(super) fn new(
        rig: &Rig,
        settings: &Settings,
        publishers: std::ops::Range<usize>,
        per_s: f64,
    ) -> Self {
        Self {
            template: rig
                .dialect
                .one(&rig.host, TOPIC, &payload(settings.payload)),
            publishers,
            period_us: 1e6 / per_s,
            started_us: rig.clock.us(),
            sent: 0,
        }
    }

    pub(super) fn run(&mut self, rig: &mut Rig, until_us: u64) -> Result<(), String> {
        self.run_while(rig, until_us, |_| true)
    }

    pub(super) fn run_while(
        &mut self,
        rig: &mut Rig,
        until_us: u64,
        mut go_on: impl FnMut(&mut Rig) -> bool,
    ) -> Result<(), String> {
        while go_on(rig) {
            let now_us = rig.clock.us();
            let due_us = self.started_us + (self.sent as f64 * self.period_us) as u64;
            if now_us.max(due_us) >= until_us {
                return rig.run_for(until_us.saturating_sub(now_us));
            }
            if due_us <= now_us {
                let turn = self.sent as usize % self.publishers.len();
                let publisher = self.publishers.start + turn;
                rig.publish(publisher, &mut self.template, due_us)?;
                self.sent += 1;
            } else {
                rig.turn(due_us - now_us)?;
            }
        }
        Ok(())
    }
}

/// Warm-up, the measured time, and the rest of what is on its way. `load` runs until the time that it is given.
pub(super) fn measured(
    rig: &mut Rig,
    settings: &Settings,
    mut load: impl FnMut(&mut Rig, u64) -> Result<(), String>,
) -> Result<Figures, String> {
    let begin_us = rig.clock.us() + micros(settings.warmup);
    load(rig, begin_us)?;
    let end_us = begin_us + micros(settings.seconds);
    rig.tally.measure(begin_us..end_us);
    let start = Start::now(rig);
    load(rig, end_us)?;
    let stretch = start.end(rig);
    rig.drain()?;
    Ok(stretch.figures(rig))
}

pub(super) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// Keeps as much on its way as the load allows.
pub(super) fn closed_loop(
    rig: &mut Rig,
    load: Load,
    until_us: u64,
    mut send: impl FnMut(&mut Rig, usize) -> Result<(), String>,
) -> Result<(), String> {
    let mut next = 0;
    loop {
        let now_us = rig.clock.us();
        if now_us >= until_us {
            return Ok(());
        }
        for _ in 0..load.publishers {
            while rig.tally.outstanding < load.outstanding
                && rig.publishers[next].waiting.len() < load.pipeline
            {
                send(rig, next)?;
            }
            next = (next + 1) % load.publishers;
        }
        rig.turn(until_us - now_us)?;
    }
}

/// A sequence that is the same in every run (splitmix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }
}
