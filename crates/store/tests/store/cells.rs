//! Small values with revisions, written together with entries.

use bytes::Bytes;
use tidings_store::{Cell, CommitError, Expect, Put, Revision};

use crate::bench::{Backend, Bench, for_each_backend};

for_each_backend!(
    a_cell_holds_what_was_put_last,
    a_put_that_expects_nothing_always_writes,
    a_put_that_expects_absence_writes_once,
    a_put_that_expects_a_revision_writes_to_that_one_alone,
    a_deletion_removes_the_cell_and_its_revision_never_comes_back,
    puts_of_one_commit_see_each_other,
    a_scan_gives_the_keys_of_a_prefix_in_pages,
    expired_cells_stay_until_a_trim,
);

pub(crate) fn put(key: &str, value: &str, expect: Expect) -> Put {
    Put {
        key: key.into(),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        expect,
        expires_at: None,
    }
}

fn delete(key: &str, expect: Expect) -> Put {
    Put {
        key: key.into(),
        value: None,
        expect,
        expires_at: None,
    }
}

pub(crate) async fn write(bench: &Bench, put: Put) -> Result<Revision, CommitError> {
    bench
        .store
        .commit(vec![put], Vec::new())
        .await
        .map(|committed| committed.revisions[0])
}

pub(crate) async fn cell(bench: &Bench, key: &'static str) -> Option<Cell> {
    bench
        .read(move |reader| reader.cell(key))
        .await
        .expect("the read succeeds")
}

pub(crate) const REFUSED: CommitError = CommitError::Revision { index: 0 };

async fn a_cell_holds_what_was_put_last(backend: Backend) {
    let bench = backend.open();
    assert_eq!(cell(&bench, "k").await, None);
    let first = write(&bench, put("k", "one", Expect::Any))
        .await
        .expect("the put succeeds");
    assert_eq!(
        cell(&bench, "k").await,
        Some(Cell {
            value: "one".into(),
            revision: first
        })
    );
    let second = write(&bench, put("k", "", Expect::Any))
        .await
        .expect("the put succeeds");
    assert!(second > first);
    assert_eq!(
        cell(&bench, "k").await,
        Some(Cell {
            value: Bytes::new(),
            revision: second
        })
    );
    assert_eq!(cell(&bench, "K").await, None);
}

async fn a_put_that_expects_nothing_always_writes(backend: Backend) {
    let bench = backend.open();
    write(&bench, delete("k", Expect::Any))
        .await
        .expect("deleting nothing succeeds");
    write(&bench, put("k", "one", Expect::Any))
        .await
        .expect("the put succeeds");
    write(&bench, put("k", "two", Expect::Any))
        .await
        .expect("the put succeeds");
}

async fn a_put_that_expects_absence_writes_once(backend: Backend) {
    let bench = backend.open();
    let first = write(&bench, put("k", "one", Expect::Absent))
        .await
        .expect("the put succeeds");
    assert_eq!(
        write(&bench, put("k", "two", Expect::Absent)).await,
        Err(REFUSED)
    );
    assert_eq!(
        cell(&bench, "k").await,
        Some(Cell {
            value: "one".into(),
            revision: first
        })
    );
}

async fn a_put_that_expects_a_revision_writes_to_that_one_alone(backend: Backend) {
    let bench = backend.open();
    assert_eq!(
        write(&bench, put("k", "x", Expect::Revision(Revision(1)))).await,
        Err(REFUSED)
    );
    let first = write(&bench, put("k", "one", Expect::Any))
        .await
        .expect("the put succeeds");
    let second = write(&bench, put("k", "two", Expect::Revision(first)))
        .await
        .expect("the put succeeds");
    assert_eq!(
        write(&bench, put("k", "three", Expect::Revision(first))).await,
        Err(REFUSED)
    );
    assert_eq!(
        write(&bench, delete("k", Expect::Revision(first))).await,
        Err(REFUSED)
    );
    assert_eq!(
        cell(&bench, "k").await,
        Some(Cell {
            value: "two".into(),
            revision: second
        })
    );
}

async fn a_deletion_removes_the_cell_and_its_revision_never_comes_back(backend: Backend) {
    let bench = backend.open();
    let first = write(&bench, put("k", "one", Expect::Any))
        .await
        .expect("the put succeeds");
    write(&bench, delete("k", Expect::Revision(first)))
        .await
        .expect("the deletion succeeds");
    assert_eq!(cell(&bench, "k").await, None);
    assert_eq!(
        write(&bench, put("k", "x", Expect::Revision(first))).await,
        Err(REFUSED)
    );
    let again = write(&bench, put("k", "two", Expect::Absent))
        .await
        .expect("the put succeeds");
    assert!(again > first);
}

async fn puts_of_one_commit_see_each_other(backend: Backend) {
    let bench = backend.open();
    let puts = vec![
        put("k", "one", Expect::Absent),
        delete("k", Expect::Any),
        put("k", "two", Expect::Absent),
    ];
    let committed = bench
        .store
        .commit(puts, Vec::new())
        .await
        .expect("the commit succeeds");
    assert!(
        committed.revisions.is_sorted_by(|a, b| a < b),
        "{:?}",
        committed.revisions
    );
    assert_eq!(
        cell(&bench, "k").await,
        Some(Cell {
            value: "two".into(),
            revision: committed.revisions[2]
        })
    );
    let puts = vec![
        put("l", "one", Expect::Any),
        put("l", "two", Expect::Absent),
    ];
    assert_eq!(
        bench.store.commit(puts, Vec::new()).await,
        Err(CommitError::Revision { index: 1 })
    );
    assert_eq!(cell(&bench, "l").await, None);
}

async fn a_scan_gives_the_keys_of_a_prefix_in_pages(backend: Backend) {
    let bench = backend.open();
    let keys = [
        "a",
        "task/",
        "task/1",
        "task/10",
        "task/2",
        "task/\u{ff}",
        "task/\u{10ffff}",
        "task0",
        "u%_",
    ];
    let puts = keys
        .iter()
        .rev()
        .map(|key| put(key, key, Expect::Any))
        .collect();
    bench
        .store
        .commit(puts, Vec::new())
        .await
        .expect("the commit succeeds");
    for (prefix, expected) in [
        ("task/", &keys[1..7]),
        ("", &keys[..]),
        ("task/1", &keys[2..4]),
        ("t_", &[]),
        ("u%", &keys[8..]),
    ] {
        let (mut found, mut after) = (Vec::<String>::new(), None::<String>);
        loop {
            let from = after.clone();
            let page = bench
                .read(move |reader| reader.scan(prefix, from.as_deref(), 2))
                .await
                .expect("the read succeeds");
            assert!(page.len() <= 2);
            assert!(page.iter().all(|(key, cell)| cell.value == *key));
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page.into_iter().map(|(key, _)| key));
        }
        assert_eq!(found, expected, "prefix {prefix:?}");
    }
}

async fn expired_cells_stay_until_a_trim(backend: Backend) {
    let bench = backend.open();
    let brief = Put {
        expires_at: Some(bench.clock.now() + 1000),
        ..put("brief", "x", Expect::Any)
    };
    bench
        .store
        .commit(vec![brief, put("kept", "y", Expect::Any)], Vec::new())
        .await
        .expect("the commit succeeds");
    bench.clock.pass(999);
    assert_eq!(
        bench.store.trim().await.expect("the trim succeeds").cells,
        0
    );
    bench.clock.pass(1);
    assert!(cell(&bench, "brief").await.is_some());
    assert_eq!(
        bench.store.trim().await.expect("the trim succeeds").cells,
        1
    );
    assert_eq!(cell(&bench, "brief").await, None);
    assert!(cell(&bench, "kept").await.is_some());
    write(&bench, put("brief", "again", Expect::Absent))
        .await
        .expect("the put succeeds");
}
