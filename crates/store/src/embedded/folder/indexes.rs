//! Whether the tables that are derived from the log name what is in it. That they name entries that are gone is no fault:
//! readers pass over such names.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};

use super::super::block::{Posting, unpack};
use super::super::list::{BUCKET_BITS, List, bucket};
use super::super::meta::{signed, unsigned};
use super::super::recent::URGENT_MIN;
use super::super::rows::{identity_hash, source_hash};
use super::super::subjects::SubjectId;
use crate::entry::Entry;

/// Asked for entries in the order of their positions.
pub(super) struct Indexes {
    format: i64,
    scratch: Vec<u8>,
    /// The group of blocks that is in memory.
    bucket: Option<i64>,
    positions: HashMap<(i64, i64), HashSet<Posting>>,
}

impl Indexes {
    pub(super) fn new(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            format: connection
                .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?,
            scratch: Vec::new(),
            bucket: None,
            positions: HashMap::new(),
        })
    }

    pub(super) fn lacks(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        subject: SubjectId,
    ) -> rusqlite::Result<Option<&'static str>> {
        let identity = identity_hash(&mut self.scratch, &entry.source, &entry.id);
        let source = source_hash(&entry.source);
        let lacking = if self.format < 3 {
            self.rows_lack(connection, entry, subject, source, identity)?
        } else {
            self.blocks_lack(connection, entry, subject, source, identity)?
        };
        if lacking.is_some() || entry.priority < URGENT_MIN {
            return Ok(lacking);
        }
        let listed = connection
            .prepare_cached("SELECT 1 FROM urgent WHERE pos = ? AND subject = ?")?
            .exists(params![signed(entry.position.0), subject.0])?;
        Ok((!listed).then_some("of urgent entries"))
    }

    fn blocks_lack(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        subject: SubjectId,
        source: u64,
        identity: u64,
    ) -> rusqlite::Result<Option<&'static str>> {
        let position = entry.position.0;
        if self.bucket != Some(bucket(position)) {
            self.load(connection, bucket(position))?;
        }
        let (of_identity, tag) = List::of_identity(identity);
        let lists = List::of_row(subject, source, entry.kind, entry.priority);
        let lacks = |(list, tag): &(List, u32)| {
            let posting = Posting {
                position,
                tag: *tag,
            };
            let listed = self.positions.get(&list.key());
            !listed.is_some_and(|listed| listed.contains(&posting))
        };
        let mut all = lists.map(|list| (list, 0)).chain([(of_identity, tag)]);
        Ok(all.find(lacks).map(|(list, _)| match list {
            List::Subject(_) => "of subjects",
            List::Source(_) => "of sources",
            List::Kind(_) => "of types",
            List::Urgent(_) => "of urgent entries",
            List::Identity(_) => "of identities",
        }))
    }

    fn load(&mut self, connection: &Connection, bucket: i64) -> rusqlite::Result<()> {
        self.bucket = Some(bucket);
        self.positions.clear();
        let mut statement = connection
            .prepare_cached("SELECT kind, key, first, positions FROM posting WHERE bucket = ?")?;
        let mut rows = statement.query([bucket])?;
        while let Some(row) = rows.next()? {
            let (kind, key): (i64, i64) = (row.get(0)?, row.get(1)?);
            let is_tagged = kind == List::Identity(0).key().0;
            let packed = row.get_ref(3)?.as_blob()?;
            // What a broken block held is missing, and told as that.
            let postings = unpack(unsigned(row.get(2)?), packed, is_tagged);
            let listed = self.positions.entry((kind, key)).or_default();
            listed.extend(postings.unwrap_or_default());
        }
        Ok(())
    }

    /// The tables of formats 1 and 2.
    fn rows_lack(
        &self,
        connection: &Connection,
        entry: &Entry,
        subject: SubjectId,
        source: u64,
        identity: u64,
    ) -> rusqlite::Result<Option<&'static str>> {
        let position = entry.position.0;
        let (position, bucket) = (signed(position), signed(position >> BUCKET_BITS));
        let by_subject = connection
            .prepare_cached("SELECT 1 FROM idx WHERE subject = ? AND pos = ?")?
            .exists(params![subject.0, position])?;
        let by_hash = |table: &str, hash: u64| {
            connection
                .prepare_cached(&format!(
                    "SELECT 1 FROM {table} WHERE bucket = ? AND hash = ? AND pos = ?"
                ))?
                .exists(params![bucket, signed(hash), position])
        };
        Ok(if !by_subject {
            Some("of subjects")
        } else if self.format == 2 && !by_hash("sources", source)? {
            Some("of sources")
        } else if !by_hash("ids", identity)? {
            Some("of identities")
        } else {
            None
        })
    }
}
