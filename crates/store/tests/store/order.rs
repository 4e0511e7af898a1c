//! One order, all or nothing, released before the answer.

use std::sync::{Arc, Mutex};

use tidings_store::{
    AppendError, Appended, Entry, Follower, Options, Position, Record, Store, Subject,
};
use tokio::task::JoinSet;

use crate::bench::{
    Backend, client, everything, exact, for_each_backend, ids, record, records, stored, topic,
    whole,
};

for_each_backend!(
    positions_ascend_within_and_across_appends,
    concurrent_appends_keep_each_batch_whole_and_the_order_of_each_source,
    a_conflict_refuses_its_append_alone,
    an_empty_append_succeeds,
    stored_fields_come_back_as_they_were_given,
    stored_time_never_goes_back,
    a_follower_sees_commits_after_reads_do_and_before_the_answer,
    followers_and_reads_agree_on_the_order,
    live_only_records_pass_in_order_and_are_not_stored,
    a_live_only_record_names_the_position_it_follows,
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

/// What a follower could read at the moment of the release.
struct Witness {
    store: Arc<Mutex<Option<Store>>>,
    saw: tokio::sync::mpsc::UnboundedSender<(Vec<String>, Vec<String>)>,
}

impl Follower for Witness {
    fn released(&mut self, entries: &[Arc<Entry>]) {
        let store = self
            .store
            .lock()
            .expect("no test panics under the lock")
            .clone()
            .expect("the store is open");
        let (released, saw, upto) = (
            ids(entries),
            self.saw.clone(),
            entries[entries.len() - 1].position,
        );
        assert!(
            store.bounds().last < upto,
            "the bound moves after the followers"
        );
        assert!(
            store.lineage_end(store.epoch()) >= Some(upto),
            "the lineage moves before the followers"
        );
        store.read_then(move |reader| {
            let page = reader
                .read(&everything(), whole(Position::ZERO, upto))
                .expect("the read succeeds");
            saw.send((released, ids(&page.entries)))
                .expect("the test waits");
        });
    }
}

async fn a_follower_sees_commits_after_reads_do_and_before_the_answer(backend: Backend) {
    let (saw, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let store = Arc::new(Mutex::new(None));
    let witness = Witness {
        store: store.clone(),
        saw,
    };
    let bench = backend.open_following(|_: &mut Options| (), Box::new(witness));
    *store.lock().expect("no test panics under the lock") = Some(bench.store.clone());
    for id in ["a", "b", "c"] {
        let position = bench.put(record(topic("t"), id)).await;
        assert_eq!(
            bench.released.ids().last().map(String::as_str),
            Some(id),
            "released before the answer"
        );
        assert_eq!(
            bench.last(),
            position,
            "the bound is moved before the answer"
        );
        let (released, readable) = seen.recv().await.expect("the follower was called");
        assert_eq!(released, [id]);
        assert_eq!(
            readable.last().map(String::as_str),
            Some(id),
            "readable when it was released"
        );
    }
    store.lock().expect("no test panics under the lock").take();
}

async fn followers_and_reads_agree_on_the_order(backend: Backend) {
    let bench = backend.open();
    let mut appenders = JoinSet::new();
    for n in 0..30 {
        let store = bench.store.clone();
        appenders.spawn(async move {
            store
                .append(records(&topic("t"), &format!("{n}-"), 2))
                .await
        });
    }
    appenders.join_all().await;
    assert_eq!(
        bench.released.ids(),
        bench.ids_after(&everything(), Position::ZERO).await
    );
}

async fn live_only_records_pass_in_order_and_are_not_stored(backend: Backend) {
    let bench = backend.open();
    let live = |id: &str| Record {
        durable: false,
        ..record(topic("t"), id)
    };
    let batch = vec![
        record(topic("t"), "a"),
        live("live"),
        record(topic("t"), "b"),
        live("live"),
    ];
    let appended = bench
        .store
        .append(batch)
        .await
        .expect("the append succeeds");
    assert_eq!(appended[1], Appended::Passed);
    assert_eq!(appended[3], Appended::Passed, "it is not deduplicated");
    assert!(stored(appended[0]) < stored(appended[2]));
    assert_eq!(
        bench.store.append(vec![live("alone")]).await,
        Ok(vec![Appended::Passed])
    );
    assert_eq!(bench.released.ids(), ["a", "live", "b", "live", "alone"]);
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        ["a", "b"]
    );
    // Its identity is free.
    bench.put(record(topic("t"), "live")).await;
}

async fn a_live_only_record_names_the_position_it_follows(backend: Backend) {
    let bench = backend.open();
    let live = |id: &str| Record {
        durable: false,
        ..record(topic("t"), id)
    };
    bench
        .store
        .append(vec![live("first")])
        .await
        .expect("the append succeeds");
    assert_eq!(bench.last(), Position::ZERO);
    let batch = vec![
        record(topic("t"), "a"),
        live("x"),
        record(topic("t"), "b"),
        live("y"),
    ];
    bench
        .store
        .append(batch)
        .await
        .expect("the append succeeds");
    bench
        .store
        .append(vec![live("z")])
        .await
        .expect("the append succeeds");
    let entries = bench.released.entries();
    let (a, b) = (entries[1].position, entries[3].position);
    let positions: Vec<(Position, bool)> = entries
        .iter()
        .map(|entry| (entry.position, entry.durable))
        .collect();
    let expected = [
        (Position::ZERO, false),
        (a, true),
        (a, false),
        (b, true),
        (b, false),
        (b, false),
    ];
    assert_eq!(positions, expected);
    assert_eq!(bench.last(), b);
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
