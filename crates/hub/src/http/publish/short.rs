//! Routes whose path says where a message goes, so that `curl -d hello .../api/topics/news` is enough.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, Uri};
use tidings_protocol::limits::INTEGER_MAX;
use tidings_protocol::{Address, ClientId, Incoming, MessageId, Priority, Problem, Topic};

use super::super::answer::Json;
use super::super::body::Content;
use super::super::paths;
use super::super::problem::{self, Refused};
use super::super::query::{self, Query};
use super::accept;
use crate::auth::Identity;
use crate::hub::Hub;

/// `POST /api/topics/{topic...}`: JSON is the payload.
pub(in crate::http) async fn topic(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    uri: Uri,
    headers: HeaderMap,
    content: Content,
) -> Result<Json, Refused> {
    to_topic(&hub, &identity, &query, &uri, &headers, &content).await
}

pub(super) async fn to_topic(
    hub: &Hub,
    identity: &Identity,
    query: &Query,
    uri: &Uri,
    headers: &HeaderMap,
    content: &Content,
) -> Result<Json, Refused> {
    let topic = Topic::parse(&rest_of(uri, paths::TOPICS, "topic")?, "topic")?;
    let mut message = if content.is_text {
        Incoming::text_body(&content.bytes)?
    } else {
        Incoming::json(&content.bytes)?
    };
    message.topic = Some(topic);
    publish(hub, identity, query, headers, message).await
}

/// `POST /api/direct/{clientId}`: JSON is a message without its target.
pub(in crate::http) async fn direct(
    State(hub): State<Arc<Hub>>,
    identity: Identity,
    query: Query,
    uri: Uri,
    headers: HeaderMap,
    content: Content,
) -> Result<Json, Refused> {
    to_client(&hub, &identity, &query, &uri, &headers, &content).await
}

pub(super) async fn to_client(
    hub: &Hub,
    identity: &Identity,
    query: &Query,
    uri: &Uri,
    headers: &HeaderMap,
    content: &Content,
) -> Result<Json, Refused> {
    let target = ClientId::parse(&rest_of(uri, paths::DIRECT, "clientId")?, "clientId")?;
    let message = if content.is_text {
        let mut message = Incoming::text_body(&content.bytes)?;
        message.target = Some(target);
        message
    } else {
        Incoming::parse_partial(&content.bytes, Address::Client(target))?
    };
    publish(hub, identity, query, headers, message).await
}

async fn publish(
    hub: &Hub,
    identity: &Identity,
    query: &Query,
    headers: &HeaderMap,
    mut message: Incoming,
) -> Result<Json, Refused> {
    apply_headers(&mut message, headers)?;
    if message.source.is_none() {
        message.source = acting(query)?;
    }
    let resend = query.flag("resend")?;
    Ok(Json::of(
        &accept::one(hub, identity, message, resend).await?,
    ))
}

/// A body that is only a payload cannot name its source; in open mode the query may.
fn acting(query: &Query) -> Result<Option<String>, Problem> {
    for name in ["source", "clientId"] {
        if let Some(given) = query.one_non_empty(name)? {
            return Ok(Some(ClientId::parse(given, name)?.to_string()));
        }
    }
    Ok(None)
}

fn apply_headers(message: &mut Incoming, headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(text) = one(headers, "Tidings-Priority")? {
        message.priority = Priority::parse(text, "Tidings-Priority")?;
    }
    if let Some(text) = one(headers, "Tidings-Ttl")? {
        let ttl = text
            .parse()
            .ok()
            .filter(|ttl| *ttl <= INTEGER_MAX && !text.starts_with('+'));
        message.ttl = Some(ttl.ok_or_else(|| {
            problem::invalid_field("Tidings-Ttl", "`Tidings-Ttl` is a number of milliseconds")
        })?);
    }
    fill_id(message, headers)
}

/// `Idempotency-Key` is the id of a message that has none.
pub(super) fn fill_id(message: &mut Incoming, headers: &HeaderMap) -> Result<(), Problem> {
    if message.id.is_none()
        && let Some(key) = one(headers, "Idempotency-Key")?
    {
        message.id = Some(MessageId::parse(key, "Idempotency-Key")?);
    }
    Ok(())
}

fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(problem::invalid_field(
                name,
                format!("`{name}` is not UTF-8"),
            )),
        },
        (_, Some(_)) => {
            let detail = format!("the header `{name}` is given more than once");
            Err(problem::invalid_field(name, detail))
        }
    }
}

fn rest_of(uri: &Uri, prefix: &str, field: &str) -> Result<String, Problem> {
    query::decode(uri.path().strip_prefix(prefix).unwrap_or_default(), field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn applied(pairs: &[(&'static str, &'static str)]) -> Result<Incoming, Option<String>> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut message = Incoming::text("hello");
        apply_headers(&mut message, &headers).map_err(|problem| problem.field)?;
        Ok(message)
    }

    #[test]
    fn headers_give_priority_ttl_and_id() {
        let message = applied(&[
            ("tidings-priority", "3"),
            ("tidings-ttl", "60000"),
            ("idempotency-key", "k-1"),
        ]);
        let message = message.expect("valid");
        assert_eq!(message.priority, Priority::Critical);
        assert_eq!(message.ttl, Some(60_000));
        assert_eq!(message.id.as_deref(), Some("k-1"));
    }

    #[test]
    fn a_header_that_breaks_its_rule_is_refused_by_name() {
        for (name, value, field) in [
            ("tidings-priority", "4", "Tidings-Priority"),
            ("tidings-priority", "high", "Tidings-Priority"),
            ("tidings-ttl", "-1", "Tidings-Ttl"),
            ("tidings-ttl", "+1", "Tidings-Ttl"),
            ("tidings-ttl", "9007199254740992", "Tidings-Ttl"),
            ("idempotency-key", "", "Idempotency-Key"),
        ] {
            let refusal = applied(&[(name, value)]).expect_err(value);
            assert_eq!(refusal.as_deref(), Some(field), "{value}");
        }
        let twice = applied(&[("tidings-ttl", "1"), ("tidings-ttl", "2")]);
        assert_eq!(twice.expect_err("twice").as_deref(), Some("Tidings-Ttl"));
    }

    #[test]
    fn the_idempotency_key_does_not_replace_an_id() {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_static("key"));
        let mut message = Incoming::text("hello");
        message.id = Some(MessageId::parse("own", "id").expect("valid"));
        fill_id(&mut message, &headers).expect("valid");
        assert_eq!(message.id.as_deref(), Some("own"));
    }
}
