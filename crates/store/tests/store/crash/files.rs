//! A loss of power: the log of the database ends anywhere behind what was acknowledged, or holds garbage there.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tempfile::TempDir;
use tidings_store::{Options, Position, ReadError, Store, Tuning};

use super::folder::{self, WAL, contents};
use super::ledger::{Ledger, numbered};
use super::random::Random;
use crate::bench::{client, everything, exact, stored, whole};

const SEEDS: u64 = 24;

/// Appends of several records each, so that half an append would show.
const BATCH: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_torn_log_loses_nothing_that_was_acknowledged() {
    let dir = TempDir::new().expect("a folder can be made");
    let mut ledger = Ledger::default();
    // The database itself holds something, and its log is empty.
    let store = folder::open(dir.path());
    ledger.began(store.epoch());
    append(&store, &mut ledger, 0..40).await;
    store.close();
    drop(store);

    let store = open_without_checkpoints(dir.path());
    ledger.began(store.epoch());
    append(&store, &mut ledger, 40..60).await;
    let acknowledged = fs::metadata(dir.path().join(WAL))
        .expect("the log is a file")
        .len();
    let mut later = Ledger::default();
    append(&store, &mut later, 60..80).await;
    let crashed = folder::copy(dir.path());
    let all = contents(&store).await;

    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let copy = folder::copy(crashed.path());
        let damage = damage(&copy.path().join(WAL), acknowledged, &mut random);
        let reopened = folder::open(copy.path());
        ledger.check(&reopened).await;
        let found = contents(&reopened).await;
        assert_eq!(
            found,
            all[..found.len()],
            "what is found is a beginning of what was written; {damage}"
        );
        assert_eq!(
            found.len() as u64 % BATCH,
            0,
            "no append is stored in half; {damage}"
        );
        ledger.check_duplicates(&reopened).await;
        let next = (found.len() as u64)..(found.len() as u64 + BATCH);
        let appended = reopened
            .append(next.map(|number| numbered("a", number)).collect())
            .await;
        let position = stored(appended.expect("the store takes writes")[0]);
        assert!(
            found.iter().all(|(_, _, known)| *known < position),
            "positions go on; {damage}"
        );
    }
}

/// The files are copied while the store writes: what was acknowledged before is in the copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_at_any_moment_holds_what_was_acknowledged_before() {
    let dir = TempDir::new().expect("a folder can be made");
    let store = open_without_checkpoints(dir.path());
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let appender = tokio::spawn({
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        async move {
            for number in 0..400 {
                let appended = store
                    .append(vec![numbered("a", number)])
                    .await
                    .expect("the append succeeds");
                acknowledged
                    .lock()
                    .expect("no test panics under the lock")
                    .push((number, stored(appended[0])));
            }
        }
    });
    let mut copies = Vec::new();
    for seed in 0..8 {
        while acknowledged
            .lock()
            .expect("no test panics under the lock")
            .len()
            < seed as usize * 50 + 1
        {
            tokio::task::yield_now().await;
        }
        let mut ledger = Ledger::default();
        ledger.began(store.epoch());
        for (number, position) in acknowledged
            .lock()
            .expect("no test panics under the lock")
            .iter()
        {
            ledger.acknowledge("a", *number, *position);
        }
        let length = fs::metadata(dir.path().join(WAL))
            .expect("the log is a file")
            .len();
        copies.push((seed, ledger, length, folder::copy(dir.path())));
    }
    appender.await.expect("the appender does not panic");
    for (seed, ledger, length, copy) in copies {
        let mut random = Random::new(seed);
        if fs::metadata(copy.path().join(WAL))
            .expect("the log is a file")
            .len()
            > length
        {
            damage(&copy.path().join(WAL), length, &mut random);
        }
        let reopened = folder::open(copy.path());
        ledger.check(&reopened).await;
        ledger.check_duplicates(&reopened).await;
    }
}

/// A byte of the database rots: the entry is not handed out, and the others are.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_damaged_entry_is_not_handed_out() {
    let dir = TempDir::new().expect("a folder can be made");
    let store = folder::open(dir.path());
    let mut ledger = Ledger::default();
    append(&store, &mut ledger, 0..4).await;
    let body: &[u8] = b"a body that is found nowhere else";
    let damaged = vec![tidings_store::Record {
        body: Bytes::from_static(body),
        ..numbered("b", 0)
    }];
    let damaged = stored(store.append(damaged).await.expect("the append succeeds")[0]);
    append(&store, &mut ledger, 4..400).await;
    let upto = store.bounds().last;
    store.close();

    let path = dir.path().join(folder::DATABASE);
    let mut file = fs::read(&path).expect("the database can be read");
    // Splits of pages leave old copies behind.
    let copies: Vec<usize> = (0..file.len())
        .filter(|&at| file[at..].starts_with(body))
        .collect();
    assert!(!copies.is_empty(), "the body lies in the database");
    for at in copies {
        file[at + 5] ^= 1;
    }
    fs::write(&path, file).expect("the database can be written");

    let store = folder::open(dir.path());
    let reads = store
        .reading(move |reader| {
            let read = |reader: &mut tidings_store::Reader, selector, after| {
                let page = reader.read(selector, whole(after, upto));
                page.map(|page| (page.entries.len(), page.scanned_to))
            };
            let (selected, everything) = (exact([client("b")]), everything());
            let before = read(reader, &everything, Position::ZERO);
            let scanned_to = before.as_ref().map_or(upto, |(_, scanned_to)| *scanned_to);
            (
                before,
                [
                    read(reader, &selected, Position::ZERO).map(|(entries, _)| entries),
                    read(reader, &everything, scanned_to).map(|(entries, _)| entries),
                    reader.at(&[damaged]).map(|found| found.len()),
                ],
                read(reader, &everything, damaged).map(|(entries, _)| entries),
            )
        })
        .await
        .expect("the store reads");
    let (before, scanned_to) = reads.0.expect("what lies before can be read");
    assert_eq!(before, 4 * BATCH as usize);
    assert!(scanned_to < damaged);
    for read in reads.1 {
        assert!(
            matches!(read, Err(ReadError::Damaged { position }) if position == damaged),
            "{read:?}"
        );
    }
    assert_eq!(
        reads.2.expect("what lies behind can be read"),
        396 * BATCH as usize
    );
}

fn open_without_checkpoints(dir: &Path) -> Store {
    let mut options: Options = folder::options(dir);
    options.tuning = Tuning {
        checkpoint_pages: 1_000_000,
        ..options.tuning
    };
    Store::open(options, Vec::new()).expect("the store opens")
}

async fn append(store: &Store, ledger: &mut Ledger, batches: std::ops::Range<u64>) {
    for batch in batches {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let appended = store
            .append(
                numbers
                    .clone()
                    .map(|number| numbered("a", number))
                    .collect(),
            )
            .await;
        for (number, appended) in numbers.zip(appended.expect("the append succeeds")) {
            ledger.acknowledge("a", number, stored(appended));
        }
    }
}

/// Cuts the file, or writes over a part of it, at or behind `from`.
fn damage(path: &Path, from: u64, random: &mut Random) -> String {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("the log can be opened");
    let length = file.metadata().expect("the log is a file").len();
    let at = random.within(from, length);
    match random.within(0, 4) {
        0 => {
            file.set_len(at).expect("the log can be cut");
            format!("cut at {at} of {length}")
        }
        kind => {
            let span = random.within(1, 5000).min(length - at) as usize;
            // Blocks that never reached the disk are zeros; others hold whatever was there.
            let bytes: Vec<u8> = (0..span)
                .map(|_| if kind == 1 { 0 } else { random.next() as u8 })
                .collect();
            file.seek(SeekFrom::Start(at))
                .and_then(|_| file.write_all(&bytes))
                .expect("the log can be written");
            format!("{span} bytes overwritten at {at} of {length}")
        }
    }
}
