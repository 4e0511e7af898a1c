//! What an idle connection costs, as far as types say it.

use std::mem::size_of;

use super::Berth;
use crate::fanout::card::Card;
use crate::fanout::registry::Member;

/// As large as a socket of a stream: in a debug build that has further checks of its own.
type Socket = [u64; 2];

/// `Arc` counts its owners in front of what it holds.
const COUNTS: usize = 2 * size_of::<usize>();

#[test]
fn a_connection_in_its_shard_takes_at_most_192_bytes() {
    let size = size_of::<Berth<Socket>>();
    assert!(size <= 192, "{size}");
}

#[test]
fn a_card_fits_into_a_piece_of_128_bytes() {
    let size = COUNTS + size_of::<Card>();
    assert!(size <= 128, "{size}");
}

#[test]
fn a_listed_connection_takes_three_words() {
    assert_eq!(size_of::<Member>(), 3 * size_of::<usize>());
}
