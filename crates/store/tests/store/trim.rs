//! What retention removes, and how a reader learns what it lost.

use tidings_store::{
    Class, Keep, Lost, Options, PerClass, Position, Record, Selector, Subject, Trimmed,
};

use crate::bench::{
    Backend, Bench, client, everything, exact, for_each_backend, record, records, topic, whole,
};

for_each_backend!(
    nothing_goes_within_the_bounds,
    the_newest_stay_by_count,
    the_newest_stay_by_bytes,
    the_younger_stay_by_age,
    age_waits_while_the_clocks_disagree,
    a_noisy_class_does_not_touch_the_others,
    a_removed_entry_is_nowhere_any_more,
    another_retention_holds_for_the_next_trim,
);

pub(crate) const NO_BOUND: Keep = Keep {
    age_ms: 0,
    bytes: 0,
    count: 0,
};

pub(crate) fn keep(keep: Keep) -> impl FnOnce(&mut Options) {
    move |options| options.retention = PerClass::from_fn(|_| keep)
}

pub(crate) fn keep_topics(topic: Keep) -> impl FnOnce(&mut Options) {
    move |options| {
        options.retention = PerClass {
            topic,
            mailbox: NO_BOUND,
            broadcast: NO_BOUND,
        };
    }
}

pub(crate) async fn trim(bench: &Bench) -> Trimmed {
    bench.store.trim().await.expect("the trim succeeds")
}

pub(crate) async fn lost(bench: &Bench, selector: &Selector, after: Position) -> Option<Lost> {
    let (selector, upto) = (selector.clone(), bench.last());
    let (lost, page) = bench
        .read(move |reader| {
            (
                reader.lost_after(&selector, after),
                reader.read(&selector, whole(after, upto)),
            )
        })
        .await;
    let lost = lost.expect("the read succeeds");
    assert_eq!(
        lost,
        page.expect("the read succeeds").lost,
        "a page tells the same loss"
    );
    lost
}

async fn nothing_goes_within_the_bounds(backend: Backend) {
    let bench = backend.open();
    bench.put_all(records(&topic("t"), "", 20)).await;
    bench.clock.pass(7 * 24 * 60 * 60 * 1000);
    assert_eq!(trim(&bench).await, Trimmed::default());
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await.len(),
        20
    );
    assert_eq!(lost(&bench, &everything(), Position::ZERO).await, None);
}

async fn the_newest_stay_by_count(backend: Backend) {
    let bench = backend.open_with(keep(Keep {
        count: 7,
        ..NO_BOUND
    }));
    let positions = bench.put_all(records(&topic("t"), "", 30)).await;
    let trimmed = trim(&bench).await;
    assert_eq!(
        trimmed.entries,
        PerClass {
            topic: 23,
            ..PerClass::default()
        }
    );
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        (23..30).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(bench.store.trimmed_to(Class::Topic), positions[22]);
    assert_eq!(bench.store.bounds().first, positions[23]);
    assert_eq!(bench.store.bounds().last, positions[29]);
    assert_eq!(
        bench.store.stats().entries,
        PerClass {
            topic: 7,
            ..PerClass::default()
        }
    );
    assert_eq!(trim(&bench).await, Trimmed::default());
}

async fn the_newest_stay_by_bytes(backend: Backend) {
    let bench = backend.open_with(keep(Keep {
        bytes: 1000,
        ..NO_BOUND
    }));
    let big = |n: usize| Record {
        body: vec![0; 300].into(),
        ..record(topic("t"), &n.to_string())
    };
    bench.put_all((0..10).map(big).collect()).await;
    let trimmed = trim(&bench).await;
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        ["7", "8", "9"]
    );
    // A body, a source and an id each.
    assert_eq!(trimmed.bytes, 7 * (300 + 6 + 1));
    assert_eq!(bench.store.stats().bytes.topic, 3 * (300 + 6 + 1));
}

async fn the_younger_stay_by_age(backend: Backend) {
    let bench = backend.open_with(keep(Keep {
        age_ms: 1000,
        ..NO_BOUND
    }));
    bench.put_all(records(&topic("t"), "old", 20)).await;
    bench.clock.pass(500);
    bench.put_all(records(&topic("t"), "young", 3)).await;
    bench.clock.pass(500);
    assert_eq!(trim(&bench).await.entries.topic, 0);
    bench.clock.pass(1);
    assert_eq!(trim(&bench).await.entries.topic, 20);
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        ["young0", "young1", "young2"]
    );
    bench.clock.pass(500);
    assert_eq!(trim(&bench).await.entries.topic, 3);
    let bounds = bench.store.bounds();
    assert_eq!(bounds.first, bounds.last);
}

async fn age_waits_while_the_clocks_disagree(backend: Backend) {
    let bench = backend.open_with(keep(Keep {
        age_ms: 1000,
        count: 5,
        ..NO_BOUND
    }));
    bench.put_all(records(&topic("t"), "", 10)).await;
    let start = bench.clock.now();
    bench.clock.set(start + 61_000);
    let trimmed = trim(&bench).await;
    assert!(trimmed.age_waits);
    assert_eq!(trimmed.entries.topic, 5, "the other bounds hold");
    assert!(bench.store.stats().age_waits);
    bench.clock.set(start);
    bench.clock.pass(61_000);
    let trimmed = trim(&bench).await;
    assert_eq!((trimmed.age_waits, trimmed.entries.topic), (false, 5));
}

async fn a_noisy_class_does_not_touch_the_others(backend: Backend) {
    let bench = backend.open_with(keep(Keep {
        count: 3,
        ..NO_BOUND
    }));
    bench
        .put_all(vec![
            record(client("c"), "mail"),
            record(Subject::All, "all"),
        ])
        .await;
    bench.put_all(records(&topic("noisy"), "", 50)).await;
    trim(&bench).await;
    assert_eq!(
        bench.ids_after(&everything(), Position::ZERO).await,
        ["mail", "all", "47", "48", "49"]
    );
    assert_eq!(bench.store.trimmed_to(Class::Mailbox), Position::ZERO);
    assert_eq!(bench.store.trimmed_to(Class::Broadcast), Position::ZERO);
    assert_eq!(
        lost(&bench, &exact([client("c"), Subject::All]), Position::ZERO).await,
        None
    );
    assert_eq!(
        lost(&bench, &exact([topic("noisy")]), Position::ZERO)
            .await
            .map(|lost| lost.upto),
        Some(bench.store.trimmed_to(Class::Topic))
    );
}

async fn a_removed_entry_is_nowhere_any_more(backend: Backend) {
    let bench = backend.open_with(keep(Keep {
        count: 3,
        ..NO_BOUND
    }));
    let urgent = |n: usize| Record {
        priority: 3,
        ..record(topic("t"), &n.to_string())
    };
    let positions = bench.put_all((0..20).map(urgent).collect()).await;
    trim(&bench).await;
    let (gone, kept, upto) = (positions[16], positions[17], bench.last());
    bench
        .read(move |reader| {
            assert!(reader.at(&[gone]).expect("the read succeeds").is_empty());
            assert_eq!(reader.at(&[kept]).expect("the read succeeds").len(), 1);
            assert!(
                reader
                    .locate("source", "16")
                    .expect("the read succeeds")
                    .is_none()
            );
            assert!(
                reader
                    .locate("source", "17")
                    .expect("the read succeeds")
                    .is_some()
            );
            assert_eq!(
                reader
                    .newest(&exact([topic("t")]), 9)
                    .expect("the read succeeds")
                    .len(),
                3
            );
            let urgent = reader
                .urgent(&everything(), Position::ZERO, upto, 2, 100)
                .expect("the read succeeds");
            assert_eq!(urgent.found.len(), 3);
        })
        .await;
}

async fn another_retention_holds_for_the_next_trim(backend: Backend) {
    let bench = backend.open_with(keep(NO_BOUND));
    bench.put_all(records(&topic("t"), "", 20)).await;
    bench.put_all(records(&client("c"), "letter", 20)).await;
    assert_eq!(trim(&bench).await.entries.topic, 0);
    bench.store.set_retention(PerClass {
        topic: Keep {
            count: 5,
            ..NO_BOUND
        },
        mailbox: NO_BOUND,
        broadcast: NO_BOUND,
    });
    let trimmed = trim(&bench).await;
    assert_eq!((trimmed.entries.topic, trimmed.entries.mailbox), (15, 0));
    bench.store.set_retention(PerClass::from_fn(|_| NO_BOUND));
    bench.put_all(records(&topic("t"), "new", 20)).await;
    assert_eq!(trim(&bench).await.entries.topic, 0);
}
