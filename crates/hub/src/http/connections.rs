//! `/api/connections`: who is connected, and what is done to a live connection.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::Uri;
use tidings_protocol::api::{DisconnectReason, Done, TopicAnswer};
use tidings_protocol::{ErrorCode, Problem, TopicPattern};

use super::problem::{self, Refused};
use super::{answer, paths};
use crate::auth::Identity;
use crate::fanout::{Member, TopicChange};
use crate::hub::Hub;

/// A client sees its own connections; an admin, and everyone in open mode, sees all.
pub(super) async fn list(State(hub): State<Arc<Hub>>, identity: Identity) -> Response {
    let mut connections = hub.fanout.connections();
    if !identity.sees_everything() {
        let own = identity.named().map(|client| client.as_str());
        connections.retain(|connection| Some(&*connection.client_id) == own);
    }
    answer::json(&connections)
}

/// `DELETE /api/connections/{connectionId}`: kicks it; it is told not to come back.
pub(super) async fn kick(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    uri: Uri,
) -> Result<Response, Refused> {
    let member = member(&hub, &identity, paths::rest(uri.path(), paths::CONNECTION))?;
    hub.fanout.disconnect(&member, DisconnectReason::Kicked);
    Ok(answer::json(&Done { success: true }))
}

/// `PUT /api/connections/{connectionId}/topics/{topic...}`
pub(super) async fn add_topic(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    uri: Uri,
) -> Result<Response, Refused> {
    let (member, topic) = member_and_topic(&hub, &identity, &uri)?;
    identity.may_subscribe(&topic)?;
    change(&hub, &member, TopicChange::Add(topic)).await
}

/// `DELETE /api/connections/{connectionId}/topics/{topic...}`
pub(super) async fn remove_topic(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    uri: Uri,
) -> Result<Response, Refused> {
    let (member, topic) = member_and_topic(&hub, &identity, &uri)?;
    change(&hub, &member, TopicChange::Remove(topic)).await
}

async fn change(hub: &Hub, member: &Member, change: TopicChange) -> Result<Response, Refused> {
    let changed = hub.fanout.change_topics(member, change).await;
    let cursor = changed.ok_or_else(no_such_connection)??;
    Ok(answer::json(&TopicAnswer { cursor }))
}

fn member_and_topic(
    hub: &Hub,
    identity: &Identity,
    uri: &Uri,
) -> Result<(Member, TopicPattern), Problem> {
    let rest = paths::rest(uri.path(), paths::CONNECTION);
    let (connection_id, topic) = rest
        .split_once(paths::CONNECTION_TOPICS)
        .unwrap_or((rest, ""));
    let topic = super::query::decode(topic, "topic")?;
    let topic = TopicPattern::parse(&topic, "topic")?;
    Ok((member(hub, identity, connection_id)?, topic))
}

/// The connection, if there is one and it is the caller's business; the others are as good as not there.
fn member(hub: &Hub, identity: &Identity, connection_id: &str) -> Result<Member, Problem> {
    let found = hub.fanout.find(connection_id);
    let own = |member: &Member| {
        identity.sees_everything() || identity.named() == Some(&member.card.client)
    };
    found.filter(own).ok_or_else(no_such_connection)
}

fn no_such_connection() -> Problem {
    problem::new(ErrorCode::NotFound, "there is no such connection")
}
