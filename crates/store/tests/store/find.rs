//! Pages of what a query asks for. That any query finds what it should is for the model; these are the rules by name.

use tidings_store::{Found, IdempotencyWindow, Order, Position, Query, Record, Scope, Subject};

use crate::bench::{
    Backend, Bench, anything, client, for_each_backend, ids, record, records, topic, topics,
};

for_each_backend!(
    each_condition_narrows_the_rest,
    topics_are_found_by_their_names,
    more_topics_than_lists_are_followed_are_found_too,
    pages_hold_everything_once_in_either_order,
    the_last_page_says_that_it_is_the_last,
    a_page_of_rare_entries_comes_short_and_says_where_to_go_on,
    one_huge_entry_comes_alone,
    a_range_of_time_includes_its_beginning_and_excludes_its_end,
    expired_and_trimmed_entries_are_not_found,
    what_excludes_the_reader_is_not_found,
    what_comes_in_between_two_pages_downwards_moves_nothing,
);

fn of<const N: usize>(subjects: [Subject; N]) -> Scope {
    Scope::Of {
        subjects: Vec::from(subjects),
        topics: Vec::new(),
    }
}

fn from(source: &str, record: Record) -> Record {
    Record {
        source: source.into(),
        ..record
    }
}

async fn find(bench: &Bench, query: &Query) -> Found {
    let query = query.clone();
    bench
        .read(move |reader| reader.find(&query))
        .await
        .expect("the read succeeds")
}

async fn found(bench: &Bench, query: &Query) -> Vec<String> {
    let found = find(bench, query).await;
    assert_eq!(found.next, None, "nothing ended the page");
    ids(&found.entries)
}

async fn each_condition_narrows_the_rest(backend: Backend) {
    let bench = backend.open();
    let kind = |kind, record| Record { kind, ..record };
    for n in 0..20 {
        let batch = vec![
            from("p", record(client("c"), &format!("c{n}"))),
            from("q", kind(2, record(client("c"), &format!("d{n}")))),
            from("q", kind(3, record(topic("t"), &format!("t{n}")))),
            from("q", kind(2, record(Subject::All, &format!("a{n}")))),
        ];
        bench.put_all(batch).await;
    }
    let all = |prefix: &str| (0..20).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let check = async |query: Query, expected: &[&str]| {
        let mut expected = expected
            .iter()
            .flat_map(|prefix| all(prefix))
            .collect::<Vec<_>>();
        let mut found = found(&bench, &query).await;
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{query:?}");
    };
    let everything = anything();
    let of_client = Query {
        scope: of([client("c")]),
        ..anything()
    };
    let of_q = Query {
        source: Some("q".into()),
        ..anything()
    };
    let of_kind = Query {
        kinds: vec![2],
        ..anything()
    };
    check(everything, &["a", "c", "d", "t"]).await;
    check(of_client.clone(), &["c", "d"]).await;
    check(of_q.clone(), &["a", "d", "t"]).await;
    check(of_kind.clone(), &["a", "d"]).await;
    check(
        Query {
            kinds: vec![1, 3],
            ..anything()
        },
        &["c", "t"],
    )
    .await;
    check(
        Query {
            source: Some("q".into()),
            ..of_client.clone()
        },
        &["d"],
    )
    .await;
    check(
        Query {
            kinds: vec![1],
            ..of_client.clone()
        },
        &["c"],
    )
    .await;
    check(
        Query {
            scope: of([client("c"), Subject::All]),
            ..of_q.clone()
        },
        &["a", "d"],
    )
    .await;
    check(
        Query {
            scope: of([topic("t")]),
            kinds: vec![2],
            ..of_q.clone()
        },
        &[],
    )
    .await;
    check(
        Query {
            source: Some("nobody".into()),
            ..anything()
        },
        &[],
    )
    .await;
    check(
        Query {
            scope: of([client("nobody")]),
            ..anything()
        },
        &[],
    )
    .await;
    check(
        Query {
            scope: of([]),
            ..anything()
        },
        &[],
    )
    .await;
}

async fn topics_are_found_by_their_names(backend: Backend) {
    let bench = backend.open();
    for name in [
        "orders",
        "orders/eu",
        "orders/eu/1",
        "orders/us",
        "order",
        "other",
        "ordersX",
    ] {
        bench.put(record(topic(name), name)).await;
    }
    bench.put(record(client("orders/eu"), "mailbox")).await;
    let scope = |subjects: Vec<Subject>| Scope::Of {
        subjects,
        topics: vec![topics("orders", |name| {
            name == "orders" || name.starts_with("orders/")
        })],
    };
    let query = Query {
        scope: scope(Vec::new()),
        ..anything()
    };
    let expected = ["orders", "orders/eu", "orders/eu/1", "orders/us"];
    assert_eq!(found(&bench, &query).await, expected);
    let query = Query {
        scope: scope(vec![topic("other"), topic("orders")]),
        ..anything()
    };
    let expected = ["orders", "orders/eu", "orders/eu/1", "orders/us", "other"];
    assert_eq!(found(&bench, &query).await, expected);
}

async fn more_topics_than_lists_are_followed_are_found_too(backend: Backend) {
    let bench = backend.open();
    let many = (0..1500).map(|n| record(topic(&format!("many/{n}")), &format!("m{n}")));
    bench.put_all(many.collect()).await;
    bench.put_all(records(&topic("other"), "", 10)).await;
    let scope = Scope::Of {
        subjects: vec![topic("other")],
        topics: vec![topics("many/", |name| name != "many/0")],
    };
    for source in [None, Some("source".into())] {
        let query = Query {
            scope: scope.clone(),
            source,
            limit: 2000,
            ..anything()
        };
        let expected = (1..1500).map(|n| format!("m{n}"));
        let expected: Vec<String> = expected.chain((0..10).map(|n| n.to_string())).collect();
        assert_eq!(found(&bench, &query).await, expected);
    }
}

/// All pages one after another.
async fn pages(bench: &Bench, query: &Query) -> Vec<String> {
    let mut query = query.clone();
    let mut all = Vec::new();
    loop {
        let page = find(bench, &query).await;
        assert!(page.entries.len() <= query.limit);
        all.extend(ids(&page.entries));
        let Some(next) = page.next else {
            return all;
        };
        assert_ne!(query.after, Some(next), "each page makes progress");
        query.after = Some(next);
    }
}

async fn pages_hold_everything_once_in_either_order(backend: Backend) {
    let bench = backend.open();
    for n in 0..30 {
        let batch = vec![
            from("p", record(client("c"), &format!("{n}"))),
            from("q", record(topic("t"), &format!("t{n}"))),
        ];
        bench.put_all(batch).await;
    }
    let scopes = [of([client("c")]), Scope::Everything];
    for scope in scopes {
        for source in [None, Some("p".into())] {
            let narrow = Query {
                scope: scope.clone(),
                source,
                ..anything()
            };
            let mut expected = found(&bench, &narrow).await;
            for order in [Order::Ascending, Order::Descending] {
                for (limit, rows_max) in [(1, 1), (1, 100), (7, 3), (7, 100), (30, 30), (100, 2)] {
                    let query = Query {
                        order,
                        limit,
                        rows_max,
                        ..narrow.clone()
                    };
                    assert_eq!(pages(&bench, &query).await, expected, "{query:?}");
                }
                expected.reverse();
            }
        }
    }
}

async fn the_last_page_says_that_it_is_the_last(backend: Backend) {
    let bench = backend.open();
    let positions = bench.put_all(records(&topic("t"), "", 10)).await;
    for order in [Order::Ascending, Order::Descending] {
        let whole = Query {
            order,
            limit: 10,
            ..anything()
        };
        assert_eq!(find(&bench, &whole).await.next, None);
        let part = find(
            &bench,
            &Query {
                limit: 9,
                ..whole.clone()
            },
        )
        .await;
        let next = if order == Order::Ascending {
            positions[8]
        } else {
            positions[1]
        };
        assert_eq!(part.next, Some(next));
        let beyond = Query {
            after: Some(match order {
                Order::Ascending => positions[9],
                Order::Descending => positions[0],
            }),
            ..whole
        };
        let end = find(&bench, &beyond).await;
        assert!(end.entries.is_empty() && end.next.is_none());
    }
}

async fn a_page_of_rare_entries_comes_short_and_says_where_to_go_on(backend: Backend) {
    let bench = backend.open();
    // No index knows for whom an entry is not.
    let mut batch = records(&topic("t"), "", 50);
    for record in &mut batch {
        record.exclude = Some("reader".into());
    }
    batch[40].exclude = None;
    bench.put_all(batch).await;
    let query = Query {
        reader: Some("reader".into()),
        rows_max: 8,
        ..anything()
    };
    let first = find(&bench, &query).await;
    assert!(first.entries.is_empty() && first.next.is_some());
    assert_eq!(pages(&bench, &query).await, ["40"]);
}

async fn one_huge_entry_comes_alone(backend: Backend) {
    let bench = backend.open();
    let huge = Record {
        body: vec![b'x'; 300_000].into(),
        ..record(topic("t"), "huge")
    };
    bench
        .put_all(vec![record(topic("t"), "a"), huge, record(topic("t"), "b")])
        .await;
    for scope in [of([topic("t")]), Scope::Everything] {
        let mut query = Query {
            scope,
            bytes_max: 1000,
            ..anything()
        };
        for expected in [["a"], ["huge"], ["b"]] {
            let page = find(&bench, &query).await;
            assert_eq!(ids(&page.entries), expected);
            query.after = page.next;
        }
        assert_eq!(query.after, None);
    }
}

async fn a_range_of_time_includes_its_beginning_and_excludes_its_end(backend: Backend) {
    let bench = backend.open();
    let began = bench.clock.now();
    for n in 0..10 {
        bench.put(record(topic("t"), &n.to_string())).await;
        bench.clock.pass(10);
    }
    for scope in [of([topic("t")]), Scope::Everything] {
        for source in [None, Some("source".into())] {
            let query = |since: Option<u64>, until: Option<u64>| Query {
                scope: scope.clone(),
                source: source.clone(),
                since: since.map(|ms| began + ms),
                until: until.map(|ms| began + ms),
                ..anything()
            };
            for (since, until, expected) in [
                (Some(20), None, 2..10),
                (Some(21), None, 3..10),
                (None, Some(20), 0..2),
                (None, Some(21), 0..3),
                (Some(20), Some(50), 2..5),
                (Some(50), Some(20), 0..0),
                (Some(1000), None, 0..0),
                (None, Some(1000), 0..10),
            ] {
                let expected: Vec<String> = expected.map(|n: u32| n.to_string()).collect();
                assert_eq!(found(&bench, &query(since, until)).await, expected);
            }
        }
    }
}

async fn expired_and_trimmed_entries_are_not_found(backend: Backend) {
    let bench = backend.open_with(|options| {
        options.retention.topic.count = 30;
        options.idempotency_window = IdempotencyWindow { ms: 1, ids: 1000 };
    });
    bench.put_all(records(&topic("t"), "", 60)).await;
    let brief = Record {
        ttl_ms: Some(100),
        ..record(topic("t"), "brief")
    };
    bench.put(brief).await;
    let scopes = [of([topic("t")]), Scope::Everything];
    let check = async |expected: &[String]| {
        for scope in &scopes {
            for source in [None, Some("source".into())] {
                let query = Query {
                    scope: scope.clone(),
                    source,
                    ..anything()
                };
                assert_eq!(found(&bench, &query).await, expected);
            }
        }
    };
    let upwards = |from: u32| (from..60).map(|n| n.to_string()).collect::<Vec<_>>();
    check(&[upwards(0), vec!["brief".to_owned()]].concat()).await;
    bench.clock.pass(100);
    check(&upwards(0)).await;
    bench.store.trim().await.expect("the trim succeeds");
    check(&upwards(31)).await;
}

async fn what_excludes_the_reader_is_not_found(backend: Backend) {
    let bench = backend.open();
    let not_for = |client: &str, id: &str| Record {
        exclude: Some(client.into()),
        ..record(topic("t"), id)
    };
    bench
        .put_all(vec![
            not_for("a", "1"),
            not_for("b", "2"),
            record(topic("t"), "3"),
        ])
        .await;
    for (reader, expected) in [(Some("a"), &["2", "3"][..]), (None, &["1", "2", "3"])] {
        for scope in [of([topic("t")]), Scope::Everything] {
            let query = Query {
                scope,
                reader: reader.map(Into::into),
                ..anything()
            };
            assert_eq!(found(&bench, &query).await, expected);
        }
    }
}

async fn what_comes_in_between_two_pages_downwards_moves_nothing(backend: Backend) {
    let bench = backend.open();
    bench.put_all(records(&topic("t"), "", 10)).await;
    let mut query = Query {
        order: Order::Descending,
        limit: 5,
        ..anything()
    };
    let page = find(&bench, &query).await;
    assert_eq!(ids(&page.entries), ["9", "8", "7", "6", "5"]);
    bench.put_all(records(&topic("t"), "new", 10)).await;
    query.after = page.next;
    assert_eq!(found(&bench, &query).await, ["4", "3", "2", "1", "0"]);
    assert!(query.after > Some(Position::ZERO));
}
