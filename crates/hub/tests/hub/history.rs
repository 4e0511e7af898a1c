//! `GET /api/messages`, over real sockets.

use serde_json::Value;

use crate::client::{Answer, Called};

/// Twelve messages: of two sources, to a client, to topics and to all.
fn filled() -> Called {
    let hub = Called::start();
    for n in 0..3 {
        let batch = format!(
            r#"[
                {{"id":"mail-{n}","source":"bob","target":"alice","type":"text","payload":{{"content":"hi"}}}},
                {{"id":"eu-{n}","source":"bob","topic":"news/eu","payload":{n}}},
                {{"id":"us-{n}","source":"carol","topic":"news/us","payload":{n}}},
                {{"id":"all-{n}","source":"carol","payload":{n}}}
            ]"#
        );
        let answer = hub.post("/api/messages", &batch);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    hub
}

fn ids(answer: &Value) -> Vec<String> {
    let messages = answer["messages"].as_array().expect("messages");
    let id = |message: &Value| message["id"].as_str().expect("an id").to_owned();
    messages.iter().map(id).collect()
}

fn page(hub: &Called, query: &str) -> Value {
    let answer = hub.get(&format!("/api/messages{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn each_filter_narrows_the_rest() {
    let hub = filled();
    for (query, expected) in [
        ("?clientId=alice", "mail-0 mail-1 mail-2"),
        ("?topic=news/eu", "eu-0 eu-1 eu-2"),
        ("?topic=news/+&source=carol", "us-0 us-1 us-2"),
        ("?topic=news/%23&order=desc&source=bob", "eu-2 eu-1 eu-0"),
        ("?type=text&source=bob", "mail-0 mail-1 mail-2"),
        ("?type=text,ack&source=carol", ""),
        ("?clientId=bob", ""),
        ("?until=1", ""),
        ("?since=9007199254740991", ""),
        (
            "?since=1&until=9007199254740991&clientId=alice&limit=2",
            "mail-0 mail-1",
        ),
    ] {
        let found = ids(&page(&hub, query)).join(" ");
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(ids(&page(&hub, "?source=&type=&order=")).len(), 12);
}

#[test]
fn a_message_is_as_its_readers_got_it() {
    let hub = Called::start();
    let sent = r#"{"id":"m","source":"bob","target":"alice","priority":3,"timestamp":7,"payload":{"a": 1.0},"ttl":60000}"#;
    hub.post("/api/messages", sent);
    let answer = hub.get("/api/messages?clientId=alice");
    let expected = r#"{"messages":[{"id":"m","type":"json","priority":3,"timestamp":7,"source":"bob","target":"alice","payload":{"a": 1.0},"ttl":60000}]}"#;
    assert_eq!(answer.text(), expected);
}

#[test]
fn next_leads_through_all_pages_in_either_order_and_is_absent_at_the_end() {
    let hub = filled();
    let mut whole = ids(&page(&hub, ""));
    for order in ["asc", "desc"] {
        for limit in [1, 5, 6, 12] {
            let (mut all, mut after) = (Vec::new(), String::new());
            loop {
                let page = page(&hub, &format!("?order={order}&limit={limit}{after}"));
                all.extend(ids(&page));
                let Some(next) = page.get("next") else { break };
                let next = next.as_str().expect("a text");
                let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                assert!(next.bytes().all(url_safe), "{next}");
                after = format!("&after={next}");
            }
            assert_eq!(all, whole, "{order} by {limit}");
        }
        whole.reverse();
    }
}

#[test]
fn next_is_good_after_a_restart() {
    let hub = filled();
    let first = page(&hub, "?limit=7");
    let next = first["next"].as_str().expect("a next").to_owned();
    let hub = Called(hub.0.restart());
    let second = page(&hub, &format!("?after={next}"));
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&page(&hub, "")));
}

#[test]
fn a_page_has_50_messages_unless_told_and_1000_at_most() {
    let hub = Called::start();
    let batch: Vec<String> = (0..600)
        .map(|n| format!(r#"{{"topic":"t","payload":{n}}}"#))
        .collect();
    for _ in 0..2 {
        hub.post("/api/messages", &format!("[{}]", batch.join(",")));
    }
    assert_eq!(ids(&page(&hub, "")).len(), 50);
    let whole = page(&hub, "?limit=1000");
    assert_eq!(ids(&whole).len(), 1000);
    let rest = whole["next"].as_str().expect("there are more");
    assert_eq!(
        ids(&page(&hub, &format!("?limit=1000&after={rest}"))).len(),
        200
    );
}

#[test]
fn expired_live_only_and_heartbeat_messages_are_not_history() {
    let hub = Called::start();
    hub.post("/api/messages", r#"{"id":"kept","payload":1}"#);
    hub.post("/api/messages", r#"{"id":"expired","payload":1,"ttl":0}"#);
    hub.post(
        "/api/messages",
        r#"{"id":"live","payload":1,"durable":false}"#,
    );
    assert_eq!(ids(&page(&hub, "")), ["kept"]);
}

#[test]
fn a_message_that_asks_for_an_ack_has_its_type() {
    let hub = Called::start();
    let sent =
        r#"{"id":"m","target":"alice","type":"text","requireAck":true,"payload":{"content":"x"}}"#;
    hub.post("/api/messages", sent);
    assert_eq!(ids(&page(&hub, "?type=text")), ["m"]);
    assert_eq!(ids(&page(&hub, "?type=json")), [""; 0]);
}

#[test]
fn what_breaks_a_rule_is_refused_naming_the_parameter() {
    let hub = filled();
    let refusal = |query: &str| Answer::refusal(&hub.get(&format!("/api/messages?{query}")));
    for (query, field) in [
        ("clientId=$hub", "clientId"),
        ("topic=a//b", "topic"),
        ("topic=%23/a", "topic"),
        ("source=a%00b", "source"),
        ("type=words", "type"),
        ("type=text,,json", "type"),
        ("since=yesterday", "since"),
        ("since=+5", "since"),
        ("until=9007199254740992", "until"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("order=up", "order"),
        ("source=a&source=b", "source"),
    ] {
        let expected = (400, "invalid_field".into(), Some(field.into()));
        assert_eq!(refusal(query), expected, "{query}");
    }
    for after in ["5", "nonsense", "0000000000000000-1"] {
        let expected = (400, "invalid_cursor".into(), Some("after".into()));
        assert_eq!(refusal(&format!("after={after}")), expected, "{after}");
    }
    let next = page(&hub, "?limit=1")["next"]
        .as_str()
        .expect("a next")
        .to_owned();
    let expected = (400, "invalid_cursor".into(), Some("after".into()));
    for after in [
        format!("{next}000"),
        format!("{next}%2B9999"),
        format!("{next}.1"),
    ] {
        assert_eq!(refusal(&format!("after={after}")), expected, "{after}");
    }
    let expected = (422, "unsupported_combination".into(), Some("topic".into()));
    assert_eq!(refusal("clientId=alice&topic=news"), expected);
}
