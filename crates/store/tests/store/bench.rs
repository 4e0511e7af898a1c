//! A store under test, with a clock and a follower of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tempfile::TempDir;
use tidings_store::{
    Appended, Clock, Durability, Entry, Follower, Options, Order, Position, Query, Reader, Record,
    Scope, Selector, Slice, Store, Subject, Topics, Tuning,
};

/// Makes a test of each claim for each backend. A claim is an async function of a [`Backend`].
macro_rules! for_each_backend {
    ($($claim:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $claim() {
                $crate::bench::in_time(super::$claim($crate::bench::Backend::Memory)).await;
            })+
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $claim() {
                $crate::bench::in_time(super::$claim($crate::bench::Backend::Embedded)).await;
            })+
        }
    };
}
pub(crate) use for_each_backend;

/// Only a hang takes this long.
pub(crate) async fn in_time(claim: impl Future<Output = ()>) {
    tokio::time::timeout(std::time::Duration::from_secs(60), claim)
        .await
        .expect("the test hangs");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Embedded,
}

impl Backend {
    pub(crate) fn open(self) -> Bench {
        self.open_with(|_| ())
    }

    pub(crate) fn open_with(self, adjust: impl FnOnce(&mut Options)) -> Bench {
        self.open_following(adjust, Box::new(Released::default()))
    }

    /// With a second follower behind the one of the bench.
    pub(crate) fn open_following(
        self,
        adjust: impl FnOnce(&mut Options),
        second: Box<dyn Follower>,
    ) -> Bench {
        let clock = TestClock::default();
        let dir = match self {
            Self::Memory => None,
            Self::Embedded => Some(TempDir::new().expect("a folder can be made")),
        };
        let mut options = Options {
            dir: dir.as_ref().map(|dir| dir.path().to_owned()),
            durability: Durability::Os,
            clock: clock.clock(),
            // Small, so that a few entries pass through every step.
            tuning: Tuning {
                commit_records: 16,
                merge_rows: 8,
                merge_slice_rows: 4,
                checkpoint_pages: 16,
                trim_slice_rows: 4,
                ..Tuning::default()
            },
            ..Options::default()
        };
        adjust(&mut options);
        let released = Released::default();
        let followers = vec![Box::new(released.clone()), second];
        let store = Store::open(options.clone(), followers).expect("the store opens");
        Bench {
            store,
            clock,
            released,
            options,
            _dir: dir,
        }
    }
}

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) clock: TestClock,
    pub(crate) released: Released,
    options: Options,
    /// Outlives the store.
    _dir: Option<TempDir>,
}

impl Bench {
    /// Closes the store and opens it again; what is in memory alone stays open.
    pub(crate) fn reopen(&mut self) {
        if self.options.dir.is_some() {
            self.store.close();
            let followers: Vec<Box<dyn Follower>> = vec![Box::new(self.released.clone())];
            self.store =
                Store::open(self.options.clone(), followers).expect("the store opens again");
        }
    }

    /// Appends one record that must be new.
    pub(crate) async fn put(&self, record: Record) -> Position {
        self.put_all(vec![record]).await[0]
    }

    /// Appends records that must all be new.
    pub(crate) async fn put_all(&self, records: Vec<Record>) -> Vec<Position> {
        let appended = self
            .store
            .append(records)
            .await
            .expect("the append succeeds");
        appended.iter().map(|appended| stored(*appended)).collect()
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Reader) -> T + Send + 'static,
    ) -> T {
        self.store.reading(job).await.expect("the store reads")
    }

    /// The ids of everything selected after a position, in order.
    pub(crate) async fn ids_after(&self, selector: &Selector, after: Position) -> Vec<String> {
        let (selector, upto) = (selector.clone(), self.last());
        self.read(move |reader| {
            let page = reader
                .read(&selector, whole(after, upto))
                .expect("the read succeeds");
            assert_eq!(page.scanned_to, upto, "nothing ended the page");
            ids(&page.entries)
        })
        .await
    }

    pub(crate) fn last(&self) -> Position {
        self.store.bounds().last
    }
}

/// A slice without limits.
pub(crate) fn whole(after: Position, upto: Position) -> Slice {
    Slice {
        after,
        upto,
        bytes_max: usize::MAX,
        rows_max: usize::MAX,
    }
}

pub(crate) fn ids(entries: &[Arc<Entry>]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.to_string()).collect()
}

pub(crate) fn stored(appended: Appended) -> Position {
    match appended {
        Appended::Stored(position) => position,
        other => panic!("expected a new entry, found {other:?}"),
    }
}

pub(crate) fn client(id: &str) -> Subject {
    Subject::Client(id.into())
}

pub(crate) fn topic(name: &str) -> Subject {
    Subject::Topic(name.into())
}

pub(crate) fn exact<const N: usize>(subjects: [Subject; N]) -> Selector {
    Selector {
        exact: Vec::from(subjects),
        ..Selector::default()
    }
}

pub(crate) fn filter(accepts: impl Fn(&Subject) -> bool + Send + Sync + 'static) -> Selector {
    Selector {
        exact: Vec::new(),
        filter: Some(Arc::new(accepts)),
        ..Selector::default()
    }
}

pub(crate) fn topics(
    prefix: &str,
    accepts: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Topics {
    Topics {
        prefix: prefix.into(),
        accepts: Arc::new(accepts),
    }
}

pub(crate) fn everything() -> Selector {
    filter(|_| true)
}

/// A query that finds everything.
pub(crate) fn anything() -> Query {
    Query {
        scope: Scope::Everything,
        source: None,
        kinds: Vec::new(),
        reader: None,
        since: None,
        until: None,
        after: None,
        order: Order::Ascending,
        limit: 1000,
        bytes_max: usize::MAX,
        rows_max: 10_000,
    }
}

/// A record of source "source" whose fingerprint and body follow from its id.
pub(crate) fn record(subject: Subject, id: &str) -> Record {
    Record {
        subject,
        source: "source".into(),
        id: id.into(),
        fingerprint: id.bytes().fold(1, |sum, byte| sum * 31 + u128::from(byte)),
        kind: 1,
        priority: 1,
        exclude: None,
        ttl_ms: None,
        durable: true,
        body: Bytes::from(format!("body of {id}")),
    }
}

/// Records of one subject with ids `<prefix>0`, `<prefix>1`, ...
pub(crate) fn records(subject: &Subject, prefix: &str, count: usize) -> Vec<Record> {
    (0..count)
        .map(|n| record(subject.clone(), &format!("{prefix}{n}")))
        .collect()
}

/// A follower that keeps what was released.
#[derive(Clone, Default)]
pub(crate) struct Released(Arc<Mutex<Vec<Arc<Entry>>>>);

impl Released {
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.0
            .lock()
            .expect("no test panics under the lock")
            .clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        ids(&self.entries())
    }
}

impl Follower for Released {
    fn released(&mut self, entries: &[Arc<Entry>]) {
        self.0
            .lock()
            .expect("no test panics under the lock")
            .extend_from_slice(entries);
    }
}

/// Clocks that stand until they are moved.
#[derive(Clone)]
pub(crate) struct TestClock {
    wall: Arc<AtomicU64>,
    monotonic: Arc<AtomicU64>,
}

impl Default for TestClock {
    fn default() -> Self {
        Self {
            wall: Arc::new(AtomicU64::new(1_700_000_000_000)),
            monotonic: Arc::new(AtomicU64::new(77)),
        }
    }
}

impl TestClock {
    pub(crate) fn now(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    /// Time passes.
    pub(crate) fn pass(&self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::SeqCst);
        self.monotonic.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set(&self, wall: u64) {
        self.wall.store(wall, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let (wall, monotonic) = (self.wall.clone(), self.monotonic.clone());
        Clock::new(
            move || wall.load(Ordering::SeqCst),
            move || monotonic.load(Ordering::SeqCst),
        )
    }
}
