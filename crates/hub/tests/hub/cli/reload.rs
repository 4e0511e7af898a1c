//! SIGHUP: the configuration is read again while the hub runs.

use std::io::Write as _;
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Hub, succeeds};
use crate::harness::{Answer, Stream, connect};

/// Never by itself while a test runs.
const NO_TRIM: &str = "[store]\ntrim_every_ms = 86400000\n";

/// A hub with a configuration file of its own.
struct Configured {
    hub: Hub,
    file: PathBuf,
    _folder: TempDir,
}

impl Configured {
    fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("hub.toml");
        std::fs::write(&file, text).expect("a written file");
        let hub = Hub::with(&[("TIDINGS_CONFIG", file.to_str().expect("UTF-8"))]);
        Self {
            hub,
            file,
            _folder: folder,
        }
    }

    /// Returns once the log has said so.
    fn reload(&mut self, text: &str, said: &str) -> String {
        std::fs::write(&self.file, text).expect("a written file");
        self.hub.process.signal(Signal::HUP);
        self.hub.process.err.until(said)
    }

    fn status_for(&self, origin: &str) -> u16 {
        let address = &self.hub.address;
        let mut socket = connect(address.parse().expect("an address"));
        let request = format!(
            "GET /health HTTP/1.1\r\nhost: {address}\r\norigin: {origin}\r\nconnection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).expect("sent");
        Answer::read(&mut socket).status
    }

    fn heartbeat_ms(&self) -> u64 {
        let address = self.hub.address.parse().expect("an address");
        let mut stream = Stream::open(address, "clientId=reader", &[]);
        stream.expect_system("connect")["heartbeatInterval"]
            .as_u64()
            .expect("a number")
    }
}

#[test]
fn what_can_change_holds_at_once_and_what_cannot_is_named() {
    let mut configured = Configured::start(NO_TRIM);
    for number in ["one", "two", "three"] {
        succeeds(
            &mut configured
                .hub
                .command(&["publish", number, "--to", "alice"]),
        );
    }
    assert_eq!(configured.status_for("https://app.example.org"), 403);
    assert_eq!(configured.heartbeat_ms(), 25_000);
    let text = "[server]\nallowed_origins = ['https://app.example.org']\n[sse]\nheartbeat_ms = 300\nshards = 3\n\
                [store]\nmailbox_count = 1\ntrim_every_ms = 50\n[log]\nlevel = 'debug'\n";
    let waiting = configured.reload(text, "these settings change only with a restart");
    assert!(waiting.contains("sse.shards"), "{waiting}");
    let taken = configured
        .hub
        .process
        .err
        .until("the configuration was read again");
    for key in [
        "server.allowed_origins",
        "sse.heartbeat_ms",
        "store.mailbox_count",
        "store.trim_every_ms",
        "log.level",
    ] {
        assert!(taken.contains(key), "{key}: {taken}");
    }
    assert_eq!(configured.status_for("https://app.example.org"), 200);
    assert_eq!(configured.heartbeat_ms(), 300);
    // Told at the level debug alone, once a trim is done.
    configured.hub.process.err.until("retention");
    let mut alice = configured.hub.subscriber(&["--client-id", "alice"]);
    assert!(alice.out.take(1)[0].ends_with("to alice from anonymous: three"));
}

#[test]
fn a_configuration_with_errors_changes_nothing_and_all_of_them_are_told() {
    let mut configured = Configured::start(NO_TRIM);
    let text = "[sse]\nheartbeat_ms = 300\nretry_ms = 'soon'\n[store]\nmailbox_cout = 1\n";
    let first = configured.reload(text, "the configuration stays as it was: ");
    assert!(first.contains("sse.retry_ms = \"soon\""), "{first}");
    let second = configured
        .hub
        .process
        .err
        .until("the configuration stays as it was: ");
    assert!(
        second.contains("did you mean store.mailbox_count?"),
        "{second}"
    );
    assert_eq!(configured.heartbeat_ms(), 25_000);
    configured.reload(
        "[sse]\nheartbeat_ms = 300\n",
        "the configuration was read again",
    );
    assert_eq!(configured.heartbeat_ms(), 300);
}

#[test]
fn flags_and_variables_win_again() {
    let mut configured = Configured::start("");
    let text = "[server]\ndata = '/elsewhere'\nlisten = '127.0.0.1:1'\n";
    let taken = configured.reload(text, "the configuration was read again");
    assert!(taken.contains("settings=\"\""), "{taken}");
}
