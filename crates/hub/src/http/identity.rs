//! The identity as an argument of handlers, so that a route without one is seen at once.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tidings_protocol::Problem;

use super::problem::Refused;
use super::query::Query;
use crate::auth::Identity;
use crate::hub::Hub;

impl FromRequestParts<Arc<Hub>> for Identity {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, Refused> {
        Ok(identify(hub, parts)?)
    }
}

pub(super) fn identify(hub: &Hub, head: &Parts) -> Result<Identity, Problem> {
    hub.auth.identify(&head.headers, || {
        let query = Query::parse(head.uri.query().unwrap_or_default())?;
        Ok(query.one_non_empty("token")?.map(str::to_owned))
    })
}
