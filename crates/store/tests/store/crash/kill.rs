//! SIGKILL at any moment: what was acknowledged is there, once and in order.

use tempfile::TempDir;
use tidings_store::Position;

use super::child::{self, Running};
use super::folder;
use super::ledger::Ledger;
use super::random::Random;

/// How often to kill: a few times in each run of the tests, thousands of times over night.
const ROUNDS: &str = "TIDINGS_CRASH_ROUNDS";
const ROUNDS_DEFAULT: u64 = 16;

/// After so many rounds a new folder: the comparison reads everything.
const ROUNDS_OF_FOLDER: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    if let Some(dir) = child::role() {
        return child::append_until_killed(&dir).await;
    }
    let rounds = std::env::var(ROUNDS).map_or(ROUNDS_DEFAULT, |rounds| {
        rounds.parse().expect("rounds are a number")
    });
    let mut random = Random::new(0x7469_6469);
    let (mut dir, mut ledger) = (
        TempDir::new().expect("a folder can be made"),
        Ledger::default(),
    );
    for round in 0..rounds {
        if round % ROUNDS_OF_FOLDER == 0 {
            (dir, ledger) = (
                TempDir::new().expect("a folder can be made"),
                Ledger::default(),
            );
        }
        // Some are killed while they still open.
        let heard = if round % ROUNDS_OF_FOLDER == 5 {
            0
        } else {
            random.within(1, 400)
        };
        run_and_kill(&dir, &mut ledger, heard);
        let store = folder::open(dir.path());
        ledger.check(&store).await;
        ledger.check_duplicates(&store).await;
        ledger.began(store.epoch());
        store.close();
    }
    assert!(ledger.len() > 0, "something was acknowledged");
}

fn run_and_kill(dir: &TempDir, ledger: &mut Ledger, heard: u64) {
    let mut running = Running::start(child::command(
        "crash::kill::a_kill_loses_nothing_that_was_acknowledged",
        dir.path(),
    ));
    for _ in 0..heard {
        let said = running
            .hear()
            .expect("the child appends until it is killed");
        note(ledger, &said);
    }
    running.kill();
    while let Some(said) = running.hear() {
        note(ledger, &said);
    }
}

pub(super) fn note(ledger: &mut Ledger, said: &str) {
    let mut words = said.split(' ');
    match (words.next(), words.next()) {
        (Some("epoch"), Some(epoch)) => ledger.began(epoch),
        (Some("ack"), Some(source)) => {
            for acknowledged in words {
                let (number, position) = acknowledged
                    .split_once('=')
                    .expect("a number and a position");
                let position = Position(position.parse().expect("a position is a number"));
                ledger.acknowledge(source, number.parse().expect("a number"), position);
            }
        }
        _ => panic!("the child said {said:?}"),
    }
}
