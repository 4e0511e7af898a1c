//! The newest entries of a selector.

use rusqlite::Connection;

use super::list::List;
use super::postings::Postings;
use super::reader::{Reader, Snapshot, expires_at};
use super::selection::{LogScan, Selected};
use super::subjects::{SubjectId, matching};
use crate::entry::Position;
use crate::history::Selector;
use crate::query::Order;
use crate::trim::is_expired;

/// Rows of the log looked at for a filter. Where they do not suffice, its subjects are rare, and their index is the
/// shorter way.
const LOG_ROWS_MAX: usize = 10_000;

/// Ascending.
pub(super) fn find(
    reader: &mut Reader,
    selector: &Selector,
    limit: usize,
) -> rusqlite::Result<Vec<Position>> {
    let mut newest = match &selector.filter {
        Some(_) => match of_log(reader, selector, limit)? {
            Some(newest) => newest,
            None => {
                let subjects = matching(&reader.connection, selector)?;
                of_subjects(reader, &subjects, limit)?
            }
        },
        None => {
            let exact = reader.resolve(selector)?;
            of_subjects(reader, &exact, limit)?
        }
    };
    newest.reverse();
    Ok(newest)
}

/// `None` when the limit of rows came first.
fn of_log(
    reader: &mut Reader,
    selector: &Selector,
    limit: usize,
) -> rusqlite::Result<Option<Vec<Position>>> {
    let now = reader.shared.timeline.now();
    let bound = reader.shared.recent.bound();
    let exact = reader.resolve(selector)?;
    let mut selected = Selected::new(selector, &exact);
    let snapshot = Snapshot::begin(&reader.connection)?;
    let mut scan = LogScan::new((0, bound), Order::Descending);
    let mut newest = Vec::new();
    for _ in 0..LOG_ROWS_MAX {
        if newest.len() == limit {
            return Ok(Some(newest));
        }
        match scan.next(snapshot.connection, &mut reader.subjects, &mut selected)? {
            None => return Ok(Some(newest)),
            Some((position, true)) if is_of_use(snapshot.connection, position, now)? => {
                newest.push(Position(position));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

fn of_subjects(
    reader: &Reader,
    subjects: &[SubjectId],
    limit: usize,
) -> rusqlite::Result<Vec<Position>> {
    let now = reader.shared.timeline.now();
    let bound = reader.shared.recent.bound();
    let lists = subjects.iter().copied().map(List::Subject);
    let recent = &reader.shared.recent;
    let memory = recent
        .positions(lists.clone(), (0, bound), Order::Descending, usize::MAX)
        .concat();
    let snapshot = Snapshot::begin(&reader.connection)?;
    let mut postings = Postings::new(
        snapshot.connection,
        lists,
        memory,
        (0, bound),
        Order::Descending,
    )?;
    let mut newest = Vec::new();
    while newest.len() < limit
        && let Some(position) = postings.next(snapshot.connection)?
    {
        if is_of_use(snapshot.connection, position, now)? {
            newest.push(Position(position));
        }
    }
    Ok(newest)
}

fn is_of_use(connection: &Connection, position: u64, now: u64) -> rusqlite::Result<bool> {
    Ok(expires_at(connection, position)?.is_some_and(|expires_at| !is_expired(expires_at, now)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::entry::{Record, Subject};
    use crate::options::{Durability, Options};
    use crate::store::Store;

    fn record(topic: &str, id: usize) -> Record {
        Record {
            subject: Subject::Topic(topic.into()),
            source: topic.into(),
            id: id.to_string().into(),
            fingerprint: 0,
            kind: 0,
            priority: 0,
            exclude: None,
            ttl_ms: None,
            durable: true,
            body: Bytes::new(),
        }
    }

    #[tokio::test]
    async fn rare_subjects_are_found_behind_any_number_of_rows() {
        let dir = tempfile::tempdir().expect("a folder");
        let options = Options {
            dir: Some(dir.path().to_owned()),
            durability: Durability::Os,
            ..Options::default()
        };
        let store = Store::open(options, Vec::new()).expect("the store opens");
        let rare = (0..5).map(|id| record("rare", id)).collect();
        store.append(rare).await.expect("an append");
        let often = (0..LOG_ROWS_MAX).map(|id| record("often", id)).collect();
        store.append(often).await.expect("an append");

        let of = |topic: &'static str| Selector {
            exact: Vec::new(),
            filter: Some(Arc::new(move |subject| {
                *subject == Subject::Topic(topic.into())
            })),
            ..Selector::default()
        };
        let newest = store
            .reading(move |reader| {
                (
                    reader.newest(&of("rare"), 2),
                    reader.newest(&of("often"), 2),
                )
            })
            .await
            .expect("the store reads");
        let positions = |last: u64| vec![Position(last - 1), Position(last)];
        assert_eq!(newest.0.expect("a read"), positions(5));
        assert_eq!(
            newest.1.expect("a read"),
            positions(5 + LOG_ROWS_MAX as u64)
        );
    }
}
