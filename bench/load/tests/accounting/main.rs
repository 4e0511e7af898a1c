//! The load tool against a server that makes mistakes: each must be seen, and make the run fail.

mod faulty;

use std::process::{Command, Output};

use serde_json::Value;

use crate::faulty::{Mistake, serve};

/// The exit code and what was counted.
fn run(workload: &str, mistake: Mistake) -> (Option<i32>, Value) {
    let output = load(workload, mistake);
    let said = String::from_utf8_lossy(&output.stderr);
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code(), answer["faults"].clone())
}

fn load(workload: &str, mistake: Mistake) -> Output {
    let url = format!("http://{}", serve(mistake));
    let options = [
        "--workload",
        workload,
        "--peer",
        "raw",
        "--url",
        &url,
        "--clients",
        "3",
        "--publishers",
        "1",
        "--rate",
        "100",
        "--seconds",
        "2",
        "--warmup",
        "0",
        "--patience",
        "3",
    ];
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(options)
        .output()
        .unwrap()
}

/// Everything else must be zero, so that one mistake is not taken for another.
fn only(faults: &Value, name: &str) -> u64 {
    for (other, count) in faults.as_object().unwrap() {
        assert!(other == name || count == 0, "{other}: {faults}");
    }
    faults[name].as_u64().unwrap()
}

#[test]
fn a_faultless_server_passes() {
    for workload in ["rate50", "unicast"] {
        let (code, faults) = run(workload, Mistake::None);
        assert_eq!(code, Some(0), "{faults}");
        assert_eq!(only(&faults, "lost"), 0);
    }
}

#[test]
fn a_message_that_one_client_did_not_get_is_a_loss() {
    let (code, faults) = run("rate50", Mistake::Lose);
    assert_eq!((code, only(&faults, "lost")), (Some(1), 1));
}

#[test]
fn a_message_that_came_twice_is_a_duplicate() {
    let (code, faults) = run("rate50", Mistake::Double);
    assert_eq!((code, only(&faults, "duplicates")), (Some(1), 1));
}

#[test]
fn a_message_that_came_after_its_successor_is_out_of_order() {
    let (code, faults) = run("rate50", Mistake::Swap);
    assert_eq!((code, only(&faults, "out_of_order")), (Some(1), 1));
}

#[test]
fn a_damaged_message_is_seen() {
    let (code, faults) = run("rate50", Mistake::Damage);
    assert_eq!(code, Some(1));
    assert_eq!(
        (&faults["garbled"], &faults["lost"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn a_message_for_another_client_is_misrouted() {
    let (code, faults) = run("unicast", Mistake::Misroute);
    assert_eq!(code, Some(1));
    assert_eq!(
        (&faults["misrouted"], &faults["lost"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn a_stream_that_ends_is_a_failure() {
    let (code, faults) = run("rate50", Mistake::Close);
    assert_eq!(code, Some(1));
    assert_eq!(faults["failures"], 1);
    assert!(faults["lost"].as_u64() > Some(0));
}

#[test]
fn a_refused_publish_ends_the_run() {
    let output = load("rate50", Mistake::Refuse);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("503"), "{said}");
}
