//! What is counted of messages that wait for an ack.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(super) pending: Gauge,
    pub(super) lag: Gauge,
    pub(super) acknowledged: Counter,
    pub(super) expired: Counter,
    pub(super) redeliveries: Counter,
    pub(super) receipts: Counter,
    pub(super) missed: Counter,
    pub(super) notes_lost: Counter,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("receipts");
        let mut gauge =
            |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge(
            "pending",
            "Messages that wait for an ack of their own",
            &self.pending,
        );
        gauge(
            "follower_lag",
            "Positions of the journal not yet looked at for such messages",
            &self.lag,
        );
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter("acknowledged", "Messages acknowledged", &self.acknowledged);
        counter(
            "expired",
            "Messages whose attempts or time to live were used up, or that retention removed, before an ack came",
            &self.expired,
        );
        counter(
            "redeliveries",
            "Repeats put into the journal's queue",
            &self.redeliveries,
        );
        counter("sent", "Receipts sent to sources", &self.receipts);
        counter(
            "follower_missed",
            "Times that entries were read from history because too many waited",
            &self.missed,
        );
        counter(
            "notes_lost",
            "Notes of written messages that were lost because too many waited; they are repeated",
            &self.notes_lost,
        );
    }
}
