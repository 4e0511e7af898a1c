//! Data folders: opened, and copied as a crash would leave them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tidings_store::{Durability, Keep, Options, PerClass, Position, Store, Tuning};

use crate::bench::{everything, whole};

pub(super) const DATABASE: &str = "tidings.db";
pub(super) const WAL: &str = "tidings.db-wal";

/// Small steps, so that a crash meets merges and checkpoints, too. Broadcasts are trimmed, the rest stays.
pub(super) fn options(dir: &Path) -> Options {
    let all = Keep {
        age_ms: 0,
        bytes: 0,
        count: 0,
    };
    Options {
        dir: Some(dir.to_owned()),
        durability: Durability::Disk,
        retention: PerClass {
            mailbox: all,
            topic: all,
            broadcast: Keep { count: 20, ..all },
        },
        tuning: Tuning {
            merge_rows: 64,
            merge_slice_rows: 16,
            checkpoint_pages: 32,
            trim_slice_rows: 16,
            ..Tuning::default()
        },
        ..Options::default()
    }
}

pub(super) fn open(dir: &Path) -> Store {
    Store::open(options(dir), Vec::new()).expect("the store opens")
}

/// The state of the files as they are, in a folder of its own. The log comes last: what a checkpoint moves into the
/// database meanwhile stays in it until the next write.
pub(super) fn copy(dir: &Path) -> TempDir {
    let copy = TempDir::new().expect("a folder can be made");
    for name in [DATABASE, WAL] {
        if dir.join(name).exists() {
            fs::copy(dir.join(name), copy.path().join(name)).expect("the file can be copied");
        }
    }
    copy
}

/// Source, id and position of everything stored, in order.
pub(super) async fn contents(store: &Store) -> Vec<(String, String, Position)> {
    let upto = store.bounds().last;
    let page = store
        .reading(move |reader| reader.read(&everything(), whole(Position::ZERO, upto)))
        .await
        .expect("the store reads")
        .expect("the read succeeds");
    let identity = |entry: &std::sync::Arc<tidings_store::Entry>| {
        (
            entry.source.to_string(),
            entry.id.to_string(),
            entry.position,
        )
    };
    page.entries.iter().map(identity).collect()
}
