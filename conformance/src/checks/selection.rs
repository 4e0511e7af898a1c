//! `types`: which shared messages a stream carries.

use serde_json::{Value, json};

use crate::check::{Claim, checks, same};
use crate::context::{Client, Context};

checks! {
    "Push: GET /sse" {
        Client types_choose_among_topics_and_never_among_the_mailbox,
        Client several_types_may_be_chosen,
        Clients types_choose_among_broadcasts_too,
        Client the_cursor_passes_what_types_left_out,
    }
}

fn publish_mixed(client: &Client<'_>, topic: &str) -> Claim {
    client
        .publish_all([
            json!({"topic": topic, "type": "json", "payload": 0}),
            json!({"topic": topic, "type": "text", "payload": 1}),
            json!({"target": client.id, "type": "json", "payload": 2}),
            json!({"topic": topic, "type": "error", "payload": 3}),
            json!({"target": client.id, "type": "command", "payload": 4}),
            json!({"topic": topic, "type": "text", "payload": 5}),
            json!({"target": client.id, "payload": "end"}),
        ])
        .map(drop)
}

fn chosen(cx: &Context<'_>, types: &str, expected: &[u64]) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("types");
    let query = format!("topics={topic}&{types}");
    let (mut stream, start) = alice.listen(&query)?;
    publish_mixed(&alice, &topic)?;
    let mut expected: Vec<Value> = expected.iter().map(|n| json!(n)).collect();
    expected.push(json!("end"));
    same("what comes", &stream.payloads(expected.len())?, &expected)?;
    let (mut replay, _) = alice.resume(&start, &query)?;
    same(
        "what is replayed",
        &replay.payloads(expected.len())?,
        &expected,
    )
}

fn types_choose_among_topics_and_never_among_the_mailbox(cx: &Context<'_>) -> Claim {
    chosen(cx, "types=text", &[1, 2, 4, 5])
}

fn several_types_may_be_chosen(cx: &Context<'_>) -> Claim {
    chosen(cx, "types=text,error", &[1, 2, 3, 4, 5])
}

fn types_choose_among_broadcasts_too(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let (mut stream, _) = alice.listen("types=text")?;
    bob.publish(json!({"type": "json", "payload": 0}))?;
    bob.publish(json!({"type": "text", "payload": 1}))?;
    stream.expect(1).map(drop)
}

fn the_cursor_passes_what_types_left_out(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("passed");
    let (mut stream, _) = alice.listen(&format!("topics={topic}&types=text"))?;
    alice.publish_all([
        json!({"topic": topic, "type": "json", "payload": 0}),
        json!({"topic": topic, "type": "text", "payload": 1}),
    ])?;
    let cursor = stream.expect(1)?.cursor;
    alice.publish(json!({"topic": topic, "payload": 2}))?;
    alice
        .resume(&cursor, &format!("topics={topic}"))?
        .0
        .expect(2)
        .map(drop)
}
