//! `GET /sse`: from the query to a stream's opening.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tidings_protocol::{
    ClientId, ErrorCode, MessageId, MessageType, Problem, TopicPattern, limits,
};

use super::identity::identify;
use super::problem::{self, Refused};
use super::query::Query;
use crate::auth::Identity;
use crate::fanout::{self, Clock, Instance, Opening, Since, Subscribe};
use crate::hub::Hub;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Parameters of the protocol that this hub does not know yet. Ignoring one would promise what it means.
const NOT_AVAILABLE: [&str; 5] = ["capacity", "pausable", "session", "ticket", "worker"];

pub(super) enum Answer {
    Stream(Box<Opening>),
    Response(Response),
}

pub(super) async fn open(
    hub: &Hub,
    head: &Parts,
    peer: SocketAddr,
    cors: &[(HeaderName, HeaderValue)],
) -> Result<Answer, Problem> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return Ok(Answer::Response(method_not_allowed()));
    }
    let identity = identify(hub, head)?;
    if identity
        .expires_at()
        .is_some_and(|at| at <= Clock::wall_ms())
    {
        // The leeway for clocks is for requests: a stream would be closed again at once, and its client come back.
        return Err(problem::token_expired());
    }
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let wish = Wish::read(&query, &head.headers, &identity)?;
    if hub.is_draining() {
        return Err(problem::new(
            ErrorCode::ShuttingDown,
            "the hub is shutting down",
        ));
    }
    if head.method == Method::HEAD {
        return Ok(Answer::Response(head_only()));
    }
    if let Some(instance) = &wish.exclusive
        && hub.fanout.was_replaced(&wish.client, instance)
    {
        return Ok(Answer::Response(do_not_come_back()));
    }
    let subscribe = Subscribe {
        client: wish.client,
        topics: wish.topics,
        types: wish.types,
        last_event_id: wish.last_event_id,
        since: wish.since,
        heartbeat: wish.heartbeat,
        device: wish.device,
        exclusive: wish.exclusive,
        expires_at: identity.expires_at(),
        peer,
        headers: cors.to_vec(),
    };
    Ok(Answer::Stream(Box::new(
        fanout::open(hub, subscribe).await?,
    )))
}

/// The answer to a stream that was refused: a browser's EventSource must be able to come back after a temporary one.
pub(super) fn refusal(problem: Problem, uri: &Uri, hub: &Hub) -> Response {
    let query = Query::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    if problem::is_temporary(&problem) && !is_sdk(&query) {
        problem::to_stream(problem, hub.config().sse.retry_ms, Clock::wall_ms())
    } else {
        Refused(problem).into_response()
    }
}

/// What a client asks for.
#[derive(Debug)]
struct Wish {
    client: ClientId,
    topics: Vec<TopicPattern>,
    types: Option<Vec<MessageType>>,
    last_event_id: Option<String>,
    since: Option<Since>,
    heartbeat: Option<Duration>,
    device: Option<ClientId>,
    exclusive: Option<Instance>,
}

impl Wish {
    fn read(query: &Query, headers: &HeaderMap, identity: &Identity) -> Result<Self, Problem> {
        let given = |name: &&str| query.all(name).any(|value| !value.is_empty());
        if let Some(name) = NOT_AVAILABLE.into_iter().find(given) {
            return Err(problem::not_available(name));
        }
        let client = identity
            .client(query.one_non_empty("clientId")?)?
            .ok_or_else(|| {
                problem::invalid_field("clientId", "the parameter `clientId` is needed")
            })?;
        let topics = topics(query)?;
        topics
            .iter()
            .try_for_each(|pattern| identity.may_subscribe(pattern))?;
        Ok(Self {
            client,
            topics,
            types: types(query)?,
            last_event_id: last_event_id(query, headers)?,
            since: query.one_non_empty("since")?.map(since).transpose()?,
            heartbeat: query
                .one_non_empty("heartbeat")?
                .map(heartbeat)
                .transpose()?,
            device: query
                .one_non_empty("device")?
                .map(|device| ClientId::parse(device, "device"))
                .transpose()?,
            exclusive: exclusive(query)?,
        })
    }
}

/// The process that wants to be the client's only connection.
fn exclusive(query: &Query) -> Result<Option<Instance>, Problem> {
    let instance = query.one_non_empty("instance")?;
    let instance = instance
        .map(|instance| MessageId::parse(instance, "instance"))
        .transpose()?;
    match (query.flag("exclusive")?, instance) {
        (false, _) => Ok(None),
        (true, Some(instance)) => Ok(Some(instance.into())),
        (true, None) => {
            let detail = "`exclusive` needs `instance`, a name that is random for each process";
            Err(problem::invalid_field("instance", detail))
        }
    }
}

/// A process that gave way to a newer one: by the standard of EventSource, 204 means to stay away.
fn do_not_come_back() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn is_sdk(query: &Query) -> bool {
    query.all("v").any(|version| version == "1")
}

/// All topics of all `topics` parameters; an empty one names none.
fn topics(query: &Query) -> Result<Vec<TopicPattern>, Problem> {
    let lists = query.all("topics").filter(|list| !list.is_empty());
    let mut topics: Vec<TopicPattern> = Vec::new();
    for text in lists.flat_map(|list| list.split(',')) {
        let pattern = TopicPattern::parse(text, "topics")?;
        if !topics.contains(&pattern) {
            topics.push(pattern);
        }
        if topics.len() > limits::TOPICS_MAX {
            let detail = format!("a connection has at most {} topics", limits::TOPICS_MAX);
            return Err(problem::invalid_field("topics", detail));
        }
    }
    Ok(topics)
}

/// No `types`, or only empty ones, mean every type.
fn types(query: &Query) -> Result<Option<Vec<MessageType>>, Problem> {
    let names = query
        .all("types")
        .flat_map(|list| list.split(','))
        .filter(|name| !name.is_empty());
    let types = names.map(|name| {
        MessageType::from_str(name)
            .map_err(|_| problem::invalid_field("types", "`types` lists message types"))
    });
    let types = types.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(types).filter(|types| !types.is_empty()))
}

/// The header, which browsers set themselves on a reconnect, goes before the parameter of the first connect.
fn last_event_id(query: &Query, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let header = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty());
    if let Some(value) = header {
        // Whatever it is, it is judged as a cursor, and a cursor never gives an error.
        return Ok(Some(String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    Ok(query.one_non_empty("lastEventId")?.map(str::to_owned))
}

fn since(text: &str) -> Result<Since, Problem> {
    let refused = || {
        let max = limits::SINCE_LAST_MAX;
        let detail = format!(
            "`since` is now, earliest, last:N with N from 0 to {max}, or a time in milliseconds"
        );
        problem::invalid_field("since", detail)
    };
    match text {
        "now" => Ok(Since::Now),
        "earliest" => Ok(Since::Earliest),
        _ => match text.strip_prefix("last:") {
            Some(count) => digits(count)
                .filter(|&count| count <= limits::SINCE_LAST_MAX as u64)
                .and_then(|count| u16::try_from(count).ok())
                .map(Since::Last)
                .ok_or_else(refused),
            None => digits(text).map(Since::Time).ok_or_else(refused),
        },
    }
}

fn heartbeat(text: &str) -> Result<Duration, Problem> {
    let bounds = limits::HEARTBEAT_MS_MIN..=limits::HEARTBEAT_MS_MAX;
    digits(text)
        .filter(|ms| bounds.contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            let detail = format!(
                "`heartbeat` is from {} to {} milliseconds",
                bounds.start(),
                bounds.end()
            );
            problem::invalid_field("heartbeat", detail)
        })
}

/// A number of digits alone: `parse` would also take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn method_not_allowed() -> Response {
    let refused = problem::new(ErrorCode::MethodNotAllowed, "this path has no such method");
    let mut response = Refused(refused).into_response();
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
    response
}

fn head_only() -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    response
}
