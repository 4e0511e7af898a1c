//! How far each client has read its mailbox: the cursor that it acked, kept in a cell of the store.

mod decision;

use bytes::Bytes;
use tidings_protocol::{ClientId, Cursor, Epoch};
use tidings_store::{
    Class, CommitError, Expect, Position, Put, ReadError, Reader, Revision, Selector, Slice, Store,
    Subject,
};

pub(crate) use decision::Read;
use decision::{Decision, Known, decide};

/// Acks of one client that meet in the store are tried again; more than this many at the same moment are none of a
/// well-behaved client.
const ATTEMPTS_MAX: usize = 16;

/// A cursor is forgotten after so many times the age that mailboxes keep. By then retention has taken all that it
/// acknowledged, unless it was held up; and what is forgotten too early is only sent again.
const AGES_KEPT: u64 = 2;

/// Entries looked at between the stored cursor and the place where a client began to read.
const BETWEEN_ROWS_MAX: usize = 64;

/// What became of an ack.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) applied: bool,
    /// Where the client stands now; `None` when it has never acked anything.
    pub(crate) read: Option<Read>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AckError {
    #[error("cannot read the stored cursor")]
    Read(#[from] ReadError),
    #[error("cannot store the cursor")]
    Commit(#[source] CommitError),
    #[error("too many acks of one client at once")]
    Contended,
}

/// Moves the client's mailbox cursor as far as `cursor` allows; see [`decide`]. Idempotent.
pub(crate) async fn acknowledge(
    store: &Store,
    client: &ClientId,
    device: Option<&ClientId>,
    cursor: &Cursor,
    from: Option<&Cursor>,
) -> Result<Acknowledged, AckError> {
    let key = key(client, device);
    let cursor = known(store, cursor);
    let from = from.map(|from| known(store, from));
    for _ in 0..ATTEMPTS_MAX {
        let (stored, revision) = stored_with_revision(store, &key).await?;
        let read = stored.clone().unwrap_or_default();
        let trimmed_to = store.trimmed_to(Class::Mailbox).0;
        let mut decision = decide(&read, trimmed_to, &cursor, from.as_ref());
        if let (Decision::Refuse, Some(from)) = (&decision, &from)
            && nothing_between(store, client, &read, &from.read).await?
        {
            decision = decide(&read, from.read.position, &cursor, Some(from));
        }
        let (applied, read) = match decision {
            Decision::Refuse => (false, stored),
            Decision::Stay => (true, stored),
            Decision::Move(moved) => match write(store, &key, &moved, revision).await {
                Ok(()) => (true, Some(moved)),
                Err(CommitError::Revision { .. }) => continue,
                Err(error) => return Err(AckError::Commit(error)),
            },
        };
        return Ok(Acknowledged { applied, read });
    }
    Err(AckError::Contended)
}

/// Where the client stands, as the answer to a call that does not move it.
pub(crate) async fn standing(
    store: &Store,
    client: &ClientId,
    device: Option<&ClientId>,
) -> Result<Acknowledged, AckError> {
    let (read, _) = stored_with_revision(store, &key(client, device)).await?;
    let applied = true;
    Ok(Acknowledged { applied, read })
}

/// Where a client's mailbox starts for a connection without a cursor; `None` when it never acked.
pub(crate) fn stored(
    reader: &mut Reader,
    client: &ClientId,
    device: Option<&ClientId>,
) -> Result<Option<Read>, ReadError> {
    let cell = reader.cell(&key(client, device))?;
    Ok(cell.and_then(|cell| decode(&cell.value)))
}

/// The cursor's text in the present epoch.
pub(crate) fn text(epoch: &Epoch, read: &Read) -> String {
    let cursor = Cursor {
        ahead: read.ahead.clone(),
        ..Cursor::at(epoch.clone(), read.position)
    };
    cursor.to_string()
}

async fn stored_with_revision(
    store: &Store,
    key: &str,
) -> Result<(Option<Read>, Option<Revision>), ReadError> {
    let key = key.to_owned();
    let cell = store.reading(move |reader| reader.cell(&key)).await??;
    let read = cell.as_ref().and_then(|cell| decode(&cell.value));
    Ok((read, cell.map(|cell| cell.revision)))
}

async fn write(
    store: &Store,
    key: &str,
    read: &Read,
    revision: Option<Revision>,
) -> Result<(), CommitError> {
    let put = Put {
        key: key.to_owned(),
        value: Some(encode(read)),
        expect: revision.map_or(Expect::Absent, Expect::Revision),
        expires_at: expires_at(store),
    };
    store.commit(vec![put], Vec::new()).await.map(|_| ())
}

/// `None` where mailboxes are kept for ever.
fn expires_at(store: &Store) -> Option<u64> {
    let age_ms = store.retention().mailbox.age_ms;
    (age_ms > 0).then(|| store.now().saturating_add(age_ms.saturating_mul(AGES_KEPT)))
}

/// Whether nothing is kept for the client that lies behind the stored cursor and not behind the other one: they are then
/// the same place to it.
async fn nothing_between(
    store: &Store,
    client: &ClientId,
    stored: &Read,
    from: &Read,
) -> Result<bool, ReadError> {
    let selector = Selector {
        exact: vec![Subject::Client(client.as_str().into())],
        ..Selector::default()
    };
    let slice = Slice {
        after: Position(stored.position),
        upto: Position(from.position),
        rows_max: BETWEEN_ROWS_MAX,
        bytes_max: 0,
    };
    let page = store
        .reading(move |reader| reader.read(&selector, slice))
        .await??;
    Ok(page.entries.is_empty() && page.scanned_to >= slice.upto)
}

/// One cursor for the client, and one for each device that it names. No id has a control character.
fn key(client: &ClientId, device: Option<&ClientId>) -> String {
    match device {
        None => format!("ack/{client}"),
        Some(device) => format!("ack/{client}\u{1f}{device}"),
    }
}

fn known(store: &Store, cursor: &Cursor) -> Known {
    Known {
        read: Read {
            position: cursor.mailbox,
            ahead: cursor.ahead.clone(),
        },
        epoch_end: store
            .lineage_end(cursor.epoch.as_str())
            .map(|Position(end)| end),
    }
}

/// Positions as decimal text, the position first: readable in the database, and positions go on across epochs.
fn encode(read: &Read) -> Bytes {
    let ahead = read.ahead.iter().map(|position| format!("+{position}"));
    Bytes::from(format!("{}{}", read.position, ahead.collect::<String>()))
}

fn decode(value: &[u8]) -> Option<Read> {
    let mut positions = std::str::from_utf8(value).ok()?.split('+').map(str::parse);
    let position = positions.next()?.ok()?;
    let ahead = positions.collect::<Result<_, _>>().ok()?;
    Some(Read { position, ahead })
}

#[cfg(test)]
mod tests;
