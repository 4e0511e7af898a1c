//! What survives when the hub is killed under load.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::{Hub, KeepAlive, Stream};

const ROUNDS: usize = 3;
const PUBLISHERS: usize = 8;
/// Messages that a round accepts before the kill.
const ACCEPTED_PER_ROUND: usize = 400;

#[test]
fn every_message_answered_with_200_is_delivered_after_a_kill_once_and_in_order() {
    let mut hub = Hub::start();
    let accepted = Arc::new(Mutex::new(BTreeSet::new()));
    let mut next = [0; PUBLISHERS];
    for round in 1..=ROUNDS {
        let count = Arc::new(AtomicUsize::new(0));
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|source| {
                let (accepted, count) = (Arc::clone(&accepted), Arc::clone(&count));
                let (address, first) = (hub.address, next[source]);
                std::thread::spawn(move || {
                    publish_until_killed(address, source, first, &accepted, &count)
                })
            })
            .collect();
        while count.load(Ordering::SeqCst) < ACCEPTED_PER_ROUND {
            std::thread::yield_now();
        }
        hub.kill();
        for (source, publisher) in publishers.into_iter().enumerate() {
            next[source] = publisher.join().expect("a publisher");
        }
        hub = hub.restart();
        let accepted = accepted.lock().expect("no publisher panicked").clone();
        assert!(accepted.len() >= round * ACCEPTED_PER_ROUND);
        check(&hub, round, &accepted);
    }
}

/// Sends one message after the other; returns the number of the one that was under way when the hub died. That one is
/// sent again to the next hub, under the same id.
fn publish_until_killed(
    address: SocketAddr,
    source: usize,
    first: usize,
    accepted: &Mutex<BTreeSet<(usize, usize)>>,
    count: &AtomicUsize,
) -> usize {
    let mut hub = KeepAlive::connect(address);
    for n in first.. {
        let message = json!({
            "id": n.to_string(), "source": format!("p{source}"), "priority": priority(n), "payload": n,
            "topic": "load",
        });
        match hub.post("/api/messages", &message.to_string()) {
            Some((200, _)) => {
                accepted
                    .lock()
                    .expect("no publisher panicked")
                    .insert((source, n));
                count.fetch_add(1, Ordering::SeqCst);
            }
            Some((status, body)) => panic!("{status}: {body}"),
            None => return n,
        }
    }
    unreachable!("the hub is killed")
}

fn priority(n: usize) -> usize {
    [1, 1, 0, 2, 1, 3, 1][n % 7]
}

fn check(hub: &Hub, round: usize, accepted: &BTreeSet<(usize, usize)>) {
    hub.publish(&json!({"source": "end", "topic": "load", "priority": 0, "payload": round}));
    let mut stream = Stream::open(
        hub.address,
        "clientId=reader&topics=load&since=earliest",
        &[],
    );
    let mut seen = BTreeSet::new();
    let mut newest: HashMap<(usize, u64), usize> = HashMap::new();
    let mut ended = false;
    // What overtook the end of the stream was read before it; what did not must all have come before it.
    while !(ended && seen.is_superset(accepted)) {
        let (message, _) = stream.message().expect("the stream goes on");
        if message["source"] == "end" {
            ended |= message["payload"] == round;
            continue;
        }
        let source = message["source"]
            .as_str()
            .and_then(|source| source[1..].parse().ok())
            .expect("a number");
        let n = message["payload"]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .expect("a number");
        let priority = message["priority"].as_u64().expect("a number");
        assert!(seen.insert((source, n)), "{n} of {source} came twice");
        let before = newest.insert((source, priority), n);
        assert!(
            before.is_none_or(|before| before < n),
            "{n} of {source} came after {before:?}"
        );
        assert!(
            !ended || priority > 0,
            "nothing of its priority comes after the end"
        );
    }
}
