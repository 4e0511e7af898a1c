//! The hub of Tidings: messages in over POST, kept in a journal, pushed over Server-Sent Events.

mod acks;
mod auth;
pub mod cli;
pub mod config;
mod fanout;
mod http;
mod hub;
mod kind;
mod live;
mod logging;
mod memory;
mod metrics;
mod page;
mod receipts;
#[cfg(test)]
mod sim;

pub use auth::WeakSecret;
pub use hub::{Hub, Running, StartError};
