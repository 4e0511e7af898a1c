//! Commands for a data folder, with and without a hub that runs on it.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Ended, Hub, ended, succeeds, tidings};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A hub with three messages.
fn hub() -> Hub {
    let hub = Hub::with(&[("TIDINGS_SERVER_DRAIN_MS", "0")]);
    for arguments in [
        ["publish", "one", "--to", "alice"],
        ["publish", "two", "--to", "alice"],
        ["publish", "three", "--topic", "news"],
    ] {
        succeeds(&mut hub.command(&arguments));
    }
    hub
}

fn stop(hub: &mut Hub) {
    hub.process.signal(Signal::TERM);
    assert_eq!(hub.process.code(), 0);
}

fn stats(data: &str) -> Value {
    let stats = succeeds(&mut tidings(&["store", "stats", "--json", "--data", data]));
    serde_json::from_str(&stats).expect("JSON")
}

#[test]
fn stats_and_check_work_while_the_hub_runs_after_a_crash_and_after_a_stop() {
    let mut hub = hub();
    let looks = |hub: &Hub| {
        let stats = stats(hub.data());
        assert_eq!(stats["classes"]["mailbox"]["entries"], 2);
        assert_eq!(stats["classes"]["topic"]["entries"], 1);
        let check = succeeds(&mut tidings(&["store", "check", "--data", hub.data()]));
        assert!(check.starts_with("sound: 3 entries"), "{check}");
        let shown = succeeds(&mut tidings(&["store", "stats", "--data", hub.data()]));
        assert!(shown.contains("mailbox    2 entries"), "{shown}");
    };
    looks(&hub);
    hub.kill();
    looks(&hub);
    hub.restart();
    looks(&hub);
    stop(&mut hub);
    looks(&hub);
    hub.restart();
    succeeds(&mut hub.command(&["publish", "four", "--to", "alice"]));
}

#[test]
fn the_folder_is_found_where_the_hub_finds_it() {
    let hub = hub();
    let mut command = tidings(&["store", "stats", "--json"]);
    let by_variable = succeeds(command.env("TIDINGS_SERVER_DATA", hub.data()));
    let folder = folder();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, format!("[server]\ndata = {:?}\n", hub.data())).expect("a written file");
    let by_file = succeeds(&mut tidings(&[
        "store",
        "stats",
        "--json",
        "--config",
        text(&file),
    ]));
    assert_eq!(by_variable, by_file);
}

#[test]
fn what_changes_a_folder_waits_until_no_hub_runs_on_it() {
    let mut hub = hub();
    let place = folder();
    let file = place.path().join("backup");
    let made = succeeds(&mut tidings(&["backup", text(&file), "--data", hub.data()]));
    assert!(made.contains("3 entries up to position 3"), "{made}");
    let commands = [
        vec!["store", "trim", "--data", hub.data()],
        vec!["store", "vacuum", "--data", hub.data()],
        vec!["restore", text(&file), "--force", "--data", hub.data()],
    ]
    .map(|command| command.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let run = |command: &[String]| {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        ended(&mut tidings(&command))
    };
    for command in &commands {
        let Ended { code, err, .. } = run(command);
        assert_eq!(code, 1, "{command:?}");
        assert!(
            err.contains("in use by another process"),
            "{command:?}: {err}"
        );
    }
    succeeds(&mut hub.command(&["publish", "four", "--to", "alice"]));
    stop(&mut hub);
    for command in &commands {
        let Ended { code, err, .. } = run(command);
        assert_eq!(code, 0, "{command:?}: {err}");
    }
    assert_eq!(stats(hub.data())["classes"]["mailbox"]["entries"], 2);
    hub.restart();
    let mut alice = hub.subscriber(&["--client-id", "alice"]);
    alice.out.until("to alice from anonymous: two");
}

#[test]
fn a_trim_removes_what_the_configuration_does_not_keep() {
    let mut hub = hub();
    stop(&mut hub);
    let mut command = tidings(&["store", "trim", "--data", hub.data()]);
    let removed = succeeds(command.env("TIDINGS_STORE_MAILBOX_COUNT", "1"));
    assert!(
        removed.starts_with("removed 1 entries of mailboxes, 0 of topics, 0 broadcasts"),
        "{removed}"
    );
    assert_eq!(stats(hub.data())["classes"]["mailbox"]["entries"], 1);
}

#[test]
fn a_restore_into_a_folder_that_holds_something_must_be_forced() {
    let (hub, place) = (hub(), folder());
    let file = place.path().join("backup");
    succeeds(&mut tidings(&["backup", text(&file), "--data", hub.data()]));
    let elsewhere = folder();
    let data = text(elsewhere.path());
    let restored = succeeds(&mut tidings(&["restore", text(&file), "--data", data]));
    assert!(restored.starts_with("restored: 3 entries"), "{restored}");
    let refused = ended(&mut tidings(&["restore", text(&file), "--data", data]));
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("is not empty; with --force"),
        "{}",
        refused.err
    );
    succeeds(&mut tidings(&[
        "restore",
        text(&file),
        "--force",
        "--data",
        data,
    ]));
    let again = ended(&mut tidings(&["backup", text(&file), "--data", hub.data()]));
    assert_eq!(again.code, 1);
    assert!(again.err.contains("exists already"), "{}", again.err);
}

#[test]
fn damage_is_code_1_and_told_fault_by_fault() {
    let mut hub = hub();
    stop(&mut hub);
    let path = hub.folder.path().join("tidings.db");
    let mut bytes = std::fs::read(&path).expect("the file can be read");
    let payload = bytes
        .windows(5)
        .position(|window| window == b"three")
        .expect("the message");
    bytes[payload] = b'T';
    std::fs::write(&path, &bytes).expect("the file can be written");
    let Ended { code, out, err } = ended(&mut tidings(&["store", "check", "--data", hub.data()]));
    assert_eq!(code, 1);
    assert_eq!(out, "the entry at position 3 is damaged\n");
    assert!(err.contains("belongs to them: 1; "), "{err}");
}

#[test]
fn a_folder_without_a_store_is_named_and_left_alone() {
    let folder = folder();
    let data = text(folder.path());
    for command in [
        &["store", "stats"][..],
        &["store", "check"],
        &["store", "trim"],
        &["store", "vacuum"],
        &["backup", "/nowhere/backup"],
    ] {
        let ended = ended(&mut tidings(&[command, &["--data", data]].concat()));
        assert_eq!(ended.code, 1, "{command:?}");
        assert_eq!(
            ended.err,
            format!("tidings: there is no store in {data}\n"),
            "{command:?}"
        );
    }
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
}
