//! Files that an earlier version wrote still open, with all they hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tidings_store::{
    Appended, Class, Clock, Entry, Expect, Folder, Lost, Options, Position, Put, Query, Record,
    Store, Subject,
};

use super::folder::{self, DATABASE};
use crate::bench::{
    anything, client, everything, exact, ids, record, records, stored, topic, whole,
};

/// Set once, when a format is new: the test then writes its fixture before it reads it.
const WRITE: &str = "TIDINGS_STORE_WRITE_FIXTURE";

const STORED_AT: u64 = 1_700_000_000_000;
const EPOCH: &str = "epoch";

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{format}"))
}

fn open(dir: &Path) -> Store {
    let mut options: Options = folder::options(dir);
    options.clock = Clock::single(|| STORED_AT);
    options.retention.topic.count = 3;
    Store::open(options, Vec::new()).expect("the store opens")
}

fn letter() -> Record {
    Record {
        source: "sender".into(),
        kind: 4,
        priority: 3,
        exclude: Some("nobody".into()),
        ttl_ms: Some(60_000),
        body: r#"{"text":"Grüße"}"#.into(),
        ..record(client("reader"), "letter")
    }
}

fn put(key: &str, value: &'static str) -> Put {
    Put {
        key: key.into(),
        value: Some(value.into()),
        expect: Expect::Any,
        expires_at: Some(STORED_AT + 1000),
    }
}

async fn write(dir: &Path) {
    fs::create_dir_all(dir).expect("the folder can be made");
    let work = TempDir::new().expect("a folder can be made");
    let store = open(work.path());
    let puts = vec![put("task/1", "one"), put("task/2", "two")];
    store
        .commit(puts, vec![letter(), record(Subject::All, "all")])
        .await
        .expect("the commit succeeds");
    store
        .append(records(&topic("news"), "", 100))
        .await
        .expect("the append succeeds");
    store.trim().await.expect("the trim succeeds");
    store
        .append(vec![record(topic("quiet"), "last")])
        .await
        .expect("the append succeeds");
    fs::write(dir.join(EPOCH), store.epoch()).expect("the file can be written");
    store.close();
    fs::copy(work.path().join(DATABASE), dir.join(DATABASE)).expect("the file can be copied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_of_format_1_opens_with_all_it_holds() {
    opens_with_all_it_holds(&fixture(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_of_format_2_opens_with_all_it_holds() {
    opens_with_all_it_holds(&fixture(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_of_format_3_opens_with_all_it_holds() {
    let fixture = fixture(3);
    if std::env::var_os(WRITE).is_some() {
        write(&fixture).await;
    }
    opens_with_all_it_holds(&fixture).await;
}

async fn opens_with_all_it_holds(fixture: &Path) {
    let work = TempDir::new().expect("a folder can be made");
    fs::copy(fixture.join(DATABASE), work.path().join(DATABASE)).expect("the fixture is there");
    let epoch = fs::read_to_string(fixture.join(EPOCH)).expect("the fixture is there");
    let store = open(work.path());

    let last = store.bounds().last;
    assert_eq!(store.lineage_end(&epoch), Some(last));
    let entries = all(&store).await;
    assert_eq!(ids(&entries), ["letter", "all", "97", "98", "99", "last"]);
    assert_eq!(entries[5].position, last);
    is_the_letter(&entries[0]);
    assert_eq!(from(&store, "sender").await, ["letter"]);
    assert_eq!(from(&store, "source").await, ids(&entries[1..]));
    let reader = exact([client("reader")]);
    let urgent = store
        .reading(move |reads| reads.urgent(&reader, Position::ZERO, last, 3, 10))
        .await;
    let urgent = urgent.expect("the store reads").expect("the read succeeds");
    assert_eq!(urgent.found, [(entries[0].position, 3)]);
    let located = store.reading(|reader| reader.locate("sender", "letter"));
    let located = located.await.expect("the store reads");
    let located = located.expect("the read succeeds").expect("it is stored");
    assert_eq!(located.position, entries[0].position);
    let checkup = Folder::new(work.path()).check();
    assert_eq!(checkup.expect("it can be checked").faults, [""; 0]);

    let lost = store
        .reading(|reader| reader.lost_after(&exact([topic("news")]), Position::ZERO))
        .await;
    let lost: Option<Lost> = lost.expect("the store reads").expect("the read succeeds");
    assert_eq!(
        lost.map(|lost| lost.upto),
        Some(store.trimmed_to(Class::Topic))
    );
    assert!(store.trimmed_to(Class::Topic) < entries[2].position);
    let cells = store.reading(|reader| reader.scan("task/", None, 10)).await;
    let cells = cells.expect("the store reads").expect("the read succeeds");
    let values: Vec<(&str, &[u8])> = cells
        .iter()
        .map(|(key, cell)| (key.as_str(), &cell.value[..]))
        .collect();
    assert_eq!(values, [("task/1", &b"one"[..]), ("task/2", &b"two"[..])]);

    // It knows what it stored, and goes on.
    let again = vec![letter(), record(topic("quiet"), "new")];
    let appended = store.append(again).await.expect("the append succeeds");
    assert_eq!(appended[0], Appended::Duplicate(entries[0].position));
    assert!(stored(appended[1]) > last);
}

async fn all(store: &Store) -> Vec<Arc<Entry>> {
    let upto = store.bounds().last;
    let read = store
        .reading(move |reader| reader.read(&everything(), whole(Position::ZERO, upto)))
        .await;
    read.expect("the store reads")
        .expect("the read succeeds")
        .entries
}

async fn from(store: &Store, source: &str) -> Vec<String> {
    let query = Query {
        source: Some(source.into()),
        ..anything()
    };
    let found = store.reading(move |reader| reader.find(&query)).await;
    ids(&found
        .expect("the store reads")
        .expect("the read succeeds")
        .entries)
}

fn is_the_letter(entry: &Entry) {
    let letter = letter();
    assert_eq!(
        (entry.stored_at, entry.expires_at),
        (STORED_AT, Some(STORED_AT + 60_000))
    );
    assert_eq!(
        (&entry.subject, &entry.source),
        (&letter.subject, &letter.source)
    );
    assert_eq!(
        (entry.kind, entry.priority, &entry.exclude),
        (letter.kind, letter.priority, &letter.exclude)
    );
    assert_eq!(entry.body, letter.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_of_an_earlier_format_is_restored_and_upgraded_at_the_next_open() {
    let (place, elsewhere) = (TempDir::new(), TempDir::new());
    let (place, elsewhere) = (
        place.expect("a folder can be made"),
        elsewhere.expect("a folder can be made"),
    );
    let backup = place.path().join("backup");
    fs::copy(fixture(1).join(DATABASE), &backup).expect("the fixture is there");
    let folder = Folder::new(elsewhere.path());
    let survey = folder
        .restore(&backup, false)
        .expect("the restore succeeds");
    assert_eq!(survey.format, 1);
    folder.vacuum().expect("the vacuum succeeds");
    assert_eq!(folder.survey().expect("a survey").format, 1);

    let store = open(elsewhere.path());
    assert_eq!(store.bounds().last, survey.last);
    assert_eq!(
        ids(&all(&store).await),
        ["letter", "all", "97", "98", "99", "last"]
    );
    store.close();
    assert!(folder.survey().expect("a survey").format > 1);
    assert!(folder.check().expect("it can be checked").is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_of_a_later_format_is_refused_and_left_alone() {
    let work = TempDir::new().expect("a folder can be made");
    let store = folder::open(work.path());
    store
        .append(records(&topic("t"), "", 5))
        .await
        .expect("the append succeeds");
    store.close();
    let path = work.path().join(DATABASE);
    let mut file = fs::read(&path).expect("the file can be read");
    // `user_version`, four bytes at 60 of the header of an SQLite file.
    file[60..64].copy_from_slice(&1_000_u32.to_be_bytes());
    fs::write(&path, &file).expect("the file can be written");
    let error =
        Store::open(folder::options(work.path()), Vec::new()).expect_err("the format is later");
    assert!(error.to_string().contains("has format 1000"), "{error}");
    assert_eq!(fs::read(&path).expect("the file can be read"), file);
}
