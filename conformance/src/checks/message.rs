//! What a message looks like when it arrives.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::is_uuid_v7;

checks! {
    "Message" {
        Client fields_travel_in_the_order_of_the_table_and_payloads_keep_their_text,
        Client what_the_sender_left_out_the_hub_fills_and_nothing_else,
        Open a_message_without_source_comes_from_anonymous,
        Client each_type_that_is_stored_travels_under_its_name,
        Client null_is_a_payload_and_absence_everywhere_else,
        Client raw_line_breaks_between_tokens_become_spaces,
        Client fields_that_say_only_the_default_are_left_out,
        Client unknown_fields_are_ignored_and_not_passed_on,
        Client a_message_with_ttl_0_is_accepted_and_never_delivered,
        Clients an_excluded_client_does_not_get_the_message_live_or_in_replay,
        Client an_exclude_with_a_target_is_ignored,
        Client names_and_payloads_of_any_script_arrive_unchanged,
    }
}

fn fields_travel_in_the_order_of_the_table_and_payloads_keep_their_text(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("order");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let (id, source, other) = (alice.new_id(), &alice.id, cx.name("nobody"));
    let sent = format!(
        r#"{{"excludeClientId":"{other}","ttl":60000,"metadata":{{ "k" : [1e2] }},"payload":{{"b" : 1.50,  "a":"\u00e4","b":2}},
            "topic":"{topic}","source":"{source}","timestamp":17,"priority":2,"type":"text","id":"{id}"}}"#
    );
    alice.post_text("/api/messages", &sent)?.ok()?;
    let expected = format!(
        r#"{{"id":"{id}","type":"text","priority":2,"timestamp":17,"source":"{source}","topic":"{topic}","payload":{{"b" : 1.50,  "a":"\u00e4","b":2}},"metadata":{{ "k" : [1e2] }},"ttl":60000,"excludeClientId":"{other}"}}"#
    );
    same("the data", stream.own()?.0.data, expected)
}

fn what_the_sender_left_out_the_hub_fills_and_nothing_else(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("filled");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let answer = alice
        .post(
            "/api/messages",
            &json!({"topic": topic, "source": alice.id, "payload": 1}),
        )?
        .ok()?;
    let (_, mut message) = stream.own()?;
    let id = message["id"].as_str().unwrap_or_default().to_owned();
    ensure!(is_uuid_v7(&id), "the made id `{id}` is no UUIDv7");
    same("messageId", &answer["messageId"], &id)?;
    ensure!(
        message["timestamp"]
            .as_u64()
            .is_some_and(|at| at > 1_600_000_000_000),
        "the filled timestamp is no time in milliseconds: {message}"
    );
    message["timestamp"] = json!(0);
    let expected = json!({"id": id, "type": "json", "priority": 1, "timestamp": 0, "source": alice.id, "topic": topic,
        "payload": 1});
    same("the message", message, expected)
}

fn a_message_without_source_comes_from_anonymous(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let body = json!({"target": alice.id, "payload": 1});
    alice.post("/api/messages", &body)?.ok()?;
    same("source", &stream.own()?.1["source"], "anonymous")
}

fn each_type_that_is_stored_travels_under_its_name(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    for (kind, name) in [
        ("text", "text"),
        ("json", "json"),
        ("command", "command"),
        ("error", "message_error"),
    ] {
        alice.publish(json!({"type": kind, "target": alice.id, "payload": {"any": kind}}))?;
        let (event, message) = stream.own().trying(kind)?;
        same("event", event.name.as_str(), name)?;
        same("type", &message["type"], kind)?;
        same("payload", &message["payload"], &json!({"any": kind}))?;
    }
    Ok(())
}

fn null_is_a_payload_and_absence_everywhere_else(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("null");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let body = json!({"id": null, "type": null, "priority": null, "timestamp": null, "source": alice.id, "target": null,
        "topic": topic, "payload": null, "metadata": null, "ttl": null, "durable": null, "excludeClientId": null,
        "requireAck": null});
    alice.post("/api/messages", &body)?.ok()?;
    let (_, message) = stream.own()?;
    same("payload", message.get("payload"), Some(&Value::Null))?;
    same("type", &message["type"], "json")?;
    same("priority", &message["priority"], 1)?;
    same(
        "the number of fields",
        message.as_object().map(serde_json::Map::len),
        Some(7),
    )
}

fn raw_line_breaks_between_tokens_become_spaces(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let (id, source) = (alice.new_id(), &alice.id);
    let body = format!(
        "{{\r\n\"id\":\"{id}\",\n\"source\":\"{source}\",\"target\":\"{source}\",\"payload\":{{\n\"a\"\r:\r\n1}},\"metadata\":{{\r\"b\":2\n}}}}"
    );
    alice.post_text("/api/messages", &body)?.ok()?;
    let (event, _) = stream.own()?;
    for part in [r#""payload":{ "a" :  1}"#, r#""metadata":{ "b":2 }"#] {
        ensure!(
            event.data.contains(part),
            "`{part}` is not in {}",
            event.data
        );
    }
    Ok(())
}

fn fields_that_say_only_the_default_are_left_out(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    alice
        .publish(json!({"target": alice.id, "durable": true, "requireAck": false, "payload": 1}))?;
    let (_, message) = stream.own()?;
    for name in [
        "durable",
        "requireAck",
        "ttl",
        "metadata",
        "topic",
        "excludeClientId",
        "redelivery",
    ] {
        ensure!(message.get(name).is_none(), "`{name}` is in {message}");
    }
    Ok(())
}

fn unknown_fields_are_ignored_and_not_passed_on(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    alice.publish(json!({"target": alice.id, "payload": 1, "Payload": 2, "redelivery": 3, "x": {"event": "task_x"}}))?;
    let (_, message) = stream.own()?;
    for name in ["Payload", "redelivery", "x"] {
        ensure!(message.get(name).is_none(), "`{name}` is in {message}");
    }
    Ok(())
}

fn a_message_with_ttl_0_is_accepted_and_never_delivered(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, start) = alice.listen("")?;
    alice.publish_at(json!({"target": alice.id, "ttl": 0, "payload": "expired"}))?;
    alice.publish(json!({"target": alice.id, "payload": "behind"}))?;
    stream.expect("behind").trying("live")?;
    alice
        .resume(&start, "")?
        .0
        .expect("behind")
        .trying("in replay")?;
    Ok(())
}

fn an_excluded_client_does_not_get_the_message_live_or_in_replay(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let topic = cx.topic("excluded");
    let query = format!("topics={topic}");
    let (mut alices, start) = alice.listen(&query)?;
    let (mut bobs, _) = bob.listen(&query)?;
    bob.publish(json!({"topic": topic, "excludeClientId": alice.id, "payload": 1}))?;
    bob.publish(json!({"excludeClientId": alice.id, "payload": 2}))
        .trying("broadcast")?;
    bob.publish(json!({"topic": topic, "payload": 3}))?;
    same(
        "what the others get",
        bobs.payloads(3)?,
        vec![json!(1), json!(2), json!(3)],
    )?;
    alices.expect(3).trying("live")?;
    alice
        .resume(&start, &query)?
        .0
        .expect(3)
        .trying("in replay")?;
    Ok(())
}

fn an_exclude_with_a_target_is_ignored(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    alice.publish(json!({"target": alice.id, "excludeClientId": alice.id, "payload": 1}))?;
    stream.expect(1)?;
    Ok(())
}

fn names_and_payloads_of_any_script_arrive_unchanged(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("größe/世界/🌍");
    let (mut stream, _) = alice.listen(&format!("topics={}", crate::grammar::percent(&topic)))?;
    let id = format!("{}-ид-🌍", alice.new_id());
    let payload = json!({"كلمة": "日本語 \u{1f469}\u{200d}\u{1f467} e\u{301}"});
    alice.publish(json!({"id": id, "topic": topic, "payload": payload}))?;
    let (_, message) = stream.own()?;
    same("id", &message["id"], &id)?;
    same("topic", &message["topic"], &topic)?;
    same("payload", &message["payload"], &payload)
}
