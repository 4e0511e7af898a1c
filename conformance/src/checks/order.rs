//! In which order messages arrive.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::check::{Claim, checks, ensure, same};
use crate::context::Context;
use crate::grammar::Parts;

/// Several writes of 64 KiB, so that something can be overtaken.
const BACKLOG: u64 = 1_500;

checks! {
    "Order" {
        Client messages_of_one_source_arrive_in_the_order_of_their_answers,
        Client the_items_of_a_batch_arrive_in_order,
        Client all_connections_of_a_client_get_everything,
    }
    "Priority and overtaking" {
        Client a_critical_message_overtakes_a_backlog_and_a_resume_behind_it_repeats_and_loses_nothing,
        Client many_critical_messages_keep_their_order_and_at_most_64_are_ahead,
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

fn messages_of_one_source_arrive_in_the_order_of_their_answers(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("order");
    let (mut stream, start) = alice.listen(&format!("topics={topic}"))?;
    for n in 0..60 {
        let address = if n % 3 == 0 {
            json!({"target": alice.id})
        } else {
            json!({"topic": topic})
        };
        let mut message = address;
        message["payload"] = json!(n);
        alice.publish(message)?;
    }
    same("the order live", stream.payloads(60)?, numbers(0..60))?;
    let (mut replay, _) = alice.resume(&start, &format!("topics={topic}"))?;
    same("the order in replay", replay.payloads(60)?, numbers(0..60))
}

fn the_items_of_a_batch_arrive_in_order(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    alice.publish_all((0..200).map(|n| json!({"target": alice.id, "payload": n})))?;
    same("the order", stream.payloads(200)?, numbers(0..200))
}

fn all_connections_of_a_client_get_everything(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut first, _) = alice.listen("")?;
    let (mut second, _) = alice.listen("")?;
    let answer = alice.publish(json!({"target": alice.id, "payload": 0}))?;
    ensure!(
        answer["recipients"]
            .as_u64()
            .is_some_and(|count| count >= 2),
        "two connections are open: {answer}"
    );
    alice.publish(json!({"target": alice.id, "payload": 1}))?;
    same("what the first gets", first.payloads(2)?, numbers(0..2))?;
    same("what the second gets", second.payloads(2)?, numbers(0..2))
}

/// A mailbox message that is large enough to keep others waiting.
fn filler(client: &crate::context::Client<'_>, n: u64) -> Value {
    json!({"target": client.id, "payload": {"n": n, "filler": "x".repeat(900)}})
}

fn backlog(client: &crate::context::Client<'_>) -> Claim {
    for first in (0..BACKLOG).step_by(500) {
        client.publish_all((first..first + 500).map(|n| filler(client, n)))?;
    }
    Ok(())
}

fn a_critical_message_overtakes_a_backlog_and_a_resume_behind_it_repeats_and_loses_nothing(
    cx: &Context<'_>,
) -> Claim {
    let alice = cx.alice();
    backlog(&alice)?;
    alice.publish(json!({"target": alice.id, "priority": 3, "payload": "critical"}))?;
    let (mut stream, _) = alice.listen("")?;
    let mut before = Vec::new();
    let cursor = loop {
        let (event, message) = stream.own()?;
        if message["payload"] == "critical" {
            break event.cursor;
        }
        before.push(message["payload"]["n"].clone());
    };
    stream.close();
    ensure!(
        before.len() < BACKLOG as usize / 2,
        "the critical message came behind {} of {BACKLOG}",
        before.len()
    );
    let (mut stream, _) = alice.resume(&cursor, "")?;
    while before.len() < BACKLOG as usize {
        let (event, message) = stream.own()?;
        let n = &message["payload"]["n"];
        ensure!(n.is_u64(), "it came again: {}", event.data);
        before.push(n.clone());
    }
    same("everything else", before, numbers(0..BACKLOG))
}

fn many_critical_messages_keep_their_order_and_at_most_64_are_ahead(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    backlog(&alice)?;
    alice
        .publish_all((0..100).map(|n| json!({"target": alice.id, "priority": 3, "payload": n})))?;
    let (mut stream, _) = alice.listen("")?;
    let (mut critical, mut normal) = (Vec::new(), Vec::new());
    let mut cursors = BTreeSet::new();
    while critical.len() + normal.len() < 100 + BACKLOG as usize {
        let (event, message) = stream.own()?;
        let parts = Parts::parse(&event.cursor);
        ensure!(parts.is_some(), "`{}` is no cursor", event.cursor);
        ensure!(
            cursors.insert(event.cursor.clone()),
            "the cursor {} came twice",
            event.cursor
        );
        match &message["payload"] {
            Value::Number(n) => critical.push(json!(n)),
            other => normal.push(other["n"].clone()),
        }
    }
    same("the critical ones", critical, numbers(0..100))?;
    same("the normal ones", normal, numbers(0..BACKLOG))
}
