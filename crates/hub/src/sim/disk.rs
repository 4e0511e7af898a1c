//! A store on disk, and its files as a crash leaves them.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;

use tempfile::TempDir;
use tidings_store::{Follower, Options, Store};

const DATABASE: &str = "tidings.db";
const LOG: &str = "tidings.db-wal";

pub(super) struct Disk(TempDir);

impl Disk {
    pub(super) fn new() -> Self {
        Self(TempDir::new().expect("a folder can be made"))
    }

    pub(super) fn open(&self, options: Options, followers: Vec<Box<dyn Follower>>) -> Store {
        let dir = Some(self.0.path().to_owned());
        Store::open(Options { dir, ..options }, followers).expect("the store opens")
    }

    /// How long the log of the database is now: all that was acknowledged lies before its end.
    pub(super) fn log_bytes(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |log| log.len())
    }

    /// The files as they are, the log cut to `log_bytes_max`.
    pub(super) fn crashed(&self, log_bytes_max: u64) -> Self {
        let copy = Self::new();
        for name in [DATABASE, LOG] {
            let (from, to) = (self.0.path().join(name), copy.0.path().join(name));
            if from.exists() {
                fs::copy(from, to).expect("the file can be copied");
            }
        }
        if copy.log_bytes() > log_bytes_max {
            let log = OpenOptions::new().write(true).open(copy.log());
            let cut = log.and_then(|log| log.set_len(log_bytes_max));
            cut.expect("the file can be cut");
        }
        copy
    }

    fn log(&self) -> PathBuf {
        self.0.path().join(LOG)
    }
}
