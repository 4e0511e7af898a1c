//! What only the hub may send.

use serde_json::json;

use crate::check::{Claim, Trying as _, checks};
use crate::context::Context;
use crate::grammar::percent;

checks! {
    "Reserved" {
        Client types_of_the_hub_are_refused_on_every_route,
        Client task_events_are_refused_on_every_route,
        Client a_source_of_the_hub_is_refused,
    }
}

fn types_of_the_hub_are_refused_on_every_route(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    for kind in ["system", "heartbeat", "ack"] {
        // No payload: the type is judged first.
        let message = json!({"type": kind, "target": alice.id});
        let refused = |path: &str, body: &serde_json::Value, field: &str| {
            alice
                .post(path, body)
                .and_then(|answer| answer.refused_field(403, "reserved_type", field))
                .trying(format!("{kind} on {path}"))
        };
        refused("/api/messages", &message, "type")?;
        refused("/api/messages", &json!([message]), "[0].type")?;
        refused(
            &format!("/api/direct/{}", percent(&alice.id)),
            &json!({"type": kind}),
            "type",
        )?;
        refused(
            "/api/broadcast",
            &json!({"message": {"type": kind}}),
            "message.type",
        )?;
        refused("/api/commands", &message, "type")?;
    }
    Ok(())
}

fn task_events_are_refused_on_every_route(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let payload = json!({"a": 1, "event": "task_completed"});
    let message = json!({"type": "command", "target": alice.id, "payload": payload});
    let refused = |path: &str, body: &serde_json::Value, field: &str| {
        alice
            .post(path, body)
            .and_then(|answer| answer.refused_field(403, "reserved_type", field))
            .trying(path)
    };
    refused("/api/messages", &message, "payload.event")?;
    refused("/api/messages", &json!([message]), "[0].payload.event")?;
    refused(
        &format!("/api/topics/{}", cx.topic("task")),
        &payload,
        "payload.event",
    )?;
    refused(
        &format!("/api/direct/{}", percent(&alice.id)),
        &json!({"payload": payload}),
        "payload.event",
    )?;
    refused(
        "/api/broadcast",
        &json!({"message": {"payload": payload}}),
        "message.payload.event",
    )?;
    refused("/api/commands", &message, "payload.event")
}

fn a_source_of_the_hub_is_refused(cx: &Context<'_>) -> Claim {
    let alice = cx.alice();
    let message = json!({"source": "$hub", "target": alice.id, "payload": 1});
    alice
        .post("/api/messages", &message)?
        .refused_field(400, "invalid_field", "source")
}
