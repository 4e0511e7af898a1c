//! `cargo xtask run`: build the hub and become it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::step::check;

/// Builds the hub and starts it with its data under the target folder.
///
/// It returns only when something failed: the hub replaces this process, as this one replaced cargo, so Ctrl-C and
/// SIGTERM reach it without a go-between, and its exit code is the command's.
pub(crate) fn run(options: &[&str]) -> String {
    let build = [
        "build",
        "--locked",
        "--package",
        "tidings",
        "--bin",
        "tidings",
    ];
    match check(crate::cargo(build)).and_then(|_| crate::binaries()) {
        Err(reason) => reason,
        Ok(binaries) => {
            let mut hub = Command::new(binaries.join("tidings"));
            hub.arg("serve").args(options);
            // Through the environment, where it yields to an option and to what the caller has set.
            if std::env::var_os("TIDINGS_SERVER_DATA").is_none() {
                hub.env(
                    "TIDINGS_SERVER_DATA",
                    binaries.with_file_name("tidings-data"),
                );
            }
            let error = hub.exec();
            format!("start {}: {error}", hub.get_program().display())
        }
    }
}
