//! Addresses in paths.

use serde_json::json;

use crate::check::{Claim, Trying as _, checks, ensure, same};
use crate::context::Context;
use crate::grammar::percent;

checks! {
    "Conventions" {
        Client topics_in_paths_are_percent_decoded,
        Open client_ids_in_paths_are_percent_decoded,
        Client topics_in_paths_keep_the_rules_of_topics,
        Client client_ids_in_paths_keep_the_rules_of_ids,
    }
    "POST /api/direct/{clientId}" {
        Client a_partial_message_goes_to_the_client_of_the_path,
        Client an_address_in_the_body_must_not_contradict_the_path,
    }
}

fn topics_in_paths_are_percent_decoded(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let topic = cx.topic("a/b c/ü");
    let (mut stream, _) = alice.listen(&format!("topics={}", percent(&topic)))?;
    let mixed = format!("{}/b%20c/%c3%bc", cx.topic("a"));
    for path in [percent(&topic), mixed] {
        alice
            .post_text(&alice.acting(&format!("/api/topics/{path}")), "1")?
            .ok()
            .trying(&path)?;
        same("topic", &stream.own()?.1["topic"], &topic)?;
    }
    Ok(())
}

fn client_ids_in_paths_are_percent_decoded(cx: &Context<'_>) -> Claim {
    let (bob, odd) = (cx.bob(), cx.client("a/b c?d#e&f=ü+%41"));
    let (mut stream, _) = odd.listen("")?;
    let path = format!("/api/direct/{}", percent(&odd.id));
    let answer = bob.post(&path, &bob.signed(json!({"payload": 1})))?.ok()?;
    same("recipients", &answer["recipients"], 1)?;
    same("target", &stream.own()?.1["target"], &odd.id)
}

fn topics_in_paths_keep_the_rules_of_topics(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let long = "x".repeat(257);
    for path in [
        "a//b",
        "a/",
        "a%2F",
        "%2Fa",
        "a/./b",
        "a/../b",
        "a/%2e%2e/b",
        "..",
        "%2B",
        "a/*",
        "a/%23",
        "a,b",
        "a%0Ab",
        "%00",
        "%FF",
        long.as_str(),
    ] {
        let answer = alice.post_text(&format!("/api/topics/{path}"), "1")?;
        answer
            .refused_field(400, "invalid_field", "topic")
            .trying(path)?;
    }
    Ok(())
}

fn client_ids_in_paths_keep_the_rules_of_ids(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let long = "x".repeat(257);
    for path in ["$hub", "%24hub", "a%0Db", "%00", "%FF", long.as_str()] {
        let answer = alice.post_text(&format!("/api/direct/{path}"), "{\"payload\":1}")?;
        answer.refused(400, "invalid_field").trying(path)?;
    }
    Ok(())
}

fn a_partial_message_goes_to_the_client_of_the_path(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    let path = format!("/api/direct/{}", percent(&alice.id));
    let partial = alice.signed(
        json!({"type": "command", "priority": 3, "payload": {"n": 1}, "metadata": {"k": 1}}),
    );
    let mut repeated = alice.signed(json!({"payload": 2}));
    repeated["target"] = json!(alice.id);
    let answer = alice.post(&path, &partial)?.ok()?;
    same("messageId", &answer["messageId"], &partial["id"])?;
    ensure!(
        answer["recipients"].as_u64().is_some_and(|count| count > 0),
        "a stream is open: {answer}"
    );
    let (event, message) = stream.own()?;
    same("event", event.name.as_str(), "command")?;
    for name in ["id", "type", "priority", "payload", "metadata", "source"] {
        same(name, &message[name], &partial[name])?;
    }
    same("target", &message["target"], &alice.id)?;
    alice
        .post(&path, &repeated)?
        .ok()
        .trying("the same target in the body")?;
    stream.expect(2).map(drop)
}

fn an_address_in_the_body_must_not_contradict_the_path(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let path = format!("/api/direct/{}", percent(&alice.id));
    let other = alice.signed(json!({"target": "somebody else", "payload": 1}));
    alice
        .post(&path, &other)?
        .refused_field(400, "invalid_field", "target")?;
    let topic = alice.signed(json!({"topic": cx.topic("x"), "payload": 1}));
    alice
        .post(&path, &topic)?
        .refused_field(400, "invalid_field", "topic")
}
