//! Small grammars that checks compare with: cursors, made ids, percent-encoding.

/// The parts of a cursor: epoch, mailbox, shared, ahead. `None` when it is not one by the grammar of PROTOCOL.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) epoch: String,
    pub(crate) mailbox: u64,
    pub(crate) shared: u64,
    pub(crate) ahead: Vec<u64>,
}

impl Parts {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (epoch, rest) = text.split_once('-')?;
        let named =
            (1..=32).contains(&epoch.len()) && epoch.bytes().all(|b| b.is_ascii_alphanumeric());
        let mut parts = rest.split('+');
        let (mailbox, shared) = match parts.next()?.split_once('.') {
            Some((mailbox, shared)) => (position(mailbox)?, position(shared)?),
            None => {
                return Self::checked(
                    named,
                    epoch,
                    position(rest.split('+').next()?)?,
                    None,
                    parts,
                );
            }
        };
        Self::checked(named, epoch, mailbox, Some(shared), parts)
    }

    fn checked<'a>(
        named: bool,
        epoch: &str,
        mailbox: u64,
        shared: Option<u64>,
        ahead: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let ahead: Vec<u64> = ahead.map(position).collect::<Option<_>>()?;
        let lower = mailbox.min(shared.unwrap_or(mailbox));
        let ordered =
            ahead.first().is_none_or(|first| *first > lower) && ahead.is_sorted_by(|a, b| a < b);
        (named && shared != Some(mailbox) && ordered && ahead.len() <= 64).then(|| Self {
            epoch: epoch.to_owned(),
            mailbox,
            shared: shared.unwrap_or(mailbox),
            ahead,
        })
    }
}

fn position(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with('0');
    (plain && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// UUIDv7, RFC 9562, as text.
pub(crate) fn is_uuid_v7(text: &str) -> bool {
    let hex =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        [a, b, c, d, e] => {
            hex(a, 8)
                && hex(b, 4)
                && hex(c, 4)
                && hex(d, 4)
                && hex(e, 12)
                && c.starts_with('7')
                && d.starts_with(['8', '9', 'a', 'b'])
        }
        _ => false,
    }
}

/// Every byte that is not unreserved, so that nothing has a meaning in a path or a query.
pub(crate) fn percent(text: &str) -> String {
    text.bytes().map(escaped).collect()
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_grammar_of_cursors_agrees_with_the_shared_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../vectors/cursors.json")).expect("JSON");
        let list = |name: &str| vectors[name].as_array().expect("a list").clone();
        for valid in list("valid") {
            let parts = Parts::parse(valid["text"].as_str().expect("text"));
            let parts = parts.unwrap_or_else(|| panic!("{valid}"));
            assert_eq!(parts.epoch, valid["epoch"], "{valid}");
            assert_eq!(parts.mailbox.to_string(), valid["mailbox"], "{valid}");
            assert_eq!(
                parts.ahead.len(),
                valid["ahead"].as_array().expect("a list").len(),
                "{valid}"
            );
        }
        for malformed in list("malformed") {
            let text = malformed.as_str().expect("text");
            assert_eq!(Parts::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_version_7_is_taken_for_a_made_id() {
        assert!(is_uuid_v7("0190a5d0-ac96-774b-bcce-b302099a8057"));
        assert!(!is_uuid_v7("0190a5d0-ac96-474b-bcce-b302099a8057"));
        assert!(!is_uuid_v7("0190a5d0-ac96-774b-ccce-b302099a8057"));
        assert!(!is_uuid_v7(""));
    }

    #[test]
    fn everything_but_unreserved_characters_is_escaped() {
        assert_eq!(percent("a/b+ü.~"), "a%2Fb%2B%C3%BC.~");
    }
}
