//! What a cursor ack does to a client's mailbox cursor. No clock, no I/O.

use tidings_protocol::limits::AHEAD_MAX;

/// How far a client has read its mailbox: everything up to `position`, and the positions ahead of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) position: u64,
    /// Strictly increasing, beyond `position`, at most [`AHEAD_MAX`].
    pub(crate) ahead: Vec<u64>,
}

/// A client's cursor, and what the journal knows of its epoch.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) read: Read,
    /// The last position of the cursor's epoch; `None` for an epoch that is not in the lineage.
    pub(crate) epoch_end: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The stored cursor becomes this one.
    Move(Read),
    /// Applied, and nothing is to be written: what it acks was acked before.
    Stay,
    /// Not applied.
    Refuse,
}

/// `stored` is the beginning for a client without a cursor. `trimmed_to` is the newest position of any mailbox that
/// retention removed: nobody can have read on from before it.
pub(crate) fn decide(
    stored: &Read,
    trimmed_to: u64,
    cursor: &Known,
    from: Option<&Known>,
) -> Decision {
    let Some(cursor) = within_epoch(cursor) else {
        return Decision::Refuse;
    };
    let moved = union(stored, &cursor);
    if moved == *stored {
        return Decision::Stay;
    }
    let unbroken = match from {
        None => true,
        Some(from) => {
            within_epoch(from).is_some_and(|from| from.position <= stored.position.max(trimmed_to))
        }
    };
    if unbroken {
        Decision::Move(moved)
    } else {
        Decision::Refuse
    }
}

/// The cursor as far as its epoch reaches; `None` when the epoch is unknown or ends before it. Positions ahead that lie
/// beyond the end belong to a time line that was lost.
fn within_epoch(known: &Known) -> Option<Read> {
    let end = known.epoch_end.filter(|end| known.read.position <= *end)?;
    let ahead = known
        .read
        .ahead
        .iter()
        .copied()
        .filter(|position| *position <= end)
        .collect();
    Some(Read {
        position: known.read.position,
        ahead,
    })
}

/// The larger position, and of the positions ahead that lie beyond it the lowest: those dropped are only sent again.
fn union(one: &Read, other: &Read) -> Read {
    let position = one.position.max(other.position);
    let both = one.ahead.iter().chain(&other.ahead).copied();
    let mut ahead: Vec<u64> = both.filter(|ahead| *ahead > position).collect();
    ahead.sort_unstable();
    ahead.dedup();
    ahead.truncate(AHEAD_MAX);
    Read { position, ahead }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u64 = 1000;

    fn read(position: u64, ahead: &[u64]) -> Read {
        Read {
            position,
            ahead: ahead.to_vec(),
        }
    }

    fn known(position: u64, ahead: &[u64]) -> Known {
        Known {
            read: read(position, ahead),
            epoch_end: Some(END),
        }
    }

    fn unknown(position: u64) -> Known {
        Known {
            read: read(position, &[]),
            epoch_end: None,
        }
    }

    fn moved(position: u64, ahead: &[u64]) -> Decision {
        Decision::Move(read(position, ahead))
    }

    #[test]
    fn a_cursor_moves_the_stored_one_when_from_is_not_after_it() {
        let stored = read(100, &[]);
        assert_eq!(
            decide(&stored, 0, &known(200, &[]), Some(&known(100, &[]))),
            moved(200, &[])
        );
        assert_eq!(
            decide(&stored, 0, &known(200, &[]), Some(&known(50, &[]))),
            moved(200, &[])
        );
        assert_eq!(
            decide(&stored, 0, &known(200, &[]), Some(&known(101, &[]))),
            Decision::Refuse
        );
    }

    #[test]
    fn from_is_the_stored_cursor_by_default() {
        assert_eq!(
            decide(&read(100, &[]), 0, &known(200, &[]), None),
            moved(200, &[])
        );
    }

    #[test]
    fn a_client_without_a_stored_cursor_stands_at_the_beginning() {
        let none = Read::default();
        assert_eq!(
            decide(&none, 0, &known(200, &[]), Some(&known(0, &[]))),
            moved(200, &[])
        );
        assert_eq!(
            decide(&none, 0, &known(200, &[]), Some(&known(1, &[]))),
            Decision::Refuse
        );
        assert_eq!(decide(&none, 0, &known(200, &[]), None), moved(200, &[]));
    }

    #[test]
    fn for_the_comparison_the_stored_cursor_is_at_least_the_trimmed_position() {
        let from = known(150, &[]);
        let stored = read(100, &[]);
        assert_eq!(
            decide(&stored, 150, &known(200, &[]), Some(&from)),
            moved(200, &[])
        );
        assert_eq!(
            decide(&stored, 149, &known(200, &[]), Some(&from)),
            Decision::Refuse
        );
        assert_eq!(
            decide(&Read::default(), 150, &known(200, &[]), Some(&from)),
            moved(200, &[])
        );
    }

    #[test]
    fn the_trimmed_position_is_only_compared_and_never_stored() {
        assert_eq!(
            decide(&read(100, &[]), 500, &known(200, &[]), None),
            moved(200, &[])
        );
    }

    #[test]
    fn moving_takes_the_larger_position_and_the_union_of_the_positions_beyond_it() {
        let stored = read(100, &[120, 130, 250]);
        assert_eq!(
            decide(&stored, 0, &known(125, &[130, 140, 260]), None),
            moved(125, &[130, 140, 250, 260])
        );
        assert_eq!(
            decide(&stored, 0, &known(90, &[110]), None),
            moved(100, &[110, 120, 130, 250])
        );
    }

    #[test]
    fn of_more_than_64_positions_ahead_the_lowest_are_kept() {
        let stored = read(100, &(200..264).collect::<Vec<_>>());
        let cursor = known(100, &(150..214).collect::<Vec<_>>());
        assert_eq!(
            decide(&stored, 0, &cursor, None),
            moved(100, &(150..214).collect::<Vec<_>>())
        );
    }

    #[test]
    fn a_cursor_that_is_not_ahead_changes_nothing_and_counts_as_applied() {
        let stored = read(100, &[120]);
        for cursor in [
            known(100, &[]),
            known(50, &[]),
            known(100, &[120]),
            known(0, &[]),
        ] {
            assert_eq!(
                decide(&stored, 0, &cursor, None),
                Decision::Stay,
                "{cursor:?}"
            );
            assert_eq!(
                decide(&stored, 0, &cursor, Some(&known(500, &[]))),
                Decision::Stay
            );
        }
    }

    #[test]
    fn the_same_ack_again_changes_nothing() {
        let cursor = known(200, &[210]);
        let Decision::Move(stored) = decide(&read(100, &[]), 0, &cursor, Some(&known(100, &[])))
        else {
            panic!("moves");
        };
        assert_eq!(
            decide(&stored, 0, &cursor, Some(&known(100, &[]))),
            Decision::Stay
        );
    }

    #[test]
    fn an_unknown_epoch_or_a_position_beyond_the_end_is_not_applied() {
        let stored = read(100, &[]);
        assert_eq!(decide(&stored, 0, &unknown(200), None), Decision::Refuse);
        assert_eq!(decide(&stored, 0, &unknown(50), None), Decision::Refuse);
        assert_eq!(
            decide(&stored, 0, &known(END + 1, &[]), None),
            Decision::Refuse
        );
        assert_eq!(decide(&stored, 0, &known(END, &[]), None), moved(END, &[]));
    }

    #[test]
    fn positions_ahead_beyond_the_end_of_the_epoch_are_dropped() {
        let stored = read(100, &[]);
        assert_eq!(
            decide(&stored, 0, &known(200, &[300, END + 1]), None),
            moved(200, &[300])
        );
        assert_eq!(
            decide(&stored, 0, &known(100, &[END + 1]), None),
            Decision::Stay
        );
    }

    #[test]
    fn a_from_of_an_unknown_epoch_or_beyond_the_end_is_not_applied() {
        let stored = read(100, &[]);
        assert_eq!(
            decide(&stored, 0, &known(200, &[]), Some(&unknown(50))),
            Decision::Refuse
        );
        let mut old = known(50, &[]);
        old.epoch_end = Some(49);
        assert_eq!(
            decide(&stored, 0, &known(200, &[]), Some(&old)),
            Decision::Refuse
        );
    }
}
