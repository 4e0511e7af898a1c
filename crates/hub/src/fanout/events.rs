//! The hub's own events on a stream: connect, gap, heartbeat, goodbye. Each is a whole message from `$hub`.

use serde::Serialize;
use serde_json::value::to_raw_value;
use tidings_protocol::api::{
    ConnectDetail, DisconnectDetail, GapDetail, HeartbeatPayload, MaintenanceDetail,
    RecommendedAction, SystemEvent, SystemPayload,
};
use tidings_protocol::{Message, MessageId, MessageType, sse};
use uuid::Uuid;

use super::card::Card;
use super::clock::Now;

/// The first event of a stream. It moves the client on to the start, unless a gap follows: only that does, so that a client
/// that is cut off in between is told again.
pub(crate) fn connect(card: &Card, detail: ConnectDetail, gap_follows: bool, now: Now) -> Vec<u8> {
    let cursor = detail.cursor.clone();
    own(
        Some(card),
        Some(&*cursor).filter(|_| !gap_follows),
        MessageType::System,
        &SystemPayload::new(SystemEvent::Connect, detail),
        now,
    )
}

/// Says that messages between two cursors will not come.
pub(crate) fn gap(card: &Card, detail: GapDetail, now: Now) -> Vec<u8> {
    let cursor = detail.to.clone();
    own(
        Some(card),
        Some(&cursor),
        MessageType::System,
        &SystemPayload::new(SystemEvent::Gap, detail),
        now,
    )
}

/// Says that the stream is alive, and where it is.
pub(crate) fn heartbeat(cursor: &str, now: Now) -> Vec<u8> {
    own(
        None,
        Some(cursor),
        MessageType::Heartbeat,
        &HeartbeatPayload {
            server_time: now.wall_ms,
        },
        now,
    )
}

/// Says that the hub ends this stream, and why.
pub(crate) fn disconnect(card: &Card, detail: DisconnectDetail, now: Now) -> Vec<u8> {
    own(
        Some(card),
        None,
        MessageType::System,
        &SystemPayload::new(SystemEvent::Disconnect, detail),
        now,
    )
}

/// Says that the hub goes away, and when to come back.
pub(crate) fn maintenance(card: &Card, retry_after_ms: u64, now: Now) -> Vec<u8> {
    let payload = SystemPayload {
        recommended_action: Some(RecommendedAction::Reconnect),
        ..SystemPayload::new(
            SystemEvent::Maintenance,
            MaintenanceDetail { retry_after_ms },
        )
    };
    let mut out = Vec::new();
    sse::retry(&mut out, retry_after_ms);
    out.extend(own(Some(card), None, MessageType::System, &payload, now));
    out
}

fn own(
    card: Option<&Card>,
    cursor: Option<&str>,
    kind: MessageType,
    payload: &impl Serialize,
    now: Now,
) -> Vec<u8> {
    let payload = to_raw_value(payload).expect("the hub's own payloads are plain data");
    let id = MessageId::from_uuid(Uuid::now_v7().as_u128());
    let mut message = Message::new(id, kind, Message::HUB, now.wall_ms, payload);
    message.target = card.map(|card| card.client.clone());
    let mut out = Vec::new();
    sse::event(&mut out, cursor, kind.event_name(), &message.encode());
    out
}
