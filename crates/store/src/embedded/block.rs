//! Blocks of the index: some positions of one list within one group, packed.
//!
//! Each position is written as its distance from the one before it, the first one from the number that the block is
//! stored under. Blocks of a list never overlap.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use super::list::List;
use super::meta::{signed, unsigned};

/// Some hundred bytes: a few fill a page, and reading one costs about as much as finding it.
pub(super) const BLOCK_ROWS_MAX: usize = 256;

/// Stores a block, or a longer one in its place.
pub(super) const PUT: &str = "INSERT OR REPLACE INTO posting VALUES (?, ?, ?, ?, ?)";
const UPDATE: &str =
    "UPDATE posting SET positions = ? WHERE bucket = ? AND kind = ? AND key = ? AND first = ?";
const DELETE: &str = "DELETE FROM posting WHERE bucket = ? AND kind = ? AND key = ? AND first = ?";
const FROM: &str = "SELECT first, positions FROM posting
    WHERE bucket = ? AND kind = ? AND key = ? AND first >= ? ORDER BY first LIMIT 1";
const UPTO: &str = "SELECT first, positions FROM posting
    WHERE bucket = ? AND kind = ? AND key = ? AND first <= ? ORDER BY first DESC LIMIT 1";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Posting {
    pub(super) position: u64,
    /// Zero in lists without tags.
    pub(super) tag: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) first: u64,
    pub(super) postings: Vec<Posting>,
}

impl Block {
    /// The block of a list that begins at or behind a position.
    pub(super) fn from(
        connection: &Connection,
        bucket: i64,
        list: List,
        position: u64,
    ) -> rusqlite::Result<Option<Self>> {
        Self::find(connection, FROM, bucket, list, position)
    }

    /// The block of a list that begins at or before a position.
    pub(super) fn upto(
        connection: &Connection,
        bucket: i64,
        list: List,
        position: u64,
    ) -> rusqlite::Result<Option<Self>> {
        Self::find(connection, UPTO, bucket, list, position)
    }

    fn find(
        connection: &Connection,
        statement: &str,
        bucket: i64,
        list: List,
        position: u64,
    ) -> rusqlite::Result<Option<Self>> {
        let (kind, key) = list.key();
        connection
            .prepare_cached(statement)?
            .query_row(params![bucket, kind, key, signed(position)], |row| {
                let first = unsigned(row.get(0)?);
                let postings = unpack(first, row.get_ref(1)?.as_blob()?, list.is_tagged());
                Ok(Self {
                    first,
                    postings: postings.ok_or_else(broken)?,
                })
            })
            .optional()
    }

    /// Writes what is left of a block.
    pub(super) fn replace(
        &self,
        connection: &Connection,
        bucket: i64,
        list: List,
    ) -> rusqlite::Result<()> {
        let ((kind, key), first) = (list.key(), signed(self.first));
        if self.postings.is_empty() {
            connection
                .prepare_cached(DELETE)?
                .execute(params![bucket, kind, key, first])?;
        } else {
            let packed = pack(self.first, self.postings.iter().copied(), list.is_tagged());
            connection
                .prepare_cached(UPDATE)?
                .execute(params![packed, bucket, kind, key, first])?;
        }
        Ok(())
    }
}

/// Positions ascend, and none lies before `first`.
pub(super) fn pack(
    first: u64,
    postings: impl Iterator<Item = Posting>,
    is_tagged: bool,
) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut previous = first;
    for Posting { position, tag } in postings {
        let mut distance = position - previous;
        while distance > 0x7f {
            packed.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        packed.push(distance as u8);
        if is_tagged {
            packed.extend_from_slice(&tag.to_le_bytes());
        }
        previous = position;
    }
    packed
}

/// `None`: no block was ever packed so.
pub(super) fn unpack(first: u64, mut packed: &[u8], is_tagged: bool) -> Option<Vec<Posting>> {
    let mut postings = Vec::with_capacity(packed.len() / if is_tagged { 5 } else { 1 });
    let mut position = first;
    while !packed.is_empty() {
        let (mut distance, mut shift) = (0_u64, 0);
        loop {
            let (byte, rest) = packed.split_first()?;
            packed = rest;
            distance |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        position = position.checked_add(distance)?;
        let mut tag = 0;
        if is_tagged {
            let (bytes, rest) = packed.split_first_chunk()?;
            (tag, packed) = (u32::from_le_bytes(*bytes), rest);
        }
        postings.push(Posting { position, tag });
    }
    Some(postings)
}

/// The error of a value that is not what its column holds.
fn broken() -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        1,
        Type::Blob,
        "a block of the index is broken".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postings(positions: &[u64], tag: u32) -> Vec<Posting> {
        positions
            .iter()
            .map(|&position| Posting { position, tag })
            .collect()
    }

    #[test]
    fn what_is_packed_is_unpacked_with_and_without_tags() {
        for positions in [
            &[][..],
            &[7],
            &[7, 8, 9],
            &[7, 134, 135, 262_143, 1 << 40, u64::MAX >> 1],
        ] {
            for (is_tagged, tag) in [(false, 0), (true, 0), (true, u32::MAX - 5)] {
                let postings = postings(positions, tag);
                let packed = pack(3, postings.iter().copied(), is_tagged);
                assert_eq!(unpack(3, &packed, is_tagged), Some(postings));
            }
        }
    }

    #[test]
    fn neighbours_take_a_byte_each() {
        let positions: Vec<u64> = (1000..1256).collect();
        let packed = pack(1000, postings(&positions, 0).into_iter(), false);
        assert_eq!(packed.len(), BLOCK_ROWS_MAX);
    }

    #[test]
    fn what_was_never_packed_is_refused_and_not_guessed_at() {
        for packed in [&[0x80][..], &[1, 0xff, 0xff], &[0xff; 12]] {
            assert_eq!(unpack(1, packed, false), None);
        }
        assert_eq!(unpack(1, &[5, 1, 2, 3], true), None);
        assert_eq!(unpack(u64::MAX, &[1], false), None);
    }
}
