//! Retention while messages come in: each reader gets all that is for it, or is told what it will not get.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tidings_protocol::Cursor;

use crate::harness::{Hub, KeepAlive, Stream};

const PUBLISHERS: usize = 4;
/// Of topics; mailboxes keep all.
const KEPT: usize = 20;
const QUERY: &str = "clientId=reader&topics=load";
/// How often the reader that comes and goes comes, and after how many messages it goes.
const VISITS: usize = 10;
const VISIT: usize = 30;

/// Positions of what was accepted, by source and number. Even numbers went to the topic, odd ones to the mailbox.
type Accepted = BTreeMap<(String, u64), u64>;

struct Load {
    accepted: Arc<Mutex<Accepted>>,
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

    fn accepted(&self) -> Accepted {
        let accepted = self.accepted.lock();
        accepted.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once so many more are accepted.
    fn goes_on(&self, count: usize) {
        let upto = self.accepted().len() + count;
        while self.accepted().len() < upto {
            let ended = self.publishers.iter().all(JoinHandle::is_finished);
            assert!(!ended, "the publishers go on");
            thread::yield_now();
        }
    }

    fn stop(mut self) -> Accepted {
        self.stopped.store(true, Ordering::Relaxed);
        for publisher in self.publishers.drain(..) {
            publisher.join().expect("a publisher ends");
        }
        self.accepted()
    }
}

fn publish(
    address: SocketAddr,
    publisher: usize,
    accepted: &Mutex<Accepted>,
    stopped: &AtomicBool,
) {
    let mut hub = KeepAlive::connect(address);
    let source = format!("p{publisher}");
    for number in 0.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let (key, name) = if is_to_topic(number) {
            ("topic", "load")
        } else {
            ("target", "reader")
        };
        let message = json!({"source": source, (key): name, "payload": number});
        let (status, body) = hub
            .post("/api/messages", &message.to_string())
            .expect("the hub answers");
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let position = cursor(&answer["cursor"]).mailbox;
        let mut accepted = accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.insert((source.clone(), number), position);
    }
}

fn is_to_topic(number: u64) -> bool {
    number.is_multiple_of(2)
}

fn cursor(text: &Value) -> Cursor {
    let text = text.as_str().expect("a cursor is text");
    text.parse().expect("a cursor of the hub")
}

/// What a reader got: each message by its source, in order, and the ranges of shared positions that gaps told of.
#[derive(Default)]
struct Heard {
    numbers: BTreeMap<String, Vec<u64>>,
    gaps: Vec<(u64, u64)>,
    last_id: String,
}

impl Heard {
    /// Reads on to the end of the load, or for some messages; true at the end.
    fn listen(&mut self, stream: &mut Stream, messages: usize) -> bool {
        let mut left = messages;
        while left > 0 {
            let event = stream.event().expect("the stream goes on");
            if !event.last_event_id.is_empty() {
                self.last_id = event.last_event_id;
            }
            let message: Value = serde_json::from_str(&event.data).expect("JSON");
            match message["source"].as_str().expect("a source") {
                "end" => return true,
                "$hub" if message["payload"]["event"] == "gap" => {
                    let gap = &message["payload"]["detail"];
                    assert_eq!(gap["reason"], "expired", "{gap}");
                    let range = (cursor(&gap["from"]).shared, cursor(&gap["to"]).shared);
                    self.gaps.push(range);
                }
                "$hub" => {}
                source => {
                    let number = message["payload"].as_u64().expect("a number");
                    let numbers = self.numbers.entry(source.to_owned()).or_default();
                    numbers.push(number);
                    left -= 1;
                }
            }
        }
        false
    }

    /// In order, each once, and nothing is missing but what a gap told of, and a gap tells of nothing else.
    fn check(&self, name: &str, accepted: &Accepted) {
        for (source, numbers) in &self.numbers {
            let doubled = numbers.windows(2).find(|pair| pair[0] >= pair[1]);
            assert_eq!(doubled, None, "{name}: {source} is in order, each once");
        }
        let is_missing = |(source, number): &(String, u64)| {
            let numbers = self.numbers.get(source);
            numbers.is_none_or(|numbers| numbers.binary_search(number).is_err())
        };
        let missing: Vec<_> = accepted.iter().filter(|(of, _)| is_missing(of)).collect();
        let told = |gap: &(u64, u64), position: u64| gap.0 < position && position <= gap.1;
        for ((source, number), position) in &missing {
            assert!(
                is_to_topic(*number),
                "{name}: {source} {number} was sent to the mailbox"
            );
            assert!(
                self.gaps.iter().any(|gap| told(gap, **position)),
                "{name}: {source} {number} at {position} is missing, and gaps told of {:?}",
                self.gaps
            );
        }
        for gap in &self.gaps {
            assert!(
                missing.iter().any(|(_, position)| told(gap, **position)),
                "{name}: nothing is missing in {gap:?}"
            );
        }
    }
}

/// Source and number of all that history has of the topic.
fn kept(hub: &Hub) -> Vec<(String, u64)> {
    let answer = hub.get("/api/messages?topic=load&limit=1000");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let messages = answer.json()["messages"].take();
    let messages = messages.as_array().expect("messages");
    let identity = |message: &Value| {
        let source = message["source"].as_str().expect("a source");
        let number = message["payload"].as_u64().expect("a number");
        (source.to_owned(), number)
    };
    messages.iter().map(identity).collect()
}

#[test]
fn under_load_retention_takes_nothing_but_what_gaps_tell_of_and_keeps_the_newest() {
    let kept_count = KEPT.to_string();
    let hub = Hub::start_with(&[
        ("STORE_TOPIC_COUNT", &kept_count),
        ("STORE_TRIM_EVERY_MS", "1"),
    ]);
    let mut first = hub.stream(QUERY);
    let start = first.expect_system("connect")["cursor"].clone();
    let start = start.as_str().expect("a cursor is text").to_owned();
    let load = Load::start(hub.address);

    let steady = thread::spawn(move || {
        let mut heard = Heard::default();
        assert!(heard.listen(&mut first, usize::MAX));
        heard
    });
    // Away meanwhile, for longer than what is kept lasts.
    let mut visitor = Heard {
        last_id: start.clone(),
        ..Heard::default()
    };
    let resume = |heard: &Heard| {
        let id: &str = &heard.last_id;
        Stream::open(hub.address, QUERY, &[("last-event-id", id)])
    };
    for _ in 0..VISITS {
        load.goes_on(4 * KEPT);
        assert!(!visitor.listen(&mut resume(&visitor), VISIT));
    }
    load.goes_on(4 * KEPT);
    let accepted = load.stop();
    hub.publish(&json!({"source": "end", "target": "reader", "payload": 0}));

    steady
        .join()
        .expect("a reader ends")
        .check("steady", &accepted);
    assert!(visitor.listen(&mut resume(&visitor), usize::MAX));
    visitor.check("visitor", &accepted);

    // Retention runs by itself; history says when it has.
    let kept = loop {
        let kept = kept(&hub);
        if kept.len() <= KEPT {
            break kept;
        }
    };
    let mut newest: Vec<_> = accepted
        .iter()
        .filter(|((_, number), _)| is_to_topic(*number))
        .map(|(message, position)| (*position, message.clone()))
        .collect();
    newest.sort_unstable();
    let newest = newest.split_off(newest.len() - KEPT);
    let newest: Vec<_> = newest.into_iter().map(|(_, message)| message).collect();
    assert_eq!(kept, newest);

    let mut late = Heard {
        last_id: start,
        ..Heard::default()
    };
    assert!(late.listen(&mut resume(&late), usize::MAX));
    late.check("late", &accepted);
    assert_eq!(late.gaps.len(), 1, "{:?}", late.gaps);
}
