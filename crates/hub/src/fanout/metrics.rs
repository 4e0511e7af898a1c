//! What the fan-out counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of all shards together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) connections_behind: Gauge,
    pub(crate) opened: Counter,
    pub(crate) closed: Family<ClosedLabels, Counter>,
    pub(crate) inbox_bytes: Gauge,
    pub(crate) queued: Gauge,
    pub(crate) inbox_refused: Counter,
    pub(crate) history_reads: Counter,
    pub(crate) history_failures: Counter,
    deliveries: Counter,
    writes: Counter,
    bytes: Counter,
    expired: Counter,
    live_only_dropped: Counter,
    fell_behind: Counter,
    gaps: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ClosedLabels {
    pub(crate) reason: &'static str,
}

/// What one shard counted since it last said so. Plain numbers: a delivery must not cost a shared cache line.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) deliveries: u64,
    pub(crate) writes: u64,
    pub(crate) bytes: u64,
    pub(crate) expired: u64,
    pub(crate) live_only_dropped: u64,
    pub(crate) fell_behind: u64,
    pub(crate) gaps: u64,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sse");
        let mut gauge =
            |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("connections", "Open streams", &self.connections);
        gauge(
            "connections_behind",
            "Open streams that read history",
            &self.connections_behind,
        );
        gauge(
            "queued",
            "Messages that wait in memory for their streams",
            &self.queued,
        );
        gauge(
            "inbox_bytes",
            "Bytes of batches that wait for their shards",
            &self.inbox_bytes,
        );
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter("opened", "Streams opened", &self.opened);
        counter(
            "inbox_refused",
            "Batches that a shard must read from history because its inbox was full",
            &self.inbox_refused,
        );
        counter(
            "history_reads",
            "Questions to the store for streams that are behind",
            &self.history_reads,
        );
        counter(
            "history_failures",
            "Such questions that failed; the stream was closed",
            &self.history_failures,
        );
        counter(
            "deliveries",
            "Messages written to a socket",
            &self.deliveries,
        );
        counter("writes", "Writes to sockets", &self.writes);
        counter("written_bytes", "Bytes written to sockets", &self.bytes);
        counter(
            "expired",
            "Messages passed over because their time to live had passed",
            &self.expired,
        );
        counter(
            "live_only_dropped",
            "Live-only messages not sent to streams that were behind",
            &self.live_only_dropped,
        );
        counter(
            "fell_behind",
            "Times a live stream had more pending than it may and went on from history",
            &self.fell_behind,
        );
        counter(
            "gaps",
            "Gaps reported because retention removed messages",
            &self.gaps,
        );
        registry.register("closed", "Streams closed, by reason", self.closed.clone());
    }

    pub(crate) fn add(&self, tally: &mut Tally) {
        let add = |counter: &Counter, count: &mut u64| {
            if *count > 0 {
                counter.inc_by(std::mem::take(count));
            }
        };
        add(&self.deliveries, &mut tally.deliveries);
        add(&self.writes, &mut tally.writes);
        add(&self.bytes, &mut tally.bytes);
        add(&self.expired, &mut tally.expired);
        add(&self.live_only_dropped, &mut tally.live_only_dropped);
        add(&self.fell_behind, &mut tally.fell_behind);
        add(&self.gaps, &mut tally.gaps);
    }
}
