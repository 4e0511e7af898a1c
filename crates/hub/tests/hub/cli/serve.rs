use rustix::process::Signal;

use super::process::{Hub, Process, ended, succeeds, tidings};

#[test]
fn the_start_shows_address_data_mode_and_the_next_lines() {
    let mut hub = Hub::start();
    let address = hub.address.clone();
    assert!(!address.ends_with(":0"), "{address}");
    let text = hub.process.out.take(6).join("\n");
    for part in [
        &format!("data  {}", hub.data()),
        "mode  open",
        &format!("curl -N 'http://{address}/sse?clientId=alice&topics=news'"),
        &format!("curl -d 'hello' http://{address}/api/topics/news"),
        &format!("http://{address}/"),
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn serving_is_what_happens_without_a_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().to_str().expect("UTF-8");
    let mut hub = Process::spawn(&mut tidings(&["--listen", "127.0.0.1:0", "--data", data]));
    hub.out.until("listens on 127.0.0.1:");
}

#[test]
fn a_second_hub_on_the_same_folder_is_refused() {
    let hub = Hub::start();
    let second = ended(&mut tidings(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        hub.data(),
    ]));
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains(hub.data()), "{}", second.err);
    assert!(second.err.contains("in use"), "{}", second.err);
    assert_eq!(second.out, "");
}

#[test]
fn a_port_in_use_is_named() {
    let hub = Hub::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().to_str().expect("UTF-8");
    let second = ended(&mut tidings(&[
        "serve",
        "--listen",
        &hub.address,
        "--data",
        data,
    ]));
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains(&hub.address), "{}", second.err);
    assert!(
        second.err.to_lowercase().contains("in use"),
        "{}",
        second.err
    );
}

#[test]
fn a_stopped_hub_tells_its_clients_and_ends_with_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut hub = Hub::with(&[("TIDINGS_SERVER_DRAIN_MS", "200")]);
        let mut subscriber = hub.subscriber(&["--client-id", "alice"]);
        hub.process.signal(signal);
        subscriber.err.until("the hub is shutting down");
        assert_eq!(hub.process.code(), 0);
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut hub = Hub::with(&[("TIDINGS_SERVER_DRAIN_MS", "600000")]);
    let _subscribers: Vec<_> = (0..20)
        .map(|n| hub.subscriber(&["--client-id", &format!("c{n}")]))
        .collect();
    hub.process.signal(Signal::INT);
    hub.process
        .err
        .until("stopping; a second signal stops at once");
    hub.process.signal(Signal::INT);
    assert_eq!(hub.process.code(), 1);
    hub.process.err.until("stopped at once by a second SIGINT");
}

#[test]
fn messages_are_there_again_after_a_restart() {
    let mut hub = Hub::start();
    succeeds(&mut hub.command(&["publish", "kept", "--to", "alice"]));
    hub.kill();
    hub.restart();
    let mut alice = hub.subscriber(&["--client-id", "alice"]);
    alice.out.until("to alice from anonymous: kept");
}

#[test]
fn the_log_can_be_json() {
    let mut hub = Hub::with(&[
        ("TIDINGS_LOG_FORMAT", "json"),
        ("TIDINGS_SERVER_LISEN", "x"),
    ]);
    let warning = hub.process.err.until("TIDINGS_SERVER_LISEN");
    let warning: serde_json::Value = serde_json::from_str(&warning).expect("JSON");
    assert_eq!(warning["level"], "WARN");
    assert_eq!(warning["variable"], "TIDINGS_SERVER_LISEN");
}
