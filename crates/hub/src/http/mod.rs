//! HTTP: the accept loop, the routes, and the hand-over of streams to their shards.
//!
//! A connection is accepted by `listener`, driven by `connection`, and each of its requests passes `service`: origin
//! rules and CORS, then the stream or the router. A request for a stream ends the HTTP part: the socket is taken from
//! hyper before any byte of an answer and given to the fan-out.

mod acks;
mod answer;
mod assets;
mod body;
mod connection;
mod connections;
mod cors;
mod defaults;
mod exchange;
mod history;
mod identity;
mod listener;
mod lookup;
mod metrics;
mod origin;
mod paths;
mod plain;
mod problem;
mod publish;
mod query;
mod seats;
mod service;
mod status;
mod stream;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use tidings_protocol::ErrorCode;
use tokio::sync::Semaphore;

pub(crate) use listener::{Listener, Server};
pub(crate) use metrics::HttpMetrics;
pub(crate) use origin::Origins;
pub(crate) use seats::{Seat, Seats};

use crate::hub::Hub;
use defaults::OPENINGS_MAX;
use problem::Refused;
use service::Site;

/// Starts answering on the listener.
pub(crate) fn start(listener: Listener, hub: Arc<Hub>, seats: Seats) -> Server {
    let site = Site {
        head_timeout: Duration::from_millis(hub.config().server.head_timeout_ms),
        router: router(Arc::clone(&hub)),
        seats,
        openings: Semaphore::new(OPENINGS_MAX),
        hub,
    };
    Server::start(listener, Arc::new(site))
}

/// The places for connections: as configured (0: as many as the file limit allows).
pub(crate) fn seats(connections_max: usize) -> io::Result<Seats> {
    let possible = seats::from_file_limit()?;
    Ok(Seats::new(if connections_max == 0 {
        possible
    } else {
        connections_max
    }))
}

fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route(paths::MESSAGES, get(history::list).post(publish::messages))
        .route(&format!("{}{{*id}}", paths::MESSAGE), get(lookup::message))
        .route(
            &format!("{}{{*topic}}", paths::TOPICS),
            post(publish::topic),
        )
        .route(
            &format!("{}{{*client}}", paths::DIRECT),
            post(publish::direct),
        )
        .route(paths::BROADCAST, post(publish::broadcast))
        .route(paths::COMMANDS, post(publish::command))
        .route(paths::ACKS, post(acks::ack))
        .route(paths::CONNECTIONS, get(connections::list))
        .route(
            &format!("{}{{id}}", paths::CONNECTION),
            delete(connections::kick),
        )
        .route(
            &format!(
                "{}{{id}}{}{{*topic}}",
                paths::CONNECTION,
                paths::CONNECTION_TOPICS
            ),
            put(connections::add_topic).delete(connections::remove_topic),
        )
        .route(paths::HEALTH, get(status::health))
        .route(paths::READY, get(status::ready))
        .route(paths::METRICS, get(status::metrics))
        .merge(assets::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // `body::Content` has the limit.
        .layer(DefaultBodyLimit::disable())
        .with_state(hub)
}

async fn not_found() -> Refused {
    Refused(problem::new(
        ErrorCode::NotFound,
        "there is nothing at this path",
    ))
}

async fn method_not_allowed() -> Refused {
    Refused(problem::new(
        ErrorCode::MethodNotAllowed,
        "this path has no such method",
    ))
}
