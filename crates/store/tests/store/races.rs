//! Appends, trims and reads at the same time.

use std::collections::HashMap;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use tidings_store::{
    AppendError, Entry, Follower, IdempotencyWindow, Keep, Options, PerClass, Position,
    QueueBounds, Record, Selector, Slice,
};

use crate::bench::{
    Backend, Bench, everything, exact, for_each_backend, in_time, record, records, topic, whole,
};

for_each_backend!(
    a_reader_is_told_of_whatever_a_trim_takes_before_it,
    a_dropped_append_is_carried_out,
    a_release_is_complete_for_whoever_reads_up_to_it,
);

/// Appends to one topic until it has so many entries, trimming on the way.
async fn append_and_trim(store: tidings_store::Store, appends: usize) {
    for n in 0..appends {
        store
            .append(records(&topic("t"), &format!("{n}-"), 4))
            .await
            .expect("the append succeeds");
        if n % 5 == 4 {
            store.trim().await.expect("the trim succeeds");
        }
    }
}

async fn a_reader_is_told_of_whatever_a_trim_takes_before_it(backend: Backend) {
    let bench = backend.open_with(|options: &mut Options| {
        options.retention = PerClass::from_fn(|_| Keep {
            age_ms: 0,
            bytes: 0,
            count: 10,
        });
    });
    let appender = tokio::spawn(append_and_trim(bench.store.clone(), 200));
    let mut pages = Vec::new();
    for selector in [exact([topic("t")]), everything()].iter().cycle() {
        let finished = appender.is_finished();
        let mut after = Position::ZERO;
        let upto = bench.last();
        while after < upto {
            let (selector, slice) = (
                selector.clone(),
                Slice {
                    rows_max: 6,
                    ..whole(after, upto)
                },
            );
            let page = bench
                .read(move |reader| reader.read(&selector, slice))
                .await
                .expect("the read succeeds");
            let next = page.scanned_to;
            pages.push((after, page));
            after = next;
        }
        if finished {
            break;
        }
    }
    appender.await.expect("the appender does not panic");

    let released = bench.released.entries();
    let order: HashMap<Position, usize> = released
        .iter()
        .enumerate()
        .map(|(n, entry)| (entry.position, n))
        .collect();
    for (after, page) in pages {
        let mut expected = order.get(&after).map_or(0, |n| n + 1);
        let lost_upto = page.lost.map_or(Position::ZERO, |lost| lost.upto);
        for entry in &page.entries {
            let found = order[&entry.position];
            for missing in &released[expected..found] {
                assert!(
                    missing.position <= lost_upto,
                    "{} is missing after {after} and no loss is told",
                    missing.position
                );
            }
            expected = found + 1;
        }
    }
}

async fn a_dropped_append_is_carried_out(backend: Backend) {
    let bench = backend.open();
    for n in 0..20 {
        let append = bench.store.append(vec![record(topic("t"), &n.to_string())]);
        tokio::select! {
            biased;
            _ = append => {}
            () = std::future::ready(()) => {}
        }
    }
    bench.put(record(topic("t"), "last")).await;
    let expected: Vec<String> = (0..20)
        .map(|n| n.to_string())
        .chain(["last".to_owned()])
        .collect();
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        expected
    );
}

async fn a_release_is_complete_for_whoever_reads_up_to_it(backend: Backend) {
    let bench = backend.open_with(|options: &mut Options| {
        options.idempotency_window = IdempotencyWindow { ms: 1000, ids: 10 };
    });
    let appenders: Vec<_> = (0..4)
        .map(|source| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                for n in 0..50 {
                    let batch =
                        records(&topic(&format!("t{}", n % 2)), &format!("{source}-{n}-"), 2);
                    store.append(batch).await.expect("the append succeeds");
                }
            })
        })
        .collect();
    let selector: Selector = exact([topic("t1")]);
    loop {
        let finished = appenders.iter().all(tokio::task::JoinHandle::is_finished);
        let (upto, released) = (bench.last(), bench.released.entries());
        let of_topic = |entry: &&Arc<Entry>| entry.subject == topic("t1") && entry.position <= upto;
        let expected: Vec<Position> = released
            .iter()
            .filter(of_topic)
            .map(|entry| entry.position)
            .collect();
        assert_eq!(positions(&bench, &selector, upto).await, expected);
        if finished {
            break;
        }
    }
}

async fn positions(bench: &Bench, selector: &Selector, upto: Position) -> Vec<Position> {
    let selector = selector.clone();
    let page = bench
        .read(move |reader| reader.read(&selector, whole(Position::ZERO, upto)))
        .await;
    page.expect("the read succeeds")
        .entries
        .iter()
        .map(|entry| entry.position)
        .collect()
}

/// A follower that holds the writer until the test lets it go.
struct Gate {
    entered: tokio::sync::mpsc::UnboundedSender<()>,
    open: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Follower for Gate {
    fn released(&mut self, _: &[Arc<Entry>]) {
        // Nobody listens any more when the test is over.
        let _ = self.entered.send(());
        let _ = self
            .open
            .lock()
            .expect("no test panics under the lock")
            .recv();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_refuses_and_forgets_nothing() {
    in_time(async {
        let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
        let (open, opened) = mpsc::channel();
        let gate = Gate {
            entered,
            open: Arc::new(Mutex::new(opened)),
        };
        let bounds = QueueBounds {
            records: 4,
            bytes: 1 << 20,
        };
        let bench =
            Backend::Embedded.open_following(|options| options.queue = bounds, Box::new(gate));
        let append = |batch: Vec<Record>| {
            let store = bench.store.clone();
            tokio::spawn(async move { store.append(batch).await })
        };
        let first = append(vec![record(topic("t"), "first")]);
        has_entered.recv().await.expect("the writer is held");
        let queued = append(records(&topic("t"), "queued", 4));
        while bench.store.stats().queue_records < 4 {
            tokio::task::yield_now().await;
        }
        let refused = bench
            .store
            .append(vec![record(topic("t"), "refused")])
            .await;
        assert_eq!(refused, Err(AppendError::Busy));
        assert!(AppendError::Busy.retryable());
        assert_eq!(bench.store.stats().refused_busy, 1);

        // From now on the gate stays open.
        drop(open);
        assert!(first.await.expect("the append does not panic").is_ok());
        assert!(queued.await.expect("the append does not panic").is_ok());
        bench.put(record(topic("t"), "refused")).await;
        let expected = [
            "first", "queued0", "queued1", "queued2", "queued3", "refused",
        ];
        assert_eq!(
            bench.ids_after(&everything(), Position::ZERO).await,
            expected
        );
    })
    .await;
}
