//! From a checked message to the journal.

use bytes::Bytes;
use tidings_protocol::api::PublishAnswer;
use tidings_protocol::limits::MESSAGE_BYTES_MAX;
use tidings_protocol::{
    ClientId, Cursor, ErrorCode, Incoming, Message, MessageId, MessageType, Problem,
};
use tidings_store::{AppendError, Appended, Position, Record, Subject};
use uuid::Uuid;

use super::super::problem;
use super::fingerprint::fingerprint;
use super::resend;
use crate::auth::Identity;
use crate::fanout::Clock;
use crate::hub::Hub;
use crate::kind::Kind;

/// Accepts one message: durable, and visible to reads, when this returns.
pub(super) async fn one(
    hub: &Hub,
    identity: &Identity,
    message: Incoming,
    resend: bool,
) -> Result<PublishAnswer, Problem> {
    let draft = Draft::new(hub, identity, message)?;
    let mut answers = accept(hub, vec![draft], resend)
        .await
        .map_err(|refusal| refusal.problem)?;
    answers
        .pop()
        .ok_or_else(|| problem::new(ErrorCode::Internal, "internal error"))
}

/// As [`one`], for all messages or none.
pub(super) async fn batch(
    hub: &Hub,
    identity: &Identity,
    messages: Vec<Incoming>,
    resend: bool,
) -> Result<Vec<PublishAnswer>, Problem> {
    let drafts = messages.into_iter().enumerate().map(|(index, message)| {
        Draft::new(hub, identity, message).map_err(|refused| problem::in_batch(refused, index))
    });
    let drafts = drafts.collect::<Result<_, _>>()?;
    accept(hub, drafts, resend)
        .await
        .map_err(|refusal| match refusal.index {
            Some(index) => problem::in_batch(refusal.problem, index),
            None => refusal.problem,
        })
}

/// A message that may be sent.
struct Draft {
    record: Record,
    sent: Sent,
}

/// Why the journal took none of the messages.
pub(super) struct Refusal {
    pub(super) problem: Problem,
    /// Of the message at fault.
    pub(super) index: Option<usize>,
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let index = match error {
            AppendError::Conflict { index } => Some(index),
            _ => None,
        };
        let problem = problem::from_append(&error);
        Self { problem, index }
    }
}

impl Draft {
    fn new(hub: &Hub, identity: &Identity, mut message: Incoming) -> Result<Self, Problem> {
        if message.kind == MessageType::Command
            && message.target.is_none()
            && message.topic.is_none()
        {
            return Err(problem::command_without_target());
        }
        // The newest progress is all that counts: it is for those who look on, and has no place in any cursor.
        message.durable &= message.kind != MessageType::Progress;
        if message.require_ack && !message.durable {
            let detail = "what is live only is not waited for";
            let code = ErrorCode::UnsupportedCombination;
            return Err(problem::naming(code, "requireAck", detail));
        }
        let source = identity.source(message.source.as_deref())?.to_owned();
        let message = message.into_message(&source, Clock::wall_ms(), || {
            MessageId::from_uuid(Uuid::now_v7().as_u128())
        });
        let subject = permitted_subject(identity, &message)?;
        if !message.durable
            && let Subject::Client(client) = &subject
            && !hub.fanout.connected(client)
        {
            let detail = format!("`{client}` is not connected, and the message is live only");
            return Err(problem::naming(ErrorCode::NotConnected, "target", detail));
        }
        let body = message.encode();
        if body.len() > MESSAGE_BYTES_MAX {
            let detail = format!(
                "a message has at most {MESSAGE_BYTES_MAX} bytes as the hub encodes it, this one has {}",
                body.len()
            );
            return Err(problem::new(ErrorCode::MessageTooLarge, detail));
        }
        let sent = Sent {
            id: message.id.clone(),
            subject: subject.clone(),
            kind: message.kind,
            exclude: message.exclude_client_id.clone(),
        };
        let record = record(message, subject, body);
        Ok(Self { record, sent })
    }
}

fn permitted_subject(identity: &Identity, message: &Message) -> Result<Subject, Problem> {
    if let Some(target) = &message.target {
        identity.may_send_to(target)?;
        return Ok(Subject::Client(target.clone().into()));
    }
    if let Some(topic) = &message.topic {
        identity.may_publish(topic)?;
        return Ok(Subject::Topic(topic.clone().into()));
    }
    identity.may_broadcast()?;
    Ok(Subject::All)
}

fn record(message: Message, subject: Subject, body: Vec<u8>) -> Record {
    Record {
        subject,
        fingerprint: fingerprint(&message),
        kind: Kind::new(message.kind, message.require_ack).number(),
        priority: message.priority as u8,
        ttl_ms: message.ttl,
        durable: message.durable,
        exclude: message.exclude_client_id.map(Into::into),
        id: message.id.into(),
        source: message.source,
        body: Bytes::from(body),
    }
}

async fn accept(
    hub: &Hub,
    drafts: Vec<Draft>,
    resend: bool,
) -> Result<Vec<PublishAnswer>, Refusal> {
    let (records, sent): (Vec<_>, Vec<_>) = drafts
        .into_iter()
        .map(|draft| (draft.record, draft.sent))
        .unzip();
    let appended = if resend {
        resend::append(hub, records).await?
    } else {
        hub.store.append(records).await?
    };
    Ok(sent
        .into_iter()
        .zip(appended)
        .map(|(sent, appended)| sent.answer(hub, appended))
        .collect())
}

/// What the answer to one message needs.
struct Sent {
    id: MessageId,
    subject: Subject,
    kind: MessageType,
    exclude: Option<ClientId>,
}

impl Sent {
    fn answer(self, hub: &Hub, appended: Appended) -> PublishAnswer {
        let (position, duplicate) = match appended {
            Appended::Stored(position) => (Some(position), false),
            Appended::Duplicate(position) => (Some(position), true),
            Appended::Passed => (None, false),
        };
        PublishAnswer {
            success: true,
            message_id: self.id,
            cursor: position.map(|Position(at)| Cursor::at(hub.epoch.clone(), at).to_string()),
            recipients: hub
                .fanout
                .audience(&self.subject, self.kind, self.exclude.as_deref()),
            duplicate,
        }
    }
}
