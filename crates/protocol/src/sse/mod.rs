//! Server-Sent Events: the encoder of the hub and the decoder of its clients.

mod decode;
mod encode;

pub use decode::{Decoder, Event, EventTooLarge};
pub use encode::{body, comment, event, id, retry};
