use std::path::PathBuf;

use tidings_store::{Durability, IdempotencyWindow, Keep, Options, Retention};

use super::{Durability as Chosen, Store};

impl Store {
    /// How a store in `dir` is opened with these settings.
    pub fn options(&self, dir: PathBuf) -> Options {
        Options {
            dir: Some(dir),
            durability: match self.durability {
                Chosen::Disk => Durability::Disk,
                Chosen::Os => Durability::Os,
            },
            idempotency_window: IdempotencyWindow {
                ms: self.idempotency_ms,
                ids: usize::try_from(self.idempotency_ids).unwrap_or(usize::MAX),
            },
            retention: self.retention(),
            bytes_max: self.bytes_max,
            ..Options::default()
        }
    }

    /// What trims keep.
    pub fn retention(&self) -> Retention {
        Retention {
            mailbox: Keep {
                age_ms: self.mailbox_age_ms,
                bytes: self.mailbox_bytes,
                count: self.mailbox_count,
            },
            topic: Keep {
                age_ms: self.topic_age_ms,
                bytes: self.topic_bytes,
                count: self.topic_count,
            },
            broadcast: Keep {
                age_ms: self.broadcast_age_ms,
                bytes: self.broadcast_bytes,
                count: self.broadcast_count,
            },
        }
    }
}
