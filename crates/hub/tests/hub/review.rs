//! What happens at the same moment.

use std::sync::Barrier;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::Hub;

/// Nothing else wakes the shard within the deadline of the harness: heartbeats are five minutes apart.
#[test]
fn a_message_that_is_stored_while_its_reader_connects_does_not_wait_for_the_next_one() {
    let hub = Hub::start_with(&[("SSE_SHARDS", "1"), ("STORE_DURABILITY", "os")]);
    for n in 0..300 {
        let both = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                hub.publish(&json!({"source": "s", "target": format!("c{n}"), "payload": n}));
            });
            both.wait();
            let mut stream = hub.stream(&format!("clientId=c{n}&heartbeat=300000"));
            assert_eq!(stream.payloads(1), [json!(n)]);
        });
    }
}

#[test]
fn a_heartbeat_says_where_the_hub_is_also_to_a_client_that_nothing_is_for() {
    let hub = Hub::start_with(&[("SSE_SHARDS", "1")]);
    let mut quiet = hub.stream("clientId=quiet&heartbeat=250");
    quiet.expect("heartbeat");
    let answer = hub.publish(&json!({"source": "s", "target": "another", "payload": 1}));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    let (_, cursor) = loop {
        let beat = quiet.expect("heartbeat");
        let sent_at = beat.0["payload"]["serverTime"].as_u64().expect("a time");
        if u128::from(sent_at) > now {
            break beat;
        }
    };
    assert_eq!(cursor, answer["cursor"]);
}
