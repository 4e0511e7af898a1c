use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::process::{Hub, Process, succeeds, write_line};

fn content(line: &str) -> String {
    let message: Value = serde_json::from_str(line).expect("a message");
    message["payload"]["content"]
        .as_str()
        .expect("a text")
        .to_owned()
}

fn contents(process: &mut Process, count: usize) -> Vec<String> {
    process
        .out
        .take(count)
        .iter()
        .map(|line| content(line))
        .collect()
}

#[test]
fn a_line_is_sent_as_soon_as_it_is_written() {
    let hub = Hub::start();
    let mut reader = hub.subscriber(&["--topics", "logs", "--json"]);
    let (mut feeder, mut stdin) = hub.feeder(&["--topic", "logs"]);
    for line in ["one", "", "  three", "f\u{fc}nf\t"] {
        write_line(&mut stdin, line);
        assert_eq!(contents(&mut reader, 1), [line]);
    }
    drop(stdin);
    assert_eq!(feeder.code(), 0);
    feeder.err.until("4 messages to topic logs");
}

#[test]
fn nothing_piped_in_is_lost_or_doubled_across_kills_of_the_hub() {
    const KILLS: usize = 3;
    const LINES_BETWEEN: usize = 500;
    let mut hub = Hub::start();
    let mut reader = hub.subscriber(&["--topics", "logs", "--json"]);
    let (mut feeder, mut stdin) = hub.feeder(&["--topic", "logs"]);
    // Writes without a pause until all kills are over, so that each finds requests under way.
    let enough = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let enough = Arc::clone(&enough);
        move || {
            let mut written = 0;
            while !enough.load(Ordering::Relaxed) {
                write_line(&mut stdin, &format!("line {written}"));
                written += 1;
            }
            written
        }
    });
    let mut received = Vec::new();
    for _ in 0..KILLS {
        received.extend(contents(&mut reader, LINES_BETWEEN));
        hub.kill();
        feeder.err.until("waiting, nothing is lost");
        hub.restart();
        feeder.err.until("going on after");
    }
    enough.store(true, Ordering::Relaxed);
    let written: usize = writer.join().expect("a writer");
    assert_eq!(feeder.code(), 0, "the feeder waited for the hub");
    received.extend(contents(&mut reader, written - received.len()));
    let expected: Vec<String> = (0..written).map(|n| format!("line {n}")).collect();
    assert!(received == expected, "received live, in order, once");

    let mut stored = hub.subscriber(&["--topics", "logs", "--json", "--since", "earliest"]);
    succeeds(&mut hub.command(&["publish", "end", "--topic", "logs"]));
    let stored = contents(&mut stored, written + 1);
    assert!(stored[..written] == expected, "kept in order, once");
    assert_eq!(stored[written], "end");
}

#[test]
fn a_feeder_that_starts_before_the_hub_waits_for_it_and_says_so() {
    let mut hub = Hub::start();
    hub.kill();
    let (mut feeder, mut stdin) = hub.feeder(&["--topic", "logs"]);
    write_line(&mut stdin, "early");
    drop(stdin);
    feeder.err.until("waiting, nothing is lost");
    hub.restart();
    feeder.err.until("going on after");
    assert_eq!(feeder.code(), 0);
    let mut reader = hub.subscriber(&["--topics", "logs", "--json", "--since", "earliest"]);
    assert_eq!(contents(&mut reader, 1), ["early"]);
}

#[test]
fn json_lines_are_payloads_and_a_bad_one_is_named_after_those_before_it_were_sent() {
    let hub = Hub::start();
    let (mut feeder, mut stdin) = hub.feeder(&["--topic", "logs", "--json"]);
    for line in ["{\"n\":1}", "", "2", "{"] {
        write_line(&mut stdin, line);
    }
    assert_eq!(feeder.code(), 1);
    feeder.err.until("line 4 is not JSON");
    let mut reader = hub.subscriber(&["--topics", "logs", "--json", "--since", "earliest"]);
    let payloads: Vec<Value> = reader
        .out
        .take(2)
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("a message")["payload"].clone())
        .collect();
    assert_eq!(
        payloads,
        [serde_json::json!({"n": 1}), serde_json::json!(2)]
    );
}

#[test]
fn a_line_that_the_hub_refuses_is_named_after_those_before_it_were_sent() {
    let hub = Hub::start();
    let (mut feeder, mut stdin) = hub.feeder(&["--topic", "logs", "--json"]);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    // In one write, so that they go as one batch, which is refused as a whole.
    write_line(&mut stdin, &format!("1\n2\n{deep}\n4"));
    drop(stdin);
    assert_eq!(feeder.code(), 3);
    feeder.err.until("line 3: ");
    let mut reader = hub.subscriber(&["--topics", "logs", "--json", "--since", "earliest"]);
    for payload in [1, 2] {
        let line = reader.out.next().expect("a line");
        let message: Value = serde_json::from_str(&line).expect("a message");
        assert_eq!(message["payload"], payload);
    }
}

#[test]
fn a_line_longer_than_a_message_arrives_in_parts() {
    let hub = Hub::start();
    let (mut feeder, mut stdin) = hub.feeder(&["--topic", "logs"]);
    let line = "\u{1}\u{e4}".repeat(200_000);
    write_line(&mut stdin, &line);
    drop(stdin);
    assert_eq!(feeder.code(), 0);
    let mut reader = hub.subscriber(&["--topics", "logs", "--json", "--since", "earliest"]);
    let mut received = String::new();
    while received.len() < line.len() {
        received += &contents(&mut reader, 1)[0];
    }
    assert!(received == line);
}
