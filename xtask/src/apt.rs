//! Programs from outside that a step needs: found on `PATH`, or installed where that is possible.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::quiet;

/// The first of `names` that lies on `PATH`; else apt-get installs `package`, when we are root on Debian. `None`: neither.
pub(crate) fn find(names: &[&str], package: &str) -> Result<Option<PathBuf>, String> {
    if let Some(found) = on_path(names) {
        return Ok(Some(found));
    }
    let root = quiet(command("id", ["-u"])).is_ok_and(|id| id.trim() == "0");
    if !root || !Path::new("/etc/debian_version").exists() {
        return Ok(None);
    }
    quiet(command("apt-get", ["update"]))?;
    quiet(command(
        "apt-get",
        ["install", "-y", "--no-install-recommends", package],
    ))?;
    Ok(on_path(names))
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut candidates = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.find(|candidate| candidate.is_file())
}

fn command<const N: usize>(program: impl AsRef<OsStr>, arguments: [&str; N]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}
