//! Changes to a live connection.

use serde_json::json;

use crate::check::{Claim, Trying, checks, ensure, same};
use crate::context::{Context, text};

checks! {
    "Topics of a live connection" {
        Client an_added_topic_is_complete_from_the_cursor_in_the_answer,
        Client a_removed_topic_ends_and_the_others_go_on,
        Client a_connection_that_is_not_there_is_not_found,
    }
    "Kicking a connection" {
        Client a_kicked_connection_is_told_not_to_come_back,
    }
    "How a stream ends" {
        Client the_newest_exclusive_instance_replaces_the_others,
    }
}

fn an_added_topic_is_complete_from_the_cursor_in_the_answer(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (first, second) = (cx.topic("first"), cx.topic("second"));
    let mut stream = alice.stream(&format!("topics={first}"))?;
    let id = text(&stream.system("connect")?, "connectionId")?;
    let path = format!("/api/connections/{id}/topics/{second}");
    let cursor = text(&alice.request("PUT", &path, &[], b"")?.ok()?, "cursor")?;
    alice.publish(json!({"topic": second, "payload": 1}))?;
    stream.expect(1)?;
    let (mut again, _) = alice.resume(&cursor, &format!("topics={first},{second}"))?;
    again.expect(1)?;
    Ok(())
}

fn a_removed_topic_ends_and_the_others_go_on(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (kept, removed) = (cx.topic("kept"), cx.topic("removed"));
    let mut stream = alice.stream(&format!("topics={kept},{removed}"))?;
    let id = text(&stream.system("connect")?, "connectionId")?;
    let path = format!("/api/connections/{id}/topics/{removed}");
    alice.request("DELETE", &path, &[], b"")?.ok()?;
    alice.publish(json!({"topic": removed, "payload": 1}))?;
    alice.publish(json!({"topic": kept, "payload": 2}))?;
    stream.expect(2)?;
    Ok(())
}

fn a_connection_that_is_not_there_is_not_found(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for (method, path) in [
        ("DELETE", "/api/connections/c1"),
        ("PUT", "/api/connections/c1/topics/news"),
        ("DELETE", "/api/connections/c1/topics/news"),
    ] {
        let answer = alice.request(method, path, &[], b"")?;
        answer
            .refused(404, "not_found")
            .trying(format!("{method} {path}"))?;
    }
    Ok(())
}

fn a_kicked_connection_is_told_not_to_come_back(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let mut stream = alice.stream("")?;
    let id = text(&stream.system("connect")?, "connectionId")?;
    alice
        .request("DELETE", &format!("/api/connections/{id}"), &[], b"")?
        .done()?;
    let told = stream.system("disconnect")?;
    same(
        "detail",
        &told,
        &json!({"reason": "kicked", "reconnect": false}),
    )?;
    ensure!(stream.event()?.is_none(), "the stream goes on");
    Ok(())
}

fn the_newest_exclusive_instance_replaces_the_others(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let exclusive = |name: &str| format!("exclusive=true&instance={}", cx.name(name));
    let mut old = alice.stream(&exclusive("old"))?;
    old.system("connect")?;
    let mut new = alice.stream(&exclusive("new"))?;
    new.system("connect")?;
    let told = old.system("disconnect")?;
    same(
        "detail",
        &told,
        &json!({"reason": "replaced", "reconnect": false}),
    )?;
    let answer = alice.refused_stream(&exclusive("old"))?;
    ensure!(
        answer.status == 204,
        "the replaced instance is answered {}",
        answer.status
    );
    Ok(())
}
