//! The one who keeps the book, and writes it down.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidings_store::{CommitError, Position, ReadError, Reader, Selector, Slice, Store, Subject};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::SettleError;
use super::book::{Book, Changes, Repeat};
use super::cell;
use super::decision::Rules;
use super::inbox::{Command, Inbox, Taken};
use super::repeat;
use crate::fanout::{Clock, Now};

/// Repeats made in one round; more come in the next.
const REPEATS_MAX: usize = 1_024;
/// Of the messages that are repeated at once.
const REPEAT_BYTES: usize = 1 << 20;
/// Cells and entries read at once.
const PAGE: usize = 1_000;
const READ_BYTES: usize = 1 << 20;
/// What could not be written, or read, is tried again after this long.
const RETRY: Duration = Duration::from_millis(250);
/// So many positions without any message that waits for an ack, and the cell says so: a start reads on from there.
const FOLLOW_STRIDE: u64 = 10_000;
/// How often that is looked at.
const FOLLOW_EVERY: Duration = Duration::from_secs(10);

pub(super) type Connected = Box<dyn Fn(&str) -> bool + Send + Sync>;

type Waiter = oneshot::Sender<Result<(), SettleError>>;

pub(super) struct Actor {
    book: Book,
    store: Store,
    inbox: Arc<Inbox>,
    connected: Connected,
    clock: Clock,
    /// Every entry up to here is in the book.
    followed: u64,
    /// What the cell says of that.
    followed_stored: u64,
    /// Entries after `followed` must be read from history.
    missed: bool,
    /// What a commit could not take yet.
    unwritten: Changes,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    Done,
    /// There is more to do now.
    More,
    /// Something is to be tried again, but not at once.
    Retry,
    Stop,
}

impl Actor {
    /// Loads the pending records and derives those that the journal has beyond them.
    pub(super) async fn open(
        rules: Rules,
        store: Store,
        inbox: Arc<Inbox>,
        connected: Connected,
        clock: Clock,
        now: Now,
    ) -> Result<Self, ReadError> {
        let trimmed_to = store.trimmed_to(tidings_store::Class::Mailbox).0;
        let mut book = Book::new(rules, 0);
        let followed = load(&store, &mut book, now).await?;
        book.trimmed(trimmed_to, now);
        let mut actor = Self {
            book,
            store,
            inbox,
            connected,
            clock,
            followed,
            followed_stored: followed,
            missed: true,
            unwritten: Changes::default(),
        };
        let upto = actor.store.bounds().last.0;
        actor.read_on(upto, now).await?;
        Ok(actor)
    }

    /// Works until told to stop.
    pub(super) async fn run(mut self) {
        loop {
            let now = self.clock.now();
            let pause = match self.round(now).await {
                Round::Stop => return,
                Round::More => continue,
                Round::Retry => {
                    sleep(RETRY).await;
                    continue;
                }
                Round::Done => self.book.next_due().map_or(FOLLOW_EVERY, |due| {
                    Duration::from_millis(due.saturating_sub(now.mono_ms)).min(FOLLOW_EVERY)
                }),
            };
            tokio::select! {
                () = self.inbox.arrived() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Takes in all that waits, does what is due, writes, and only then answers and repeats.
    pub(super) async fn round(&mut self, now: Now) -> Round {
        let taken = self.inbox.take();
        let stop = taken.stop;
        let (waiters, understood) = self.take_in(taken, now).await;
        let repeats = if stop {
            Vec::new()
        } else {
            self.book.advance(now, &self.connected, REPEATS_MAX)
        };
        let written = self.write(stop).await;
        self.count();
        let failed = written.err();
        for waiter in waiters {
            // Nobody waits any more when the request was dropped.
            let _ = waiter.send(failed.map_or(Ok(()), |error| Err(error.into())));
        }
        match failed {
            Some(error) if !error.retryable() => {
                tracing::error!(%error, "write down pending acks; they are derived again at the next start");
                self.inbox.stop();
                return Round::Stop;
            }
            _ if stop => return Round::Stop,
            Some(error) => tracing::warn!(%error, "write down pending acks; it is tried again"),
            None => {}
        }
        let more = repeats.len() == REPEATS_MAX;
        self.repeat(repeats, now).await;
        match (failed.is_some() || !understood, more) {
            (true, _) => Round::Retry,
            (false, true) => Round::More,
            (false, false) => Round::Done,
        }
    }

    /// Brings the book up to date; returns who waits for what is to be written, and whether all could be read.
    async fn take_in(&mut self, taken: Taken, now: Now) -> (Vec<Waiter>, bool) {
        self.missed |= taken.missed;
        let upto = taken.released_to.max(self.followed);
        if self.missed {
            if let Err(error) = self.read_on(upto, now).await {
                tracing::error!(%error, "read messages that wait for an ack; it is tried again");
                self.book.doubt(now);
                refuse(taken.commands);
                return (Vec::new(), false);
            }
        } else {
            for entry in &taken.entries {
                self.book.accept(entry, now);
            }
            self.followed = upto;
        }
        for note in &taken.notes {
            self.book.note(note, now);
        }
        if taken.notes_lost {
            self.book.doubt(now);
        }
        self.book.trimmed(taken.trimmed_to, now);
        (self.obey(taken.commands, now), true)
    }

    fn obey(&mut self, commands: Vec<Command>, now: Now) -> Vec<Waiter> {
        let mut waiters = Vec::new();
        for command in commands {
            match command {
                Command::Settle {
                    client,
                    messages,
                    ids,
                    answer,
                } => {
                    self.book.settle(&client, &messages, &ids, now);
                    waiters.push(answer);
                }
                Command::Pending { client, answer } => {
                    // The stream may have been given up.
                    let _ = answer.send(self.book.pending_of(&client, now));
                }
            }
        }
        waiters
    }

    /// Reads from history what lies between the book and `upto`.
    async fn read_on(&mut self, upto: u64, now: Now) -> Result<(), ReadError> {
        while self.followed < upto {
            let slice = Slice {
                after: Position(self.followed),
                upto: Position(upto),
                bytes_max: READ_BYTES,
                rows_max: 10 * PAGE,
            };
            let page = self
                .store
                .reading(move |reader| reader.read(&mailboxes(), slice))
                .await?;
            match page {
                Ok(page) => {
                    for entry in &page.entries {
                        self.book.accept(entry, now);
                    }
                    self.followed = page.scanned_to.0;
                }
                // Nobody can be sent it either; what lies behind must not wait for it.
                Err(ReadError::Damaged { position }) => {
                    tracing::error!(%position, "a message that cannot be read is not waited for");
                    self.followed = position.0;
                }
                Err(error) => return Err(error),
            }
        }
        self.missed = false;
        Ok(())
    }

    /// Commits what has changed, and how far the journal was followed.
    async fn write(&mut self, stop: bool) -> Result<(), CommitError> {
        let Changes { puts, receipts } = self.book.take_changes();
        self.unwritten.puts.extend(puts);
        self.unwritten.receipts.extend(receipts);
        let advanced = self.followed - self.followed_stored;
        let worth_it = advanced >= FOLLOW_STRIDE || stop && advanced > 0;
        if self.unwritten.puts.is_empty() && !worth_it {
            return Ok(());
        }
        let mut puts = self.unwritten.puts.clone();
        puts.push(cell::put_followed(self.followed));
        self.store
            .commit(puts, self.unwritten.receipts.clone())
            .await?;
        self.followed_stored = self.followed;
        self.unwritten = Changes::default();
        Ok(())
    }

    /// Puts repeats into the journal's queue. One that does not get there was not sent, and is due again.
    async fn repeat(&self, mut repeats: Vec<Repeat>, now: Now) {
        repeats.reverse();
        while !repeats.is_empty() {
            let wall_ms = now.wall_ms;
            let read = self
                .store
                .reading(move |reader| some_of(reader, repeats, wall_ms))
                .await;
            let records = match read.and_then(|read| read) {
                Ok((records, rest)) => {
                    repeats = rest;
                    records
                }
                Err(error) => {
                    tracing::error!(%error, "read messages to send again; it is tried again");
                    return;
                }
            };
            let count = records.len() as u64;
            match self.store.append(records).await {
                Ok(_) => _ = self.inbox.metrics().redeliveries.inc_by(count),
                Err(error) => {
                    tracing::warn!(%error, "send messages again; it is tried again");
                    return;
                }
            }
        }
    }

    fn count(&mut self) {
        let metrics = self.inbox.metrics();
        let counts = std::mem::take(&mut self.book.counts);
        metrics.acknowledged.inc_by(counts.acknowledged);
        metrics.expired.inc_by(counts.expired);
        metrics.receipts.inc_by(counts.receipts);
        metrics.pending.set(as_gauge(self.book.len() as u64));
        let last = self.store.bounds().last.0;
        metrics
            .lag
            .set(as_gauge(last.saturating_sub(self.followed)));
    }

    #[cfg(test)]
    pub(super) fn book(&self) -> &Book {
        &self.book
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor")
            .field("followed", &self.followed)
            .finish_non_exhaustive()
    }
}

/// Reads every pending record; returns up to where the journal was followed.
async fn load(store: &Store, book: &mut Book, now: Now) -> Result<u64, ReadError> {
    let cell = store
        .reading(|reader| reader.cell(cell::FOLLOWED))
        .await??;
    let followed = cell.and_then(|cell| cell::parse_followed(&cell.value));
    let mut after: Option<String> = None;
    loop {
        let from = after.clone();
        let page = store
            .reading(move |reader| reader.scan(cell::PENDING, from.as_deref(), PAGE))
            .await??;
        let Some((last, _)) = page.last() else {
            return Ok(followed.unwrap_or(0));
        };
        after = Some(last.clone());
        for (name, cell) in page {
            match (cell::parse_key(&name), cell::parse_pending(&cell.value)) {
                (Some(key), Some(kept)) => book.load(&key, kept, now),
                _ => tracing::error!(name, "a pending ack cannot be read and is left out"),
            }
        }
    }
}

/// As many of the repeats, from the end, as are read at once, and the rest. What is gone is left out: it expires.
fn some_of(
    reader: &mut Reader,
    mut repeats: Vec<Repeat>,
    wall_ms: u64,
) -> Result<(Vec<tidings_store::Record>, Vec<Repeat>), ReadError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while bytes < REPEAT_BYTES {
        let Some(Repeat { position, number }) = repeats.pop() else {
            break;
        };
        for entry in reader.at(&[Position(position)])? {
            bytes += entry.body.len();
            records.push(repeat::record(&entry, number, wall_ms));
        }
    }
    Ok((records, repeats))
}

/// Every mailbox.
fn mailboxes() -> Selector {
    Selector {
        exact: Vec::new(),
        filter: Some(Arc::new(|subject| matches!(subject, Subject::Client(_)))),
        // What expired in the meantime is to be told of, too.
        expired: true,
    }
}

fn refuse(commands: Vec<Command>) {
    for command in commands {
        if let Command::Settle { answer, .. } = command {
            // Nobody waits any more when the request was dropped.
            let _ = answer.send(Err(SettleError::Read));
        }
    }
}

fn as_gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
