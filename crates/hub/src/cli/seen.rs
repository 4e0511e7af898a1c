use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// More than a hub repeats after any reconnect.
const REMEMBERED: usize = 8_192;

/// The newest identities (source, id) that were received, to recognise repeats.
#[derive(Debug, Default)]
pub(super) struct Seen {
    identities: HashSet<Arc<(String, String)>>,
    oldest_first: VecDeque<Arc<(String, String)>>,
}

impl Seen {
    /// Whether the identity is new; it is known from now on.
    pub(super) fn is_new(&mut self, source: &str, id: &str) -> bool {
        let identity = Arc::new((source.to_owned(), id.to_owned()));
        if !self.identities.insert(Arc::clone(&identity)) {
            return false;
        }
        self.oldest_first.push_back(identity);
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.identities.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_recognised_by_source_and_id_together() {
        let mut seen = Seen::default();
        assert!(seen.is_new("a", "1"));
        assert!(!seen.is_new("a", "1"));
        assert!(seen.is_new("b", "1"));
        assert!(seen.is_new("a", "2"));
    }

    #[test]
    fn the_newest_8192_are_remembered_and_no_more() {
        let mut seen = Seen::default();
        for id in 0..=REMEMBERED {
            assert!(seen.is_new("a", &id.to_string()));
        }
        assert!(!seen.is_new("a", "1"), "the oldest kept");
        assert!(seen.is_new("a", "0"), "the one that made room");
        assert_eq!(seen.identities.len(), REMEMBERED);
    }
}
