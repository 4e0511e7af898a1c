//! Backups of an open store, and what they become in another folder.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;
use tidings_store::{CopyError, Folder, OpenError, Position, Store, Survey};

use super::folder::{self, DATABASE, WAL, contents};
use super::ledger::numbered;
use super::load::Load;
use crate::bench::stored;

fn new_folder() -> TempDir {
    TempDir::new().expect("a folder can be made")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("the folder can be read");
    let mut names: Vec<String> = entries
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("the name is text")
        })
        .collect();
    names.sort();
    names
}

async fn backup(dir: &Path, file: &Path) -> Survey {
    let (folder, file) = (Folder::new(dir), file.to_owned());
    let made = tokio::task::spawn_blocking(move || folder.backup(&file)).await;
    made.expect("it does not panic")
        .expect("the backup succeeds")
}

/// A store of `count` entries, closed again.
async fn closed(count: u64) -> TempDir {
    let dir = new_folder();
    let store = folder::open(dir.path());
    append(&store, 0..count).await;
    store.close();
    dir
}

async fn append(store: &Store, numbers: std::ops::Range<u64>) -> Vec<Position> {
    let records = numbers.map(|number| numbered("a", number)).collect();
    let appended = store.append(records).await.expect("the append succeeds");
    appended.into_iter().map(stored).collect()
}

async fn ids(dir: &Path) -> Vec<String> {
    let store = folder::open(dir);
    let ids = contents(&store).await.into_iter().map(|(_, id, _)| id);
    let ids = ids.collect();
    store.close();
    ids
}

/// A backup of a store with so many entries.
async fn made(count: u64) -> (TempDir, PathBuf) {
    let (dir, place) = (closed(count).await, new_folder());
    let file = place.path().join("backup");
    backup(dir.path(), &file).await;
    (place, file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_load_is_of_one_moment_and_has_all_that_was_acknowledged_before() {
    let (dir, place) = (new_folder(), new_folder());
    let store = folder::open(dir.path());
    let load = Load::start(&store);
    let mut made = Vec::new();
    for round in 0..4 {
        load.goes_on(150).await;
        let (before, file) = (load.ledger(), place.path().join(round.to_string()));
        backup(dir.path(), &file).await;
        made.push((before, file));
    }
    // They did not hold up what came after them.
    load.goes_on(150).await;
    let all = load.stop().await;
    store.close();
    all.check(&folder::open(dir.path())).await;

    for (before, file) in made {
        let restored = new_folder();
        let survey = Folder::new(restored.path())
            .restore(&file, false)
            .expect("the restore succeeds");
        let store = folder::open(restored.path());
        assert_eq!(store.bounds().last, survey.last);
        before.check(&store).await;
        before.check_duplicates(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_epoch_of_a_running_store_ends_in_the_backup_where_the_backup_ends() {
    let (dir, place, elsewhere) = (new_folder(), new_folder(), new_folder());
    let store = folder::open(dir.path());
    let kept = append(&store, 0..20).await;
    let file = place.path().join("backup");
    let survey = backup(dir.path(), &file).await;
    assert_eq!(survey.epoch.as_deref(), Some(store.epoch()));
    assert_eq!(survey.last, kept[19]);
    let lost = append(&store, 20..40).await;

    Folder::new(elsewhere.path())
        .restore(&file, false)
        .expect("the restore succeeds");
    let restored = folder::open(elsewhere.path());
    assert_eq!(restored.lineage_end(store.epoch()), Some(kept[19]));
    append(&restored, 20..60).await;
    assert_eq!(restored.lineage_end(store.epoch()), Some(kept[19]));
    assert!(lost[0] > kept[19]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_one_file_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (place, file) = made(10).await;
    assert_eq!(names(place.path()), ["backup"]);
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_does_not_overwrite() {
    let (dir, place) = (closed(5).await, new_folder());
    let file = place.path().join("backup");
    fs::write(&file, "mine").expect("the file can be written");
    let refused = Folder::new(dir.path()).backup(&file);
    assert!(
        matches!(refused, Err(CopyError::Exists { .. })),
        "{refused:?}"
    );
    assert_eq!(
        fs::read_to_string(&file).expect("the file is there"),
        "mine"
    );
    assert_eq!(names(place.path()), ["backup"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_folder_without_a_store_is_left_as_it_is() {
    let dir = new_folder();
    let folder = Folder::new(dir.path());
    let missing = |error: &OpenError| matches!(error, OpenError::Missing { .. });
    assert!(missing(&folder.survey().expect_err("no store")));
    assert!(missing(&folder.check().expect_err("no store")));
    for refused in [
        folder.backup(&dir.path().join("backup")).map(|_| ()),
        folder.vacuum().map(|_| ()),
    ] {
        assert!(
            matches!(&refused, Err(CopyError::Open(error)) if missing(error)),
            "{refused:?}"
        );
    }
    assert_eq!(names(dir.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restore_replaces_nothing_unless_it_is_told_to() {
    let (_place, file) = made(3).await;
    let dir = closed(8).await;
    let folder = Folder::new(dir.path());
    let refused = folder.restore(&file, false);
    assert!(
        matches!(refused, Err(CopyError::NotEmpty { .. })),
        "{refused:?}"
    );
    assert_eq!(ids(dir.path()).await.len(), 8);
    folder.restore(&file, true).expect("the restore succeeds");
    assert_eq!(ids(dir.path()).await, ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_of_a_crashed_store_does_not_reach_what_replaces_it() {
    let (_place, file) = made(3).await;
    let dir = new_folder();
    let store = folder::open(dir.path());
    append(&store, 0..50).await;
    let crashed = folder::copy(dir.path());
    assert!(
        fs::metadata(crashed.path().join(WAL))
            .expect("the log")
            .len()
            > 0
    );
    Folder::new(crashed.path())
        .restore(&file, true)
        .expect("the restore succeeds");
    assert_eq!(ids(crashed.path()).await, ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_somebody_reads_is_not_replaced_under_them() {
    let (_place, file) = made(3).await;
    let dir = closed(8).await;
    let folder = Folder::new(dir.path());
    let reader = Connection::open(dir.path().join(DATABASE)).expect("the database opens");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM log")
        .expect("a read begins");
    let refused = folder.restore(&file, true);
    assert!(matches!(refused, Err(CopyError::Io { .. })), "{refused:?}");
    reader.execute_batch("COMMIT").expect("the read ends");
    drop(reader);
    assert_eq!(ids(dir.path()).await.len(), 8);
    folder.restore(&file, true).expect("the restore succeeds");
    assert_eq!(ids(dir.path()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_cannot_be_read_can_be_replaced() {
    let (_place, file) = made(3).await;
    let dir = new_folder();
    for name in [DATABASE, WAL] {
        fs::write(dir.path().join(name), "garbage ".repeat(1_000))
            .expect("the file can be written");
    }
    Folder::new(dir.path())
        .restore(&file, true)
        .expect("the restore succeeds");
    assert_eq!(ids(dir.path()).await, ["0", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_in_use_is_neither_replaced_nor_vacuumed() {
    let (_place, file) = made(3).await;
    let dir = new_folder();
    let store = folder::open(dir.path());
    let before = append(&store, 0..5).await;
    let folder = Folder::new(dir.path());
    for refused in [
        folder.restore(&file, true).map(|_| ()),
        folder.vacuum().map(|_| ()),
    ] {
        assert!(
            matches!(refused, Err(CopyError::Open(OpenError::Locked { .. }))),
            "{refused:?}"
        );
    }
    assert!(append(&store, 5..6).await > before);
    assert_eq!(contents(&store).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_damaged_backup_is_refused_and_replaces_nothing() {
    let (_place, file) = made(40).await;
    let mut bytes = fs::read(&file).expect("the file can be read");
    // In the body of an entry, where only the checksum knows.
    let body = bytes.windows(8).rposition(|window| window == b"body of ");
    bytes[body.expect("the body of an entry")] ^= 1;
    fs::write(&file, &bytes).expect("the file can be written");
    let dir = closed(8).await;
    let before = names(dir.path());
    let refused = Folder::new(dir.path()).restore(&file, true);
    assert!(
        matches!(refused, Err(CopyError::Damaged { .. })),
        "{refused:?}"
    );
    assert_eq!(names(dir.path()), before);
    assert_eq!(ids(dir.path()).await.len(), 8);

    fs::write(&file, "no database").expect("the file can be written");
    let refused = Folder::new(dir.path()).restore(&file, true);
    assert!(matches!(refused, Err(CopyError::Open(_))), "{refused:?}");
    assert_eq!(ids(dir.path()).await.len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_cut_short_copy_left_is_told_beside_a_backup_and_removed_in_a_folder() {
    let (dir, place) = (closed(5).await, new_folder());
    let (file, part) = (place.path().join("b"), place.path().join("b.part"));
    fs::write(&part, "half").expect("the file can be written");
    let refused = Folder::new(dir.path()).backup(&file);
    assert!(
        matches!(&refused, Err(CopyError::Unfinished { path }) if *path == part),
        "{refused:?}"
    );
    fs::remove_file(&part).expect("the file can be removed");
    backup(dir.path(), &file).await;

    let elsewhere = new_folder();
    fs::write(elsewhere.path().join("tidings.db.new"), "half").expect("the file can be written");
    Folder::new(elsewhere.path())
        .restore(&file, false)
        .expect("the restore succeeds");
    assert_eq!(ids(elsewhere.path()).await.len(), 5);
}
