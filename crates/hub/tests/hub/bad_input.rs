//! Input that breaks a rule gets the answer that the protocol gives it, and the hub stays healthy.

use serde_json::json;
use tidings_protocol::limits::{
    BATCH_MAX, BODY_BYTES_MAX, HEAD_BYTES_MAX, ID_BYTES_MAX, TOPICS_MAX,
};

use crate::client::{Answer, Called, Client, request};

fn invalid_field(field: &str) -> (u16, String, Option<String>) {
    (400, "invalid_field".into(), Some(field.into()))
}

fn assert_healthy(hub: &Called) {
    assert_eq!(hub.get("/health").status, 200);
    assert_eq!(hub.post("/api/messages", r#"{"payload":1}"#).status, 200);
}

#[test]
fn each_rule_of_a_message_is_refused_by_the_name_of_its_field() {
    let hub = Called::start();
    let long = "x".repeat(ID_BYTES_MAX + 1);
    for (message, field) in [
        (json!({"type": "shout", "payload": 1}), "type"),
        (json!({"type": 7, "payload": 1}), "type"),
        (json!({"priority": 4, "payload": 1}), "priority"),
        (json!({"priority": -1, "payload": 1}), "priority"),
        (json!({"priority": "high", "payload": 1}), "priority"),
        (json!({"target": "a", "topic": "b", "payload": 1}), "topic"),
        (json!({"target": "a"}), "payload"),
        (json!({"id": "", "payload": 1}), "id"),
        (json!({"id": long, "payload": 1}), "id"),
        (json!({"id": "a\u{0}b", "payload": 1}), "id"),
        (json!({"id": 7, "payload": 1}), "id"),
        (json!({"target": "", "payload": 1}), "target"),
        (json!({"target": long, "payload": 1}), "target"),
        (json!({"target": "a\nb", "payload": 1}), "target"),
        (json!({"target": "$hub", "payload": 1}), "target"),
        (json!({"source": "$hub", "payload": 1}), "source"),
        (json!({"source": "", "payload": 1}), "source"),
        (json!({"topic": "", "payload": 1}), "topic"),
        (json!({"topic": long, "payload": 1}), "topic"),
        (json!({"topic": "a,b", "payload": 1}), "topic"),
        (json!({"topic": "a/+", "payload": 1}), "topic"),
        (json!({"topic": "a/#", "payload": 1}), "topic"),
        (json!({"topic": "a/*", "payload": 1}), "topic"),
        (json!({"topic": "a//b", "payload": 1}), "topic"),
        (json!({"topic": "/a", "payload": 1}), "topic"),
        (json!({"topic": "a/", "payload": 1}), "topic"),
        (json!({"topic": "./a", "payload": 1}), "topic"),
        (json!({"topic": "a/..", "payload": 1}), "topic"),
        (json!({"topic": "a\u{7f}", "payload": 1}), "topic"),
        (json!({"metadata": [], "payload": 1}), "metadata"),
        (json!({"ttl": -1, "payload": 1}), "ttl"),
        (json!({"ttl": "1", "payload": 1}), "ttl"),
        (json!({"timestamp": "now", "payload": 1}), "timestamp"),
        (json!({"durable": "yes", "payload": 1}), "durable"),
        (
            json!({"excludeClientId": "$x", "payload": 1}),
            "excludeClientId",
        ),
        (json!({"requireAck": 1, "payload": 1}), "requireAck"),
    ] {
        let alone = hub.post("/api/messages", &message.to_string());
        assert_eq!(alone.refusal(), invalid_field(field), "{message}");
        let batch = json!([{"payload": 1}, message]);
        let in_batch = hub.post("/api/messages", &batch.to_string());
        assert_eq!(
            in_batch.refusal(),
            invalid_field(&format!("[1].{field}")),
            "{batch}"
        );
    }
    assert_healthy(&hub);
}

#[test]
fn what_only_the_hub_sends_is_forbidden_before_the_payload_is_looked_at() {
    let hub = Called::start();
    for kind in ["system", "heartbeat", "ack"] {
        for message in [json!({"type": kind, "payload": {}}), json!({"type": kind})] {
            let refusal = hub.post("/api/messages", &message.to_string()).refusal();
            assert_eq!(
                refusal,
                (403, "reserved_type".into(), Some("type".into())),
                "{message}"
            );
        }
    }
    let event = json!({"type": "command", "target": "a", "payload": {"event": "task_completed"}});
    let refusal = hub.post("/api/messages", &event.to_string()).refusal();
    assert_eq!(
        refusal,
        (403, "reserved_type".into(), Some("payload.event".into()))
    );
    let raw = hub.post("/api/topics/a", r#"{"event":"task_x"}"#).refusal();
    assert_eq!(raw.1, "reserved_type");
}

#[test]
fn what_makes_no_sense_together_is_unsupported() {
    let hub = Called::start();
    for message in [
        json!({"payload": 1, "requireAck": true}),
        json!({"topic": "a", "payload": 1, "requireAck": true}),
        json!({"target": "a", "payload": 1, "requireAck": true, "durable": false}),
    ] {
        let refusal = hub.post("/api/messages", &message.to_string()).refusal();
        assert_eq!(
            (refusal.0, refusal.1.as_str()),
            (422, "unsupported_combination"),
            "{message}"
        );
    }
}

#[test]
fn a_body_that_is_no_json_is_refused_on_every_route() {
    let hub = Called::start();
    for path in [
        "/api/messages",
        "/api/topics/a",
        "/api/direct/a",
        "/api/broadcast",
        "/api/commands",
        "/api/acks",
    ] {
        let bodies: [&[u8]; 8] = [
            b"",
            b"{",
            b"hello",
            b"{\"payload\":1}x",
            b"[{\"payload\":1}",
            b"{\"payload\":01}",
            b"\xff\xfe",
            b"{\"a\":\"\n\"}",
        ];
        for body in bodies {
            let answer = hub.call("POST", path, &[], body);
            let refusal = answer.refusal();
            let text = String::from_utf8_lossy(body);
            assert_eq!(
                (refusal.0, refusal.1.as_str()),
                (400, "invalid_json"),
                "{path} {text:?}: {}",
                answer.text()
            );
        }
    }
    assert_healthy(&hub);
}

#[test]
fn json_of_another_shape_is_refused() {
    let hub = Called::start();
    for (path, body) in [
        ("/api/messages", "7"),
        ("/api/messages", "[7]"),
        ("/api/messages", "[[]]"),
        ("/api/messages", "null"),
        ("/api/broadcast", "[]"),
        ("/api/broadcast", "{}"),
        ("/api/broadcast", r#"{"message":7}"#),
        (
            "/api/broadcast",
            r#"{"message":{"target":"a","payload":1}}"#,
        ),
        ("/api/direct/a", r#"{"target":"b","payload":1}"#),
        ("/api/direct/a", r#"{"topic":"b","payload":1}"#),
        ("/api/acks", "[]"),
        ("/api/acks", r#"{"cursor":7}"#),
        ("/api/acks", r#"{"cursor":"a-1","clientId":"$hub"}"#),
    ] {
        let refusal = hub.post(path, body).refusal();
        assert_eq!(refusal.0, 400, "{path} {body}");
    }
}

#[test]
fn json_deeper_than_64_is_refused_and_64_is_not() {
    let hub = Called::start();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let message = |depth: usize| format!(r#"{{"payload":{}}}"#, nested(depth - 1));
    assert_eq!(hub.post("/api/messages", &message(64)).status, 200);
    for body in [message(65), message(100_000)] {
        let refusal = hub.post("/api/messages", &body).refusal();
        let expected = (400, "invalid_json".into(), Some("payload".into()));
        assert_eq!(refusal, expected, "{}", body.len());
    }
    for body in [nested(100_000), "[".repeat(500_000)] {
        assert_eq!(hub.post("/api/messages", &body).refusal().0, 400);
        let topic = hub.post("/api/topics/a", &body).refusal();
        assert_eq!((topic.0, topic.1.as_str()), (400, "invalid_json"));
    }
    let objects = format!(
        r#"{{"payload":{}1{}}}"#,
        r#"{"a":"#.repeat(100_000),
        "}".repeat(100_000)
    );
    assert_eq!(hub.post("/api/messages", &objects).status, 400);
    assert_healthy(&hub);
}

#[test]
fn a_batch_has_at_most_a_thousand_messages() {
    let hub = Called::start();
    let batch = |count: usize| format!("[{}]", vec![r#"{"payload":1}"#; count].join(","));
    let answer = hub.post("/api/messages", &batch(BATCH_MAX));
    assert_eq!(
        answer.json()["results"].as_array().map(Vec::len),
        Some(BATCH_MAX)
    );
    assert_eq!(hub.post("/api/messages", &batch(BATCH_MAX + 1)).status, 400);
}

#[test]
fn a_body_above_the_limit_is_refused_whether_its_length_is_announced_or_not() {
    let hub = Called::start();
    let too_large = (413, "message_too_large".to_owned(), None);
    let body = format!(r#"{{"payload":"{}"}}"#, "x".repeat(BODY_BYTES_MAX));
    assert_eq!(hub.post("/api/messages", &body).refusal(), too_large);

    // Nothing of the body is asked for.
    let mut client = hub.connect();
    let length = (BODY_BYTES_MAX + 1).to_string();
    client.send(&request(
        "POST",
        "/api/messages",
        &[("Content-Length", &length), ("Expect", "100-continue")],
        b"",
    ));
    assert_eq!(client.answer().refusal(), too_large);

    let mut client = hub.connect();
    client.send(&request(
        "POST",
        "/api/messages",
        &[("Content-Length", "9223372036854775807")],
        b"x",
    ));
    assert_eq!(client.answer().refusal(), too_large);

    let mut client = hub.connect();
    client.send(
        b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let chunk = [
        format!("{:x}\r\n", 64 * 1024).as_bytes(),
        &[b' '; 64 * 1024],
        b"\r\n",
    ]
    .concat();
    for _ in 0..=BODY_BYTES_MAX / (64 * 1024) {
        client.send(&chunk);
    }
    let answer = client.answer();
    assert_eq!(answer.refusal(), too_large);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_healthy(&hub);
}

#[test]
fn a_message_may_not_grow_beyond_the_limit_by_encoding() {
    let hub = Called::start();
    let text = "\"".repeat(BODY_BYTES_MAX - 100);
    let answer = hub.call(
        "POST",
        "/api/topics/a",
        &[("Content-Type", "text/plain")],
        text.as_bytes(),
    );
    assert_eq!(answer.refusal(), (413, "message_too_large".into(), None));
}

#[test]
fn a_head_above_the_limit_is_refused_in_the_same_form_as_everything_else() {
    let hub = Called::start();
    let too_large = (431, "head_too_large".to_owned(), None);
    let head = |bytes: usize| {
        let mut head = request("GET", "/health", &[], b"");
        head.truncate(head.len() - 2);
        let rest = bytes - head.len() - "X: \r\n\r\n".len();
        head.extend_from_slice(format!("X: {}\r\n\r\n", "x".repeat(rest)).as_bytes());
        head
    };
    let ask = |bytes: &[u8]| {
        let mut client = hub.connect();
        client.send(bytes);
        let answer = client.answer();
        (answer, client)
    };
    assert_eq!(ask(&head(HEAD_BYTES_MAX)).0.status, 200);
    for bytes in [HEAD_BYTES_MAX + 1, 100_000, 1_000_000] {
        let (answer, mut client) = ask(&head(bytes));
        assert_eq!(answer.refusal(), too_large, "{bytes}");
        assert!(client.is_closed());
    }
    let many: String = (0..200).map(|i| format!("X-{i}: 1\r\n")).collect();
    let (answer, _) =
        ask(format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes());
    assert_eq!(answer.refusal(), too_large);
    let long = format!("/health?{}", "x".repeat(70_000));
    assert_eq!(hub.get(&long).refusal(), too_large);
    assert_healthy(&hub);
}

#[test]
fn bytes_that_are_no_http_are_refused_and_the_connection_closed() {
    let hub = Called::start();
    for bytes in [
        "hello\r\n\r\n",
        "GET /health\r\n\r\n",
        "GET /health HTTP/9.9\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nA: b\u{0}c\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST /api/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let mut client = hub.connect();
        client.send(bytes.as_bytes());
        let answer = client.answer();
        assert_eq!(
            answer.refusal(),
            (400, "invalid_request".into(), None),
            "{bytes:?}"
        );
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed(), "{bytes:?}");
    }
    assert_healthy(&hub);
}

#[test]
fn a_broken_chunk_ends_the_connection_and_nothing_else() {
    let hub = Called::start();
    let mut client = hub.connect();
    client.send(b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert!(client.is_closed());
    assert_healthy(&hub);
}

#[test]
fn a_request_names_exactly_one_host() {
    let hub = Called::start();
    for head in [
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    ] {
        let mut client = hub.connect();
        client.send(head.as_bytes());
        assert_eq!(client.answer().refusal(), invalid_field("Host"), "{head:?}");
    }
}

#[test]
fn in_open_mode_a_foreign_page_reaches_no_route() {
    let hub = Called::start();
    let forbidden = (403, "forbidden_origin".to_owned(), None);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/page/page.js"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("GET", "/sse?clientId=a"),
        ("GET", "/sse?clientId=a&v=1"),
        ("HEAD", "/health"),
        ("OPTIONS", "/api/messages"),
        ("POST", "/api/messages"),
        ("POST", "/api/topics/a"),
        ("POST", "/api/direct/a"),
        ("POST", "/api/broadcast"),
        ("POST", "/api/commands"),
        ("POST", "/api/acks"),
        ("GET", "/api/connections"),
    ] {
        for header in [
            ("Host", "evil.example"),
            ("Host", "evil.example:8434"),
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let mut client = hub.connect();
            client.send(&request(method, path, &[header], b""));
            let answer = client.answer_to(method);
            assert_eq!(answer.status, 403, "{method} {path} {header:?}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
            if method != "HEAD" {
                assert_eq!(answer.refusal(), forbidden, "{method} {path} {header:?}");
            }
        }
    }
    let preflight = [
        ("Origin", "https://evil.example"),
        ("Access-Control-Request-Method", "POST"),
    ];
    assert_eq!(
        hub.call("OPTIONS", "/api/messages", &preflight, b"")
            .refusal(),
        forbidden
    );
}

#[test]
fn each_parameter_of_a_stream_that_breaks_its_rule_is_refused_by_name() {
    let hub = Called::start();
    let long = "x".repeat(ID_BYTES_MAX + 1);
    let many = (0..=TOPICS_MAX)
        .map(|i| i.to_string())
        .collect::<Vec<_>>()
        .join(",");
    for (query, field) in [
        (String::new(), "clientId"),
        ("clientId=".into(), "clientId"),
        ("clientId=$hub".into(), "clientId"),
        ("clientId=a%0Ab".into(), "clientId"),
        ("clientId=%ff".into(), "clientId"),
        (format!("clientId={long}"), "clientId"),
        ("clientId=a&clientId=b".into(), "clientId"),
        ("clientId=a&topics=a,,b".into(), "topics"),
        ("clientId=a&topics=a/#/b".into(), "topics"),
        ("clientId=a&topics=a%23b".into(), "topics"),
        ("clientId=a&topics=../a".into(), "topics"),
        (format!("clientId=a&topics={many}"), "topics"),
        ("clientId=a&types=text,shout".into(), "types"),
        ("clientId=a&since=yesterday".into(), "since"),
        ("clientId=a&since=last:".into(), "since"),
        ("clientId=a&since=last:1001".into(), "since"),
        ("clientId=a&since=last:-1".into(), "since"),
        ("clientId=a&since=-5".into(), "since"),
        ("clientId=a&since=%2B5".into(), "since"),
        ("clientId=a&heartbeat=249".into(), "heartbeat"),
        ("clientId=a&heartbeat=300001".into(), "heartbeat"),
        ("clientId=a&heartbeat=soon".into(), "heartbeat"),
    ] {
        // A raw `#` would end the query.
        let path = format!("/sse?{}", query.replace('#', "%23"));
        assert_eq!(hub.get(&path).refusal(), invalid_field(field), "{query}");
    }
    assert_healthy(&hub);
}

#[test]
fn raw_line_breaks_in_a_body_are_json_white_space_and_never_reach_a_line_of_a_stream() {
    let hub = Called::start();
    let answer = hub.post("/api/messages", "{\r\n\"payload\":\n{\"a\"\r:1}}\n");
    assert_eq!(answer.status, 200);
    let injected = hub.post(
        "/api/messages",
        "{\"type\":\"json\\nevent: system\",\"payload\":1}",
    );
    assert_eq!(injected.refusal(), invalid_field("type"));
    let id = hub.post("/api/messages", "{\"id\":\"1\\ndata: x\",\"payload\":1}");
    assert_eq!(id.refusal(), invalid_field("id"));
}

#[test]
fn a_content_type_that_is_neither_json_nor_text_is_refused() {
    let hub = Called::start();
    for path in [
        "/api/messages",
        "/api/topics/a",
        "/api/direct/a",
        "/api/acks",
    ] {
        for media in [
            "application/xml",
            "multipart/form-data; boundary=x",
            "image/png",
        ] {
            let answer = hub.call("POST", path, &[("Content-Type", media)], b"{\"payload\":1}");
            assert_eq!(
                answer.refusal(),
                (415, "unsupported_media_type".into(), None),
                "{path} {media}"
            );
        }
    }
}

#[test]
fn text_that_is_no_utf_8_is_refused() {
    let hub = Called::start();
    let answer = hub.call(
        "POST",
        "/api/topics/a",
        &[("Content-Type", "text/plain")],
        b"\xff",
    );
    assert_eq!(answer.status, 400);
    answer.refusal();
}

fn slow() -> Called {
    Called::start_with(&[
        ("SERVER_HEAD_TIMEOUT_MS", "50"),
        ("SERVER_BODY_TIMEOUT_MS", "50"),
    ])
}

#[test]
fn a_head_that_does_not_come_in_time_is_answered_and_closed() {
    let hub = slow();
    let head_timeout = (408, "head_timeout".to_owned(), None);
    for beginning in ["G", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-"] {
        let mut client = hub.connect();
        client.send(beginning.as_bytes());
        assert_eq!(client.answer().refusal(), head_timeout, "{beginning:?}");
        assert!(client.is_closed());
    }
    // Also the second request of a connection.
    let mut client = hub.connect();
    client.send(&request("GET", "/health", &[], b""));
    assert_eq!(client.answer().status, 200);
    client.send(b"GET /hea");
    assert_eq!(client.answer().refusal(), head_timeout);
    assert_healthy(&hub);
}

#[test]
fn a_head_that_trickles_does_not_get_more_time() {
    let hub = slow();
    let mut client = hub.connect();
    let answer = trickle(
        &mut client,
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX: ",
    );
    assert_eq!(answer.refusal().1, "head_timeout");
}

#[test]
fn a_body_that_does_not_come_in_time_is_answered_and_closed() {
    let hub = slow();
    let mut client = hub.connect();
    client.send(&request(
        "POST",
        "/api/messages",
        &[("Content-Length", "13")],
        b"{\"pay",
    ));
    assert_eq!(
        client.answer().refusal(),
        (408, "body_timeout".into(), None)
    );
    assert!(client.is_closed());
    let mut client = hub.connect();
    let head = "POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(trickle(&mut client, head).refusal().1, "body_timeout");
    assert_healthy(&hub);
}

/// Sends one byte after the other until there is an answer.
fn trickle(client: &mut Client, beginning: &str) -> Answer {
    client.send(beginning.as_bytes());
    while !client.has_answer() {
        client.send(b"x");
        std::thread::yield_now();
    }
    client.answer()
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let hub = slow();
    let mut client = hub.connect();
    assert!(client.is_closed());
    assert_eq!(client.rest(), b"");
}
