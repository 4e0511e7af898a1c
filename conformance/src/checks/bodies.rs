//! What a request body is read as.

use serde_json::json;

use crate::check::{Claim, Trying as _, checks, same};
use crate::context::Context;
use crate::grammar::percent;

checks! {
    "Bodies" {
        Client a_body_without_content_type_is_json,
        Client every_kind_of_json_type_is_json,
        Client on_other_routes_text_types_are_json_too,
        Client a_body_of_the_wrong_kind_is_invalid_json,
    }
}

fn a_body_without_content_type_is_json(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("json");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let message = alice
        .signed(json!({"topic": topic, "payload": 1}))
        .to_string();
    alice
        .request("POST", "/api/messages", &[], message.as_bytes())?
        .ok()?;
    stream.expect(1)?;
    let path = alice.acting(&format!("/api/topics/{topic}"));
    alice.request("POST", &path, &[], b"{\"n\": 1}")?.ok()?;
    let (_, message) = stream.own()?;
    same("type", &message["type"], "json")?;
    same("payload", &message["payload"], &json!({"n": 1}))
}

fn every_kind_of_json_type_is_json(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("kinds");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let path = alice.acting(&format!("/api/topics/{topic}"));
    for media in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;charset=utf-8",
        "application/vnd.example+json",
        "application/cloudevents+json; charset=UTF-8",
    ] {
        alice
            .request("POST", &path, &[("content-type", media)], b"[1]")?
            .ok()
            .trying(media)?;
        stream.expect(json!([1])).trying(media)?;
    }
    Ok(())
}

fn on_other_routes_text_types_are_json_too(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "text/plain;charset=UTF-8",
    ] {
        let message = alice.signed(json!({"target": alice.id, "payload": 1}));
        let headers = [("content-type", media)];
        let answer = alice.request(
            "POST",
            "/api/messages",
            &headers,
            message.to_string().as_bytes(),
        )?;
        answer.done().trying(media)?;
    }
    Ok(())
}

fn a_body_of_the_wrong_kind_is_invalid_json(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let direct = format!("/api/direct/{}", percent(&alice.id));
    let topic = format!("/api/topics/{}", cx.topic("x"));
    for (path, body) in [
        (direct.as_str(), "[]"),
        (direct.as_str(), "\"text\""),
        (direct.as_str(), ""),
        (direct.as_str(), "{\"payload\":1}x"),
        (topic.as_str(), "hello"),
        (topic.as_str(), ""),
        (topic.as_str(), "{} {}"),
        ("/api/commands", "[]"),
        ("/api/commands", "5"),
        ("/api/acks", "[]"),
        ("/api/acks", "null"),
        ("/api/acks", ""),
        ("/api/acks", "{"),
    ] {
        let answer = alice.post_text(path, body)?;
        answer
            .refused(400, "invalid_json")
            .trying(format!("{body:?} on {path}"))?;
    }
    Ok(())
}
