//! Going on from a cursor.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, same};
use crate::context::{Client, Context};
use crate::grammar::percent;

checks! {
    "Where a stream starts" {
        Client a_stream_goes_on_behind_each_event_without_loss_or_repeat,
        Client the_last_event_id_header_goes_before_the_parameter,
        Client an_empty_header_leaves_the_parameter_to_decide,
        Client a_cursor_goes_before_since,
        Client a_cursor_goes_before_the_stored_ack,
    }
    "Cursors" {
        Client the_cursor_of_a_publish_answer_is_a_place_to_go_on_from,
        Client a_resume_with_the_cursor_of_connect_repeats_the_same_start,
        Client a_topic_that_is_named_first_in_a_resume_is_complete_from_the_cursor,
        Clients a_cursor_of_another_client_is_a_place_in_the_same_log,
    }
}

/// Ten messages, in turn to a topic and to the mailbox.
fn ten(client: &Client<'_>, topic: &str) -> Result<Vec<String>, String> {
    client.publish_all((0..10).map(|n| {
        if n % 2 == 0 {
            json!({"topic": topic, "payload": n})
        } else {
            json!({"target": client.id, "payload": n})
        }
    }))
}

fn numbers(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(Value::from).collect()
}

fn a_stream_goes_on_behind_each_event_without_loss_or_repeat(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("resume");
    let query = format!("topics={topic}");
    let (mut stream, _) = alice.listen(&query)?;
    ten(&alice, &topic)?;
    let mut cursors = Vec::new();
    for n in 0..10 {
        cursors.push(stream.expect(n)?.cursor);
    }
    alice.publish(json!({"topic": topic, "payload": 10}))?;
    for (n, cursor) in cursors.iter().enumerate() {
        let (mut stream, connect) = alice.resume(cursor, &query)?;
        same("resumed", &connect["resumed"], true)?;
        same(
            &format!("what comes behind {n}"),
            stream.payloads(10 - n)?,
            numbers(n + 1..11),
        )?;
    }
    Ok(())
}

fn the_last_event_id_header_goes_before_the_parameter(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("header");
    let cursors = ten(&alice, &topic)?;
    let query = format!("topics={topic}&lastEventId={}", percent(&cursors[2]));
    let mut both = alice.stream_with(&query, &[("last-event-id", &cursors[6])])?;
    both.expect(7).trying("both")?;
    let mut parameter = alice.stream(&query)?;
    parameter.expect(3).trying("the parameter alone").map(drop)
}

fn an_empty_header_leaves_the_parameter_to_decide(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("empty");
    let cursors = ten(&alice, &topic)?;
    let query = format!("topics={topic}&lastEventId={}", percent(&cursors[6]));
    alice
        .stream_with(&query, &[("last-event-id", "")])?
        .expect(7)
        .map(drop)
}

fn a_cursor_goes_before_since(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("since");
    let cursors = ten(&alice, &topic)?;
    for since in ["now", "earliest", "last:1", "0"] {
        let (mut stream, _) =
            alice.resume(&cursors[4], &format!("topics={topic}&since={since}"))?;
        same(since, stream.payloads(5)?, numbers(5..10))?;
    }
    Ok(())
}

fn a_cursor_goes_before_the_stored_ack(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("acked");
    let query = format!("topics={topic}");
    let (mut stream, start) = alice.listen(&query)?;
    ten(&alice, &topic)?;
    let mut last = String::new();
    for n in 0..10 {
        last = stream.expect(n)?.cursor;
    }
    alice.ack_applied(json!({"cursor": last, "from": start}))?;
    let (mut stream, _) = alice.resume(&start, &query)?;
    same(
        "what comes behind the start",
        stream.payloads(10)?,
        numbers(0..10),
    )
}

fn the_cursor_of_a_publish_answer_is_a_place_to_go_on_from(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("answer");
    let cursors = ten(&alice, &topic)?;
    let (mut stream, connect) = alice.resume(&cursors[4], &format!("topics={topic}"))?;
    same("resumed", &connect["resumed"], true)?;
    same("cursor of connect", &connect["cursor"], &cursors[4])?;
    same("what comes", stream.payloads(5)?, numbers(5..10))
}

/// Where mailbox and topics start at different places, the cursor says both.
fn a_resume_with_the_cursor_of_connect_repeats_the_same_start(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("both");
    let query = format!("topics={topic}");
    alice.publish_all([
        json!({"target": alice.id, "payload": "waits"}),
        json!({"topic": topic, "payload": "before now"}),
    ])?;
    let (_, cursor) = alice.listen(&query)?;
    alice.publish(json!({"topic": topic, "payload": "after now"}))?;
    let (mut stream, connect) = alice.resume(&cursor, &query)?;
    same("resumed", &connect["resumed"], true)?;
    stream.expect("waits")?;
    stream.expect("after now").map(drop)
}

fn a_topic_that_is_named_first_in_a_resume_is_complete_from_the_cursor(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("later");
    let (_, cursor) = alice.listen("")?;
    alice.publish_all((0..3).map(|n| json!({"topic": topic, "payload": n})))?;
    let (mut stream, _) = alice.resume(&cursor, &format!("topics={topic}"))?;
    same("what comes", stream.payloads(3)?, numbers(0..3))
}

fn a_cursor_of_another_client_is_a_place_in_the_same_log(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let topic = cx.topic("shared");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    alice.publish(json!({"topic": topic, "payload": 0}))?;
    let cursor = stream.expect(0)?.cursor;
    alice.publish(json!({"topic": topic, "payload": 1}))?;
    let (mut stream, connect) = bob.resume(&cursor, &format!("topics={topic}"))?;
    same("resumed", &connect["resumed"], true)?;
    stream.expect(1).map(drop)
}
