//! What a client that opens a stream gets.

use std::net::Shutdown;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::{Hub, Stream};

fn text(target: &str, n: usize) -> Value {
    json!({"source": "s", "target": target, "payload": n})
}

fn on_topic(topic: &str, n: usize) -> Value {
    json!({"source": "s", "topic": topic, "payload": n})
}

fn numbers(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(Value::from).collect()
}

#[test]
fn a_stream_begins_with_its_head_a_retry_and_the_connect_event() {
    let hub = Hub::start_with(&[("SSE_RETRY_MS", "1234")]);
    let mut stream = hub.stream("clientId=alice&topics=news,orders/%23&heartbeat=300&v=1");
    for line in [
        "content-type: text/event-stream",
        "cache-control: no-cache, no-transform",
        "x-accel-buffering: no",
    ] {
        assert!(stream.head.contains(line), "{}", stream.head);
    }
    let (message, cursor) = stream.expect("system");
    assert_eq!(stream.retry_ms(), Some(1234));
    let detail = &message["payload"]["detail"];
    assert_eq!(message["source"], "$hub");
    assert_eq!(message["payload"]["event"], "connect");
    assert_eq!(detail["clientId"], "alice");
    assert_eq!(detail["topics"], json!(["news", "orders/#"]));
    assert_eq!(detail["heartbeatInterval"], 300);
    assert_eq!(detail["maxEventBytes"], (1 << 20) + 4096);
    assert_eq!(
        detail["idempotencyWindow"],
        json!({"ms": 600_000, "ids": 1_000_000})
    );
    assert_eq!(detail["resumed"], false);
    assert_eq!(detail["cursor"], cursor);
    assert!(detail["connectionId"].is_string());
}

#[test]
fn a_message_travels_whole_with_its_cursor_and_under_its_type() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice");
    stream.expect("system");
    let answer = hub.publish(&json!({
        "id": "m1", "type": "error", "priority": 2, "source": "bob", "target": "alice",
        "payload": {"text": "ä\u{2028}"}, "metadata": {"k": [1]}, "ttl": 60_000,
    }));
    assert_eq!(answer["recipients"], 1);
    let (message, cursor) = stream.expect("message_error");
    assert_eq!(cursor, answer["cursor"]);
    assert_eq!(message["id"], "m1");
    assert_eq!(message["type"], "error");
    assert_eq!(message["priority"], 2);
    assert_eq!(message["payload"], json!({"text": "ä\u{2028}"}));
    assert_eq!(message["metadata"], json!({"k": [1]}));
    assert_eq!(message["target"], "alice");
    assert!(message["timestamp"].is_u64());
}

#[test]
fn what_is_sent_while_a_client_is_away_comes_once_when_it_returns_with_its_last_id() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice&topics=news");
    stream.expect("system");
    hub.publish(&on_topic("news", 0));
    let (_, last_id) = stream.message().expect("arrives");
    stream.close();
    for n in 1..10 {
        hub.publish(&if n % 2 == 0 {
            on_topic("news", n)
        } else {
            text("alice", n)
        });
    }
    let mut stream = Stream::open(
        hub.address,
        "clientId=alice&topics=news",
        &[("last-event-id", &last_id)],
    );
    assert_eq!(stream.expect_system("connect")["resumed"], true);
    assert_eq!(stream.payloads(9), numbers(1..10));
    hub.publish(&text("alice", 10));
    assert_eq!(stream.payloads(1), numbers(10..11));
}

#[test]
fn the_last_event_id_header_goes_before_the_parameter() {
    let hub = Hub::start();
    let first = hub.publish(&on_topic("news", 0))["cursor"]
        .as_str()
        .expect("text")
        .to_owned();
    let second = hub.publish(&on_topic("news", 1))["cursor"]
        .as_str()
        .expect("text")
        .to_owned();
    hub.publish(&on_topic("news", 2));
    let query = format!("clientId=alice&topics=news&lastEventId={first}");
    let mut stream = Stream::open(hub.address, &query, &[("last-event-id", &second)]);
    assert_eq!(stream.payloads(1), numbers(2..3));
    assert_eq!(hub.stream(&query).payloads(2), numbers(1..3));
}

/// Defects 21 and 22: the queue of an offline client was never sent, and an offline target lost the message.
#[test]
fn a_message_to_a_client_that_was_never_connected_waits_in_its_mailbox() {
    let hub = Hub::start();
    for n in 0..5 {
        assert_eq!(hub.publish(&text("alice", n))["recipients"], 0);
    }
    assert_eq!(hub.stream("clientId=alice").payloads(5), numbers(0..5));
    let hub = hub.restart();
    assert_eq!(
        hub.stream("clientId=alice").payloads(5),
        numbers(0..5),
        "nothing was acknowledged"
    );
}

#[test]
fn what_a_client_acknowledged_does_not_come_again_without_a_cursor() {
    let hub = Hub::start();
    for n in 0..5 {
        hub.publish(&text("alice", n));
    }
    let mut stream = hub.stream("clientId=alice");
    let (_, cursor) = (0..3)
        .map(|_| stream.message().expect("arrives"))
        .last()
        .expect("three");
    let ack = json!({"clientId": "alice", "cursor": cursor});
    let answer = hub.post("/api/acks", &ack.to_string());
    assert_eq!(answer.json()["applied"], true, "{}", answer.body);
    let hub = hub.restart();
    assert_eq!(hub.stream("clientId=alice").payloads(2), numbers(3..5));
}

/// Defect 20: closing an old connection removed the newer one of the same client.
#[test]
fn a_client_keeps_its_newer_connection_when_the_older_one_closes() {
    let hub = Hub::start();
    let mut old = hub.stream("clientId=alice");
    old.expect("system");
    let mut new = hub.stream("clientId=alice");
    new.expect("system");
    assert_eq!(hub.publish(&text("alice", 0))["recipients"], 2);
    old.close();
    while hub
        .get("/api/connections")
        .json()
        .as_array()
        .expect("a list")
        .len()
        > 1
    {}
    assert_eq!(hub.publish(&text("alice", 1))["recipients"], 1);
    assert_eq!(new.payloads(2), numbers(0..2));
}

#[test]
fn topics_and_broadcast_begin_now_and_now_is_not_after_the_head() {
    let hub = Hub::start();
    hub.publish(&on_topic("news", 0));
    let mut stream = hub.stream("clientId=alice&topics=news");
    hub.publish(&on_topic("news", 1));
    hub.publish(&json!({"source": "s", "payload": 2}));
    assert_eq!(stream.payloads(2), numbers(1..3));
}

#[test]
fn since_chooses_where_topics_and_broadcast_begin() {
    let hub = Hub::start();
    for n in 0..6 {
        hub.publish(&on_topic(if n % 2 == 0 { "even" } else { "odd" }, n));
    }
    let payloads = |since: &str, count| {
        hub.stream(&format!("clientId=a&topics=%2B&since={since}"))
            .payloads(count)
    };
    assert_eq!(payloads("earliest", 6), numbers(0..6));
    assert_eq!(payloads("last:3", 3), numbers(3..6));
    assert_eq!(payloads("last:100", 6), numbers(0..6));
    assert_eq!(payloads("0", 6), numbers(0..6));
    let mut stream = hub.stream("clientId=a&topics=%23&since=now");
    stream.expect("system");
    hub.publish(&on_topic("even", 6));
    assert_eq!(stream.payloads(1), numbers(6..7));
}

#[test]
fn types_filter_topics_and_broadcast_and_never_the_mailbox() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice&topics=news&types=text");
    stream.expect("system");
    hub.publish(&on_topic("news", 0));
    hub.publish(&json!({"source": "s", "payload": 1}));
    hub.publish(&text("alice", 2));
    hub.publish(&json!({"source": "s", "topic": "news", "type": "text", "payload": 3}));
    assert_eq!(stream.payloads(2), numbers(2..4));
    let mut again = hub.stream("clientId=alice&topics=news&types=text&since=earliest");
    assert_eq!(again.payloads(2), numbers(2..4), "in replay too");
}

#[test]
fn the_excluded_client_does_not_get_the_message_in_replay_either() {
    let hub = Hub::start();
    let mut alice = hub.stream("clientId=alice&topics=news");
    let mut bob = hub.stream("clientId=bob&topics=news");
    alice.expect("system");
    bob.expect("system");
    let message =
        json!({"source": "alice", "topic": "news", "excludeClientId": "alice", "payload": 0});
    assert_eq!(hub.publish(&message)["recipients"], 1);
    hub.publish(&on_topic("news", 1));
    assert_eq!(bob.payloads(2), numbers(0..2));
    assert_eq!(alice.payloads(1), numbers(1..2));
    assert_eq!(
        hub.stream("clientId=alice&topics=news&since=earliest")
            .payloads(1),
        numbers(1..2)
    );
}

/// Defect 23: broadcast used an event that nobody listened to, and counted the sender's failures as sent.
#[test]
fn a_broadcast_reaches_everyone_under_its_own_type_and_counts_connections() {
    let hub = Hub::start();
    let mut streams: Vec<_> = ["alice", "bob", "carol"]
        .map(|id| hub.stream(&format!("clientId={id}")))
        .into();
    streams
        .iter_mut()
        .for_each(|stream| drop(stream.expect("system")));
    let body = json!({"message": {"type": "text", "source": "alice", "payload": {"content": "hi"}}, "excludeClientId": "alice"});
    let answer = hub.post("/api/broadcast", &body.to_string());
    assert_eq!(answer.json()["sentCount"], 2, "{}", answer.body);
    for stream in &mut streams[1..] {
        assert_eq!(stream.expect("text").0["payload"]["content"], "hi");
    }
}

#[test]
fn a_heartbeat_carries_the_present_cursor_so_that_a_quiet_client_moves_on() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice&heartbeat=250");
    let (_, start) = stream.expect("system");
    let other = hub.publish(&on_topic("elsewhere", 0))["cursor"]
        .as_str()
        .expect("text")
        .to_owned();
    let mut cursor = start.clone();
    while cursor != other {
        let (message, at) = stream.expect("heartbeat");
        assert!(message["payload"]["serverTime"].is_u64());
        assert!(
            at == start || at == other,
            "{at} is neither {start} nor {other}"
        );
        cursor = at;
    }
}

#[test]
fn a_cursor_of_another_hub_is_a_gap_and_then_everything_from_the_earliest() {
    let hub = Hub::start();
    hub.publish(&on_topic("news", 0));
    for foreign in ["0123456789abcdef-7", "nonsense", "-", "a-b-c"] {
        let query = format!("clientId=alice&topics=news&lastEventId={foreign}");
        let mut stream = hub.stream(&query);
        assert_eq!(stream.expect_system("connect")["resumed"], false);
        let gap = stream.expect_system("gap");
        assert_eq!(gap["reason"], "unknown_epoch");
        assert_eq!(gap["from"], foreign);
        assert_eq!(stream.payloads(1), numbers(0..1));
    }
}

#[test]
fn a_position_beyond_the_end_of_its_epoch_is_a_gap_to_that_end() {
    let hub = Hub::start();
    let cursor = hub.publish(&on_topic("news", 0))["cursor"]
        .as_str()
        .expect("text")
        .to_owned();
    let (epoch, _) = cursor.split_once('-').expect("a cursor");
    let mut stream = hub.stream(&format!(
        "clientId=alice&topics=news&lastEventId={epoch}-999999999+1000000000"
    ));
    stream.expect_system("connect");
    let gap = stream.expect_system("gap");
    assert_eq!(
        (&gap["reason"], &gap["to"]),
        (&json!("unknown_epoch"), &json!(cursor))
    );
    hub.publish(&on_topic("news", 1));
    assert_eq!(stream.payloads(1), numbers(1..2));
}

#[test]
fn a_client_resumes_across_a_crash_of_the_hub() {
    let mut hub = Hub::start();
    let mut stream = hub.stream("clientId=alice&topics=news");
    stream.expect("system");
    hub.publish(&on_topic("news", 0));
    let (_, last_id) = stream.message().expect("arrives");
    hub.publish(&on_topic("news", 1));
    hub.kill();
    let hub = hub.restart();
    hub.publish(&on_topic("news", 2));
    let mut stream = Stream::open(
        hub.address,
        "clientId=alice&topics=news",
        &[("last-event-id", &last_id)],
    );
    assert_eq!(stream.expect_system("connect")["resumed"], true);
    assert_eq!(stream.payloads(2), numbers(1..3));
}

#[test]
fn a_critical_message_overtakes_a_backlog_of_thousands_and_a_reconnect_right_after_repeats_nothing()
{
    let hub = Hub::start();
    let filler = "x".repeat(1_000);
    for batch in 0..10 {
        let batch: Vec<_> = (0..500)
            .map(|n| json!({"source": "s", "target": "alice", "payload": {"n": batch * 500 + n, "filler": filler}}))
            .collect();
        assert_eq!(
            hub.post("/api/messages", &json!(batch).to_string()).status,
            200
        );
    }
    hub.publish(&json!({"source": "s", "target": "alice", "priority": 3, "payload": "critical"}));
    let mut stream = hub.stream("clientId=alice");
    let mut before = Vec::new();
    let last_id = loop {
        let (message, cursor) = stream.message().expect("arrives");
        if message["payload"] == "critical" {
            break cursor;
        }
        before.push(message["payload"]["n"].as_u64().expect("a number"));
    };
    assert!(before.len() < 500, "came after {}", before.len());
    stream.close();
    let mut stream = Stream::open(
        hub.address,
        "clientId=alice",
        &[("last-event-id", &last_id)],
    );
    while before.len() < 5_000 {
        let (message, _) = stream.message().expect("arrives");
        before.push(
            message["payload"]["n"]
                .as_u64()
                .expect("the critical message does not come again"),
        );
    }
    assert_eq!(before, (0..5_000).collect::<Vec<u64>>());
}

#[test]
fn a_client_that_closes_its_half_of_the_socket_is_gone_from_the_list() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice");
    stream.expect("system");
    assert_eq!(hub.get("/api/connections").json()[0]["clientId"], "alice");
    stream.socket().shutdown(Shutdown::Write).expect("shut");
    while hub.get("/api/connections").json() != json!([]) {}
}

/// Defect 31: shutdown cut connections without a word, and all came back in the same instant.
#[test]
fn on_sigterm_every_stream_is_told_to_come_back_at_its_own_time_and_the_exit_code_is_0() {
    let mut hub = Hub::start_with(&[("SERVER_DRAIN_MS", "300"), ("SSE_RETRY_MS", "1000")]);
    let mut streams: Vec<_> = (0..20)
        .map(|n| hub.stream(&format!("clientId=c{n}")))
        .collect();
    streams
        .iter_mut()
        .for_each(|stream| drop(stream.expect("system")));
    hub.terminate();
    let mut retries = Vec::new();
    for stream in &mut streams {
        let (message, _) = stream.expect("system");
        assert_eq!(message["payload"]["event"], "maintenance");
        assert_eq!(message["payload"]["recommendedAction"], "reconnect");
        let retry_ms = message["payload"]["detail"]["retryAfterMs"]
            .as_u64()
            .expect("a number");
        assert_eq!(stream.retry_ms(), Some(retry_ms));
        assert!(stream.event().is_none(), "then it closes");
        retries.push(retry_ms);
    }
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > 10, "spread: {retries:?}");
    assert_eq!(hub.wait().code(), Some(0));
}

#[test]
fn a_stream_ends_at_its_lifetime_and_says_that_the_client_is_to_come_back() {
    let hub = Hub::start_with(&[("SSE_LIFETIME_MS", "100")]);
    let mut stream = hub.stream("clientId=alice");
    stream.expect_system("connect");
    assert_eq!(
        stream.expect_system("disconnect"),
        json!({"reason": "lifetime", "reconnect": true})
    );
    assert!(stream.event().is_none());
}

#[test]
fn progress_is_live_only_and_leaves_the_cursor_where_it_is() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice&topics=tasks");
    let (_, start) = stream.expect("system");
    let progress = json!({"source": "w", "topic": "tasks", "type": "progress", "payload": {"taskId": "t", "progress": 5}});
    assert!(hub.publish(&progress)["cursor"].is_null());
    let (message, cursor) = stream.expect("progress");
    assert_eq!(
        (&message["payload"]["progress"], cursor),
        (&json!(5), start)
    );
    let mut later = hub.stream("clientId=bob&topics=tasks&since=earliest");
    later.expect("system");
    hub.publish(&on_topic("tasks", 1));
    assert_eq!(later.payloads(1), numbers(1..2), "it is not stored");
}

/// Retention of one topic: what a client lost it is told, and what it did not lose it is not told.
#[test]
fn retention_is_a_gap_for_a_client_that_lost_something_and_for_no_other() {
    let hub = Hub::start_with(&[("STORE_TOPIC_COUNT", "10"), ("STORE_TRIM_EVERY_MS", "20")]);
    let start = hub.publish(&on_topic("noisy", 0))["cursor"]
        .as_str()
        .expect("text")
        .to_owned();
    hub.publish(&text("quiet", 1));
    for n in 0..100 {
        hub.publish(&on_topic("noisy", n));
    }
    let resume = |client: &str, topics: &str| {
        let query = format!("clientId={client}&topics={topics}");
        let mut stream = Stream::open(hub.address, &query, &[("last-event-id", &start)]);
        let connect = stream.expect_system("connect");
        (stream, connect)
    };
    // Retention runs by itself; the loser's stream says when it has.
    let gap = loop {
        let (mut stream, connect) = resume("loser", "noisy");
        let (first, _) = (stream.event().expect("a gap or a message"), ());
        let message: Value = serde_json::from_str(&first.data).expect("JSON");
        if message["payload"]["event"] == "gap" {
            assert_eq!(
                message["payload"]["detail"]["to"], connect["cursor"],
                "the real start is after the gap"
            );
            break message["payload"]["detail"].clone();
        }
    };
    assert_eq!(
        (&gap["reason"], &gap["from"]),
        (&json!("expired"), &json!(start))
    );
    let (mut stream, _) = resume("quiet", "calm");
    let (message, _) = stream.message().expect("arrives");
    assert_eq!(message["payload"], 1);
    hub.publish(&on_topic("calm", 2));
    let next = stream.event().expect("arrives");
    assert!(
        next.data.contains("\"payload\":2"),
        "no gap for what it does not read: {}",
        next.data
    );
}

#[test]
fn a_restored_backup_makes_nobody_skip_a_message() {
    let mut hub = Hub::start();
    hub.publish(&on_topic("news", 0));
    hub.kill();
    let backup = tempfile::TempDir::new().expect("a folder");
    for file in std::fs::read_dir(hub.dir()).expect("readable") {
        let file = file.expect("readable");
        std::fs::copy(file.path(), backup.path().join(file.file_name())).expect("copied");
    }
    let hub = hub.restart();
    hub.publish(&on_topic("news", 1));
    let lost = hub.publish(&on_topic("news", 2))["cursor"]
        .as_str()
        .expect("text")
        .to_owned();
    drop(hub);
    let restored = Hub::start_in(Arc::new(backup), Vec::new());
    restored.publish(&on_topic("news", 10));
    let mut stream = Stream::open(
        restored.address,
        "clientId=alice&topics=news",
        &[("last-event-id", &lost)],
    );
    stream.expect_system("connect");
    assert_eq!(stream.expect_system("gap")["reason"], "unknown_epoch");
    assert_eq!(
        stream.payloads(2),
        [json!(0), json!(10)],
        "the epoch of the lost time is unknown: all that is kept"
    );
}
