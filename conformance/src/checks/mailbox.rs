//! What waits for a client that is away.

use serde_json::{Value, json};

use crate::check::{Claim, checks, same};
use crate::context::Context;

checks! {
    "Where a stream starts" {
        Open a_message_to_a_client_nobody_has_heard_of_waits_for_it,
        Client a_mailbox_without_an_ack_comes_whole_each_time,
        Client a_mailbox_begins_behind_what_was_acked,
        Client shared_messages_never_go_before_mailbox_messages_that_are_unread,
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(Value::from).collect()
}

fn a_message_to_a_client_nobody_has_heard_of_waits_for_it(cx: &Context<'_>) -> Claim {
    let (bob, away) = (cx.bob(), cx.client("away"));
    for n in 0..3 {
        let answer = bob.publish(json!({"target": away.id, "payload": n}))?;
        same("recipients", &answer["recipients"], 0)?;
    }
    same("what waited", away.stream("")?.payloads(3)?, numbers(0..3))
}

fn a_mailbox_without_an_ack_comes_whole_each_time(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    alice.publish_all((0..3).map(|n| json!({"target": alice.id, "payload": n})))?;
    for round in ["first", "second"] {
        same(round, alice.stream("")?.payloads(3)?, numbers(0..3))?;
    }
    Ok(())
}

fn a_mailbox_begins_behind_what_was_acked(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    alice.publish_all((0..5).map(|n| json!({"target": alice.id, "payload": n})))?;
    let mut stream = alice.stream("")?;
    let start = stream.system_event("connect")?.0.cursor;
    stream.expect(0)?;
    let cursor = stream.expect(1)?.cursor;
    alice.ack_applied(json!({"cursor": cursor, "from": start}))?;
    same(
        "what comes later",
        alice.stream("")?.payloads(3)?,
        numbers(2..5),
    )
}

fn shared_messages_never_go_before_mailbox_messages_that_are_unread(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("behind");
    alice.publish_all((0..500).map(|n| json!({"target": alice.id, "payload": n})))?;
    let mut stream = alice.stream(&format!("topics={topic}"))?;
    alice.publish(json!({"topic": topic, "payload": "shared"}))?;
    same("the mailbox", stream.payloads(500)?, numbers(0..500))?;
    stream.expect("shared").map(drop)
}
