//! One order, all or nothing.

use tidings_store::{AppendError, Position, Record, Subject};
use tokio::task::JoinSet;

use crate::bench::{
    Backend, client, everything, exact, for_each_backend, record, records, stored, topic,
};

for_each_backend!(
    positions_ascend_within_and_across_appends,
    concurrent_appends_keep_each_batch_whole_and_the_order_of_each_source,
    a_conflict_refuses_its_append_alone,
    an_empty_append_succeeds,
    stored_fields_come_back_as_they_were_given,
    stored_time_never_goes_back,
    a_closed_store_takes_nothing_more,
);

async fn positions_ascend_within_and_across_appends(backend: Backend) {
    let bench = backend.open();
    let mut positions = bench.put_all(records(&topic("t"), "a", 5)).await;
    positions.extend(bench.put_all(records(&client("c"), "b", 5)).await);
    assert!(positions[0] > Position::ZERO);
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    assert_eq!(bench.last(), positions[9]);
}

async fn concurrent_appends_keep_each_batch_whole_and_the_order_of_each_source(backend: Backend) {
    let bench = backend.open();
    let mut appenders = JoinSet::new();
    for source in 0..8 {
        let store = bench.store.clone();
        appenders.spawn(async move {
            for round in 0..10 {
                let batch = records(&topic("t"), &format!("{source}-{round}-"), 3);
                store.append(batch).await.expect("the append succeeds");
            }
        });
    }
    while let Some(done) = appenders.join_next().await {
        done.expect("no appender panics");
    }
    let ids = bench.ids_after(&everything(), Position::ZERO).await;
    assert_eq!(ids.len(), 240);
    for batch in ids.chunks(3) {
        let (prefix, _) = batch[0].rsplit_once('-').expect("an id has dashes");
        assert_eq!(
            batch,
            [
                format!("{prefix}-0"),
                format!("{prefix}-1"),
                format!("{prefix}-2")
            ]
        );
    }
    for source in 0..8 {
        let own: Vec<&String> = ids
            .iter()
            .filter(|id| id.starts_with(&format!("{source}-")))
            .collect();
        assert!(own.is_sorted(), "{own:?}");
    }
}

async fn a_conflict_refuses_its_append_alone(backend: Backend) {
    let bench = backend.open();
    bench.put(record(client("c"), "taken")).await;
    let mut appenders = JoinSet::new();
    for n in 0..8 {
        let store = bench.store.clone();
        let mut batch = records(&client("c"), &format!("{n}-"), 3);
        if n == 3 {
            batch[1] = Record {
                fingerprint: 99,
                ..record(client("c"), "taken")
            };
        }
        appenders.spawn(async move { (n, store.append(batch).await) });
    }
    while let Some(done) = appenders.join_next().await {
        match done.expect("no appender panics") {
            (3, answer) => assert_eq!(answer, Err(AppendError::Conflict { index: 1 })),
            (_, answer) => assert!(
                answer
                    .is_ok_and(|appended| appended.into_iter().all(|a| stored(a) > Position::ZERO))
            ),
        }
    }
    let ids = bench.ids_after(&exact([client("c")]), Position::ZERO).await;
    assert_eq!(ids.len(), 1 + 7 * 3);
    assert!(!ids.iter().any(|id| id.starts_with("3-")), "{ids:?}");
    // What was refused left no trace in the window either.
    bench.put_all(records(&client("c"), "3-", 3)).await;
}

async fn an_empty_append_succeeds(backend: Backend) {
    let bench = backend.open();
    assert_eq!(bench.store.append(Vec::new()).await, Ok(Vec::new()));
    assert_eq!(bench.last(), Position::ZERO);
}

async fn stored_fields_come_back_as_they_were_given(backend: Backend) {
    let bench = backend.open();
    let given = Record {
        source: "quelle \u{1F4E8}".into(),
        kind: 200,
        priority: 3,
        exclude: Some("somebody".into()),
        ttl_ms: Some(5000),
        body: vec![0, 255, 10, 13].into(),
        ..record(topic("a/b"), "id of it")
    };
    let position = bench.put(given.clone()).await;
    // Enough behind it that it leaves whatever is kept of the newest.
    bench.put_all(records(&Subject::All, "later", 40)).await;
    let found = bench
        .read(move |reader| reader.at(&[position]))
        .await
        .expect("the read succeeds");
    let entry = &found[0];
    assert_eq!((entry.position, entry.durable), (position, true));
    assert_eq!(
        (entry.stored_at, entry.expires_at),
        (bench.clock.now(), Some(bench.clock.now() + 5000))
    );
    assert_eq!(
        (&entry.subject, &entry.source, &entry.id),
        (&given.subject, &given.source, &given.id)
    );
    assert_eq!(
        (entry.kind, entry.priority, &entry.exclude),
        (200, 3, &given.exclude)
    );
    assert_eq!(entry.body, given.body);
}

async fn stored_time_never_goes_back(backend: Backend) {
    let bench = backend.open();
    let start = bench.clock.now();
    bench.put(record(topic("t"), "a")).await;
    bench.clock.set(start - 60_000);
    bench.put(record(topic("t"), "b")).await;
    bench.clock.set(start + 5);
    bench.put(record(topic("t"), "c")).await;
    let times: Vec<u64> = bench
        .released
        .entries()
        .iter()
        .map(|entry| entry.stored_at)
        .collect();
    assert_eq!(times, [start, start, start + 5]);
}

async fn a_closed_store_takes_nothing_more(backend: Backend) {
    let bench = backend.open();
    bench.put(record(topic("t"), "a")).await;
    bench.store.close();
    bench.store.close();
    assert_eq!(
        bench.store.append(vec![record(topic("t"), "b")]).await,
        Err(AppendError::Closed)
    );
    assert_eq!(bench.released.ids(), ["a"]);
}
