//! Removes what retention does not keep, slice by slice between batches.
//!
//! Only rows that are in the derived tables are removed, and from all tables at once, so none of them ever names a row
//! that was never there. A trim therefore finishes the merge first.

use tokio::sync::oneshot;

use super::cells;
use super::removal::{self as rows, Removed};
use super::transaction::{Failure, classify, transact};
use super::writer::Writer;
use crate::entry::Class;
use crate::error::TrimError;
use crate::options::PerClass;
use crate::stats::{Health, Trimmed};
use crate::trim::{self, Excess, Kept};

/// Free pages go back to the disk when they are more than one in so many: fewer are soon used again.
const FREE_SHARE: i64 = 4;
const VACUUM_PAGES: u64 = 256;

/// A trim that has begun.
#[derive(Default)]
pub(super) struct Trim {
    waiting: Vec<oneshot::Sender<Result<Trimmed, TrimError>>>,
    stage: Stage,
    trimmed: Trimmed,
    /// Decided once, after the merge.
    plan: Option<Plan>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Merge,
    Class(usize),
    Spent,
    Cells,
    Vacuum,
    Done,
}

struct Plan {
    now: u64,
    trusted: bool,
    excess: PerClass<Excess>,
}

fn if_done(done: bool, next: Stage, same: Stage) -> Stage {
    if done { next } else { same }
}

impl Trim {
    /// Another caller waits for it, too.
    pub(super) fn join(&mut self, answer: oneshot::Sender<Result<Trimmed, TrimError>>) {
        self.waiting.push(answer);
    }

    fn answer(self, result: Result<Trimmed, TrimError>) {
        for answer in self.waiting {
            // Nobody waits any more when the caller was dropped.
            let _ = answer.send(result);
        }
    }
}

impl Writer {
    /// One slice of the trim that has begun, if one has.
    pub(super) fn step_trim(&mut self) {
        let Some(mut trim) = self.trim.take() else {
            return;
        };
        let stepped = match self.health {
            Health::Failed => Err(Failure::Failed),
            Health::Ok | Health::Full => self.step(&mut trim),
        };
        match stepped {
            Ok(Stage::Done) => self.trim_done(trim),
            Ok(stage) => {
                trim.stage = stage;
                self.trim = Some(trim);
            }
            Err(failure) => {
                self.fail(failure);
                trim.answer(Err(match failure {
                    Failure::Full => TrimError::Full,
                    Failure::Failed => TrimError::Failed,
                }));
            }
        }
    }

    /// Before the writer ends.
    pub(super) fn drop_trim(&mut self) {
        if let Some(trim) = self.trim.take() {
            trim.answer(Err(TrimError::Closed));
        }
    }

    fn step(&mut self, trim: &mut Trim) -> Result<Stage, Failure> {
        Ok(match trim.stage {
            Stage::Merge => if_done(self.step_merge()?, Stage::Class(0), Stage::Merge),
            Stage::Class(number) => match Class::ALL.get(number) {
                None => Stage::Spent,
                Some(class) if self.trim_class(trim, *class)? => Stage::Class(number + 1),
                Some(_) => Stage::Class(number),
            },
            Stage::Spent => if_done(self.trim_spent(trim)?, Stage::Cells, Stage::Spent),
            Stage::Cells => if_done(self.sweep_cells(trim)?, Stage::Vacuum, Stage::Cells),
            Stage::Vacuum => if_done(self.vacuum()?, Stage::Done, Stage::Vacuum),
            Stage::Done => Stage::Done,
        })
    }

    /// True once nothing is left to merge. A full disk that has not even room for that still gets rid of older rows.
    fn step_merge(&mut self) -> Result<bool, Failure> {
        let full = self.health == Health::Full;
        if full {
            self.reserve
                .release(&self.connection)
                .map_err(|error| classify(&error))?;
        }
        if self.merge.is_none() && self.shared.recent.active_len() > 0 {
            self.begin_merge();
        }
        let Some(merge) = &self.merge else {
            return Ok(true);
        };
        let insertions = self.options.tuning.merge_slice_rows.max(1);
        match transact(&self.connection, &mut self.meta, |connection, meta| {
            merge.slice(connection, meta, insertions)
        }) {
            Ok(slice) => self.merged(Some(slice)),
            Err(Failure::Full) if full => return Ok(true),
            Err(failure) => return Err(failure),
        }
        Ok(false)
    }

    fn plan<'t>(&self, trim: &'t mut Trim) -> &'t mut Plan {
        trim.plan.get_or_insert_with(|| {
            let (now, trusted) = (self.shared.timeline.now(), self.shared.timeline.trusted());
            self.shared.stats().age_waits = !trusted;
            let kept = PerClass::from_fn(|class| {
                let class = &self.meta.classes[class];
                Kept {
                    count: class.count,
                    bytes: class.bytes,
                }
            });
            let excess = trim::excess(&self.options.retention, &kept, trusted.then_some(now));
            Plan {
                now,
                trusted,
                excess,
            }
        })
    }

    /// True once the oldest entry of the class stays.
    fn trim_class(&mut self, trim: &mut Trim, class: Class) -> Result<bool, Failure> {
        let (limit, window_ms) = (
            self.options.tuning.trim_slice_rows.max(1),
            self.options.idempotency_window.ms,
        );
        let plan = self.plan(trim);
        let (now, excess) = (plan.now, &mut plan.excess[class]);
        if self.meta.classes[class].count == 0 {
            return Ok(true);
        }
        let (removed, done) = transact(&self.connection, &mut self.meta, |connection, meta| {
            let visited = rows::oldest(
                connection,
                class,
                meta.classes[class].swept_to,
                meta.indexed_to,
                limit,
            )?;
            let (mut swept_to, mut done) = (visited.upto, visited.finished);
            let mut going = Vec::with_capacity(visited.rows.len());
            for row in visited.rows {
                if !excess.takes(row.stored_at, row.weight) {
                    (swept_to, done) = (row.position - 1, true);
                    break;
                }
                going.push(row);
            }
            meta.classes[class].swept_to = swept_to;
            Ok((rows::remove(connection, meta, going, now, window_ms)?, done))
        })?;
        self.removed(trim, &removed)?;
        Ok(done)
    }

    /// True once no entry is left that nobody needs any more.
    fn trim_spent(&mut self, trim: &mut Trim) -> Result<bool, Failure> {
        let (limit, window_ms) = (
            self.options.tuning.trim_slice_rows.max(1),
            self.options.idempotency_window.ms,
        );
        let &mut Plan { now, trusted, .. } = self.plan(trim);
        if !trusted {
            return Ok(true);
        }
        let (removed, done) = transact(&self.connection, &mut self.meta, |connection, meta| {
            let (going, done) = rows::take_spent(connection, now, limit)?;
            Ok((rows::remove(connection, meta, going, now, window_ms)?, done))
        })?;
        self.removed(trim, &removed)?;
        Ok(done)
    }

    fn sweep_cells(&mut self, trim: &mut Trim) -> Result<bool, Failure> {
        let limit = self.options.tuning.trim_slice_rows.max(1);
        let &mut Plan { now, trusted, .. } = self.plan(trim);
        if !trusted {
            return Ok(true);
        }
        let swept = transact(&self.connection, &mut self.meta, |connection, _| {
            cells::sweep(connection, now, limit)
        })?;
        trim.trimmed.cells += swept as u64;
        Ok(swept < limit)
    }

    fn removed(&mut self, trim: &mut Trim, removed: &Removed) -> Result<(), Failure> {
        self.shared.set_trimmed_to(&self.meta);
        let oldest = rows::oldest_position(&self.connection).map_err(|error| classify(&error))?;
        self.shared.set_oldest(oldest);
        let mut stats = self.shared.stats();
        for class in Class::ALL {
            trim.trimmed.entries[class] += removed.entries[class];
            stats.trimmed[class] += removed.entries[class];
        }
        trim.trimmed.bytes += removed.bytes;
        self.meta.count_kept(&mut stats);
        Ok(())
    }

    /// Gives free pages back to the disk; true once few are left.
    fn vacuum(&self) -> Result<bool, Failure> {
        let vacuumed = (|| {
            let number = |pragma| {
                self.connection
                    .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            };
            if number("freelist_count")? * FREE_SHARE <= number("page_count")? {
                return Ok(true);
            }
            let mut statement = self
                .connection
                .prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
            let mut freed = statement.query([])?;
            while freed.next()?.is_some() {}
            Ok(false)
        })();
        vacuumed.map_err(|error| classify(&error))
    }

    fn trim_done(&mut self, mut trim: Trim) {
        if self.health == Health::Full {
            self.try_room(trim.trimmed.bytes > 0);
        }
        trim.trimmed.age_waits = trim.plan.as_ref().is_some_and(|plan| !plan.trusted);
        let trimmed = trim.trimmed;
        trim.answer(Ok(trimmed));
    }
}
