//! `cargo xtask run`: build the hub and become it.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::step::check;

const LISTEN: &str = "127.0.0.1:8080";

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
            let data = binaries.with_file_name("tidings-data");
            set_unless_set(&mut hub, "TIDINGS_SERVER_LISTEN", LISTEN.as_ref());
            set_unless_set(&mut hub, "TIDINGS_SERVER_DATA", data.as_os_str());
            let error = hub.exec();
            format!("start {}: {error}", hub.get_program().display())
        }
    }
}

/// Through the environment, where it yields to an option and to what the caller has set.
fn set_unless_set(hub: &mut Command, name: &str, value: &OsStr) {
    if std::env::var_os(name).is_none() {
        hub.env(name, value);
    }
}
