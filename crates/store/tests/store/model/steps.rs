//! What a sequence is made of.

use proptest::prelude::*;
use tidings_store::{Order, Query, Record, Scope, Selector, Subject};

use crate::bench::{client, filter, record, topic, topics};

#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(Vec<Record>),
    Pass(u64),
    Trim,
    Reopen,
    Ask(Box<Question>),
}

#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) selector: Selector,
    /// Beginning and end as parts of everything stored so far, in 1/16.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) limit: usize,
    pub(super) bytes_max: usize,
    pub(super) priority_min: u8,
    /// Its times, if any, are those of the beginning and the end.
    pub(super) query: Query,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(a_record(), 1..6).prop_map(Step::Append),
        2 => (1_u64..400).prop_map(Step::Pass),
        1 => Just(Step::Trim),
        1 => Just(Step::Reopen),
        6 => question().prop_map(|question| Step::Ask(Box::new(question))),
    ]
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        prop::sample::select(vec!["x", "y"]).prop_map(client),
        prop::sample::select(vec!["a", "b", "c"]).prop_map(topic),
        Just(Subject::All),
    ]
}

const SOURCES: [&str; 3] = ["p", "q", "r"];

/// Few identities, so that copies and conflicts happen.
fn a_record() -> impl Strategy<Value = Record> {
    let often = prop::bool::weighted(0.9);
    (
        subject(),
        0_u32..60,
        often,
        often,
        0_u8..4,
        prop::option::weighted(0.3, 1_u64..600),
    )
        .prop_map(|(subject, id, usual, durable, priority, ttl_ms)| {
            let record = record(subject, &id.to_string());
            let fingerprint = if usual { u128::from(id) } else { 1000 };
            Record {
                source: SOURCES[id as usize % SOURCES.len()].into(),
                kind: (id % 4) as u8,
                exclude: (id % 5 == 0).then(|| "x".into()),
                fingerprint,
                durable,
                priority,
                ttl_ms,
                ..record
            }
        })
}

fn question() -> impl Strategy<Value = Question> {
    let limit = prop_oneof![1_usize..6, Just(1000)];
    let bytes_max = prop_oneof![1_usize..60, Just(100_000)];
    (
        selector(),
        0_usize..=16,
        0_usize..=16,
        limit,
        bytes_max,
        0_u8..4,
        query(),
    )
        .prop_map(
            |(selector, from, to, limit, bytes_max, priority_min, query)| Question {
                selector,
                from: from.min(to),
                to: from.max(to),
                limit,
                bytes_max,
                priority_min,
                query,
            },
        )
}

fn query() -> impl Strategy<Value = Query> {
    let often = || prop::bool::weighted(0.7);
    let source = prop::sample::select([&SOURCES[..], &["nobody"]].concat());
    let limits = prop_oneof![1_usize..6, Just(1000)];
    let rows = prop_oneof![1_usize..8, Just(1000)];
    let bytes = prop_oneof![1_usize..60, Just(100_000)];
    (
        scope(),
        prop::option::of(source),
        prop::collection::vec(0_u8..5, 0..3),
        (often(), often(), often(), any::<bool>()),
        (limits, rows, bytes),
    )
        .prop_map(
            |(
                scope,
                source,
                kinds,
                (anyone, always, ever, upwards),
                (limit, rows_max, bytes_max),
            )| Query {
                scope,
                source: source.map(Into::into),
                kinds,
                reader: (!anyone).then(|| "x".into()),
                since: (!always).then_some(0),
                until: (!ever).then_some(0),
                after: None,
                order: if upwards {
                    Order::Ascending
                } else {
                    Order::Descending
                },
                limit,
                bytes_max,
                rows_max,
            },
        )
}

fn scope() -> impl Strategy<Value = Scope> {
    let subjects = prop::collection::vec(subject(), 0..4);
    let sets = prop_oneof![
        2 => Just(Vec::new()),
        1 => Just(vec![topics("", |_| true)]),
        1 => Just(vec![topics("", |name| name == "a"), topics("b", |_| true)]),
    ];
    prop_oneof![
        1 => Just(Scope::Everything),
        3 => (subjects, sets).prop_map(|(subjects, topics)| Scope::Of { subjects, topics }),
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    let exact = prop::collection::vec(subject(), 0..4);
    let filters = prop_oneof![
        3 => Just(Selector::default()),
        1 => Just(filter(|subject| matches!(subject, Subject::Topic(_)))),
        1 => Just(filter(|subject| *subject == topic("a"))),
        1 => Just(filter(|_| true)),
    ];
    (exact, filters).prop_map(|(exact, filters)| Selector { exact, ..filters })
}
