//! Subjects as small numbers.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use crate::entry::{Class, Subject};
use crate::history::Selector;
use crate::query::Topics;

/// How many a thread remembers; over that it begins anew.
const REMEMBERED_MAX: usize = 65_536;

/// Names looked at for one set of topics: a few milliseconds.
const NAMES_MAX: usize = 10_000;

/// The class lies in the two lowest bits, so that a row tells its class without a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SubjectId(pub(super) i64);

impl SubjectId {
    fn new(number: i64, class: Class) -> Self {
        Self(number << 2 | class as i64)
    }

    pub(super) fn class(self) -> Class {
        Class::ALL[(self.0 & 3) as usize % Class::ALL.len()]
    }
}

fn name(subject: &Subject) -> &str {
    match subject {
        Subject::Client(name) | Subject::Topic(name) => name,
        Subject::All => "",
    }
}

fn subject(class: Class, name: &str) -> Subject {
    match class {
        Class::Mailbox => Subject::Client(Arc::from(name)),
        Class::Topic => Subject::Topic(Arc::from(name)),
        Class::Broadcast => Subject::All,
    }
}

/// Every stored subject that the selector selects.
pub(super) fn matching(
    connection: &Connection,
    selector: &Selector,
) -> rusqlite::Result<Vec<SubjectId>> {
    let selects = |subject: &Subject| {
        selector.exact.contains(subject)
            || selector
                .filter
                .as_ref()
                .is_some_and(|filter| filter(subject))
    };
    let mut statement = connection.prepare_cached("SELECT id, name FROM subject ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut matching = Vec::new();
    while let Some(row) = rows.next()? {
        let id = SubjectId(row.get(0)?);
        if selects(&subject(id.class(), row.get_ref(1)?.as_str()?)) {
            matching.push(id);
        }
    }
    Ok(matching)
}

/// The topics that `topics` accepts; `None` when there are too many names to look at, or when more than `limit` are
/// accepted.
pub(super) fn named(
    connection: &Connection,
    topics: &Topics,
    limit: usize,
) -> rusqlite::Result<Option<Vec<SubjectId>>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name FROM subject WHERE class = ? AND name >= ? ORDER BY name",
    )?;
    let mut rows = statement.query(params![Class::Topic as i64, topics.prefix])?;
    let mut named = Vec::new();
    let mut visited = 0;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str()?;
        if !name.starts_with(&topics.prefix) {
            break;
        }
        visited += 1;
        if topics.have(name) {
            named.push(SubjectId(row.get(0)?));
        }
        if visited > NAMES_MAX || named.len() > limit {
            return Ok(None);
        }
    }
    Ok(Some(named))
}

/// Both directions, as far as a thread has met them. Numbers never change, so what is remembered stays true.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    ids: HashMap<Subject, SubjectId>,
    subjects: HashMap<SubjectId, Subject>,
}

impl Subjects {
    /// `None`: no entry of this subject was ever stored.
    pub(super) fn find(
        &mut self,
        connection: &Connection,
        subject: &Subject,
    ) -> rusqlite::Result<Option<SubjectId>> {
        if let Some(id) = self.ids.get(subject) {
            return Ok(Some(*id));
        }
        let id = connection
            .prepare_cached("SELECT id FROM subject WHERE class = ? AND name = ?")?
            .query_row(params![subject.class() as i64, name(subject)], |row| {
                row.get(0).map(SubjectId)
            })
            .optional()?;
        if let Some(id) = id {
            self.remember(id, subject.clone());
        }
        Ok(id)
    }

    pub(super) fn subject(
        &mut self,
        connection: &Connection,
        id: SubjectId,
    ) -> rusqlite::Result<Subject> {
        if let Some(subject) = self.subjects.get(&id) {
            return Ok(subject.clone());
        }
        let name: String = connection
            .prepare_cached("SELECT name FROM subject WHERE id = ?")?
            .query_row([id.0], |row| row.get(0))?;
        let subject = subject(id.class(), &name);
        self.remember(id, subject.clone());
        Ok(subject)
    }

    /// For the writer, inside its transaction. When that is rolled back, `forget` must follow.
    pub(super) fn intern(
        &mut self,
        connection: &Connection,
        subject: &Subject,
    ) -> rusqlite::Result<SubjectId> {
        if let Some(id) = self.find(connection, subject)? {
            return Ok(id);
        }
        let newest: i64 = connection
            .prepare_cached("SELECT coalesce(max(id), 0) FROM subject")?
            .query_row([], |row| row.get(0))?;
        let id = SubjectId::new((newest >> 2) + 1, subject.class());
        connection
            .prepare_cached("INSERT INTO subject(id, class, name) VALUES (?, ?, ?)")?
            .execute(params![id.0, subject.class() as i64, name(subject)])?;
        self.remember(id, subject.clone());
        Ok(id)
    }

    pub(super) fn forget(&mut self) {
        self.ids.clear();
        self.subjects.clear();
    }

    fn remember(&mut self, id: SubjectId, subject: Subject) {
        if self.subjects.len() >= REMEMBERED_MAX {
            self.forget();
        }
        self.ids.insert(subject.clone(), id);
        self.subjects.insert(id, subject);
    }
}
