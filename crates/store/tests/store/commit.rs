//! Cells and entries in one transaction.

use tidings_store::{AppendError, Appended, Cell, CommitError, Expect, Position, Record};
use tokio::task::JoinSet;

use crate::bench::{Backend, client, everything, for_each_backend, record, records, stored};
use crate::cells::{REFUSED, cell, put, write};

for_each_backend!(
    cells_and_entries_are_written_together_or_not_at_all,
    duplicates_do_not_keep_cells_from_being_written,
    of_concurrent_puts_to_one_revision_one_wins,
);

async fn cells_and_entries_are_written_together_or_not_at_all(backend: Backend) {
    let bench = backend.open();
    let both = |value, id| {
        (
            vec![put("k", value, Expect::Any)],
            records(&client("c"), id, 2),
        )
    };
    let (puts, entries) = both("one", "a");
    let committed = bench
        .store
        .commit(puts, entries)
        .await
        .expect("the commit succeeds");
    assert_eq!(bench.last(), stored(committed.appended[1]));
    assert_eq!(bench.released.ids(), ["a0", "a1"]);

    let conflict = vec![
        record(client("c"), "b"),
        Record {
            fingerprint: 0,
            ..record(client("c"), "a0")
        },
    ];
    let answer = bench
        .store
        .commit(vec![put("k", "two", Expect::Any)], conflict)
        .await;
    assert_eq!(answer, Err(AppendError::Conflict { index: 1 }.into()));
    let stale = vec![
        put("other", "x", Expect::Any),
        put("k", "two", Expect::Absent),
    ];
    let answer = bench
        .store
        .commit(stale, records(&client("c"), "c", 2))
        .await;
    assert_eq!(answer, Err(CommitError::Revision { index: 1 }));

    assert_eq!(
        cell(&bench, "k").await,
        Some(Cell {
            value: "one".into(),
            revision: committed.revisions[0]
        })
    );
    assert_eq!(cell(&bench, "other").await, None);
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        ["a0", "a1"]
    );
    bench
        .put_all(vec![record(client("c"), "b"), record(client("c"), "c0")])
        .await;
}

async fn duplicates_do_not_keep_cells_from_being_written(backend: Backend) {
    let bench = backend.open();
    let first = bench.put(record(client("c"), "a")).await;
    let commit = bench.store.commit(
        vec![put("k", "one", Expect::Absent)],
        vec![record(client("c"), "a")],
    );
    assert_eq!(
        commit.await.expect("the commit succeeds").appended,
        [Appended::Duplicate(first)]
    );
    assert!(cell(&bench, "k").await.is_some());
}

async fn of_concurrent_puts_to_one_revision_one_wins(backend: Backend) {
    let bench = backend.open();
    let start = write(&bench, put("k", "start", Expect::Any))
        .await
        .expect("the put succeeds");
    let mut writers = JoinSet::new();
    for n in 0..16 {
        let store = bench.store.clone();
        writers.spawn(async move {
            let puts = vec![put("k", &n.to_string(), Expect::Revision(start))];
            store
                .commit(puts, vec![record(client("c"), &n.to_string())])
                .await
                .map(|_| n)
        });
    }
    let answers = writers.join_all().await;
    let won: Vec<String> = answers
        .iter()
        .filter_map(|answer| answer.ok())
        .map(|n| n.to_string())
        .collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| answer.is_ok() || *answer == Err(REFUSED))
    );
    assert_eq!(
        cell(&bench, "k").await.expect("the cell is there").value,
        won[0]
    );
    assert_eq!(bench.ids_after(&everything(), Position::ZERO).await, won);
}
