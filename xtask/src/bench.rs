//! `cargo xtask bench`: builds what `bench/` holds and becomes its runner.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::step::check;

/// Of a workspace of its own, so that the hub's does not build the peers.
pub(crate) const MANIFEST: &str = "bench/Cargo.toml";

/// It returns only when something failed: the runner replaces this process.
pub(crate) fn run(options: &[&str]) -> String {
    let build = [
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        MANIFEST,
    ];
    match check(crate::cargo(build)) {
        Err(reason) => reason,
        Ok(_) => {
            let mut runner = Command::new(crate::root().join("bench/target/release/runner"));
            let error = runner.args(options).exec();
            format!("start {}: {error}", runner.get_program().display())
        }
    }
}
