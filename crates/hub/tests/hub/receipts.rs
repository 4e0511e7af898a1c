//! Messages that ask for an ack, as sender and receiver see them.

use serde_json::{Value, json};

use crate::harness::{Hub, Stream};

/// Repeats come as soon as they may.
const EAGER: [(&str, &str); 3] = [
    ("RECEIPTS_FIRST_DELAY_MS", "1"),
    ("RECEIPTS_DELAY_MAX_MS", "1"),
    ("RECEIPTS_ATTEMPTS_MAX", "1000000"),
];
/// No repeat comes but at a connect.
const PATIENT: [(&str, &str); 2] = [
    ("RECEIPTS_FIRST_DELAY_MS", "86400000"),
    ("RECEIPTS_DELAY_MAX_MS", "86400000"),
];

fn asking(source: &str, id: &str, target: &str) -> Value {
    json!({"id": id, "source": source, "target": target, "payload": id, "requireAck": true})
}

fn plain(source: &str, id: &str, target: &str) -> Value {
    json!({"id": id, "source": source, "target": target, "payload": id})
}

fn ack(hub: &Hub, body: &Value) -> Value {
    let answer = hub.post("/api/acks", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn ack_of(hub: &Hub, client: &str, messages: &[(&str, &str)]) -> Value {
    let messages = messages
        .iter()
        .map(|(source, id)| json!({"source": source, "id": id}))
        .collect::<Vec<_>>();
    ack(hub, &json!({"clientId": client, "messages": messages}))
}

/// The payload of the next receipt.
fn receipt(stream: &mut Stream) -> Value {
    stream.expect("ack").0["payload"].clone()
}

/// The statuses that the hub tells of a message.
fn statuses(hub: &Hub, source: &str, id: &str) -> Vec<Value> {
    let answer = hub.get(&format!("/api/messages/{id}?source={source}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let receipts = answer.json()["receipts"].clone();
    let receipts = receipts.as_array().expect("a list");
    receipts
        .iter()
        .map(|receipt| receipt["status"].clone())
        .collect()
}

/// The next messages up to the one with this id, by id and number of the repeat.
fn until(stream: &mut Stream, last: &str) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    loop {
        let (message, _) = stream.message().expect("a message");
        let id = message["id"].as_str().expect("text").to_owned();
        if id == last {
            return seen;
        }
        seen.push((id, message["redelivery"].clone()));
    }
}

#[test]
fn the_source_is_told_when_its_message_was_delivered_and_when_it_was_acknowledged() {
    let hub = Hub::start_with(&PATIENT);
    let mut bob = hub.stream("clientId=bob");
    let mut alice = hub.stream("clientId=alice");
    hub.publish(&asking("bob", "m", "alice"));
    let (message, _) = alice.message().expect("arrives");
    assert_eq!(message["requireAck"], true);
    assert_eq!(message["redelivery"], Value::Null);
    let (told, cursor) = bob.expect("ack");
    assert_eq!(told["source"], "$hub");
    assert_eq!(told["ttl"], 86_400_000);
    assert_eq!(
        told["payload"],
        json!({"messageId": "m", "clientId": "alice", "status": "delivered", "success": true})
    );
    assert!(!cursor.is_empty(), "a receipt is a durable message");
    let answer = ack_of(&hub, "alice", &[("bob", "m")]);
    assert_eq!(answer["applied"], true);
    assert_eq!(receipt(&mut bob)["status"], "acknowledged");
    assert_eq!(
        statuses(&hub, "bob", "m"),
        [json!("delivered"), json!("acknowledged")]
    );
}

#[test]
fn receipts_wait_for_a_source_that_is_away() {
    let hub = Hub::start_with(&PATIENT);
    hub.publish(&asking("bob", "m", "alice"));
    ack_of(&hub, "alice", &[("bob", "m")]);
    let hub = hub.restart();
    let mut bob = hub.stream("clientId=bob");
    assert_eq!(receipt(&mut bob)["status"], "delivered");
    assert_eq!(receipt(&mut bob)["status"], "acknowledged");
}

#[test]
fn a_repeat_has_its_number_and_does_not_move_a_native_client_back() {
    let hub = Hub::start_with(&EAGER);
    let mut alice = hub.stream("clientId=alice");
    hub.publish(&asking("bob", "m", "alice"));
    hub.publish(&plain("bob", "later", "alice"));
    let later = hub.publish(&plain("bob", "latest", "alice"))["cursor"].clone();
    let mut cursor = String::new();
    while cursor != later {
        cursor = alice.message().expect("arrives").1;
    }
    for _ in 0..3 {
        let (message, last_id) = loop {
            let (message, last_id) = alice.message().expect("arrives");
            if message["redelivery"].is_u64() {
                break (message, last_id);
            }
        };
        assert_eq!(message["id"], "m");
        // What the client would send as Last-Event-ID is what it was before.
        assert_eq!(last_id, later);
    }
}

#[test]
fn repeats_are_numbered_from_1_and_end_with_expired_when_the_attempts_are_used_up() {
    let settings = [EAGER[0], EAGER[1], ("RECEIPTS_ATTEMPTS_MAX", "4")];
    let hub = Hub::start_with(&settings);
    let mut bob = hub.stream("clientId=bob");
    let mut alice = hub.stream("clientId=alice");
    hub.publish(&asking("bob", "m", "alice"));
    assert_eq!(receipt(&mut bob)["status"], "delivered");
    let expired = receipt(&mut bob);
    assert_eq!(expired["status"], "expired");
    assert_eq!(expired["success"], false);
    hub.publish(&plain("bob", "end", "alice"));
    let mut numbers: Vec<_> = until(&mut alice, "end")
        .into_iter()
        .map(|(_, number)| number)
        .collect();
    // One may have been on its way when the one before it was noted.
    numbers.dedup();
    assert_eq!(numbers, [Value::Null, json!(1), json!(2), json!(3)]);
}

#[test]
fn a_cursor_ack_never_settles_a_message_that_asks_for_its_own() {
    let hub = Hub::start_with(&PATIENT);
    let mut bob = hub.stream("clientId=bob");
    let mut alice = hub.stream("clientId=alice");
    hub.publish(&asking("bob", "m", "alice"));
    let (_, cursor) = alice.message().expect("arrives");
    assert_eq!(receipt(&mut bob)["status"], "delivered");
    let answer = ack(&hub, &json!({"clientId": "alice", "cursor": cursor}));
    assert_eq!(answer["applied"], true);
    alice.close();
    let mut alice = hub.stream("clientId=alice");
    let start = alice.expect_system("connect")["cursor"].clone();
    let next = alice.event().expect("right after connect");
    let message: Value = serde_json::from_str(&next.data).expect("JSON");
    assert_eq!(
        (&message["id"], &message["redelivery"]),
        (&json!("m"), &json!(1))
    );
    assert_eq!(next.last_event_id, start, "a repeat has no id of its own");
    assert_eq!(statuses(&hub, "bob", "m"), [json!("delivered")]);
}

#[test]
fn at_a_connect_what_counts_as_sent_comes_first_and_the_rest_in_the_replay() {
    let hub = Hub::start_with(&PATIENT);
    let mut alice = hub.stream("clientId=alice");
    for id in ["a", "b"] {
        hub.publish(&asking("bob", id, "alice"));
    }
    let (_, cursor) = alice.message().expect("a");
    let (_, cursor) = alice.message().map(|(_, next)| (cursor, next)).expect("b");
    alice.close();
    for id in ["c", "d"] {
        hub.publish(&asking("bob", id, "alice"));
    }
    hub.publish(&plain("bob", "end", "alice"));
    let headers = [("last-event-id", cursor.as_str())];
    let mut alice = Stream::open(hub.address, "clientId=alice", &headers);
    let seen = until(&mut alice, "end");
    let expected = [
        ("a", json!(1)),
        ("b", json!(1)),
        ("c", Value::Null),
        ("d", Value::Null),
    ];
    assert_eq!(seen, expected.map(|(id, number)| (id.to_owned(), number)));
}

#[test]
fn what_was_acknowledged_is_not_repeated_at_a_connect() {
    let hub = Hub::start_with(&PATIENT);
    let mut alice = hub.stream("clientId=alice");
    for id in ["a", "b", "c"] {
        hub.publish(&asking("bob", id, "alice"));
    }
    hub.publish(&plain("bob", "end", "alice"));
    until(&mut alice, "end");
    let (_, cursor) = {
        hub.publish(&plain("bob", "last", "alice"));
        alice.message().expect("last")
    };
    ack_of(&hub, "alice", &[("bob", "b")]);
    alice.close();
    hub.publish(&plain("bob", "end 2", "alice"));
    let headers = [("last-event-id", cursor.as_str())];
    let mut alice = Stream::open(hub.address, "clientId=alice", &headers);
    let seen = until(&mut alice, "end 2");
    let ids: Vec<_> = seen.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
}

#[test]
fn two_sources_with_the_same_message_id_are_acknowledged_each_for_itself() {
    let hub = Hub::start_with(&PATIENT);
    let mut carol = hub.stream("clientId=carol");
    hub.publish(&asking("bob", "m", "alice"));
    hub.publish(&asking("carol", "m", "alice"));
    ack_of(&hub, "alice", &[("bob", "m")]);
    assert_eq!(statuses(&hub, "bob", "m").len(), 2);
    assert_eq!(statuses(&hub, "carol", "m"), Vec::<Value>::new());
    // By the id alone all that are pending are meant.
    ack(&hub, &json!({"clientId": "alice", "messageIds": ["m"]}));
    assert_eq!(receipt(&mut carol)["status"], "delivered");
    assert_eq!(receipt(&mut carol)["status"], "acknowledged");
}

#[test]
fn there_are_no_receipts_for_anonymous() {
    let hub = Hub::start_with(&PATIENT);
    hub.publish(&json!({"id": "m", "target": "alice", "payload": 1, "requireAck": true}));
    ack_of(&hub, "alice", &[("anonymous", "m")]);
    hub.publish(&plain("bob", "end", "anonymous"));
    let mut anonymous = hub.stream("clientId=anonymous");
    anonymous.expect_system("connect");
    let first = anonymous.event().expect("a message");
    assert!(first.data.contains(r#""id":"end""#), "{}", first.data);
    assert_eq!(statuses(&hub, "anonymous", "m").len(), 2);
}

#[test]
fn what_waits_for_an_ack_survives_a_crash() {
    let hub = Hub::start_with(&PATIENT);
    let mut alice = hub.stream("clientId=alice");
    hub.publish(&asking("bob", "sent", "alice"));
    let (_, cursor) = alice.message().expect("arrives");
    hub.publish(&asking("bob", "just stored", "carol"));
    let hub = hub.restart();
    let headers = [("last-event-id", cursor.as_str())];
    let mut alice = Stream::open(hub.address, "clientId=alice", &headers);
    alice.expect_system("connect");
    let (message, _) = alice.message().expect("again");
    assert_eq!(message["id"], "sent");
    assert!(message["redelivery"].is_u64());
    let mut bob = hub.stream("clientId=bob");
    let mut carol = hub.stream("clientId=carol");
    assert_eq!(carol.message().expect("arrives").0["id"], "just stored");
    while receipt(&mut bob)["messageId"] != "just stored" {}
}

#[test]
fn an_ack_names_messages_or_a_cursor_and_may_do_both() {
    let hub = Hub::start_with(&PATIENT);
    let cursor = hub.publish(&asking("bob", "m", "alice"))["cursor"].clone();
    let answer = ack(
        &hub,
        &json!({"clientId": "alice", "cursor": cursor, "messageIds": ["m", "unknown"]}),
    );
    assert_eq!(
        answer,
        json!({"success": true, "applied": true, "cursor": cursor})
    );
    assert_eq!(statuses(&hub, "bob", "m").len(), 2);
    let answer = hub.post("/api/acks", r#"{"clientId":"alice"}"#);
    assert_eq!(
        (
            answer.status,
            answer.json()["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        ),
        (400, "invalid_field".to_owned())
    );
}

#[test]
fn a_message_can_be_asked_for_with_what_became_of_it() {
    let hub = Hub::start_with(&PATIENT);
    hub.publish(&asking("bob", "a/b%2F", "alice"));
    let answer = hub.get("/api/messages/a/b%252F?source=bob");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let found = answer.json();
    assert_eq!(found["message"]["payload"], "a/b%2F");
    assert_eq!(found["receipts"], json!([]));
    hub.publish(&json!({"id": "t", "topic": "news", "payload": 1}));
    assert_eq!(
        hub.get("/api/messages/t").json()["message"]["topic"],
        "news"
    );
    let unknown = hub.get("/api/messages/t?source=bob");
    assert_eq!(
        (
            unknown.status,
            unknown.json()["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        ),
        (404, "not_found".to_owned())
    );
}

#[test]
fn progress_cannot_ask_for_an_ack() {
    let hub = Hub::start();
    let mut message = asking("bob", "m", "alice");
    message["type"] = json!("progress");
    let answer = hub.post("/api/messages", &message.to_string());
    assert_eq!(
        (
            answer.status,
            answer.json()["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        ),
        (422, "unsupported_combination".to_owned())
    );
}

#[test]
fn a_command_asks_for_an_ack_in_its_payload_too() {
    let hub = Hub::start_with(&PATIENT);
    let mut bob = hub.stream("clientId=bob");
    hub.publish(&json!({
        "id": "m", "source": "bob", "target": "alice", "type": "command",
        "payload": {"commandId": "c1", "action": "execute", "requireAck": true},
    }));
    ack_of(&hub, "alice", &[("bob", "m")]);
    assert_eq!(receipt(&mut bob)["commandId"], "c1");
}

#[test]
fn metrics_count_what_waits_and_what_became_of_it() {
    let hub = Hub::start_with(&PATIENT);
    for id in ["a", "b"] {
        hub.publish(&asking("bob", id, "alice"));
    }
    ack_of(&hub, "alice", &[("bob", "a")]);
    let metrics = hub.get("/metrics").body;
    for line in [
        "tidings_receipts_pending 1",
        "tidings_receipts_acknowledged_total 1",
        "tidings_receipts_sent_total 2",
        "tidings_receipts_expired_total 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}
