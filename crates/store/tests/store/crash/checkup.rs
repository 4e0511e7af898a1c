//! What is told of a folder from outside of the store that has it open, and what a vacuum gives back.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use tidings_store::{Class, Folder, Keep, Position, Store};

use super::folder::{self, DATABASE, contents};
use super::ledger;
use super::load::Load;
use crate::bench::{client, record, records, topic};

/// A closed store with entries of every class, some of which retention took.
async fn closed() -> TempDir {
    let dir = TempDir::new().expect("a folder can be made");
    let mut options = folder::options(dir.path());
    options.retention.topic = Keep {
        count: 30,
        ..Keep::default()
    };
    let store = Store::open(options, Vec::new()).expect("the store opens");
    store
        .append(records(&topic("news"), "", 100))
        .await
        .expect("the append succeeds");
    let letters = (0..20).map(|number| tidings_store::Record {
        priority: 3,
        ttl_ms: Some(1_000_000),
        ..record(client("reader"), &format!("letter {number}"))
    });
    store
        .append(letters.collect())
        .await
        .expect("the append succeeds");
    store.trim().await.expect("the trim succeeds");
    store.close();
    dir
}

fn faults_after(dir: &Path, damage: &str) -> Vec<String> {
    let connection = Connection::open(dir.join(DATABASE)).expect("the database opens");
    connection
        .execute_batch(damage)
        .expect("the damage is done");
    drop(connection);
    let checkup = Folder::new(dir).check().expect("it can be checked");
    assert_eq!(checkup.is_sound(), checkup.faults.is_empty());
    checkup.faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sound_store_has_no_faults() {
    let dir = closed().await;
    let checkup = Folder::new(dir.path()).check().expect("it can be checked");
    assert_eq!(checkup.faults, [""; 0]);
    assert_eq!(checkup.entries, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_kind_of_damage_is_found_and_named() {
    for (damage, told) in [
        (
            "UPDATE log SET body = 'other' || body WHERE pos = 110",
            "position 110 is damaged",
        ),
        (
            "UPDATE log SET source = x'ff' WHERE pos = 110",
            "position 110 is damaged",
        ),
        (
            "UPDATE log SET stored_at = 0 WHERE pos = 110",
            "position 110 is damaged",
        ),
        (
            "DELETE FROM posting WHERE kind = 0",
            "position 71 is not in the index of subjects",
        ),
        (
            "DELETE FROM posting WHERE kind = 1",
            "position 71 is not in the index of sources",
        ),
        (
            "DELETE FROM posting WHERE kind = 2",
            "position 71 is not in the index of types",
        ),
        (
            "DELETE FROM posting WHERE kind = 3",
            "position 110 is not in the index of urgent entries",
        ),
        (
            "DELETE FROM posting WHERE kind = 4",
            "position 71 is not in the index of identities",
        ),
        (
            "UPDATE posting SET positions = x'ff' WHERE kind = 2",
            "position 71 is not in the index of types",
        ),
        (
            "DELETE FROM urgent WHERE pos = 110",
            "position 110 is not in the index of urgent entries",
        ),
        ("DELETE FROM log WHERE pos = 100", "Topic has 29 entries of"),
        (
            "UPDATE meta SET value = 100 WHERE key = 'next'",
            "position 110 is taken, and 100 would be given out next",
        ),
        (
            "DELETE FROM subject WHERE class = 0",
            "20 entries have a subject without a name",
        ),
        (
            "INSERT INTO cell VALUES ('k', '', 1000, NULL)",
            "a cell has revision 1000",
        ),
        (
            "UPDATE lineage SET last = 1000",
            "epochs end beyond the newest position",
        ),
        (
            "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'cell_expiry'",
            "",
        ),
    ] {
        let dir = closed().await;
        let faults = faults_after(dir.path(), damage);
        assert!(
            faults.iter().any(|fault| fault.contains(told)),
            "{damage}: {faults:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broken_page_is_a_fault_and_not_the_end_of_the_check() {
    let dir = closed().await;
    let path = dir.path().join(DATABASE);
    let mut bytes = std::fs::read(&path).expect("the file can be read");
    let page_bytes = 4096;
    for page in bytes.chunks_mut(page_bytes).skip(2) {
        page[..16].fill(0xff);
    }
    std::fs::write(&path, &bytes).expect("the file can be written");
    let checkup = Folder::new(dir.path()).check().expect("it can be checked");
    assert!(!checkup.is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_survey_tells_what_the_store_tells() {
    let dir = closed().await;
    let survey = Folder::new(dir.path()).survey().expect("a survey");
    let store = folder::open(dir.path());
    let stats = store.stats();
    for class in Class::ALL {
        let of_class = survey.classes[class];
        assert_eq!(
            (of_class.entries, of_class.bytes, of_class.trimmed_to),
            (
                stats.entries[class],
                stats.bytes[class],
                store.trimmed_to(class)
            ),
            "{class:?}"
        );
    }
    assert_eq!(survey.last, Position(120));
    assert_eq!((survey.format, survey.epochs), (3, 1));
    assert_eq!((survey.subjects, survey.cells), (2, 0));
    let epoch = survey.epoch.expect("it was open once");
    assert_eq!(store.lineage_end(&epoch), Some(survey.last));

    let beside = Folder::new(dir.path()).survey().expect("a survey");
    assert_eq!(beside.epoch.as_deref(), Some(store.epoch()));
    assert_eq!(beside.epochs, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_under_load_has_no_faults_at_any_moment() {
    let dir = TempDir::new().expect("a folder can be made");
    let store = folder::open(dir.path());
    let load = Load::start(&store);
    let mut entries = 0;
    for _ in 0..4 {
        load.goes_on(100).await;
        let folder = Folder::new(dir.path());
        let checked = tokio::task::spawn_blocking(move || folder.check()).await;
        let checkup = checked
            .expect("it does not panic")
            .expect("it can be checked");
        assert_eq!(checkup.faults, [""; 0]);
        assert!(checkup.entries >= entries + 100);
        entries = checkup.entries;
    }
    let all = load.stop().await;
    store.close();
    all.check(&folder::open(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_vacuum_gives_back_what_is_free_and_keeps_the_rest() {
    let dir = TempDir::new().expect("a folder can be made");
    let mut options = folder::options(dir.path());
    options.retention.topic = Keep {
        // Fewer free pages than the store gives back by itself.
        count: 170,
        ..Keep::default()
    };
    let store = Store::open(options, Vec::new()).expect("the store opens");
    let large = (0..200).map(|number| tidings_store::Record {
        body: vec![b'x'; 8_000].into(),
        ..record(topic("news"), &number.to_string())
    });
    store
        .append(large.collect())
        .await
        .expect("the append succeeds");
    store.trim().await.expect("the trim succeeds");
    let (before, epoch) = (contents(&store).await, store.epoch().to_owned());
    assert_eq!(before.len(), 170);
    store.close();

    let folder = Folder::new(dir.path());
    let vacuumed = folder.vacuum().expect("the vacuum succeeds");
    assert!(vacuumed.bytes_after < vacuumed.bytes_before, "{vacuumed:?}");
    let survey = folder.survey().expect("a survey");
    assert_eq!((survey.bytes, survey.bytes_free), (vacuumed.bytes_after, 0));
    assert_eq!(survey.epoch, Some(epoch), "a vacuum begins no epoch");
    assert!(folder.check().expect("it can be checked").is_sound());
    let store = folder::open(dir.path());
    assert_eq!(contents(&store).await, before);
    // Pages can still be given back piece by piece: that was set when the file was made.
    store
        .append(records(&topic("news"), "new", 50))
        .await
        .expect("the append succeeds");
    store.close();
    let connection = Connection::open(dir.path().join(DATABASE)).expect("the database opens");
    let incremental: i64 = connection
        .pragma_query_value(None, "auto_vacuum", |row| row.get(0))
        .expect("a number");
    assert_eq!(incremental, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_vacuum_after_load_and_retention_keeps_all_that_was_acknowledged() {
    let dir = TempDir::new().expect("a folder can be made");
    let store = folder::open(dir.path());
    let load = Load::start(&store);
    for round in 0..8 {
        load.goes_on(50).await;
        // Broadcasts, of which retention keeps few.
        let noise = (0..100).map(|number| ledger::numbered("noise", round * 100 + number));
        store
            .append(noise.collect())
            .await
            .expect("the append succeeds");
        store.trim().await.expect("the trim succeeds");
    }
    let acknowledged = load.stop().await;
    assert!(store.stats().trimmed.broadcast > 0, "something was removed");
    let (before, trimmed_to) = (contents(&store).await, store.trimmed_to(Class::Broadcast));
    store.close();

    let folder = Folder::new(dir.path());
    folder.vacuum().expect("the vacuum succeeds");
    assert_eq!(
        folder.check().expect("it can be checked").faults,
        [""; 0],
        "also what is listed only in the index"
    );
    let store = folder::open(dir.path());
    assert_eq!(contents(&store).await, before);
    assert_eq!(store.trimmed_to(Class::Broadcast), trimmed_to);
    acknowledged.check(&store).await;
    acknowledged.check_duplicates(&store).await;
    store
        .append(vec![ledger::numbered("new", 0)])
        .await
        .expect("it goes on from there");
}
