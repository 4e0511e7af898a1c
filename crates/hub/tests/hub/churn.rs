//! Many clients that come and go.

use serde_json::json;

use crate::harness::{Hub, Stream, connect};

const CONNECTIONS: usize = 10_000;
const THREADS: usize = 8;

#[test]
fn after_a_second_burst_of_10000_connects_and_disconnects_memory_is_as_after_the_first() {
    let hub = Hub::start();
    burst(&hub);
    let first = hub.anonymous_kib();
    burst(&hub);
    let second = hub.anonymous_kib();
    assert!(second * 10 <= first * 11, "{second} KiB after {first} KiB");
    assert_eq!(hub.get("/ready").status, 200);
}

/// All connect, all get a message, all go.
fn burst(hub: &Hub) {
    let address = hub.address;
    let streams: Vec<_> = on_threads(move |thread, n| {
        let mut stream = Stream::open(address, &format!("clientId=c{thread}-{n}&topics=t"), &[]);
        stream.expect("system");
        stream
    });
    assert_eq!(
        hub.get("/api/connections").json().as_array().map(Vec::len),
        Some(CONNECTIONS)
    );
    let answer = hub.publish(&json!({"source": "s", "topic": "t", "payload": 1}));
    assert_eq!(answer["recipients"], CONNECTIONS);
    let mut streams = streams;
    for stream in &mut streams {
        assert_eq!(stream.payloads(1), [json!(1)]);
    }
    drop(streams);
    while hub.get("/api/connections").json() != json!([]) {}
    // And as many that never ask for anything.
    let idle = on_threads(move |_, _| connect(address));
    // Both bursts are the same only if the hub held all of these at once in both.
    while connections(hub) < CONNECTIONS {}
    drop(idle);
    // The one that asks is among them.
    while connections(hub) > 1 {}
}

/// Open connections, streams and others.
fn connections(hub: &Hub) -> usize {
    let metrics = hub.get("/metrics").body;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tidings_connections "));
    line.and_then(|number| number.parse().ok())
        .expect("a number of connections")
}

fn on_threads<T: Send + 'static>(
    make: impl Fn(usize, usize) -> T + Send + Copy + 'static,
) -> Vec<T> {
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..CONNECTIONS / THREADS)
                    .map(|n| make(thread, n))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("a thread"))
        .collect()
}
