use serde_json::Value;

use super::process::{Hub, ended, succeeds, write_line};

fn publish(hub: &Hub, arguments: &[&str]) {
    succeeds(&mut hub.command(&[&["publish"], arguments].concat()));
}

#[test]
fn messages_are_printed_as_lines_with_their_date_or_as_json() {
    let hub = Hub::start();
    publish(&hub, &["one", "--topic", "news/eu"]);
    publish(&hub, &["two", "--to", "alice", "--source", "bo"]);
    let messages =
        |arguments: &[&str]| succeeds(&mut hub.command(&[&["messages"], arguments].concat()));
    let texts = |arguments: &[&str]| {
        let out = messages(arguments);
        let text = |line: &str| {
            let (time, text) = line.split_once("Z ").expect("a time");
            assert_eq!(time.len(), "2023-11-14 22:13:20".len(), "{line}");
            text.to_owned()
        };
        out.lines().map(text).collect::<Vec<_>>()
    };
    let (one, two) = ("topic news/eu from anonymous: one", "to alice from bo: two");
    assert_eq!(texts(&[]), [one, two]);
    assert_eq!(texts(&["--desc"]), [two, one]);
    assert_eq!(texts(&["--desc", "--limit", "1"]), [two]);
    assert_eq!(texts(&["--topic", "news/#", "--since", "1h"]), [one]);
    assert_eq!(
        texts(&["--client-id", "alice", "--source", "bo", "--type", "text"]),
        [two]
    );
    assert_eq!(texts(&["--until", "1"]), [""; 0]);
    let json: Value = serde_json::from_str(&messages(&["--json", "--limit", "1"])).expect("JSON");
    assert_eq!(json["payload"]["content"], "one");
}

#[test]
fn more_messages_than_a_page_holds_are_all_printed() {
    let hub = Hub::start();
    let (mut feeder, mut stdin) = hub.feeder(&["--topic", "t"]);
    for n in 0..1234 {
        write_line(&mut stdin, &n.to_string());
    }
    drop(stdin);
    assert_eq!(feeder.code(), 0);
    let printed = |limit| succeeds(&mut hub.command(&["messages", "--limit", limit]));
    assert_eq!(printed("5000").lines().count(), 1234);
    assert_eq!(printed("1100").lines().count(), 1100);
}

#[test]
fn connections_are_printed_as_lines_or_as_json() {
    let hub = Hub::start();
    assert_eq!(succeeds(&mut hub.command(&["connections"])), "");
    let _alice = hub.subscriber(&["--client-id", "alice", "--topics", "news/#,b"]);
    let line = succeeds(&mut hub.command(&["connections"]));
    let (_, said) = line.split_once(' ').expect("an id, and what is known");
    assert!(said.starts_with("alice from 127."), "{line}");
    assert!(said.ends_with("Z, topics news/#, b\n"), "{line}");
    let json = succeeds(&mut hub.command(&["connections", "--json"]));
    let json: Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(json["clientId"], "alice");
}

#[test]
fn a_refusal_is_told_in_the_hubs_own_words() {
    let hub = Hub::start();
    let ended = ended(&mut hub.command(&["messages", "--topic", "a//b"]));
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.err.contains("(400 invalid_field)"), "{}", ended.err);
}
