//! `GET /api/messages`: pages of what is stored.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::value::RawValue;
use tidings_protocol::api::HistoryAnswer;
use tidings_protocol::{
    ClientId, Cursor, ErrorCode, MessageId, MessageType, Problem, TopicPattern, limits,
};
use tidings_store::{Entry, Order, Position, Query as Asked, Scope, Subject, Topics};

use super::answer;
use super::defaults::{HISTORY_BYTES_MAX, HISTORY_ROWS_MAX};
use super::problem::{self, Refused};
use super::query::Query;
use crate::auth::Identity;
use crate::hub::Hub;
use crate::kind::Kind;

pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
) -> Result<Response, Refused> {
    let after = query.one_non_empty("after")?;
    let after = after.map(|after| position(&hub, after)).transpose()?;
    let asked = Asked {
        after,
        ..asked(&query, &identity)?
    };
    let reading = hub.store.reading(move |reader| reader.find(&asked)).await;
    let found = reading
        .and_then(|found| found)
        .map_err(|error| problem::from_read(&error))?;
    let next = found.next.map(|next| Cursor::at(hub.epoch.clone(), next.0));
    Ok(answer::json(&HistoryAnswer {
        messages: found.entries.iter().filter_map(message).collect(),
        next: next.map(|next| next.to_string()),
    }))
}

/// What we stored is JSON. Should it ever not be, the other messages of the page are still told.
fn message(entry: &Arc<Entry>) -> Option<Box<RawValue>> {
    serde_json::from_slice(&entry.body)
        .inspect_err(|error| {
            tracing::error!(%error, position = %entry.position, "a stored message is no JSON");
        })
        .ok()
}

/// A cursor of this hub's history at one position, which is what `next` of a page and the answers to publishers are.
fn position(hub: &Hub, text: &str) -> Result<Position, Problem> {
    let known = text.parse::<Cursor>().ok().filter(|cursor| {
        let end = hub.store.lineage_end(cursor.epoch.as_str());
        let plain = cursor.mailbox == cursor.shared && cursor.ahead.is_empty();
        plain && end.is_some_and(|end| cursor.shared <= end.0)
    });
    let cursor = known.ok_or_else(|| {
        let detail = "`after` is not the `next` of a page of this hub's history";
        problem::naming(ErrorCode::InvalidCursor, "after", detail)
    })?;
    Ok(Position(cursor.shared))
}

/// All but `after`.
fn asked(query: &Query, identity: &Identity) -> Result<Asked, Problem> {
    let client = query.one_non_empty("clientId")?;
    let client = client.map(|client| ClientId::parse(client, "clientId"));
    let topic = query.one_non_empty("topic")?;
    let topic = topic.map(|topic| TopicPattern::parse(topic, "topic"));
    let source = query.one_non_empty("source")?;
    let source = source.map(|source| MessageId::parse(source, "source"));
    Ok(Asked {
        scope: scope(identity, client.transpose()?, topic.transpose()?)?,
        source: source.transpose()?.map(|source| source.as_str().into()),
        kinds: query.one_non_empty("type")?.map_or(Ok(Vec::new()), kinds)?,
        reader: identity
            .named()
            .filter(|_| !identity.sees_everything())
            .map(|client| client.as_str().into()),
        since: number(query, "since", limits::INTEGER_MAX)?,
        until: number(query, "until", limits::INTEGER_MAX)?,
        after: None,
        order: match query.one_non_empty("order")? {
            None | Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(_) => return Err(problem::invalid_field("order", "`order` is asc or desc")),
        },
        limit: match number(query, "limit", limits::HISTORY_LIMIT_MAX as u64)? {
            None => limits::HISTORY_LIMIT,
            Some(0) => return Err(problem::invalid_field("limit", "`limit` is at least 1")),
            Some(limit) => limit as usize,
        },
        bytes_max: HISTORY_BYTES_MAX,
        rows_max: HISTORY_ROWS_MAX,
    })
}

/// The subjects that are asked for, if the caller may read all of them; else everything that it may read.
fn scope(
    identity: &Identity,
    client: Option<ClientId>,
    topic: Option<TopicPattern>,
) -> Result<Scope, Problem> {
    match (client, topic) {
        (Some(_), Some(_)) => {
            let detail = "a message has a target or a topic, so give `clientId` or `topic`";
            Err(problem::naming(
                ErrorCode::UnsupportedCombination,
                "topic",
                detail,
            ))
        }
        (Some(client), None) => {
            identity.may_read_mailbox(&client)?;
            Ok(Scope::Of {
                subjects: vec![Subject::Client(client.as_str().into())],
                topics: Vec::new(),
            })
        }
        (None, Some(topic)) => {
            identity.may_read_topics(&topic)?;
            Ok(of_patterns(Vec::new(), &[topic]))
        }
        (None, None) => Ok(match identity.named() {
            Some(client) if !identity.sees_everything() => {
                let own = Subject::Client(client.as_str().into());
                of_patterns(vec![own, Subject::All], identity.subscriptions())
            }
            _ => Scope::Everything,
        }),
    }
}

fn of_patterns(mut subjects: Vec<Subject>, patterns: &[TopicPattern]) -> Scope {
    let mut topics = Vec::new();
    for pattern in patterns {
        match pattern.exact() {
            Some(topic) => subjects.push(Subject::Topic(topic.into())),
            None => topics.push(matching(pattern.clone())),
        }
    }
    Scope::Of { subjects, topics }
}

fn matching(pattern: TopicPattern) -> Topics {
    Topics {
        prefix: pattern.prefix().to_owned(),
        accepts: Arc::new(move |topic| pattern.matches(topic)),
    }
}

/// The numbers of the types, with and without the mark of `requireAck`.
fn kinds(names: &str) -> Result<Vec<u8>, Problem> {
    let mut kinds = Vec::new();
    for name in names.split(',') {
        let kind: MessageType = name
            .parse()
            .map_err(|_| problem::invalid_field("type", format!("there is no type `{name}`")))?;
        kinds.extend([false, true].map(|require_ack| Kind::new(kind, require_ack).number()));
    }
    Ok(kinds)
}

fn number(query: &Query, name: &str, max: u64) -> Result<Option<u64>, Problem> {
    let Some(text) = query.one_non_empty(name)? else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number <= max);
    number.map(Some).ok_or_else(|| {
        let detail = format!("`{name}` is a whole number from 0 to {max}");
        problem::invalid_field(name, detail)
    })
}
