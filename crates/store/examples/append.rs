//! How fast the store alone takes batches, for comparison with publishing over HTTP.
//!
//! `append <folder> <seconds>` prints one JSON object in the form of the load tool of `bench/`, whose workload
//! `publish-batch` has as many callers, batches of this size and payloads of this length.
#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_store::{Options, Record, Store, Subject};
use tokio::task::JoinSet;

const CALLERS: u64 = 16;
const BATCH: u64 = 100;
const BODY_BYTES: usize = 200;
const WARM_UP: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map(PathBuf::from);
    let seconds = arguments.next().and_then(|text| text.parse().ok());
    let (Some(folder), Some(seconds)) = (folder, seconds) else {
        panic!("usage: append <folder> <seconds>");
    };
    let options = Options {
        dir: Some(folder),
        ..Options::default()
    };
    let store = Store::open(options, Vec::new()).expect("the store opens");
    let appended = Arc::new(AtomicU64::new(0));
    let numbers = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, appended, numbers) = (store.clone(), appended.clone(), numbers.clone());
        callers.spawn(async move {
            loop {
                let first = numbers.fetch_add(BATCH, Ordering::Relaxed);
                let records = (first..first + BATCH).map(record).collect();
                store.append(records).await.expect("the append succeeds");
                appended.fetch_add(BATCH, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, started) = (appended.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let messages = appended.load(Ordering::Relaxed) - before;
    let per_s = messages as f64 / started.elapsed().as_secs_f64();
    callers.shutdown().await;
    store.close();
    println!(
        r#"{{"workload":"publish-batch","peer":"store","good":true,"figures":{{"messages_per_s":{per_s:.0}}}}}"#
    );
}

fn record(n: u64) -> Record {
    Record {
        subject: Subject::Topic("bench".into()),
        source: "anonymous".into(),
        id: format!("{n:036}").into(),
        fingerprint: u128::from(n),
        kind: 1,
        priority: 1,
        exclude: None,
        ttl_ms: None,
        durable: true,
        body: Bytes::from(vec![b'x'; BODY_BYTES]),
    }
}
