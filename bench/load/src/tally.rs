//! What was sent, what has arrived, and how long it took.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::ledger::{Arrival, Faults, Ledger};
use crate::marker::{EVERYONE, Marker};

/// Longer than this is recorded as this.
const LATENCY_US_MAX: u64 = 300_000_000;

/// How many complaints are kept in words; all are counted.
const COMPLAINTS_MAX: usize = 10;

#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) run: u16,
    ledger: Ledger,
    streams: Vec<Stream>,
    /// For messages to one client: how many of each stream (as in the ledger: client by client).
    direct: Vec<u32>,
    /// Messages that have not reached all their clients.
    pub(crate) outstanding: usize,
    expected: u64,
    pub(crate) arrived: u64,
    /// Reads that brought at least one message.
    pub(crate) reads: u64,
    pub(crate) answers: u64,
    /// Only what was due in this time goes into the histograms.
    window_us: std::ops::Range<u64>,
    latency: Histogram<u32>,
    answer: Histogram<u32>,
    open: Histogram<u32>,
    pub(crate) complaints: Vec<String>,
}

/// The messages of one publishing connection.
#[derive(Debug)]
struct Stream {
    sent: u32,
    listeners: std::ops::Range<usize>,
    /// For each message, how many listeners lack it.
    left: Vec<u32>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order");
        Self {
            run: std::process::id() as u16,
            ledger: Ledger::new(0, 0),
            streams: Vec::new(),
            direct: Vec::new(),
            outstanding: 0,
            expected: 0,
            arrived: 0,
            reads: 0,
            answers: 0,
            window_us: 0..0,
            latency: histogram(),
            answer: histogram(),
            open: histogram(),
            complaints: Vec::new(),
        }
    }

    /// So many streams of messages, and the clients that listen to all of them.
    pub(crate) fn plan(
        &mut self,
        clients: usize,
        streams: usize,
        listeners: std::ops::Range<usize>,
    ) {
        self.ledger = Ledger::new(clients, streams);
        self.direct = vec![0; clients * streams];
        let stream = || Stream {
            sent: 0,
            listeners: listeners.clone(),
            left: Vec::new(),
        };
        self.streams = (0..streams).map(|_| stream()).collect();
    }

    /// From here on these clients listen to this stream.
    pub(crate) fn listen(&mut self, stream: u16, listeners: std::ops::Range<usize>) {
        let known = &mut self.streams[usize::from(stream)];
        for client in listeners.clone() {
            self.ledger.starts_at(client, stream, known.sent);
        }
        known.listeners = listeners;
    }

    /// These clients are going to read all that was sent on this stream so far.
    pub(crate) fn replay(&mut self, stream: u16, listeners: std::ops::Range<usize>) {
        let known = &mut self.streams[usize::from(stream)];
        self.expected += u64::from(known.sent) * listeners.len() as u64;
        known.left.clear();
        known.listeners = listeners;
    }

    /// Reserves the numbers of so many messages and returns the first.
    pub(crate) fn sent(&mut self, stream: u16, messages: usize) -> u32 {
        let stream = &mut self.streams[usize::from(stream)];
        let listeners = stream.listeners.len();
        let first = stream.sent;
        stream.sent += messages as u32;
        self.expected += (messages * listeners) as u64;
        if listeners > 0 {
            stream.left.resize(stream.sent as usize, listeners as u32);
            self.outstanding += messages;
        }
        first
    }

    /// The same for one message to one client.
    pub(crate) fn sent_to(&mut self, stream: u16, client: usize) -> u32 {
        let sent = &mut self.direct[client * self.streams.len() + usize::from(stream)];
        *sent += 1;
        self.expected += 1;
        self.outstanding += 1;
        *sent - 1
    }

    /// Messages of all streams so far.
    pub(crate) fn published(&self) -> u64 {
        let shared: u64 = self.streams.iter().map(|s| u64::from(s.sent)).sum();
        shared + self.direct.iter().map(|sent| u64::from(*sent)).sum::<u64>()
    }

    pub(crate) fn take(
        &mut self,
        client: usize,
        marker: Option<Marker>,
        now_us: u64,
        measured: bool,
    ) {
        let Some(marker) = marker else {
            self.ledger.faults().garbled += 1;
            return;
        };
        if marker.run != self.run {
            self.ledger.faults().stale += 1;
            return;
        }
        if marker.target != EVERYONE && marker.target as usize != client {
            self.ledger.faults().misrouted += 1;
            return;
        }
        if self.ledger.arrived(client, marker.stream, marker.seq) == Arrival::Again {
            return;
        }
        self.arrived += 1;
        if marker.target != EVERYONE {
            self.outstanding = self.outstanding.saturating_sub(1);
        } else if let Some(left) = self
            .streams
            .get_mut(usize::from(marker.stream))
            .and_then(|stream| stream.left.get_mut(marker.seq as usize))
        {
            *left = left.saturating_sub(1);
            self.outstanding -= usize::from(*left == 0);
        }
        let due_us = u64::from(marker.due_us);
        if measured && self.window_us.contains(&due_us) {
            self.latency
                .saturating_record(now_us.saturating_sub(due_us));
        }
    }

    pub(crate) fn answered(&mut self, now_us: u64, due_us: u64) {
        self.answers += 1;
        if self.window_us.contains(&due_us) {
            self.answer.saturating_record(now_us.saturating_sub(due_us));
        }
    }

    pub(crate) fn opened(&mut self, took_us: u64) {
        self.open.saturating_record(took_us);
    }

    pub(crate) fn complain(&mut self, reason: String) {
        self.ledger.faults().failures += 1;
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(reason);
        }
    }

    /// What the listeners of this stream still lack.
    pub(crate) fn unread(&self, stream: u16) -> u64 {
        let known = &self.streams[usize::from(stream)];
        let lacking = |client| self.ledger.lacking(client, stream, known.sent);
        known.listeners.clone().map(lacking).sum()
    }

    pub(crate) fn all_is_here(&self) -> bool {
        self.arrived >= self.expected
    }

    /// Begins to measure anew what is due in this time.
    pub(crate) fn measure(&mut self, window_us: std::ops::Range<u64>) {
        self.window_us = window_us;
        self.latency.reset();
        self.answer.reset();
    }

    pub(crate) fn latency_ms(&self) -> Value {
        quantiles(&self.latency)
    }

    pub(crate) fn answer_ms(&self) -> Value {
        quantiles(&self.answer)
    }

    pub(crate) fn open_ms(&self) -> Value {
        quantiles(&self.open)
    }

    /// All faults of the run; to be asked once nothing moves any more.
    pub(crate) fn faults(&mut self) -> Faults {
        let mut lost = 0;
        for (number, stream) in self.streams.iter().enumerate() {
            for client in stream.listeners.clone() {
                lost += self.ledger.lacking(client, number as u16, stream.sent);
            }
        }
        for (at, sent) in self
            .direct
            .iter()
            .enumerate()
            .filter(|(_, sent)| **sent > 0)
        {
            let (client, stream) = (at / self.streams.len(), at % self.streams.len());
            lost += self.ledger.lacking(client, stream as u16, *sent);
        }
        self.ledger.faults().lost = lost;
        *self.ledger.faults()
    }
}

fn quantiles(us: &Histogram<u32>) -> Value {
    if us.is_empty() {
        return Value::Null;
    }
    let ms = |us: u64| us as f64 / 1000.0;
    json!({
        "count": us.len(),
        "p50": ms(us.value_at_quantile(0.5)),
        "p90": ms(us.value_at_quantile(0.9)),
        "p99": ms(us.value_at_quantile(0.99)),
        "p999": ms(us.value_at_quantile(0.999)),
        "max": ms(us.max()),
    })
}
