//! Any sequence of steps: the store does what a simple model does.

mod naive;
mod steps;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidings_store::{
    Class, IdempotencyWindow, Options, Order, PerClass, Position, Query, Selector, Slice, Store,
};

use self::naive::{Naive, RETENTION, WINDOW_MS};
use self::steps::{Question, Step};
use crate::bench::{Backend, Bench};

#[test]
fn memory() {
    any_sequence_does_as_the_model_does(Backend::Memory, 200);
}

#[test]
fn embedded() {
    any_sequence_does_as_the_model_does(Backend::Embedded, 50);
}

fn any_sequence_does_as_the_model_does(backend: Backend, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime starts");
    // No file of found cases: a failure prints its steps, and those become a test with a name.
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let sequences = prop::collection::vec(steps::step(), 1..60);
    TestRunner::new(config)
        .run(&sequences, |steps| {
            runtime.block_on(compare(backend, steps))
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn options(options: &mut Options) {
    options.retention = RETENTION;
    options.idempotency_window = IdempotencyWindow {
        ms: WINDOW_MS,
        ids: 1_000_000,
    };
}

async fn compare(backend: Backend, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut bench = backend.open_with(options);
    let mut naive = Naive::default();
    for step in steps {
        match step {
            Step::Append(records) => {
                let answer = bench.store.append(records.clone()).await;
                naive.append(&records, answer, bench.clock.now())?;
            }
            Step::Pass(ms) => bench.clock.pass(ms),
            Step::Trim => {
                let trimmed = bench.store.trim().await.expect("the trim succeeds");
                prop_assert_eq!(trimmed.entries, naive.trim(bench.clock.now()));
            }
            Step::Reopen => {
                bench.reopen();
                if backend == Backend::Embedded {
                    naive.forget_removed();
                }
            }
            Step::Ask(question) => ask(&bench, &naive, *question).await?,
        }
        same_state(&bench.store, &naive)?;
    }
    Ok(())
}

fn same_state(store: &Store, naive: &Naive) -> Result<(), TestCaseError> {
    prop_assert_eq!(store.bounds(), naive.bounds());
    prop_assert_eq!(store.lineage_end(store.epoch()), Some(naive.bounds().last));
    for class in Class::ALL {
        prop_assert_eq!(
            store.trimmed_to(class),
            naive.lost(|subject| subject.class() == class, Position::ZERO)
        );
    }
    let entries = PerClass::from_fn(|class| naive.count(class));
    prop_assert_eq!(store.stats().entries, entries);
    Ok(())
}

async fn ask(bench: &Bench, naive: &Naive, question: Question) -> Result<(), TestCaseError> {
    let Question {
        selector,
        from,
        to,
        limit,
        bytes_max,
        priority_min,
        query,
    } = question;
    let now = bench.clock.now();
    let (after, upto) = (naive.position(from), naive.position(to));
    let slice = Slice {
        after,
        upto,
        bytes_max,
        rows_max: limit,
    };
    let asked = selector.clone();
    find(bench, naive, query, (from, to)).await?;
    let (page, newest, urgent, lost) = bench
        .read(move |reader| {
            (
                reader.read(&asked, slice).expect("the read succeeds"),
                reader.newest(&asked, limit).expect("the read succeeds"),
                reader
                    .urgent(&asked, after, upto, priority_min, limit)
                    .expect("the read succeeds"),
                reader.lost_after(&asked, after).expect("the read succeeds"),
            )
        })
        .await;

    let selected = |after: Position, upto: Position| naive.select(&selector, after, upto, now);
    let found: Vec<Position> = page.entries.iter().map(|entry| entry.position).collect();
    prop_assert_eq!(
        found,
        positions(&selected(after, page.scanned_to.min(upto)))
    );
    prop_assert!(page.scanned_to <= upto.max(after) && (page.scanned_to > after || after >= upto));
    prop_assert!(page.entries.len() <= limit.max(1));
    prop_assert_eq!(page.lost, lost);

    let all = positions(&selected(Position::ZERO, naive.bounds().last));
    prop_assert_eq!(newest, &all[all.len().saturating_sub(limit)..]);

    let wanted = selected(after, urgent.complete_to.min(upto));
    let wanted = wanted.iter().filter(|entry| entry.priority >= priority_min);
    prop_assert_eq!(
        &urgent.found,
        &wanted
            .map(|entry| (entry.position, entry.priority))
            .collect::<Vec<_>>()
    );
    prop_assert!(
        urgent.found.len() == limit || urgent.complete_to >= upto || urgent.complete_to > after
    );

    same_loss(naive, &selector, after, lost)
}

/// All pages together hold what the model has, and each ends where it says.
async fn find(
    bench: &Bench,
    naive: &Naive,
    mut query: Query,
    (from, to): (usize, usize),
) -> Result<(), TestCaseError> {
    query.since = query.since.map(|_| naive.stored_at(from));
    query.until = query.until.map(|_| naive.stored_at(to));
    let expected = positions(&naive.find(&query, bench.clock.now()));
    let mut found = Vec::new();
    loop {
        let asked = query.clone();
        let page = bench
            .read(move |reader| reader.find(&asked).expect("the read succeeds"))
            .await;
        prop_assert!(page.entries.len() <= query.limit);
        found.extend(page.entries.iter().map(|entry| entry.position));
        let Some(next) = page.next else {
            break;
        };
        if let Some(before) = query.after {
            let on = match query.order {
                Order::Ascending => next > before,
                Order::Descending => next < before,
            };
            prop_assert!(on, "{:?} after {:?} is no progress", next, before);
        }
        let expected = Naive::count_until(&expected, next, query.order);
        prop_assert_eq!(found.len(), expected, "found up to {:?}", next);
        query.after = Some(next);
    }
    prop_assert_eq!(found, expected);
    Ok(())
}

fn same_loss(
    naive: &Naive,
    selector: &Selector,
    after: Position,
    lost: Option<tidings_store::Lost>,
) -> Result<(), TestCaseError> {
    let expected = naive.lost(|subject| naive::selects(selector, subject), after);
    prop_assert_eq!(lost.map_or(Position::ZERO, |lost| lost.upto), expected);
    if let Some(lost) = lost {
        prop_assert!(lost.resume_after >= after);
        // At the time zero nothing has expired.
        prop_assert!(
            naive
                .select(selector, after, lost.resume_after, 0)
                .is_empty(),
            "{:?} skips a kept entry",
            lost
        );
    }
    Ok(())
}

fn positions(entries: &[&naive::Stored]) -> Vec<Position> {
    entries.iter().map(|entry| entry.position).collect()
}
