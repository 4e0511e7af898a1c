//! What the writer does about a disk that is full or broken.
//!
//! Full is a state to come back from: every write is tried, and the first that succeeds ends it. Broken is for good: what a
//! sync that failed has left on the disk is unknown, so nothing is written behind it.

use rusqlite::config::DbConfig;

use super::transaction::{Failure, classify};
use super::writer::Writer;
use crate::stats::Health;

impl Writer {
    /// A transaction was rolled back.
    pub(super) fn fail(&mut self, failure: Failure) {
        // Subjects that it interned do not exist.
        self.subjects.forget();
        let health = match (failure, self.health) {
            (Failure::Failed, _) | (_, Health::Failed) => Health::Failed,
            (Failure::Busy, _) | (Failure::Full, Health::Full) => return,
            (Failure::Full, Health::Ok) => Health::Full,
        };
        if health == Health::Failed {
            self.leave_log_alone();
        }
        self.set_health(health);
        if health == Health::Full && self.trim.is_none() {
            self.trim = Some(super::retention::Trim::default());
        }
    }

    /// SQLite would carry the log over when it closes, with what a failed sync has left in it.
    fn leave_log_alone(&self) {
        if let Err(error) = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::warn!(%error, "the store's log will be carried over when it closes");
        }
    }

    /// A commit succeeded.
    pub(super) fn recover(&mut self) {
        if self.health == Health::Full {
            self.set_health(Health::Ok);
            self.keep_reserve();
        }
    }

    /// After a trim on a full disk: what it freed lies in the database, what others freed lies on the disk.
    pub(super) fn try_room(&mut self, freed: bool) {
        self.checkpoint_now();
        let room = self.keep_reserve() && (freed || !self.reserve.is_bounded());
        if room && self.health == Health::Full {
            self.set_health(Health::Ok);
        }
    }

    fn keep_reserve(&mut self) -> bool {
        self.reserve.keep(&self.connection).unwrap_or_else(|error| {
            tracing::warn!(%error, "setting the reserve of the store aside failed");
            false
        })
    }

    /// A checkpoint that fails for want of room is repeated later: the log still has everything.
    pub(super) fn checkpoint_failed(&mut self, error: &rusqlite::Error) {
        let failure = classify(error);
        match failure {
            Failure::Full => tracing::warn!(%error, "no room for a checkpoint of the store"),
            Failure::Busy => {
                tracing::warn!(%error, "another process holds up a checkpoint of the store");
            }
            Failure::Failed => {
                tracing::error!(%error, "a checkpoint of the store failed; no more writes are taken");
            }
        }
        self.fail(failure);
    }

    fn set_health(&mut self, health: Health) {
        self.health = health;
        self.shared.set_health(health);
    }
}
