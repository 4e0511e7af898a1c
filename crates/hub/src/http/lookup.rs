//! `GET /api/messages/{id}`: one message, and what became of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::Uri;
use serde_json::value::RawValue;
use tidings_protocol::api::MessageAnswer;
use tidings_protocol::{ErrorCode, MessageId, Problem};
use tidings_store::Subject;

use super::problem::{self, Refused};
use super::query::{self, Query};
use super::{answer, paths};
use crate::auth::Identity;
use crate::hub::Hub;
use crate::receipts::{self, Found};

/// The source is the caller unless the query names another.
pub(super) async fn message(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    uri: Uri,
) -> Result<Response, Refused> {
    let id = uri.path().strip_prefix(paths::MESSAGE).unwrap_or_default();
    let id = MessageId::parse(&query::decode(id, "id")?, "id")?;
    let source = match query.one_non_empty("source")? {
        Some(source) => MessageId::parse(source, "source")?.to_string(),
        None => identity.source(None)?.to_owned(),
    };
    let found = {
        let (source, id) = (source.clone(), id.clone());
        let reading = hub
            .store
            .reading(move |reader| receipts::find(reader, &source, &id));
        let found = reading.await.and_then(|found| found);
        found.map_err(|error| problem::from_read(&error))?
    };
    let found = found.filter(|found| may_read(&identity, &source, found));
    let Found { entry, receipts } = found.ok_or_else(not_found)?;
    let message = entry.map(|entry| serde_json::from_slice::<Box<RawValue>>(&entry.body));
    let message = message.transpose().map_err(|error| {
        tracing::error!(%error, "a stored message is no JSON");
        problem::new(ErrorCode::Internal, "internal error")
    })?;
    Ok(answer::json(&MessageAnswer { message, receipts }))
}

/// The sender, the one it was for, and who may see everything; others do not learn that it exists.
fn may_read(identity: &Identity, source: &str, found: &Found) -> bool {
    let Some(client) = identity.named().filter(|_| !identity.sees_everything()) else {
        return true;
    };
    let target = found.entry.as_ref().map(|entry| &entry.subject);
    let received = found
        .receipts
        .iter()
        .any(|receipt| receipt.client_id == *client);
    client.as_str() == source
        || received
        || matches!(target, Some(Subject::Client(target)) if **target == *client.as_str())
}

fn not_found() -> Problem {
    problem::new(ErrorCode::NotFound, "there is no such message")
}
