//! What the HTTP side counts.

use std::fmt;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tidings_protocol::ErrorCode;

use super::seats::Seats;

/// Counters of requests; labels are names of ours, so their number is bounded.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    /// Connections that were closed without an answer, because even the places for refusals were taken.
    turned_away: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    code: &'static str,
}

impl HttpMetrics {
    pub(crate) fn register(registry: &mut Registry, seats: &Seats) -> Self {
        let requests = Family::default();
        let refusals = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_refusals",
            "Requests refused, by error code",
            refusals.clone(),
        );
        let turned_away = Counter::default();
        let help = "Connections above the limit that were closed without an answer";
        registry.register("http_turned_away", help, turned_away.clone());
        registry.register_collector(Box::new(seats.clone()));
        Self {
            requests,
            refusals,
            turned_away,
        }
    }

    pub(super) fn turned_away(&self) {
        self.turned_away.inc();
    }

    pub(super) fn answered(
        &self,
        route: &'static str,
        status: StatusCode,
        code: Option<ErrorCode>,
    ) {
        let status = status.as_u16();
        self.requests
            .get_or_create(&RequestLabels { route, status })
            .inc();
        if let Some(code) = code {
            self.refusals
                .get_or_create(&RefusalLabels {
                    code: code.as_str(),
                })
                .inc();
        }
    }
}

impl Collector for Seats {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in [
            ("connections", "Connections, streams included", self.taken()),
            (
                "connections_max",
                "Connections at a time; more are refused",
                self.max(),
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&(value as u64))?;
        }
        Ok(())
    }
}
