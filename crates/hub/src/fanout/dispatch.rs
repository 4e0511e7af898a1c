//! The journal's follower: encodes each commit once and hands it to every shard.

use std::sync::{Arc, OnceLock};

use tidings_store::{Entry, Follower, Position};

use super::frame::Batch;
use super::shard::Handle;

/// Encodes what the journal releases. It is made before the store is opened and aimed when the shards run; the journal
/// takes nothing in between.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    target: Arc<OnceLock<Target>>,
    last: Position,
}

/// Where batches go.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) epoch: Arc<str>,
    pub(crate) shards: Arc<[Handle]>,
}

impl Dispatcher {
    /// What aims this dispatcher once it is set.
    pub(crate) fn target(&self) -> Arc<OnceLock<Target>> {
        Arc::clone(&self.target)
    }
}

impl Follower for Dispatcher {
    fn released(&mut self, entries: &[Arc<Entry>]) {
        let (Some(target), Some(newest)) = (self.target.get(), entries.last()) else {
            return;
        };
        self.last = self.last.max(newest.position);
        let batch = Arc::new(Batch::encode(&target.epoch, self.last, entries));
        for shard in target.shards.iter() {
            shard.release(&batch, entries);
        }
    }
}
