//! A complete message: what the hub stores and every reader receives.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::kind::{MessageType, Priority};
use crate::names::{ClientId, MessageId, Topic};

/// A complete message.
///
/// Reading one checks its shape and its names, not the rules for senders: the hub's own messages are read too.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub id: MessageId,
    #[serde(rename = "type")]
    pub kind: MessageType,
    pub priority: Priority,
    pub timestamp: u64,
    pub source: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ClientId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    #[serde(serialize_with = "one_line")]
    #[cfg_attr(test, ts(type = "unknown"))]
    pub payload: Box<RawValue>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "one_line_if_any"
    )]
    #[cfg_attr(test, ts(as = "Option<crate::typescript::Metadata>"))]
    pub metadata: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    #[cfg_attr(test, ts(as = "Option<bool>"))]
    pub durable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_client_id: Option<ClientId>,
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(test, ts(as = "Option<bool>"))]
    pub require_ack: bool,
    /// How often the message was repeated to this client because no acknowledgement came: 1 for the first repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redelivery: Option<u32>,
}

impl Message {
    /// The source of the hub's own messages.
    pub const HUB: &'static str = "$hub";

    /// A durable message of normal priority for everyone; the other fields are public.
    #[must_use]
    pub fn new(
        id: MessageId,
        kind: MessageType,
        source: &str,
        timestamp_ms: u64,
        payload: Box<RawValue>,
    ) -> Self {
        Self {
            id,
            kind,
            priority: Priority::default(),
            timestamp: timestamp_ms,
            source: source.into(),
            target: None,
            topic: None,
            payload,
            metadata: None,
            ttl: None,
            durable: true,
            exclude_client_id: None,
            require_ack: false,
            redelivery: None,
        }
    }

    /// The message as one line of JSON: raw line breaks, which JSON allows between tokens only, become spaces.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.capacity_hint());
        serde_json::to_writer(&mut line, self)
            .expect("a message has only string keys and a Vec takes every byte");
        line
    }

    /// The length of [`encode`](Self::encode), without keeping the bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut counter = Counter(0);
        serde_json::to_writer(&mut counter, self)
            .expect("a message has only string keys and counting never fails");
        counter.0
    }

    /// Enough for every message whose names need no escapes, so that encoding allocates once.
    fn capacity_hint(&self) -> usize {
        /// The names and punctuation of all fields, and their numbers.
        const FRAME: usize = 320;
        let text = |text: Option<&str>| text.map_or(0, str::len);
        FRAME
            + self.id.len()
            + self.source.len()
            + text(self.target.as_deref())
            + text(self.topic.as_deref())
            + text(self.exclude_client_id.as_deref())
            + self.payload.get().len()
            + text(self.metadata.as_deref().map(RawValue::get))
    }
}

fn one_line<S: Serializer>(value: &RawValue, serializer: S) -> Result<S::Ok, S::Error> {
    let json = value.get();
    // Inside a JSON string a line break is always escaped, so any raw one stands between tokens.
    if !json.as_bytes().contains(&b'\n') && !json.as_bytes().contains(&b'\r') {
        return value.serialize(serializer);
    }
    let line = RawValue::from_string(json.replace(['\n', '\r'], " "))
        .map_err(serde::ser::Error::custom)?;
    line.serialize(serializer)
}

fn one_line_if_any<S: Serializer>(
    value: &Option<Box<RawValue>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => one_line(value, serializer),
        None => serializer.serialize_none(),
    }
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
const fn is_true(value: &bool) -> bool {
    *value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}
