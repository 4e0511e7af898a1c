use serde::Serialize;
use serde_json::value::RawValue;

/// What all messages of one call have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Template {
    /// Send to this client; it waits in the client's mailbox when the client is away
    #[arg(long, value_name = "CLIENT", conflicts_with = "topic")]
    to: Option<String>,

    /// Send to the subscribers of this topic; without --to and --topic a message goes to all
    #[arg(long)]
    topic: Option<String>,

    /// low, normal, high, critical, or 0 to 3; higher ones are delivered first [default: normal]
    #[arg(long, value_parser = super::units::priority)]
    priority: Option<u8>,

    /// Worthless after this time, such as 90s, 15m or 7d; by default a message is kept as long as the hub keeps any
    #[arg(long, value_name = "DURATION", value_parser = super::units::duration)]
    ttl: Option<std::time::Duration>,

    /// Have the client acknowledge it: it is repeated until then, and receipts come to the sender
    #[arg(long, requires = "to")]
    require_ack: bool,

    /// Who sends it; with a token its client does
    #[arg(long, value_name = "CLIENT")]
    source: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Json(&'a RawValue),
}

/// A message as it goes over the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    id: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    require_ack: bool,
    payload: Payload<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Text { content: &'a str },
    Json(&'a RawValue),
}

impl Template {
    pub(super) fn message(&self, id: &str, content: Content<'_>) -> Result<Vec<u8>, String> {
        let (kind, payload) = match content {
            Content::Text(content) => ("text", Payload::Text { content }),
            Content::Json(json) => ("json", Payload::Json(json)),
        };
        let wire = Wire {
            id,
            r#type: kind,
            priority: self.priority,
            source: self.source.as_deref(),
            target: self.to.as_deref(),
            topic: self.topic.as_deref(),
            ttl: self
                .ttl
                .map(|ttl| ttl.as_millis().try_into().unwrap_or(u64::MAX)),
            require_ack: self.require_ack,
            payload,
        };
        serde_json::to_vec(&wire).map_err(|error| error.to_string())
    }

    /// Where messages go, in words.
    pub(super) fn destination(&self) -> String {
        match (&self.to, &self.topic) {
            (Some(client), _) => format!("client {client}"),
            (None, Some(topic)) => format!("topic {topic}"),
            (None, None) => "all".to_owned(),
        }
    }
}

/// A new id; sorted by time, unique without asking anyone.
pub(super) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(template: &Template, content: Content<'_>) -> String {
        String::from_utf8(template.message("1", content).expect("a message")).expect("UTF-8")
    }

    #[test]
    fn only_what_was_given_is_sent() {
        assert_eq!(
            encoded(&Template::default(), Content::Text("a\"\n")),
            r#"{"id":"1","type":"text","payload":{"content":"a\"\n"}}"#
        );
        let template = Template {
            topic: Some("news".to_owned()),
            priority: Some(0),
            ttl: Some(std::time::Duration::from_secs(1)),
            source: Some("me".to_owned()),
            ..Template::default()
        };
        let raw: &RawValue = serde_json::from_str("{\"n\": 1.0}").expect("JSON");
        assert_eq!(
            encoded(&template, Content::Json(raw)),
            r#"{"id":"1","type":"json","priority":0,"source":"me","topic":"news","ttl":1000,"payload":{"n": 1.0}}"#
        );
    }
}
