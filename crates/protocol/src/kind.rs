//! The types and priorities of messages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Invalid;

/// What a message is. The numbers are stored on disk and never change.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum MessageType {
    /// A text for people: `{content}`, though any JSON is carried.
    Text = 0,
    /// Any JSON.
    #[default]
    Json = 1,
    /// From the hub about the connection: `{event, detail?, recommendedAction?}`.
    System = 2,
    /// Something to be done by a client or a worker.
    Command = 3,
    /// From the hub: the stream is alive.
    Heartbeat = 4,
    /// From the hub: a receipt.
    Ack = 5,
    /// An error that one client tells another.
    Error = 6,
    /// How far a task is.
    Progress = 7,
}

impl MessageType {
    /// Every type, by number.
    pub const ALL: [MessageType; 8] = [
        MessageType::Text,
        MessageType::Json,
        MessageType::System,
        MessageType::Command,
        MessageType::Heartbeat,
        MessageType::Ack,
        MessageType::Error,
        MessageType::Progress,
    ];

    /// The word of the field `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            MessageType::Text => "text",
            MessageType::Json => "json",
            MessageType::System => "system",
            MessageType::Command => "command",
            MessageType::Heartbeat => "heartbeat",
            MessageType::Ack => "ack",
            MessageType::Error => "error",
            MessageType::Progress => "progress",
        }
    }

    /// The word of the line `event:`. Browsers use `error` for a broken connection, so that type has another name there.
    #[must_use]
    pub const fn event_name(self) -> &'static str {
        match self {
            MessageType::Error => "message_error",
            other => other.as_str(),
        }
    }

    /// Whether only the hub may send this type.
    #[must_use]
    pub const fn reserved(self) -> bool {
        matches!(
            self,
            MessageType::System | MessageType::Heartbeat | MessageType::Ack
        )
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MessageType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let rule =
                    "must be one of text, json, system, command, heartbeat, ack, error, progress";
                Invalid::field("type", rule)
            })
    }
}

impl TryFrom<u8> for MessageType {
    type Error = UnknownNumber;

    fn try_from(number: u8) -> Result<Self, UnknownNumber> {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .ok_or(UnknownNumber(number))
    }
}

/// How urgent a message is; it changes the order of delivery once more is waiting than one write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "0 | 1 | 2 | 3"))]
#[repr(u8)]
pub enum Priority {
    Low = 0,
    #[default]
    Normal = 1,
    High = 2,
    Critical = 3,
}

impl Priority {
    /// Every priority, by number.
    pub const ALL: [Priority; 4] = [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Critical,
    ];

    pub(crate) const RULE: &'static str = "must be a whole number from 0 to 3";

    /// Reads the text of a header or a query: `0` to `3`; `field` is the name that a refusal gives.
    pub fn parse(text: &str, field: &str) -> Result<Self, Invalid> {
        let number = text.parse::<u8>().ok().filter(|_| text.len() == 1);
        let priority = number.and_then(|number| Self::try_from(number).ok());
        priority.ok_or_else(|| Invalid::field(field, Self::RULE))
    }
}

impl TryFrom<u8> for Priority {
    type Error = UnknownNumber;

    fn try_from(number: u8) -> Result<Self, UnknownNumber> {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .ok_or(UnknownNumber(number))
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(u8::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A number that stands for no type or priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no type or priority has the number {0}")]
pub struct UnknownNumber(pub u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_priorities_keep_the_numbers_that_are_on_disk() {
        let types = MessageType::ALL.map(|kind| format!("{} {}", kind as u8, kind.event_name()));
        let expected = [
            "0 text",
            "1 json",
            "2 system",
            "3 command",
            "4 heartbeat",
            "5 ack",
            "6 message_error",
            "7 progress",
        ];
        assert_eq!(types, expected);
        assert_eq!(Priority::ALL.map(|priority| priority as u8), [0, 1, 2, 3]);
    }

    #[test]
    fn words_and_numbers_read_back_and_others_are_refused() {
        for kind in MessageType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(MessageType::try_from(kind as u8), Ok(kind));
        }
        for priority in Priority::ALL {
            assert_eq!(Priority::try_from(priority as u8), Ok(priority));
        }
        assert_eq!(MessageType::try_from(8), Err(UnknownNumber(8)));
        assert_eq!(Priority::try_from(4), Err(UnknownNumber(4)));
    }

    #[test]
    fn a_priority_in_a_header_is_one_digit() {
        assert_eq!(
            Priority::parse("3", "Tidings-Priority"),
            Ok(Priority::Critical)
        );
        for text in ["", "4", "-1", "+1", "01", " 1", "high"] {
            let invalid = Priority::parse(text, "Tidings-Priority").expect_err(text);
            assert_eq!(invalid.field.as_deref(), Some("Tidings-Priority"));
        }
    }
}
