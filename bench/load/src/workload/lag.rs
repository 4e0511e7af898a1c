//! Workloads with readers that are behind: who was away, who is slow, who reads a long history.

use serde_json::{Value, json};

use crate::dialect::{Wish, payload};
use crate::measure::{Figures, Start, object, ratio};
use crate::rig::{OPENING, Rig};
use crate::settings::Settings;

use super::TOPIC;
use super::fan::{Paced, live, micros, template};

const SIP_EVERY_US: u64 = 100_000;

/// How long the readers that are behind may take to catch up in the end.
const CATCH_UP_US: u64 = 120_000_000;

/// Time between two looks at the server's memory.
const LOOK_EVERY_US: u64 = 250_000;

const HISTORY: &str = "history";

/// The stream that the history is made of.
const OLD: u16 = 0;

/// Messages in one request while the history is filled.
const BATCH: usize = 100;

/// All streams are cut, messages go out, and all come back with the last id they saw.
pub(super) fn reconnect(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    const SEEN: u64 = 20;
    const MISSED: u64 = 100;
    let clients = settings.clients.unwrap_or(1_000);
    if rig.dialect.subscribe.resume.is_none() {
        return Err("this peer cannot resume a stream".to_owned());
    }
    rig.tally.plan(clients, 1, 0..clients);
    let wish = Wish {
        keep_ids: true,
        ..live()
    };
    rig.open(clients, &wish)?;
    rig.connect_publishers(1)?;
    publish_one_by_one(rig, settings, SEEN)?;
    rig.drain()?;

    let mut ids = Vec::with_capacity(clients);
    for subscriber in &mut rig.subscribers {
        ids.push(subscriber.last_id().ok_or("an event without an id")?);
        subscriber.close();
    }
    publish_one_by_one(rig, settings, MISSED)?;
    while rig.tally.answers < SEEN + MISSED {
        rig.turn(SIP_EVERY_US)?;
    }
    // Time for the server to notice that they are gone.
    rig.run_for(500_000)?;

    let start = Start::now(rig);
    let started_us = rig.clock.us();
    let at_once = settings.at_once.unwrap_or(OPENING);
    rig.open_numbered(0..clients, at_once, |number| {
        Ok(Wish {
            last_id: Some(ids[number].clone()),
            ..live()
        })
    })?;
    let opened_us = rig.clock.us() - started_us;
    while !rig.tally.all_is_here() && rig.clock.us() - started_us < CATCH_UP_US {
        rig.turn(SIP_EVERY_US)?;
    }
    let caught_up_us = rig.clock.us() - started_us;
    let stretch = start.end(rig);
    rig.drain()?;
    let mut figures = stretch.figures(rig);
    figures.extend(object(json!({
        "all_open_s": opened_us as f64 / 1e6,
        "all_caught_up_s": caught_up_us as f64 / 1e6,
        "replayed_per_s": (clients as u64 * MISSED) as f64 / (caught_up_us as f64 / 1e6),
    })));
    Ok(figures)
}

fn publish_one_by_one(rig: &mut Rig, settings: &Settings, messages: u64) -> Result<(), String> {
    let mut template = template(rig, settings, 1)?;
    for _ in 0..messages {
        let now_us = rig.clock.us();
        rig.publish(0, &mut template, now_us)?;
        while !rig.publishers[0].waiting.is_empty() {
            rig.turn(SIP_EVERY_US)?;
        }
    }
    Ok(())
}

/// A steady rate to nine tenths of the clients; then the last tenth joins, and reads a tenth of what comes.
pub(super) fn slow_tenth(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    let clients = settings.clients.unwrap_or(1_000);
    let publishers = settings.publishers.unwrap_or(4);
    let rate = settings.rate.unwrap_or(50.0);
    let fast = clients - clients / 10;
    rig.tally.plan(clients, publishers, 0..fast);
    rig.open(fast, &live())?;
    rig.connect_publishers(publishers)?;
    let mut paced = Paced::new(rig, settings, 0..publishers, rate);
    paced.run(rig, rig.clock.us() + micros(settings.warmup))?;
    let alone = Alone::measure(rig, settings, &mut paced)?;

    for stream in 0..publishers {
        rig.tally.listen(stream as u16, 0..clients);
    }
    let sip = (rate * settings.payload as f64 * SIP_EVERY_US as f64 / 1e6 / 10.0) as usize;
    let slow = Wish {
        topic: TOPIC,
        sip: Some(sip.max(16)),
        ..Wish::default()
    };
    rig.open(clients - fast, &slow)?;
    let mut paced = Paced::new(rig, settings, 0..publishers, rate);
    let mut sip_us = 0;
    let begin_us = rig.clock.us();
    let end_us = begin_us + micros(settings.seconds);
    rig.tally.measure(begin_us..end_us);
    let start = Start::now(rig);
    paced.run_while(rig, end_us, |rig| {
        if rig.clock.us() >= sip_us {
            rig.sip();
            sip_us = rig.clock.us() + SIP_EVERY_US;
        }
        true
    })?;
    let stretch = start.end(rig);
    let pss = rig.server.pss();
    rig.stop_sipping()?;
    rig.drain()?;

    let mut figures = stretch.figures(rig);
    // What the slow ones got counts for nothing: the others' cost is the question.
    let fast_deliveries = stretch.published * fast as u64;
    figures.extend(alone.against(rig, stretch.server_us, fast_deliveries, pss));
    Ok(figures)
}

/// A steady rate to live readers; then some others read a long history from its beginning.
pub(super) fn catch_up(rig: &mut Rig, settings: &Settings) -> Result<Figures, String> {
    const READERS: usize = 20;
    /// On the wire, where an event has some 120 bytes around its payload.
    const HISTORY_BYTES: usize = 100_000_000;
    let live_clients = settings.clients.unwrap_or(1_000);
    let publishers = settings.publishers.unwrap_or(4);
    let clients = live_clients + READERS;
    let messages = (HISTORY_BYTES / (settings.payload + 120)).next_multiple_of(BATCH);
    rig.tally.plan(clients, 1 + publishers, 0..live_clients);
    rig.tally.listen(OLD, 0..0);
    rig.connect_publishers(1)?;
    fill_history(rig, settings, messages)?;

    rig.open(live_clients, &live())?;
    rig.connect_publishers(publishers)?;
    let live_streams = 1..1 + publishers;
    let rate = settings.rate.unwrap_or(50.0);
    let mut paced = Paced::new(rig, settings, live_streams.clone(), rate);
    paced.run(rig, rig.clock.us() + micros(settings.warmup))?;
    let alone = Alone::measure(rig, settings, &mut paced)?;

    rig.tally.replay(OLD, live_clients..clients);
    let started_us = rig.clock.us();
    let until_us = started_us + CATCH_UP_US;
    rig.tally.measure(started_us..until_us);
    let start = Start::now(rig);
    let history = Wish {
        topic: HISTORY,
        earliest: true,
        ..Wish::default()
    };
    rig.open(READERS, &history)?;
    let mut paced = Paced::new(rig, settings, live_streams, rate);
    let (mut pss_most, mut look_us) = (0, 0);
    paced.run_while(rig, until_us, |rig| {
        if rig.clock.us() >= look_us {
            pss_most = pss_most.max(rig.server.pss());
            look_us = rig.clock.us() + LOOK_EVERY_US;
        }
        rig.tally.unread(OLD) > 0
    })?;
    let took_us = rig.clock.us() - started_us;
    let stretch = start.end(rig);
    rig.drain()?;

    let mut figures = stretch.figures(rig);
    figures.extend(alone.against(rig, stretch.server_us, stretch.deliveries, pss_most));
    figures.extend(object(json!({
        "history_messages": messages,
        "caught_up_s": took_us as f64 / 1e6,
        "history_per_s": (READERS * messages) as f64 / (took_us as f64 / 1e6),
    })));
    Ok(figures)
}

/// How the readers fared before the slow ones came.
#[derive(Debug)]
struct Alone {
    us_per_delivery: f64,
    latency_ms: Value,
    pss: u64,
}

impl Alone {
    fn measure(rig: &mut Rig, settings: &Settings, paced: &mut Paced) -> Result<Self, String> {
        let begin_us = rig.clock.us();
        let end_us = begin_us + micros(settings.seconds);
        rig.tally.measure(begin_us..end_us);
        let start = Start::now(rig);
        paced.run(rig, end_us)?;
        let stretch = start.end(rig);
        rig.drain()?;
        Ok(Self {
            us_per_delivery: stretch.us_per_delivery(),
            latency_ms: rig.tally.latency_ms(),
            pss: rig.server.pss(),
        })
    }

    /// The same beside others, as ratios to this.
    fn against(&self, rig: &Rig, server_us: u64, deliveries: u64, pss: u64) -> Figures {
        let us = ratio(server_us, deliveries);
        let p99 = |latency: &Value| latency["p99"].as_f64().unwrap_or(0.0);
        let latency_ms = rig.tally.latency_ms();
        object(json!({
            "alone_us_per_delivery": self.us_per_delivery,
            "alone_latency_ms": self.latency_ms,
            "us_per_delivery": us,
            "cpu_ratio": us / self.us_per_delivery,
            "p99_ratio": p99(&latency_ms) / p99(&self.latency_ms),
            "pss_growth_bytes": pss as i64 - self.pss as i64,
        }))
    }
}

fn fill_history(rig: &mut Rig, settings: &Settings, messages: usize) -> Result<(), String> {
    let payload = payload(settings.payload);
    let mut template = rig.dialect.many(&rig.host, HISTORY, &payload, BATCH)?;
    for _ in 0..messages / BATCH {
        let now_us = rig.clock.us();
        rig.publish(OLD.into(), &mut template, now_us)?;
        while rig.publishers[usize::from(OLD)].waiting.len() >= 4 {
            rig.turn(SIP_EVERY_US)?;
        }
    }
    rig.drain()
}
