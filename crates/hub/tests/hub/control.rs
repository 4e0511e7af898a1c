//! What is done to a live connection: its topics, its end, and who else may be there.

use serde_json::{Value, json};

use crate::harness::{Hub, Stream};

fn on_topic(topic: &str, n: usize) -> Value {
    json!({"source": "s", "topic": topic, "payload": n})
}

fn connection_id(stream: &mut Stream) -> String {
    let detail = stream.expect_system("connect");
    detail["connectionId"].as_str().expect("text").to_owned()
}

fn call(hub: &Hub, method: &str, path: &str) -> (u16, Value) {
    let answer = hub.request(method, path, &[], b"");
    (answer.status, answer.json())
}

#[test]
fn an_added_topic_is_complete_from_the_cursor_in_the_answer_and_a_removed_one_ends() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice&topics=a");
    let path = format!("/api/connections/{}/topics/b", connection_id(&mut stream));
    hub.publish(&on_topic("b", 0));
    let (status, answer) = call(&hub, "PUT", &path);
    assert_eq!(status, 200, "{answer}");
    let cursor = answer["cursor"].as_str().expect("a cursor").to_owned();
    for n in 1..4 {
        hub.publish(&on_topic("b", n));
    }
    assert_eq!(stream.payloads(3), [1, 2, 3]);
    assert_eq!(
        hub.get("/api/connections").json()[0]["topics"],
        json!(["a", "b"])
    );
    let mut again = Stream::open(
        hub.address,
        "clientId=alice&topics=a,b",
        &[("last-event-id", &cursor)],
    );
    assert_eq!(again.payloads(3), [1, 2, 3]);
    again.close();
    assert_eq!(call(&hub, "DELETE", &path).0, 200);
    hub.publish(&on_topic("b", 4));
    hub.publish(&on_topic("a", 5));
    assert_eq!(stream.payloads(1), [5]);
}

#[test]
fn a_pattern_can_be_added_to_a_connection_that_reads_history() {
    let hub = Hub::start();
    let filler = "x".repeat(60_000);
    for n in 0..200 {
        hub.publish(&json!({"source": "s", "topic": "a", "payload": {"n": n, "filler": filler}}));
    }
    let mut stream = hub.stream("clientId=alice&topics=a&since=earliest");
    let id = connection_id(&mut stream);
    hub.publish(&on_topic("late/x", 0));
    assert_eq!(
        call(
            &hub,
            "PUT",
            &format!("/api/connections/{id}/topics/late/%23")
        )
        .0,
        200
    );
    hub.publish(&on_topic("late/x", 1));
    for n in 0..200 {
        assert_eq!(stream.message().expect("arrives").0["payload"]["n"], n);
    }
    assert_eq!(
        stream.payloads(1),
        [1],
        "what came before it was added does not count"
    );
}

#[test]
fn adding_twice_and_removing_what_is_not_there_change_nothing() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice&topics=a");
    let id = connection_id(&mut stream);
    for (method, topic) in [("PUT", "a"), ("DELETE", "other")] {
        let (status, answer) = call(
            &hub,
            method,
            &format!("/api/connections/{id}/topics/{topic}"),
        );
        assert_eq!(status, 200, "{answer}");
    }
    hub.publish(&on_topic("a", 0));
    hub.publish(&on_topic("a", 1));
    assert_eq!(stream.payloads(2), [0, 1], "each once");
}

#[test]
fn a_connection_that_is_not_there_and_a_bad_topic_are_refused() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice");
    let id = connection_id(&mut stream);
    for path in [
        "/api/connections/nobody",
        "/api/connections/01890a5d-ac96-774b-bcce-b302099a8057",
    ] {
        assert_eq!(call(&hub, "DELETE", path).0, 404);
        assert_eq!(call(&hub, "PUT", &format!("{path}/topics/a")).0, 404);
    }
    let (status, problem) = call(&hub, "PUT", &format!("/api/connections/{id}/topics/a//b"));
    assert_eq!((status, &problem["field"]), (400, &json!("topic")));
}

#[test]
fn a_kicked_connection_is_told_not_to_come_back_and_closes() {
    let hub = Hub::start();
    let mut stream = hub.stream("clientId=alice");
    let id = connection_id(&mut stream);
    let (status, answer) = call(&hub, "DELETE", &format!("/api/connections/{id}"));
    assert_eq!((status, answer), (200, json!({"success": true})));
    assert_eq!(
        stream.expect_system("disconnect"),
        json!({"reason": "kicked", "reconnect": false})
    );
    assert!(stream.event().is_none());
}

#[test]
fn the_newest_exclusive_process_wins_and_the_replaced_one_is_told_to_stay_away() {
    let hub = Hub::start();
    let query = |instance: &str| format!("clientId=alice&exclusive=true&instance={instance}");
    let mut first = hub.stream(&query("one"));
    first.expect_system("connect");
    let mut shared = hub.stream("clientId=alice");
    shared.expect_system("connect");
    let mut second = hub.stream(&query("two"));
    second.expect_system("connect");
    for stream in [&mut first, &mut shared] {
        assert_eq!(
            stream.expect_system("disconnect"),
            json!({"reason": "replaced", "reconnect": false})
        );
        assert!(stream.event().is_none());
    }
    assert_eq!(hub.get(&format!("/sse?{}", query("one"))).status, 204);
    let mut again = hub.stream(&query("two"));
    again.expect_system("connect");
    assert!(
        second
            .event()
            .is_some_and(|event| event.data.contains("replaced"))
    );
    hub.publish(&json!({"source": "s", "target": "alice", "payload": 1}));
    assert_eq!(again.payloads(1), [1]);
    let refused = hub.get("/sse?clientId=alice&exclusive=true");
    assert_eq!(
        (refused.status, &refused.json()["field"]),
        (400, &json!("instance"))
    );
}

#[test]
fn each_device_of_a_client_has_a_cursor_of_its_own() {
    let hub = Hub::start();
    for n in 0..4 {
        hub.publish(&json!({"source": "s", "target": "alice", "payload": n}));
    }
    let mut phone = hub.stream("clientId=alice&device=phone");
    let cursor = (0..3)
        .map(|_| phone.message().expect("arrives").1)
        .last()
        .expect("three");
    let ack = json!({"clientId": "alice", "device": "phone", "cursor": cursor});
    assert_eq!(
        hub.post("/api/acks", &ack.to_string()).json()["applied"],
        true
    );
    let hub = hub.restart();
    assert_eq!(hub.stream("clientId=alice&device=phone").payloads(1), [3]);
    assert_eq!(
        hub.stream("clientId=alice&device=laptop").payloads(4),
        [0, 1, 2, 3]
    );
    assert_eq!(hub.stream("clientId=alice").payloads(4), [0, 1, 2, 3]);
}
