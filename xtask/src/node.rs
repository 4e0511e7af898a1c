//! The parts of the test run that are JavaScript: its packages, its style, the SDK, and the page in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Count, check, suite};

/// The oldest Node.js that the tests are run with.
const NODE_MAJOR_MIN: u32 = 20;

/// What Biome looks at; its rules are in biome.json.
const SOURCES: [&str; 4] = [
    "bench/peers/express",
    "biome.json",
    "crates/hub/src/page",
    "e2e",
];

/// What has packages of its own.
const PROJECTS: [&str; 2] = [PAGE, SDK];
const PAGE: &str = "e2e";
const SDK: &str = "packages/sdk";

/// Installs exactly the packages of the lock files, after a look at those files.
pub(crate) fn install() -> Result<Count, String> {
    node_is_new_enough()?;
    for project in PROJECTS {
        lock_file_names_no_registry(project)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder(project));
        step::quiet(npm)?;
    }
    Ok(Count::PASSED)
}

pub(crate) fn biome() -> Result<Count, String> {
    let mut biome = Command::new(folder(PAGE).join("node_modules/.bin/biome"));
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
        .current_dir(folder(PAGE));
    suite(node, count_spec)
}

/// Checks the types and the style of the SDK, runs its tests, builds it, and looks at what would be published.
pub(crate) fn sdk() -> Result<Count, String> {
    let mut npm = Command::new("npm");
    npm.args(["test", "--silent"])
        .env("NO_COLOR", "1")
        .current_dir(folder(SDK));
    suite(npm, count_vitest)
}

/// Runs the built SDK against the hub that was built beside this binary, in Node.js and in the browser.
pub(crate) fn sdk_with_hub(chromium: &Path) -> Result<Count, String> {
    let hub = crate::binaries()?.join("tidings");
    let mut npm = Command::new("npm");
    npm.args(["run", "hub", "--silent"])
        .env("TIDINGS_BIN", hub)
        .env("CHROMIUM", chromium)
        .env("NO_COLOR", "1")
        .current_dir(folder(SDK));
    suite(npm, count_vitest)
}

fn folder(project: &str) -> PathBuf {
    crate::root().join(project)
}

fn node_is_new_enough() -> Result<(), String> {
    let needed =
        format!("the SDK and the page need Node.js {NODE_MAJOR_MIN} or newer with npm on PATH");
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
fn lock_file_names_no_registry(project: &str) -> Result<(), String> {
    let path = folder(project).join("package-lock.json");
    let lock = std::fs::read_to_string(&path)
        .map_err(|error| format!("read {}: {error}", path.display()))?;
    if lock.contains("\"resolved\"") {
        return Err(format!(
            "{} names a registry: write it anew with `npm install --package-lock-only` in {project}/, where .npmrc \
             leaves addresses out",
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

/// Counts the summary of vitest: `Tests  1 failed | 527 passed | 2 skipped | 1 todo (531)`.
fn count_vitest(line: &str) -> Count {
    let mut count = Count::default();
    let Some(tests) = line.trim().strip_prefix("Tests ") else {
        return count;
    };
    for part in tests.split('|') {
        let mut words = part.split_whitespace();
        let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        match words.next() {
            Some("passed") => count.passed += number,
            Some("failed") => count.failed += number,
            Some(_) => count.skipped += number,
            None => {}
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

    #[test]
    fn the_summary_of_vitest_counts_what_did_not_run_as_skipped() {
        let line = "      Tests  1 failed | 527 passed | 2 skipped | 1 todo (531)";
        let expected = Count {
            passed: 527,
            failed: 1,
            skipped: 3,
        };
        assert_eq!(count_vitest(line), expected);
        assert_eq!(
            count_vitest(" Test Files  22 passed (22)"),
            Count::default()
        );
    }
}
