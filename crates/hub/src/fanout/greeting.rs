//! The first bytes of a stream: the head of the answer, `retry:` and `connect`.

use std::io::Write as _;

use http::{HeaderName, HeaderValue};
use tidings_protocol::api::{ConnectDetail, IdempotencyWindow};
use tidings_protocol::limits::EVENT_BYTES_MAX;
use tidings_protocol::sse;

use super::card::Card;
use super::clock::Now;
use super::events;
use super::place::Place;
use crate::hub::Hub;

/// The body has no framing of its own and ends with the connection: every event says where it ends, a proxy that speaks
/// HTTP/1.0 to us could not take chunks, and an `id:` line that is replaced would need a chunk of its own.
const HEAD: &str = "HTTP/1.1 200 OK\r\n\
    content-type: text/event-stream\r\n\
    cache-control: no-cache, no-transform\r\n\
    x-accel-buffering: no\r\n\
    connection: close\r\n";

pub(crate) fn greeting(
    hub: &Hub,
    card: &Card,
    place: &Place,
    resumed: bool,
    gap_follows: bool,
    headers: &[(HeaderName, HeaderValue)],
    now: Now,
) -> Vec<u8> {
    let cursor = place.text(hub.store.epoch());
    let mut out = HEAD.as_bytes().to_vec();
    let date = http_date(now.wall_ms);
    // Writing to a Vec does not fail.
    let _ = write!(out, "date: {date}\r\n");
    for (name, value) in headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    let config = hub.config();
    sse::retry(&mut out, config.sse.retry_ms);
    let detail = ConnectDetail {
        client_id: card.client.clone(),
        connection_id: card.connection_id.to_string(),
        cursor,
        resumed,
        topics: card.topics.iter().map(ToString::to_string).collect(),
        heartbeat_interval: card.heartbeat_ms,
        max_event_bytes: EVENT_BYTES_MAX,
        idempotency_window: IdempotencyWindow {
            ms: config.store.idempotency_ms,
            ids: config.store.idempotency_ids,
        },
    };
    out.extend(events::connect(card, detail, gap_follows, now));
    out
}

fn http_date(wall_ms: u64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(wall_ms);
    httpdate::fmt_http_date(at)
}
