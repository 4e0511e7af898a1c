//! Opening a folder again: after a close, from an old copy, while another process has it.

use std::process::Stdio;

use tempfile::TempDir;
use tidings_store::{Expect, OpenError, Options, Position, Put, Store};

use super::child::{self, Running};
use super::folder::{self, DATABASE, contents};
use super::ledger::numbered;
use crate::bench::{exact, stored, topic, whole};

async fn append(store: &Store, numbers: std::ops::Range<u64>) -> Vec<Position> {
    let records = numbers.map(|number| numbered("a", number)).collect();
    let appended = store.append(records).await.expect("the append succeeds");
    appended.into_iter().map(stored).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_goes_on_where_it_was_closed() {
    let dir = TempDir::new().expect("a folder can be made");
    let mut epochs: Vec<(String, Position)> = Vec::new();
    let mut positions = Vec::new();
    for round in 0..6 {
        let store = folder::open(dir.path());
        assert_eq!(
            store.bounds().last,
            positions.last().copied().unwrap_or_default()
        );
        for (epoch, end) in &epochs {
            assert_eq!(
                store.lineage_end(epoch),
                Some(*end),
                "an epoch ends where it ended"
            );
            assert_ne!(store.epoch(), epoch);
        }
        // One epoch stays without an entry.
        let numbers = if round == 3 {
            0..0
        } else {
            round * 50..(round + 1) * 50
        };
        let new = append(&store, numbers).await;
        positions.extend(new);
        assert!(
            positions.is_sorted_by(|a, b| a < b),
            "positions go on across epochs"
        );
        epochs.push((store.epoch().to_owned(), store.bounds().last));
        let found: Vec<Position> = contents(&store)
            .await
            .into_iter()
            .map(|(_, _, position)| position)
            .collect();
        assert_eq!(found, positions);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropping_the_last_handle_lets_go_of_the_folder() {
    let dir = TempDir::new().expect("a folder can be made");
    for round in 0..3 {
        let store = folder::open(dir.path());
        let other = store.clone();
        drop(store);
        append(&other, round..round + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cells_and_losses_outlive_a_close() {
    let dir = TempDir::new().expect("a folder can be made");
    let open = || {
        let mut options: Options = folder::options(dir.path());
        options.retention.topic.count = 2;
        Store::open(options, Vec::new()).expect("the store opens")
    };
    let store = open();
    let cell = |value: &'static str, expect| Put {
        key: "k".into(),
        value: Some(value.into()),
        expect,
        expires_at: None,
    };
    let records = crate::bench::records(&topic("t"), "", 10);
    let committed = store
        .commit(vec![cell("one", Expect::Absent)], records)
        .await
        .expect("the commit succeeds");
    store.trim().await.expect("the trim succeeds");
    let ask = |reader: &mut tidings_store::Reader| {
        let cell = reader.cell("k").expect("the read succeeds");
        (
            cell,
            reader
                .lost_after(&exact([topic("t")]), Position::ZERO)
                .expect("the read succeeds"),
        )
    };
    let before = store.reading(ask).await.expect("the store reads");
    let (bounds, trimmed_to) = (
        store.bounds(),
        store.trimmed_to(tidings_store::Class::Topic),
    );
    assert_eq!(trimmed_to, stored(committed.appended[7]));
    drop(store);

    let store = open();
    assert_eq!(store.reading(ask).await.expect("the store reads"), before);
    assert_eq!(
        (
            store.bounds(),
            store.trimmed_to(tidings_store::Class::Topic)
        ),
        (bounds, trimmed_to)
    );
    let next = store
        .commit(
            vec![cell("two", Expect::Revision(committed.revisions[0]))],
            Vec::new(),
        )
        .await;
    assert!(
        next.expect("the revision is known").revisions[0] > committed.revisions[0],
        "revisions go on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restored_copy_knows_what_it_never_had() {
    let dir = TempDir::new().expect("a folder can be made");
    let store = folder::open(dir.path());
    let epoch = store.epoch().to_owned();
    let kept = append(&store, 0..20).await;
    let backup = folder::copy(dir.path());
    // The timeline that the backup does not have: a client has seen the last of these.
    let lost = append(&store, 20..40).await;
    store.close();

    let restored = folder::open(backup.path());
    assert_ne!(restored.epoch(), epoch);
    assert_eq!(
        restored.lineage_end(&epoch),
        Some(kept[19]),
        "a cursor beyond is of the lost timeline"
    );
    let new = append(&restored, 20..60).await;
    assert_eq!(
        restored.lineage_end(&epoch),
        Some(kept[19]),
        "new entries do not move the end of an old epoch"
    );
    assert_eq!(restored.lineage_end(restored.epoch()), Some(new[39]));
    // A reader that goes on from that end gets everything new, also what took the positions of lost entries.
    let upto = restored.bounds().last;
    let selector = exact([crate::bench::client("a")]);
    let read = restored
        .reading(move |reader| reader.read(&selector, whole(kept[19], upto)))
        .await;
    let page = read.expect("the store reads").expect("the read succeeds");
    let found: Vec<Position> = page.entries.iter().map(|entry| entry.position).collect();
    assert_eq!(found, new);
    assert!(
        new.contains(&lost[19]) || new[39] > lost[19],
        "positions of the lost timeline do come again"
    );

    // The original still knows all of it.
    let original = folder::open(dir.path());
    assert_eq!(original.lineage_end(&epoch), Some(lost[19]));
    assert_eq!(original.lineage_end(restored.epoch()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_process_is_refused() {
    if let Some(dir) = child::role() {
        let answer = match Store::open(folder::options(&dir), Vec::new()) {
            Ok(_) => "opened".to_owned(),
            Err(error @ OpenError::Locked { .. }) => error.to_string(),
            Err(other) => format!("another error: {other}"),
        };
        return child::say(&answer);
    }
    let dir = TempDir::new().expect("a folder can be made");
    let second = || {
        let mut command = child::command("crash::reopen::a_second_process_is_refused", dir.path());
        command.stderr(Stdio::inherit());
        let mut running = Running::start(command);
        let said = running.hear().expect("the child answers");
        assert!(running.wait().success());
        said
    };
    let store = folder::open(dir.path());
    append(&store, 0..3).await;
    let refusal = second();
    assert!(refusal.contains("in use by another process"), "{refusal}");
    assert!(
        refusal.contains(dir.path().to_str().expect("the path is text")),
        "it names the folder: {refusal}"
    );
    assert!(matches!(
        Store::open(folder::options(dir.path()), Vec::new()),
        Err(OpenError::Locked { .. })
    ));
    append(&store, 3..6).await;
    store.close();
    assert_eq!(second(), "opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_foreign_file_is_refused_and_left_alone() {
    let dir = TempDir::new().expect("a folder can be made");
    let path = dir.path().join(DATABASE);
    let text = "this is a text, and no database at all\n".repeat(100);
    std::fs::write(&path, &text).expect("the file can be written");
    let refused = Store::open(folder::options(dir.path()), Vec::new());
    assert!(
        matches!(
            refused,
            Err(OpenError::Foreign { .. } | OpenError::Corrupt { .. })
        ),
        "{refused:?}"
    );
    assert_eq!(
        std::fs::read_to_string(&path).expect("the file is there"),
        text
    );
}
