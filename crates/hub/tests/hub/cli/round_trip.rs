use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::process::{Hub, ended, succeeds};

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn what_is_published_arrives_as_a_line_to_read() {
    let hub = Hub::start();
    let mut alice = hub.subscriber(&["--client-id", "alice", "--topics", "news/#"]);
    let mut expect = |arguments: &[&str], line: &str| {
        succeeds(&mut hub.command(&[&["publish"], arguments].concat()));
        let received = alice.out.next().expect("a line");
        let (_, text) = received.split_once("Z ").expect("a time");
        assert_eq!(text, line);
    };
    expect(
        &["hello", "--topic", "news/eu"],
        "topic news/eu from anonymous: hello",
    );
    expect(
        &["--json", "{\"a\": [1]}", "--to", "alice"],
        "to alice from anonymous: {\"a\": [1]}",
    );
    expect(
        &["all", "--source", "bo", "--priority", "3"],
        "critical, to all from bo: all",
    );
    expect(
        &["two\nlines\u{1b}", "--topic", "news"],
        "topic news from anonymous: two\\nlines\\u{1b}",
    );
}

#[test]
fn json_output_is_the_message_as_the_hub_sent_it() {
    let hub = Hub::start();
    let mut alice = hub.subscriber(&["--client-id", "alice", "--json"]);
    let arguments = [
        "publish",
        "hi",
        "--to",
        "alice",
        "--id",
        "m-1",
        "--ttl",
        "1h",
        "--priority",
        "low",
    ];
    succeeds(&mut hub.command(&arguments));
    let message = parsed(&alice.out.next().expect("a line"));
    for (field, value) in [
        ("id", json!("m-1")),
        ("type", json!("text")),
        ("priority", json!(0)),
        ("source", json!("anonymous")),
        ("target", json!("alice")),
        ("ttl", json!(3_600_000)),
        ("payload", json!({"content": "hi"})),
    ] {
        assert_eq!(message[field], value, "{message}");
    }
}

#[test]
fn publish_says_the_id_and_how_many_are_connected() {
    let hub = Hub::start();
    let send = || {
        let arguments = ["publish", "hi", "--to", "alice", "--id", "m-1"];
        succeeds(&mut hub.command(&arguments))
    };
    assert_eq!(send(), "m-1 to client alice, 0 connected now\n");
    let _alice = hub.subscriber(&["--client-id", "alice"]);
    assert!(send().ends_with(", was sent before\n"));
}

#[test]
fn since_and_types_choose_what_is_received() {
    let hub = Hub::start();
    for n in 1..=3 {
        succeeds(&mut hub.command(&["publish", &format!("old {n}"), "--topic", "news"]));
    }
    succeeds(&mut hub.command(&["publish", "--json", "4", "--topic", "news"]));
    let mut last = hub.subscriber(&["--topics", "news", "--since", "last:2"]);
    last.out.until("old 3");
    last.out.until("from anonymous: 4");
    let mut json = hub.subscriber(&["--topics", "news", "--since", "earliest", "--types", "json"]);
    assert!(json.out.next().expect("a line").ends_with(": 4"));
}

#[test]
fn a_subscriber_goes_on_where_it_was_after_the_hub_was_killed() {
    let mut hub = Hub::start();
    let mut reader = hub.subscriber(&["--topics", "news", "--json"]);
    let send = |hub: &Hub, n: usize| {
        succeeds(&mut hub.command(&["publish", "--json", &n.to_string(), "--topic", "news"]));
    };
    send(&hub, 1);
    assert_eq!(parsed(&reader.out.next().expect("a line"))["payload"], 1);
    hub.kill();
    hub.restart();
    // Before the reader is back, as far as anyone knows: it must not matter.
    send(&hub, 2);
    send(&hub, 3);
    reader.err.until("going on where it was");
    let rest: Vec<_> = reader
        .out
        .take(2)
        .iter()
        .map(|line| parsed(line)["payload"].clone())
        .collect();
    assert_eq!(rest, [2, 3]);
}

#[test]
fn the_hubs_refusals_are_code_3_with_its_own_text() {
    let hub = Hub::start();
    for (arguments, texts) in [
        (
            &["publish", "x", "--topic", "a//b"][..],
            ["topic", "(400 invalid_field)"],
        ),
        (
            &["publish", "x", "--to", "$hub"],
            ["target", "(400 invalid_field)"],
        ),
        (
            &["subscribe", "--since", "yesterday"],
            ["since", "(400 invalid_field)"],
        ),
        (
            &["subscribe", "--topics", "a/#/b"],
            ["topics", "(400 invalid_field)"],
        ),
    ] {
        let ended = ended(&mut hub.command(arguments));
        assert_eq!(ended.code, 3, "{arguments:?}: {}", ended.err);
        for text in texts {
            assert!(ended.err.contains(text), "{arguments:?}: {}", ended.err);
        }
    }
}

#[test]
fn a_reader_that_closes_the_output_ends_the_command_quietly() {
    let hub = Hub::start();
    let mut command = hub.command(&["subscribe", "--topics", "news"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    drop(child.stdout.take());
    // It notices with the first line that it cannot write.
    let mut witness = hub.subscriber(&["--topics", "news"]);
    let mut ended = None;
    while ended.is_none() {
        succeeds(&mut hub.command(&["publish", "x", "--topic", "news"]));
        witness.out.until(": x");
        ended = child.try_wait().expect("a child");
    }
    let output = child.wait_with_output().expect("an output");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(
        err.lines()
            .filter(|line| !line.contains("connected to"))
            .count(),
        0,
        "{err}"
    );
}

#[test]
fn a_gap_is_told() {
    let settings = [
        ("TIDINGS_STORE_TOPIC_COUNT", "1"),
        ("TIDINGS_STORE_TRIM_EVERY_MS", "1"),
    ];
    let mut hub = Hub::with(&settings);
    let send = |hub: &Hub, text: &str| {
        succeeds(&mut hub.command(&["publish", text, "--topic", "news"]));
    };
    let mut away = hub.subscriber(&["--topics", "news"]);
    send(&hub, "read");
    away.out.until(": read");
    // It cannot come back before the messages that it misses are gone.
    away.signal(Signal::STOP);
    hub.kill();
    hub.restart();
    for text in ["lost", "also lost", "newest"] {
        send(&hub, text);
    }
    // Only the newest is kept, once a new reader gets it as the first.
    loop {
        let arguments = ["--topics", "news", "--since", "earliest"];
        if hub
            .subscriber(&arguments)
            .out
            .next()
            .expect("a line")
            .ends_with(": newest")
        {
            break;
        }
    }
    away.signal(Signal::CONT);
    away.err
        .until("gap: some messages were removed before they could be sent here");
    assert!(away.out.next().expect("a line").ends_with(": newest"));
}

#[test]
fn what_a_subscriber_acknowledged_does_not_come_again_and_its_sender_is_told() {
    let hub = Hub::start();
    let mut bob = hub.subscriber(&["--client-id", "bob", "--json"]);
    let mut alice = hub.subscriber(&["--client-id", "alice", "--ack", "--json"]);
    let ask = |id: &str| {
        let arguments = [
            "publish",
            "hi",
            "--id",
            id,
            "--to",
            "alice",
            "--source",
            "bob",
            "--require-ack",
        ];
        succeeds(&mut hub.command(&arguments));
    };
    ask("first");
    let line = parsed(&alice.out.next().expect("a line"));
    assert_eq!(
        (&line["id"], &line["requireAck"]),
        (&json!("first"), &json!(true))
    );
    for status in ["delivered", "acknowledged"] {
        let receipt = parsed(&bob.out.next().expect("a receipt"));
        assert_eq!(receipt["payload"]["status"], status);
        assert_eq!(receipt["payload"]["messageId"], "first");
    }
    drop(alice);
    ask("second");
    let mut alice = hub.subscriber(&["--client-id", "alice", "--ack", "--json"]);
    let line = parsed(&alice.out.next().expect("a line"));
    assert_eq!(line["id"], "second");
}
