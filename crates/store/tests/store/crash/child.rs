//! A process that appends until it is killed: this test binary again, at the same test.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use bytes::Bytes;
use tidings_store::{Appended, Expect, Put, Store};
use tokio::task::JoinSet;

use super::folder;
use super::ledger::{Ledger, has_cell, is_noise, numbered};
use crate::bench::stored;

/// Names the data folder to the process that is to play the child.
const CHILD: &str = "TIDINGS_STORE_CHILD";

const SOURCES: [&str; 9] = [
    "a", "b", "c", "d", "cell-a", "cell-b", "cell-c", "cell-d", "noise",
];

/// The folder, if this process is the child.
pub(super) fn role() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Runs this binary's test `test` as the child on a folder.
pub(super) fn command(test: &str, dir: &Path) -> Command {
    let binary = std::env::current_exe().expect("a test has a binary");
    let mut command = Command::new(binary);
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir);
    command
}

/// Says something to the parent. One small write to a pipe is never torn.
pub(super) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let said = stdout
        .write_all(format!("\n@{line}\n").as_bytes())
        .and_then(|()| stdout.flush());
    said.expect("the parent listens");
}

/// A running child and what it says.
pub(super) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("the child's output is piped"));
        Self { child, lines }
    }

    /// The next thing it said; `None` once it has ended. The test harness writes to the same pipe.
    pub(super) fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self
                .lines
                .read_line(&mut line)
                .expect("the pipe can be read")
                == 0
            {
                return None;
            }
            if let Some(said) = line
                .strip_prefix('@')
                .and_then(|line| line.strip_suffix('\n'))
            {
                return Some(said.to_owned());
            }
        }
    }

    /// SIGKILL; what was said before can still be heard.
    pub(super) fn kill(&mut self) {
        self.child.kill().expect("the child can be killed");
    }

    pub(super) fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the child can be awaited")
    }
}

impl Drop for Running {
    /// A failed test leaves no process behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Appends from several sources at once, trims, and says what was acknowledged; ends when an append fails.
pub(super) async fn append_until_killed(dir: &Path) {
    let store = folder::open(dir);
    say(&format!("epoch {}", store.epoch()));
    let next = Ledger::next_numbers(&store).await;
    let mut appenders = JoinSet::new();
    for source in SOURCES {
        let next = next.get(source).copied().unwrap_or(0);
        appenders.spawn(append_from(store.clone(), source, next));
    }
    appenders.join_all().await;
    say(&format!("health {:?}", store.health()));
}

async fn append_from(store: Store, source: &str, mut next: u64) {
    loop {
        let numbers = next..next + 1 + next % 4;
        next = numbers.end;
        let records = numbers
            .clone()
            .map(|number| numbered(source, number))
            .collect();
        let appended = if has_cell(source) {
            let value = Some(Bytes::from((numbers.end - 1).to_string()));
            let put = Put {
                key: source.into(),
                value,
                expect: Expect::Any,
                expires_at: None,
            };
            store
                .commit(vec![put], records)
                .await
                .map(|committed| committed.appended)
        } else {
            store.append(records).await.map_err(Into::into)
        };
        match appended {
            Ok(appended) => say_acknowledged(source, numbers.zip(appended)),
            Err(error) => return say(&format!("error {error}")),
        }
        if is_noise(source) && next % 32 < 4 {
            // When it fails, so does the next append.
            let _ = store.trim().await;
        }
    }
}

fn say_acknowledged(source: &str, appended: impl Iterator<Item = (u64, Appended)>) {
    let said: Vec<String> = appended
        .map(|(number, appended)| format!("{number}={}", stored(appended)))
        .collect();
    say(&format!("ack {source} {}", said.join(" ")));
}
