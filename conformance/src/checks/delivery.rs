//! What arrives while a stream is open.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;

checks! {
    "Push: GET /sse" {
        Client a_message_is_one_event_with_its_type_and_the_cursor_of_its_answer,
        Client what_is_accepted_after_the_head_was_read_is_never_missed,
        Clients a_stream_carries_its_own_mailbox_and_all_broadcasts_and_no_other_topic,
        Clients broadcasts_reach_every_stream_once,
    }
    "Live-only messages" {
        Client a_live_only_message_is_delivered_without_id_and_not_replayed,
        Client progress_is_live_only_whatever_its_sender_says,
    }
}

fn a_message_is_one_event_with_its_type_and_the_cursor_of_its_answer(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let cursor = alice
        .publish_at(json!({"type": "text", "target": alice.id, "payload": {"content": "hello"}}))?;
    let (event, _) = stream.own()?;
    for (field, expected) in [
        ("id", cursor.as_str()),
        ("event", "text"),
        ("data", event.data.as_str()),
    ] {
        same(
            field,
            event.values(field).collect::<Vec<_>>(),
            vec![expected],
        )?;
    }
    same("lines of the event", event.lines.len(), 3)
}

fn what_is_accepted_after_the_head_was_read_is_never_missed(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("now");
    for n in 0..25 {
        let mut stream = alice.stream(&format!("topics={topic}"))?;
        alice.publish(json!({"topic": topic, "payload": n}))?;
        stream.expect(n)?;
    }
    Ok(())
}

fn a_stream_carries_its_own_mailbox_and_all_broadcasts_and_no_other_topic(
    cx: &Context<'_>,
) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let (mut stream, start) = alice.listen("")?;
    bob.publish(json!({"topic": cx.topic("other"), "payload": 0}))?;
    bob.publish(json!({"target": bob.id, "payload": 1}))?;
    bob.publish(json!({"target": alice.id, "payload": 2}))?;
    bob.publish(json!({"payload": 3}))?;
    let expected = vec![json!(2), json!(3)];
    same("what comes", &stream.payloads(2)?, &expected)?;
    same(
        "what is replayed",
        &alice.resume(&start, "")?.0.payloads(2)?,
        &expected,
    )
}

fn broadcasts_reach_every_stream_once(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let mut streams = [
        alice.listen("")?.0,
        alice.listen("")?.0,
        bob.listen("topics=%23")?.0,
    ];
    for n in 0..3 {
        bob.publish(json!({"payload": n}))?;
    }
    for stream in &mut streams {
        same(
            "what comes",
            stream.payloads(3)?,
            vec![json!(0), json!(1), json!(2)],
        )?;
    }
    Ok(())
}

fn a_live_only_message_is_delivered_without_id_and_not_replayed(cx: &Context<'_>) -> Claim {
    live_only(cx, &json!({"durable": false}), "json")
}

fn progress_is_live_only_whatever_its_sender_says(cx: &Context<'_>) -> Claim {
    live_only(
        cx,
        &json!({"type": "progress", "durable": true}),
        "progress",
    )
}

/// A stream that has just begun may still look for stored messages, and then it gets none that are live only: so this
/// tries until one comes.
fn live_only(cx: &Context<'_>, message: &Value, name: &str) -> Claim {
    const ATTEMPTS: usize = 100;
    let alice = cx.alice();
    let topic = cx.topic("live");
    let query = format!("topics={topic}");
    let (mut stream, start) = alice.listen(&query)?;
    let mut attempt = || -> Result<bool, String> {
        let mut live = message.clone();
        live["topic"] = json!(topic);
        live["payload"] = json!("live");
        let answer = alice.publish(live)?;
        ensure!(
            answer.get("cursor").is_none(),
            "the answer has a cursor: {answer}"
        );
        alice.publish(json!({"topic": topic, "payload": "stored"}))?;
        let (event, message) = stream.own()?;
        if message["payload"] == "stored" {
            return Ok(false);
        }
        same("event", event.name.as_str(), name)?;
        ensure!(
            !event.has_id(),
            "a live-only message has an id: {:?}",
            event.lines
        );
        same("durable", &message["durable"], false)?;
        stream.expect("stored").map(|_| true)
    };
    let mut delivered = false;
    for _ in 0..ATTEMPTS {
        delivered = attempt()?;
        if delivered {
            break;
        }
    }
    ensure!(delivered, "it was not delivered in {ATTEMPTS} attempts");
    let (mut replay, _) = alice.resume(&start, &query)?;
    replay.expect("stored").trying("in replay").map(drop)
}
