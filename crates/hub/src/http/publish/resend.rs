//! `?resend=1`: a sender that repeats after the idempotency window has the stored history searched too.

use std::sync::Arc;

use tidings_protocol::Message;
use tidings_store::{AppendError, Appended, Entry, Position, ReadError, Record};

use super::super::problem;
use super::accept::Refusal;
use super::fingerprint::fingerprint;
use crate::hub::Hub;

/// As `Journal::append`, for records of which some may lie in history already.
pub(super) async fn append(hub: &Hub, records: Vec<Record>) -> Result<Vec<Appended>, Refusal> {
    let found = search(hub, &records).await?;
    let (mut missing, mut indices) = (Vec::new(), Vec::new());
    for (index, record) in records.into_iter().enumerate() {
        if found[index].is_none() {
            missing.push(record);
            indices.push(index);
        }
    }
    let mut appended = if missing.is_empty() {
        Vec::new()
    } else {
        hub.store
            .append(missing)
            .await
            .map_err(|error| match error {
                AppendError::Conflict { index } => AppendError::Conflict {
                    index: indices[index],
                },
                other => other,
            })?
    }
    .into_iter();
    let outcome =
        |found: Option<Position>| found.map(Appended::Duplicate).or_else(|| appended.next());
    // One outcome per record: the store answers each one that was missing.
    Ok(found.into_iter().filter_map(outcome).collect())
}

/// Where the copies of the records lie. A record that is live only has none.
async fn search(hub: &Hub, records: &[Record]) -> Result<Vec<Option<Position>>, Refusal> {
    let identities = records.iter().map(|record| {
        record
            .durable
            .then(|| (Arc::clone(&record.source), Arc::clone(&record.id)))
    });
    let identities = identities.collect::<Vec<_>>();
    let located = hub.store.reading(move |reader| {
        let locate = |identity: Option<(Arc<str>, Arc<str>)>| match identity {
            Some((source, id)) => reader.locate(&source, &id),
            None => Ok(None),
        };
        identities
            .into_iter()
            .map(locate)
            .collect::<Result<Vec<_>, ReadError>>()
    });
    let entries = located
        .await
        .and_then(|entries| entries)
        .map_err(|error| Refusal {
            problem: problem::from_read(&error),
            index: None,
        })?;
    let compared = entries
        .iter()
        .zip(records)
        .enumerate()
        .map(|(index, (entry, record))| match entry {
            None => Ok(None),
            Some(entry) if is_copy(entry, record) => Ok(Some(entry.position)),
            Some(_) => Err(Refusal::from(AppendError::Conflict { index })),
        });
    compared.collect()
}

fn is_copy(entry: &Entry, record: &Record) -> bool {
    // What we stored can be read; if ever not, it is no copy of anything.
    serde_json::from_slice::<Message>(&entry.body)
        .is_ok_and(|stored| fingerprint(&stored) == record.fingerprint)
}
