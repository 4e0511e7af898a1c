//! The wire types of Tidings: messages, cursors, errors, limits, and the encoder and decoder for Server-Sent Events.
//!
//! This crate does no I/O and reads no clock: the hub, the command line and the Rust SDK use it on both sides of a
//! connection. The normative text is PROTOCOL.md; what two sides must agree on byte by byte is also written down as
//! data in `conformance/vectors/`.
//!
//! The way of one message, from a request body to a reader:
//!
//! ```
//! use tidings_protocol::{Incoming, Message, MessageId, sse};
//!
//! let body = br#"{"topic": "orders/eu/42", "payload": {"status": "shipped"}}"#;
//! let message = Incoming::parse(body)?.into_message("alice", 1_700_000_000_000, || MessageId::from_uuid(1));
//!
//! let mut stream = Vec::new();
//! sse::event(&mut stream, Some("9f0c6a51d2e87b34-7"), message.kind.event_name(), &message.encode());
//!
//! let mut decoder = sse::Decoder::new(tidings_protocol::limits::EVENT_BYTES_MAX);
//! decoder.feed(&stream);
//! let event = decoder.next().expect("one whole event").expect("within the limit");
//! let read: Message = serde_json::from_str(&event.data).expect("a message");
//! assert_eq!(read.payload.get(), r#"{"status": "shipped"}"#);
//! # Ok::<(), tidings_protocol::Invalid>(())
//! ```

pub mod api;
pub mod cursor;
pub mod limits;
pub mod sse;

mod error;
mod incoming;
mod json;
mod kind;
mod message;
mod names;
mod pattern;
#[cfg(test)]
mod typescript;

pub use cursor::{Cursor, Epoch, MalformedCursor};
pub use error::{ErrorCode, Invalid, Problem};
pub use incoming::{Address, Incoming, body_is_array, parse_batch};
pub use json::parse_integer;
pub use kind::{MessageType, Priority, UnknownNumber};
pub use message::Message;
pub use names::{ClientId, MessageId, Topic};
pub use pattern::TopicPattern;
pub use serde_json::value::RawValue;
