//! Messages against the shared vectors, and what lies beyond what a vector can hold.

use serde::Deserialize;
use serde_json::{Value, json};
use tidings_protocol::api::{AckRequest, BroadcastRequest};
use tidings_protocol::{
    Address, ClientId, Incoming, Invalid, Message, MessageId, MessageType, RawValue, Topic,
    body_is_array, limits, parse_batch,
};

use crate::vectors;

#[derive(Deserialize)]
struct Vectors {
    messages: Vec<Case>,
    batches: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    body: String,
    message: Option<Value>,
    ids: Option<Vec<String>>,
    code: Option<String>,
    status: Option<u16>,
    field: Option<String>,
}

impl Case {
    fn check_refused(&self, invalid: &Invalid) {
        let found = (
            Some(invalid.code.as_str()),
            Some(invalid.code.status()),
            invalid.field.as_deref(),
        );
        let expected = (self.code.as_deref(), self.status, self.field.as_deref());
        assert_eq!(found, expected, "{}: {invalid}", self.name);
        assert!(!invalid.detail.is_empty(), "{}", self.name);
    }
}

fn load() -> Vectors {
    vectors::load("messages.json")
}

fn complete(incoming: Incoming) -> Message {
    let source = incoming
        .source
        .clone()
        .unwrap_or_else(|| "anonymous".into());
    incoming.into_message(&source, 1_700_000_000_000, || {
        MessageId::parse("made", "id").expect("an id")
    })
}

#[test]
fn messages_are_taken_and_refused_as_in_the_vectors() {
    for case in load().messages {
        match Incoming::parse(&vectors::bytes(&case.body)) {
            Ok(incoming) => {
                let line = complete(incoming).encode();
                let read: Value = serde_json::from_slice(&line).expect("encoded messages are JSON");
                assert_eq!(Some(read), case.message, "{}", case.name);
            }
            Err(invalid) => {
                assert_eq!(case.message, None, "{}: {invalid}", case.name);
                case.check_refused(&invalid);
            }
        }
    }
}

#[test]
fn batches_are_taken_and_refused_as_in_the_vectors() {
    for case in load().batches {
        match parse_batch(&vectors::bytes(&case.body)) {
            Ok(batch) => {
                let ids = batch.iter().map(|message| {
                    message
                        .id
                        .as_ref()
                        .map_or_else(String::new, ToString::to_string)
                });
                assert_eq!(Some(ids.collect()), case.ids, "{}", case.name);
            }
            Err(invalid) => {
                assert_eq!(case.ids, None, "{}: {invalid}", case.name);
                case.check_refused(&invalid);
            }
        }
    }
}

#[test]
fn a_valid_message_is_valid_in_a_batch_and_an_invalid_one_is_named_by_its_place() {
    for case in load().messages {
        let body = vectors::bytes(&case.body);
        let one = Incoming::parse(&body).map(|message| complete(message).encode());
        let batch = [&b"[{\"payload\":1},"[..], &body, b"]"].concat();
        match (one, parse_batch(&batch)) {
            (Ok(one), Ok(mut batch)) => {
                assert_eq!(batch.len(), 2, "{}", case.name);
                assert_eq!(
                    batch.pop().map(|message| complete(message).encode()),
                    Some(one),
                    "{}",
                    case.name
                );
            }
            (Err(one), Err(batch)) if one.field.is_some() => {
                assert_eq!(one.within("[1]"), batch, "{}", case.name);
            }
            (Err(_), Err(_)) => {}
            (one, batch) => panic!("{}: alone {one:?}, in a batch {batch:?}", case.name),
        }
    }
}

fn batch_of(count: usize) -> Vec<u8> {
    format!("[{}]", vec![r#"{"payload":1}"#; count].join(",")).into_bytes()
}

#[test]
fn a_batch_has_at_most_a_thousand_messages() {
    assert_eq!(
        parse_batch(&batch_of(limits::BATCH_MAX)).map(|batch| batch.len()),
        Ok(limits::BATCH_MAX)
    );
    let invalid = parse_batch(&batch_of(limits::BATCH_MAX + 1)).expect_err("one too many");
    assert_eq!(
        invalid.to_string(),
        "`[1000]` is one too many: a batch has at most 1000 messages"
    );
}

#[test]
fn nesting_as_deep_as_a_body_can_be_does_not_exhaust_the_stack() {
    let half = limits::BODY_BYTES_MAX / 2;
    let deep = ["[".repeat(half), "]".repeat(half)].concat();
    for body in [
        deep.clone(),
        format!(r#"{{"payload":{deep}}}"#),
        format!(r#"{{"payload":1,"unknown":{deep}}}"#),
        format!(r#"{{"payload":1,"id":{deep}}}"#),
        format!(r#"[{{"payload":{deep}}}]"#),
        "[".repeat(half),
        r#"{"payload":{"a":"#.repeat(half / 16),
    ] {
        Incoming::parse(body.as_bytes()).expect_err("too deep");
        parse_batch(body.as_bytes()).expect_err("too deep");
        Incoming::json(body.as_bytes()).expect_err("too deep");
        BroadcastRequest::parse(body.as_bytes()).expect_err("too deep");
        AckRequest::parse(body.as_bytes()).expect_err("too deep");
    }
}

#[test]
fn a_body_is_an_array_when_its_first_token_is_a_bracket() {
    for array in ["[", " \r\n\t[]", "[{}]"] {
        assert!(body_is_array(array.as_bytes()), "{array:?}");
    }
    for other in ["", " ", "{}", "\"[\"", "x["] {
        assert!(!body_is_array(other.as_bytes()), "{other:?}");
    }
}

#[test]
fn a_message_is_encoded_as_one_line_in_a_fixed_order_of_fields() {
    let body = br#"{"requireAck":true,"metadata":{ "k" : 1 },"ttl":5,"payload":{"b":1.50, "a":1e2},"target":"bob",
        "source":"al\u0069ce","timestamp":7,"priority":2,"type":"text","id":"m1"}"#;
    let message = complete(Incoming::parse(body).expect("valid"));
    let expected = r#"{"id":"m1","type":"text","priority":2,"timestamp":7,"source":"alice","target":"bob","payload":{"b":1.50, "a":1e2},"metadata":{ "k" : 1 },"ttl":5,"requireAck":true}"#;
    assert_eq!(String::from_utf8_lossy(&message.encode()), expected);
}

#[test]
fn raw_line_breaks_become_spaces_and_escaped_ones_stay() {
    let body = b"{\"payload\":{\r\n\"a\":\n\"x\\ny\\r\"\r},\"metadata\":{\n}}";
    let message = complete(Incoming::parse(body).expect("valid"));
    let line = String::from_utf8(message.encode()).expect("UTF-8");
    assert!(
        line.contains(r#""payload":{  "a": "x\ny\r" },"metadata":{ }"#),
        "{line}"
    );
    assert_eq!(message.encoded_len(), line.len());
}

#[test]
fn numbers_and_spellings_in_a_payload_are_passed_on_untouched() {
    let payload =
        r#"{"big":123456789012345678901234567890,"e":1E+2,"z":-0.0,"u":"\u00e9\/","d":1,"d":2}"#;
    let message = complete(Incoming::json(payload.as_bytes()).expect("valid"));
    assert_eq!(message.payload.get(), payload);
    assert!(
        String::from_utf8(message.encode())
            .expect("UTF-8")
            .contains(payload)
    );
}

#[test]
fn the_length_of_a_message_is_that_of_its_line() {
    for case in load().messages {
        if let Ok(incoming) = Incoming::parse(&vectors::bytes(&case.body)) {
            let message = complete(incoming);
            assert_eq!(
                message.encoded_len(),
                message.encode().len(),
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn an_encoded_message_reads_back_and_encodes_to_the_same_line() {
    let mut lines: Vec<Vec<u8>> = load()
        .messages
        .into_iter()
        .filter_map(|case| Incoming::parse(&vectors::bytes(&case.body)).ok())
        .map(|incoming| complete(incoming).encode())
        .collect();
    let mut receipt = Message::new(
        MessageId::from_uuid(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057),
        MessageType::Ack,
        Message::HUB,
        7,
        RawValue::from_string("{}".into()).expect("JSON"),
    );
    receipt.redelivery = Some(2);
    lines.push(receipt.encode());
    for line in lines {
        let read: Message =
            serde_json::from_slice(&line).expect("readers read what the hub writes");
        assert_eq!(
            String::from_utf8_lossy(&read.encode()),
            String::from_utf8_lossy(&line)
        );
    }
}

#[test]
fn the_hub_fills_a_missing_id_and_timestamp_and_decides_the_source() {
    let incoming = Incoming::parse(br#"{"payload":1,"source":"mallory"}"#).expect("valid");
    let message = incoming.into_message("alice", 42, || MessageId::from_uuid(1));
    assert_eq!(message.id.as_str(), "00000000-0000-0000-0000-000000000001");
    assert_eq!((message.timestamp, &*message.source), (42, "alice"));
}

fn client(text: &str) -> ClientId {
    ClientId::parse(text, "clientId").expect("a client id")
}

#[test]
fn a_partial_message_takes_the_address_of_the_request() {
    let parse = |body: &str, address| Incoming::parse_partial(body.as_bytes(), address);
    let direct = parse(r#"{"payload":1}"#, Address::Client(client("bob"))).expect("valid");
    assert_eq!(
        (direct.target.as_deref(), direct.topic),
        (Some("bob"), None)
    );
    let topic = Topic::parse("a/b", "topic").expect("a topic");
    let to_topic = parse(r#"{"payload":1}"#, Address::Topic(topic)).expect("valid");
    assert_eq!(
        (to_topic.target, to_topic.topic.as_deref()),
        (None, Some("a/b"))
    );
    let same = parse(
        r#"{"payload":1,"target":"bob"}"#,
        Address::Client(client("bob")),
    )
    .expect("valid");
    assert_eq!(same.target.as_deref(), Some("bob"));
}

#[test]
fn a_partial_message_may_not_contradict_the_address_of_the_request() {
    let topic = || Address::Topic(Topic::parse("a", "topic").expect("a topic"));
    for (body, address, field) in [
        (
            r#"{"payload":1,"target":"eve"}"#,
            Address::Client(client("bob")),
            "target",
        ),
        (
            r#"{"payload":1,"topic":"a"}"#,
            Address::Client(client("bob")),
            "topic",
        ),
        (r#"{"payload":1,"topic":"b"}"#, topic(), "topic"),
        (r#"{"payload":1,"target":"bob"}"#, topic(), "target"),
        (r#"{"payload":1,"target":"bob"}"#, Address::All, "target"),
        (r#"{"payload":1,"topic":"a"}"#, Address::All, "topic"),
        (
            r#"{"target":"bob"}"#,
            Address::Client(client("bob")),
            "payload",
        ),
    ] {
        let invalid = Incoming::parse_partial(body.as_bytes(), address).expect_err(body);
        assert_eq!(
            (invalid.code.as_str(), invalid.field.as_deref()),
            ("invalid_field", Some(field)),
            "{body}"
        );
    }
}

#[test]
fn require_ack_of_a_partial_message_counts_with_the_address_of_the_request() {
    let parse = |body: &str, address| Incoming::parse_partial(body.as_bytes(), address);
    let asked = r#"{"payload":1,"requireAck":true}"#;
    assert!(
        parse(asked, Address::Client(client("bob")))
            .expect("valid")
            .require_ack
    );
    assert_eq!(
        parse(asked, Address::All)
            .expect_err("no target")
            .code
            .status(),
        422
    );
    let command = r#"{"type":"command","payload":{"requireAck":true}}"#;
    assert!(
        parse(command, Address::Client(client("bob")))
            .expect("valid")
            .require_ack
    );
    assert!(!parse(command, Address::All).expect("valid").require_ack);
}

#[test]
fn a_text_body_becomes_the_content_of_a_text_message() {
    let message = Incoming::text_body("hi \"you\"\n\u{1F30D}\u{0}".as_bytes()).expect("UTF-8");
    assert_eq!(message.kind, MessageType::Text);
    assert_eq!(
        message.payload.get(),
        r#"{"content":"hi \"you\"\n🌍\u0000"}"#
    );
    assert_eq!(
        Incoming::text_body(b"\xff")
            .expect_err("not UTF-8")
            .code
            .as_str(),
        "invalid_json"
    );
}

#[test]
fn a_body_that_is_the_payload_obeys_the_rules_of_payloads() {
    assert_eq!(
        Incoming::json(b" [1, 2] ").expect("valid").payload.get(),
        "[1, 2]"
    );
    for (body, code, field) in [
        ("", "invalid_json", None),
        ("{} {}", "invalid_json", None),
        (r#""\ud800""#, "invalid_json", Some("payload")),
        (
            r#"{"event":"task_x"}"#,
            "reserved_type",
            Some("payload.event"),
        ),
    ] {
        let invalid = Incoming::json(body.as_bytes()).expect_err(body);
        assert_eq!(
            (invalid.code.as_str(), invalid.field.as_deref()),
            (code, field),
            "{body}"
        );
    }
}

#[test]
fn a_broadcast_takes_the_client_to_leave_out_from_beside_the_message_or_from_within() {
    let exclude = |body: &str| {
        let request = BroadcastRequest::parse(body.as_bytes()).expect(body);
        request
            .message
            .exclude_client_id
            .map(|client| client.to_string())
    };
    assert_eq!(exclude(r#"{"message":{"payload":1}}"#), None);
    assert_eq!(
        exclude(r#"{"message":{"payload":1},"excludeClientId":"a"}"#).as_deref(),
        Some("a")
    );
    assert_eq!(
        exclude(r#"{"message":{"payload":1,"excludeClientId":"b"}}"#).as_deref(),
        Some("b")
    );
    assert_eq!(
        exclude(r#"{"message":{"payload":1,"excludeClientId":"b"},"excludeClientId":"a"}"#)
            .as_deref(),
        Some("a")
    );
}

#[test]
fn a_bad_broadcast_is_refused_naming_the_field_from_outside() {
    for (body, code, field) in [
        ("[]", "invalid_json", None),
        ("{}", "invalid_field", Some("message")),
        (r#"{"message":"hi"}"#, "invalid_field", Some("message")),
        (
            r#"{"message":{"payload":1},"message":{"payload":2}}"#,
            "invalid_field",
            Some("message"),
        ),
        (
            r#"{"message":{}}"#,
            "invalid_field",
            Some("message.payload"),
        ),
        (
            r#"{"message":{"payload":1,"target":"bob"}}"#,
            "invalid_field",
            Some("message.target"),
        ),
        (
            r#"{"message":{"type":"system"}}"#,
            "reserved_type",
            Some("message.type"),
        ),
        (
            r#"{"message":{"payload":1},"excludeClientId":"$hub"}"#,
            "invalid_field",
            Some("excludeClientId"),
        ),
        (
            r#"{"message":{"payload":1,"requireAck":true}}"#,
            "unsupported_combination",
            Some("message.requireAck"),
        ),
    ] {
        let invalid = BroadcastRequest::parse(body.as_bytes()).expect_err(body);
        assert_eq!(
            (invalid.code.as_str(), invalid.field.as_deref()),
            (code, field),
            "{body}"
        );
    }
}

#[test]
fn acks_are_read_with_everything_optional() {
    assert_eq!(AckRequest::parse(b"{}"), Ok(AckRequest::default()));
    let body = json!({"cursor": "e-1", "from": "e-0", "device": "phone", "clientId": "bob",
        "messages": [{"source": "$hub", "id": "1"}], "messageIds": ["2", "3"]});
    let read = AckRequest::parse(body.to_string().as_bytes()).expect("valid");
    assert_eq!(read.cursor.as_deref(), Some("e-1"));
    assert_eq!(read.from.as_deref(), Some("e-0"));
    assert_eq!(read.device.as_deref(), Some("phone"));
    assert_eq!(read.client_id, Some(client("bob")));
    assert_eq!(
        (
            read.messages[0].source.as_str(),
            read.messages[0].id.as_str()
        ),
        ("$hub", "1")
    );
    assert_eq!(
        read.message_ids
            .iter()
            .map(MessageId::as_str)
            .collect::<Vec<_>>(),
        ["2", "3"]
    );
}

#[test]
fn a_bad_ack_is_refused_naming_the_field() {
    for (body, field) in [
        (r#"{"cursor":5}"#, "cursor"),
        (r#"{"from":{}}"#, "from"),
        (r#"{"device":""}"#, "device"),
        (r#"{"clientId":"$hub"}"#, "clientId"),
        (r#"{"messages":{}}"#, "messages"),
        (r#"{"messages":[5]}"#, "messages[0]"),
        (
            r#"{"messages":[{"source":"a","id":"1"},{"source":"a"}]}"#,
            "messages[1].id",
        ),
        (r#"{"messages":[{"id":"1"}]}"#, "messages[0].source"),
        (r#"{"messageIds":"1"}"#, "messageIds"),
        (r#"{"messageIds":["1",2]}"#, "messageIds[1]"),
        (r#"{"messageIds":["1",""]}"#, "messageIds[1]"),
        (r#"{"cursor":"a","cursor":"b"}"#, "cursor"),
    ] {
        let invalid = AckRequest::parse(body.as_bytes()).expect_err(body);
        assert_eq!(
            (invalid.code.as_str(), invalid.field.as_deref()),
            ("invalid_field", Some(field)),
            "{body}"
        );
    }
}
