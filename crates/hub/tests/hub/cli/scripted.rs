//! `publish` and `subscribe` against a server that does what a hub or a proxy does on a bad day.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::process::{Ended, Process, ended, tidings, write_line};

/// What a client sent.
struct Request {
    target: String,
    body: Vec<u8>,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Answers one request per connection, in the order of the script, and then takes no more.
fn scripted(answers: Vec<Vec<u8>>) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut socket, _) = listener.accept().expect("a client");
            let request = read_request(&socket);
            socket.write_all(&answer).expect("a reader");
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

fn read_request(socket: &TcpStream) -> Request {
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let target = line.split(' ').nth(1).expect("a target").to_owned();
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("a head");
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    Request { target, body }
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn accepted() -> Vec<u8> {
    let body = r#"{"success":true,"messageId":"m","cursor":"e-1","recipients":0}"#;
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

fn problem(status: &str, code: &str, detail: &str) -> Vec<u8> {
    let body = json!({"code": code, "detail": detail, "retryAfterMs": 1}).to_string();
    answer(
        status,
        "Content-Type: application/problem+json\r\nRetry-After: 600\r\n",
        &body,
    )
}

/// A stream that says hello, sends the events and ends.
fn stream(events: &[(&str, Value)]) -> Vec<u8> {
    let mut text = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n\
                    retry: 250\n\n"
        .to_owned();
    let hello =
        json!({"clientId": "alice", "resumed": false, "topics": [], "heartbeatInterval": 25000});
    for (id, data) in [("c-0", system("connect", &hello))].iter().chain(events) {
        let name = data["type"].as_str().expect("a type");
        text += &format!("id: {id}\nevent: {name}\ndata: {data}\n\n");
    }
    text.into_bytes()
}

fn system(event: &str, detail: &Value) -> Value {
    json!({"id": event, "type": "system", "priority": 1, "timestamp": 0, "source": "$hub",
           "payload": {"event": event, "detail": detail}})
}

fn message(id: &str) -> Value {
    json!({"id": id, "type": "json", "priority": 1, "timestamp": 0, "source": "bo", "topic": "t", "payload": id})
}

fn last() -> Vec<u8> {
    answer("204 No Content", "", "")
}

fn subscribe(url: &str, arguments: &[&str]) -> Ended {
    let arguments = [
        &["subscribe", "--client-id", "alice", "--url", url],
        arguments,
    ]
    .concat();
    ended(&mut tidings(&arguments))
}

#[test]
fn a_batch_without_an_answer_is_repeated_with_the_same_ids_until_it_has_one() {
    let (url, requests) = scripted(vec![
        Vec::new(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"success\"".to_vec(),
        problem("503 Service Unavailable", "store_full", "the disk is full"),
        accepted(),
    ]);
    let arguments = ["publish", "--stdin", "--topic", "t", "--url", &url];
    let mut feeder = Process::spawn(tidings(&arguments).stdin(Stdio::piped()));
    let mut stdin = feeder.stdin();
    write_line(&mut stdin, "one\ntwo\nthree");
    drop(stdin);
    assert_eq!(feeder.code(), 0);
    feeder.err.until("no answer from");
    feeder
        .err
        .until("the disk is full (503 store_full); waiting, nothing is lost");
    feeder.err.until("going on after");
    let requests: Vec<_> = requests.iter().collect();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].json().as_array().map(Vec::len), Some(3));
    assert_eq!(requests[0].target, "/api/messages");
    for repeat in &requests[1..] {
        assert_eq!(repeat.target, "/api/messages?resend=1");
        assert!(repeat.body == requests[0].body);
    }
}

#[test]
fn an_answer_that_no_hub_gives_is_not_taken_for_success() {
    for body in ["<html>welcome</html>", "{}", "{\"success\":false}"] {
        let (url, _requests) = scripted(vec![answer("200 OK", "", body)]);
        let ended = ended(&mut tidings(&["publish", "x", "--url", &url]));
        assert_eq!(ended.code, 1, "{body}");
        assert!(
            ended.err.contains("is it a hub's?"),
            "{body}: {}",
            ended.err
        );
    }
}

#[test]
fn one_message_without_an_answer_says_how_to_repeat_it() {
    let (url, _requests) = scripted(vec![Vec::new()]);
    let ended = ended(&mut tidings(&[
        "publish", "x", "--id", "m-7", "--url", &url,
    ]));
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("--id m-7"), "{}", ended.err);
}

#[test]
fn a_token_is_not_carried_to_where_a_redirect_points() {
    let (url, _requests) = scripted(vec![answer(
        "302 Found",
        "Location: http://127.77.0.3:1/\r\n",
        "",
    )]);
    let ended = ended(&mut tidings(&[
        "publish", "x", "--token", "t", "--url", &url,
    ]));
    assert!(
        ended
            .err
            .contains("redirect to http://127.77.0.3:1/; give that as --url"),
        "{}",
        ended.err
    );
}

#[test]
fn each_connection_goes_on_after_the_last_id_and_repeats_are_left_out() {
    let (url, requests) = scripted(vec![
        stream(&[("c-1", message("1")), ("c-2", message("2"))]),
        stream(&[("c-2", message("2")), ("c-3", message("3"))]),
        last(),
    ]);
    let ended = subscribe(&url, &["--since", "earliest"]);
    assert_eq!(ended.code, 3);
    let shown: Vec<_> = ended
        .out
        .lines()
        .map(|line| &line[line.len() - 3..])
        .collect();
    assert_eq!(shown, ["\"1\"", "\"2\"", "\"3\""]);
    let targets: Vec<_> = requests.iter().map(|request| request.target).collect();
    assert_eq!(
        targets,
        [
            "/sse?v=1&clientId=alice&since=earliest",
            "/sse?v=1&clientId=alice&lastEventId=c-2",
            "/sse?v=1&clientId=alice&lastEventId=c-3",
        ]
    );
}

#[test]
fn an_event_that_was_cut_off_does_not_move_the_cursor() {
    let mut cut = stream(&[("c-1", message("1")), ("c-2", message("2"))]);
    cut.truncate(cut.len() - 1);
    let (url, requests) = scripted(vec![cut, last()]);
    let ended = subscribe(&url, &["--json"]);
    assert_eq!(ended.out.lines().count(), 1, "{}", ended.out);
    let target = requests.iter().nth(1).expect("a second request").target;
    assert!(target.ends_with("lastEventId=c-1"), "{target}");
}

#[test]
fn what_passes_is_waited_for_and_what_does_not_ends_the_run() {
    let (url, requests) = scripted(vec![
        problem(
            "503 Service Unavailable",
            "too_many_connections",
            "the hub is full",
        ),
        answer("200 OK", "Content-Type: text/html\r\n", "<html>"),
        answer("502 Bad Gateway", "", ""),
        Vec::new(),
        problem("401 Unauthorized", "token_expired", "the token has expired"),
    ]);
    let ended = subscribe(&url, &[]);
    assert_eq!(ended.code, 3);
    assert_eq!(requests.iter().count(), 5);
    for text in [
        "the hub is full (503 too_many_connections); connecting again",
        "the address answers 200 OK; is it a hub's?; connecting again",
        "the address answers 502 Bad Gateway; is it a hub's?; connecting again",
        "no answer from http://127.0.0.1:",
        "tidings: the token has expired (401 token_expired)\n",
    ] {
        assert!(ended.err.contains(text), "{text}: {}", ended.err);
    }
}

#[test]
fn the_hub_decides_whether_a_client_comes_back() {
    let end = |reconnect| json!({"reason": "lifetime", "reconnect": reconnect});
    let (url, requests) = scripted(vec![
        stream(&[("c-1", system("disconnect", &end(true)))]),
        stream(&[("c-1", system("disconnect", &end(false)))]),
    ]);
    let ended = subscribe(&url, &[]);
    assert_eq!(ended.code, 3);
    assert_eq!(requests.iter().count(), 2);
    let text = "the hub ended the connection: lifetime";
    assert!(
        ended.err.contains(&format!("{text}; connecting again\n")),
        "{}",
        ended.err
    );
    assert!(ended.err.ends_with(&format!("{text}\n")), "{}", ended.err);
}

#[test]
fn gaps_and_events_beyond_the_limit_are_told_and_the_rest_goes_on() {
    let gap = json!({"from": "a-1", "to": "a-9", "reason": "expired"});
    let mut huge = message("huge");
    huge["payload"] = "x".repeat(3 * 1024 * 1024).into();
    let events = [
        ("c-1", system("gap", &gap)),
        ("c-2", huge),
        ("c-3", message("3")),
    ];
    let (url, _requests) = scripted(vec![stream(&events), last()]);
    let ended = subscribe(&url, &["--json"]);
    assert_eq!(ended.out, format!("{}\n", message("3")));
    let gap = "gap: some messages were removed before they could be sent here (from a-1 to a-9)";
    assert!(ended.err.contains(gap), "{}", ended.err);
    assert!(
        ended
            .err
            .contains("an event of more than 2097152 bytes was left out"),
        "{}",
        ended.err
    );
}
