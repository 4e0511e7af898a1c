//! A message as one line to read.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::printable;

const DAY_MS: u64 = 86_400_000;
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];
const NORMAL: u8 = 1;

/// The parts of a message that are used here. Unlike the hub's own type it takes whatever a later hub may send.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Received<'a> {
    pub(super) id: String,
    pub(super) r#type: String,
    #[serde(default = "normal")]
    priority: u8,
    #[serde(default)]
    timestamp: u64,
    #[serde(default)]
    pub(super) source: String,
    target: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    pub(super) require_ack: bool,
    #[serde(borrow)]
    pub(super) payload: &'a RawValue,
}

fn normal() -> u8 {
    NORMAL
}

#[derive(Deserialize)]
struct Text {
    content: String,
}

/// Time (UTC), what is out of the ordinary, where it went, who sent it, what it says. Control characters are shown as
/// escapes: a message must not be able to drive the terminal, and stays one line.
pub(super) fn line(message: &Received<'_>) -> String {
    let mut line = clock(message.timestamp);
    if message.priority != NORMAL {
        let name = PRIORITIES
            .get(usize::from(message.priority))
            .unwrap_or(&"priority?");
        let _ = write!(line, " {name},");
    }
    if !matches!(message.r#type.as_str(), "text" | "json") {
        let _ = write!(line, " {},", message.r#type);
    }
    let _ = match (&message.topic, &message.target) {
        (Some(topic), _) => write!(line, " topic {topic}"),
        (None, Some(target)) => write!(line, " to {target}"),
        (None, None) => write!(line, " to all"),
    };
    let _ = write!(line, " from {}: {}", message.source, content(message));
    printable(&line)
}

fn content(message: &Received<'_>) -> String {
    let json = message.payload.get();
    match serde_json::from_str::<Text>(json) {
        Ok(text) if message.r#type == "text" => text.content,
        _ => json.to_owned(),
    }
}

fn clock(timestamp: u64) -> String {
    let seconds = timestamp % DAY_MS / 1_000;
    format!(
        "{:02}:{:02}:{:02}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &str) {
        let message = serde_json::from_str(message).expect("a message");
        assert_eq!(line(&message), expected);
    }

    #[test]
    fn a_message_is_one_line_with_what_matters() {
        check(
            r#"{"id":"1","type":"text","priority":1,"timestamp":1700000000000,"source":"bo","topic":"news",
                "payload":{"content":"hello"}}"#,
            "22:13:20Z topic news from bo: hello",
        );
        check(
            r#"{"id":"1","type":"command","priority":3,"timestamp":0,"source":"bo","target":"al","payload":{"a":1}}"#,
            r#"00:00:00Z critical, command, to al from bo: {"a":1}"#,
        );
        check(
            r#"{"id":"1","type":"json","timestamp":86399999,"source":"bo","payload":[1,2]}"#,
            "23:59:59Z to all from bo: [1,2]",
        );
        check(
            r#"{"id":"1","type":"text","timestamp":0,"source":"bo","payload":"any JSON"}"#,
            r#"00:00:00Z to all from bo: "any JSON""#,
        );
    }

    #[test]
    fn a_message_cannot_drive_the_terminal_or_break_the_line() {
        check(
            r#"{"id":"1","type":"text","timestamp":0,"source":"\u001b[2J","payload":{"content":"a\nb\r\u001b]0;x\u0007\tc\u009b"}}"#,
            "00:00:00Z to all from \\u{1b}[2J: a\\nb\\r\\u{1b}]0;x\\u{7}\tc\\u{9b}",
        );
    }
}
