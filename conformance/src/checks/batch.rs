//! `POST /api/messages`, many messages: all or none.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::Parts;

checks! {
    "POST /api/messages" {
        Client a_batch_is_answered_item_by_item_in_order,
        Client an_empty_batch_is_accepted,
        Client one_bad_item_refuses_all_and_is_named_by_its_index,
        Client a_batch_has_at_most_1000_messages,
        Client a_batch_may_mix_addresses_and_live_only_messages,
    }
}

fn a_batch_is_answered_item_by_item_in_order(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let batch: Vec<Value> = (0..5)
        .map(|n| alice.signed(json!({"topic": cx.topic("batch"), "payload": n})))
        .collect();
    let answer = alice.post("/api/messages", &json!(batch))?.ok()?;
    same("success", &answer["success"], true)?;
    let results = answer["results"]
        .as_array()
        .ok_or_else(|| format!("no results: {answer}"))?;
    same("the number of results", results.len(), 5)?;
    let mut before = 0;
    for (result, message) in results.iter().zip(&batch) {
        same("success of an item", &result["success"], true)?;
        same("messageId of an item", &result["messageId"], &message["id"])?;
        ensure!(result["recipients"].is_u64(), "no recipients: {result}");
        let parts = Parts::parse(result["cursor"].as_str().unwrap_or_default());
        let position = parts.ok_or_else(|| format!("no cursor: {result}"))?.shared;
        ensure!(position > before, "positions do not increase: {answer}");
        before = position;
    }
    Ok(())
}

fn an_empty_batch_is_accepted(cx: &Context<'_>) -> Claim {
    let answer = cx.alice().post_text("/api/messages", " [ ] ")?.ok()?;
    same(
        "the answer",
        answer,
        json!({"success": true, "results": []}),
    )
}

fn one_bad_item_refuses_all_and_is_named_by_its_index(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let good: Vec<Value> = (0..3)
        .map(|n| alice.signed(json!({"target": alice.id, "payload": n})))
        .collect();
    for (bad, status, code, field) in [
        (
            json!({"payload": 1, "priority": 4}),
            400,
            "invalid_field",
            "[2].priority",
        ),
        (
            json!({"payload": 1, "topic": "a//b"}),
            400,
            "invalid_field",
            "[2].topic",
        ),
        (
            json!({"payload": 1, "type": "system"}),
            403,
            "reserved_type",
            "[2].type",
        ),
        (
            json!({"payload": 1, "requireAck": true}),
            422,
            "unsupported_combination",
            "[2].requireAck",
        ),
        (
            json!({"topic": "a", "target": "b", "payload": 1}),
            400,
            "invalid_field",
            "[2].topic",
        ),
        (json!(7), 400, "invalid_field", "[2]"),
    ] {
        let batch = json!([good[0], good[1], bad, good[2]]);
        let answer = alice.post("/api/messages", &batch)?;
        answer.refused_field(status, code, field).trying(&bad)?;
    }
    // Had anything been stored, it would come first, or be a duplicate now.
    alice.publish(json!({"target": alice.id, "payload": "after"}))?;
    stream.expect("after")?;
    let answer = alice.post("/api/messages", &json!(good))?.ok()?;
    ensure!(
        !answer.to_string().contains("duplicate"),
        "a part of a refused batch was kept: {answer}"
    );
    Ok(())
}

fn a_batch_has_at_most_1000_messages(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("many");
    let batch = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"source": alice.id, "topic": topic, "payload": n}))
            .collect()
    };
    let answer = alice.post("/api/messages", &batch(1_001))?;
    answer.refused_field(400, "invalid_field", "[1000]")?;
    let answer = alice.post("/api/messages", &batch(1_000))?.ok()?;
    same(
        "the number of results",
        answer["results"].as_array().map(Vec::len),
        Some(1_000),
    )
}

fn a_batch_may_mix_addresses_and_live_only_messages(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("mixed");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let batch = [
        json!({"topic": topic, "payload": 0}),
        json!({"target": alice.id, "payload": 1}),
        json!({"topic": topic, "durable": false, "payload": "live"}),
        json!({"topic": topic, "payload": 2}),
    ];
    let batch: Vec<Value> = batch
        .into_iter()
        .map(|message| alice.signed(message))
        .collect();
    let answer = alice.post("/api/messages", &json!(batch))?.ok()?;
    for (n, has_cursor) in [true, true, false, true].into_iter().enumerate() {
        same(
            &format!("whether item {n} has a cursor"),
            answer["results"][n]["cursor"].is_string(),
            has_cursor,
        )?;
    }
    let mut stored = Vec::new();
    while stored.len() < 3 {
        let (_, message) = stream.own()?;
        if message["payload"] != "live" {
            stored.push(message["payload"].clone());
        }
    }
    same("what is stored", stored, vec![json!(0), json!(1), json!(2)])
}
