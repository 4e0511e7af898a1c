//! Everything that a commit changes.

use std::convert::Infallible;
use std::sync::Arc;

use super::cells::CellMap;
use super::log::{Log, Row, weight};
use crate::cells::Put;
use crate::entry::{Appended, Class, Entry, Position, Record};
use crate::error::{AppendError, CommitError};
use crate::idempotency::{Found, Verdict, Window};
use crate::journal::Committed;
use crate::options::{Options, PerClass, Retention};
use crate::stats::{Bounds, Health, Stats, Trimmed};
use crate::trim;

pub(super) struct State {
    pub(super) log: Log,
    pub(super) cells: CellMap,
    options: Options,
    window: Window,
    /// The newest position, and the newest that the followers have.
    last: Position,
    released: Position,
    full: bool,
    stats: Stats,
}

/// The records of a commit that are not stored yet.
#[derive(Default)]
struct Batch {
    /// Stored and passing entries in order.
    entries: Vec<Row>,
    appended: Vec<Appended>,
    bytes: u64,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self {
            log: Log::default(),
            cells: CellMap::default(),
            window: Window::new(options.idempotency_window),
            options,
            last: Position::ZERO,
            released: Position::ZERO,
            full: false,
            stats: Stats::default(),
        }
    }

    /// With the log and the cells of this one, and of the window what can be told from the log.
    pub(super) fn restarted(self, options: Options, now: u64, last: Option<Position>) -> Self {
        let window_ms = options.idempotency_window.ms;
        let last = last.unwrap_or(self.last);
        let mut state = Self {
            log: self.log,
            cells: self.cells,
            last,
            released: last,
            ..Self::new(options)
        };
        for entry in state.log.after(Position::ZERO) {
            if now.saturating_sub(entry.stored_at) < window_ms {
                let key = state.window.key(&entry.source, &entry.id);
                state.window.remember(key, entry.position, entry.stored_at);
            }
        }
        state.window.settle();
        state
    }

    pub(super) fn newest_stored_at(&self) -> u64 {
        let newest = self.log.after(Position::ZERO).next_back();
        let removed_at = self.log.removed_at();
        newest.map_or(removed_at, |entry| entry.stored_at.max(removed_at))
    }

    /// Makes a commit visible to reads; returns what to hand to the followers.
    pub(super) fn commit(
        &mut self,
        puts: Vec<Put>,
        records: &[Record],
        now: u64,
    ) -> Result<(Committed, Vec<Arc<Entry>>), CommitError> {
        let cells = self
            .cells
            .stage(puts)
            .map_err(|index| CommitError::Revision { index })?;
        let mark = self.window.mark();
        let batch = self.batch(records, now).inspect_err(|error| {
            self.window.rollback(mark);
            self.count_refusal(*error);
        })?;
        self.window.settle();
        self.full = false;
        self.count(&batch);
        let released = batch.entries.iter().map(|row| row.entry.clone()).collect();
        for row in batch.entries.into_iter().filter(|row| row.entry.durable) {
            self.last = row.entry.position;
            self.log.insert(row);
        }
        let committed = Committed {
            revisions: self.cells.apply(cells),
            appended: batch.appended,
        };
        Ok((committed, released))
    }

    /// The followers have everything.
    pub(super) fn release(&mut self) {
        self.released = self.last;
    }

    fn batch(&mut self, records: &[Record], now: u64) -> Result<Batch, AppendError> {
        let mut batch = Batch::default();
        // Each commit leaves a hole, so that nobody comes to rely on positions being dense.
        let mut position = Position(self.last.0 + 1);
        let mut newest = self.last;
        for (index, record) in records.iter().enumerate() {
            if !record.durable {
                batch.appended.push(Appended::Passed);
                batch.entries.push(row(record, newest, now));
                continue;
            }
            match self.judge(record, now, &batch) {
                Verdict::Duplicate(first) => batch.appended.push(Appended::Duplicate(first)),
                Verdict::Conflict => return Err(AppendError::Conflict { index }),
                Verdict::New(key) => {
                    position = Position(position.0 + 1);
                    newest = position;
                    self.window.remember(key, position, now);
                    let row = row(record, position, now);
                    batch.bytes += weight(&row.entry);
                    batch.appended.push(Appended::Stored(position));
                    batch.entries.push(row);
                }
            }
        }
        if batch.bytes > 0
            && self.options.bytes_max > 0
            && self.bytes() + batch.bytes > self.options.bytes_max
        {
            return Err(AppendError::Full);
        }
        Ok(batch)
    }

    fn judge(&mut self, record: &Record, now: u64, batch: &Batch) -> Verdict {
        let log = &self.log;
        let look = |position: Position| {
            let waiting = || {
                batch
                    .entries
                    .iter()
                    .find(|row| row.entry.durable && row.entry.position == position)
            };
            Ok::<_, Infallible>(match log.row(position).or_else(waiting) {
                None => Found::Gone,
                Some(row) if row.entry.source == record.source && row.entry.id == record.id => {
                    Found::Same {
                        fingerprint: row.fingerprint,
                    }
                }
                Some(_) => Found::Other,
            })
        };
        let Ok(verdict) = self.window.judge(record, now, look);
        verdict
    }

    pub(super) fn retention(&self) -> Retention {
        self.options.retention
    }

    pub(super) fn set_retention(&mut self, retention: Retention) {
        self.options.retention = retention;
    }

    pub(super) fn trim(&mut self, now: u64, trusted: bool) -> Trimmed {
        let mut excess = trim::excess(
            &self.options.retention,
            &self.log.kept(),
            trusted.then_some(now),
        );
        let mut done = PerClass::from_fn(|_| false);
        let mut going = Vec::new();
        for entry in self.log.after(Position::ZERO) {
            let class = entry.subject.class();
            let weight = weight(entry);
            let goes = !done[class] && excess[class].takes(entry.stored_at, weight);
            done[class] = !goes;
            let spent = trusted && trim::is_spent(entry, self.options.idempotency_window.ms, now);
            if goes || spent {
                going.push((
                    entry.position,
                    class,
                    weight,
                    !trim::is_expired(entry.expires_at, now),
                ));
            }
        }
        let mut trimmed = Trimmed {
            age_waits: !trusted,
            ..Trimmed::default()
        };
        for (position, class, weight, lost) in going {
            self.log.remove(position, lost);
            trimmed.entries[class] += 1;
            trimmed.bytes += weight;
            self.stats.trimmed[class] += 1;
        }
        if trusted {
            trimmed.cells = self.cells.sweep(now);
        }
        self.stats.age_waits = !trusted;
        self.full &= trimmed.bytes == 0;
        trimmed
    }

    pub(super) fn last(&self) -> Position {
        self.last
    }

    pub(super) fn bounds(&self) -> Bounds {
        let first = self.log.first().unwrap_or(self.released).min(self.released);
        Bounds {
            first,
            last: self.released,
        }
    }

    pub(super) fn trimmed_to(&self, class: Class) -> Position {
        self.log.lost_of_class(class)
    }

    pub(super) fn health(&self) -> Health {
        if self.full { Health::Full } else { Health::Ok }
    }

    pub(super) fn stats(&self) -> Stats {
        let kept = self.log.kept();
        Stats {
            idempotency_ids: self.window.len() as u64,
            entries: PerClass::from_fn(|class| kept[class].count),
            bytes: PerClass::from_fn(|class| kept[class].bytes),
            log_bytes: self.bytes(),
            ..self.stats.clone()
        }
    }

    fn bytes(&self) -> u64 {
        let kept = self.log.kept();
        Class::ALL.iter().map(|&class| kept[class].bytes).sum()
    }

    fn count(&mut self, batch: &Batch) {
        let stats = &mut self.stats;
        stats.commits += 1;
        stats.commit_records.record(batch.appended.len() as u64);
        for appended in &batch.appended {
            match appended {
                Appended::Stored(_) => stats.stored += 1,
                Appended::Duplicate(_) => stats.duplicates += 1,
                Appended::Passed => stats.passed += 1,
            }
        }
    }

    fn count_refusal(&mut self, error: AppendError) {
        match error {
            AppendError::Conflict { .. } => self.stats.conflicts += 1,
            AppendError::Full => {
                self.stats.refused_full += 1;
                self.full = true;
            }
            AppendError::Busy | AppendError::Failed | AppendError::Closed => {}
        }
    }
}

fn row(record: &Record, position: Position, now: u64) -> Row {
    let entry = Entry {
        position,
        durable: record.durable,
        stored_at: now,
        expires_at: record.ttl_ms.map(|ttl| now.saturating_add(ttl)),
        subject: record.subject.clone(),
        source: record.source.clone(),
        id: record.id.clone(),
        kind: record.kind,
        priority: record.priority,
        exclude: record.exclude.clone(),
        body: record.body.clone(),
    };
    Row {
        entry: Arc::new(entry),
        fingerprint: record.fingerprint,
    }
}
