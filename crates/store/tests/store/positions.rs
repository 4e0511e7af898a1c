//! Single entries and places: newest, urgent, at, locate, by time.

use tidings_store::{Position, Record, Selector, Urgent};

use crate::bench::{
    Backend, Bench, client, everything, exact, for_each_backend, ids, record, records, topic,
};

for_each_backend!(
    newest_are_the_last_of_the_selection_ascending,
    urgent_entries_are_found_by_priority,
    a_limit_ends_the_search_for_urgent_entries,
    at_gives_the_kept_ones_as_asked,
    locate_finds_an_identity,
    a_time_leads_to_the_newest_position_before_it,
);

async fn newest_are_the_last_of_the_selection_ascending(backend: Backend) {
    let bench = backend.open();
    let mut news = bench.put_all(records(&topic("news"), "n", 10)).await;
    bench.put_all(records(&topic("sport"), "s", 10)).await;
    news.extend(bench.put_all(records(&topic("news"), "m", 2)).await);
    for (selector, limit) in [
        (exact([topic("news")]), 5),
        (everything(), 2),
        (exact([topic("news")]), 50),
    ] {
        let found = bench
            .read(move |reader| reader.newest(&selector, limit))
            .await
            .expect("the read succeeds");
        assert_eq!(found, news[news.len().saturating_sub(limit)..]);
    }
    let found = bench
        .read(|reader| reader.newest(&everything(), 0))
        .await
        .expect("the read succeeds");
    assert_eq!(found, []);
}

/// Entries of priorities 0, 1, 2, 3, 0, 1, ... to a client and a topic in turn; with their positions.
async fn mixed(bench: &Bench) -> Vec<(Position, u8)> {
    let mut found = Vec::new();
    for n in 0..40_u8 {
        let subject = if n < 20 { client("c") } else { topic("t") };
        let record = Record {
            priority: n % 4,
            ..record(subject, &n.to_string())
        };
        found.push((bench.put(record).await, n % 4));
    }
    found
}

async fn urgent(
    bench: &Bench,
    selector: &Selector,
    after: Position,
    priority_min: u8,
    limit: usize,
) -> Urgent {
    let (selector, upto) = (selector.clone(), bench.last());
    let found = bench
        .read(move |reader| reader.urgent(&selector, after, upto, priority_min, limit))
        .await;
    found.expect("the read succeeds")
}

async fn urgent_entries_are_found_by_priority(backend: Backend) {
    let bench = backend.open();
    let all = mixed(&bench).await;
    for priority_min in 0..=3 {
        for (selector, part) in [(everything(), &all[..]), (exact([client("c")]), &all[..20])] {
            let found = urgent(&bench, &selector, Position::ZERO, priority_min, 100).await;
            let expected: Vec<_> = part
                .iter()
                .copied()
                .filter(|(_, priority)| *priority >= priority_min)
                .collect();
            assert_eq!(found.found, expected);
            assert_eq!(found.complete_to, bench.last());
        }
    }
    let later = urgent(&bench, &everything(), all[30].0, 3, 100).await;
    assert_eq!(later.found, [all[31], all[35], all[39]]);
}

async fn a_limit_ends_the_search_for_urgent_entries(backend: Backend) {
    let bench = backend.open();
    let all = mixed(&bench).await;
    let expected: Vec<_> = all
        .iter()
        .copied()
        .filter(|(_, priority)| *priority >= 2)
        .collect();
    let (mut after, mut found) = (Position::ZERO, Vec::new());
    while after < bench.last() {
        let part = urgent(&bench, &everything(), after, 2, 3).await;
        assert!(part.found.len() <= 3);
        assert!(part.complete_to > after, "each search makes progress");
        assert!(
            part.found
                .iter()
                .all(|(position, _)| *position <= part.complete_to)
        );
        found.extend(part.found);
        after = part.complete_to;
    }
    assert_eq!(found, expected);
}

async fn at_gives_the_kept_ones_as_asked(backend: Backend) {
    let bench = backend.open();
    let positions = bench.put_all(records(&topic("t"), "", 20)).await;
    let asked = vec![
        positions[7],
        positions[2],
        Position(u64::MAX >> 1),
        positions[19],
    ];
    let found = bench
        .read(move |reader| reader.at(&asked))
        .await
        .expect("the read succeeds");
    assert_eq!(ids(&found), ["7", "2", "19"]);
    let none = bench
        .read(|reader| reader.at(&[]))
        .await
        .expect("the read succeeds");
    assert!(none.is_empty());
}

async fn locate_finds_an_identity(backend: Backend) {
    let bench = backend.open();
    let brief = Record {
        ttl_ms: Some(1),
        ..record(topic("t"), "brief")
    };
    let early = bench.put_all(vec![record(topic("t"), "a"), brief]).await;
    bench.put_all(records(&topic("t"), "between", 30)).await;
    let late = bench
        .put(Record {
            source: "other".into(),
            ..record(topic("t"), "a")
        })
        .await;
    bench.clock.pass(10);
    let expected = [
        ("source", "a", Some(early[0])),
        ("source", "brief", Some(early[1])),
        ("other", "a", Some(late)),
        ("other", "b", None),
        ("sourc", "ea", None),
    ];
    for (source, id, position) in expected {
        let found = bench
            .read(move |reader| reader.locate(source, id))
            .await
            .expect("the read succeeds");
        assert_eq!(found.map(|entry| entry.position), position, "{source} {id}");
    }
}

async fn a_time_leads_to_the_newest_position_before_it(backend: Backend) {
    let bench = backend.open();
    let start = bench.clock.now();
    let mut stored = Vec::new();
    for n in 0..20 {
        stored.push((
            bench.put(record(topic("t"), &format!("a{n}"))).await,
            bench.clock.now(),
        ));
        stored.push((
            bench.put(record(topic("t"), &format!("b{n}"))).await,
            bench.clock.now(),
        ));
        bench.clock.pass(10);
    }
    for time in (start - 5)..(start + 210) {
        let expected = stored
            .iter()
            .rfind(|(_, at)| *at < time)
            .map_or(Position::ZERO, |(position, _)| *position);
        let found = bench
            .read(move |reader| reader.position_before(time))
            .await
            .expect("the read succeeds");
        assert_eq!(
            found,
            expected,
            "{} ms after the start",
            time as i64 - start as i64
        );
    }
}
