//! Names that clients choose: of themselves, of their messages, of topics.
//!
//! A clone of a name shares its text.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Invalid;
use crate::limits::ID_BYTES_MAX;

macro_rules! name {
    ($(#[doc = $doc:literal])+ $name:ident, $field:literal, $check:path) => {
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text; `field` is the name that a refusal gives.
            pub fn parse(text: &str, field: &str) -> Result<Self, Invalid> {
                match $check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(rule) => Err(Invalid::field(field, rule)),
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for Arc<str> {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text, $field).map_err(de::Error::custom)
            }
        }
    };
}
pub(crate) use name;

name! {
    /// The id of a client: 1 to 256 bytes, no control characters, not starting with `$` (such names are the hub's).
    ClientId, "clientId", check_client_id
}

name! {
    /// The id of a message, unique per source: 1 to 256 bytes, no control characters.
    MessageId, "id", check_id
}

name! {
    /// A topic: levels separated by `/`, 1 to 256 bytes, no control characters, no `,`, no wildcard characters
    /// (`+`, `*`, `#`), no empty, `.` or `..` level.
    Topic, "topic", check_topic
}

impl MessageId {
    /// The text form of a UUID, which satisfies every rule: `01890a5d-ac96-774b-bcce-b302099a8057`.
    #[must_use]
    pub fn from_uuid(value: u128) -> Self {
        let hex = format!("{value:032x}");
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        Self(parts.join("-").into())
    }
}

/// Returns the rule that an id breaks.
pub(crate) fn check_id(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.len() > ID_BYTES_MAX {
        return Err("must be at most 256 bytes long");
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    Ok(())
}

/// Returns the rule that a client id, or a source, breaks.
pub(crate) fn check_client_id(text: &str) -> Result<(), &'static str> {
    check_id(text)?;
    if text.starts_with('$') {
        return Err("must not start with `$`: such names belong to the hub");
    }
    Ok(())
}

fn check_topic(text: &str) -> Result<(), &'static str> {
    check_id(text)?;
    text.split('/').try_for_each(check_level)
}

pub(crate) const WILDCARDS: [char; 3] = ['+', '*', '#'];

/// Returns the rule that one level of a topic breaks.
pub(crate) fn check_level(level: &str) -> Result<(), &'static str> {
    match level {
        "" => Err("must not have an empty level"),
        "." | ".." => Err("must not have a level `.` or `..`"),
        _ if level.contains(',') => Err("must not contain `,`"),
        _ if level.contains(WILDCARDS) => Err("must not contain `+`, `*` or `#`"),
        _ => Ok(()),
    }
}
