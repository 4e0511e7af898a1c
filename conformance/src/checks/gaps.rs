//! Cursors that the hub cannot go on from: never an error, never silence.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context};
use crate::event::Event;
use crate::grammar::{Parts, percent};
use crate::stream::Stream;

const CURSORS: &str = include_str!("../../vectors/cursors.json");

checks! {
    "Gaps" {
        Client a_cursor_that_no_hub_has_written_is_a_gap_and_then_everything_kept,
        Client a_cursor_of_another_hub_is_a_gap_and_then_everything_kept,
        Client header_bytes_that_are_no_text_are_a_gap_too,
        Client behind_an_unknown_cursor_the_mailbox_begins_at_its_ack,
        Client a_position_beyond_the_end_is_a_gap_and_the_stream_goes_on_from_the_end,
        Client positions_ahead_that_lie_beyond_the_end_are_dropped_and_never_skipped,
        Client a_known_cursor_gives_no_gap,
        Client a_gap_ends_at_the_cursor_of_its_event_which_is_where_connect_says_the_stream_starts,
    }
}

fn vectors(list: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(CURSORS).expect("the vectors are JSON");
    vectors[list].as_array().expect("a list").clone()
}

/// The gap that must come first on a stream with this cursor.
fn gap(
    client: &Client<'_>,
    cursor: &str,
    query: &str,
) -> Result<(Stream, Value, Event, Value), String> {
    let mut stream = client.stream(&format!("{query}&lastEventId={}", percent(cursor)))?;
    let connect = stream.system("connect")?;
    let (event, gap) = stream.system_event("gap")?;
    same("reason", &gap["reason"], "unknown_epoch")?;
    same("from", &gap["from"], cursor)?;
    Ok((stream, connect, event, gap))
}

fn a_cursor_that_no_hub_has_written_is_a_gap_and_then_everything_kept(cx: &Context<'_>) -> Claim {
    let texts = vectors("malformed");
    let texts = texts
        .iter()
        .filter_map(Value::as_str)
        .filter(|text| !text.is_empty());
    everything_after_a_gap(cx, texts)
}

fn a_cursor_of_another_hub_is_a_gap_and_then_everything_kept(cx: &Context<'_>) -> Claim {
    let valid = vectors("valid");
    let texts = valid.iter().filter_map(|vector| vector["text"].as_str());
    everything_after_a_gap(cx, texts)
}

fn everything_after_a_gap<'v>(cx: &Context<'_>, texts: impl Iterator<Item = &'v str>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("earliest");
    alice.publish(json!({"topic": topic, "payload": "kept"}))?;
    for text in texts {
        let attempt = || -> Claim {
            let (mut stream, connect, _, _) = gap(&alice, text, &format!("topics={topic}"))?;
            same("resumed", &connect["resumed"], false)?;
            stream.expect("kept").map(drop)
        };
        attempt().trying(format!("{text:?}"))?;
    }
    Ok(())
}

fn header_bytes_that_are_no_text_are_a_gap_too(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("bytes");
    alice.publish(json!({"topic": topic, "payload": "kept"}))?;
    for header in ["ünïcödé", "\u{fffd}\t\"'`", "a-1 a-2"] {
        let mut stream =
            alice.stream_with(&format!("topics={topic}"), &[("last-event-id", header)])?;
        same("resumed", &stream.system("connect")?["resumed"], false)?;
        same("reason", &stream.system("gap")?["reason"], "unknown_epoch")?;
        stream.expect("kept").trying(header)?;
    }
    Ok(())
}

fn behind_an_unknown_cursor_the_mailbox_begins_at_its_ack(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let cursors = alice.publish_all((0..4).map(|n| json!({"target": alice.id, "payload": n})))?;
    let mut stream = alice.stream("")?;
    let start = stream.system_event("connect")?.0.cursor;
    alice.ack_applied(json!({"cursor": cursors[1], "from": start}))?;
    let (mut stream, ..) = gap(&alice, "0123456789abcdef-7", "since=now")?;
    same("what comes", stream.payloads(2)?, vec![json!(2), json!(3)])
}

fn beyond(cursor: &str) -> Result<String, String> {
    let parts = Parts::parse(cursor).ok_or_else(|| format!("`{cursor}` is no cursor"))?;
    Ok(format!("{}-{}", parts.epoch, u64::MAX - 1))
}

fn a_position_beyond_the_end_is_a_gap_and_the_stream_goes_on_from_the_end(
    cx: &Context<'_>,
) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("beyond");
    let query = format!("topics={topic}");
    let last = alice.publish_at(json!({"topic": topic, "payload": "before"}))?;
    let (mut stream, connect, _, gap) = gap(&alice, &beyond(&last)?, &query)?;
    same("resumed", &connect["resumed"], false)?;
    let (to, end) = (
        Parts::parse(gap["to"].as_str().unwrap_or_default()),
        Parts::parse(&last),
    );
    ensure!(
        to.as_ref()
            .zip(end.as_ref())
            .is_some_and(|(to, end)| to.epoch == end.epoch && to.shared >= end.shared),
        "the gap ends before what is stored: {gap}, {last}"
    );
    alice.publish(json!({"topic": topic, "payload": "behind"}))?;
    stream.expect("behind").map(drop)
}

fn positions_ahead_that_lie_beyond_the_end_are_dropped_and_never_skipped(
    cx: &Context<'_>,
) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("ahead");
    let query = format!("topics={topic}");
    let last = alice.publish_at(json!({"topic": topic, "payload": "before"}))?;
    let end = Parts::parse(&last).ok_or("no cursor")?.shared;
    let mut streams = Vec::new();
    // The first are the positions of what is published next, as far as one may guess.
    for beyond in [0, 1_000_000] {
        let ahead = (1..=64)
            .map(|n| format!("+{}", end + beyond + n))
            .collect::<String>();
        let (stream, _) = alice.resume(&format!("{last}{ahead}"), &query)?;
        streams.push((beyond, stream));
    }
    alice.publish_all((0..3).map(|n| json!({"topic": topic, "payload": n})))?;
    for (beyond, mut stream) in streams {
        let expected = vec![json!(0), json!(1), json!(2)];
        same("what comes", stream.payloads(3)?, expected)
            .trying(format!("{beyond} beyond the end"))?;
    }
    Ok(())
}

fn a_known_cursor_gives_no_gap(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (_, start) = alice.listen("")?;
    let cursors = alice.publish_all((0..5).map(|n| json!({"target": alice.id, "payload": n})))?;
    for (n, cursor) in std::iter::once(&start).chain(&cursors).enumerate() {
        let (mut stream, connect) = alice.resume(cursor, "")?;
        same("resumed", &connect["resumed"], true)?;
        alice.publish(json!({"target": alice.id, "payload": "next"}))?;
        let event = stream.expect_event()?;
        ensure!(
            event.name != "system",
            "behind cursor {n} a system event came: {}",
            event.data
        );
    }
    Ok(())
}

fn a_gap_ends_at_the_cursor_of_its_event_which_is_where_connect_says_the_stream_starts(
    cx: &Context<'_>,
) -> Claim {
    let alice = cx.alice();
    let last = alice.publish_at(json!({"target": alice.id, "payload": 1}))?;
    for cursor in ["nonsense", "0123456789abcdef-7", &beyond(&last)?] {
        let (_, connect, event, gap) = gap(&alice, cursor, "")?;
        ensure!(event.has_id(), "the gap has no id");
        same(
            "id of the gap",
            event.cursor.as_str(),
            gap["to"].as_str().unwrap_or_default(),
        )?;
        same("cursor of connect", &connect["cursor"], &gap["to"])?;
        ensure!(
            Parts::parse(&event.cursor).is_some(),
            "`{}` is no cursor",
            event.cursor
        );
    }
    Ok(())
}
