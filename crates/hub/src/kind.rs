//! What the number in the field `kind` of an entry says. Everything that looks at that number goes through here.

use tidings_protocol::MessageType;

/// The type of a message and whether it waits for an acknowledgement of its own. The number is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u8);

/// Types have the numbers 0 to 7; the highest bit is the mark of `requireAck`.
const REQUIRE_ACK: u8 = 0x80;

impl Kind {
    pub(crate) const fn new(kind: MessageType, require_ack: bool) -> Self {
        Self(kind as u8 | if require_ack { REQUIRE_ACK } else { 0 })
    }

    /// From the number of a stored entry.
    pub(crate) const fn stored(number: u8) -> Self {
        Self(number)
    }

    /// As it is stored.
    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    /// `None` for a number that a later version stored.
    pub(crate) fn message_type(self) -> Option<MessageType> {
        MessageType::try_from(self.0 & !REQUIRE_ACK).ok()
    }

    pub(crate) const fn require_ack(self) -> bool {
        self.0 & REQUIRE_ACK != 0
    }
}

impl From<MessageType> for Kind {
    fn from(kind: MessageType) -> Self {
        Self::new(kind, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_keeps_its_type_and_its_mark_under_the_numbers_that_are_on_disk() {
        for (number, kind) in (0..).zip(MessageType::ALL) {
            for (require_ack, mark) in [(false, 0), (true, 0x80)] {
                let kind_stored = Kind::stored(Kind::new(kind, require_ack).number());
                assert_eq!(kind_stored.number(), number | mark);
                assert_eq!(kind_stored.message_type(), Some(kind));
                assert_eq!(kind_stored.require_ack(), require_ack);
            }
        }
        assert_eq!(Kind::stored(8).message_type(), None);
    }
}
