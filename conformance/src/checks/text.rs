//! Text bodies: `curl -d hello`.

use serde_json::{Value, json};

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::percent;

checks! {
    "POST /api/topics/{topic}" {
        Client curls_default_form_type_is_text_and_not_decoded,
        Client plain_text_of_any_charset_parameter_is_text,
        Client an_empty_text_is_a_text,
        Client text_that_is_not_utf_8_is_refused,
        Client the_answer_of_a_topic_is_that_of_one_message,
        Client headers_set_priority_and_ttl,
        Client headers_that_break_their_rule_are_refused_by_name,
        Open source_or_client_id_in_the_query_is_the_source,
        Client a_json_body_is_the_payload_as_it_is,
    }
    "POST /api/direct/{clientId}" {
        Client text_to_a_client_is_a_text_message_in_its_mailbox,
    }
}

const TEXT: [(&str, &str); 1] = [("content-type", "text/plain")];

fn curls_default_form_type_is_text_and_not_decoded(cx: &Context<'_>) -> Claim {
    let text = "hello+world%21&a=b";
    arrives_as_text(cx, "application/x-www-form-urlencoded", text)
}

fn plain_text_of_any_charset_parameter_is_text(cx: &Context<'_>) -> Claim {
    for media in [
        "text/plain",
        "text/plain; charset=utf-8",
        "Text/Plain;charset=UTF-8",
    ] {
        arrives_as_text(cx, media, "grüße \"quoted\" \\ \t 🌍").trying(media)?;
    }
    Ok(())
}

fn an_empty_text_is_a_text(cx: &Context<'_>) -> Claim {
    arrives_as_text(cx, "text/plain", "")
}

fn arrives_as_text(cx: &Context<'_>, media: &str, text: &str) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("text");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let path = alice.acting(&format!("/api/topics/{topic}"));
    alice
        .request("POST", &path, &[("content-type", media)], text.as_bytes())?
        .ok()?;
    let (event, message) = stream.own()?;
    same("event", event.name.as_str(), "text")?;
    same("payload", &message["payload"], &json!({"content": text}))
}

fn text_that_is_not_utf_8_is_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = format!("/api/topics/{}", cx.topic("bytes"));
    for path in [topic, format!("/api/direct/{}", percent(&alice.id))] {
        let answer = alice.request("POST", &alice.acting(&path), &TEXT, b"a\xffb")?;
        same(&format!("status on {path}"), answer.status, 400)?;
        let code = answer.json()?["code"].take();
        ensure!(
            code == "invalid_json" || code == "invalid_field",
            "code on {path} is {code}"
        );
    }
    Ok(())
}

fn the_answer_of_a_topic_is_that_of_one_message(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let path = alice.acting(&format!("/api/topics/{}", cx.topic("answer")));
    let answer = alice.request("POST", &path, &TEXT, b"hello")?.ok()?;
    same("success", &answer["success"], true)?;
    same("recipients", &answer["recipients"], 0)?;
    for name in ["messageId", "cursor"] {
        ensure!(answer[name].is_string(), "{name} is missing: {answer}");
    }
    Ok(())
}

fn headers_set_priority_and_ttl(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("headers");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let headers = [
        ("content-type", "text/plain"),
        ("Tidings-Priority", "2"),
        ("tidings-ttl", "60000"),
    ];
    for path in [
        format!("/api/topics/{topic}"),
        format!("/api/direct/{}", percent(&alice.id)),
    ] {
        let id = alice.new_id();
        let headers = [&headers[..], &[("idempotency-key", id.as_str())]].concat();
        alice
            .request("POST", &alice.acting(&path), &headers, b"hello")?
            .ok()?;
        let (_, message) = stream.own()?;
        same("priority", &message["priority"], 2)?;
        same("ttl", &message["ttl"], 60_000)?;
    }
    Ok(())
}

fn headers_that_break_their_rule_are_refused_by_name(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let path = alice.acting(&format!("/api/topics/{}", cx.topic("x")));
    let long = "x".repeat(257);
    for (name, value) in [
        ("tidings-priority", "4"),
        ("tidings-priority", "high"),
        ("tidings-priority", "-1"),
        ("tidings-priority", "1.0"),
        ("tidings-ttl", "-1"),
        ("tidings-ttl", "1m"),
        ("tidings-ttl", "9007199254740992"),
        ("idempotency-key", long.as_str()),
    ] {
        let headers = [("content-type", "text/plain"), (name, value)];
        let answer = alice.request("POST", &path, &headers, b"hello")?;
        answer
            .refused_field(400, "invalid_field", name)
            .trying(format!("{name}: {value}"))?;
    }
    Ok(())
}

fn source_or_client_id_in_the_query_is_the_source(cx: &Context<'_>) -> Claim {
    let (alice, bob) = (cx.alice(), cx.bob());
    let (mut stream, _) = alice.listen("")?;
    let (id, body) = (
        percent(&bob.id),
        json!({"source": alice.id, "payload": 1}).to_string(),
    );
    for name in ["source", "clientId"] {
        let path = format!("/api/direct/{}?{name}={id}", percent(&alice.id));
        alice.request("POST", &path, &TEXT, b"hello")?.ok()?;
        same(name, &stream.own()?.1["source"], &bob.id)?;
        alice.post_text(&path, &body)?.ok()?;
        same("the body's", &stream.own()?.1["source"], &alice.id)?;
    }
    let path = format!("/api/direct/{}?source=$hub", percent(&alice.id));
    alice
        .request("POST", &path, &TEXT, b"hello")?
        .refused_field(400, "invalid_field", "source")
}

fn a_json_body_is_the_payload_as_it_is(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("payload");
    let (mut stream, _) = alice.listen(&format!("topics={topic}"))?;
    let path = alice.acting(&format!("/api/topics/{topic}"));
    for payload in [
        json!(null),
        json!(1.5),
        json!("text"),
        json!([]),
        json!({"id": "not the message's", "type": "system", "target": "x", "payload": 1}),
    ] {
        alice.post(&path, &payload)?.ok().trying(&payload)?;
        let (_, message) = stream.own()?;
        same("type", &message["type"], "json")?;
        same("payload", message.get("payload"), Some(&payload))?;
        ensure!(
            message["target"] == Value::Null,
            "the payload became the message: {message}"
        );
    }
    Ok(())
}

fn text_to_a_client_is_a_text_message_in_its_mailbox(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let id = alice.new_id();
    let path = alice.acting(&format!("/api/direct/{}", percent(&alice.id)));
    for media in ["text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("content-type", media), ("idempotency-key", id.as_str())];
        alice
            .request("POST", &path, &headers, b"hello")?
            .ok()
            .trying(media)?;
    }
    let (event, message) = alice.stream("")?.own()?;
    same("event", event.name.as_str(), "text")?;
    same("target", &message["target"], &alice.id)?;
    same("payload", &message["payload"], &json!({"content": "hello"}))
}
