//! What happens at the same moment.

use std::sync::Barrier;

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
