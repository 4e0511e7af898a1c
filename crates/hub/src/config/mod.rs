//! The configuration of a hub: one description of every setting, read at the start, and again on SIGHUP.
//!
//! - [`Config`] is the checked form that the rest of the hub gets: plain typed fields, nothing optional that has a default.
//! - `settings` describes each key once: its meaning, type, default and rule. The file, the environment, the printed
//!   configuration and `tidings.example.toml` all come from there.
//! - `layers` reads the low-level form: defaults < file < environment (`TIDINGS_SECTION_KEY`) < flags, each value with its origin.
//! - `reload` says what a running hub can take over; the rest waits for a restart.
//!
//! A wrong value is refused with its key, the value, the rule and the place it came from; all of them at once.

pub mod defaults;
mod error;
mod layers;
mod load;
mod print;
mod reload;
mod rules;
mod secret;
mod settings;
mod store;
mod value;

#[cfg(test)]
mod tests;

pub use self::error::{ConfigError, Refusal};
pub use self::layers::{Flag, Origin};
pub use self::load::{Inputs, Loaded};
pub use self::print::example;
pub use self::reload::Changes;
pub use self::secret::Secret;
pub use self::settings::{Auth, Config, Log, Receipts, Server, Sse, Store};
pub use self::value::{Durability, LogFormat};
