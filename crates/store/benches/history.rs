//! Pages of history of a store with a million messages, and what so many cost those who publish.
//!
//! `cargo xtask bench-history` runs it. Figures depend on the machine and on what else it does; the rounds of the two
//! stores alternate, so that their ratio depends on that less.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tidings_store::{
    Durability, Expect, Found, Options, Order, Position, Put, Query, Record, Scope, Store, Subject,
    Topics,
};
use tokio::task::JoinSet;

const ENTRIES: usize = 1_000_000;
const CLIENTS: usize = 10_000;
const TOPICS: usize = 2_000;
/// Topics are `area/<n>/<topic>`, so one area has 40 of them.
const AREAS: usize = 50;
const SOURCES: usize = 500;
const BODY_BYTES: usize = 300;
/// As many as messages that wait for an ack.
const CELLS: usize = 10_000;

const BATCH: usize = 100;
/// Publishers that each wait for their answer.
const PUBLISHERS: usize = 32;
const ROUNDS: usize = 9;
const ROUND_BATCHES: usize = 2000;

const PAGES: usize = 300;
/// As the hub asks.
const BYTES_MAX: usize = 4 * 1024 * 1024;
const ROWS_MAX: usize = 3000;

const COMMON: u8 = 1;
/// One entry of ten thousand.
const RARE: u8 = 6;

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` would take minutes with it.
    if std::env::args().all(|argument| argument != "--bench") {
        return;
    }
    let (folder, store) = open();
    fill(&store).await;
    pages(&store).await;
    publishing(&store).await;
    store.close();
    drop(folder);
}

fn open() -> (TempDir, Store) {
    // On the disk of the build and not on what may be memory.
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let options = Options {
        dir: Some(folder.path().to_owned()),
        durability: Durability::Disk,
        ..Options::default()
    };
    let store = Store::open(options, Vec::new()).expect("the store opens");
    (folder, store)
}

/// Numbers without a pattern that an index could profit from.
fn scattered(n: usize) -> usize {
    let mixed = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 20) as usize
}

fn record(n: usize) -> Record {
    let some = scattered(n);
    let subject = match some % 20 {
        0..8 => client(some / 20),
        8..19 => topic(some / 20),
        _ => Subject::All,
    };
    Record {
        subject,
        source: source(scattered(some)),
        id: n.to_string().into(),
        fingerprint: n as u128,
        kind: if n.is_multiple_of(10_000) {
            RARE
        } else {
            COMMON
        },
        priority: 1,
        exclude: None,
        ttl_ms: None,
        durable: true,
        body: Bytes::from(vec![b'x'; BODY_BYTES]),
    }
}

fn client(n: usize) -> Subject {
    Subject::Client(format!("client-{}", n % CLIENTS).into())
}

fn topic(n: usize) -> Subject {
    let n = n % TOPICS;
    Subject::Topic(format!("area/{}/topic-{n}", n % AREAS).into())
}

fn source(n: usize) -> Arc<str> {
    format!("source-{}", n % SOURCES).into()
}

fn cell(n: usize) -> Put {
    Put {
        key: format!("pending/client-{n}/{n}"),
        value: Some(Bytes::from(vec![b'x'; 50])),
        expect: Expect::Any,
        expires_at: None,
    }
}

async fn fill(store: &Store) {
    let started = Instant::now();
    publish(store, 0, ENTRIES / BATCH).await;
    for first in (0..CELLS).step_by(BATCH) {
        let puts = (first..first + BATCH).map(cell).collect();
        store
            .commit(puts, Vec::new())
            .await
            .expect("the commit succeeds");
    }
    println!(
        "{ENTRIES} messages of {BODY_BYTES} bytes and {CELLS} cells stored in {:.1} s, {} MiB on disk\n",
        started.elapsed().as_secs_f64(),
        store.stats().log_bytes >> 20
    );
}

/// Batches from `first` on; how long they took, with the indexes that a store makes later: a trim makes them before it
/// looks for what to remove, and here there is nothing to remove.
async fn publish(store: &Store, first: usize, batches: usize) -> Duration {
    let started = Instant::now();
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let store = store.clone();
        publishers.spawn(async move {
            for batch in (publisher..batches).step_by(PUBLISHERS) {
                let from = first + batch * BATCH;
                let records = (from..from + BATCH).map(record).collect();
                store.append(records).await.expect("the append succeeds");
            }
        });
    }
    while let Some(ended) = publishers.join_next().await {
        ended.expect("no publisher panics");
    }
    store.trim().await.expect("the trim succeeds");
    started.elapsed()
}

/// What a round took, for each message.
#[derive(Clone, Copy)]
struct Cost {
    per_second: f64,
    /// Of the whole process, in microseconds.
    cpu: f64,
    /// Handed to the kernel, in bytes: what waits for a disk depends on it, whatever else the machine does.
    written: f64,
}

async fn round(store: &Store, number: usize) -> Cost {
    let messages = (ROUND_BATCHES * BATCH) as f64;
    let (cpu, written) = used();
    let took = publish(
        store,
        ENTRIES + number * ROUND_BATCHES * BATCH,
        ROUND_BATCHES,
    )
    .await;
    let (cpu_after, written_after) = used();
    Cost {
        per_second: messages / took.as_secs_f64(),
        cpu: (cpu_after - cpu) / messages,
        written: (written_after - written) / messages,
    }
}

/// Microseconds and bytes since the start of the process; only Linux tells the bytes.
fn used() -> (f64, f64) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    let written = written.and_then(|written| written.parse().ok());
    (
        cpu.tv_sec as f64 * 1e6 + cpu.tv_nsec as f64 / 1e3,
        written.unwrap_or_default(),
    )
}

/// Rounds to a new store and to the full one in turn, each time the other one first: what the machine does meanwhile then
/// falls on both.
async fn publishing(full: &Store) {
    println!(
        "\npublishing, batches of {BATCH} by {PUBLISHERS} publishers, to an empty store and to a full one:"
    );
    println!(
        "{:>8}{:>12}{:>9}{:>7}{:>14}{:>7}{:>7}{:>17}{:>7}{:>7}",
        "round", "messages/s", "", "ratio", "CPU us/msg", "", "ratio", "written B/msg", "", "ratio"
    );
    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        let (folder, empty) = open();
        let (to_empty, to_full) = if number.is_multiple_of(2) {
            let to_empty = round(&empty, number).await;
            (to_empty, round(full, number).await)
        } else {
            let to_full = round(full, number).await;
            (round(&empty, number).await, to_full)
        };
        empty.close();
        drop(folder);
        row(&number.to_string(), to_empty, to_full);
        rounds.push((to_empty, to_full));
    }
    let median = |value: &dyn Fn(&(Cost, Cost)) -> f64| {
        at(&mut rounds.iter().map(value).collect::<Vec<_>>(), 0.5)
    };
    let of = |cost: fn(&(Cost, Cost)) -> Cost| Cost {
        per_second: median(&|round| cost(round).per_second),
        cpu: median(&|round| cost(round).cpu),
        written: median(&|round| cost(round).written),
    };
    row("median", of(|round| round.0), of(|round| round.1));
    println!(
        "median of the ratios: {:.2} of the messages/s, {:.2} of the CPU, {:.2} of the bytes",
        median(&|(empty, full)| full.per_second / empty.per_second),
        median(&|(empty, full)| full.cpu / empty.cpu),
        median(&|(empty, full)| full.written / empty.written),
    );
}

fn row(name: &str, empty: Cost, full: Cost) {
    println!(
        "{name:>8}{:12.0}{:9.0}{:7.2}{:14.2}{:7.2}{:7.2}{:17.0}{:7.0}{:7.2}",
        empty.per_second,
        full.per_second,
        full.per_second / empty.per_second,
        empty.cpu,
        full.cpu,
        full.cpu / empty.cpu,
        empty.written,
        full.written,
        full.written / empty.written,
    );
}

/// The part of the values that lies below, 0 to 1.
fn at(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

fn anything() -> Query {
    Query {
        scope: Scope::Everything,
        source: None,
        kinds: Vec::new(),
        reader: None,
        since: None,
        until: None,
        after: None,
        order: Order::Descending,
        limit: 50,
        bytes_max: BYTES_MAX,
        rows_max: ROWS_MAX,
    }
}

fn of(subjects: Vec<Subject>, topics: Vec<Topics>) -> Scope {
    Scope::Of { subjects, topics }
}

/// As the pattern `area/<n>/#`, or `#`.
fn below(prefix: String) -> Topics {
    let levels = prefix.clone();
    Topics {
        prefix,
        accepts: Arc::new(move |name| {
            let rest = name.strip_prefix(&*levels);
            rest.is_some_and(|rest| levels.is_empty() || rest.is_empty() || rest.starts_with('/'))
        }),
    }
}

async fn pages(store: &Store) {
    let last = store.bounds().last.0;
    let times = times(store, last).await;
    let time = |n: usize| times[scattered(n) % times.len()];
    let area = |n: usize| below(format!("area/{}", n % AREAS));
    println!("a page of 50, {PAGES} times, each time of another client, topic or source:");
    println!(
        "{:44}{:>9}{:>9}{:>9}{:>9}",
        "", "p50 ms", "p99 ms", "max ms", "found"
    );
    let deep = |n: usize| Some(Position(scattered(n) as u64 % last + 1));
    measure(store, "everything", |_| anything()).await;
    measure(store, "everything, 1,000 on a page", |_| Query {
        limit: 1000,
        ..anything()
    })
    .await;
    measure(store, "everything, from somewhere", |n| Query {
        after: deep(n),
        ..anything()
    })
    .await;
    measure(store, "everything since some time, upwards", |n| Query {
        since: Some(time(n)),
        order: Order::Ascending,
        ..anything()
    })
    .await;
    let of_client = |n| Query {
        scope: of(vec![client(n)], Vec::new()),
        ..anything()
    };
    let of_topic = |n| Query {
        scope: of(vec![topic(n)], Vec::new()),
        ..anything()
    };
    let of_area = |n| Query {
        scope: of(Vec::new(), vec![area(n)]),
        ..anything()
    };
    let of_source = |n| Query {
        source: Some(source(n)),
        ..anything()
    };
    measure(store, "clientId", of_client).await;
    measure(store, "topic", of_topic).await;
    measure(store, "topic, until some time", |n| Query {
        until: Some(time(n)),
        ..of_topic(n)
    })
    .await;
    measure(store, "topic, pattern of 40", of_area).await;
    measure(store, "topic, pattern of 40, from somewhere", |n| Query {
        after: deep(n),
        ..of_area(n)
    })
    .await;
    measure(store, "topic, pattern of all 2,000", |_| Query {
        scope: of(Vec::new(), vec![below(String::new())]),
        ..anything()
    })
    .await;
    measure(store, "source", of_source).await;
    measure(store, "source, from somewhere", |n| Query {
        after: deep(n),
        ..of_source(n)
    })
    .await;
    measure(store, "source that never sent", |n| Query {
        source: Some(format!("nobody-{n}").into()),
        ..anything()
    })
    .await;
    measure(store, "source and topic", |n| Query {
        source: Some(source(n)),
        ..of_topic(n)
    })
    .await;
    measure(store, "source and pattern of 40", |n| Query {
        source: Some(source(n)),
        ..of_area(n)
    })
    .await;
    measure(store, "mailbox, broadcast, topic, pattern of 40", |n| {
        Query {
            scope: of(vec![client(n), Subject::All, topic(n + 1)], vec![area(n)]),
            reader: Some(format!("client-{}", n % CLIENTS).into()),
            ..anything()
        }
    })
    .await;
    measure(store, "type, rare", |n| Query {
        kinds: vec![RARE],
        after: deep(n),
        ..anything()
    })
    .await;
    measure(store, "type, rare, and topic", |n| Query {
        kinds: vec![RARE],
        ..of_topic(n)
    })
    .await;
    measure(store, "type, rare, and source", |n| Query {
        kinds: vec![RARE],
        ..of_source(n)
    })
    .await;
}

/// When some of the entries were stored.
async fn times(store: &Store, last: u64) -> Vec<u64> {
    let positions = (1..1000)
        .map(|n| Position(last * n / 1000))
        .collect::<Vec<_>>();
    let entries = store.reading(move |reader| reader.at(&positions)).await;
    let entries = entries
        .expect("the store reads")
        .expect("the read succeeds");
    entries.iter().map(|entry| entry.stored_at).collect()
}

async fn measure(store: &Store, name: &str, query: impl Fn(usize) -> Query) {
    let mut took = Vec::with_capacity(PAGES);
    let mut found = 0;
    for n in 0..PAGES {
        let query = query(n * 7919);
        let (page, ms): (Found, f64) = store
            .reading(move |reader| {
                let started = Instant::now();
                let page = reader.find(&query).expect("the read succeeds");
                (page, started.elapsed().as_secs_f64() * 1000.0)
            })
            .await
            .expect("the store reads");
        found += page.entries.len();
        took.push(ms);
    }
    println!(
        "{name:44}{:9.2}{:9.2}{:9.2}{:9.1}",
        at(&mut took, 0.5),
        at(&mut took, 0.99),
        at(&mut took, 1.0),
        found as f64 / PAGES as f64
    );
}
