//! What two copies of one message must share.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tidings_protocol::Message;
use xxhash_rust::xxh3::Xxh3;

/// Over type, priority, target, topic, payload and metadata; the rest may differ between a message and its repetition.
/// The same before a message is encoded and after it was read back.
pub(super) fn fingerprint(message: &Message) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&[message.kind as u8, message.priority as u8]);
    let texts = [
        message.target.as_deref().map(Cow::Borrowed),
        message.topic.as_deref().map(Cow::Borrowed),
        Some(on_one_line(&message.payload)),
        message.metadata.as_deref().map(on_one_line),
    ];
    for text in texts {
        // With its length, so that no two lists of texts are the same bytes; `u64::MAX` is no length.
        let length = text.as_ref().map_or(u64::MAX, |text| text.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(text.unwrap_or_default().as_bytes());
    }
    hasher.digest128()
}

/// Encoding replaces raw line breaks by spaces.
fn on_one_line(json: &RawValue) -> Cow<'_, str> {
    let json = json.get();
    if json.contains(['\n', '\r']) {
        Cow::Owned(json.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::{Incoming, MessageId};

    fn message(body: &str) -> Message {
        let incoming = Incoming::parse(body.as_bytes()).expect(body);
        incoming.into_message("alice", 1, || MessageId::from_uuid(7))
    }

    fn same(one: &str, other: &str) -> bool {
        fingerprint(&message(one)) == fingerprint(&message(other))
    }

    #[test]
    fn copies_share_type_priority_address_payload_and_metadata() {
        let first =
            r#"{"type":"text","priority":2,"target":"bob","payload":{"a":1},"metadata":{"m":1}}"#;
        for other in [
            r#"{"type":"json","priority":2,"target":"bob","payload":{"a":1},"metadata":{"m":1}}"#,
            r#"{"type":"text","priority":1,"target":"bob","payload":{"a":1},"metadata":{"m":1}}"#,
            r#"{"type":"text","priority":2,"target":"bo","payload":{"a":1},"metadata":{"m":1}}"#,
            r#"{"type":"text","priority":2,"topic":"bob","payload":{"a":1},"metadata":{"m":1}}"#,
            r#"{"type":"text","priority":2,"payload":{"a":1},"metadata":{"m":1}}"#,
            r#"{"type":"text","priority":2,"target":"bob","payload":{"a":2},"metadata":{"m":1}}"#,
            r#"{"type":"text","priority":2,"target":"bob","payload":{"a":1},"metadata":{"m":2}}"#,
            r#"{"type":"text","priority":2,"target":"bob","payload":{"a":1}}"#,
        ] {
            assert!(!same(first, other), "{other}");
        }
        assert!(same(first, first));
    }

    #[test]
    fn a_repetition_may_have_another_time_and_time_to_live() {
        let first = r#"{"id":"1","payload":1,"timestamp":5,"ttl":10}"#;
        assert!(same(first, r#"{"id":"1","payload":1,"timestamp":6}"#));
    }

    #[test]
    fn a_message_read_back_has_the_fingerprint_it_was_stored_with() {
        let sent = message("{\"payload\":{\r\n\"a\":\n[1,\r2]},\"metadata\":{\n}}");
        let read: Message = serde_json::from_slice(&sent.encode()).expect("readable");
        assert_eq!(fingerprint(&read), fingerprint(&sent));
    }
}
