//! `POST /api/acks`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tidings_protocol::api::{AckAnswer, AckRequest};
use tidings_protocol::{ClientId, Cursor, ErrorCode, Problem};

use super::answer;
use super::body::Content;
use super::problem::{self, Refused};
use super::query::Query;
use crate::acks::{self, AckError};
use crate::auth::Identity;
use crate::hub::Hub;
use crate::receipts::SettleError;

pub(super) async fn ack(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    content: Content,
) -> Result<Response, Refused> {
    let request = AckRequest::parse(&content.bytes)?;
    let given = match &request.client_id {
        Some(client) => Some(client.as_str()),
        None => query.one_non_empty("clientId")?,
    };
    let client = identity.client_or_anonymous(given)?;
    let cursor = cursor(request.cursor.as_deref(), "cursor")?;
    let from = self::cursor(request.from.as_deref(), "from")?;
    let device = request.device.as_deref();
    let device = device
        .map(|device| ClientId::parse(device, "device"))
        .transpose()?;
    let names_messages = !request.messages.is_empty() || !request.message_ids.is_empty();
    if cursor.is_none() && !names_messages {
        let detail = "`cursor`, `messages` or `messageIds` is needed";
        return Err(problem::invalid_field("cursor", detail).into());
    }
    let done = match cursor {
        Some(cursor) => {
            acks::acknowledge(&hub.store, &client, device.as_ref(), &cursor, from.as_ref()).await
        }
        None => acks::standing(&hub.store, &client, device.as_ref()).await,
    };
    let done = done.map_err(|error| refusal(&error))?;
    // After the cursor: whoever is told of the ack knows that the whole call is stored.
    if names_messages {
        let settled = hub
            .receipts
            .settle(&client, request.messages, request.message_ids);
        settled.await.map_err(|error| not_settled(&error))?;
    }
    Ok(answer::json(&AckAnswer {
        success: true,
        applied: done.applied,
        cursor: done.read.map(|read| acks::text(&hub.epoch, &read)),
    }))
}

fn cursor(text: Option<&str>, field: &str) -> Result<Option<Cursor>, Problem> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| {
        let detail = format!("`{field}` is not a cursor that a hub has given");
        problem::naming(ErrorCode::InvalidCursor, field, detail)
    })
}

fn not_settled(error: &SettleError) -> Problem {
    match error {
        SettleError::Busy => problem::new(ErrorCode::Overloaded, "too many acks wait to be stored"),
        SettleError::Read => problem::new(ErrorCode::StoreFailed, "the store cannot be read"),
        SettleError::Commit(error) => problem::from_commit(error),
        SettleError::Stopped => problem::new(ErrorCode::ShuttingDown, "the hub is shutting down"),
    }
}

fn refusal(error: &AckError) -> Problem {
    match error {
        AckError::Read(error) => problem::from_read(error),
        AckError::Commit(error) => problem::from_commit(error),
        AckError::Contended => problem::new(
            ErrorCode::Overloaded,
            "too many acks of this client at the same time",
        ),
    }
}
