//! What became of one message.

use tidings_protocol::ClientId;
use tidings_protocol::api::{Receipt, ReceiptStatus};
use tidings_store::{Entry, ReadError, Reader, Subject};

use super::book::Key;
use super::cell::{self, Settled};

use std::sync::Arc;

/// A message and its receipts, as far as they are still kept.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Option<Arc<Entry>>,
    /// In the order in which they came.
    pub(crate) receipts: Vec<Receipt>,
}

/// Receipts of one message: it has one target. Twice as many, since the id may have been used again.
const RECEIPTS_MAX: usize = 16;

/// Looks a message up by its identity; `None` when nothing of it is kept.
pub(crate) fn find(
    reader: &mut Reader,
    source: &str,
    id: &str,
) -> Result<Option<Found>, ReadError> {
    let entry = reader.locate(source, id)?;
    let mut receipts = Vec::new();
    if let Some(Subject::Client(client)) = entry.as_ref().map(|entry| &entry.subject) {
        let key = Key {
            client: Arc::clone(client),
            source: source.into(),
            id: id.into(),
        };
        let pending = reader.cell(&cell::pending_key(&key))?;
        if let Some(kept) = pending.and_then(|cell| cell::parse_pending(&cell.value)) {
            receipts.extend(delivered(client, kept.pending.delivered_at));
            return Ok(Some(Found { entry, receipts }));
        }
    }
    let prefix = cell::settled_prefix(source, id);
    for (name, cell) in reader.scan(&prefix, None, RECEIPTS_MAX)? {
        let client = &name[prefix.len()..];
        if let Some(settled) = cell::parse_settled(&cell.value) {
            receipts.extend(both(client, &settled));
        }
    }
    receipts.sort_by_key(|receipt| receipt.at);
    Ok((entry.is_some() || !receipts.is_empty()).then_some(Found { entry, receipts }))
}

fn both(client: &str, settled: &Settled) -> impl Iterator<Item = Receipt> {
    delivered(client, settled.delivered_at)
        .into_iter()
        .chain(receipt(client, settled.status, settled.at))
}

fn delivered(client: &str, at: Option<u64>) -> Option<Receipt> {
    at.and_then(|at| receipt(client, ReceiptStatus::Delivered, at))
}

fn receipt(client: &str, status: ReceiptStatus, at: u64) -> Option<Receipt> {
    let client_id = ClientId::parse(client, "clientId").ok()?;
    Some(Receipt {
        client_id,
        status,
        at,
    })
}
