//! A backup made under load, restored elsewhere: clients go on with the cursors that they have.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Hub, KeepAlive, Stream};

const PUBLISHERS: usize = 4;
const QUERY: &str = "clientId=reader&topics=load";

/// Publishers, each with numbers from 0 on.
struct Load {
    /// How many of each publisher were answered with 200.
    accepted: Arc<Mutex<[u64; PUBLISHERS]>>,
    stopped: Arc<AtomicBool>,
    publishers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (accepted, stopped) = (Arc::<Mutex<_>>::default(), Arc::<AtomicBool>::default());
        let publishers = (0..PUBLISHERS).map(|publisher| {
            let (accepted, stopped) = (Arc::clone(&accepted), Arc::clone(&stopped));
            thread::spawn(move || publish(address, publisher, &accepted, &stopped))
        });
        Self {
            publishers: publishers.collect(),
            accepted,
            stopped,
        }
    }

    fn accepted(&self) -> [u64; PUBLISHERS] {
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once so many more are accepted.
    fn goes_on(&self, count: u64) {
        let upto = self.accepted().iter().sum::<u64>() + count;
        while self.accepted().iter().sum::<u64>() < upto {
            assert!(
                !self.publishers.iter().all(JoinHandle::is_finished),
                "the publishers go on"
            );
            thread::yield_now();
        }
    }

    fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        for publisher in self.publishers {
            publisher.join().expect("a publisher ends");
        }
    }
}

fn publish(
    address: SocketAddr,
    publisher: usize,
    accepted: &Mutex<[u64; PUBLISHERS]>,
    stopped: &AtomicBool,
) {
    let mut hub = KeepAlive::connect(address);
    let mut number = 0;
    while !stopped.load(Ordering::Relaxed) {
        // In turn to the mailbox and to the topic of the reader.
        let to = if number % 2 == 0 {
            ("target", "reader")
        } else {
            ("topic", "load")
        };
        let message = json!({"source": format!("p{publisher}"), (to.0): to.1, "payload": number});
        let (status, body) = hub
            .post("/api/messages", &message.to_string())
            .expect("the hub answers");
        assert_eq!(status, 200, "{body}");
        number += 1;
        accepted.lock().unwrap_or_else(PoisonError::into_inner)[publisher] = number;
    }
}

fn tidings(arguments: &[&str], data: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("the command runs");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn resume(hub: &Hub, cursor: &str) -> Stream {
    Stream::open(hub.address, QUERY, &[("Last-Event-ID", cursor)])
}

/// What each publisher's messages say, in the order they came in, up to and with the first of `end`.
fn read_until(stream: &mut Stream, end: &str) -> HashMap<String, Vec<u64>> {
    let mut numbers: HashMap<String, Vec<u64>> = HashMap::new();
    loop {
        let (message, _) = stream.message().expect("the stream goes on");
        let source = message["source"].as_str().expect("a source").to_owned();
        if source == end {
            return numbers;
        }
        let number = message["payload"].as_u64().expect("a number");
        numbers.entry(source).or_default().push(number);
    }
}

fn say(hub: &Hub, source: &str) {
    hub.publish(&json!({"source": source, "target": "reader", "payload": 0}));
}

fn gap(stream: &mut Stream) -> Value {
    assert_eq!(stream.expect_system("connect")["resumed"], false);
    stream.expect_system("gap")
}

#[test]
fn clients_go_on_with_their_cursors_at_a_hub_that_was_restored_from_a_backup_under_load() {
    let hub = Hub::start();
    let load = Load::start(hub.address);
    load.goes_on(100);
    // A client that was away since before the backup.
    let mut stream = hub.stream(&format!("{QUERY}&since=earliest"));
    let mut seen = [0; PUBLISHERS];
    let mut early = String::new();
    for _ in 0..60 {
        let (message, cursor) = stream.message().expect("a message");
        let publisher: usize = message["source"].as_str().expect("a source")[1..]
            .parse()
            .expect("a number");
        seen[publisher] += 1;
        early = cursor;
    }
    stream.close();
    load.goes_on(200);

    let before = load.accepted();
    let (place, elsewhere) = (
        TempDir::new().expect("a folder"),
        TempDir::new().expect("a folder"),
    );
    let file = place.path().join("backup");
    let file = file.to_str().expect("the path is text");
    tidings(&["backup", file], hub.dir());
    load.goes_on(200);
    load.stop();
    // And one that has seen what the backup does not have.
    say(&hub, "later");
    let mut stream = hub.stream(QUERY);
    let late = loop {
        let (message, cursor) = stream.message().expect("a message");
        if message["source"] == "later" {
            break cursor;
        }
    };
    drop((stream, hub));

    tidings(&["restore", file], elsewhere.path());
    let hub = Hub::start_in(Arc::new(elsewhere), Vec::new());
    say(&hub, "anew");

    let mut stream = resume(&hub, &early);
    assert_eq!(stream.expect_system("connect")["resumed"], true);
    let numbers = read_until(&mut stream, "anew");
    for publisher in 0..PUBLISHERS {
        let numbers = &numbers[&format!("p{publisher}")];
        let whole: Vec<u64> = (0..).take(numbers.len() + seen[publisher]).collect();
        assert_eq!(
            numbers,
            &whole[seen[publisher]..],
            "nothing is skipped, doubled or out of order"
        );
        assert!(
            whole.len() as u64 >= before[publisher],
            "what was accepted before the backup is in it"
        );
    }

    let mut stream = resume(&hub, &late);
    let gap = gap(&mut stream);
    assert_eq!(
        (&gap["reason"], &gap["from"]),
        (&json!("unknown_epoch"), &json!(late))
    );
    assert!(
        read_until(&mut stream, "anew").is_empty(),
        "it goes on where the backup ends"
    );
}
