//! What a store tells about itself: bounds, lineage, health, numbers.

use tidings_store::{
    AppendError, Bounds, Class, Health, Keep, Options, PerClass, Position, Promise, Record,
};

use crate::bench::{Backend, client, everything, for_each_backend, record, records, topic};

for_each_backend!(
    a_new_store_is_empty,
    the_lineage_knows_the_present_epoch_and_no_foreign_one,
    each_store_has_an_epoch_of_its_own,
    a_full_store_refuses_and_reads_on,
    a_full_store_takes_writes_again_after_a_trim,
    numbers_count_what_happened,
);

async fn a_new_store_is_empty(backend: Backend) {
    let bench = backend.open();
    assert_eq!(
        bench.store.bounds(),
        Bounds {
            first: Position::ZERO,
            last: Position::ZERO
        }
    );
    assert_eq!(bench.store.health(), Health::Ok);
    for class in Class::ALL {
        assert_eq!(bench.store.trimmed_to(class), Position::ZERO);
    }
    let expected = match backend {
        Backend::Memory => Promise::Memory,
        Backend::Embedded => Promise::Os,
    };
    assert_eq!(bench.store.promise(), expected);
}

async fn the_lineage_knows_the_present_epoch_and_no_foreign_one(backend: Backend) {
    let bench = backend.open();
    let epoch = bench.store.epoch().to_owned();
    assert_eq!(bench.store.lineage_end(&epoch), Some(Position::ZERO));
    let position = bench.put(record(topic("t"), "a")).await;
    assert_eq!(bench.store.epoch(), epoch);
    assert_eq!(bench.store.lineage_end(&epoch), Some(position));
    for foreign in [
        "",
        "0",
        "0123456789abcdef",
        &epoch[1..],
        &epoch.to_uppercase().replace(char::is_numeric, "A"),
    ] {
        assert_eq!(bench.store.lineage_end(foreign), None, "{foreign:?}");
    }
}

async fn each_store_has_an_epoch_of_its_own(backend: Backend) {
    let epochs = [backend.open(), backend.open()].map(|bench| bench.store.epoch().to_owned());
    assert_ne!(epochs[0], epochs[1]);
    for epoch in epochs {
        assert_eq!(epoch.len(), 16);
        assert!(
            epoch
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            "{epoch}"
        );
    }
}

/// A store of a megabyte that keeps so many entries of each class; zero keeps all.
fn small(count: u64) -> impl FnOnce(&mut Options) {
    move |options| {
        options.bytes_max = 1 << 20;
        options.retention = PerClass::from_fn(|_| Keep {
            age_ms: 0,
            bytes: 0,
            count,
        });
    }
}

fn big(id: usize) -> Record {
    Record {
        body: vec![b'x'; 20_000].into(),
        ..record(topic("t"), &id.to_string())
    }
}

async fn a_full_store_refuses_and_reads_on(backend: Backend) {
    let mut bench = backend.open_with(small(0));
    let mut accepted = Vec::new();
    let error = loop {
        let id = accepted.len();
        match bench.store.append(vec![big(id)]).await {
            Ok(_) => accepted.push(id.to_string()),
            Err(error) => break error,
        }
    };
    assert_eq!(error, AppendError::Full);
    assert!(error.retryable());
    assert_eq!(bench.store.health(), Health::Full);
    assert!(
        accepted.len() > 10,
        "a megabyte holds more than {}",
        accepted.len()
    );
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        accepted
    );
    assert_eq!(bench.released.ids(), accepted);
    assert_eq!(bench.store.stats().refused_full, 1);
    bench.reopen();
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        accepted,
        "a full store opens"
    );
}

async fn a_full_store_takes_writes_again_after_a_trim(backend: Backend) {
    let bench = backend.open_with(small(3));
    let (mut next, mut before) = (0, 0);
    for _ in 0..3 {
        let mut refused = Ok(Vec::new());
        while refused.is_ok() {
            refused = bench.store.append(vec![big(next)]).await;
            next += 1;
        }
        assert_eq!(refused, Err(AppendError::Full));
        // A store may begin by itself; this waits for the end.
        let trim = bench.store.trim().await;
        trim.expect("there is a reserve for the trim");
        let trimmed = bench.store.stats().trimmed.topic;
        assert!(trimmed > before, "the trim removed something");
        before = trimmed;
        assert_eq!(bench.store.health(), Health::Ok);
        bench
            .put(record(client("c"), &format!("after {next}")))
            .await;
    }
}

async fn numbers_count_what_happened(backend: Backend) {
    let bench = backend.open();
    bench.put_all(records(&topic("t"), "", 5)).await;
    let passing = Record {
        durable: false,
        ..record(topic("t"), "live")
    };
    bench
        .store
        .append(vec![record(topic("t"), "0"), passing])
        .await
        .expect("the append succeeds");
    let conflict = Record {
        fingerprint: 0,
        ..record(topic("t"), "0")
    };
    bench
        .store
        .append(vec![conflict])
        .await
        .expect_err("the contents differ");
    let stats = bench.store.stats();
    assert_eq!(
        (
            stats.stored,
            stats.duplicates,
            stats.passed,
            stats.conflicts
        ),
        (5, 1, 1, 1)
    );
    assert_eq!(stats.idempotency_ids, 5);
    assert_eq!(
        stats.entries,
        PerClass {
            topic: 5,
            ..PerClass::default()
        }
    );
    assert_eq!(stats.bytes.topic, 5 * (6 + 1 + 9));
    assert_eq!((stats.queue_records, stats.queue_bytes), (0, 0));
    assert_eq!(stats.commits, stats.commit_records.count);
    assert!(stats.log_bytes > 0);
}
