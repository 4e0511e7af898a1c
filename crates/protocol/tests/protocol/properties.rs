//! What must hold for every input, tried on random ones.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use tidings_protocol::sse::{self, Decoder, Event, EventTooLarge};
use tidings_protocol::{Cursor, Incoming, Message, MessageId, Topic, TopicPattern, parse_batch};

use crate::reference;

/// Feeds a stream in pieces that end at the given places.
fn decode_cut(
    stream: &[u8],
    cuts: &[prop::sample::Index],
    limit: usize,
) -> (Vec<Result<Event, EventTooLarge>>, Decoder) {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut decoder = Decoder::new(limit);
    let mut items = Vec::new();
    let mut start = 0;
    for end in ends {
        decoder.feed(&stream[start..end]);
        items.extend(decoder.by_ref());
        start = end;
    }
    (items, decoder)
}

/// Bytes that make lines, fields and broken text likely.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n"]).prop_map(|text| text.as_bytes().to_vec()),
        3 => prop::sample::select(vec!["data:", "data: ", "data", "id:", "id: ", "event: ", "retry:", ":", " ", "dat"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec!["12", "7", "\0", "\u{feff}", "\u{fffd}", "🌍", "x"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(prop_oneof![Just(0xEF), Just(0xBB), Just(0xBF), Just(0xF0), Just(0x9F), any::<u8>()], 1..3),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    vec(any::<prop::sample::Index>(), 0..12)
}

/// What an id or a name may hold on the stream.
fn one_line() -> impl Strategy<Value = String> {
    "[^\r\n\0]{0,12}"
}

fn cursor() -> impl Strategy<Value = Cursor> {
    let ahead = btree_set(1..=u64::from(u32::MAX), 0..=64);
    let positions = (any::<u32>(), any::<u32>(), any::<bool>());
    ("[0-9a-zA-Z]{1,32}", positions, ahead).prop_map(|(epoch, (mailbox, shared, equal), ahead)| {
        let (mailbox, shared) = (
            u64::from(mailbox),
            u64::from(if equal { mailbox } else { shared }),
        );
        let lowest = mailbox.min(shared);
        let ahead = ahead
            .into_iter()
            .map(|distance| lowest + distance)
            .collect();
        Cursor {
            epoch: epoch.parse().expect("an epoch"),
            mailbox,
            shared,
            ahead,
        }
    })
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[a-z]{1,3}"]
}

fn topic() -> impl Strategy<Value = Topic> {
    vec(level(), 1..5).prop_map(|levels| Topic::parse(&levels.join("/"), "topic").expect("a topic"))
}

fn pattern() -> impl Strategy<Value = TopicPattern> {
    let inner = prop_oneof![2 => level(), 1 => Just("+".to_owned()), 1 => Just("*".to_owned())];
    let last = prop::option::of(prop::sample::select(vec!["#".to_owned(), "**".to_owned()]));
    (vec(inner, 0..4), last).prop_map(|(mut levels, last)| {
        levels.extend(last);
        if levels.is_empty() {
            levels.push("#".to_owned());
        }
        TopicPattern::parse(&levels.join("/"), "topics").expect("a pattern")
    })
}

proptest! {
    #[test]
    fn what_the_encoder_writes_the_decoder_reads_however_it_is_cut(
        events in vec((prop::option::of(one_line()), one_line(), "[^\r]{0,40}"), 0..6),
        cuts in cuts(),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        let mut last_event_id = String::new();
        for (id, name, data) in events {
            sse::event(&mut stream, id.as_deref(), &name, data.as_bytes());
            last_event_id = id.unwrap_or(last_event_id);
            let name = if name.is_empty() { "message".to_owned() } else { name };
            expected.push(Ok(Event { name, data, last_event_id: last_event_id.clone() }));
        }
        let (items, decoder) = decode_cut(&stream, &cuts, stream.len());
        prop_assert_eq!(items, expected);
        prop_assert_eq!(decoder.last_event_id(), last_event_id);
    }

    #[test]
    fn the_decoder_agrees_with_the_wording_of_the_standard(stream in stream(), cuts in cuts()) {
        let (items, decoder) = decode_cut(&stream, &cuts, stream.len());
        let found = reference::Decoded {
            events: items.into_iter().collect::<Result<_, _>>()?,
            last_event_id: decoder.last_event_id().to_owned(),
            retry_ms: decoder.retry_ms(),
        };
        prop_assert_eq!(found, reference::decode(&stream));
    }

    #[test]
    fn with_a_limit_too_the_cuts_make_no_difference(stream in stream(), cuts in cuts(), limit in 0..40_usize) {
        let (whole, whole_decoder) = decode_cut(&stream, &[], limit);
        let (cut, cut_decoder) = decode_cut(&stream, &cuts, limit);
        prop_assert_eq!(whole, cut);
        prop_assert_eq!(whole_decoder.last_event_id(), cut_decoder.last_event_id());
        prop_assert_eq!(whole_decoder.retry_ms(), cut_decoder.retry_ms());
    }

    #[test]
    fn a_cursor_reads_back_as_written(cursor in cursor()) {
        prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
    }

    #[test]
    fn a_text_that_is_a_cursor_is_the_only_text_of_it(text in "[0-9a]{1,3}-[0-9]{1,3}([.][0-9]{1,3})?([+][0-9]{1,3}){0,3}") {
        if let Ok(cursor) = text.parse::<Cursor>() {
            prop_assert_eq!(cursor.to_string(), text);
        }
    }

    #[test]
    fn a_pattern_matches_whatever_a_pattern_that_it_covers_matches(a in pattern(), b in pattern(), topic in topic()) {
        prop_assert!(a.covers(&a));
        if a.covers(&b) && b.matches(&topic) {
            prop_assert!(a.matches(&topic), "{a} covers {b}, which matches {topic}");
        }
    }

    #[test]
    fn a_pattern_covers_a_topic_exactly_when_it_matches_it(pattern in pattern(), topic in topic()) {
        let exact = TopicPattern::parse(&topic, "topics").expect("a topic is a pattern");
        prop_assert_eq!(exact.exact(), Some(topic.as_str()));
        prop_assert_eq!(pattern.covers(&exact), pattern.matches(&topic));
    }

    #[test]
    fn random_bodies_are_refused_or_taken_without_a_panic(body in vec(any::<u8>(), 0..64)) {
        let _ = Incoming::parse(&body);
        let _ = Incoming::json(&body);
        let _ = parse_batch(&body);
    }

    #[test]
    fn bodies_that_are_almost_messages_are_refused_or_read_back_by_every_reader(
        body in r#"\{("(type|payload|id|ttl|event|x)":("json"|"\\u[0-9a-d]{4}"|[0-9]{1,2}|null|\[1,"a"\]|\{"event":"t\\u0061sk"\}),?){0,4}"payload":(1|"\\ud83c\\udf0d"|\{"a": [1,\n2]\})\}"#,
    ) {
        if let Ok(incoming) = Incoming::parse(body.as_bytes()) {
            let line = incoming.into_message("s", 1, || MessageId::from_uuid(1)).encode();
            let read: serde_json::Value = serde_json::from_slice(&line)?;
            prop_assert!(read.get("payload").is_some());
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
            let again: Message = serde_json::from_slice(&line)?;
            prop_assert_eq!(again.encode(), line);
        }
    }
}
