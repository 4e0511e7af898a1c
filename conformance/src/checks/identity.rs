//! When a message counts as the same.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::{Client, Context};

checks! {
    "Identity" {
        Client a_message_sent_again_is_answered_as_the_first_and_delivered_once,
        Client another_type_priority_address_payload_or_metadata_under_the_same_id_is_a_conflict,
        Client payloads_are_compared_as_text,
        Client another_timestamp_or_ttl_makes_no_conflict,
        Clients the_same_id_of_another_source_is_another_message,
        Client a_live_only_message_is_not_recognised_when_it_comes_again,
        Client resend_finds_a_duplicate_and_takes_what_is_new,
        Client the_second_of_two_equal_items_of_a_batch_is_a_duplicate,
        Client a_conflict_inside_a_batch_names_the_item_and_stores_nothing,
        Client idempotency_key_is_the_id_of_a_message_that_has_none,
    }
}

fn a_message_sent_again_is_answered_as_the_first_and_delivered_once(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, start) = alice.listen("")?;
    let message = json!({"id": alice.new_id(), "target": alice.id, "payload": 1});
    let first = alice.publish(message.clone())?;
    ensure!(
        first.get("duplicate").is_none(),
        "the first copy is a duplicate: {first}"
    );
    for _ in 0..2 {
        let again = alice.publish(message.clone())?;
        same("duplicate", &again["duplicate"], true)?;
        for name in ["success", "messageId", "cursor"] {
            same(name, &again[name], &first[name])?;
        }
    }
    alice.publish(json!({"target": alice.id, "payload": 2}))?;
    let expected = vec![json!(1), json!(2)];
    same("what is delivered", &stream.payloads(2)?, &expected)?;
    same(
        "what is replayed",
        &alice.resume(&start, "")?.0.payloads(2)?,
        &expected,
    )
}

fn another_type_priority_address_payload_or_metadata_under_the_same_id_is_a_conflict(
    cx: &Context<'_>,
) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("first");
    let first = json!({"id": alice.new_id(), "topic": topic, "payload": 1, "metadata": {"k": 1}});
    alice.publish(first.clone())?;
    for (name, value) in [
        ("type", json!("text")),
        ("priority", json!(2)),
        ("topic", json!(cx.topic("second"))),
        ("payload", json!(2)),
        ("metadata", json!({"k": 2})),
        ("metadata", Value::Null),
    ] {
        let mut other = first.clone();
        other[name] = value;
        conflict(&alice, &other).trying(name)?;
    }
    let mut direct = first.clone();
    direct["topic"] = Value::Null;
    direct["target"] = json!(alice.id);
    conflict(&alice, &direct).trying("target")?;
    same(
        "the first, again",
        &alice.publish(first)?["duplicate"],
        true,
    )
}

fn conflict(client: &Client<'_>, message: &Value) -> Claim {
    let answer = client.post("/api/messages", &client.signed(message.clone()))?;
    answer.refused(409, "id_conflict").map(drop)
}

fn payloads_are_compared_as_text(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let body = |payload: &str, id: &str| {
        format!(
            r#"{{"id":"{id}","source":"{0}","target":"{0}","payload":{payload}}}"#,
            alice.id
        )
    };
    let id = alice.new_id();
    alice
        .post_text("/api/messages", &body(r#"{"a":1}"#, &id))?
        .ok()?;
    let spaced = alice.post_text("/api/messages", &body(r#"{"a": 1}"#, &id))?;
    spaced.refused(409, "id_conflict")?;
    let again = alice
        .post_text("/api/messages", &body(r#"{"a":1}"#, &id))?
        .ok()?;
    same("duplicate", &again["duplicate"], true)
}

fn another_timestamp_or_ttl_makes_no_conflict(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let id = alice.new_id();
    alice.publish(json!({"id": id, "target": alice.id, "payload": 1, "timestamp": 1}))?;
    let again = alice.publish(
        json!({"id": id, "target": alice.id, "payload": 1, "timestamp": 2, "ttl": 60_000}),
    )?;
    same("duplicate", &again["duplicate"], true)
}

fn the_same_id_of_another_source_is_another_message(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let (mut stream, _) = alice.listen("")?;
    let id = alice.new_id();
    let first = alice.publish(json!({"id": id, "target": alice.id, "payload": 1}))?;
    let second = bob.publish(json!({"id": id, "target": alice.id, "payload": 2}))?;
    ensure!(
        second.get("duplicate").is_none(),
        "taken for a duplicate: {second}"
    );
    ensure!(
        first["cursor"] != second["cursor"],
        "both at one cursor: {first} {second}"
    );
    same(
        "what is delivered",
        stream.payloads(2)?,
        vec![json!(1), json!(2)],
    )
}

fn a_live_only_message_is_not_recognised_when_it_comes_again(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let message =
        json!({"id": alice.new_id(), "topic": cx.topic("live"), "durable": false, "payload": 1});
    for round in ["first", "second"] {
        let answer = alice.publish(message.clone())?;
        ensure!(
            answer.get("duplicate").is_none(),
            "the {round} copy is a duplicate: {answer}"
        );
    }
    Ok(())
}

fn resend_finds_a_duplicate_and_takes_what_is_new(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let message = alice.signed(json!({"target": alice.id, "payload": 1}));
    let path = "/api/messages?resend=1";
    let first = alice.post(path, &message)?.ok()?;
    ensure!(
        first.get("duplicate").is_none(),
        "a new message is a duplicate: {first}"
    );
    let again = alice.post(path, &message)?.ok()?;
    same("duplicate", &again["duplicate"], true)?;
    same("cursor", &again["cursor"], &first["cursor"])?;
    let mut other = message;
    other["payload"] = json!(2);
    alice
        .post(path, &other)?
        .refused(409, "id_conflict")
        .map(drop)
}

fn the_second_of_two_equal_items_of_a_batch_is_a_duplicate(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let message = alice.signed(json!({"target": alice.id, "payload": 1}));
    let answer = alice
        .post("/api/messages", &json!([message, message]))?
        .ok()?;
    let results = &answer["results"];
    same("duplicate of the second", &results[1]["duplicate"], true)?;
    same(
        "cursor of the second",
        &results[1]["cursor"],
        &results[0]["cursor"],
    )
}

fn a_conflict_inside_a_batch_names_the_item_and_stores_nothing(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let known = alice.signed(json!({"target": alice.id, "payload": 0}));
    alice.post("/api/messages", &known)?.ok()?;
    let mut other = known;
    other["payload"] = json!(1);
    let new = alice.signed(json!({"target": alice.id, "payload": 2}));
    let answer = alice.post("/api/messages", &json!([new, other]))?;
    let problem = answer.refused(409, "id_conflict")?;
    let field = problem["field"].as_str().unwrap_or_default();
    ensure!(
        field.starts_with("[1]"),
        "the refusal does not name the item: {problem}"
    );
    let taken = alice.post("/api/messages", &new)?.ok()?;
    ensure!(
        taken.get("duplicate").is_none(),
        "the refused batch was stored: {taken}"
    );
    same(
        "what is delivered",
        stream.payloads(2)?,
        vec![json!(0), json!(2)],
    )
}

fn idempotency_key_is_the_id_of_a_message_that_has_none(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let key = alice.new_id();
    let headers = [
        ("content-type", "text/plain"),
        ("idempotency-key", key.as_str()),
    ];
    let path = alice.acting(&format!("/api/topics/{}", cx.topic("key")));
    let first = alice.request("POST", &path, &headers, b"hello")?.ok()?;
    same("messageId", &first["messageId"], &key)?;
    let again = alice.request("POST", &path, &headers, b"hello")?.ok()?;
    same("duplicate", &again["duplicate"], true)?;
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key.as_str()),
    ];
    let own = alice.new_id();
    let body = json!({"id": own, "source": alice.id, "payload": 1}).to_string();
    let path = format!("/api/direct/{}", crate::grammar::percent(&alice.id));
    let answer = alice
        .request("POST", &path, &headers, body.as_bytes())?
        .ok()?;
    same("messageId of a body with an id", &answer["messageId"], &own)
}
