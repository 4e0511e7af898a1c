//! `cargo xtask counts`: the instructions of the hub's hot paths, held against those that were accepted.
//!
//! Times differ from run to run and from machine to machine; what valgrind counts differs by less than a percent. The
//! paths are functions of unit tests, so that they reach what is private. Only our own crates are built for it, in the
//! dependencies' usual profile: an optimised build of all of them would take minutes.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{Count, check, output};
use crate::{apt, cargo, root};

const ACCEPTED: &str = "xtask/counts.txt";
const HEAD: &str = "\
# Instructions of the hub's hot paths, on Linux on x86-64; written by `cargo xtask counts --accept`.
";
const TOLERANCE_PERCENT: u64 = 10;
const BY_HAND: &str = "there is no valgrind: install it (on Debian: apt-get update && apt-get install -y \
                       --no-install-recommends valgrind)";

/// Other processors have other instructions.
pub(crate) const ARE_KEPT: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// Something of which a path does many.
struct Counted {
    name: &'static str,
    unit: &'static str,
    /// How many the path does.
    units: u64,
    package: &'static str,
    /// The test that takes the path.
    test: &'static str,
    /// The function that is the path; the test calls it once.
    function: &'static str,
}

const PATHS: [Counted; 5] = [
    Counted {
        name: "encode",
        unit: "message",
        units: 1_000,
        package: "tidings",
        test: "fanout::tests::counts::every_message_is_encoded_into_a_frame_with_its_id",
        function: "fanout::tests::counts::encode",
    },
    Counted {
        name: "match-exact",
        unit: "subject",
        units: 1_000,
        package: "tidings",
        test: "fanout::tests::counts::every_exact_topic_finds_its_one_reader",
        function: "fanout::tests::counts::find",
    },
    Counted {
        name: "match-pattern",
        unit: "subject",
        units: 1_000,
        package: "tidings",
        test: "fanout::tests::counts::every_topic_finds_its_one_reader_by_a_pattern",
        function: "fanout::tests::counts::find",
    },
    Counted {
        name: "append",
        unit: "record",
        units: 1_024,
        package: "tidings-store",
        test: "embedded::counts::a_writer_stores_every_record_that_waits_before_it_ends",
        function: "embedded::counts::append",
    },
    Counted {
        name: "pending",
        unit: "delivery",
        units: 40_000,
        package: "tidings",
        test: "fanout::tests::counts::every_connection_is_written_every_message_at_once",
        function: "fanout::tests::counts::pending",
    },
];

/// Finds valgrind, or installs it.
pub(crate) fn prepare() -> Result<PathBuf, String> {
    if !ARE_KEPT {
        return Err("the counts are those of Linux on x86-64".into());
    }
    apt::find(&["valgrind"], "valgrind")?.ok_or_else(|| BY_HAND.into())
}

/// Counts every path and compares it with what was accepted.
pub(crate) fn compare() -> Result<Count, String> {
    let text = fs::read_to_string(root().join(ACCEPTED))
        .map_err(|error| format!("read {ACCEPTED}: {error}"))?;
    let accepted = parse(&text)?;
    let mut total = Count::default();
    for (path, counted) in count_all()? {
        let known = accepted.iter().find(|(name, _)| *name == path.name);
        let verdict = judge(known.map(|(_, count)| *count), counted);
        println!(
            "{:<14} {counted:>7} instructions a {}",
            path.name, path.unit
        );
        if verdict == Verdict::Same {
            total.add(Count::PASSED);
        } else {
            eprintln!("{}: {verdict}", path.name);
            total.add(Count::FAILED);
        }
    }
    Ok(total)
}

/// Counts every path and writes that down as accepted.
pub(crate) fn accept() -> Result<Count, String> {
    let mut text = HEAD.to_owned();
    for (path, counted) in count_all()? {
        let Counted { name, unit, .. } = path;
        text.push_str(&format!("{name} {counted} a {unit}\n"));
    }
    print!("{text}");
    fs::write(root().join(ACCEPTED), text).map_err(|error| format!("write {ACCEPTED}: {error}"))?;
    Ok(Count::PASSED)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Dearer { accepted: u64, counted: u64 },
    Cheaper { accepted: u64, counted: u64 },
    Unknown,
}

fn judge(accepted: Option<u64>, counted: u64) -> Verdict {
    let Some(accepted) = accepted else {
        return Verdict::Unknown;
    };
    if counted * 100 > accepted * (100 + TOLERANCE_PERCENT) {
        Verdict::Dearer { accepted, counted }
    } else if counted * 100 < accepted * (100 - TOLERANCE_PERCENT) {
        Verdict::Cheaper { accepted, counted }
    } else {
        Verdict::Same
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => write!(f, "as accepted"),
            Self::Dearer { accepted, counted } => write!(
                f,
                "{accepted} instructions were accepted and {counted} are counted, over {TOLERANCE_PERCENT} % more: make \
                 the path cheaper, or accept what it costs with `cargo xtask counts --accept`"
            ),
            Self::Cheaper { accepted, counted } => write!(
                f,
                "{accepted} instructions were accepted and only {counted} are counted: keep the gain with \
                 `cargo xtask counts --accept`"
            ),
            Self::Unknown => write!(
                f,
                "{ACCEPTED} has no count: accept this one with `cargo xtask counts --accept`"
            ),
        }
    }
}

/// `encode 9083 a message`, a line for each path.
fn parse(text: &str) -> Result<Vec<(&str, u64)>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let line = |line| {
        let mut words = str::split_whitespace(line);
        let name = words.next()?;
        let known = PATHS.iter().any(|path| path.name == name);
        Some((name, words.next()?.parse().ok()?)).filter(|_| known)
    };
    lines
        .map(|text| {
            line(text).ok_or_else(|| format!("{ACCEPTED}: not the count of a path: {text}"))
        })
        .collect()
}

/// Of each path the instructions for one of its units.
fn count_all() -> Result<Vec<(&'static Counted, u64)>, String> {
    prepare()?;
    let packages = ["tidings", "tidings-store"];
    check(build(&packages, &["--no-run"]))?;
    let counted = PATHS.iter().map(|path| Ok((path, count(path)?)));
    counted.collect()
}

fn count(path: &Counted) -> Result<u64, String> {
    let runner = format!(
        "target.'cfg(all())'.runner=['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', \
         '--toggle-collect=*{}']",
        path.function
    );
    let test = ["--config", &runner, "--", "--exact", path.test];
    let said = output(build(&[path.package], &test))?;
    match collected(&said) {
        Some(0) | None => Err(format!(
            "{}: valgrind saw nothing of the function {}\n{said}",
            path.name, path.function
        )),
        Some(instructions) => Ok(instructions.div_ceil(path.units)),
    }
}

/// Of `==4711== Collected : 9082702`.
fn collected(said: &str) -> Option<u64> {
    let count = |line: &str| line.split_once("== Collected : ")?.1.trim().parse().ok();
    said.lines().find_map(count)
}

/// The unit tests, our own crates optimised. One codegen unit: what is inlined is not to depend on how the code was split.
fn build(packages: &[&str], arguments: &[&str]) -> Command {
    let mut command = cargo(["test", "--locked", "--lib"]);
    command.env("CARGO_INCREMENTAL", "0");
    for own in ["tidings", "tidings-protocol", "tidings-store"] {
        for setting in ["opt-level=3", "codegen-units=1", "debug=0"] {
            command.arg(format!("--config=profile.dev.package.{own}.{setting}"));
        }
    }
    for package in packages {
        command.arg(format!("--package={package}"));
    }
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_became_dearer_or_cheaper_by_more_than_the_tolerance_is_told_with_both_counts() {
        for (counted, words) in [(1_101, "more"), (899, "keep the gain")] {
            let text = judge(Some(1_000), counted).to_string();
            for part in [
                "1000",
                &counted.to_string(),
                words,
                "cargo xtask counts --accept",
            ] {
                assert!(text.contains(part), "{text}: {part}");
            }
        }
    }

    #[test]
    fn a_count_within_the_tolerance_passes_and_one_that_was_never_accepted_does_not() {
        for counted in [900, 1_000, 1_100] {
            assert_eq!(judge(Some(1_000), counted), Verdict::Same);
        }
        assert_eq!(judge(None, 1_000), Verdict::Unknown);
    }

    #[test]
    fn what_is_accepted_is_read_and_other_lines_are_refused() {
        let text = "# a comment\nencode 9083 a message\nappend 7 a record\n";
        assert_eq!(parse(text), Ok(vec![("encode", 9_083), ("append", 7)]));
        for bad in ["encode", "encode many", "gone 5", ""] {
            assert!(parse(&format!("{bad}\n")).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_count_is_found_in_what_valgrind_says() {
        let said = "==4711== Events    : Ir\n==4711== Collected : 9082702\n==4711== \n";
        assert_eq!(collected(said), Some(9_082_702));
        assert_eq!(collected("test result: ok."), None);
    }
}
