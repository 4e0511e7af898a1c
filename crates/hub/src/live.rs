//! What a running hub takes from its configuration, and takes anew when that is read again.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Config;
use crate::http::Origins;

/// Written by a reload alone; read by whoever needs a setting now, or waits for a change.
#[derive(Debug)]
pub(crate) struct Live {
    present: watch::Sender<Present>,
}

#[derive(Debug, Clone)]
struct Present {
    config: Arc<Config>,
    /// Derived, because every request looks at it.
    origins: Arc<Origins>,
}

impl Present {
    fn new(config: Config) -> Self {
        Self {
            origins: Arc::new(Origins::of(&config)),
            config: Arc::new(config),
        }
    }
}

impl Live {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            present: watch::Sender::new(Present::new(config)),
        }
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.present.borrow().config)
    }

    pub(crate) fn origins(&self) -> Arc<Origins> {
        Arc::clone(&self.present.borrow().origins)
    }

    /// Whoever waits for a reload hears of it.
    pub(crate) fn set(&self, config: Config) {
        self.present.send_replace(Present::new(config));
    }

    /// Hears of each reload.
    pub(crate) fn reloads(&self) -> Reloads {
        Reloads(self.present.subscribe())
    }
}

#[derive(Debug)]
pub(crate) struct Reloads(watch::Receiver<Present>);

impl Reloads {
    /// Completes at the next reload.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The hub is going, and nothing is read again.
            std::future::pending::<()>().await;
        }
    }
}
