//! Payloads of the hub's own messages of type system and heartbeat.

use serde::{Deserialize, Serialize};

use crate::names::{ClientId, MessageId};

/// The payload of a message of type system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct SystemPayload<T> {
    pub event: SystemEvent,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub detail: Option<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_action: Option<RecommendedAction>,
}

impl<T> SystemPayload<T> {
    /// An event with its detail and no advice.
    pub const fn new(event: SystemEvent, detail: T) -> Self {
        Self {
            event,
            detail: Some(detail),
            recommended_action: None,
        }
    }
}

const fn none<T>() -> Option<T> {
    None
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum SystemEvent {
    Connect,
    Disconnect,
    Reconnect,
    Error,
    Maintenance,
    Gap,
}

/// What a client had best do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum RecommendedAction {
    Reconnect,
}

/// The detail of `connect`, the first event of every stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ConnectDetail {
    pub client_id: ClientId,
    pub connection_id: String,
    /// Where the stream really starts, after any gap.
    pub cursor: String,
    /// Whether it goes on from a cursor that the client brought.
    pub resumed: bool,
    pub topics: Vec<String>,
    /// Milliseconds between heartbeats; 0 when they are off.
    pub heartbeat_interval: u64,
    pub max_event_bytes: usize,
    pub idempotency_window: IdempotencyWindow,
}

/// How long the hub knows a message again: while both bounds hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct IdempotencyWindow {
    pub ms: u64,
    pub ids: u64,
}

/// The detail of `gap`: messages between two cursors that this client will not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GapDetail {
    /// The cursor that the client brought, as it came.
    pub from: String,
    /// Where the stream goes on.
    pub to: String,
    pub reason: GapReason,
}

/// Why messages are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Retention removed them.
    Expired,
    /// The cursor is not of this hub's history, or lies beyond what the hub has kept of it.
    UnknownEpoch,
}

/// The detail of `maintenance`: the hub is about to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceDetail {
    pub retry_after_ms: u64,
}

/// The detail of `disconnect`: the hub closes this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DisconnectDetail {
    pub reason: DisconnectReason,
    pub reconnect: bool,
}

impl From<DisconnectReason> for DisconnectDetail {
    fn from(reason: DisconnectReason) -> Self {
        Self {
            reason,
            reconnect: reason.reconnect(),
        }
    }
}

/// Why the hub closes a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum DisconnectReason {
    /// A newer instance of the same client took its place.
    Replaced,
    /// An operator closed this connection.
    Kicked,
    /// The client's credentials were withdrawn.
    Revoked,
    /// The token has expired; a new one opens a new stream.
    TokenExpired,
    /// The stream is as old as streams get; reconnecting spreads clients over hubs again.
    Lifetime,
}

impl DisconnectReason {
    /// Whether the client should come back by itself.
    #[must_use]
    pub const fn reconnect(self) -> bool {
        matches!(
            self,
            DisconnectReason::TokenExpired | DisconnectReason::Lifetime
        )
    }
}

/// The payload of a receipt, a message of type ack: what became of a message that asked for an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct ReceiptPayload {
    pub message_id: MessageId,
    /// Of a command that had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// To whom the message went.
    pub client_id: ClientId,
    pub status: ReceiptStatus,
    /// Whether the message is, or still can be, received.
    pub success: bool,
}

/// How far a message that asked for an acknowledgement has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ReceiptStatus {
    /// Written to a socket of the client.
    Delivered,
    Acknowledged,
    /// Its attempts or its time to live were used up, or retention removed it, before an acknowledgement came.
    Expired,
}

impl ReceiptStatus {
    /// Whether the message is, or still can be, received.
    #[must_use]
    pub const fn success(self) -> bool {
        !matches!(self, Self::Expired)
    }
}

/// The payload of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatPayload {
    pub server_time: u64,
}
