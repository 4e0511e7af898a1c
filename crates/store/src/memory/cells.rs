//! Keyed values with revisions.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::cells::{Cell, Expect, Put, Revision};

#[derive(Default)]
pub(super) struct CellMap {
    cells: BTreeMap<String, Kept>,
    latest: u64,
}

struct Kept {
    cell: Cell,
    expires_at: Option<u64>,
}

/// Writes that are checked but not made yet.
pub(super) struct Staged {
    writes: BTreeMap<String, Option<Kept>>,
    revisions: Vec<Revision>,
}

impl CellMap {
    /// Checks all puts, each against the state that those before it leave; the error is the index of the one that failed.
    pub(super) fn stage(&self, puts: Vec<Put>) -> Result<Staged, usize> {
        let mut staged = Staged {
            writes: BTreeMap::new(),
            revisions: Vec::new(),
        };
        for (index, put) in puts.into_iter().enumerate() {
            let present = match staged.writes.get(&put.key) {
                Some(written) => written.as_ref(),
                None => self.cells.get(&put.key),
            };
            if !expected(put.expect, present.map(|kept| kept.cell.revision)) {
                return Err(index);
            }
            let revision = Revision(self.latest + staged.revisions.len() as u64 + 1);
            let write = put.value.map(|value| Kept {
                cell: Cell { value, revision },
                expires_at: put.expires_at,
            });
            staged.writes.insert(put.key, write);
            staged.revisions.push(revision);
        }
        Ok(staged)
    }

    pub(super) fn apply(&mut self, staged: Staged) -> Vec<Revision> {
        for (key, write) in staged.writes {
            match write {
                Some(kept) => self.cells.insert(key, kept),
                None => self.cells.remove(&key),
            };
        }
        self.latest += staged.revisions.len() as u64;
        staged.revisions
    }

    /// Removes expired cells; returns how many.
    pub(super) fn sweep(&mut self, now: u64) -> u64 {
        let before = self.cells.len();
        self.cells
            .retain(|_, kept| !crate::trim::is_expired(kept.expires_at, now));
        (before - self.cells.len()) as u64
    }

    pub(super) fn get(&self, key: &str) -> Option<Cell> {
        self.cells.get(key).map(|kept| kept.cell.clone())
    }

    pub(super) fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<(String, Cell)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.cells
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, kept)| (key.clone(), kept.cell.clone()))
            .collect()
    }
}

fn expected(expect: Expect, present: Option<Revision>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => present.is_none(),
        Expect::Revision(revision) => present == Some(revision),
    }
}
