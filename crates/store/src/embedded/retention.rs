//! Removes what retention does not keep, slice by slice between batches.
//!
//! Only rows that are in the derived tables are removed: else a merge would bring in names of rows that are gone. A trim
//! therefore merges first, as far as the log reached when it began.

use tokio::sync::oneshot;

use super::cells;
use super::removal::{self as rows, Gone};
use super::sweep::Sweep;
use super::transaction::{Failure, classify, transact};
use super::writer::Writer;
use crate::entry::Class;
use crate::error::TrimError;
use crate::options::PerClass;
use crate::stats::{Health, Trimmed};
use crate::trim::{self, Excess, Kept};

/// A trim that has begun.
#[derive(Default)]
pub(super) struct Trim {
    waiting: Vec<oneshot::Sender<Result<Trimmed, TrimError>>>,
    late: Vec<oneshot::Sender<Result<Trimmed, TrimError>>>,
    stage: Stage,
    trimmed: Trimmed,
    /// Where the log ended when the trim began.
    merge_upto: Option<u64>,
    /// Decided once, after the merge.
    plan: Option<Plan>,
    /// Removed from the log, but not yet from the derived tables.
    gone: Vec<Gone>,
    sweep: Option<Sweep>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Merge,
    Class(usize),
    Spent,
    Sweep,
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
    /// Another caller waits, too: for this trim, or for the next one if this one has looked at the time already.
    pub(super) fn join(&mut self, answer: oneshot::Sender<Result<Trimmed, TrimError>>) {
        if self.plan.is_none() {
            self.waiting.push(answer);
        } else {
            self.late.push(answer);
        }
    }

    fn answer(self, result: Result<Trimmed, TrimError>) {
        for answer in self.waiting.into_iter().chain(self.late) {
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
            Err(Failure::Busy) => self.trim = Some(trim),
            Err(failure) => {
                self.fail(failure);
                let full = failure == Failure::Full;
                trim.answer(Err(if full {
                    TrimError::Full
                } else {
                    TrimError::Failed
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
        let swept = trim.stage == Stage::Sweep || trim.gone.len() >= self.options.tuning.merge_rows;
        if trim.sweep.is_none() && swept && !trim.gone.is_empty() {
            let gone = std::mem::take(&mut trim.gone);
            let oldest = rows::oldest_position(&self.connection);
            let oldest = oldest.map_err(|error| classify(&error))?;
            let oldest = oldest.unwrap_or(self.meta.next);
            let window_ms = self.options.idempotency_window.ms;
            trim.sweep = Some(Sweep::begin(gone, oldest, window_ms));
        }
        if let Some(sweep) = &mut trim.sweep {
            let limit = self.options.tuning.merge_slice_rows.max(1);
            transact(&self.connection, &mut self.meta, |connection, _| {
                sweep.slice(connection, limit)
            })?;
            trim.sweep.take_if(|sweep| sweep.is_finished());
            return Ok(trim.stage);
        }
        Ok(match trim.stage {
            Stage::Merge => if_done(self.step_merge(trim)?, Stage::Class(0), Stage::Merge),
            Stage::Class(number) => match Class::ALL.get(number) {
                None => Stage::Spent,
                Some(class) if self.trim_class(trim, *class)? => Stage::Class(number + 1),
                Some(_) => Stage::Class(number),
            },
            Stage::Spent => if_done(self.trim_spent(trim)?, Stage::Sweep, Stage::Spent),
            Stage::Sweep => Stage::Cells,
            Stage::Cells => if_done(self.sweep_cells(trim)?, Stage::Vacuum, Stage::Cells),
            Stage::Vacuum => if_done(self.vacuum()?, Stage::Done, Stage::Vacuum),
            Stage::Done => Stage::Done,
        })
    }

    /// True once enough is merged. A full disk that has not even room for that still gets rid of older rows.
    fn step_merge(&mut self, trim: &mut Trim) -> Result<bool, Failure> {
        let full = self.health == Health::Full;
        if full {
            self.reserve
                .release(&self.connection)
                .map_err(|error| classify(&error))?;
        }
        let upto = *trim.merge_upto.get_or_insert(self.meta.last());
        if self.meta.indexed_to >= upto {
            return Ok(true);
        }
        if self.merge.is_none() {
            self.begin_merge();
        }
        let Some(merge) = &self.merge else {
            return Ok(true);
        };
        let insertions = self.options.tuning.merge_slice_rows.max(1);
        let merged = transact(&self.connection, &mut self.meta, |connection, meta| {
            merge.slice(connection, meta, insertions)
        });
        match merged {
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
            let excess = trim::excess(&self.shared.retention(), &kept, trusted.then_some(now));
            Plan {
                now,
                trusted,
                excess,
            }
        })
    }

    /// True once the oldest entry of the class stays.
    fn trim_class(&mut self, trim: &mut Trim, class: Class) -> Result<bool, Failure> {
        let limit = self.options.tuning.trim_slice_rows.max(1);
        let plan = self.plan(trim);
        let (now, excess) = (plan.now, &mut plan.excess[class]);
        if self.meta.classes[class].count == 0 {
            return Ok(true);
        }
        let (gone, done) = transact(&self.connection, &mut self.meta, |connection, meta| {
            let swept_to = meta.classes[class].swept_to;
            let rows::Oldest {
                mut rows,
                mut upto,
                finished,
            } = rows::oldest(connection, class, swept_to, meta.indexed_to, limit)?;
            let stays = rows
                .iter()
                .position(|row| !excess.takes(row.stored_at, row.weight));
            if let Some(first) = stays {
                upto = rows[first].position - 1;
                rows.truncate(first);
            }
            meta.classes[class].swept_to = upto;
            rows::remove(connection, meta, &rows, now)?;
            Ok((rows, finished || stays.is_some()))
        })?;
        self.removed(trim, gone)?;
        Ok(done)
    }

    /// True once no entry is left that nobody needs any more.
    fn trim_spent(&mut self, trim: &mut Trim) -> Result<bool, Failure> {
        let limit = self.options.tuning.trim_slice_rows.max(1);
        let &mut Plan { now, trusted, .. } = self.plan(trim);
        if !trusted {
            return Ok(true);
        }
        let (gone, done) = transact(&self.connection, &mut self.meta, |connection, meta| {
            let (gone, done) = rows::take_spent(connection, now, limit)?;
            rows::remove(connection, meta, &gone, now)?;
            Ok((gone, done))
        })?;
        self.removed(trim, gone)?;
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

    fn removed(&mut self, trim: &mut Trim, gone: Vec<Gone>) -> Result<(), Failure> {
        self.shared.set_trimmed_to(&self.meta);
        let oldest = rows::oldest_position(&self.connection).map_err(|error| classify(&error))?;
        self.shared.set_oldest(oldest);
        let mut stats = self.shared.stats();
        for row in &gone {
            trim.trimmed.entries[row.subject.class()] += 1;
            trim.trimmed.bytes += row.weight;
            stats.trimmed[row.subject.class()] += 1;
        }
        self.meta.count_kept(&mut stats);
        trim.gone.extend(gone);
        Ok(())
    }

    fn trim_done(&mut self, mut trim: Trim) {
        if self.health == Health::Full {
            self.try_room(trim.trimmed.bytes > 0);
        }
        trim.trimmed.age_waits = trim.plan.as_ref().is_some_and(|plan| !plan.trusted);
        let late = std::mem::take(&mut trim.late);
        if !late.is_empty() {
            self.trim = Some(Trim {
                waiting: late,
                ..Trim::default()
            });
        }
        let trimmed = trim.trimmed;
        trim.answer(Ok(trimmed));
    }
}
