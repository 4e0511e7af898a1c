//! What was acknowledged, kept outside of the store.

use std::collections::{HashMap, HashSet};

use tidings_store::{Appended, Class, Position, Record, Store, Subject};

use super::folder::contents;
use crate::bench::{client, record};

/// One record of the appenders: `number` counts from 0 within a source.
pub(super) fn numbered(source: &str, number: u64) -> Record {
    let subject = if is_noise(source) {
        Subject::All
    } else {
        client(source)
    };
    Record {
        source: source.into(),
        ..record(subject, &number.to_string())
    }
}

/// The source whose records retention removes.
pub(super) fn is_noise(source: &str) -> bool {
    source.starts_with("noise")
}

/// Whether a source writes its newest number into a cell of its name with each commit.
pub(super) fn has_cell(source: &str) -> bool {
    source.starts_with("cell")
}

/// Acknowledged records: the number and position of each, by source.
#[derive(Default)]
pub(super) struct Ledger {
    acknowledged: HashMap<String, Vec<(u64, Position)>>,
    /// Epochs that the store named, with the newest position acknowledged in each.
    epochs: Vec<(String, Position)>,
}

impl Ledger {
    pub(super) fn began(&mut self, epoch: &str) {
        self.epochs.push((epoch.to_owned(), Position::ZERO));
    }

    pub(super) fn acknowledge(&mut self, source: &str, number: u64, position: Position) {
        self.acknowledged
            .entry(source.to_owned())
            .or_default()
            .push((number, position));
        if let Some((_, newest)) = self.epochs.last_mut() {
            *newest = position.max(*newest);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.acknowledged.values().map(Vec::len).sum()
    }

    /// Nothing acknowledged is lost, moved, doubled or out of order; cells and entries agree; epochs end where they should.
    pub(super) async fn check(&self, store: &Store) {
        let stored = contents(store).await;
        let mut numbers: HashMap<&str, Vec<(u64, Position)>> = HashMap::new();
        for (source, id, position) in &stored {
            numbers
                .entry(source)
                .or_default()
                .push((id.parse().expect("an id is a number"), *position));
        }
        for (source, acknowledged) in &self.acknowledged {
            let found = numbers.get(source.as_str()).map_or(&[][..], Vec::as_slice);
            check_acknowledged(
                source,
                acknowledged,
                found,
                store.trimmed_to(Class::Broadcast),
            );
        }
        for (source, found) in &numbers {
            assert!(
                found.is_sorted_by(|a, b| a.0 < b.0),
                "{source} is doubled or out of order: {found:?}"
            );
            if !is_noise(source) {
                assert_eq!(
                    found[found.len() - 1].0 + 1,
                    found.len() as u64,
                    "{source} has holes: {found:?}"
                );
            }
            if has_cell(source) {
                check_cell(store, source, found[found.len() - 1].0).await;
            }
        }
        for (epoch, newest) in &self.epochs {
            let end = store.lineage_end(epoch);
            assert!(
                end >= Some(*newest),
                "epoch {epoch} ends at {end:?}, and {newest} was acknowledged in it"
            );
        }
        assert!(
            !self.epochs.iter().any(|(epoch, _)| epoch == store.epoch()),
            "each open has an epoch of its own"
        );
    }

    /// The window is filled again: a copy of the newest record of each source is known.
    pub(super) async fn check_duplicates(&self, store: &Store) {
        for (source, acknowledged) in &self.acknowledged {
            let Some((number, position)) = acknowledged.last().filter(|_| !is_noise(source)) else {
                continue;
            };
            let answer = store.append(vec![numbered(source, *number)]).await;
            assert_eq!(
                answer,
                Ok(vec![Appended::Duplicate(*position)]),
                "{source} {number}"
            );
        }
    }

    /// The number that each source goes on with, from what is stored.
    pub(super) async fn next_numbers(store: &Store) -> HashMap<String, u64> {
        let stored = contents(store).await;
        stored
            .into_iter()
            .map(|(source, id, _)| (source, id.parse::<u64>().expect("an id is a number") + 1))
            .collect()
    }
}

fn check_acknowledged(
    source: &str,
    acknowledged: &[(u64, Position)],
    found: &[(u64, Position)],
    trimmed_to: Position,
) {
    let found: HashSet<&(u64, Position)> = found.iter().collect();
    for known in acknowledged {
        let trimmed = is_noise(source) && known.1 <= trimmed_to;
        assert!(
            trimmed || found.contains(known),
            "{source} {} was acknowledged at {} and is lost",
            known.0,
            known.1
        );
    }
}

async fn check_cell(store: &Store, source: &str, newest: u64) {
    let key = source.to_owned();
    let cell = store
        .reading(move |reader| reader.cell(&key))
        .await
        .expect("the store reads");
    let value = cell
        .expect("the read succeeds")
        .expect("the cell was put with the first entry")
        .value;
    assert_eq!(
        value,
        newest.to_string(),
        "the cell of {source} and its entries were committed together"
    );
}
