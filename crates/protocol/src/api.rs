//! The bodies of requests and answers, route by route, and the payloads of the hub's own messages.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, Invalid};
use crate::incoming::{Address, Incoming};
use crate::json;
use crate::names::{ClientId, MessageId};

mod events;

pub use events::{
    ConnectDetail, DisconnectDetail, DisconnectReason, GapDetail, GapReason, HeartbeatPayload,
    IdempotencyWindow, MaintenanceDetail, ReceiptPayload, ReceiptStatus, RecommendedAction,
    SystemEvent, SystemPayload,
};

/// The answer to one published message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct PublishAnswer {
    pub success: bool,
    pub message_id: MessageId,
    /// Where the message is in the log; absent for one that is live only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Live connections that it goes to now.
    pub recipients: usize,
    /// The same message came before; this is its first answer again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(as = "Option<bool>"))]
    pub duplicate: bool,
}

/// The answer to a batch, results in the order of its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct BatchAnswer {
    pub success: bool,
    pub results: Vec<PublishAnswer>,
}

/// The body of `POST /api/broadcast`.
#[derive(Debug, Clone)]
pub struct BroadcastRequest {
    /// Complete but for what the hub adds; `excludeClientId` of the request has become the message's.
    pub message: Incoming,
}

impl BroadcastRequest {
    /// Reads `{message, excludeClientId?}`; the message must not have an address.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        const NAMES: [&str; 2] = ["message", "excludeClientId"];
        let fields = json::object(body, &NAMES)?;
        fields.check()?;
        let message = fields
            .optional(0)
            .ok_or_else(|| Invalid::field("message", "is required"))?;
        if !message.get().starts_with('{') {
            return Err(Invalid::field("message", "must be a JSON object"));
        }
        let mut message = Incoming::parse_partial(message.get().as_bytes(), Address::All)
            .map_err(|invalid| invalid.within("message"))?;
        if let Some(client) = fields.string(1)? {
            message.exclude_client_id = Some(ClientId::parse(&client, NAMES[1])?);
        }
        Ok(Self { message })
    }
}

/// The answer to a broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct BroadcastAnswer {
    pub success: bool,
    /// Live connections that it goes to now.
    pub sent_count: usize,
    pub message_id: MessageId,
    /// The same message came before; this is its first answer again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// The body of `POST /api/acks`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename_all = "camelCase", optional_fields))]
pub struct AckRequest {
    /// Up to where the mailbox was read. Kept as text: the hub decides what a malformed or foreign cursor means.
    pub cursor: Option<String>,
    /// Where the unbroken reading began.
    pub from: Option<String>,
    pub device: Option<String>,
    #[cfg_attr(test, ts(as = "Option<Vec<MessageRef>>"))]
    pub messages: Vec<MessageRef>,
    #[cfg_attr(test, ts(as = "Option<Vec<MessageId>>"))]
    pub message_ids: Vec<MessageId>,
    /// The acting client, for a hub in open mode.
    pub client_id: Option<ClientId>,
}

impl AckRequest {
    /// Reads `{cursor?, from?, device?, messages?, messageIds?, clientId?}`.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        const NAMES: [&str; 6] = [
            "cursor",
            "from",
            "device",
            "messages",
            "messageIds",
            "clientId",
        ];
        let fields = json::object(body, &NAMES)?;
        fields.check()?;
        let device = fields.decode(2, |raw, name| {
            let device = json::string(raw, name)?;
            ClientId::parse(&device, name).map(|device| device.to_string())
        })?;
        Ok(Self {
            cursor: fields.string(0)?.map(Into::into),
            from: fields.string(1)?.map(Into::into),
            device,
            messages: fields
                .decode(3, |raw, name| list(raw, name, MessageRef::read))?
                .unwrap_or_default(),
            message_ids: fields
                .decode(4, |raw, name| list(raw, name, read_id))?
                .unwrap_or_default(),
            client_id: fields.decode(5, |raw, name| {
                ClientId::parse(&json::string(raw, name)?, name)
            })?,
        })
    }
}

/// The identity of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MessageRef {
    pub source: String,
    pub id: MessageId,
}

impl MessageRef {
    fn read(raw: &RawValue) -> Result<Self, Invalid> {
        const NAMES: [&str; 2] = ["source", "id"];
        if !raw.get().starts_with('{') {
            return Err(Invalid::new(
                ErrorCode::InvalidField,
                None,
                "must be a JSON object",
            ));
        }
        let fields = json::object(raw.get().as_bytes(), &NAMES)?;
        fields.check()?;
        let required = |field| {
            fields
                .string(field)?
                .ok_or_else(|| Invalid::field(NAMES[field], "is required"))
        };
        let source = MessageId::parse(&required(0)?, NAMES[0])?.to_string();
        Ok(Self {
            source,
            id: MessageId::parse(&required(1)?, NAMES[1])?,
        })
    }
}

fn read_id(raw: &RawValue) -> Result<MessageId, Invalid> {
    let id = json::string(raw, "id").and_then(|id| MessageId::parse(&id, "id"));
    id.map_err(|invalid| Invalid {
        field: None,
        ..invalid
    })
}

fn list<T>(
    raw: &RawValue,
    field: &str,
    read: impl Fn(&RawValue) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    let items: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Invalid::field(field, "must be a JSON array"))?;
    let read_item = |(i, item): (usize, &&RawValue)| {
        read(item).map_err(|invalid| invalid.within(&format!("{field}[{i}]")))
    };
    items.iter().enumerate().map(read_item).collect()
}

/// The answer to acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct AckAnswer {
    pub success: bool,
    /// Whether the cursor asked for now counts as read.
    pub applied: bool,
    /// The client's stored cursor after the request; absent while it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The answer where nothing is to be told but that it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Done {
    pub success: bool,
}

/// The answer to a change of a live connection's topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TopicAnswer {
    /// An added topic is complete from here on.
    pub cursor: String,
}

/// The answer of `GET /api/messages`: a page of history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct HistoryAnswer {
    /// As they were sent to their readers, in the order asked for.
    #[cfg_attr(test, ts(as = "Vec<crate::Message>"))]
    pub messages: Vec<Box<RawValue>>,
    /// The `after` of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer of `GET /api/messages/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MessageAnswer {
    /// The message as it was sent to its readers; `null` once retention has removed it.
    #[cfg_attr(test, ts(as = "Option<crate::Message>"))]
    pub message: Option<Box<RawValue>>,
    /// In the order in which they came; empty for a message that asked for none.
    pub receipts: Vec<Receipt>,
}

/// What became of a message at one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub client_id: ClientId,
    pub status: ReceiptStatus,
    pub at: u64,
}

/// One live connection, in the list of `GET /api/connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    pub client_id: ClientId,
    pub connection_id: String,
    pub created_at: u64,
    /// When bytes last went to its socket.
    pub last_active_at: u64,
    /// Milliseconds since `created_at`.
    pub uptime: u64,
    pub topics: Vec<String>,
    /// Messages waiting in the hub's memory for this connection.
    pub queued: usize,
    pub remote_addr: String,
}
