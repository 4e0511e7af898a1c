//! Routes, connections and headers, over real sockets.

use serde_json::json;

use crate::client::{Called, request};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn a_message_is_answered_with_its_id_cursor_and_recipients() {
    let hub = Called::start();
    let answer = hub.post(
        "/api/messages",
        r#"{"id":"m-1","target":"bob","payload":{"a":1}}"#,
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let cursor = body["cursor"].as_str().expect("a cursor");
    assert!(
        cursor.parse::<tidings_protocol::Cursor>().is_ok(),
        "{cursor}"
    );
    assert_eq!(
        body,
        json!({"success": true, "messageId": "m-1", "cursor": cursor, "recipients": 0})
    );
}

#[test]
fn the_hub_makes_an_id_when_there_is_none() {
    let hub = Called::start();
    let ids =
        [0, 1].map(|_| hub.post("/api/messages", r#"{"payload":1}"#).json()["messageId"].clone());
    assert!(ids[0].is_string() && ids[0] != ids[1], "{ids:?}");
}

#[test]
fn a_batch_is_answered_in_its_order() {
    let hub = Called::start();
    let body =
        r#"[{"id":"a","payload":1},{"id":"b","topic":"t","payload":2},{"id":"a","payload":1}]"#;
    let answer = hub.post("/api/messages", body).json();
    assert_eq!(answer["success"], true);
    let results = answer["results"].as_array().expect("results");
    let ids: Vec<_> = results
        .iter()
        .map(|result| result["messageId"].as_str())
        .collect();
    assert_eq!(ids, [Some("a"), Some("b"), Some("a")]);
    assert_eq!(results[2]["duplicate"], true);
    assert_eq!(results[2]["cursor"], results[0]["cursor"]);
}

#[test]
fn an_empty_batch_is_accepted() {
    let hub = Called::start();
    let answer = hub.post("/api/messages", " []");
    assert_eq!(answer.json(), json!({"success": true, "results": []}));
}

#[test]
fn the_same_message_again_gets_the_first_answer_and_is_called_a_duplicate() {
    let hub = Called::start();
    let body = r#"{"id":"m-1","source":"alice","target":"bob","payload":1}"#;
    let first = hub.post("/api/messages", body).json();
    let again = hub.post("/api/messages", body).json();
    assert_eq!(again["duplicate"], true);
    assert_eq!(
        (&again["messageId"], &again["cursor"]),
        (&first["messageId"], &first["cursor"])
    );
    let of_another = hub
        .post("/api/messages", &body.replace("alice", "carol"))
        .json();
    assert_eq!(of_another.get("duplicate"), None);
}

#[test]
fn the_same_id_with_another_body_is_a_conflict() {
    let hub = Called::start();
    hub.post(
        "/api/messages",
        r#"{"id":"m-1","target":"bob","payload":1}"#,
    );
    for other in [
        r#"{"id":"m-1","target":"bob","payload":2}"#,
        r#"{"id":"m-1","target":"bob","payload":1,"priority":3}"#,
        r#"{"id":"m-1","target":"bob","payload":1,"type":"text"}"#,
        r#"{"id":"m-1","target":"carol","payload":1}"#,
        r#"{"id":"m-1","topic":"bob","payload":1}"#,
        r#"{"id":"m-1","target":"bob","payload":1,"metadata":{}}"#,
    ] {
        let refusal = hub.post("/api/messages", other).refusal();
        assert_eq!(
            refusal,
            (409, "id_conflict".into(), Some("id".into())),
            "{other}"
        );
    }
}

#[test]
fn one_conflict_refuses_the_whole_batch() {
    let hub = Called::start();
    hub.post("/api/messages", r#"{"id":"old","payload":1}"#);
    let answer = hub.post(
        "/api/messages",
        r#"[{"id":"new","payload":1},{"id":"old","payload":2}]"#,
    );
    assert_eq!(
        answer.refusal(),
        (409, "id_conflict".into(), Some("[1].id".into()))
    );
    let new = hub
        .post("/api/messages", r#"{"id":"new","payload":1}"#)
        .json();
    assert_eq!(
        new.get("duplicate"),
        None,
        "nothing of the batch was stored"
    );
}

#[test]
fn a_resend_beyond_the_window_is_found_in_history() {
    let hub = Called::start_with(&[("STORE_IDEMPOTENCY_IDS", "1")]);
    let body = r#"{"id":"m-1","target":"bob","payload":{"a":[1,2]}}"#;
    let first = hub.post("/api/messages", body).json();
    hub.post("/api/messages", r#"{"id":"m-2","payload":1}"#);
    hub.post("/api/messages", r#"{"id":"m-3","payload":1}"#);
    let again = hub.post("/api/messages?resend=1", body).json();
    assert_eq!(
        (&again["duplicate"], &again["cursor"]),
        (&json!(true), &first["cursor"])
    );
    let other = hub.post(
        "/api/messages?resend=1",
        r#"{"id":"m-1","target":"bob","payload":0}"#,
    );
    assert_eq!(other.refusal().1, "id_conflict");
    let batch = format!(r#"[{{"id":"m-4","payload":1}},{body},{{"id":"m-5","payload":1}}]"#);
    let results = hub.post("/api/messages?resend=1", &batch).json()["results"].clone();
    assert_eq!(results[1]["cursor"], first["cursor"]);
    assert_eq!(
        (results[0].get("duplicate"), results[2].get("duplicate")),
        (None, None)
    );
    assert_ne!(results[0]["cursor"], results[2]["cursor"]);
}

#[test]
fn a_live_only_message_has_no_cursor_and_is_not_deduplicated() {
    let hub = Called::start();
    for _ in 0..2 {
        let answer = hub.post(
            "/api/messages",
            r#"{"id":"m","topic":"t","payload":1,"durable":false}"#,
        );
        let body = answer.json();
        assert_eq!(
            body,
            json!({"success": true, "messageId": "m", "recipients": 0})
        );
    }
}

#[test]
fn a_live_only_message_to_a_client_that_is_not_connected_is_refused() {
    let hub = Called::start();
    let message = r#"{"target":"bob","payload":1,"durable":false}"#;
    let refusal = hub.post("/api/messages", message).refusal();
    assert_eq!(
        refusal,
        (404, "not_connected".into(), Some("target".into()))
    );
    let batch = hub
        .post("/api/messages", &format!(r#"[{{"payload":1}},{message}]"#))
        .refusal();
    assert_eq!(
        batch,
        (404, "not_connected".into(), Some("[1].target".into()))
    );
}

#[test]
fn an_offline_target_does_not_lose_the_message() {
    let hub = Called::start();
    let answer = hub.post("/api/direct/bob", r#"{"payload":1}"#);
    assert_eq!(answer.status, 200);
    assert!(answer.json()["cursor"].is_string(), "it is stored");
}

#[test]
fn a_topic_takes_json_as_the_payload_and_text_as_a_text_message() {
    let hub = Called::start();
    for (headers, body) in [
        (vec![JSON], "[1,2]"),
        (vec![], "{\"a\":1}"),
        (vec![("Content-Type", "text/plain; charset=utf-8")], "hello"),
        (
            vec![("Content-Type", "application/x-www-form-urlencoded")],
            "hello & = %",
        ),
        (
            vec![
                ("Tidings-Priority", "3"),
                ("Tidings-Ttl", "60000"),
                ("Idempotency-Key", "k"),
            ],
            "1",
        ),
    ] {
        let answer = hub.call("POST", "/api/topics/news/eu", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert!(answer.json()["cursor"].is_string());
    }
}

#[test]
fn a_topic_in_a_path_is_percent_decoded() {
    let hub = Called::start();
    assert_eq!(hub.post("/api/topics/news%2Feu/caf%C3%A9", "1").status, 200);
    let refusal = hub.post("/api/topics/a%2Cb", "1").refusal();
    assert_eq!(refusal, (400, "invalid_field".into(), Some("topic".into())));
}

#[test]
fn the_idempotency_key_is_the_id_of_a_message_without_one() {
    let hub = Called::start();
    let key = [("Idempotency-Key", "key-1")];
    let direct = |body: &str| {
        hub.call("POST", "/api/direct/bob", &key, body.as_bytes())
            .json()
    };
    assert_eq!(direct(r#"{"payload":1}"#)["messageId"], "key-1");
    assert_eq!(direct(r#"{"payload":1}"#)["duplicate"], true);
    assert_eq!(direct(r#"{"id":"own","payload":1}"#)["messageId"], "own");
    let broadcast = hub.call(
        "POST",
        "/api/broadcast",
        &[("Idempotency-Key", "key-2")],
        br#"{"message":{"payload":1}}"#,
    );
    assert_eq!(broadcast.json()["messageId"], "key-2");
}

#[test]
fn a_broadcast_says_how_many_it_goes_to() {
    let hub = Called::start();
    let answer = hub.post(
        "/api/broadcast",
        r#"{"message":{"id":"b","payload":1},"excludeClientId":"x"}"#,
    );
    assert_eq!(
        answer.json(),
        json!({"success": true, "sentCount": 0, "messageId": "b"})
    );
}

#[test]
fn a_command_with_a_target_goes_to_that_client_and_one_without_waits_for_a_later_version() {
    let hub = Called::start();
    let body = r#"{"id":"m","type":"command","target":"bob","payload":{"commandId":"c-1","action":"execute"}}"#;
    let answer = hub.post("/api/commands", body).json();
    assert_eq!(
        answer,
        json!({"success": true, "messageId": "m", "commandId": "c-1"})
    );
    let untyped = hub
        .post("/api/commands", r#"{"id":"n","target":"bob","payload":{}}"#)
        .json();
    assert_eq!(
        untyped,
        json!({"success": true, "messageId": "n", "commandId": "n"})
    );
    let refusal = hub
        .post("/api/commands", &body.replace(r#""target":"bob","#, ""))
        .refusal();
    assert_eq!(
        refusal,
        (501, "not_available".into(), Some("target".into()))
    );
    let refused = hub.post(
        "/api/messages",
        r#"{"type":"command","payload":{"action":"execute"}}"#,
    );
    let not_for_everyone = (501, "not_available".into(), Some("target".into()));
    assert_eq!(refused.refusal(), not_for_everyone);
    let other = hub
        .post(
            "/api/commands",
            r#"{"type":"text","target":"bob","payload":1}"#,
        )
        .refusal();
    assert_eq!(other, (400, "invalid_field".into(), Some("type".into())));
}

#[test]
fn what_a_later_version_brings_is_refused_by_name() {
    let hub = Called::start();
    let refused = |answer: crate::client::Answer| answer.refusal();
    let not_available = |field: &str| (501, "not_available".to_owned(), Some(field.to_owned()));
    for name in ["worker", "session", "ticket", "capacity", "pausable"] {
        let answer = hub.get(&format!("/sse?clientId=a&{name}=1"));
        assert_eq!(refused(answer), not_available(name));
    }
}

#[test]
fn an_ack_moves_the_clients_cursor_and_can_be_repeated() {
    let hub = Called::start();
    let publish = || hub.post("/api/direct/bob", r#"{"payload":1}"#).json()["cursor"].clone();
    let (first, second) = (publish(), publish());
    let ack =
        |body: serde_json::Value| hub.post("/api/acks?clientId=bob", &body.to_string()).json();
    let answer =
        |applied: bool, cursor| json!({"success": true, "applied": applied, "cursor": cursor});
    assert_eq!(
        ack(json!({"cursor": second, "from": first}))["applied"],
        false,
        "what lies before was not read"
    );
    assert_eq!(ack(json!({"cursor": first})), answer(true, &first));
    assert_eq!(
        ack(json!({"cursor": second, "from": first})),
        answer(true, &second)
    );
    assert_eq!(
        ack(json!({"cursor": second, "from": first})),
        answer(true, &second)
    );
    assert_eq!(
        ack(json!({"cursor": first})),
        answer(true, &second),
        "a cursor that is not ahead changes nothing"
    );
    let of_body = hub.post(
        "/api/acks",
        &json!({"cursor": first, "clientId": "bob"}).to_string(),
    );
    assert_eq!(of_body.json(), answer(true, &second));
}

#[test]
fn a_cursor_from_elsewhere_is_not_applied() {
    let hub = Called::start();
    let mine = hub.post("/api/direct/bob", r#"{"payload":1}"#).json()["cursor"].clone();
    let mine: tidings_protocol::Cursor =
        mine.as_str().expect("a cursor").parse().expect("a cursor");
    let beyond = tidings_protocol::Cursor::at(mine.epoch.clone(), mine.mailbox + 1000).to_string();
    for cursor in ["00112233445566aa-1", &beyond] {
        let body = json!({"cursor": cursor, "clientId": "bob"}).to_string();
        assert_eq!(
            hub.post("/api/acks", &body).json(),
            json!({"success": true, "applied": false}),
            "{cursor}"
        );
    }
    for body in [
        r#"{"cursor":"rubbish"}"#,
        r#"{"cursor":""}"#,
        r#"{"cursor":"-1"}"#,
    ] {
        let refusal = hub.post("/api/acks", body).refusal();
        assert_eq!(
            refusal,
            (400, "invalid_cursor".into(), Some("cursor".into())),
            "{body}"
        );
    }
    let from = json!({"cursor": mine.to_string(), "from": "rubbish"}).to_string();
    assert_eq!(
        hub.post("/api/acks", &from).refusal(),
        (400, "invalid_cursor".into(), Some("from".into()))
    );
    assert_eq!(
        hub.post("/api/acks", "{}").refusal(),
        (400, "invalid_field".into(), Some("cursor".into()))
    );
}

#[test]
fn a_connection_serves_many_requests_and_pipelined_ones_in_order() {
    let hub = Called::start();
    let mut client = hub.connect();
    for id in ["a", "b"] {
        let body = format!(r#"{{"id":"{id}","payload":1}}"#);
        client.send(&request("POST", "/api/messages", &[], body.as_bytes()));
        assert_eq!(client.answer().json()["messageId"], id);
    }
    let pipelined = ["c", "d", "e"].map(|id| {
        request(
            "POST",
            "/api/messages",
            &[],
            format!(r#"{{"id":"{id}","payload":1}}"#).as_bytes(),
        )
    });
    client.send(&pipelined.concat());
    for id in ["c", "d", "e"] {
        assert_eq!(client.answer().json()["messageId"], id);
    }
}

#[test]
fn a_body_may_come_in_chunks_and_a_client_may_wait_to_be_asked_for_it() {
    let hub = Called::start();
    let mut client = hub.connect();
    client.send(
        b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
          6\r\n{\"payl\r\n7\r\noad\":1}\r\n0\r\n\r\n",
    );
    assert_eq!(client.answer().status, 200);
    client.send(
        b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n",
    );
    assert_eq!(client.head().status, 100);
    client.send(br#"{"payload":1}"#);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_has_closed_its_half_is_still_answered() {
    let hub = Called::start();
    let mut client = hub.connect();
    client.send(&request("POST", "/api/messages", &[], br#"{"payload":1}"#));
    client.finish();
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let hub = Called::start();
    let mut client = hub.connect();
    client.send(b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_head_request_gets_the_headers_alone() {
    let hub = Called::start();
    for path in ["/health", "/", "/api/connections", "/sse?clientId=a"] {
        let mut client = hub.connect();
        client.send(&request("HEAD", path, &[("Connection", "close")], b""));
        let head = client.head();
        assert_eq!(head.status, 200, "{path}");
        client.read_to_end();
        assert_eq!(client.rest(), b"", "{path}");
    }
}

#[test]
fn an_unknown_path_is_a_problem_and_a_wrong_method_names_the_right_ones() {
    let hub = Called::start();
    for path in ["/nothing", "/api", "/api/messages/", "/api/topics", "/sse/"] {
        assert_eq!(
            hub.get(path).refusal(),
            (404, "not_found".into(), None),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("PUT", "/api/messages", "GET,HEAD,POST"),
        ("DELETE", "/api/topics/news", "POST"),
        ("PUT", "/api/acks", "POST"),
        ("POST", "/api/connections", "GET,HEAD"),
        ("POST", "/health", "GET,HEAD"),
        ("POST", "/", "GET,HEAD"),
        ("POST", "/sse?clientId=a", "GET,HEAD"),
        ("OPTIONS", "/api/messages", "GET,HEAD,POST"),
    ] {
        let answer = hub.call(method, path, &[], b"");
        assert_eq!(
            answer.refusal(),
            (405, "method_not_allowed".into(), None),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[test]
fn health_and_readiness_are_told() {
    let hub = Called::start();
    assert_eq!(hub.get("/health").json()["status"], "ok");
    assert_eq!(hub.get("/ready").json()["status"], "ready");
}

#[test]
fn requests_and_refusals_are_counted_by_route_and_never_by_topic() {
    let hub = Called::start();
    hub.post("/api/topics/secret-topic", "1");
    hub.post("/api/topics/secret-topic", "{");
    hub.get("/secret-path?token=secret-token");
    let text = hub.get("/metrics").text();
    for line in [
        r#"tidings_http_requests_total{route="/api/topics/{topic}",status="200"} 1"#,
        r#"tidings_http_requests_total{route="/api/topics/{topic}",status="400"} 1"#,
        r#"tidings_http_requests_total{route="other",status="404"} 1"#,
        r#"tidings_http_refusals_total{code="invalid_json"} 1"#,
        r#"tidings_http_refusals_total{code="not_found"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("secret"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn the_metrics_tell_the_depth_and_the_refusals_of_each_queue() {
    let hub = Called::start();
    hub.post("/api/direct/bob", r#"{"id":"m","payload":1}"#);
    hub.post("/api/direct/bob", r#"{"id":"m","payload":1}"#);
    let text = hub.get("/metrics").text();
    for line in [
        "tidings_connections ",
        "tidings_store_healthy 1",
        "tidings_store_queue_records 0",
        "tidings_store_queue_bytes 0",
        r#"tidings_store_appends_refused_total{reason="busy"} 0"#,
        r#"tidings_store_records_total{outcome="stored"} 1"#,
        r#"tidings_store_records_total{outcome="duplicate"} 1"#,
        r#"tidings_store_entries{class="mailbox"} 1"#,
        r#"tidings_store_commit_seconds_bucket{le="+Inf"}"#,
        "tidings_store_reads_waiting 0",
        "tidings_sse_inbox_bytes ",
        "tidings_sse_inbox_refused_total 0",
        "tidings_http_turned_away_total 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn the_page_is_served_with_a_tag_and_a_policy() {
    let hub = Called::start();
    let page = hub.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        page.header("content-security-policy")
            .is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    let tag = page.header("etag").expect("a tag");
    for known in [tag, &format!("\"other\", W/{tag}"), "*"] {
        let again = hub.call("GET", "/", &[("If-None-Match", known)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
    }
    assert_eq!(
        hub.call("GET", "/", &[("If-None-Match", "\"other\"")], b"")
            .status,
        200
    );
}

#[test]
fn a_stream_begins_on_the_same_socket_and_what_was_pipelined_behind_it_is_ignored() {
    let hub = Called::start();
    let mut client = hub.connect();
    client.send(&request("GET", "/health", &[], b""));
    assert_eq!(client.answer().status, 200);
    let stream = request("GET", "/sse?clientId=a", &[], b"");
    client.send(&[stream, request("GET", "/health", &[], b"")].concat());
    let head = client.head();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let text = client.read_until("retry: ");
    assert!(!text.contains("HTTP/1.1"), "{text}");
}

#[test]
fn a_preflight_is_answered_with_what_is_allowed() {
    let hub = Called::start();
    let headers = [
        ("Origin", "http://localhost:3000"),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "authorization,tidings-ttl,x-other",
        ),
    ];
    for path in ["/api/messages", "/sse", "/nothing"] {
        let answer = hub.call("OPTIONS", path, &headers, b"");
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("http://localhost:3000")
        );
        assert!(
            answer
                .header("access-control-allow-methods")
                .is_some_and(|methods| methods.contains("POST"))
        );
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("authorization, last-event-id, content-type, idempotency-key, tidings-ttl")
        );
        assert!(answer.header("access-control-max-age").is_some());
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
}

#[test]
fn answers_and_refusals_are_shared_with_allowed_origins() {
    let hub = Called::start();
    let origin = [("Origin", "http://127.0.0.1:5173")];
    for (path, status) in [("/health", 200), ("/nothing", 404)] {
        let answer = hub.call("GET", path, &origin, b"");
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("http://127.0.0.1:5173")
        );
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("Retry-After, Date")
        );
        assert!(answer.header("date").is_some());
    }
    assert_eq!(
        hub.get("/health").header("access-control-allow-origin"),
        None
    );
}

#[test]
fn a_connection_above_the_limit_is_told_so_and_a_freed_place_is_given_again() {
    let hub = Called::start_with(&[("SERVER_CONNECTIONS_MAX", "1")]);
    let mut first = hub.connect();
    first.send(&request("GET", "/health", &[], b""));
    assert_eq!(first.answer().status, 200);

    let answer = hub.post("/api/messages", r#"{"payload":1}"#);
    assert_eq!(answer.refusal(), (503, "too_many_connections".into(), None));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(hub.get("/sse?clientId=a&v=1").refusal().0, 503);

    first.finish();
    assert!(first.is_closed());
    while hub.get("/health").status != 200 {
        std::thread::yield_now();
    }
}

#[test]
fn a_stream_keeps_the_place_of_its_connection_until_it_ends() {
    let hub = Called::start_with(&[("SERVER_CONNECTIONS_MAX", "1")]);
    let mut stream = hub.connect();
    stream.send(&request("GET", "/sse?clientId=a", &[], b""));
    assert_eq!(stream.head().status, 200);
    assert_eq!(hub.get("/health").refusal().1, "too_many_connections");
    drop(stream);
    while hub.get("/health").status != 200 {
        std::thread::yield_now();
    }
}

#[test]
fn a_native_event_source_is_told_of_a_temporary_refusal_in_a_stream_that_ends() {
    let hub = Called::start_with(&[("SERVER_CONNECTIONS_MAX", "1")]);
    let _first = hub.connect();
    let answer = hub.get("/sse?clientId=a");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = answer.text();
    assert!(text.starts_with("retry: 5000\n"), "{text}");
    assert!(
        text.contains("event: system\n") && text.contains(r#""event":"error""#),
        "{text}"
    );
    assert!(
        text.contains("too_many_connections") && !text.contains("\nid:"),
        "{text}"
    );
}

#[test]
fn a_stop_lets_the_request_in_flight_finish_and_closes_quiet_connections() {
    let mut hub = Called::start();
    let mut quiet = hub.connect();
    quiet.send(&request("GET", "/health", &[], b""));
    assert_eq!(quiet.answer().status, 200);
    let mut busy = hub.connect();
    busy.send(&request(
        "POST",
        "/api/messages",
        &[("Content-Length", "13"), ("Expect", "100-continue")],
        b"",
    ));
    assert_eq!(busy.head().status, 100, "its body is awaited");

    hub.0.terminate();
    assert!(quiet.is_closed());
    busy.send(br#"{"payload":1}"#);
    let answer = busy.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(busy.is_closed());
    assert!(hub.0.wait().success());
}
