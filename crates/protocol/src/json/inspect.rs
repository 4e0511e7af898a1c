//! One pass over a JSON value that is known to be valid, for what parsing it into a tree would cost too much.

use serde_json::value::RawValue;

/// What [`inspect`] finds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Levels of nesting: 0 for a number, 1 for `[]` and `{"a": 1}`.
    pub(crate) depth: usize,
    /// A `\u` escape that is half a surrogate pair: no Unicode text, and an error to many readers.
    pub(crate) lone_surrogate: bool,
    /// A key `event` of the outermost object has a value that starts with `task_`, however either is spelt.
    pub(crate) task_event: bool,
    /// A key `requireAck` of the outermost object has the value `true`.
    pub(crate) require_ack: bool,
}

pub(crate) fn inspect(value: &RawValue) -> Findings {
    let json = value.get();
    let bytes = json.as_bytes();
    let mut found = Findings::default();
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let string = Str::at(json, at);
                found.lone_surrogate |= string.lone_surrogate;
                at = string.end;
                if depth == 1 {
                    look_at_key(json, &string, &mut found);
                }
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                found.depth = found.depth.max(depth);
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    found
}

/// Only the key of an object has a colon behind it.
fn look_at_key(json: &str, string: &Str<'_>, found: &mut Findings) {
    let Some(value) = json[string.end..].trim_ascii_start().strip_prefix(':') else {
        return;
    };
    let value = value.trim_ascii_start();
    if string.is("event") {
        found.task_event |= value.starts_with('"') && Str::at(value, 0).starts_with("task_");
    } else if string.is("requireAck") {
        found.require_ack |= value.starts_with("true");
    }
}

/// One string of a JSON text.
struct Str<'a> {
    /// With its quotes.
    text: &'a str,
    /// Where the text after it begins.
    end: usize,
    escaped: bool,
    lone_surrogate: bool,
}

impl<'a> Str<'a> {
    /// The string whose opening quote is at `start`.
    fn at(json: &'a str, start: usize) -> Self {
        let bytes = json.as_bytes();
        let mut escaped = false;
        let mut lone_surrogate = false;
        let mut at = start + 1;
        loop {
            match bytes[at] {
                b'"' => break,
                b'\\' if bytes[at + 1] == b'u' => {
                    escaped = true;
                    let (length, whole) = unicode_escape(&bytes[at..]);
                    lone_surrogate |= !whole;
                    at += length;
                }
                b'\\' => {
                    escaped = true;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        let end = at + 1;
        Self {
            text: &json[start..end],
            end,
            escaped,
            lone_surrogate,
        }
    }

    fn is(&self, wanted: &str) -> bool {
        self.compare(|text| text == wanted)
    }

    fn starts_with(&self, prefix: &str) -> bool {
        self.compare(|text| text.starts_with(prefix))
    }

    fn compare(&self, matches: impl Fn(&str) -> bool) -> bool {
        if self.escaped {
            // What cannot be decoded has a lone surrogate, for which the whole value is refused.
            serde_json::from_str::<String>(self.text).is_ok_and(|text| matches(&text))
        } else {
            matches(&self.text[1..self.text.len() - 1])
        }
    }
}

/// The length of the escape or pair of escapes at the start, and whether it stands for a character.
fn unicode_escape(bytes: &[u8]) -> (usize, bool) {
    match code_unit(bytes) {
        Some(0xD800..=0xDBFF) => match code_unit(&bytes[6..]) {
            Some(0xDC00..=0xDFFF) => (12, true),
            _ => (6, false),
        },
        Some(0xDC00..=0xDFFF) | None => (6, false),
        Some(_) => (6, true),
    }
}

fn code_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let text = prop::sample::select(vec![
            "",
            "task_x",
            "task",
            "\"event\":",
            "}]",
            "\\",
            "\n",
            "{[",
            "\u{1F30D}",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        let key = prop::sample::select(vec![
            "event",
            "requireAck",
            "a",
            "\"event\"",
            "event\\",
            "event:",
        ]);
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let object = btree_map(key.clone().prop_map(str::to_owned), inner.clone(), 0..4);
            prop_oneof![
                vec(inner, 0..4).prop_map(Value::from),
                object.prop_map(|fields| Value::from(Map::from_iter(fields))),
            ]
        })
    }

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Every character as an escape, where JSON allows it.
    fn escaped(value: &Value) -> String {
        let string = |text: &str| {
            text.encode_utf16()
                .map(|unit| format!("\\u{unit:04X}"))
                .collect::<String>()
        };
        match value {
            Value::String(text) => format!("\"{}\"", string(text)),
            Value::Array(items) => format!(
                "[{}]",
                items.iter().map(escaped).collect::<Vec<_>>().join(",")
            ),
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| format!("\"{}\":{}", string(key), escaped(value)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn one_pass_over_the_text_finds_what_a_parsed_tree_shows(value in value()) {
            let expected = Findings {
                depth: depth(&value),
                lone_surrogate: false,
                task_event: value.get("event").and_then(Value::as_str).is_some_and(|event| event.starts_with("task_")),
                require_ack: value.get("requireAck") == Some(&Value::Bool(true)),
            };
            for text in [value.to_string(), format!("{value:#}"), escaped(&value)] {
                let raw = RawValue::from_string(text).expect("JSON");
                prop_assert_eq!(inspect(&raw), expected, "{}", raw);
            }
        }
    }
}
