//! A write that fails, other than a full disk, ends all writes: nobody knows what the disk holds.

use std::process::Command;

use tempfile::TempDir;
use tidings_store::{AppendError, Health};

use super::child::{self, Running};
use super::folder::{self, contents};
use super::kill::note;
use super::ledger::{Ledger, numbered};

const TEST: &str = "crash::failed_write::a_failed_write_ends_all_writes_and_loses_nothing";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failed_write_ends_all_writes_and_loses_nothing() {
    if let Some(dir) = child::role() {
        return fail(&dir).await;
    }
    let dir = TempDir::new().expect("a folder can be made");
    let mut ledger = Ledger::default();
    let mut running = Running::start(with_small_files(&child::command(TEST, dir.path())));
    let mut failed = false;
    while let Some(said) = running.hear() {
        match said.as_str() {
            "failed as it should" => failed = true,
            acknowledged => note(&mut ledger, acknowledged),
        }
    }
    assert!(running.wait().success());
    assert!(failed && ledger.len() > 0);
    // Once files may grow again, opening anew is all it takes.
    let store = folder::open(dir.path());
    ledger.check(&store).await;
    ledger.check_duplicates(&store).await;
}

/// A shell that lets no file grow beyond 2 MiB and ignores the signal for it, so that the write itself fails.
fn with_small_files(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap '' XFSZ; ulimit -f 4096; exec "$0" "$@""#]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.expect("variables are only set"));
    }
    shell
}

async fn fail(dir: &std::path::Path) {
    let store = folder::open(dir);
    child::say(&format!("epoch {}", store.epoch()));
    let mut acknowledged = 0;
    let error = loop {
        let record = tidings_store::Record {
            body: vec![7; 10_000].into(),
            ..numbered("a", acknowledged)
        };
        match store.append(vec![record]).await {
            Ok(appended) => {
                child::say(&format!(
                    "ack a {acknowledged}={}",
                    crate::bench::stored(appended[0])
                ));
                acknowledged += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, AppendError::Failed);
    assert!(!error.retryable());
    assert_eq!(store.health(), Health::Failed);
    assert_eq!(
        store.append(vec![numbered("b", 0)]).await,
        Err(AppendError::Failed),
        "no later write is tried"
    );
    assert_eq!(
        contents(&store).await.len() as u64,
        acknowledged,
        "reads go on"
    );
    assert!(store.stats().refused_failed >= 1);
    child::say("failed as it should");
}
