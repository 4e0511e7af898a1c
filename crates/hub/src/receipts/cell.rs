//! Pending and settled messages as cells of the store.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidings_protocol::api::ReceiptStatus;
use tidings_store::{Expect, Put};

use super::book::{Kept, Key};
use super::decision::Pending;

/// Joins the parts of a key: a control character, which no id and no client has.
const JOIN: char = '\u{1f}';
/// How long it can be asked what became of a message.
pub(super) const SETTLED_MS: u64 = 24 * 60 * 60 * 1_000;

/// The cell with the position up to which pending records were derived.
pub(super) const FOLLOWED: &str = "receipts\u{1f}followed";
/// Before the keys of all pending messages.
pub(super) const PENDING: &str = "pending\u{1f}";

/// A message that waits for its ack, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    position: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered_at: Option<u64>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command_id: Option<Arc<str>>,
}

/// A message that waits no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settled {
    pub(super) status: ReceiptStatus,
    pub(super) at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) delivered_at: Option<u64>,
}

pub(super) fn pending_key(key: &Key) -> String {
    format!(
        "{PENDING}{}{JOIN}{}{JOIN}{}",
        key.client, key.source, key.id
    )
}

/// Before the client: by source and id all receipts of a message are found.
pub(super) fn settled_prefix(source: &str, id: &str) -> String {
    format!("settled{JOIN}{source}{JOIN}{id}{JOIN}")
}

/// The parts of the key of a pending message.
pub(super) fn parse_key(key: &str) -> Option<Key> {
    let mut parts = key.strip_prefix(PENDING)?.split(JOIN).map(Arc::from);
    let key = Key {
        client: parts.next()?,
        source: parts.next()?,
        id: parts.next()?,
    };
    parts.next().is_none().then_some(key)
}

pub(super) fn put_pending(key: &Key, kept: &Kept) -> Put {
    let Pending {
        position,
        expires_at,
        delivered_at,
        attempts,
        due: _,
    } = kept.pending;
    let stored = Stored {
        position,
        expires_at,
        delivered_at,
        attempts,
        command_id: kept.command_id.clone(),
    };
    put(pending_key(key), Some(encode(&stored)), None)
}

pub(super) fn delete_pending(key: &Key) -> Put {
    put(pending_key(key), None, None)
}

pub(super) fn put_settled(key: &Key, settled: &Settled) -> Put {
    let name = settled_prefix(&key.source, &key.id) + &key.client;
    put(name, Some(encode(settled)), Some(settled.at + SETTLED_MS))
}

pub(super) fn put_followed(position: u64) -> Put {
    put(
        FOLLOWED.to_owned(),
        Some(Bytes::from(position.to_string())),
        None,
    )
}

pub(super) fn parse_followed(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

pub(super) fn parse_pending(value: &[u8]) -> Option<Kept> {
    let stored: Stored = serde_json::from_slice(value).ok()?;
    let pending = Pending {
        expires_at: stored.expires_at,
        delivered_at: stored.delivered_at,
        attempts: stored.attempts,
        ..Pending::new(stored.position, None)
    };
    Some(Kept::new(pending, stored.command_id))
}

pub(super) fn parse_settled(value: &[u8]) -> Option<Settled> {
    serde_json::from_slice(value).ok()
}

fn encode(value: &impl Serialize) -> Bytes {
    // Plain data with text keys always serialises.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

/// The actor is the only one who writes these cells.
fn put(key: String, value: Option<Bytes>, expires_at: Option<u64>) -> Put {
    Put {
        key,
        value,
        expect: Expect::Any,
        expires_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_message_is_read_back_as_it_was_written() {
        let key = Key {
            client: "al.ice/1".into(),
            source: "bob".into(),
            id: "x:1".into(),
        };
        let pending = Pending {
            delivered_at: Some(7),
            attempts: 3,
            ..Pending::new(5, Some(9))
        };
        let kept = Kept::new(pending, Some("c1".into()));
        let put = put_pending(&key, &kept);
        assert_eq!(parse_key(&put.key), Some(key));
        let value = put.value.expect("a value");
        assert_eq!(parse_pending(&value), Some(kept));
        assert_eq!(
            (parse_pending(b"{}"), parse_key("pending\u{1f}a")),
            (None, None)
        );
    }
}
