//! A random walk over everything that can happen to a shard and its clients, checked against what each should have got.

use std::collections::HashMap;

use tidings_store::{Record, Subject};

use super::super::jitter::Jitter;
use super::super::settings::Settings;
use super::world::{Client, World, mailbox, record, settings, topic};

const SEEDS: u64 = 300;
const STEPS: usize = 400;
const CLIENTS: [(&str, &[&str]); 3] =
    [("alice", &["a", "b"]), ("bob", &["#"]), ("carol", &["a/+"])];
const TOPICS: [&str; 4] = ["a", "b", "a/x", "c"];
const SOURCES: [&str; 2] = ["s", "t"];

#[test]
fn every_message_arrives_once_and_in_order_whatever_happens_to_sockets_and_inboxes() {
    for seed in 0..SEEDS {
        walk(seed);
    }
}

fn walk(seed: u64) {
    let mut dice = Jitter::new(seed);
    let settings = Settings {
        pending_max: 1 + dice.below(40) as usize,
        ring_frames_max: 1 + dice.below(60) as usize,
        writes_per_visit: 1 + dice.below(4) as usize,
        ..settings()
    };
    let mut world = World::new(settings);
    let mut clients: Vec<_> = CLIENTS
        .iter()
        .map(|(id, topics)| Client::new(id, topics))
        .collect();
    for client in &mut clients {
        world.connect(client, None);
    }
    let mut published = Vec::new();
    for _ in 0..STEPS {
        let client = dice.below(clients.len() as u64) as usize;
        match dice.below(20) {
            0..=8 => publish(&mut world, &mut dice, &mut published),
            9 => world.cut(&mut clients[client]),
            10 | 11 => {
                if !clients[client].is_connected() {
                    world.connect(&mut clients[client], None);
                }
            }
            12 | 13 => world.make_room(&clients[client], dice.below(3_000) as usize),
            14 => {
                clients[client].read();
            }
            15 => world.hold_answers = !world.hold_answers,
            _ => {
                for _ in 0..dice.below(8) {
                    world.step();
                }
            }
        }
    }
    world.hold_answers = false;
    for client in &mut clients {
        if !client.is_connected() {
            world.connect(client, None);
        }
        world.read_all(client);
        check(seed, client, &published);
    }
}

fn publish(world: &mut World, dice: &mut Jitter, published: &mut Vec<Record>) {
    let count = 1 + dice.below(4) * dice.below(6);
    let records: Vec<_> = (0..count)
        .map(|n| {
            let subject = match dice.below(8) {
                0 => Subject::All,
                1 | 2 => mailbox(CLIENTS[dice.below(3) as usize].0),
                _ => topic(TOPICS[dice.below(4) as usize]),
            };
            let source = SOURCES[dice.below(2) as usize];
            let id = format!("{:05}", published.len() + n as usize);
            // Mostly normal, so that what overtakes is rare enough to overtake.
            let priority = [0, 1, 1, 1, 1, 1, 2, 3][dice.below(8) as usize];
            let mut record = record(subject, source, &id, priority, dice.below(400) as usize);
            if dice.below(10) == 0 {
                record.exclude = Some(CLIENTS[dice.below(3) as usize].0.into());
            }
            record
        })
        .collect();
    published.extend(records.iter().cloned());
    world.append(records);
    match dice.below(20) {
        0 => world.miss(),
        _ => world.release(),
    }
}

fn check(seed: u64, client: &Client, published: &[Record]) {
    let reads = |record: &&Record| match &record.subject {
        Subject::Client(id) => **id == *client.id.as_str(),
        subject => {
            let subscribed = match subject {
                Subject::Topic(name) => client.topics.iter().any(|pattern| pattern.matches(name)),
                _ => true,
            };
            subscribed && record.exclude.as_deref() != Some(client.id.as_str())
        }
    };
    let mut expected: Vec<_> = published
        .iter()
        .filter(reads)
        .map(|record| record.id.to_string())
        .collect();
    let mut got: Vec<_> = client.received.iter().map(|seen| seen.id.clone()).collect();
    assert_eq!(
        client.gaps, 0,
        "seed {seed}: nothing was lost, so nothing may be reported"
    );
    let mut newest: HashMap<_, &str> = HashMap::new();
    for seen in &client.received {
        let before = newest.insert((&seen.source, seen.priority), &seen.id);
        assert!(
            before.is_none_or(|before| before < seen.id.as_str()),
            "seed {seed}: {before:?} before {seen:?}"
        );
    }
    got.sort_unstable();
    expected.sort_unstable();
    assert_eq!(got, expected, "seed {seed}, client {}", client.id);
}
