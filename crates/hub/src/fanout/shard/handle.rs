use std::sync::{Arc, PoisonError, RwLock};

use tidings_protocol::MessageType;
use tidings_store::{Entry, Subject};

use crate::fanout::frame::Batch;
use crate::fanout::inbox::Inbox;
use crate::fanout::index::SubjectIndex;

/// What others know of a shard.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) number: usize,
    pub(crate) inbox: Arc<Inbox>,
    pub(super) index: Arc<RwLock<SubjectIndex>>,
}

impl Handle {
    pub(crate) fn new(number: usize, inbox: Arc<Inbox>) -> Self {
        Self {
            number,
            inbox,
            index: Arc::default(),
        }
    }

    /// Hands over a batch; the shard wakes only if one of its connections may read some of it.
    pub(crate) fn release(&self, batch: &Arc<Batch>, entries: &[Arc<Entry>]) {
        let late = self.inbox.push_batch(batch);
        // Asked once the batch lies there: a connection that is indexed only now has its shard look into the inbox again.
        let has_reader = || {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            entries.iter().any(|entry| index.has_reader(&entry.subject))
        };
        if late || has_reader() {
            self.inbox.wake();
        }
    }

    /// Connections that read such a message.
    pub(crate) fn audience(
        &self,
        subject: &Subject,
        kind: MessageType,
        exclude: Option<&str>,
    ) -> usize {
        self.index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .count(subject, kind.into(), exclude)
    }
}
