//! The wire types of Tidings: messages, cursors, errors, limits, and the encoder and decoder for Server-Sent Events.
//!
//! This crate does no I/O and reads no clock: the hub, the command line and the Rust SDK use it on both sides of a
//! connection. The normative text is PROTOCOL.md; what two sides must agree on byte by byte is also written down as
//! data in `conformance/vectors/`.

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

pub use cursor::{Cursor, Epoch, MalformedCursor};
pub use error::{ErrorCode, Invalid, Problem};
pub use incoming::{Address, Incoming, body_is_array, parse_batch};
pub use json::parse_integer;
pub use kind::{MessageType, Priority, UnknownNumber};
pub use message::Message;
pub use names::{ClientId, MessageId, Topic};
pub use pattern::TopicPattern;
pub use serde_json::value::RawValue;
