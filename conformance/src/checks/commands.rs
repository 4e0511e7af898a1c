//! `POST /api/commands`.

use serde_json::{Value, json};

use crate::check::{Claim, checks, ensure, same};
use crate::context::Context;

checks! {
    "POST /api/commands" {
        Client a_command_with_a_target_is_a_message_of_type_command,
        Client a_command_without_command_id_is_named_by_its_message_id,
        Client another_type_is_refused,
        Client a_command_without_target_is_not_available_yet,
        Client a_command_sent_again_is_a_duplicate,
    }
}

fn a_command_with_a_target_is_a_message_of_type_command(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let (mut stream, _) = alice.listen("")?;
    for kind in [Value::Null, json!("command")] {
        let payload =
            json!({"commandId": "c1", "action": "execute", "name": "report", "params": [1]});
        let command = alice.signed(json!({"type": kind, "target": alice.id, "payload": payload}));
        let answer = alice.post("/api/commands", &command)?.ok()?;
        same("success", &answer["success"], true)?;
        same("messageId", &answer["messageId"], &command["id"])?;
        same("commandId", &answer["commandId"], "c1")?;
        let (event, message) = stream.own()?;
        same("event", event.name.as_str(), "command")?;
        same("payload", &message["payload"], &payload)?;
    }
    Ok(())
}

fn a_command_without_command_id_is_named_by_its_message_id(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for payload in [
        json!({"action": "execute"}),
        json!({"commandId": 5}),
        json!("any"),
    ] {
        let command = alice.signed(json!({"target": alice.id, "payload": payload}));
        let answer = alice.post("/api/commands", &command)?.ok()?;
        same("commandId", &answer["commandId"], &command["id"])?;
    }
    Ok(())
}

fn another_type_is_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for kind in ["json", "text", "progress"] {
        let command = alice.signed(json!({"type": kind, "target": alice.id, "payload": 1}));
        alice
            .post("/api/commands", &command)?
            .refused_field(400, "invalid_field", "type")?;
    }
    Ok(())
}

fn a_command_without_target_is_not_available_yet(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let command = alice
        .signed(json!({"payload": {"commandId": "c1", "action": "execute", "name": "report"}}));
    alice
        .post("/api/commands", &command)?
        .refused_field(501, "not_available", "target")?;
    let to_everyone = alice.signed(json!({"type": "command", "payload": {"action": "execute"}}));
    alice
        .post("/api/messages", &to_everyone)?
        .refused_field(501, "not_available", "target")
}

fn a_command_sent_again_is_a_duplicate(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let command = alice.signed(json!({"target": alice.id, "payload": {"commandId": "c1"}}));
    let first = alice.post("/api/commands", &command)?.ok()?;
    ensure!(
        first.get("duplicate").is_none(),
        "a first copy is a duplicate: {first}"
    );
    let again = alice.post("/api/commands", &command)?.ok()?;
    same("duplicate", &again["duplicate"], true)
}
