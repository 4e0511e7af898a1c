//! `POST /api/messages`, one message, and `POST /api/broadcast`.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::Parts;

checks! {
    "POST /api/messages" {
        Client the_answer_has_success_id_cursor_and_recipients,
        Client recipients_counts_the_connections_that_are_open_now,
        Open a_live_only_message_to_nobody_is_404_not_connected,
        Client a_live_only_answer_has_no_cursor,
        Client what_was_answered_is_visible_to_a_stream_that_opens_then,
        Client a_refused_message_changes_nothing,
    }
    "POST /api/broadcast" {
        Clients a_broadcast_answers_how_many_connections_it_goes_to,
        Clients the_exclude_beside_the_message_wins_over_the_one_in_it,
        Clients a_broadcast_with_an_address_is_refused,
        Client fields_of_a_broadcast_are_named_below_message,
        Clients a_broadcast_sent_again_is_a_duplicate,
    }
}

fn the_answer_has_success_id_cursor_and_recipients(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let id = alice.new_id();
    let answer = alice.publish(json!({"id": id, "topic": cx.topic("answer"), "payload": 1}))?;
    same("success", &answer["success"], true)?;
    same("messageId", &answer["messageId"], &id)?;
    same("recipients", &answer["recipients"], 0)?;
    let cursor = answer["cursor"].as_str().unwrap_or_default();
    ensure!(Parts::parse(cursor).is_some(), "`{cursor}` is no cursor");
    ensure!(
        answer.get("duplicate").is_none(),
        "a first copy is a duplicate: {answer}"
    );
    Ok(())
}

fn recipients_counts_the_connections_that_are_open_now(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("counted");
    let publish = || alice.publish(json!({"topic": topic, "payload": 1}));
    same("without streams", &publish()?["recipients"], 0)?;
    let query = format!("topics={topic}");
    let _first = alice.listen(&query)?;
    let _second = alice.listen(&query)?;
    let _elsewhere = alice.listen("")?;
    same("with two streams", &publish()?["recipients"], 2)
}

fn a_live_only_message_to_nobody_is_404_not_connected(cx: &Context<'_>) -> Claim {
    let (bob, nobody) = (cx.bob(), cx.client("nobody"));
    let message = bob.signed(json!({"target": nobody.id, "durable": false, "payload": 1}));
    bob.post("/api/messages", &message)?
        .refused(404, "not_connected")?;
    let batch = json!([
        bob.signed(json!({"topic": cx.topic("batch"), "payload": 1})),
        message
    ]);
    bob.post("/api/messages", &batch)?
        .refused(404, "not_connected")
        .map(drop)
}

fn a_live_only_answer_has_no_cursor(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let _open = alice.listen("")?;
    for address in ["topic", "target"] {
        let mut message = json!({"durable": false, "payload": 1});
        message[address] = if address == "topic" {
            json!(cx.topic("live"))
        } else {
            json!(alice.id)
        };
        let answer = alice.publish(message)?;
        same("success", &answer["success"], true)?;
        ensure!(answer.get("cursor").is_none(), "to a {address}: {answer}");
        ensure!(
            answer["recipients"].is_u64() && answer["messageId"].is_string(),
            "to a {address}: {answer}"
        );
    }
    Ok(())
}

fn what_was_answered_is_visible_to_a_stream_that_opens_then(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("visible");
    for n in 0..10 {
        alice.publish(json!({"topic": topic, "payload": n}))?;
        alice
            .stream(&format!("topics={topic}&since=earliest"))?
            .payloads(n + 1)?;
    }
    Ok(())
}

fn a_refused_message_changes_nothing(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let id = alice.new_id();
    let refused = alice.signed(json!({"id": id, "target": alice.id, "payload": 1, "priority": 4}));
    alice
        .post("/api/messages", &refused)?
        .refused_field(400, "invalid_field", "priority")?;
    let answer = alice.publish(json!({"id": id, "target": alice.id, "payload": 2}))?;
    ensure!(
        answer.get("duplicate").is_none(),
        "the refused message was kept: {answer}"
    );
    stream.expect(2).map(drop)
}

fn a_broadcast_answers_how_many_connections_it_goes_to(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let mut streams = [alice.listen("")?.0, alice.listen("")?.0];
    let id = bob.new_id();
    let message = json!({"id": id, "type": "text", "source": bob.id, "payload": {"content": "hi"}});
    let answer = bob
        .post("/api/broadcast", &json!({"message": message}))?
        .ok()?;
    same("success", &answer["success"], true)?;
    same("messageId", &answer["messageId"], &id)?;
    ensure!(
        answer["sentCount"].as_u64().is_some_and(|count| count >= 2),
        "two streams are open: {answer}"
    );
    for stream in &mut streams {
        let (event, received) = stream.own()?;
        same("event", event.name.as_str(), "text")?;
        ensure!(
            received.get("target").is_none() && received.get("topic").is_none(),
            "it has an address: {received}"
        );
    }
    Ok(())
}

fn the_exclude_beside_the_message_wins_over_the_one_in_it(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let (mut alices, _) = alice.listen("")?;
    let (mut bobs, _) = bob.listen("")?;
    let message = bob.signed(json!({"excludeClientId": bob.id, "payload": 1}));
    let body = json!({"message": message, "excludeClientId": alice.id});
    bob.post("/api/broadcast", &body)?.ok()?;
    bob.publish(json!({"payload": 2}))?;
    bobs.expect(1).trying("the one excluded inside")?;
    alices.expect(2).trying("the one excluded beside").map(drop)
}

fn a_broadcast_with_an_address_is_refused(cx: &Context<'_>) -> Claim {
    let bob = cx.bob();
    for (field, value) in [("target", bob.id.clone()), ("topic", cx.topic("x"))] {
        let mut message = json!({"source": bob.id, "payload": 1});
        message[field] = json!(value);
        let answer = bob.post("/api/broadcast", &json!({"message": message}))?;
        answer
            .refused_field(400, "invalid_field", &format!("message.{field}"))
            .trying(field)?;
    }
    Ok(())
}

fn fields_of_a_broadcast_are_named_below_message(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let refused = |body: &Value, field: &str| {
        let answer = alice.post("/api/broadcast", body)?;
        answer
            .refused_field(400, "invalid_field", field)
            .trying(body)
    };
    refused(
        &json!({"message": {"payload": 1, "priority": 4}}),
        "message.priority",
    )?;
    refused(&json!({"message": {}}), "message.payload")?;
    refused(
        &json!({"message": {"payload": 1, "ttl": -1}}),
        "message.ttl",
    )?;
    refused(&json!({}), "message")?;
    refused(&json!({"message": null}), "message")?;
    refused(
        &json!({"message": {"payload": 1}, "excludeClientId": ""}),
        "excludeClientId",
    )?;
    for body in ["[]", "5", "", "{"] {
        alice
            .post_text("/api/broadcast", body)?
            .refused(400, "invalid_json")
            .trying(body)?;
    }
    Ok(())
}

fn a_broadcast_sent_again_is_a_duplicate(cx: &Context<'_>) -> Claim {
    let bob = cx.bob();
    let body = json!({"message": bob.signed(json!({"payload": 1}))});
    let first = bob.post("/api/broadcast", &body)?.ok()?;
    ensure!(
        first.get("duplicate").is_none(),
        "a first copy is a duplicate: {first}"
    );
    let again = bob.post("/api/broadcast", &body)?.ok()?;
    same("duplicate", &again["duplicate"], true)?;
    same("messageId", &again["messageId"], &first["messageId"])
}
