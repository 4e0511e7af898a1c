//! A plain axum program: Server-Sent Events from tokio's channels, nothing kept, nothing resumed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::{BroadcastStream, UnboundedReceiverStream};

/// Messages that a reader may be behind: past it, a broadcast channel drops the oldest without a word.
const CAPACITY: usize = 65_536;

#[derive(Default)]
struct Channels {
    topics: Mutex<HashMap<String, broadcast::Sender<Arc<str>>>>,
    clients: Mutex<HashMap<String, mpsc::UnboundedSender<Arc<str>>>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: peer-axum <address:port>")?;
    let app = Router::new()
        .route("/sse/{topic}", get(listen))
        .route("/publish/{topic}", post(publish))
        .route("/client/{client}", get(listen_as))
        .route("/direct/{client}", post(direct))
        .route("/sink/{topic}", post(sink))
        .with_state(Arc::new(Channels::default()));
    let listener = TcpListener::bind(address).await?.tap_io(|socket| {
        // axum leaves Nagle's algorithm on, which holds small events back.
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
}

impl Channels {
    fn topic(&self, name: String) -> broadcast::Sender<Arc<str>> {
        let mut topics = self.topics.lock().expect("no holder panics");
        let topic = topics
            .entry(name)
            .or_insert_with(|| broadcast::channel(CAPACITY).0);
        topic.clone()
    }
}

async fn listen(
    State(channels): State<Arc<Channels>>,
    Path(topic): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let messages = BroadcastStream::new(channels.topic(topic).subscribe());
    let events = messages
        .filter_map(|message| async { message.ok() })
        .map(|text| Ok(Event::default().data(&*text)));
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn publish(
    State(channels): State<Arc<Channels>>,
    Path(topic): Path<String>,
    Json(payload): Json<Value>,
) -> Json<Value> {
    // Nobody listening is no error.
    let recipients = channels
        .topic(topic)
        .send(payload.to_string().into())
        .unwrap_or(0);
    Json(json!({ "success": true, "recipients": recipients }))
}

async fn listen_as(
    State(channels): State<Arc<Channels>>,
    Path(client): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut clients = channels.clients.lock().expect("no holder panics");
    clients.insert(client, sender);
    let events = UnboundedReceiverStream::new(receiver)
        .map(|text: Arc<str>| Ok(Event::default().data(&*text)));
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn direct(
    State(channels): State<Arc<Channels>>,
    Path(client): Path<String>,
    Json(payload): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let clients = channels.clients.lock().expect("no holder panics");
    let sent = clients
        .get(&client)
        .is_some_and(|sender| sender.send(payload.to_string().into()).is_ok());
    let status = if sent {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    (status, Json(json!({ "success": sent })))
}

async fn sink(Path(_): Path<String>, Json(payload): Json<Value>) -> Json<Value> {
    let messages = payload.as_array().map_or(1, Vec::len);
    Json(json!({ "success": true, "messages": messages }))
}
