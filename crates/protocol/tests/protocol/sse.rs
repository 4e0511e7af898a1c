//! The decoder against the shared vectors, cut everywhere, and what the encoder writes byte by byte.

use serde::Deserialize;
use tidings_protocol::limits::EVENT_BYTES_MAX;
use tidings_protocol::sse::{self, Decoder, Event, EventTooLarge};

use crate::vectors;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    bytes: String,
    expect: Vec<Expected>,
    retry: Option<u64>,
    last_event_id: String,
    event_bytes_max: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Expected {
    #[serde(rename_all = "camelCase")]
    Event {
        r#type: String,
        data: String,
        last_event_id: String,
    },
    Refused {
        error: String,
    },
}

impl Expected {
    fn to_item(&self, event_bytes_max: usize) -> Result<Event, EventTooLarge> {
        match self {
            Expected::Event {
                r#type,
                data,
                last_event_id,
            } => Ok(Event {
                name: r#type.clone(),
                data: data.clone(),
                last_event_id: last_event_id.clone(),
            }),
            Expected::Refused { error } => {
                assert_eq!(error, "event_too_large");
                Err(EventTooLarge { event_bytes_max })
            }
        }
    }
}

fn check<'b>(case: &Case, pieces: impl IntoIterator<Item = &'b [u8]>, how: &str) {
    let limit = case.event_bytes_max.unwrap_or(EVENT_BYTES_MAX);
    let mut decoder = Decoder::new(limit);
    let mut items = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        items.extend(decoder.by_ref());
    }
    let expected: Vec<_> = case.expect.iter().map(|item| item.to_item(limit)).collect();
    assert_eq!(items, expected, "{} ({how})", case.name);
    assert_eq!(
        decoder.last_event_id(),
        case.last_event_id,
        "{} ({how})",
        case.name
    );
    assert_eq!(decoder.retry_ms(), case.retry, "{} ({how})", case.name);
}

#[test]
fn every_vector_decodes_as_written_however_it_is_cut() {
    let Vectors { cases } = vectors::load("sse-decode.json");
    assert!(!cases.is_empty());
    for case in &cases {
        let bytes = vectors::bytes(&case.bytes);
        check(case, [&bytes[..]], "whole");
        check(case, bytes.chunks(1), "byte by byte");
        check(
            case,
            bytes.chunks(1).flat_map(|byte| [byte, &[]]),
            "with empty pieces between",
        );
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            check(case, [head, tail], &format!("cut at {cut}"));
        }
    }
}

#[test]
fn short_vectors_decode_as_written_when_cut_twice_anywhere() {
    let Vectors { cases } = vectors::load("sse-decode.json");
    for case in cases.iter().filter(|case| case.bytes.len() <= 64) {
        let bytes = vectors::bytes(&case.bytes);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                check(case, pieces, &format!("cut at {first} and {second}"));
            }
        }
    }
}

#[test]
fn the_id_to_resume_from_does_not_run_ahead_of_the_events_taken() {
    let mut decoder = Decoder::new(100);
    decoder.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
    decoder.next();
    assert_eq!(decoder.last_event_id(), "1");
    decoder.next();
    assert_eq!(decoder.last_event_id(), "2");
}

#[test]
fn a_retry_beyond_64_bits_means_for_ever() {
    let mut decoder = Decoder::new(100);
    decoder.feed(b"retry: 18446744073709551616\n");
    assert_eq!(decoder.next(), None);
    assert_eq!(decoder.retry_ms(), Some(u64::MAX));
}

#[test]
fn one_line_of_eight_megabytes_in_small_pieces_arrives_whole() {
    let data = "x".repeat(8 << 20);
    let mut stream = Vec::new();
    sse::event(&mut stream, Some("1"), "text", data.as_bytes());
    let mut decoder = Decoder::new(stream.len());
    let mut items = Vec::new();
    for piece in stream.chunks(1 << 13) {
        decoder.feed(piece);
        items.extend(decoder.by_ref());
    }
    let event = Event {
        name: "text".into(),
        data,
        last_event_id: "1".into(),
    };
    assert!(items == [Ok(event)]);
}

#[track_caller]
fn check_written(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn an_event_is_written_as_id_event_and_data_lines() {
    check_written(
        |out| sse::event(out, Some("e-1"), "text", b"{}"),
        "id: e-1\nevent: text\ndata: {}\n\n",
    );
    check_written(
        |out| sse::event(out, None, "text", b"{}"),
        "event: text\ndata: {}\n\n",
    );
    check_written(
        |out| sse::event(out, Some(""), "text", b""),
        "id: \nevent: text\ndata: \n\n",
    );
}

#[test]
fn an_id_and_a_body_make_the_same_bytes_as_an_event() {
    let mut pieces = Vec::new();
    sse::id(&mut pieces, "e-1");
    sse::body(&mut pieces, "json", b"[1]");
    check_written(
        |out| sse::event(out, Some("e-1"), "json", b"[1]"),
        &String::from_utf8_lossy(&pieces),
    );
}

#[test]
fn every_line_of_data_gets_its_own_field() {
    check_written(
        |out| sse::body(out, "a", b"1\n2\r3\r\n4\n"),
        "event: a\ndata: 1\ndata: 2\ndata: 3\ndata: 4\ndata: \n\n",
    );
}

#[test]
fn retry_and_comments_end_their_block() {
    check_written(|out| sse::retry(out, 3000), "retry: 3000\n\n");
    check_written(|out| sse::comment(out, "alive"), ": alive\n\n");
    check_written(
        |out| sse::comment(out, "a\ndata: b\r\nc"),
        ": a\n: data: b\n: c\n\n",
    );
}
