//! What the HTTP side counts.

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tidings_protocol::ErrorCode;

/// Counters of requests; labels are names of ours, so their number is bounded.
#[derive(Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
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
    pub fn register(registry: &mut Registry) -> Self {
        let requests = Family::default();
        let refusals = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_refusals",
            "Requests refused, by error code",
            refusals.clone(),
        );
        Self { requests, refusals }
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
