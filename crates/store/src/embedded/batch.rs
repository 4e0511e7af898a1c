//! What a batch of calls becomes: decided call by call before anything is written.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use super::meta::{Meta, signed};
use super::queue::Call;
use super::rows::{Inserter, TIME_MAX, identity_hash, source_hash, spent_at};
use super::subjects::Subjects;
use super::transaction::Failure;
use super::{cells, recent::RecentRow};
use crate::cells::{Put, Revision};
use crate::entry::{Appended, Entry, Position, Record};
use crate::error::{AppendError, CommitError};
use crate::idempotency::{Found, Mark, Verdict, Window};
use crate::journal::Committed;
use crate::trim::weight;

pub(super) struct Batch {
    now: u64,
    /// As before the batch.
    before: Meta,
    window: Mark,
    /// Everything to release, in order.
    pub(super) entries: Vec<Arc<Entry>>,
    /// The durable ones among `entries`. Their positions follow each other.
    fresh: Vec<Fresh>,
    puts: Vec<(Put, Revision)>,
    /// Of the cells in `puts`; `None` is deleted.
    revisions: HashMap<String, Option<Revision>>,
    outcomes: Vec<Outcome>,
}

struct Fresh {
    entry: Arc<Entry>,
    fingerprint: u128,
}

struct Outcome {
    answer: oneshot::Sender<Result<Committed, CommitError>>,
    result: Result<Committed, CommitError>,
    entries: Range<usize>,
    writes: bool,
}

impl Batch {
    pub(super) fn new(now: u64, before: Meta, window: &Window) -> Self {
        Self {
            now,
            before,
            window: window.mark(),
            entries: Vec::new(),
            fresh: Vec::new(),
            puts: Vec::new(),
            revisions: HashMap::new(),
            outcomes: Vec::new(),
        }
    }

    pub(super) fn is_written(&self) -> bool {
        !self.fresh.is_empty() || !self.puts.is_empty()
    }

    pub(super) fn rows(&self) -> usize {
        self.fresh.len()
    }

    /// Decides one call; a refused one leaves no trace.
    pub(super) fn add(
        &mut self,
        call: Call,
        connection: &Connection,
        window: &mut Window,
    ) -> rusqlite::Result<()> {
        let Call {
            puts,
            records,
            answer,
        } = call;
        let (entries, fresh) = (self.entries.len(), self.fresh.len());
        let mark = window.mark();
        let writes = !puts.is_empty() || records.iter().any(|record| record.durable);
        let result = match self.check(&puts, connection)? {
            Ok(revisions) => self
                .judge(records, connection, window)?
                .map(|appended| Committed {
                    revisions,
                    appended,
                }),
            Err(error) => Err(error),
        };
        match &result {
            Ok(committed) => self.accept(puts, &committed.revisions),
            Err(_) => {
                self.entries.truncate(entries);
                self.fresh.truncate(fresh);
                window.rollback(mark);
            }
        }
        self.outcomes.push(Outcome {
            answer,
            result,
            entries: entries..self.entries.len(),
            writes,
        });
        Ok(())
    }

    /// The revisions that the cells will have.
    fn check(
        &self,
        puts: &[Put],
        connection: &Connection,
    ) -> rusqlite::Result<Result<Vec<Revision>, CommitError>> {
        let mut changed: HashMap<&str, Option<Revision>> = HashMap::new();
        let mut revisions = Vec::with_capacity(puts.len());
        for (index, put) in puts.iter().enumerate() {
            let known = changed
                .get(&*put.key)
                .or_else(|| self.revisions.get(&put.key));
            let present = match known {
                Some(present) => *present,
                None => cells::revision(connection, &put.key)?,
            };
            if !cells::meets(put.expect, present) {
                return Ok(Err(CommitError::Revision { index }));
            }
            let revision = Revision(self.before.revision + (self.puts.len() + index) as u64 + 1);
            changed.insert(&put.key, put.value.as_ref().map(|_| revision));
            revisions.push(revision);
        }
        Ok(Ok(revisions))
    }

    fn accept(&mut self, puts: Vec<Put>, revisions: &[Revision]) {
        for (put, revision) in puts.into_iter().zip(revisions) {
            self.revisions
                .insert(put.key.clone(), put.value.as_ref().map(|_| *revision));
            self.puts.push((put, *revision));
        }
    }

    fn judge(
        &mut self,
        records: Vec<Record>,
        connection: &Connection,
        window: &mut Window,
    ) -> rusqlite::Result<Result<Vec<Appended>, CommitError>> {
        let mut appended = Vec::with_capacity(records.len());
        for (index, record) in records.into_iter().enumerate() {
            if !record.durable {
                self.entries
                    .push(Arc::new(self.entry(record, self.newest())));
                appended.push(Appended::Passed);
                continue;
            }
            appended.push(
                match window.judge(&record, self.now, |position| {
                    self.look(connection, &record, position)
                })? {
                    Verdict::Conflict => return Ok(Err(AppendError::Conflict { index }.into())),
                    Verdict::Duplicate(position) => Appended::Duplicate(position),
                    Verdict::New(key) => {
                        let position = Position(self.before.next + self.fresh.len() as u64);
                        window.remember(key, position, self.now);
                        let fingerprint = record.fingerprint;
                        let entry = Arc::new(self.entry(record, position));
                        self.entries.push(entry.clone());
                        self.fresh.push(Fresh { entry, fingerprint });
                        Appended::Stored(position)
                    }
                },
            );
        }
        Ok(Ok(appended))
    }

    fn newest(&self) -> Position {
        Position(self.before.last() + self.fresh.len() as u64)
    }

    fn entry(&self, record: Record, position: Position) -> Entry {
        Entry {
            position,
            durable: record.durable,
            stored_at: self.now,
            expires_at: record
                .ttl_ms
                .map(|ttl| self.now.saturating_add(ttl).min(TIME_MAX)),
            subject: record.subject,
            source: record.source,
            id: record.id,
            kind: record.kind,
            priority: record.priority,
            exclude: record.exclude,
            body: record.body,
        }
    }

    fn look(
        &self,
        connection: &Connection,
        record: &Record,
        position: Position,
    ) -> rusqlite::Result<Found> {
        let found = |source: &str, id: &str, fingerprint| {
            if source == &*record.source && id == &*record.id {
                Found::Same { fingerprint }
            } else {
                Found::Other
            }
        };
        if position.0 >= self.before.next {
            let fresh = &self.fresh[(position.0 - self.before.next) as usize];
            return Ok(found(
                &fresh.entry.source,
                &fresh.entry.id,
                fresh.fingerprint,
            ));
        }
        let stored = connection
            .prepare_cached("SELECT source, id, fingerprint FROM log WHERE pos = ?")?
            .query_row([signed(position.0)], |row| {
                let fingerprint = u128::from_le_bytes(row.get(2)?);
                Ok(found(
                    row.get_ref(0)?.as_str()?,
                    row.get_ref(1)?.as_str()?,
                    fingerprint,
                ))
            })
            .optional()?;
        Ok(stored.unwrap_or(Found::Gone))
    }

    /// Writes the cells and rows, inside the caller's transaction.
    pub(super) fn write(
        &self,
        connection: &Connection,
        meta: &mut Meta,
        subjects: &mut Subjects,
        window_ms: u64,
    ) -> rusqlite::Result<Vec<RecentRow>> {
        for (put, revision) in &self.puts {
            cells::write(connection, put, *revision)?;
        }
        let mut rows = Vec::with_capacity(self.fresh.len());
        let mut inserter = Inserter::new(connection)?;
        let mut scratch = Vec::new();
        for Fresh { entry, fingerprint } in &self.fresh {
            let subject = subjects.intern(connection, &entry.subject)?;
            inserter.insert(entry, subject, *fingerprint)?;
            let class = &mut meta.classes[subject.class()];
            class.count += 1;
            class.bytes += weight(&entry.source, &entry.id, &entry.body);
            rows.push(RecentRow {
                position: entry.position.0,
                subject,
                source: source_hash(&entry.source),
                identity: identity_hash(&mut scratch, &entry.source, &entry.id),
                spent_at: spent_at(entry.stored_at, entry.expires_at, window_ms),
                kind: entry.kind,
                priority: entry.priority,
            });
        }
        meta.next += self.fresh.len() as u64;
        meta.revision += self.puts.len() as u64;
        if !self.fresh.is_empty() {
            meta.stored_at = self.now;
        }
        Ok(rows)
    }

    /// Nothing was written. Without room, what needed none goes on; after a failure nothing does.
    pub(super) fn refuse(&mut self, failure: Failure, window: &mut Window) {
        window.rollback(self.window);
        let error = match failure {
            Failure::Full => AppendError::Full,
            Failure::Failed => AppendError::Failed,
            Failure::Busy => AppendError::Busy,
        };
        let mut released = Vec::new();
        for outcome in &mut self.outcomes {
            if outcome.writes || failure == Failure::Failed {
                outcome.result = Err(error.into());
            } else {
                released.extend_from_slice(&self.entries[outcome.entries.clone()]);
            }
        }
        self.entries.clear();
        self.fresh.clear();
        self.puts.clear();
        for entry in &mut released {
            // What they were to follow was not stored.
            Arc::make_mut(entry).position = Position(self.before.last());
        }
        self.entries = released;
    }

    pub(super) fn results(&self) -> impl Iterator<Item = &Result<Committed, CommitError>> {
        self.outcomes.iter().map(|outcome| &outcome.result)
    }

    pub(super) fn answer(self) {
        for outcome in self.outcomes {
            // Nobody waits any more when the caller was dropped.
            let _ = outcome.answer.send(outcome.result);
        }
    }
}
