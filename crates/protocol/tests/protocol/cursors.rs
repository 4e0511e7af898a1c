//! Cursors against the shared vectors.

use serde::Deserialize;
use tidings_protocol::{Cursor, Epoch, MalformedCursor, cursor};

use crate::vectors;

#[derive(Deserialize)]
struct Vectors {
    valid: Vec<Case>,
    malformed: Vec<String>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    epoch: String,
    mailbox: String,
    shared: String,
    ahead: Vec<String>,
}

impl Case {
    fn cursor(&self) -> Cursor {
        let number = |text: &String| text.parse::<u64>().expect("a number");
        Cursor {
            epoch: self.epoch.parse().expect("an epoch"),
            mailbox: number(&self.mailbox),
            shared: number(&self.shared),
            ahead: self.ahead.iter().map(number).collect(),
        }
    }
}

#[test]
fn valid_cursors_are_read_and_written_as_in_the_vectors() {
    let Vectors { valid, .. } = vectors::load("cursors.json");
    for case in valid {
        let cursor = case.cursor();
        assert_eq!(
            case.text.parse::<Cursor>().as_ref(),
            Ok(&cursor),
            "{}",
            case.text
        );
        assert_eq!(cursor.to_string(), case.text);
        let mut written = Vec::new();
        cursor::write(
            &mut written,
            cursor.epoch.as_str(),
            cursor.mailbox,
            cursor.shared,
            &cursor.ahead,
        );
        assert_eq!(written, case.text.as_bytes());
    }
}

#[test]
fn malformed_cursors_are_refused() {
    let Vectors { malformed, .. } = vectors::load("cursors.json");
    for text in malformed {
        assert_eq!(text.parse::<Cursor>(), Err(MalformedCursor), "{text:?}");
    }
}

#[test]
fn a_cursor_at_a_position_has_nothing_ahead() {
    let epoch: Epoch = "e".parse().expect("an epoch");
    assert_eq!(Cursor::at(epoch, 7).to_string(), "e-7");
}
