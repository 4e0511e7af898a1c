//! What a client sends: parsed, checked, not yet complete.

use serde_json::value::{RawValue, to_raw_value};

use crate::error::{ErrorCode, Invalid};
use crate::json::inspect::{Findings, inspect};
use crate::json::{self, Object};
use crate::kind::{MessageType, Priority};
use crate::limits::JSON_DEPTH_MAX;
use crate::message::Message;
use crate::names::{ClientId, MessageId, Topic, check_client_id};

/// A message as a client sent it, every rule checked that needs no knowledge of the hub.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename_all = "camelCase", optional_fields))]
pub struct Incoming {
    pub id: Option<MessageId>,
    #[cfg_attr(test, ts(rename = "type", as = "Option<MessageType>"))]
    pub kind: MessageType,
    #[cfg_attr(test, ts(as = "Option<Priority>"))]
    pub priority: Priority,
    pub timestamp: Option<u64>,
    pub source: Option<String>,
    pub target: Option<ClientId>,
    pub topic: Option<Topic>,
    #[cfg_attr(test, ts(type = "unknown"))]
    pub payload: Box<RawValue>,
    #[cfg_attr(test, ts(as = "Option<crate::typescript::Metadata>"))]
    pub metadata: Option<Box<RawValue>>,
    pub ttl: Option<u64>,
    #[cfg_attr(test, ts(as = "Option<bool>"))]
    pub durable: bool,
    pub exclude_client_id: Option<ClientId>,
    #[cfg_attr(test, ts(as = "Option<bool>"))]
    pub require_ack: bool,
}

/// Where a message goes when the path of the request says so and not the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Client(ClientId),
    Topic(Topic),
    All,
}

const NAMES: [&str; 13] = [
    "id",
    "type",
    "priority",
    "timestamp",
    "source",
    "target",
    "topic",
    "payload",
    "metadata",
    "ttl",
    "durable",
    "excludeClientId",
    "requireAck",
];
const ID: usize = 0;
const TYPE: usize = 1;
const PRIORITY: usize = 2;
const TIMESTAMP: usize = 3;
const SOURCE: usize = 4;
const TARGET: usize = 5;
const TOPIC: usize = 6;
const PAYLOAD: usize = 7;
const METADATA: usize = 8;
const TTL: usize = 9;
const DURABLE: usize = 10;
const EXCLUDE: usize = 11;
const REQUIRE_ACK: usize = 12;

impl Incoming {
    /// Reads the body of one message that says itself where it goes.
    ///
    /// A field that is `null` counts as absent, but for `payload`; unknown fields are ignored.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        read(&json::object(body, &NAMES)?, None)
    }

    /// Reads the body of a message whose address is known from elsewhere: it may repeat that address, not contradict it.
    pub fn parse_partial(body: &[u8], address: Address) -> Result<Self, Invalid> {
        read(&json::object(body, &NAMES)?, Some(address))
    }

    /// Reads a body that is the payload itself, of type json, going to everyone.
    pub fn json(body: &[u8]) -> Result<Self, Invalid> {
        let payload = json::any(body)?;
        check_payload(payload)?;
        Ok(Self::of(MessageType::Json, payload.to_owned()))
    }

    /// A message of type text with the payload `{content}`, going to everyone.
    #[must_use]
    pub fn text(content: &str) -> Self {
        #[derive(serde::Serialize)]
        struct Text<'a> {
            content: &'a str,
        }
        let payload = to_raw_value(&Text { content }).expect("a string is always JSON");
        Self::of(MessageType::Text, payload)
    }

    /// Reads a body that is the text itself: [`text`](Self::text) of UTF-8 bytes.
    pub fn text_body(body: &[u8]) -> Result<Self, Invalid> {
        json::utf8(body).map(Self::text)
    }

    /// Completes the message: `source` as the credentials say, a missing id and timestamp from the hub.
    pub fn into_message(
        self,
        source: &str,
        now_ms: u64,
        new_id: impl FnOnce() -> MessageId,
    ) -> Message {
        let id = self.id.unwrap_or_else(new_id);
        let timestamp = self.timestamp.unwrap_or(now_ms);
        Message {
            priority: self.priority,
            target: self.target,
            topic: self.topic,
            metadata: self.metadata,
            ttl: self.ttl,
            durable: self.durable,
            exclude_client_id: self.exclude_client_id,
            require_ack: self.require_ack,
            ..Message::new(id, self.kind, source, timestamp, self.payload)
        }
    }

    fn of(kind: MessageType, payload: Box<RawValue>) -> Self {
        Self {
            id: None,
            kind,
            priority: Priority::default(),
            timestamp: None,
            source: None,
            target: None,
            topic: None,
            payload,
            metadata: None,
            ttl: None,
            durable: true,
            exclude_client_id: None,
            require_ack: false,
        }
    }
}

/// Reads an array of messages; one bad item refuses all, its fields named `[i].field`.
pub fn parse_batch(body: &[u8]) -> Result<Vec<Incoming>, Invalid> {
    let objects = json::objects(body, &NAMES)?;
    let read_item =
        |(i, object)| read(object, None).map_err(|invalid| invalid.within(&format!("[{i}]")));
    objects.iter().enumerate().map(read_item).collect()
}

/// Whether a body begins as a JSON array does.
#[must_use]
pub fn body_is_array(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"[")
}

type Fields<'a> = Object<'a, { NAMES.len() }>;

fn read(fields: &Fields<'_>, address: Option<Address>) -> Result<Incoming, Invalid> {
    let kind = read_kind(fields)?;
    fields.check()?;
    let (target, topic) = read_address(fields, address)?;
    let exclude = read_name(fields, EXCLUDE, ClientId::parse)?;
    let metadata = read_metadata(fields)?;
    let (payload, found) = read_payload(fields)?;
    let durable = fields.boolean(DURABLE)?.unwrap_or(true);
    let asked_in_payload = kind == MessageType::Command && target.is_some() && found.require_ack;
    let require_ack = fields.boolean(REQUIRE_ACK)?.unwrap_or(false) || asked_in_payload;
    check_require_ack(require_ack, durable, target.is_some())?;
    Ok(Incoming {
        id: read_name(fields, ID, MessageId::parse)?,
        priority: fields.decode(PRIORITY, read_priority)?.unwrap_or_default(),
        timestamp: fields.integer(TIMESTAMP)?,
        source: read_source(fields)?,
        // Only messages to several clients leave one of them out.
        exclude_client_id: exclude.filter(|_| target.is_none()),
        target,
        topic,
        metadata,
        ttl: fields.integer(TTL)?,
        durable,
        require_ack,
        ..Incoming::of(kind, payload.to_owned())
    })
}

/// Decides reserved types before anything else of the message is looked at.
fn read_kind(fields: &Fields<'_>) -> Result<MessageType, Invalid> {
    let kind = match fields.string(TYPE)? {
        Some(word) => word.parse::<MessageType>()?,
        None => MessageType::default(),
    };
    if kind.reserved() {
        let rule = format!("must not be `{kind}`: only the hub sends this type");
        return Err(Invalid::new(
            ErrorCode::ReservedType,
            Some("type".into()),
            rule,
        ));
    }
    Ok(kind)
}

fn read_address(
    fields: &Fields<'_>,
    address: Option<Address>,
) -> Result<(Option<ClientId>, Option<Topic>), Invalid> {
    let target = read_name(fields, TARGET, ClientId::parse)?;
    let topic = read_name(fields, TOPIC, Topic::parse)?;
    if target.is_some() && topic.is_some() {
        return Err(Invalid::field(
            "topic",
            "must not be given together with `target`",
        ));
    }
    let Some(address) = address else {
        return Ok((target, topic));
    };
    let given = (target, topic);
    let wanted = match address {
        Address::Client(client) => (Some(client), None),
        Address::Topic(topic) => (None, Some(topic)),
        Address::All => (None, None),
    };
    if given.0.is_some() && given.0 != wanted.0 {
        return Err(Invalid::field(
            "target",
            "must not differ from where this request sends",
        ));
    }
    if given.1.is_some() && given.1 != wanted.1 {
        return Err(Invalid::field(
            "topic",
            "must not differ from where this request sends",
        ));
    }
    Ok(wanted)
}

fn read_payload<'a>(fields: &Fields<'a>) -> Result<(&'a RawValue, Findings), Invalid> {
    let payload = fields
        .raw(PAYLOAD)
        .ok_or_else(|| Invalid::field("payload", "is required"))?;
    check_payload(payload).map(|found| (payload, found))
}

fn check_payload(payload: &RawValue) -> Result<Findings, Invalid> {
    let found = check_value(payload, "payload")?;
    if found.task_event {
        let rule = "must not start with `task_`: only the hub sends task events";
        return Err(Invalid::new(
            ErrorCode::ReservedType,
            Some("payload.event".into()),
            rule,
        ));
    }
    Ok(found)
}

fn read_metadata(fields: &Fields<'_>) -> Result<Option<Box<RawValue>>, Invalid> {
    fields.decode(METADATA, |metadata, field| {
        if !metadata.get().starts_with('{') {
            return Err(Invalid::field(field, "must be a JSON object"));
        }
        check_value(metadata, field)?;
        Ok(metadata.to_owned())
    })
}

fn check_value(value: &RawValue, field: &str) -> Result<Findings, Invalid> {
    let found = inspect(value);
    // The braces of the message itself are one level.
    if found.depth >= JSON_DEPTH_MAX {
        let rule = format!(
            "must not nest deeper than {JSON_DEPTH_MAX} levels, the message itself included"
        );
        return Err(Invalid::new(
            ErrorCode::InvalidJson,
            Some(field.into()),
            rule,
        ));
    }
    if found.lone_surrogate {
        let rule = "must not contain half a surrogate pair";
        return Err(Invalid::new(
            ErrorCode::InvalidJson,
            Some(field.into()),
            rule,
        ));
    }
    Ok(found)
}

fn check_require_ack(require_ack: bool, durable: bool, has_target: bool) -> Result<(), Invalid> {
    let rule = match (require_ack, durable, has_target) {
        (true, _, false) => "needs a `target`: only one client can acknowledge",
        (true, false, true) => {
            "needs a durable message: one that is live only cannot be sent again"
        }
        _ => return Ok(()),
    };
    Err(Invalid::new(
        ErrorCode::UnsupportedCombination,
        Some("requireAck".into()),
        rule,
    ))
}

fn read_name<T>(
    fields: &Fields<'_>,
    field: usize,
    parse: impl FnOnce(&str, &str) -> Result<T, Invalid>,
) -> Result<Option<T>, Invalid> {
    fields.decode(field, |raw, name| parse(&json::string(raw, name)?, name))
}

fn read_source(fields: &Fields<'_>) -> Result<Option<String>, Invalid> {
    read_name(fields, SOURCE, |source, name| {
        match check_client_id(source) {
            Ok(()) => Ok(source.to_owned()),
            Err(rule) => Err(Invalid::field(name, rule)),
        }
    })
}

fn read_priority(raw: &RawValue, field: &str) -> Result<Priority, Invalid> {
    Priority::parse(raw.get(), field)
}
