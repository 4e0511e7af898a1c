//! Several sources that append to an open store until they are told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tidings_store::{Expect, Position, Put, Store};
use tokio::task::{JoinSet, yield_now};

use super::ledger::{Ledger, has_cell, numbered};
use crate::bench::stored;

const SOURCES: [&str; 4] = ["a", "b", "cell-a", "cell-b"];

type Acknowledged = Vec<(&'static str, u64, Position)>;

pub(super) struct Load {
    epoch: String,
    acknowledged: Arc<Mutex<Acknowledged>>,
    stopped: Arc<AtomicBool>,
    appenders: JoinSet<()>,
}

impl Load {
    pub(super) fn start(store: &Store) -> Self {
        let mut load = Self {
            epoch: store.epoch().to_owned(),
            acknowledged: Arc::default(),
            stopped: Arc::default(),
            appenders: JoinSet::new(),
        };
        for source in SOURCES {
            let (store, acknowledged, stopped) = (
                store.clone(),
                load.acknowledged.clone(),
                load.stopped.clone(),
            );
            load.appenders.spawn(async move {
                let mut number = 0;
                while !stopped.load(Ordering::Relaxed) {
                    let position = append(&store, source, number).await;
                    lock(&acknowledged).push((source, number, position));
                    number += 1;
                }
            });
        }
        load
    }

    /// Returns once so many more are acknowledged.
    pub(super) async fn goes_on(&self, count: usize) {
        let upto = lock(&self.acknowledged).len() + count;
        while lock(&self.acknowledged).len() < upto {
            yield_now().await;
        }
    }

    /// What is acknowledged by now.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.began(&self.epoch);
        for (source, number, position) in lock(&self.acknowledged).iter() {
            ledger.acknowledge(source, *number, *position);
        }
        ledger
    }

    pub(super) async fn stop(mut self) -> Ledger {
        self.stopped.store(true, Ordering::Relaxed);
        while let Some(ended) = self.appenders.join_next().await {
            ended.expect("an appender ends");
        }
        self.ledger()
    }
}

async fn append(store: &Store, source: &str, number: u64) -> Position {
    let put = has_cell(source).then(|| Put {
        key: source.into(),
        value: Some(Bytes::from(number.to_string())),
        expect: Expect::Any,
        expires_at: None,
    });
    let committed = store
        .commit(put.into_iter().collect(), vec![numbered(source, number)])
        .await
        .expect("the commit succeeds");
    stored(committed.appended[0])
}

fn lock(acknowledged: &Mutex<Acknowledged>) -> std::sync::MutexGuard<'_, Acknowledged> {
    acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
}
