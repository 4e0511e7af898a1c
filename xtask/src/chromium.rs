//! Finds the browser that the tests of the page drive, and installs it where that is possible.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::quiet;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const BY_HAND: &str = "there is no Chromium: install it (on Debian: apt-get update && apt-get install -y \
                       --no-install-recommends chromium), or name one in $CHROMIUM";

/// `$CHROMIUM`, else one on `PATH`, else the one that apt-get installs when we are root on Debian.
pub(crate) fn find() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        let missing = || format!("$CHROMIUM names {}, which is no file", named.display());
        return named.is_file().then(|| named.clone()).ok_or_else(missing);
    }
    on_path().map_or_else(install, Ok)
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

fn install() -> Result<PathBuf, String> {
    let root = quiet(command("id", ["-u"])).is_ok_and(|id| id.trim() == "0");
    if !root || !Path::new("/etc/debian_version").exists() {
        return Err(BY_HAND.into());
    }
    quiet(command("apt-get", ["update"]))?;
    quiet(command(
        "apt-get",
        ["install", "-y", "--no-install-recommends", "chromium"],
    ))?;
    on_path().ok_or_else(|| BY_HAND.into())
}

fn command<const N: usize>(program: impl AsRef<OsStr>, arguments: [&str; N]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}
