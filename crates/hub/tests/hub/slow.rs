//! A client that does not read: what it costs the hub and the others.

use serde_json::json;

use crate::harness::{Hub, KeepAlive, Stream};

const PAYLOAD_BYTES: usize = 64 * 1024;
const MESSAGES: usize = 4_096;
const BATCH: usize = 15;
const MIB: u64 = 1 << 10;

/// Defect 24: a write to a slow client was never checked, and memory grew without bound.
#[test]
fn a_stuck_reader_with_256_mb_waiting_costs_little_memory_holds_up_nobody_and_gets_every_message() {
    let reading = run(false);
    let stuck = run(true);
    assert!(
        stuck < reading + 64 * MIB,
        "{stuck} KiB against {reading} KiB"
    );
}

/// Publishes 256 MiB to two readers; returns the most memory that the hub had, in KiB above its start.
fn run(stuck: bool) -> u64 {
    let hub = Hub::start();
    let mut other = hub.stream("clientId=other&topics=big");
    let mut reader = hub.stream("clientId=reader&topics=big");
    let (_, mut last_id) = reader.expect("system");
    other.expect("system");
    let start = hub.anonymous_kib();
    let other = std::thread::spawn(move || expect_all(&mut other, 0));
    let mut publisher = KeepAlive::connect(hub.address);
    let filler = "x".repeat(PAYLOAD_BYTES);
    let mut most = 0;
    let mut read = 0;
    for first in (0..MESSAGES).step_by(BATCH) {
        let batch: Vec<_> = (first..MESSAGES.min(first + BATCH))
            .map(|n| json!({"source": "s", "topic": "big", "payload": {"n": n, "filler": filler}}))
            .collect();
        let count = batch.len();
        let answer = publisher.post("/api/messages", &json!(batch).to_string());
        assert_eq!(answer.map(|(status, _)| status), Some(200));
        if !stuck {
            for _ in 0..count {
                last_id = expect(&mut reader, read);
                read += 1;
            }
        }
        most = most.max(hub.anonymous_kib());
    }
    assert_eq!(
        other.join().expect("the other reader"),
        MESSAGES,
        "the others receive everything meanwhile"
    );
    // A reader that took nothing for the write timeout was disconnected; it comes back with its last id.
    while read < MESSAGES {
        match reader.message() {
            Some((message, cursor)) => {
                assert_eq!(message["payload"]["n"], read);
                last_id = cursor;
                read += 1;
            }
            None => {
                reader = Stream::open(
                    hub.address,
                    "clientId=reader&topics=big",
                    &[("last-event-id", &last_id)],
                );
            }
        }
        most = most.max(hub.anonymous_kib());
    }
    most.saturating_sub(start)
}

fn expect_all(stream: &mut Stream, first: usize) -> usize {
    (first..MESSAGES).for_each(|n| drop(expect(stream, n)));
    MESSAGES
}

fn expect(stream: &mut Stream, n: usize) -> String {
    let (message, cursor) = stream.message().expect("the stream goes on");
    assert_eq!(message["payload"]["n"], n);
    cursor
}
