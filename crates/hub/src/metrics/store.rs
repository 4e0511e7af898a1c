//! The store's numbers, asked for at each scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tidings_store::{Class, Health, Histogram, PerClass, Store};

pub(super) fn register(registry: &mut Registry, store: &Store) {
    registry
        .sub_registry_with_prefix("store")
        .register_collector(Box::new(StoreNumbers(store.clone())));
}

#[derive(Debug)]
struct StoreNumbers(Store);

impl Collector for StoreNumbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let mut out = Out(encoder);
        let healthy = u64::from(self.0.health() == Health::Ok);
        out.gauge("healthy", "1 while the store takes writes", healthy)?;
        out.gauge(
            "queue_records",
            "Records waiting for the writer",
            stats.queue_records,
        )?;
        out.gauge(
            "queue_bytes",
            "Bytes waiting for the writer",
            stats.queue_bytes,
        )?;
        let refused = [
            ("busy", stats.refused_busy),
            ("full", stats.refused_full),
            ("failed", stats.refused_failed),
            ("conflict", stats.conflicts),
        ];
        out.counters("appends_refused", "Appends refused", "reason", &refused)?;
        let records = [
            ("stored", stats.stored),
            ("duplicate", stats.duplicates),
            ("passed", stats.passed),
        ];
        out.counters(
            "records",
            "Records by what became of them",
            "outcome",
            &records,
        )?;
        out.counter("commits", "Commits", stats.commits)?;
        out.histogram(
            "commit_records",
            "Records in a commit",
            &stats.commit_records,
            1.0,
        )?;
        out.histogram("commit_seconds", "Time of a commit", &stats.commit_us, 1e6)?;
        out.counter("checkpoints", "Checkpoints", stats.checkpoints)?;
        out.counter(
            "index_merges",
            "Slices merged into the index",
            stats.index_merges,
        )?;
        let in_memory = stats.index_rows_in_memory;
        out.gauge(
            "index_rows_in_memory",
            "Rows whose index is in memory only",
            in_memory,
        )?;
        out.gauge(
            "idempotency_ids",
            "Identities remembered",
            stats.idempotency_ids,
        )?;
        out.gauge(
            "reads_waiting",
            "Reads waiting for a reader thread",
            stats.reads_waiting,
        )?;
        out.gauges("entries", "Entries kept", &stats.entries)?;
        out.gauges("bytes", "Bytes kept", &stats.bytes)?;
        let trimmed = by_class(&stats.trimmed);
        out.counters("trimmed", "Entries removed by retention", "class", &trimmed)?;
        out.gauge(
            "log_bytes",
            "Bytes of the files of the log",
            stats.log_bytes,
        )?;
        let waits = u64::from(stats.age_waits);
        out.gauge(
            "age_waits",
            "1 while retention by age waits because the clocks disagree",
            waits,
        )
    }
}

/// Writes one metric after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    fn gauges(&mut self, name: &str, help: &str, values: &PerClass<u64>) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        by_class(values).iter().try_for_each(|(class, value)| {
            family
                .encode_family(&[("class", *class)])?
                .encode_gauge(value)
        })
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, u64)],
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        values.iter().try_for_each(|(word, value)| {
            let labels = [(label, *word)];
            family
                .encode_family(&labels)?
                .encode_counter::<[(&str, &str); 0], _, u64>(value, None)
        })
    }

    /// `per` of the histogram's units make one of the metric's.
    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        histogram: &Histogram,
        per: f64,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        let last = histogram.buckets.len() - 1;
        let bound = |index: usize| {
            if index == last {
                f64::INFINITY
            } else {
                largest_in(index) / per
            }
        };
        let buckets = histogram.buckets.iter().enumerate();
        let buckets = buckets
            .map(|(index, count)| (bound(index), *count))
            .collect::<Vec<_>>();
        let sum = histogram.sum as f64 / per;
        metric.encode_histogram::<[(&str, &str); 0]>(sum, histogram.count, &buckets, None)
    }
}

/// The bucket counts whole numbers below `2^index`.
fn largest_in(index: usize) -> f64 {
    ((1_u64 << index) - 1) as f64
}

fn by_class(values: &PerClass<u64>) -> [(&'static str, u64); 3] {
    [
        ("mailbox", values[Class::Mailbox]),
        ("topic", values[Class::Topic]),
        ("broadcast", values[Class::Broadcast]),
    ]
}
