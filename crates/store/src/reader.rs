//! Reads, whatever the backend.

use std::fmt;
use std::sync::Arc;

use crate::cells::Cell;
use crate::embedded;
use crate::entry::{Entry, Position};
use crate::error::ReadError;
use crate::history::{History, Lost, Page, Selector, Slice, Urgent};
use crate::memory;
use crate::query::{Found, Query};

/// Answers the questions of [`History`], whose contract holds here.
pub enum Reader {
    Embedded(Box<embedded::Reader>),
    Memory(memory::Reader),
}

macro_rules! each {
    ($self:expr, $reader:ident => $call:expr) => {
        match $self {
            Reader::Embedded($reader) => $call,
            Reader::Memory($reader) => $call,
        }
    };
}

impl Reader {
    /// See [`History::read`].
    pub fn read(&mut self, selector: &Selector, slice: Slice) -> Result<Page, ReadError> {
        each!(self, reader => reader.read(selector, slice))
    }

    /// See [`History::find`].
    pub fn find(&mut self, query: &Query) -> Result<Found, ReadError> {
        each!(self, reader => reader.find(query))
    }

    /// See [`History::newest`].
    pub fn newest(
        &mut self,
        selector: &Selector,
        limit: usize,
    ) -> Result<Vec<Position>, ReadError> {
        each!(self, reader => reader.newest(selector, limit))
    }

    /// See [`History::urgent`].
    pub fn urgent(
        &mut self,
        selector: &Selector,
        after: Position,
        upto: Position,
        priority_min: u8,
        limit: usize,
    ) -> Result<Urgent, ReadError> {
        each!(self, reader => reader.urgent(selector, after, upto, priority_min, limit))
    }

    /// See [`History::at`].
    pub fn at(&mut self, positions: &[Position]) -> Result<Vec<Arc<Entry>>, ReadError> {
        each!(self, reader => reader.at(positions))
    }

    /// See [`History::lost_after`].
    pub fn lost_after(
        &mut self,
        selector: &Selector,
        after: Position,
    ) -> Result<Option<Lost>, ReadError> {
        each!(self, reader => reader.lost_after(selector, after))
    }

    /// See [`History::position_before`].
    pub fn position_before(&mut self, time_ms: u64) -> Result<Position, ReadError> {
        each!(self, reader => reader.position_before(time_ms))
    }

    /// See [`History::locate`].
    pub fn locate(&mut self, source: &str, id: &str) -> Result<Option<Arc<Entry>>, ReadError> {
        each!(self, reader => reader.locate(source, id))
    }

    /// See [`History::cell`].
    pub fn cell(&mut self, key: &str) -> Result<Option<Cell>, ReadError> {
        each!(self, reader => reader.cell(key))
    }

    /// See [`History::scan`].
    pub fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Cell)>, ReadError> {
        each!(self, reader => reader.scan(prefix, after, limit))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
