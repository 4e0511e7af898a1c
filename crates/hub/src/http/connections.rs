//! `GET /api/connections`: who is connected.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::auth::Identity;
use crate::hub::Hub;

/// A client sees its own connections; an admin, and everyone in open mode, sees all.
pub(super) async fn list(State(hub): State<Arc<Hub>>, identity: Identity) -> Response {
    let mut connections = hub.fanout.connections();
    if !identity.sees_all_connections() {
        let own = identity.named().map(|client| client.as_str());
        connections.retain(|connection| Some(&*connection.client_id) == own);
    }
    answer::json(&connections)
}
