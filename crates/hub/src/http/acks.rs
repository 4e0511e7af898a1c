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

pub(super) async fn ack(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    content: Content,
) -> Result<Response, Refused> {
    let request = AckRequest::parse(&content.bytes)?;
    refuse_unavailable(&request)?;
    let given = match &request.client_id {
        Some(client) => Some(client.as_str()),
        None => query.one_non_empty("clientId")?,
    };
    let client = identity.client_or_anonymous(given)?;
    let cursor = cursor(request.cursor.as_deref(), "cursor")?
        .ok_or_else(|| problem::invalid_field("cursor", "`cursor` is needed"))?;
    let from = self::cursor(request.from.as_deref(), "from")?;
    let device = request.device.as_deref();
    let device = device
        .map(|device| ClientId::parse(device, "device"))
        .transpose()?;
    let done =
        acks::acknowledge(&hub.store, &client, device.as_ref(), &cursor, from.as_ref()).await;
    let done = done.map_err(|error| refusal(&error))?;
    Ok(answer::json(&AckAnswer {
        success: true,
        applied: done.applied,
        cursor: done.read.map(|read| acks::text(&hub.epoch, &read)),
    }))
}

/// What the protocol has and this hub does not have yet.
fn refuse_unavailable(request: &AckRequest) -> Result<(), Problem> {
    let given = [
        ("messages", !request.messages.is_empty()),
        ("messageIds", !request.message_ids.is_empty()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(problem::not_available(field)),
        None => Ok(()),
    }
}

fn cursor(text: Option<&str>, field: &str) -> Result<Option<Cursor>, Problem> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| {
        let detail = format!("`{field}` is not a cursor that a hub has given");
        problem::naming(ErrorCode::InvalidCursor, field, detail)
    })
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
