//! Repeats: the message as it was stored, with the field `redelivery`.

use std::sync::Arc;

use bytes::Bytes;
use tidings_protocol::{MessageType, sse};
use tidings_store::{Entry, Position, ReadError, Reader, Record};

use crate::fanout::{Awaited, Repeat};
use crate::kind::Kind;

/// Ends the encoding of every repeat; see [`tidings_protocol::Message`], whose last field it is.
const FIELD: &[u8] = b",\"redelivery\":";

/// What the repeats at one connect may take; what is beyond comes when it is due.
const CONNECT_BYTES_MAX: usize = 4 << 20;

/// The stored message as its repeat of this number. Stored messages are objects on one line and never repeats.
pub(crate) fn body(stored: &[u8], number: u32) -> Vec<u8> {
    let open = stored.strip_suffix(b"}").unwrap_or(stored);
    [open, FIELD, number.to_string().as_bytes(), b"}"].concat()
}

/// Which repeat a message of the hub's own making is. Read from the end: nothing else of it needs to be looked at.
pub(crate) fn number(body: &[u8]) -> Option<u32> {
    let open = body.strip_suffix(b"}")?;
    let digits = open
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (head, number) = open.split_at(open.len() - digits);
    head.ends_with(FIELD)
        .then(|| std::str::from_utf8(number).ok()?.parse().ok())
        .flatten()
}

/// As it passes the journal once more, live only: in order behind what was accepted before, and to all connections of the
/// client that are not behind.
pub(super) fn record(entry: &Entry, number: u32, wall_ms: u64) -> Record {
    Record {
        subject: entry.subject.clone(),
        source: Arc::clone(&entry.source),
        id: Arc::clone(&entry.id),
        // Live-only records are not compared with anything.
        fingerprint: 0,
        kind: entry.kind,
        priority: entry.priority,
        exclude: None,
        ttl_ms: entry.expires_at.map(|at| at.saturating_sub(wall_ms)),
        durable: false,
        body: Bytes::from(body(&entry.body, number)),
    }
}

/// The events of the messages at these positions, without `id:` line, as far as they are still kept.
pub(super) fn events(
    reader: &mut Reader,
    pending: &[(u64, Arc<Awaited>)],
) -> Result<Vec<Repeat>, ReadError> {
    let (mut repeats, mut bytes) = (Vec::new(), 0);
    for (position, awaited) in pending {
        if bytes >= CONNECT_BYTES_MAX {
            break;
        }
        for entry in reader.at(&[Position(*position)])? {
            let kind = Kind::stored(entry.kind).message_type();
            let mut event = Vec::new();
            sse::event(
                &mut event,
                None,
                kind.map_or("message", MessageType::event_name),
                &body(&entry.body, awaited.number),
            );
            bytes += event.len();
            repeats.push(Repeat {
                event,
                awaited: Arc::clone(awaited),
            });
        }
    }
    Ok(repeats)
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use tidings_protocol::{Message, MessageId};

    use super::*;

    #[test]
    fn a_repeat_is_the_message_with_its_number_and_nothing_else_changed() {
        let payload = to_raw_value("x,\"redelivery\":7}").expect("JSON");
        let id = MessageId::from_uuid(1);
        let mut message = Message::new(id, MessageType::Json, "s", 5, payload);
        message.require_ack = true;
        assert_eq!(number(&message.encode()), None);
        let repeat = body(&message.encode(), 12);
        message.redelivery = Some(12);
        assert_eq!(repeat, message.encode());
        assert_eq!(number(&repeat), Some(12));
    }
}
