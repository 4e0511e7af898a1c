//! One entry for each identity, inside the window.

use tidings_store::{
    AppendError, Appended, IdempotencyWindow, Keep, Options, PerClass, Position, Record,
};
use tokio::task::JoinSet;

use crate::bench::{Backend, client, everything, for_each_backend, record, records, stored, topic};

for_each_backend!(
    a_copy_is_answered_with_the_first_position,
    a_copy_in_the_same_append_is_a_duplicate,
    other_contents_in_the_same_append_are_a_conflict,
    identity_is_source_and_id,
    of_concurrent_copies_one_is_stored,
    a_refused_append_leaves_no_identity_behind,
    the_window_ends_by_time,
    the_window_ends_by_count,
    an_expired_entry_still_has_its_identity,
    a_trimmed_entry_still_has_its_identity,
    an_identity_stored_again_points_to_the_newest,
);

fn window(ms: u64, ids: usize) -> impl FnOnce(&mut Options) {
    move |options| options.idempotency_window = IdempotencyWindow { ms, ids }
}

async fn a_copy_is_answered_with_the_first_position(backend: Backend) {
    let bench = backend.open();
    let first = bench.put(record(topic("t"), "a")).await;
    bench.put_all(records(&topic("t"), "between", 20)).await;
    let again = vec![record(topic("t"), "new"), record(topic("t"), "a")];
    let appended = bench
        .store
        .append(again)
        .await
        .expect("the append succeeds");
    assert!(stored(appended[0]) > first);
    assert_eq!(appended[1], Appended::Duplicate(first));
    assert_eq!(
        bench.released.ids().iter().filter(|id| *id == "a").count(),
        1
    );
}

async fn a_copy_in_the_same_append_is_a_duplicate(backend: Backend) {
    let bench = backend.open();
    let batch = vec![
        record(topic("t"), "a"),
        record(topic("t"), "b"),
        record(topic("t"), "a"),
    ];
    let appended = bench
        .store
        .append(batch)
        .await
        .expect("the append succeeds");
    assert_eq!(appended[2], Appended::Duplicate(stored(appended[0])));
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        ["a", "b"]
    );
}

async fn other_contents_in_the_same_append_are_a_conflict(backend: Backend) {
    let bench = backend.open();
    let batch = vec![
        record(topic("t"), "a"),
        Record {
            fingerprint: 0,
            ..record(topic("t"), "a")
        },
    ];
    assert_eq!(
        bench.store.append(batch).await,
        Err(AppendError::Conflict { index: 1 })
    );
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        [""; 0]
    );
}

async fn identity_is_source_and_id(backend: Backend) {
    let bench = backend.open();
    bench.put(record(topic("t"), "a")).await;
    bench
        .put(Record {
            source: "other".into(),
            ..record(topic("t"), "a")
        })
        .await;
    bench
        .put(Record {
            source: "sourc".into(),
            ..record(topic("t"), "ea")
        })
        .await;
}

async fn of_concurrent_copies_one_is_stored(backend: Backend) {
    let bench = backend.open();
    let mut appenders = JoinSet::new();
    for _ in 0..16 {
        let store = bench.store.clone();
        appenders.spawn(async move { store.append(vec![record(topic("t"), "a")]).await });
    }
    let answers = appenders.join_all().await;
    let (mut new, mut copies) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer.expect("the append succeeds")[0] {
            Appended::Stored(position) => new.push(position),
            Appended::Duplicate(position) => copies.push(position),
            Appended::Passed => panic!("the record is durable"),
        }
    }
    assert_eq!(new.len(), 1);
    assert!(copies.iter().all(|position| *position == new[0]));
    assert_eq!(bench.released.ids(), ["a"]);
}

async fn a_refused_append_leaves_no_identity_behind(backend: Backend) {
    let bench = backend.open();
    bench.put(record(topic("t"), "taken")).await;
    let conflict = Record {
        fingerprint: 0,
        ..record(topic("t"), "taken")
    };
    let batch = vec![record(topic("t"), "free"), conflict];
    assert_eq!(
        bench.store.append(batch).await,
        Err(AppendError::Conflict { index: 1 })
    );
    bench
        .put(Record {
            fingerprint: 5,
            ..record(topic("t"), "free")
        })
        .await;
}

async fn the_window_ends_by_time(backend: Backend) {
    let bench = backend.open_with(window(1000, 100));
    let first = bench.put(record(topic("t"), "a")).await;
    bench.clock.pass(999);
    assert_eq!(
        bench.store.append(vec![record(topic("t"), "a")]).await,
        Ok(vec![Appended::Duplicate(first)])
    );
    bench.clock.pass(1);
    assert!(
        bench
            .put(Record {
                fingerprint: 5,
                ..record(topic("t"), "a")
            })
            .await
            > first
    );
}

async fn the_window_ends_by_count(backend: Backend) {
    let bench = backend.open_with(window(1000, 3));
    let first = bench.put(record(topic("t"), "a")).await;
    bench.put_all(records(&topic("t"), "b", 2)).await;
    assert_eq!(
        bench.store.append(vec![record(topic("t"), "a")]).await,
        Ok(vec![Appended::Duplicate(first)])
    );
    bench.put(record(topic("t"), "c")).await;
    bench.put(record(topic("t"), "a")).await;
}

async fn an_expired_entry_still_has_its_identity(backend: Backend) {
    let bench = backend.open_with(window(10_000, 100));
    let brief = Record {
        ttl_ms: Some(10),
        ..record(client("c"), "a")
    };
    let first = bench.put(brief.clone()).await;
    bench.clock.pass(5000);
    bench.store.trim().await.expect("the trim succeeds");
    assert_eq!(
        bench.store.append(vec![brief]).await,
        Ok(vec![Appended::Duplicate(first)])
    );
}

async fn a_trimmed_entry_still_has_its_identity(backend: Backend) {
    let bench = backend.open_with(|options| {
        options.retention = PerClass::from_fn(|_| Keep {
            count: 1,
            ..Keep::default()
        });
    });
    let first = bench.put(record(client("c"), "a")).await;
    bench.put(record(client("c"), "b")).await;
    let trimmed = bench.store.trim().await.expect("the trim succeeds");
    assert_eq!(trimmed.entries.mailbox, 1);
    assert_eq!(
        bench.store.append(vec![record(client("c"), "a")]).await,
        Ok(vec![Appended::Duplicate(first)])
    );
}

async fn an_identity_stored_again_points_to_the_newest(backend: Backend) {
    let bench = backend.open_with(window(1000, 100));
    bench.put(record(topic("t"), "a")).await;
    bench.put_all(records(&topic("t"), "between", 30)).await;
    bench.clock.pass(1000);
    let second = bench.put(record(topic("t"), "a")).await;
    let found = bench
        .read(|reader| reader.locate("source", "a"))
        .await
        .expect("the read succeeds");
    assert_eq!(found.map(|entry| entry.position), Some(second));
    bench.clock.pass(500);
    assert_eq!(
        bench.store.append(vec![record(topic("t"), "a")]).await,
        Ok(vec![Appended::Duplicate(second)])
    );
}
