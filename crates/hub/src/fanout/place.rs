//! Where a connection is: the state behind the cursor in each `id:`.

use tidings_protocol::cursor;
use tidings_protocol::limits::AHEAD_MAX;

use super::chunk::Sent;
use super::frame::Frame;

/// What a connection has been sent: all that it reads up to `scan`, and the few positions beyond that priority put
/// ahead. Mailbox messages count only after `mailbox`, shared ones (topics, broadcast) only after `shared`.
///
/// ```text
///            mailbox      shared
///               |            |
///   0 --------- m ---------- s ------- position ->
///               ^ scan starts at the lower one; between m and s it takes mailbox messages only
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    mailbox: u64,
    shared: u64,
    scan: u64,
    /// Ascending, all beyond `scan`, at most [`AHEAD_MAX`].
    ahead: Vec<u64>,
}

impl Place {
    pub(crate) fn new(mailbox: u64, shared: u64, mut ahead: Vec<u64>) -> Self {
        let scan = mailbox.min(shared);
        ahead.retain(|position| *position > scan);
        Self {
            mailbox,
            shared,
            scan,
            ahead,
        }
    }

    /// Starts anew at other places; what is ahead of them stays so.
    pub(crate) fn restart(&mut self, mailbox: u64, shared: u64) {
        *self = Self::new(mailbox, shared, std::mem::take(&mut self.ahead));
    }

    /// Mailbox messages count after this position.
    pub(crate) fn mailbox(&self) -> u64 {
        self.mailbox
    }

    /// Messages of topics and broadcast count after this position.
    pub(crate) fn shared(&self) -> u64 {
        self.shared
    }

    /// Everything that this connection reads up to here has been sent.
    pub(crate) fn scan(&self) -> u64 {
        self.scan
    }

    /// Which subjects the scan reads next, and how far that holds.
    pub(crate) fn reads(&self) -> Reads {
        if self.scan >= self.mailbox && self.scan < self.shared {
            Reads::MailboxUpTo(self.shared)
        } else if self.scan >= self.shared && self.scan < self.mailbox {
            Reads::SharedUpTo(self.mailbox)
        } else {
            Reads::All
        }
    }

    /// Whether `frame` is still to be sent here, as far as positions say.
    pub(crate) fn awaits(&self, frame: &Frame) -> bool {
        let start = if frame.is_mailbox() {
            self.mailbox
        } else {
            self.shared
        };
        frame.position > self.scan.max(start) && !self.is_ahead(frame.position)
    }

    /// Whether the message of the mailbox at `position` counts as sent here.
    pub(crate) fn counts_as_sent(&self, position: u64) -> bool {
        position <= self.scan.max(self.mailbox) || self.is_ahead(position)
    }

    pub(crate) fn is_ahead(&self, position: u64) -> bool {
        self.ahead.binary_search(&position).is_ok()
    }

    /// Whether a message after `position` has been sent.
    pub(crate) fn is_behind_one(&self, position: u64) -> bool {
        self.ahead.last().is_some_and(|ahead| *ahead > position)
    }

    /// Whether one more message may overtake.
    pub(crate) fn may_overtake(&self) -> bool {
        self.ahead.len() < AHEAD_MAX
    }

    /// All up to `position` has been sent.
    pub(crate) fn advance(&mut self, position: u64) {
        if position > self.scan {
            self.scan = position;
            let passed = self.ahead.partition_point(|ahead| *ahead <= position);
            self.ahead.drain(..passed);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
        }
    }

    /// The message at `position` has been sent before older ones.
    pub(crate) fn overtake(&mut self, position: u64) {
        if let Err(index) = self.ahead.binary_search(&position) {
            self.ahead.insert(index, position);
        }
    }

    /// All up to `position` has been sent, and so has all that it reads before `unsent`.
    pub(crate) fn advance_before(&mut self, position: u64, unsent: u64) {
        let sent = self.ahead.partition_point(|ahead| *ahead < unsent);
        let covered = sent
            .checked_sub(1)
            .map_or(position, |index| self.ahead[index].max(position));
        self.advance(covered);
    }

    /// Takes note of a frame that is on its way.
    pub(crate) fn apply(&mut self, sent: Sent) {
        match sent {
            Sent::LiveOnly { .. } => {}
            Sent::InOrder {
                covered: position, ..
            }
            | Sent::Scan { position, .. } => self.advance(position),
            Sent::Overtaking { position, .. } | Sent::Lane { position } => self.overtake(position),
        }
    }

    /// Whether the cursor here is the plain one that the frame at `position` carries.
    pub(crate) fn is_plainly_at(&self, position: u64) -> bool {
        self.ahead.is_empty()
            && self.scan == position
            && position >= self.mailbox
            && position >= self.shared
    }

    /// Appends the text of the cursor.
    pub(crate) fn write(&self, epoch: &str, out: &mut Vec<u8>) {
        cursor::write(
            out,
            epoch,
            self.mailbox.max(self.scan),
            self.shared.max(self.scan),
            &self.ahead,
        );
    }

    /// The text of the cursor.
    pub(crate) fn text(&self, epoch: &str) -> String {
        let mut out = Vec::new();
        self.write(epoch, &mut out);
        String::from_utf8(out).expect("a cursor is ASCII")
    }
}

/// What the scan reads from where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    All,
    MailboxUpTo(u64),
    SharedUpTo(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_written_once_and_ahead_positions_follow() {
        let mut place = Place::new(5, 5, vec![]);
        assert_eq!(place.text("e"), "e-5");
        place.overtake(9);
        place.overtake(7);
        assert_eq!(place.text("e"), "e-5+7+9");
        place.advance(7);
        assert_eq!(place.text("e"), "e-7+9");
        place.advance(9);
        assert_eq!(place.text("e"), "e-9");
    }

    #[test]
    fn a_mailbox_that_lies_behind_is_read_alone_up_to_the_shared_start() {
        let mut place = Place::new(3, 10, vec![]);
        assert_eq!((place.scan(), place.reads()), (3, Reads::MailboxUpTo(10)));
        place.advance(6);
        assert_eq!(place.text("e"), "e-6.10");
        assert!(!place.is_plainly_at(6));
        place.advance(10);
        assert_eq!(
            (place.reads(), place.text("e")),
            (Reads::All, "e-10".into())
        );
    }

    #[test]
    fn shared_subjects_that_lie_behind_are_read_alone_up_to_the_mailbox_start() {
        let place = Place::new(10, 3, vec![]);
        assert_eq!((place.scan(), place.reads()), (3, Reads::SharedUpTo(10)));
        assert_eq!(place.text("e"), "e-10.3");
    }

    #[test]
    fn what_was_overtaken_and_then_sent_is_covered_by_the_prefix() {
        let mut place = Place::new(1, 1, vec![4, 6, 9]);
        place.advance_before(2, 3);
        assert_eq!(place.text("e"), "e-2+4+6+9");
        place.advance_before(3, 8);
        assert_eq!(place.text("e"), "e-6+9");
    }
}
