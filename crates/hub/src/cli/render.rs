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

/// As [`line`], with the date before the time.
pub(super) fn dated_line(message: &Received<'_>) -> String {
    format!("{} {}", date(message.timestamp), line(message))
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

pub(super) fn date_and_clock(timestamp: u64) -> String {
    format!("{} {}", date(timestamp), clock(timestamp))
}

/// The Gregorian day (UTC). Years are counted from March, so that the day that leap years add is the last one.
fn date(timestamp: u64) -> String {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // From the first of March of the year 0.
    let days = timestamp / DAY_MS + 719_468;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next_year)
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
    fn a_date_is_that_of_the_calendar() {
        for (day, expected) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (364, "1970-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_675, "2023-11-14"),
            (19_782, "2024-02-29"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(day * DAY_MS + DAY_MS - 1), expected);
        }
    }

    #[test]
    fn a_message_cannot_drive_the_terminal_or_break_the_line() {
        check(
            r#"{"id":"1","type":"text","timestamp":0,"source":"\u001b[2J","payload":{"content":"a\nb\r\u001b]0;x\u0007\tc\u009b"}}"#,
            "00:00:00Z to all from \\u{1b}[2J: a\\nb\\r\\u{1b}]0;x\\u{7}\tc\\u{9b}",
        );
    }
}
