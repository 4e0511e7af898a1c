//! What the hub counts, in the text format of Prometheus (OpenMetrics).
//!
//! Each area registers its own metrics; what an area already counts for itself is asked for at the time of a scrape. A
//! label is always a word of ours (a route, a status, an error code), never a topic or a client, so that the number of
//! series has a bound.

mod store;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tidings_store::Store;

use crate::http::{HttpMetrics, Seats};

/// Of the text that [`Metrics::encode`] returns.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PREFIX: &str = "tidings";

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) http: HttpMetrics,
    registry: Registry,
}

impl Metrics {
    /// `areas` registers what the rest of the hub counts.
    pub(crate) fn new(store: &Store, seats: &Seats, areas: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let http = HttpMetrics::register(&mut registry, seats);
        store::register(&mut registry, store);
        areas(&mut registry);
        Self { http, registry }
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        // A String takes everything; an error would be a defect of a collector, whose metrics are then missing.
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "cannot encode the metrics");
        }
        text
    }
}
