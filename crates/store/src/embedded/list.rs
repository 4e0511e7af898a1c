//! What the index lists positions under, and how it is laid out.

use super::meta::signed;
use super::recent::URGENT_MIN;
use super::subjects::SubjectId;

/// Lists are cut into groups of positions: a merge then touches the newest group alone, however much is stored, and a
/// look-up searches one place in each group.
pub(super) const BUCKET_BITS: u32 = 18;

/// Identities share so many lists, which keeps the blocks of each well filled.
const IDENTITY_LISTS_BITS: u32 = 10;

pub(super) fn bucket(position: u64) -> i64 {
    signed(position >> BUCKET_BITS)
}

/// The first position of a group.
pub(super) fn base(bucket: i64) -> u64 {
    bucket.cast_unsigned() << BUCKET_BITS
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum List {
    Subject(SubjectId),
    /// By the hash of its name: entries of another source may be among them.
    Source(u64),
    Kind(u8),
    /// Entries of a subject with priority `URGENT_MIN` and above.
    Urgent(SubjectId),
    /// Those whose identity begins with these bits; a tag holds some of the others.
    Identity(u16),
}

impl List {
    /// As the table has it.
    pub(super) fn key(self) -> (i64, i64) {
        match self {
            Self::Subject(id) => (0, id.0),
            Self::Source(hash) => (1, signed(hash)),
            Self::Kind(kind) => (2, kind.into()),
            Self::Urgent(id) => (3, id.0),
            Self::Identity(bits) => (4, bits.into()),
        }
    }

    /// Whether a tag follows each position.
    pub(super) fn is_tagged(self) -> bool {
        matches!(self, Self::Identity(_))
    }

    /// Of an identity's hash: where it is listed, and under which tag.
    pub(super) fn of_identity(hash: u64) -> (Self, u32) {
        let bits = hash >> (u64::BITS - IDENTITY_LISTS_BITS);
        (Self::Identity(bits as u16), hash as u32)
    }

    /// All that list a row without a tag.
    pub(super) fn of_row(
        subject: SubjectId,
        source: u64,
        kind: u8,
        priority: u8,
    ) -> impl Iterator<Item = Self> {
        let urgent = (priority >= URGENT_MIN).then_some(Self::Urgent(subject));
        let always = [
            Self::Subject(subject),
            Self::Source(source),
            Self::Kind(kind),
        ];
        always.into_iter().chain(urgent)
    }
}
