//! The routes that take messages.

mod accept;
mod fingerprint;
mod resend;
mod short;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use tidings_protocol::api::{BatchAnswer, BroadcastAnswer, BroadcastRequest, PublishAnswer};
use tidings_protocol::{Incoming, MessageId, MessageType, Problem, body_is_array, parse_batch};

use super::answer::{self, Json};
use super::body::Content;
use super::identity::identify;
use super::paths;
use super::problem::{self, Refused};
use super::query::Query;
use crate::auth::Identity;
use crate::hub::Hub;

pub(super) use short::{direct, topic};

/// One of the routes that [`paths::takes_messages`] names, with a body that was read already.
pub(super) async fn whole(hub: &Hub, head: &Parts, bytes: Bytes) -> Result<Json, Refused> {
    let identity = identify(hub, head)?;
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let content = Content::of(&head.headers, bytes)?;
    let path = head.uri.path();
    if path == paths::MESSAGES {
        self_addressed(hub, &identity, &query, &content).await
    } else if path.starts_with(paths::TOPICS) {
        short::to_topic(hub, &identity, &query, &head.uri, &head.headers, &content).await
    } else {
        short::to_client(hub, &identity, &query, &head.uri, &head.headers, &content).await
    }
}

/// `POST /api/messages`: one message, or a batch of which all are accepted or none.
pub(super) async fn messages(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    content: Content,
) -> Result<Json, Refused> {
    self_addressed(&hub, &identity, &query, &content).await
}

async fn self_addressed(
    hub: &Hub,
    identity: &Identity,
    query: &Query,
    content: &Content,
) -> Result<Json, Refused> {
    let resend = query.flag("resend")?;
    if body_is_array(&content.bytes) {
        let batch = parse_batch(&content.bytes)?;
        let results = accept::batch(hub, identity, batch, resend).await?;
        let success = true;
        return Ok(Json::of(&BatchAnswer { success, results }));
    }
    let message = Incoming::parse(&content.bytes)?;
    Ok(Json::of(
        &accept::one(hub, identity, message, resend).await?,
    ))
}

/// `POST /api/broadcast`.
pub(super) async fn broadcast(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    headers: HeaderMap,
    content: Content,
) -> Result<Response, Refused> {
    let mut message = BroadcastRequest::parse(&content.bytes)?.message;
    short::fill_id(&mut message, &headers)?;
    let published = accept::one(&hub, &identity, message, query.flag("resend")?).await?;
    Ok(answer::json(&BroadcastAnswer {
        success: published.success,
        sent_count: published.recipients,
        message_id: published.message_id,
        duplicate: published.duplicate,
    }))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandAnswer {
    success: bool,
    message_id: MessageId,
    command_id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// `POST /api/commands`: a command for a client is a message to it.
pub(super) async fn command(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    content: Content,
) -> Result<Response, Refused> {
    let message = Incoming::parse(&content.bytes)?;
    let message = as_command(message, &content.bytes)?;
    let named = command_id(&message);
    let PublishAnswer {
        success,
        message_id,
        duplicate,
        ..
    } = accept::one(&hub, &identity, message, query.flag("resend")?).await?;
    let command_id = named.unwrap_or_else(|| message_id.to_string());
    Ok(answer::json(&CommandAnswer {
        success,
        message_id,
        command_id,
        duplicate,
    }))
}

/// The fields of a command that matter here; whether the others are right is for the client that gets it to say.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CommandFields {
    command_id: serde_json::Value,
    require_ack: serde_json::Value,
}

/// On this route a missing type means command.
fn as_command(mut message: Incoming, body: &[u8]) -> Result<Incoming, Problem> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: Option<serde::de::IgnoredAny>,
    }
    let typed = serde_json::from_slice::<Typed>(body).is_ok_and(|typed| typed.kind.is_some());
    if message.kind != MessageType::Command && typed {
        return Err(problem::invalid_field(
            "type",
            "the type of a command is `command`",
        ));
    }
    if message.target.is_none() {
        return Err(problem::command_without_target());
    }
    message.kind = MessageType::Command;
    message.require_ack |= command_fields(&message).require_ack == true;
    Ok(message)
}

fn command_id(message: &Incoming) -> Option<String> {
    match command_fields(message).command_id {
        serde_json::Value::String(id) => Some(id),
        _ => None,
    }
}

fn command_fields(message: &Incoming) -> CommandFields {
    serde_json::from_str(message.payload.get()).unwrap_or_default()
}
