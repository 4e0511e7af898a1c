//! The parts of the test run that are JavaScript: its packages, its style, and the page in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Count, check, suite};

/// The oldest Node.js that the tests are run with.
const NODE_MAJOR_MIN: u32 = 20;

/// What Biome looks at; its rules are in biome.json.
const SOURCES: [&str; 3] = ["biome.json", "crates/hub/src/page", "e2e"];

/// Installs exactly the packages of the lock file, after a look at that file.
pub(crate) fn install() -> Result<Count, String> {
    node_is_new_enough()?;
    lock_file_names_no_registry()?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder());
    step::quiet(npm).map(|_| Count::PASSED)
}

pub(crate) fn biome() -> Result<Count, String> {
    let mut biome = Command::new(folder().join("node_modules/.bin/biome"));
    biome
        .args(["check", "--error-on-warnings"])
        .args(SOURCES)
        .current_dir(crate::root());
    check(biome)
}

/// Runs the tests of the page against the hub that was built beside this binary.
pub(crate) fn end_to_end(chromium: &Path) -> Result<Count, String> {
    let hub = crate::binaries()?.join("tidings");
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .env("TIDINGS_BIN", hub)
        .env("CHROMIUM", chromium)
        .current_dir(folder());
    suite(node, count_spec)
}

fn folder() -> PathBuf {
    crate::root().join("e2e")
}

fn node_is_new_enough() -> Result<(), String> {
    let needed =
        format!("the tests of the page need Node.js {NODE_MAJOR_MIN} or newer with npm on PATH");
    let mut node = Command::new("node");
    node.arg("--version");
    let version = step::quiet(node).map_err(|reason| format!("{needed}: {reason}"))?;
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    match major {
        Some(NODE_MAJOR_MIN..) => Ok(()),
        _ => Err(format!("{needed}; this is {}", version.trim())),
    }
}

/// Whoever installs chooses the registry; a lock file with addresses would choose it for them.
fn lock_file_names_no_registry() -> Result<(), String> {
    let path = folder().join("package-lock.json");
    let lock = std::fs::read_to_string(&path)
        .map_err(|error| format!("read {}: {error}", path.display()))?;
    if lock.contains("\"resolved\"") {
        return Err(format!(
            "{} names a registry: write it anew with `npm install --package-lock-only` in e2e/, where .npmrc leaves \
             addresses out",
            path.display()
        ));
    }
    Ok(())
}

/// Counts the summary of `node --test`: `ℹ pass 5`, `ℹ fail 0`, `ℹ cancelled 0`, `ℹ skipped 0`, `ℹ todo 0`.
fn count_spec(line: &str) -> Count {
    let mut count = Count::default();
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["ℹ", kind, number] = words[..] {
        let number = number.parse().unwrap_or(0);
        match kind {
            "pass" => count.passed = number,
            "fail" | "cancelled" => count.failed = number,
            "skipped" | "todo" => count.skipped = number,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_cancelled_as_failed_and_to_do_as_skipped() {
        let summary = [
            "ℹ tests 9",
            "ℹ pass 5",
            "ℹ fail 1",
            "ℹ cancelled 2",
            "ℹ skipped 0",
            "ℹ todo 1",
            "ℹ duration_ms 7.5",
        ];
        let mut total = Count::default();
        for line in summary {
            total.add(count_spec(line));
        }
        assert_eq!(
            total,
            Count {
                passed: 5,
                failed: 3,
                skipped: 1
            }
        );
    }
}
