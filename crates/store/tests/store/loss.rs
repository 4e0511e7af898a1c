//! How a reader learns what retention took from it.

use tidings_store::{Class, IdempotencyWindow, Keep, PerClass, Position, Record, Subject};

use crate::bench::{
    Backend, client, everything, exact, filter, for_each_backend, record, records, topic,
};
use crate::trim::{NO_BOUND, keep, keep_topics, lost, trim};

for_each_backend!(
    a_quiet_subject_loses_nothing,
    expired_entries_are_removed_and_are_no_loss,
    a_loss_tells_where_to_go_on,
    a_time_before_everything_kept_leads_behind_what_is_removed,
    a_page_tells_the_loss_of_its_own_subjects,
);

async fn a_quiet_subject_loses_nothing(backend: Backend) {
    let bench = backend.open_with(keep_topics(Keep {
        count: 1,
        ..NO_BOUND
    }));
    let quiet = bench.put(record(topic("quiet"), "once")).await;
    let positions = bench.put_all(records(&topic("noisy"), "", 30)).await;
    trim(&bench).await;
    let quiet_lost = lost(&bench, &exact([topic("quiet")]), Position::ZERO).await;
    assert_eq!(quiet_lost.map(|lost| lost.upto), Some(quiet));
    assert_eq!(lost(&bench, &exact([topic("quiet")]), quiet).await, None);
    assert_eq!(
        lost(&bench, &exact([topic("never")]), Position::ZERO).await,
        None
    );
    let quiet_only = filter(|subject| *subject == topic("quiet"));
    assert_eq!(lost(&bench, &quiet_only, quiet).await, None);
    assert_eq!(
        lost(&bench, &exact([topic("noisy")]), positions[28]).await,
        None
    );
    let noisy = lost(&bench, &exact([topic("noisy")]), positions[27]).await;
    assert_eq!(noisy.map(|lost| lost.upto), Some(positions[28]));
}

async fn expired_entries_are_removed_and_are_no_loss(backend: Backend) {
    let bench = backend.open_with(|options| {
        options.idempotency_window = IdempotencyWindow {
            ms: 2000,
            ids: 1000,
        };
        options.retention = PerClass::from_fn(|_| Keep {
            count: 5,
            ..NO_BOUND
        });
    });
    let brief = |id: String| Record {
        ttl_ms: Some(1000),
        ..record(topic("t"), &id)
    };
    bench.put(record(topic("t"), "kept")).await;
    bench
        .put_all((0..4).map(|n| brief(n.to_string())).collect())
        .await;
    bench.clock.pass(1999);
    assert_eq!(
        trim(&bench).await.entries.topic,
        0,
        "their identities are still remembered"
    );
    bench.clock.pass(1);
    assert_eq!(trim(&bench).await.entries.topic, 4);
    assert_eq!(lost(&bench, &everything(), Position::ZERO).await, None);
    // Those that retention takes after their time are no loss either; one before its time is.
    bench
        .put_all((10..15).map(|n| brief(n.to_string())).collect())
        .await;
    bench.clock.pass(1000);
    let last_lost = bench.put(record(topic("t"), "lost")).await;
    bench.put_all(records(&topic("t"), "new", 5)).await;
    assert_eq!(trim(&bench).await.entries.topic, 7);
    assert_eq!(bench.store.trimmed_to(Class::Topic), last_lost);
    assert_eq!(lost(&bench, &everything(), last_lost).await, None);
}

async fn a_loss_tells_where_to_go_on(backend: Backend) {
    let bench = backend.open_with(keep_topics(Keep {
        count: 2,
        ..NO_BOUND
    }));
    let before = bench.put(record(client("c"), "before")).await;
    bench.put_all(records(&topic("t"), "a", 10)).await;
    bench.put(record(client("c"), "between")).await;
    bench.put_all(records(&topic("t"), "b", 10)).await;
    trim(&bench).await;
    for selector in [
        exact([topic("t")]),
        exact([topic("t"), client("c")]),
        everything(),
    ] {
        for after in [Position::ZERO, before] {
            let expected = bench.ids_after(&selector, after).await;
            let lost = lost(&bench, &selector, after)
                .await
                .expect("entries of the topic are lost");
            assert_eq!(lost.upto, bench.store.trimmed_to(Class::Topic));
            assert!(lost.resume_after >= after);
            assert_eq!(
                bench.ids_after(&selector, lost.resume_after).await,
                expected,
                "nothing kept is skipped"
            );
        }
    }
    let topics = lost(&bench, &exact([topic("t")]), Position::ZERO)
        .await
        .expect("entries of the topic are lost");
    assert!(
        topics.resume_after >= topics.upto,
        "who resumes there is not told the same loss again"
    );
}

async fn a_time_before_everything_kept_leads_behind_what_is_removed(backend: Backend) {
    let bench = backend.open_with(keep(Keep {
        count: 1,
        ..NO_BOUND
    }));
    let start = bench.clock.now();
    let gone = bench.put_all(records(&topic("t"), "a", 3)).await;
    bench.clock.pass(1000);
    bench.put(record(topic("t"), "b")).await;
    trim(&bench).await;
    for (time, expected) in [(start + 500, gone[2]), (start, Position::ZERO)] {
        let found = bench.read(move |reader| reader.position_before(time)).await;
        assert_eq!(
            found.expect("the read succeeds"),
            expected,
            "a quiet hour is not a loss"
        );
    }
}

async fn a_page_tells_the_loss_of_its_own_subjects(backend: Backend) {
    let bench = backend.open_with(keep_topics(Keep {
        count: 4,
        ..NO_BOUND
    }));
    let seen = bench.put(record(topic("a"), "a0")).await;
    let lost_b = bench.put(record(topic("b"), "b0")).await;
    bench.put_all(records(&topic("b"), "more", 4)).await;
    trim(&bench).await;
    assert_eq!(lost(&bench, &exact([topic("a")]), seen).await, None);
    let both = lost(&bench, &exact([topic("a"), topic("b")]), seen).await;
    assert_eq!(both.map(|lost| lost.upto), Some(lost_b));
    let filtered = lost(
        &bench,
        &filter(|subject| matches!(subject, Subject::Topic(_))),
        seen,
    )
    .await;
    assert_eq!(filtered.map(|lost| lost.upto), Some(lost_b));
}
