//! Slices of the selected entries.

use tidings_store::{Page, Position, Record, Selector, Slice, Subject};

use crate::bench::{
    Backend, Bench, client, everything, exact, filter, for_each_backend, ids, record, records,
    topic, whole,
};

for_each_backend!(
    a_page_holds_the_selected_subjects_alone,
    a_selector_may_mix_subjects_and_a_filter,
    a_selector_of_nothing_finds_nothing,
    the_range_excludes_its_beginning_and_includes_its_end,
    an_end_beyond_the_newest_entry_is_not_scanned_to,
    pages_by_bytes_hold_everything_once,
    pages_by_rows_hold_everything_once,
    rows_are_counted_that_are_not_selected,
    one_huge_entry_comes_alone,
    expired_entries_are_left_out_and_passed,
    a_selector_may_ask_for_expired_entries_too,
    a_reader_goes_on_while_others_append,
);

async fn filled(backend: Backend) -> Bench {
    let bench = backend.open();
    for n in 0..10 {
        let batch = vec![
            record(client("c"), &format!("c{n}")),
            record(topic("news"), &format!("n{n}")),
            record(topic("sport"), &format!("s{n}")),
            record(Subject::All, &format!("all{n}")),
        ];
        bench.put_all(batch).await;
    }
    bench
}

async fn page(bench: &Bench, selector: &Selector, slice: Slice) -> Page {
    let selector = selector.clone();
    bench
        .read(move |reader| reader.read(&selector, slice))
        .await
        .expect("the read succeeds")
}

/// All pages one after another, each within `limits`.
async fn pages(bench: &Bench, selector: &Selector, limits: Slice) -> Vec<Page> {
    let mut slice = limits;
    let mut pages = Vec::new();
    while slice.after < slice.upto {
        let page = page(bench, selector, slice).await;
        assert!(page.scanned_to > slice.after, "each page makes progress");
        assert!(
            page.entries
                .iter()
                .all(|entry| entry.position <= page.scanned_to)
        );
        slice.after = page.scanned_to;
        pages.push(page);
    }
    assert_eq!(slice.after, slice.upto);
    pages
}

fn joined(pages: &[Page]) -> Vec<String> {
    pages.iter().flat_map(|page| ids(&page.entries)).collect()
}

async fn a_page_holds_the_selected_subjects_alone(backend: Backend) {
    let bench = filled(backend).await;
    let found = bench
        .ids_after(&exact([topic("news")]), Position::ZERO)
        .await;
    assert_eq!(found, (0..10).map(|n| format!("n{n}")).collect::<Vec<_>>());
    let found = bench
        .ids_after(
            &exact([Subject::All, client("c"), Subject::All]),
            Position::ZERO,
        )
        .await;
    assert_eq!(
        found,
        (0..10)
            .flat_map(|n| [format!("c{n}"), format!("all{n}")])
            .collect::<Vec<_>>()
    );
}

async fn a_selector_may_mix_subjects_and_a_filter(backend: Backend) {
    let bench = filled(backend).await;
    let topics =
        |subject: &Subject| matches!(subject, Subject::Topic(name) if name.starts_with('s'));
    let mixed = Selector {
        exact: vec![client("c"), topic("sport")],
        ..filter(topics)
    };
    let found = bench.ids_after(&mixed, Position::ZERO).await;
    assert_eq!(
        found,
        (0..10)
            .flat_map(|n| [format!("c{n}"), format!("s{n}")])
            .collect::<Vec<_>>()
    );
}

async fn a_selector_of_nothing_finds_nothing(backend: Backend) {
    let bench = filled(backend).await;
    for selector in [
        Selector::default(),
        exact([client("nobody")]),
        filter(|_| false),
    ] {
        assert_eq!(bench.ids_after(&selector, Position::ZERO).await, [""; 0]);
    }
}

async fn the_range_excludes_its_beginning_and_includes_its_end(backend: Backend) {
    let bench = backend.open();
    let positions = bench.put_all(records(&topic("t"), "", 30)).await;
    for selector in [exact([topic("t")]), everything()] {
        for (after, upto) in [(0, 29), (3, 4), (7, 21), (28, 29)] {
            let page = page(&bench, &selector, whole(positions[after], positions[upto])).await;
            assert_eq!(
                ids(&page.entries),
                (after + 1..=upto)
                    .map(|n| n.to_string())
                    .collect::<Vec<_>>()
            );
            assert_eq!(page.scanned_to, positions[upto]);
            assert_eq!(page.lost, None);
        }
        let empty = page(&bench, &selector, whole(positions[5], positions[5])).await;
        assert!(empty.entries.is_empty());
    }
}

async fn an_end_beyond_the_newest_entry_is_not_scanned_to(backend: Backend) {
    let bench = backend.open();
    let last = bench.put(record(topic("t"), "a")).await;
    for selector in [exact([topic("t")]), everything(), exact([topic("quiet")])] {
        let page = page(
            &bench,
            &selector,
            whole(Position::ZERO, Position(u64::MAX >> 1)),
        )
        .await;
        assert_eq!(
            page.scanned_to, last,
            "what comes later must not be skipped"
        );
    }
}

async fn pages_by_bytes_hold_everything_once(backend: Backend) {
    let bench = filled(backend).await;
    for selector in [
        exact([topic("news"), client("c")]),
        filter(|subject| *subject != Subject::All),
    ] {
        let whole = whole(Position::ZERO, bench.last());
        let expected = ids(&page(&bench, &selector, whole).await.entries);
        for bytes_max in [0, 1, 10, 25, 1000] {
            let pages = pages(&bench, &selector, Slice { bytes_max, ..whole }).await;
            assert_eq!(joined(&pages), expected, "pages of {bytes_max} bytes");
            let bytes = |page: &Page| {
                page.entries
                    .iter()
                    .map(|entry| entry.body.len())
                    .sum::<usize>()
            };
            assert!(
                pages
                    .iter()
                    .all(|page| page.entries.len() <= 1 || bytes(page) <= bytes_max)
            );
        }
    }
}

async fn pages_by_rows_hold_everything_once(backend: Backend) {
    let bench = filled(backend).await;
    for selector in [
        exact([topic("news"), client("c")]),
        filter(|subject| *subject != Subject::All),
    ] {
        let whole = whole(Position::ZERO, bench.last());
        let expected = ids(&page(&bench, &selector, whole).await.entries);
        for rows_max in [0, 1, 2, 7, 100] {
            let pages = pages(&bench, &selector, Slice { rows_max, ..whole }).await;
            assert_eq!(joined(&pages), expected, "pages of {rows_max} rows");
            assert!(
                pages
                    .iter()
                    .all(|page| page.entries.len() <= rows_max.max(1))
            );
        }
    }
}

async fn rows_are_counted_that_are_not_selected(backend: Backend) {
    let bench = filled(backend).await;
    let slice = Slice {
        rows_max: 8,
        ..whole(Position::ZERO, bench.last())
    };
    let page = page(&bench, &filter(|subject| *subject == topic("sport")), slice).await;
    assert!(page.entries.len() <= 2, "8 rows hold two of that topic");
    assert!(page.scanned_to < bench.last());
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
    for selector in [exact([topic("t")]), everything()] {
        let limits = Slice {
            bytes_max: 1000,
            ..whole(Position::ZERO, bench.last())
        };
        let found: Vec<Vec<String>> = pages(&bench, &selector, limits)
            .await
            .iter()
            .map(|page| ids(&page.entries))
            .collect();
        assert_eq!(found, [["a"], ["huge"], ["b"]]);
    }
}

async fn a_selector_may_ask_for_expired_entries_too(backend: Backend) {
    let bench = backend.open();
    let brief = Record {
        ttl_ms: Some(1000),
        ..record(topic("t"), "gone")
    };
    bench.put(brief).await;
    bench.put(record(topic("t"), "kept")).await;
    bench.clock.pass(1000);
    for selector in [exact([topic("t")]), everything()] {
        let all = Selector {
            expired: true,
            ..selector.clone()
        };
        assert_eq!(
            bench.ids_after(&all, Position::ZERO).await,
            ["gone", "kept"]
        );
        assert_eq!(bench.ids_after(&selector, Position::ZERO).await, ["kept"]);
    }
}

async fn expired_entries_are_left_out_and_passed(backend: Backend) {
    let bench = backend.open();
    let brief = |id: &str| Record {
        ttl_ms: Some(1000),
        ..record(topic("t"), id)
    };
    let kept = bench.put(record(topic("t"), "kept")).await;
    let gone = bench
        .put_all((0..20).map(|n| brief(&n.to_string())).collect())
        .await;
    bench.clock.pass(999);
    assert_eq!(bench.ids_after(&everything(), kept).await.len(), 20);
    bench.clock.pass(1);
    for selector in [exact([topic("t")]), everything()] {
        assert_eq!(bench.ids_after(&selector, Position::ZERO).await, ["kept"]);
        let pages = pages(
            &bench,
            &selector,
            Slice {
                rows_max: 3,
                ..whole(kept, bench.last())
            },
        )
        .await;
        assert!(joined(&pages).is_empty());
        let newest = bench
            .read({
                let selector = selector.clone();
                move |reader| reader.newest(&selector, 5)
            })
            .await;
        assert_eq!(newest.expect("the read succeeds"), [kept]);
    }
    let found = bench
        .read(move |reader| reader.at(&gone))
        .await
        .expect("the read succeeds");
    assert!(found.is_empty());
}

async fn a_reader_goes_on_while_others_append(backend: Backend) {
    let bench = backend.open();
    let store = bench.store.clone();
    let appender = tokio::spawn(async move {
        for n in 0..100 {
            store
                .append(records(&topic(&format!("t{}", n % 3)), &format!("{n}-"), 3))
                .await
                .expect("the append succeeds");
        }
    });
    let selector = exact([topic("t0"), topic("t1"), topic("t2")]);
    let (mut after, mut found) = (Position::ZERO, Vec::new());
    loop {
        let finished = appender.is_finished();
        let page = page(
            &bench,
            &selector,
            Slice {
                rows_max: 7,
                ..whole(after, bench.last())
            },
        )
        .await;
        found.extend(ids(&page.entries));
        after = page.scanned_to;
        if finished && after == bench.last() {
            break;
        }
    }
    appender.await.expect("the appender does not panic");
    assert_eq!(
        found,
        bench.released.ids(),
        "nothing is skipped and nothing comes twice"
    );
}
