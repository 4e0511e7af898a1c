//! The log: to standard error, as text or as one JSON object per line. Tokens and payloads are never in it.

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// The level of the log of this process.
#[derive(Debug)]
pub(crate) struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// From now on.
    pub(crate) fn set(&self, level: &str) {
        if let Err(error) = self.0.reload(filter(level)) {
            tracing::warn!(%error, "the level of the log cannot be changed");
        }
    }
}

/// Starts the log of this process. A second call changes nothing.
pub(crate) fn start(log: &Log) -> Level {
    let (filter, handle) = reload::Layer::new(filter(&log.level));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(layer.with_ansi(colours_wanted())).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log had been started before");
    }
    Level(handle)
}

/// The level was checked with the configuration.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_default()
}

fn colours_wanted() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
