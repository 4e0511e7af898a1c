//! Receipts: what the hub tells the source of a message that asked for an ack.

use bytes::Bytes;
use serde_json::value::to_raw_value;
use tidings_protocol::api::{ReceiptPayload, ReceiptStatus};
use tidings_protocol::{ClientId, Message, MessageId, MessageType};
use tidings_store::{Record, Subject};
use uuid::Uuid;

use super::book::Key;
use crate::kind::Kind;

/// How long a receipt is of use.
const TTL_MS: u64 = 24 * 60 * 60 * 1_000;
/// Nobody in particular: there is no mailbox to answer to.
const ANONYMOUS: &str = "anonymous";

/// The receipt as it goes into the journal. `None` for sources that get none: `anonymous`, and the hub itself.
pub(super) fn record(
    key: &Key,
    command_id: Option<&str>,
    status: ReceiptStatus,
    wall_ms: u64,
) -> Option<Record> {
    if &*key.source == ANONYMOUS {
        return None;
    }
    // Refuses `$hub`, too.
    let source = ClientId::parse(&key.source, "source").ok()?;
    let payload = ReceiptPayload {
        message_id: MessageId::parse(&key.id, "id").ok()?,
        command_id: command_id.map(str::to_owned),
        client_id: ClientId::parse(&key.client, "clientId").ok()?,
        status,
        success: status.success(),
    };
    let id = MessageId::from_uuid(Uuid::now_v7().as_u128());
    let payload = to_raw_value(&payload).ok()?;
    let mut message = Message::new(id, MessageType::Ack, Message::HUB, wall_ms, payload);
    message.target = Some(source);
    message.ttl = Some(TTL_MS);
    Some(Record {
        subject: Subject::Client(std::sync::Arc::clone(&key.source)),
        source: Message::HUB.into(),
        // Its id is new, so it has no copies to be told from.
        fingerprint: 0,
        // Without the mark: a receipt never causes receipts.
        kind: Kind::new(MessageType::Ack, false).number(),
        priority: message.priority as u8,
        exclude: None,
        ttl_ms: message.ttl,
        durable: true,
        body: Bytes::from(message.encode()),
        id: message.id.into(),
    })
}
