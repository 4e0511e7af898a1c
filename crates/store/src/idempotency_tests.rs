use std::convert::Infallible;

use bytes::Bytes;

use super::*;
use crate::entry::Subject;

const FINGERPRINT: u128 = 7;

fn record(id: &str) -> Record {
    Record {
        subject: Subject::All,
        source: "source".into(),
        id: id.into(),
        fingerprint: FINGERPRINT,
        kind: 0,
        priority: 1,
        exclude: None,
        ttl_ms: None,
        durable: true,
        body: Bytes::new(),
    }
}

fn window(ms: u64, ids: usize) -> Window {
    Window::new(IdempotencyWindow { ms, ids })
}

fn judge(window: &mut Window, id: &str, now: u64, found: Found) -> Verdict {
    let Ok(verdict) = window.judge::<Infallible>(&record(id), now, |_| Ok(found));
    verdict
}

fn put(window: &mut Window, id: &str, position: u64, now: u64) {
    let key = window.key("source", id);
    window.remember(key, Position(position), now);
}

fn is_new(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::New(_))
}

const SAME: Found = Found::Same {
    fingerprint: FINGERPRINT,
};

#[test]
fn a_copy_is_a_duplicate_and_other_contents_are_a_conflict() {
    let mut window = window(100, 10);
    put(&mut window, "a", 3, 0);
    assert_eq!(
        judge(&mut window, "a", 1, SAME),
        Verdict::Duplicate(Position(3))
    );
    assert_eq!(
        judge(&mut window, "a", 1, Found::Same { fingerprint: 8 }),
        Verdict::Conflict
    );
    assert!(is_new(judge(&mut window, "b", 1, SAME)));
}

#[test]
fn a_trimmed_first_copy_still_makes_a_duplicate() {
    let mut window = window(100, 10);
    put(&mut window, "a", 3, 0);
    assert_eq!(
        judge(&mut window, "a", 1, Found::Gone),
        Verdict::Duplicate(Position(3))
    );
}

#[test]
fn a_collision_of_hashes_is_not_a_duplicate() {
    let mut window = window(100, 10);
    put(&mut window, "a", 3, 0);
    assert!(is_new(judge(&mut window, "a", 1, Found::Other)));
}

#[test]
fn source_and_id_are_hashed_apart() {
    let window = window(100, 10);
    assert_ne!(window.key("ab", "c"), window.key("a", "bc"));
}

#[test]
fn time_ends_the_window_exactly() {
    let mut window = window(100, 10);
    put(&mut window, "a", 3, 1000);
    assert!(!is_new(judge(&mut window, "a", 1099, SAME)));
    assert!(is_new(judge(&mut window, "a", 1100, SAME)));
    assert_eq!(window.len(), 0);
}

#[test]
fn the_bound_of_ids_forgets_the_oldest_once_settled() {
    let mut window = window(100, 2);
    for (position, id) in ["a", "b", "c"].into_iter().enumerate() {
        put(&mut window, id, position as u64, 0);
    }
    assert!(!is_new(judge(&mut window, "a", 1, SAME)));
    window.settle();
    assert!(is_new(judge(&mut window, "a", 1, SAME)));
    assert!(!is_new(judge(&mut window, "b", 1, SAME)));
    assert!(!is_new(judge(&mut window, "c", 1, SAME)));
}

#[test]
fn a_rollback_takes_back_only_what_came_after_the_mark() {
    let mut window = window(100, 2);
    put(&mut window, "a", 1, 0);
    put(&mut window, "b", 2, 0);
    let mark = window.mark();
    put(&mut window, "c", 3, 0);
    put(&mut window, "d", 4, 0);
    window.rollback(mark);
    window.settle();
    assert_eq!(window.len(), 2);
    assert!(!is_new(judge(&mut window, "a", 1, SAME)));
    assert!(!is_new(judge(&mut window, "b", 1, SAME)));
    assert!(is_new(judge(&mut window, "c", 1, SAME)));
}

#[test]
fn an_identity_that_came_again_outlives_its_first_copy() {
    let mut window = window(1000, 1);
    put(&mut window, "a", 1, 0);
    put(&mut window, "a", 2, 0);
    window.settle();
    assert_eq!(
        judge(&mut window, "a", 1, SAME),
        Verdict::Duplicate(Position(2))
    );
}
