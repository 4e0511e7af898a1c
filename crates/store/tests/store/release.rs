//! What followers get, and when.

use std::sync::{Arc, Mutex};

use tidings_store::{Appended, Entry, Follower, Options, Position, Record, Store};
use tokio::task::JoinSet;

use crate::bench::{
    Backend, everything, for_each_backend, ids, record, records, stored, topic, whole,
};

for_each_backend!(
    a_follower_sees_commits_after_reads_do_and_before_the_answer,
    followers_and_reads_agree_on_the_order,
    live_only_records_pass_in_order_and_are_not_stored,
    a_live_only_record_names_the_position_it_follows,
);

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
